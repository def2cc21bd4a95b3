/* One turn of the event loop: every module says what it waits for, then whatever is ready is called. */
#ifndef KILN_LOOP_H
#define KILN_LOOP_H

#include <stdbool.h>
#include <stdint.h>

typedef void loop_ready(void *argument, short events);

void loop_begin(void);
void loop_watch(int fd, short events, loop_ready *ready, void *argument);
void loop_wake_at(int64_t at_us);
void loop_wait(void);
/* Waits for one descriptor alone; false when the time is over. */
bool loop_wait_for(int fd, short events, int64_t until_us);

/* Signals are blocked except while the loop waits, so that none is lost between looking and waiting. */
void loop_open(void);
int loop_signal(void); /* the number of a request to stop that came, 0: none; it is forgotten then */

#endif
