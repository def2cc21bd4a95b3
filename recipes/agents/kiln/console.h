/* The serial console: lines for the host, `stop` from the host. Writing never blocks: what the console does not take
 * at once waits in a queue. */
#ifndef KILN_CONSOLE_H
#define KILN_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void console_open(void);
/* Puts bytes into the queue if afterwards `spare` bytes are still free; all or nothing. */
bool console_put(const char *data, size_t size, size_t spare);
bool console_is_idle(void); /* everything is written */
void console_flush(void);   /* writes what the console takes now */
bool console_wait(int64_t until_us); /* until it takes more; false when the time is over */
/* Waits until all is written and has left the machine, or the time is over. */
void console_drain(int64_t until_us);
void console_watch(void);
bool console_asked_to_stop(void);

#endif
