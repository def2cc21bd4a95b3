#include <string.h>

#include "conf_values.h"

const char *conf_on_companion(struct conf *conf, char *value)
{
	struct conf_companion *companion = &conf->companion;

	if (!companion->arguments && value[0] != '/')
		return "the program is no absolute path";
	if (companion->arguments == CONF_COMPANION)
		return "too many of them";
	companion->argument[companion->arguments++] = value;
	return NULL;
}

const char *conf_on_companion_name(struct conf *conf, char *value)
{
	conf->companion.name = value;
	return value[0] && strlen(value) <= 64 ? NULL : "a name has 1 to 64 characters";
}

const char *conf_on_companion_user(struct conf *conf, char *value)
{
	const char *uid = conf_word(&value);

	return conf_id(uid, &conf->companion.uid) || conf_id(value, &conf->companion.gid) ? "not `uid gid`" : NULL;
}
