/* Reading text piece by piece: every function moves `at` behind what it took, or leaves it and returns false. */
#ifndef KILN_SCAN_H
#define KILN_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scan {
	const char *at;
	const char *end;
};

struct scan scan_of(const char *data, size_t size);
bool scan_at_end(const struct scan *scan);
bool scan_unsigned(struct scan *scan, unsigned int base, uint64_t most, uint64_t *to); /* base 10 or 16 */
bool scan_literal(struct scan *scan, const char *literal);
bool scan_past(struct scan *scan, char wanted); /* behind the next `wanted` */
void scan_spaces(struct scan *scan);            /* blanks and tabulators */
bool scan_field(struct scan *scan);             /* spaces, then one word: skips both */
bool scan_line(struct scan *scan, struct scan *line);

#endif
