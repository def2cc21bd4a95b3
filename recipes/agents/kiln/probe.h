/* One question to a port of this machine: does it take a connection, or what does it answer over HTTP? */
#ifndef KILN_PROBE_H
#define KILN_PROBE_H

#include <stdbool.h>

#include "conf.h"

struct probe {
	const struct conf_check *check;
	int fd;
	enum { PROBE_IDLE, PROBE_CONNECTS, PROBE_READS, PROBE_DRAINS } state; /* DRAINS: it is known, and still talks */
	char answer[16];
	size_t got;
	bool known;      /* to be looked at and taken back by who asked */
	const char *why; /* once it is known: NULL, or what was wrong; "": the status was */
	int status;      /* of HTTP */
};

void probe_begin(struct probe *probe);
void probe_watch(struct probe *probe);
void probe_close(struct probe *probe);
void probe_end(struct probe *probe, const char *why); /* closes it; it is known */

#endif
