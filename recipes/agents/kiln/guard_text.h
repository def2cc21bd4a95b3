/* The text of /proc/kiln (recipes/agents/kiln/kernel/report.c): events, and numbers of events and system calls. */
#ifndef KILN_GUARD_TEXT_H
#define KILN_GUARD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calls.h"
#include "scan.h"

#define GUARD_EVENTS 48 /* kinds times verdicts */
#define GUARD_WORD 16

/* `kind verdict pid uid ip kept comm what`; the last two are unescaped, in the line's own memory. */
struct guard_event {
	struct scan kind, verdict;
	uint64_t pid, uid, ip;
	uint64_t kept; /* of this kind, counted but not told since the last one that was */
	const char *comm, *what;
	size_t comm_size, what_size;
};
bool guard_event_parse(char *line, size_t size, struct guard_event *event);
/* What needs no permission and is refused with EPERM all the same: epoll_ctl(2) for a file that is always ready, as Go's
 * runtime asks of every file it opens. Counted, not told. */
bool guard_event_is_usual(const struct guard_event *event);

struct guard_counts {
	bool sealed;
	uint64_t lost;
	struct {
		char kind[GUARD_WORD], verdict[GUARD_WORD];
		uint64_t count;
	} event[GUARD_EVENTS];
	size_t events;
	struct {
		uint64_t made, failed;
	} call[CALL_COUNT];
};
/* Whole lines; what is not understood is left out. Adds to what was found before. */
void guard_counts_parse(const char *data, size_t size, struct guard_counts *counts);

#endif
