/* Writing text into a buffer of fixed size. What does not fit is left out and `cut` is set: nothing overflows. */
#ifndef KILN_TEXT_H
#define KILN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *data;
	size_t size;
	size_t used;
	bool cut;
};

struct text text_in(char *data, size_t size);
void text_bytes(struct text *text, const char *data, size_t size);
void text_string(struct text *text, const char *string);
void text_unsigned(struct text *text, uint64_t value);
void text_signed(struct text *text, int64_t value);
void text_hexadecimal(struct text *text, uint64_t value); /* with 0x */
/* `value` is in units of 10^-digits: text_fraction(t, 1500, 3) writes 1.500 */
void text_fraction(struct text *text, uint64_t value, unsigned int digits);
/* A JSON string with its quotes (RFC 8259); bytes that are no UTF-8 become U+FFFD. */
void text_json(struct text *text, const char *data, size_t size);
/* Ends the text with a NUL that is not counted; the last byte gives way if there is no room. */
const char *text_end(struct text *text);
/* How many of the first bytes make whole UTF-8 characters: less than `size` only if the last one is broken off. */
size_t text_whole(const char *data, size_t size);

#endif
