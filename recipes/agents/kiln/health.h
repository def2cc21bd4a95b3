/* Checks of the definition: does the application answer? Asked over 127.0.0.1, a step at a time; nothing here waits.
 * Other agents know nothing of it: without KILN_HEALTH an application is well that listens. */
#ifndef KILN_HEALTH_H
#define KILN_HEALTH_H

#include <stddef.h>

#include "conf.h"

#ifdef KILN_HEALTH
void health_open(const struct conf *conf);
void health_begin(void); /* the application was started: nothing is known of it */
void health_watch(void);
void health_turn(void);
const char *health_reason(void); /* why it is not ready; NULL: it is */
#else
static inline void health_open(const struct conf *conf)
{
	(void)conf;
}
static inline void health_begin(void)
{
}
static inline void health_watch(void)
{
}
static inline void health_turn(void)
{
}
static inline const char *health_reason(void)
{
	return NULL;
}
#endif

#endif
