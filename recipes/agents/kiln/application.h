/* The application's process: started as its own user in its own session, with its output read line by line. */
#ifndef KILN_APPLICATION_H
#define KILN_APPLICATION_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"

struct output_counts {
	const char *stream;
	uint64_t lines;   /* written by the application, pieces of long ones counted singly */
	uint64_t dropped; /* of these, not passed on because the console was too slow */
};

/* How a program is started. */
struct program {
	char *const *argument, *const *environment;
	const char *directory;
	const uint32_t *group;
	size_t groups;
	uint64_t open_files, processes;
	uint32_t uid, gid;
};

bool application_open(const struct conf *conf);
/* Its process id; or 0 when it could not be started: `what` and `error` say why, `code` is the exit code for that. */
struct started {
	int pid, code;
	const char *what;
	long error;
};
struct started application_start(const struct conf *conf);
/* The same for any program, with these for its output. */
struct started application_start_as(const struct program *program, int out_fd, int err_fd);
void application_watch(void);
void application_drain(void); /* all it has written so far, the last line complete or not */
struct output_counts application_output(int stream);

#endif
