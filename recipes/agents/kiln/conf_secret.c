#include <string.h>

#include "conf_values.h"

#define READABLE 0444 /* by its owner, perhaps by the group or everybody; nobody may write to it or start it */

static const char *read_mode(const char *value, unsigned int *to)
{
	*to = 0;
	if (strlen(value) != 4 || value[0] != '0')
		return "not `name /path uid gid mode`";
	for (value++; *value >= '0' && *value <= '7'; value++)
		*to = *to * 8 + (unsigned int)(*value - '0');
	return *value || *to & ~(unsigned int)READABLE ? "a secret's mode is none of 0400, 0440, 0444" : NULL;
}

const char *conf_on_secret(struct conf *conf, char *value)
{
	struct conf_secret *secret = &conf->secret[conf->secrets];

	if (conf->secrets == CONF_SECRETS)
		return "too many of them";
	secret->name = conf_word(&value);
	secret->path = conf_word(&value);
	if (!*secret->name || secret->path[0] != '/' || conf_id(conf_word(&value), &secret->uid) ||
	    conf_id(conf_word(&value), &secret->gid))
		return "not `name /path uid gid mode`";
	conf->secrets++;
	return read_mode(value, &secret->mode);
}
