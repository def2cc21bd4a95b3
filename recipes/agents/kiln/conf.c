#include "conf.h"

#include <string.h>
#include <sys/mount.h>

#include "scan.h"

#define MOST_SIGNAL 64
#define MOST_ID 0xfffffffeu /* (uid_t)-1 means "leave as it is" */

typedef const char *directive(struct conf *conf, char *value); /* NULL, or what is wrong */

static const char *number(const char *value, uint64_t least, uint64_t most, uint64_t *to)
{
	struct scan scan = scan_of(value, strlen(value));

	if (!scan_unsigned(&scan, 10, most, to) || !scan_at_end(&scan) || *to < least)
		return "not a number that is allowed here";
	return NULL;
}

static const char *id(const char *value, uint32_t *to)
{
	uint64_t found = 0;
	const char *wrong = number(value, 0, MOST_ID, &found);

	*to = (uint32_t)found;
	return wrong;
}

static const char *word(char *list[], size_t *count, char *value)
{
	if (*count == CONF_WORDS)
		return "too many of them";
	list[(*count)++] = value;
	return NULL;
}

static const char *on_argument(struct conf *conf, char *value)
{
	if (!conf->arguments && value[0] != '/')
		return "the program is no absolute path";
	return word(conf->argument, &conf->arguments, value);
}

static const char *on_environment(struct conf *conf, char *value)
{
	if (!strchr(value, '=') || value[0] == '=')
		return "not NAME=value";
	return word(conf->environment, &conf->variables, value);
}

static const char *on_directory(struct conf *conf, char *value)
{
	conf->directory = value;
	return value[0] == '/' ? NULL : "not an absolute path";
}

static const char *on_hostname(struct conf *conf, char *value)
{
	conf->hostname = value;
	return value[0] && strlen(value) <= 64 ? NULL : "a host name has 1 to 64 characters";
}

static const char *on_uid(struct conf *conf, char *value) { return id(value, &conf->uid); }

static const char *on_gid(struct conf *conf, char *value) { return id(value, &conf->gid); }

static const char *on_group(struct conf *conf, char *value)
{
	return conf->groups == CONF_GROUPS ? "too many of them" : id(value, &conf->group[conf->groups++]);
}

static const char *on_restart(struct conf *conf, char *value)
{
	static const char *const names[] = {"never", "on-failure", "always"};
	size_t i = 0;

	while (i < sizeof names / sizeof *names && strcmp(value, names[i]) != 0)
		i++;
	conf->restart = (enum restart)i;
	return i < sizeof names / sizeof *names ? NULL : "none of never, on-failure, always";
}

static const char *on_stop_signal(struct conf *conf, char *value)
{
	uint64_t found = 0;
	const char *wrong = number(value, 1, MOST_SIGNAL, &found);

	conf->stop_signal = (int)found;
	return wrong;
}

static const char *on_stop_timeout(struct conf *conf, char *value)
{
	return number(value, 1, 3600000, &conf->stop_timeout_ms);
}

static const char *on_open_files(struct conf *conf, char *value)
{
	return number(value, 4, 1048576, &conf->open_files);
}

/* The next word of a value, made a string; the value moves behind it. */
static char *next_word(char **value)
{
	char *found = *value;
	char *space = strchr(found, ' ');

	*value = space ? space + 1 : found + strlen(found);
	if (space)
		*space = '\0';
	return found;
}

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

static const char *on_mount(struct conf *conf, char *value)
{
	struct conf_mount *mount = &conf->mount[conf->mounts];

	if (conf->mounts == CONF_MOUNTS)
		return "too many of them";
	mount->type = next_word(&value);
	mount->source = next_word(&value);
	mount->target = next_word(&value);
	if (!*mount->type || !*mount->source || mount->target[0] != '/')
		return "not `type source /target options`";
	split_options(mount, value);
	conf->mounts++;
	return NULL;
}

static const char *on_own(struct conf *conf, char *value)
{
	struct conf_owner *owner = &conf->owner[conf->owners];

	if (conf->owners == CONF_MOUNTS)
		return "too many of them";
	owner->path = next_word(&value);
	if (owner->path[0] != '/' || id(next_word(&value), &owner->uid) || id(value, &owner->gid))
		return "not `/path uid gid`";
	conf->owners++;
	return NULL;
}

static const char *on_network(struct conf *conf, char *value)
{
	conf->network = strcmp(value, "yes") == 0;
	return conf->network || strcmp(value, "no") == 0 ? NULL : "neither yes nor no";
}

static const char *on_port(struct conf *conf, char *value)
{
	uint64_t found = 0;
	const char *wrong = number(value, 1, 65535, &found);

	if (conf->ports == CONF_PORTS)
		return "too many of them";
	conf->port[conf->ports++] = (uint16_t)found;
	return wrong;
}

static const char *on_agent_port(struct conf *conf, char *value)
{
	uint64_t found = 0;
	const char *wrong = number(value, 0, 65535, &found);

	conf->agent_port = (uint16_t)found;
	return wrong;
}

static const struct {
	const char *key;
	directive *read;
} directives[] = {
	{"argument", on_argument}, {"environment", on_environment}, {"directory", on_directory},
	{"hostname", on_hostname}, {"uid", on_uid}, {"gid", on_gid}, {"group", on_group}, {"restart", on_restart},
	{"stop-signal", on_stop_signal}, {"stop-timeout-ms", on_stop_timeout}, {"open-files", on_open_files},
	{"mount", on_mount}, {"own", on_own}, {"network", on_network}, {"port", on_port},
	{"agent-port", on_agent_port},
};

static const char *unescape(char *value)
{
	char *to = value;

	for (; *value; value++) {
		if (*value != '\\') {
			*to++ = *value;
			continue;
		}
		value++;
		if (*value != 'n' && *value != '\\')
			return "a backslash must be followed by n or a backslash";
		*to++ = *value == 'n' ? '\n' : '\\';
	}
	*to = '\0';
	return NULL;
}

static const char *read_line(struct conf *conf, char *line)
{
	char *value = line;
	const char *key = next_word(&value);
	const char *wrong = unescape(value);
	size_t i;

	if (!*key)
		return NULL; /* an empty line */
	if (wrong)
		return wrong;
	for (i = 0; i < sizeof directives / sizeof *directives; i++)
		if (strcmp(key, directives[i].key) == 0)
			return directives[i].read(conf, value);
	return "unknown directive";
}

static const char *incomplete(const struct conf *conf)
{
	size_t i;

	if (!conf->arguments)
		return "no argument: there is no program to start";
	if (!conf->network && (conf->ports || conf->agent_port))
		return "ports without a network";
	for (i = 0; i < conf->ports; i++)
		if (conf->port[i] == conf->agent_port)
			return "agent-port is one of the application's ports";
	return NULL;
}

bool conf_parse(char *text, size_t size, struct conf *conf, struct conf_error *error)
{
	char *at = text;

	*conf = (struct conf){.directory = "/", .stop_signal = 15, .stop_timeout_ms = 5000, .open_files = 1024};
	*error = (struct conf_error){0};
	text[size] = '\0';
	if (strlen(text) != size) {
		error->reason = "holds a NUL byte";
		return false;
	}
	while (*at) {
		char *line = at;
		char *feed = strchr(line, '\n');

		at = feed ? feed + 1 : line + strlen(line);
		if (feed)
			*feed = '\0';
		error->line++;
		error->reason = read_line(conf, line);
		if (error->reason)
			return false;
	}
	error->line = 0;
	error->reason = incomplete(conf);
	return !error->reason;
}
