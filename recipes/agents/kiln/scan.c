#include "scan.h"

#include <string.h>

struct scan scan_of(const char *data, size_t size)
{
	return (struct scan){data, data + size};
}

bool scan_at_end(const struct scan *scan)
{
	return scan->at == scan->end;
}

static unsigned int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned int)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned int)(c - 'A') + 10;
	return 99;
}

bool scan_unsigned(struct scan *scan, unsigned int base, uint64_t most, uint64_t *to)
{
	const char *at = scan->at;
	uint64_t value = 0;

	for (; at < scan->end && digit_of(*at) < base; at++) {
		unsigned int digit = digit_of(*at);

		if (value > (most - digit) / base || digit > most)
			return false;
		value = value * base + digit;
	}
	if (at == scan->at)
		return false;
	scan->at = at;
	*to = value;
	return true;
}

bool scan_literal(struct scan *scan, const char *literal)
{
	size_t size = strlen(literal);

	if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, literal, size) != 0)
		return false;
	scan->at += size;
	return true;
}

bool scan_past(struct scan *scan, char wanted)
{
	const char *found = scan_at_end(scan) ? NULL : memchr(scan->at, wanted, (size_t)(scan->end - scan->at));

	if (!found)
		return false;
	scan->at = found + 1;
	return true;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

void scan_spaces(struct scan *scan)
{
	while (scan->at < scan->end && is_space(*scan->at))
		scan->at++;
}

bool scan_field(struct scan *scan)
{
	const char *before;

	scan_spaces(scan);
	before = scan->at;
	while (scan->at < scan->end && !is_space(*scan->at) && *scan->at != '\n')
		scan->at++;
	return scan->at > before;
}

bool scan_line(struct scan *scan, struct scan *line)
{
	if (scan_at_end(scan))
		return false;
	line->at = scan->at;
	if (scan_past(scan, '\n')) {
		line->end = scan->at - 1;
	} else {
		line->end = scan->end;
		scan->at = scan->end;
	}
	return true;
}
