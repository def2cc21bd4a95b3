#include "tables.h"

#include <string.h>

#include "scan.h"

#define KERNEL_THREAD 0x00200000 /* PF_KTHREAD, include/linux/sched.h */
#define LISTEN 0x0a              /* TCP_LISTEN, include/net/tcp_states.h */
#define PAGE 4096

static bool skip_fields(struct scan *scan, unsigned int count)
{
	while (count--)
		if (!scan_field(scan))
			return false;
	return true;
}

static bool next_number(struct scan *scan, uint64_t *to)
{
	scan_spaces(scan);
	return scan_unsigned(scan, 10, UINT64_MAX, to);
}

/* The program's name stands in parentheses and may contain any: its end is the last one. */
static bool skip_name(struct scan *scan)
{
	const char *before = scan->at;

	while (scan_past(scan, ')'))
		;
	return scan->at > before;
}

bool process_parse(const char *data, size_t size, struct process *process)
{
	struct scan scan = scan_of(data, size);
	uint64_t user, system, children_user, children_system, pages;

	if (!skip_name(&scan) || !skip_fields(&scan, 6) || !next_number(&scan, &process->flags) ||
	    !next_number(&scan, &process->own_faults[0]) || !next_number(&scan, &process->children_faults[0]) ||
	    !next_number(&scan, &process->own_faults[1]) || !next_number(&scan, &process->children_faults[1]) ||
	    !next_number(&scan, &user) || !next_number(&scan, &system) ||
	    !next_number(&scan, &children_user) || !next_number(&scan, &children_system) || !skip_fields(&scan, 2) ||
	    !next_number(&scan, &process->threads) || !skip_fields(&scan, 2) ||
	    !next_number(&scan, &process->virtual_bytes) || !next_number(&scan, &pages))
		return false;
	process->own_ticks = user + system;
	process->children_ticks = children_user + children_system;
	process->resident_bytes = pages * PAGE;
	return true;
}

bool process_is_kernel_thread(const struct process *process)
{
	return process->flags & KERNEL_THREAD;
}

/* Four figures that matter and four that do not. */
static bool direction(struct scan *line, uint64_t figures[4])
{
	int i;

	for (i = 0; i < 4; i++)
		if (!next_number(line, &figures[i]))
			return false;
	return skip_fields(line, 4);
}

static bool traffic_line(struct scan line, struct traffic *traffic)
{
	struct scan name;

	*traffic = (struct traffic){0};
	scan_spaces(&line);
	name.at = line.at;
	if (!scan_past(&line, ':'))
		return false;
	name.end = line.at - 1;
	if (scan_at_end(&name) || name.end - name.at >= TRAFFIC_NAME)
		return false;
	memcpy(traffic->name, name.at, (size_t)(name.end - name.at));
	return direction(&line, traffic->received) && direction(&line, traffic->sent);
}

size_t traffic_parse(const char *data, size_t size, struct traffic *traffic, size_t most)
{
	struct scan scan = scan_of(data, size);
	struct scan line;
	size_t count = 0;

	while (count < most && scan_line(&scan, &line))
		count += traffic_line(line, &traffic[count]);
	return count;
}

/* "  0: 00000000:0050 00000000:0000 0A …": the number of the local port and the state, in hexadecimal. */
static bool socket_line(struct scan line, uint64_t *port, uint64_t *state)
{
	return scan_past(&line, ':') && scan_past(&line, ':') && scan_unsigned(&line, 16, 65535, port) &&
	       scan_field(&line) && scan_literal(&line, " ") && scan_unsigned(&line, 16, 255, state);
}

uint32_t listeners_parse(const char *data, size_t size, const uint16_t *ports, size_t count, bool *past)
{
	struct scan scan = scan_of(data, size);
	struct scan line;
	uint64_t port, state;
	uint32_t found = 0;
	size_t i;

	while (!*past && scan_line(&scan, &line)) {
		if (!socket_line(line, &port, &state))
			continue; /* the heading */
		*past = state != LISTEN;
		for (i = 0; i < count && !*past; i++)
			if (ports[i] == port)
				found |= UINT32_C(1) << i;
	}
	return found;
}

static bool is_name(struct scan line, const char *name)
{
	return scan_literal(&line, name) && !scan_at_end(&line) && (*line.at == ' ' || *line.at == ':');
}

static void note(const struct counter *counters, size_t count, const char *name, size_t size, uint64_t value)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strlen(counters[i].name) == size && memcmp(counters[i].name, name, size) == 0)
			*counters[i].to = value;
}

/* One line of names and one of numbers, side by side. */
static void pair_up(struct scan names, struct scan numbers, const struct counter *counters, size_t count)
{
	for (;;) {
		struct scan name;
		uint64_t value;

		scan_spaces(&names);
		name.at = names.at;
		if (!scan_field(&names))
			return;
		if (next_number(&numbers, &value))
			note(counters, count, name.at, (size_t)(names.at - name.at), value);
		else if (!scan_field(&numbers))
			return;
	}
}

void counters_parse(const char *data, size_t size, const char *protocol, const struct counter *counters, size_t count)
{
	struct scan scan = scan_of(data, size);
	struct scan line;

	while (scan_line(&scan, &line)) {
		struct scan numbers;

		if (!is_name(line, protocol) || !scan_line(&scan, &numbers))
			continue;
		if (scan_past(&line, ':') && is_name(numbers, protocol) && scan_past(&numbers, ':'))
			pair_up(line, numbers, counters, count);
	}
}

void named_parse(const char *data, size_t size, const struct counter *counters, size_t count)
{
	struct scan scan = scan_of(data, size);
	struct scan line;

	while (scan_line(&scan, &line)) {
		struct scan name = line;
		uint64_t value;

		if (!scan_field(&line))
			continue;
		name.end = line.at;
		if (name.end > name.at && name.end[-1] == ':')
			name.end--;
		if (next_number(&line, &value))
			note(counters, count, name.at, (size_t)(name.end - name.at), value);
	}
}

static bool disk_line(struct scan line, struct disk *disk)
{
	struct scan name;
	uint64_t merged, spent;

	*disk = (struct disk){0};
	if (!skip_fields(&line, 2))
		return false;
	scan_spaces(&line);
	name.at = line.at;
	if (!scan_field(&line) || line.at - name.at >= DISK_NAME)
		return false;
	memcpy(disk->name, name.at, (size_t)(line.at - name.at));
	return next_number(&line, &disk->read[0]) && next_number(&line, &merged) && next_number(&line, &disk->read[1]) &&
	       next_number(&line, &spent) && next_number(&line, &disk->written[0]) && next_number(&line, &merged) &&
	       next_number(&line, &disk->written[1]) && (disk->read[0] || disk->written[0]);
}

size_t disks_parse(const char *data, size_t size, struct disk *disks, size_t most)
{
	struct scan scan = scan_of(data, size);
	struct scan line;
	size_t count = 0;

	while (count < most && scan_line(&scan, &line))
		count += disk_line(line, &disks[count]);
	return count;
}
