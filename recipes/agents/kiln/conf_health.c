#include <string.h>

#include "conf_values.h"

static const char *const wrong_check = "not `kind tcp|http port interval timeout failures start [/path]`";

static const char *read_limits(struct conf_check *check, char **value)
{
	uint64_t port = 0;

	if (conf_number(conf_word(value), 1, 65535, &port) ||
	    conf_number(conf_word(value), 10, 3600000, &check->interval_ms) ||
	    conf_number(conf_word(value), 10, 3600000, &check->timeout_ms) ||
	    conf_number(conf_word(value), 1, 1000, &check->failures) ||
	    conf_number(conf_word(value), 0, 86400000, &check->start_ms))
		return wrong_check;
	check->port = (uint16_t)port;
	return NULL;
}

const char *conf_on_check(struct conf *conf, char *value)
{
	const char *kind = conf_word(&value);
	const char *how = conf_word(&value);
	struct conf_check *check = &conf->check[strcmp(kind, "live") == 0 ? CHECK_LIVE : CHECK_READY];
	bool http = strcmp(how, "http") == 0;
	const char *wrong;

	if ((strcmp(kind, "live") != 0 && strcmp(kind, "ready") != 0) || (!http && strcmp(how, "tcp") != 0))
		return wrong_check;
	if (check->port)
		return "this check is there twice";
	wrong = read_limits(check, &value);
	if (wrong)
		return wrong;
	if (http ? value[0] != '/' || strlen(value) > CONF_CHECK_PATH : *value != '\0')
		return wrong_check;
	check->path = http ? value : NULL;
	return NULL;
}
