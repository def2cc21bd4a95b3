/* /etc/kiln/digests: what every file of the image was when it was built, one per line:
 * SHA-256 in hexadecimal, size in bytes, path; in the path \n and \\ stand for a line feed and a backslash. */
#ifndef KILN_DIGESTS_H
#define KILN_DIGESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sha256.h"

#define DIGESTS_PATH "/etc/kiln/digests"
#define DIGESTS_LINE 4352 /* the longest path, escaped as the build does it, and what stands before */

struct digest {
	uint8_t sum[SHA256_BYTES];
	uint64_t size;
	const char *path;
};

/* Parses a line of `size` bytes in place, without its line feed; `line[size]` must be ours to write. */
bool digest_parse(char *line, size_t size, struct digest *digest);

#endif
