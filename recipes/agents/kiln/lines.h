/* A stream cut into lines: bytes go in as they come, lines come out one at a time and only when somebody takes them. */
#ifndef KILN_LINES_H
#define KILN_LINES_H

#include <stdbool.h>
#include <stddef.h>

#define LINES_PIECE 4096 /* a longer line comes out in pieces of at most this many bytes */

struct lines {
	char data[2 * LINES_PIECE];
	size_t start;
	size_t end;
};

struct line {
	const char *data;
	size_t size;
	size_t taken; /* of the stream, the end of the line included */
	bool more;    /* the line goes on in the next piece */
};

/* Where the next bytes of the stream belong; 0: no room before lines are taken. */
size_t lines_room(struct lines *lines, char **to);
void lines_added(struct lines *lines, size_t size);
/* The next line, not yet taken; with `all` also one whose end has not come. */
bool lines_next(const struct lines *lines, bool all, struct line *line);
void lines_take(struct lines *lines, const struct line *line);

#endif
