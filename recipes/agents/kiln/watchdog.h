/* The machine's watchdog: whoever does not write to it in time is reset. Written to from the loop, so that a process 1 that
 * hangs ends the machine as surely as a kernel that does. Other agents know nothing of it: without KILN_WATCHDOG it is
 * no code at all. */
#ifndef KILN_WATCHDOG_H
#define KILN_WATCHDOG_H

#include "conf.h"

#ifdef KILN_WATCHDOG
const char *conf_on_watchdog(struct conf *conf, char *value);
void watchdog_open(const struct conf *conf);
void watchdog_watch(void);
void watchdog_turn(void);
#else
static inline void watchdog_open(const struct conf *conf)
{
	(void)conf;
}
static inline void watchdog_watch(void)
{
}
static inline void watchdog_turn(void)
{
}
#endif

#endif
