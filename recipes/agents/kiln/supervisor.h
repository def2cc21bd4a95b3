/* The application's life: started, watched, restarted, stopped; and the machine's end with its exit code. */
#ifndef KILN_SUPERVISOR_H
#define KILN_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"

struct application {
	int pid; /* 0: not running */
	bool stopping, healthy, frozen;
	uint64_t restarts, crashes;
	int64_t booted_us, started_us, first_started_us, first_healthy_us; /* since boot; booted_us: the agent */
};

void supervisor_boot(void); /* first of all */
void supervisor_start(const struct conf *conf);
void supervisor_stop(const char *reason);
void supervisor_fail(void); /* the application runs and is not well: it is ended, and what follows is as after a crash */
void supervisor_turn(void); /* once in every turn of the loop: ended processes, and what is due */
void supervisor_watch(void);
const struct application *supervisor_application(void);

/* For rules: stops every process as it is; false if it is too late, or too early, to do anything. Then what is done. */
bool supervisor_hold(void);
void supervisor_respond(enum response response);

/* Ends the machine: everything written is saved, `halt` is the last line. */
_Noreturn void supervisor_halt(const struct conf *conf, int code);

#endif
