#include <string.h>

#include "conf_values.h"

#define MOST_COUNT 1000000
#define MOST_WINDOW_MS 86400000

static const char *response_of(const char *word, enum response *to)
{
	size_t i;

	for (i = 0; i < CONF_RESPONSES && strcmp(word, conf_responses[i]) != 0; i++)
		;
	*to = (enum response)i;
	return i < CONF_RESPONSES ? NULL : "none of the responses";
}

const char *const conf_responses[CONF_RESPONSES] = {"count", "log", "alert", "kill", "freeze", "power-off"};

const char *conf_on_rule(struct conf *conf, char *value)
{
	struct conf_rule *rule = &conf->rule[conf->rules];
	const char *wrong;

	if (conf->rules == CONF_RULES)
		return "too many of them";
	rule->name = conf_word(&value);
	wrong = response_of(conf_word(&value), &rule->response);
	if (!wrong)
		wrong = conf_number(conf_word(&value), 1, MOST_COUNT, &rule->count);
	if (!wrong)
		wrong = conf_number(conf_word(&value), 0, MOST_WINDOW_MS, &rule->window_ms);
	if (wrong)
		return wrong;
	rule->event = conf_word(&value);
	rule->kind = conf_word(&value);
	rule->verdict = conf_word(&value);
	rule->what = value;
	if (!*rule->what)
		return "not `name response count window-ms event kind verdict what`";
	conf->rules++;
	return NULL;
}
