#include "backoff.h"

static int64_t delay_of(unsigned int short_runs)
{
	int64_t delay_ms = BACKOFF_FIRST_MS;

	while (short_runs-- && delay_ms < BACKOFF_MOST_MS)
		delay_ms *= 2;
	return delay_ms < BACKOFF_MOST_MS ? delay_ms : BACKOFF_MOST_MS;
}

enum next backoff_next(struct backoff *backoff, enum restart policy, bool failed, int64_t up_ms, int64_t *delay_ms)
{
	if (policy == RESTART_NEVER || (policy == RESTART_ON_FAILURE && !failed))
		return NEXT_END;
	if (up_ms >= BACKOFF_STABLE_MS)
		*backoff = (struct backoff){0};
	backoff->failures = failed ? backoff->failures + 1 : 0;
	if (backoff->failures == BACKOFF_FAILURES)
		return NEXT_GIVE_UP;
	*delay_ms = delay_of(backoff->short_runs);
	if (*delay_ms < BACKOFF_MOST_MS)
		backoff->short_runs++;
	return NEXT_RESTART;
}
