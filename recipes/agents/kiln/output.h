/* One output stream of the application: a pipe, cut into lines, each an event. If the console cannot keep up, the pipe
 * is left to fill for a moment, so that nothing is lost; the application never waits longer than that. */
#ifndef KILN_OUTPUT_H
#define KILN_OUTPUT_H

#include <stdint.h>

#include "lines.h"

struct output {
	const char *name; /* NULL: not open */
	int read_fd, write_fd; /* we keep the write end too: the next start of the application uses the same pipe */
	struct lines lines;
	uint64_t count, dropped;
	uint64_t dropped_lately; /* since the last line that was passed on */
	int64_t waiting_since_us; /* a line waits for the console; 0: none does */
};

long output_open(struct output *output, const char *name, uint32_t uid, uint32_t gid); /* negative: the error */
void output_watch(struct output *output);
void output_drain(struct output *output);

#endif
