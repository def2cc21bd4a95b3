/* Text in fixed buffers. */
#include "agent.h"

#include <string.h>

void text_add(struct text *text, const char *bytes, size_t count)
{
    if (count > text->size - text->used) {
        text->full = true;
        return;
    }
    memcpy(text->at + text->used, bytes, count);
    text->used += count;
}

void text_put(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

static void digits(struct text *text, uint64_t number, unsigned base, unsigned least)
{
    char buffer[24];
    unsigned at = sizeof buffer;
    do {
        buffer[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number || sizeof buffer - at < least);
    text_add(text, buffer + at, sizeof buffer - at);
}

void text_number(struct text *text, int64_t number)
{
    if (number < 0)
        text_put(text, "-");
    digits(text, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 10, 1);
}

void text_hex(struct text *text, uint64_t number)
{
    text_put(text, "0x");
    digits(text, number, 16, 1);
}

void text_fixed(struct text *text, int64_t number, unsigned places)
{
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number, unit = 1;
    for (unsigned i = 0; i < places; i++)
        unit *= 10;
    if (number < 0)
        text_put(text, "-");
    digits(text, rest / unit, 10, 1);
    text_put(text, ".");
    digits(text, rest % unit, 10, places);
}

/* Length of the valid UTF-8 sequence at `bytes` (RFC 3629), 0 when there is none. */
static unsigned utf8(const unsigned char *bytes, size_t count)
{
    unsigned char first = bytes[0];
    unsigned length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (length == 0 || length > count)
        return 0;
    for (unsigned i = 1; i < length; i++)
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    if ((first == 0xE0 && bytes[1] < 0xA0) || (first == 0xED && bytes[1] > 0x9F) || (first == 0xF0 && bytes[1] < 0x90) ||
        (first == 0xF4 && bytes[1] > 0x8F))
        return 0;
    return length;
}

void text_json(struct text *text, const char *bytes, size_t count)
{
    text_put(text, "\"");
    for (size_t i = 0; i < count;) {
        unsigned char byte = (unsigned char)bytes[i];
        unsigned length = utf8((const unsigned char *)bytes + i, count - i);
        if (byte == '"' || byte == '\\') {
            text_put(text, "\\");
            text_add(text, bytes + i, 1);
        } else if (byte == '\t') {
            text_put(text, "\\t");
        } else if (byte < 0x20 || byte == 0x7F) {
            text_put(text, "\\u00");
            digits(text, byte, 16, 2);
        } else if (length) {
            text_add(text, bytes + i, length);
        } else {
            text_put(text, "\\ufffd");
        }
        i += length ? length : 1;
    }
    text_put(text, "\"");
}

bool number_of(const char *string, uint64_t limit, uint64_t *number)
{
    uint64_t value = 0;
    if (!*string)
        return false;
    for (; *string; string++) {
        if (*string < '0' || *string > '9' || value > (UINT64_MAX - 9) / 10)
            return false;
        value = value * 10 + (uint64_t)(*string - '0');
    }
    *number = value;
    return value <= limit;
}
