#include "guard_text.h"

#include <string.h>

#include "kmsg.h"

static bool word(struct scan *scan, struct scan *found)
{
	found->at = scan->at;
	if (!scan_past(scan, ' '))
		return false;
	found->end = scan->at - 1;
	return found->end > found->at;
}

static bool number(struct scan *scan, unsigned int base, uint64_t *to)
{
	return scan_unsigned(scan, base, UINT64_MAX, to) && (scan_literal(scan, " ") || scan_at_end(scan));
}

bool guard_event_parse(char *line, size_t size, struct guard_event *event)
{
	struct scan scan = scan_of(line, size);
	struct scan comm;

	if (!word(&scan, &event->kind) || !word(&scan, &event->verdict) || !number(&scan, 10, &event->pid) ||
	    !number(&scan, 10, &event->uid) || !number(&scan, 16, &event->ip) || !number(&scan, 10, &event->kept))
		return false;
	comm.at = scan.at;
	if (!scan_past(&scan, ' '))
		return false;
	event->comm = comm.at;
	event->comm_size = kmsg_unescape(line + (comm.at - line), (size_t)(scan.at - 1 - comm.at));
	event->what = scan.at;
	event->what_size = kmsg_unescape(line + (scan.at - line), (size_t)(scan.end - scan.at));
	return true;
}

static bool copy(const struct scan *from, char to[GUARD_WORD])
{
	size_t size = (size_t)(from->end - from->at);

	if (size >= GUARD_WORD)
		return false;
	memcpy(to, from->at, size);
	to[size] = '\0';
	return true;
}

static void on_event(struct scan line, struct guard_counts *counts)
{
	struct scan kind, verdict;
	uint64_t count;

	if (counts->events == GUARD_EVENTS || !word(&line, &kind) || !word(&line, &verdict) || !number(&line, 10, &count))
		return;
	if (copy(&kind, counts->event[counts->events].kind) && copy(&verdict, counts->event[counts->events].verdict))
		counts->event[counts->events++].count = count;
}

static void on_call(struct scan line, struct guard_counts *counts)
{
	uint64_t call, made, failed;

	if (!number(&line, 10, &call) || call >= CALL_COUNT || !number(&line, 10, &made) || !number(&line, 10, &failed))
		return;
	counts->call[call].made = made;
	counts->call[call].failed = failed;
}

bool guard_event_is_usual(const struct guard_event *event)
{
	static const char what[] = "call 233 EPERM"; /* __NR_epoll_ctl */

	return event->what_size == sizeof what - 1 && memcmp(event->what, what, sizeof what - 1) == 0;
}

void guard_counts_parse(const char *data, size_t size, struct guard_counts *counts)
{
	struct scan scan = scan_of(data, size);
	struct scan line;
	uint64_t value;

	while (scan_line(&scan, &line)) {
		if (scan_literal(&line, "call "))
			on_call(line, counts);
		else if (scan_literal(&line, "event "))
			on_event(line, counts);
		else if (scan_literal(&line, "sealed ") && number(&line, 10, &value))
			counts->sealed = value != 0;
		else if (scan_literal(&line, "lost ") && number(&line, 10, &value))
			counts->lost = value;
	}
}
