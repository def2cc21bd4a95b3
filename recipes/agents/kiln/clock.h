/* Time since boot, in microseconds. */
#ifndef KILN_CLOCK_H
#define KILN_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "sys.h"

#define MILLISECOND INT64_C(1000)
#define SECOND INT64_C(1000000)
#define NEVER INT64_MAX

static inline int64_t clock_us_of(int clock)
{
	struct timespec now = {0};

	sys_clock_gettime(clock, &now);
	return now.tv_sec * SECOND + now.tv_nsec / 1000;
}

static inline int64_t clock_us(void)
{
	return clock_us_of(CLOCK_MONOTONIC);
}

#endif
