#include <string.h>
#include <sys/mount.h>

#include "conf_values.h"

static unsigned long flag_of(const char *option)
{
	static const struct {
		const char *name;
		unsigned long flag;
	} known[] = {{"nosuid", MS_NOSUID}, {"nodev", MS_NODEV}, {"noexec", MS_NOEXEC}, {"noatime", MS_NOATIME},
		     {"ro", MS_RDONLY}};
	size_t i;

	for (i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(option, known[i].name) == 0)
			return known[i].flag;
	return 0;
}

/* Flags are taken out of the options; what is left, moved together, is the file system's own. */
static void split_options(struct conf_mount *mount, char *options)
{
	char *data = options;
	char *to = options;

	while (*options) {
		char *option = options;
		char *comma = strchr(options, ',');
		size_t size = comma ? (size_t)(comma - option) : strlen(option);
		unsigned long flag;

		options = option + size + (comma ? 1 : 0);
		option[size] = '\0';
		flag = flag_of(option);
		mount->flags |= flag;
		if (flag || !size)
			continue;
		if (to != data)
			*to++ = ',';
		memmove(to, option, size);
		to += size;
	}
	*to = '\0';
	mount->data = data;
}

const char *conf_on_mount(struct conf *conf, char *value)
{
	struct conf_mount *mount = &conf->mount[conf->mounts];

	if (conf->mounts == CONF_MOUNTS)
		return "too many of them";
	mount->type = conf_word(&value);
	mount->source = conf_word(&value);
	mount->target = conf_word(&value);
	if (!*mount->type || !*mount->source || mount->target[0] != '/')
		return "not `type source /target options`";
	split_options(mount, value);
	conf->mounts++;
	return NULL;
}

const char *conf_on_own(struct conf *conf, char *value)
{
	struct conf_owner *owner = &conf->owner[conf->owners];

	if (conf->owners == CONF_MOUNTS)
		return "too many of them";
	owner->path = conf_word(&value);
	if (owner->path[0] != '/' || conf_id(conf_word(&value), &owner->uid) || conf_id(value, &owner->gid))
		return "not `/path uid gid`";
	conf->owners++;
	return NULL;
}
