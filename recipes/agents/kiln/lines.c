#include "lines.h"

#include <string.h>

#include "text.h"

size_t lines_room(struct lines *lines, char **to)
{
	if (lines->start) {
		lines->end -= lines->start;
		memmove(lines->data, lines->data + lines->start, lines->end);
		lines->start = 0;
	}
	*to = lines->data + lines->end;
	return sizeof lines->data - lines->end;
}

void lines_added(struct lines *lines, size_t size)
{
	lines->end += size;
}

/* A piece ends between characters; bytes that are no characters are cut anywhere. */
static size_t piece(const char *data)
{
	size_t whole = text_whole(data, LINES_PIECE);

	return whole ? whole : LINES_PIECE;
}

bool lines_next(const struct lines *lines, bool all, struct line *line)
{
	const char *data = lines->data + lines->start;
	size_t size = lines->end - lines->start;
	const char *feed = size ? memchr(data, '\n', size) : NULL;
	size_t length = feed ? (size_t)(feed - data) : size;

	if (length > LINES_PIECE) {
		length = piece(data);
		*line = (struct line){data, length, length, true};
		return true;
	}
	if (!feed && (!all || !size))
		return false;
	*line = (struct line){data, length, feed ? length + 1 : length, false};
	if (length && data[length - 1] == '\r')
		line->size--;
	return true;
}

void lines_take(struct lines *lines, const struct line *line)
{
	lines->start += line->taken;
	if (lines->start == lines->end)
		lines->start = lines->end = 0;
}
