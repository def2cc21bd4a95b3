/* When the application has ended: is it started again, and after how long? */
#ifndef KILN_BACKOFF_H
#define KILN_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS 10000
#define BACKOFF_STABLE_MS 10000 /* who ran this long starts afresh */
#define BACKOFF_FAILURES 5      /* as many short runs that failed, one after the other, are enough */

struct backoff {
	unsigned int short_runs, failures;
};

enum next { NEXT_END, NEXT_RESTART, NEXT_GIVE_UP };

enum next backoff_next(struct backoff *backoff, enum restart policy, bool failed, int64_t up_ms, int64_t *delay_ms);

#endif
