#include "event.h"

#include <string.h>

#include "clock.h"
#include "console.h"
#include "lines.h"
#include "text.h"

#define RESERVE 8192 /* of the console's queue, for events that must be said */
#define PATIENCE (200 * MILLISECOND)

static char buffer[LINES_PIECE * 6 + 512]; /* a piece of a line in which every byte is escaped fits */
static struct text event;
static uint64_t lost;

void event_begin(const char *name)
{
	event = text_in(buffer, sizeof buffer - 2);
	text_string(&event, "{\"event\":");
	text_json(&event, name, strlen(name));
	text_string(&event, ",\"mono\":");
	text_fraction(&event, (uint64_t)clock_us(), 6);
}

static void key_of(const char *key)
{
	text_string(&event, ",");
	text_json(&event, key, strlen(key));
	text_string(&event, ":");
}

void event_bytes(const char *key, const char *value, size_t size)
{
	key_of(key);
	text_json(&event, value, size);
}

void event_string(const char *key, const char *value)
{
	event_bytes(key, value, strlen(value));
}

void event_number(const char *key, int64_t value)
{
	key_of(key);
	text_signed(&event, value);
}

void event_flag(const char *key, bool value)
{
	key_of(key);
	text_string(&event, value ? "true" : "false");
}

static bool put(size_t spare)
{
	if (event.cut) /* cannot be, by the buffer's size; half an object would be worse than none */
		return false;
	memcpy(buffer + event.used, "}\n", 2);
	if (!console_put(buffer, event.used + 2, spare))
		return false;
	console_flush();
	return true;
}

bool event_offer(void)
{
	return put(RESERVE);
}

void event_end(void)
{
	int64_t until_us = clock_us() + PATIENCE;

	while (!put(0)) {
		if (console_wait(until_us))
			continue;
		lost++;
		return;
	}
}

void event_error(const char *what, long error)
{
	event_begin("error");
	event_string("what", what);
	event_string("error", strerror((int)-error));
	event_end();
}

uint64_t event_lost(void)
{
	return lost;
}
