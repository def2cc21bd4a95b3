#include "digests.h"

#include <string.h>

#include "scan.h"

static bool nibble(char c, uint8_t *to)
{
	if (c >= '0' && c <= '9')
		*to = (uint8_t)(*to << 4 | (c - '0'));
	else if (c >= 'a' && c <= 'f')
		*to = (uint8_t)(*to << 4 | (c - 'a' + 10));
	else
		return false;
	return true;
}

static bool unescape(char *path)
{
	char *to = path;

	for (; *path; path++) {
		if (*path == '\\') {
			path++;
			if (*path != 'n' && *path != '\\')
				return false;
			*to++ = *path == 'n' ? '\n' : '\\';
		} else {
			*to++ = *path;
		}
	}
	*to = '\0';
	return true;
}

bool digest_parse(char *line, size_t size, struct digest *digest)
{
	struct scan scan;
	size_t i;

	*digest = (struct digest){.path = NULL};
	line[size] = '\0';
	if (strlen(line) != size || size < 2 * SHA256_BYTES)
		return false;
	for (i = 0; i < 2 * SHA256_BYTES; i++)
		if (!nibble(line[i], &digest->sum[i / 2]))
			return false;
	scan = scan_of(line + i, size - i);
	if (!scan_literal(&scan, " ") || !scan_unsigned(&scan, 10, INT64_MAX, &digest->size) || !scan_literal(&scan, " /"))
		return false;
	digest->path = scan.at - 1;
	return unescape(line + (scan.at - 1 - line));
}
