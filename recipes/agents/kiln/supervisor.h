/* The application's life: started, watched, restarted, stopped; and the machine's end with its exit code. */
#ifndef KILN_SUPERVISOR_H
#define KILN_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"

struct application {
	int pid; /* 0: not running */
	bool stopping, healthy;
	uint64_t restarts, crashes;
	int64_t started_us; /* since boot */
};

void supervisor_start(const struct conf *conf);
void supervisor_stop(const char *reason);
void supervisor_turn(void); /* once in every turn of the loop: ended processes, and what is due */
void supervisor_watch(void);
const struct application *supervisor_application(void);

/* Ends the machine: everything written is saved, `halt` is the last line. */
_Noreturn void supervisor_halt(const struct conf *conf, int code);

#endif
