#include "text.h"

#include <string.h>

struct text text_in(char *data, size_t size)
{
	return (struct text){.data = data, .size = size};
}

void text_bytes(struct text *text, const char *data, size_t size)
{
	if (text->cut || size > text->size - text->used) {
		text->cut = true;
		return;
	}
	if (size)
		memcpy(text->data + text->used, data, size);
	text->used += size;
}

void text_string(struct text *text, const char *string)
{
	text_bytes(text, string, strlen(string));
}

static const char hex[] = "0123456789abcdef";

static void digits_of(struct text *text, uint64_t value, unsigned int base, unsigned int least)
{
	char digits[20];
	size_t at = sizeof digits;

	while (value || least) {
		digits[--at] = hex[value % base];
		value /= base;
		least -= least > 0;
	}
	text_bytes(text, digits + at, sizeof digits - at);
}

void text_unsigned(struct text *text, uint64_t value)
{
	digits_of(text, value, 10, 1);
}

void text_signed(struct text *text, int64_t value)
{
	if (value < 0)
		text_string(text, "-");
	digits_of(text, value < 0 ? -(uint64_t)value : (uint64_t)value, 10, 1);
}

void text_hexadecimal(struct text *text, uint64_t value)
{
	text_string(text, "0x");
	digits_of(text, value, 16, 1);
}

void text_fraction(struct text *text, uint64_t value, unsigned int digits)
{
	uint64_t unit = 1;
	unsigned int i;

	for (i = 0; i < digits; i++)
		unit *= 10;
	digits_of(text, value / unit, 10, 1);
	text_string(text, ".");
	digits_of(text, value % unit, 10, digits);
}

/* The length that a character's first byte announces; 0: no first byte (RFC 3629). */
static size_t announced(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (first >= 0xe0 && first <= 0xef)
		return 3;
	if (first >= 0xf0 && first <= 0xf4)
		return 4;
	return 0;
}

/* Whether the second byte rules out overlong forms, surrogates and values above U+10FFFF. */
static bool second_fits(unsigned char first, unsigned char second)
{
	if (first == 0xe0)
		return second >= 0xa0;
	if (first == 0xed)
		return second <= 0x9f;
	if (first == 0xf0)
		return second >= 0x90;
	if (first == 0xf4)
		return second <= 0x8f;
	return true;
}

/* The length of the valid character at `data`, or 0. */
static size_t character(const unsigned char *data, size_t size)
{
	size_t length = announced(data[0]);
	size_t i;

	if (!length || length > size)
		return 0;
	for (i = 1; i < length; i++)
		if ((data[i] & 0xc0) != 0x80)
			return 0;
	return length == 1 || second_fits(data[0], data[1]) ? length : 0;
}

size_t text_whole(const char *data, size_t size)
{
	size_t back;

	for (back = 1; back <= 3 && back <= size; back++) {
		unsigned char byte = (unsigned char)data[size - back];

		if ((byte & 0xc0) != 0x80)
			return announced(byte) > back ? size - back : size;
	}
	return size;
}

static void escaped(struct text *text, unsigned char byte)
{
	const char code[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};

	switch (byte) {
	case '"': text_string(text, "\\\""); break;
	case '\\': text_string(text, "\\\\"); break;
	case '\n': text_string(text, "\\n"); break;
	case '\r': text_string(text, "\\r"); break;
	case '\t': text_string(text, "\\t"); break;
	default: text_bytes(text, code, sizeof code);
	}
}

void text_json(struct text *text, const char *data, size_t size)
{
	size_t at = 0;

	text_string(text, "\"");
	while (at < size) {
		unsigned char byte = (unsigned char)data[at];
		size_t length = character((const unsigned char *)data + at, size - at);

		if (!length)
			text_string(text, "\xef\xbf\xbd");
		else if (byte < 0x20 || byte == '"' || byte == '\\' || byte == 0x7f)
			escaped(text, byte);
		else
			text_bytes(text, data + at, length);
		at += length ? length : 1;
	}
	text_string(text, "\"");
}

const char *text_end(struct text *text)
{
	if (text->used == text->size)
		text->used--;
	text->data[text->used] = '\0';
	return text->data;
}
