#include <string.h>

#include "clock.h"
#include "rules.h"

/* `*` at the end of a pattern stands for whatever follows. */
static bool matches(const char *pattern, struct scan text)
{
	size_t size = strlen(pattern), found = (size_t)(text.end - text.at);

	if (size && pattern[size - 1] == '*')
		return found >= size - 1 && memcmp(pattern, text.at, size - 1) == 0;
	return found == size && memcmp(pattern, text.at, size) == 0;
}

bool rule_fits(const struct conf_rule *rule, const struct finding *finding)
{
	return strcmp(rule->event, finding->event) == 0 && matches(rule->kind, finding->kind) &&
	       matches(rule->verdict, finding->verdict) && matches(rule->what, finding->what);
}

enum response rule_take(struct rule_state *state, const struct finding *finding, int64_t now_us)
{
	const struct conf_rule *rule = state->rule;

	state->matched += finding->count;
	if (rule->window_ms && now_us - state->since_us > (int64_t)rule->window_ms * MILLISECOND) {
		state->recent = 0;
		state->since_us = now_us;
	}
	state->recent += finding->count;
	if (state->recent < rule->count)
		return RESPONSE_COUNT;
	state->recent = 0;
	state->since_us = now_us;
	return rule->response;
}
