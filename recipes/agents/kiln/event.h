/* Events: one JSON object per line on the console, each with its name and the seconds since boot. */
#ifndef KILN_EVENT_H
#define KILN_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void event_begin(const char *name);
void event_string(const char *key, const char *value);
void event_bytes(const char *key, const char *value, size_t size);
void event_number(const char *key, int64_t value);
void event_flag(const char *key, bool value);
void event_end(void);     /* for what must be said: waits for a slow console, but not for ever */
bool event_offer(void);   /* for what may be left out: false if there is no room */
void event_error(const char *what, long error); /* `error`: negative error number of a system call */
uint64_t event_lost(void);

#endif
