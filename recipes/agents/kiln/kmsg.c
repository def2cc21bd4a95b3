#include "kmsg.h"

#include <string.h>

#include "scan.h"

/* The kernel writes bytes that are not printable, and backslashes, as \xNN. */
size_t kmsg_unescape(char *line, size_t size)
{
	struct scan scan = scan_of(line, size);
	char *to = line;

	while (!scan_at_end(&scan)) {
		struct scan digits = {scan.at + 2, scan.at + 4};
		uint64_t byte;

		if (scan.end - scan.at >= 4 && scan.at[0] == '\\' && scan.at[1] == 'x' &&
		    scan_unsigned(&digits, 16, 255, &byte) && scan_at_end(&digits)) {
			*to++ = (char)byte;
			scan.at += 4;
		} else {
			*to++ = *scan.at++;
		}
	}
	return (size_t)(to - line);
}

bool kmsg_parse(char *record, size_t size, struct kmsg *kmsg)
{
	struct scan scan = scan_of(record, size);
	struct scan line;
	uint64_t prefix;

	if (!scan_unsigned(&scan, 10, INT32_MAX, &prefix) || !scan_literal(&scan, ",") || !scan_past(&scan, ';'))
		return false;
	kmsg->level = (unsigned int)(prefix & 7);
	kmsg->facility = (unsigned int)(prefix >> 3);
	if (!scan_line(&scan, &line)) /* what follows the first line are properties: SUBSYSTEM=, DEVICE= */
		line = scan;
	kmsg->line = line.at;
	kmsg->size = kmsg_unescape(record + (line.at - record), (size_t)(line.end - line.at));
	return true;
}

/* Where the last ` pid=` stands: the name before it may contain the same. */
static const char *last_pid(struct scan scan)
{
	const char *found = NULL;

	for (; scan_past(&scan, ' '); found = scan_literal(&scan, "pid=") ? scan.at : found)
		;
	return found;
}

static bool scan_signed(struct scan *scan, int64_t *to)
{
	bool negative = scan_literal(scan, "-");
	uint64_t value;

	if (!scan_unsigned(scan, 10, INT64_MAX, &value))
		return false;
	*to = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

bool kmsg_refused(const struct kmsg *kmsg, struct refused *refused)
{
	struct scan scan = scan_of(kmsg->line, kmsg->size);
	const char *pid;

	if (kmsg->facility || !scan_literal(&scan, "kiln: refused syscall nr=") ||
	    !scan_signed(&scan, &refused->number) || !scan_literal(&scan, " comm="))
		return false;
	pid = last_pid(scan);
	if (!pid)
		return false;
	refused->comm = scan.at;
	refused->comm_size = (size_t)(pid - scan.at) - strlen(" pid=");
	scan.at = pid;
	return scan_signed(&scan, &refused->pid) && scan_literal(&scan, " ip=") &&
	       scan_unsigned(&scan, 16, UINT64_MAX, &refused->ip);
}
