#include "conf.h"

#include <string.h>

#include "conf_values.h"
#include "watchdog.h"

#define MOST_SIGNAL 64

typedef const char *directive(struct conf *conf, char *value); /* NULL, or what is wrong */

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

static const char *on_uid(struct conf *conf, char *value) { return conf_id(value, &conf->uid); }

static const char *on_gid(struct conf *conf, char *value) { return conf_id(value, &conf->gid); }
static const char *on_guard(struct conf *conf, char *value) { return word(conf->guard, &conf->guards, value); }

static const char *on_group(struct conf *conf, char *value)
{
	return conf->groups == CONF_GROUPS ? "too many of them" : conf_id(value, &conf->group[conf->groups++]);
}

static const char *on_restart(struct conf *conf, char *value) { return conf_restart(value, &conf->restart); }

static const char *on_stop_signal(struct conf *conf, char *value)
{
	uint64_t found = 0;
	const char *wrong = conf_number(value, 1, MOST_SIGNAL, &found);

	conf->stop_signal = (int)found;
	return wrong;
}

static const char *on_open_files(struct conf *conf, char *value) { return conf_number(value, 4, 1048576, &conf->open_files); }
static const char *on_processes(struct conf *conf, char *value) { return conf_number(value, 0, 1048576, &conf->processes); }
static const char *on_stop_timeout(struct conf *conf, char *value) { return conf_number(value, 1, 3600000, &conf->stop_timeout_ms); }

static const char *on_network(struct conf *conf, char *value) { return conf_flag(value, &conf->network); }
static const char *on_verify_first(struct conf *conf, char *value) { return conf_flag(value, &conf->verify_first); }

static const char *on_read_only(struct conf *conf, char *value) { return conf_flag(value, &conf->read_only); }

static const char *on_port(struct conf *conf, char *value)
{
	uint64_t found = 0;
	const char *wrong = conf_number(value, 1, 65535, &found);

	if (conf->ports == CONF_PORTS)
		return "too many of them";
	conf->port[conf->ports++] = (uint16_t)found;
	return wrong;
}

static const char *on_agent_port(struct conf *conf, char *value)
{
	uint64_t found = 0;
	const char *wrong = conf_number(value, 0, 65535, &found);

	conf->agent_port = (uint16_t)found;
	return wrong;
}

static const char *on_verify(struct conf *conf, char *value) { return conf_number(value, 0, 604800000, &conf->verify_ms); }
static const char *on_heartbeat(struct conf *conf, char *value) { return conf_number(value, 0, 3600000, &conf->heartbeat_ms); }

static const struct {
	const char *key;
	directive *read;
} directives[] = {
	{"argument", on_argument}, {"environment", on_environment}, {"directory", on_directory},
	{"hostname", on_hostname}, {"uid", on_uid}, {"gid", on_gid}, {"group", on_group}, {"restart", on_restart},
	{"stop-signal", on_stop_signal}, {"stop-timeout-ms", on_stop_timeout}, {"open-files", on_open_files},
	{"mount", conf_on_mount}, {"own", conf_on_own}, {"network", on_network}, {"port", on_port},
	{"agent-port", on_agent_port}, {"guard", on_guard}, {"heartbeat-ms", on_heartbeat}, {"verify-ms", on_verify},
	{"verify-first", on_verify_first}, {"processes", on_processes}, {"read-only", on_read_only},
	{"rule", conf_on_rule},
#ifdef KILN_SECRETS
	{"secret", conf_on_secret},
#endif
#ifdef KILN_HEALTH
	{"check", conf_on_check},
#endif
#ifdef KILN_WATCHDOG
	{"watchdog", conf_on_watchdog},
#endif
#ifdef KILN_DHCP
	{"dhcp", conf_on_dhcp},
#endif
#ifdef KILN_COMPANION
	{"process", conf_on_process}, {"companion", conf_on_companion}, {"process-argument", conf_on_process_argument},
	{"process-environment", conf_on_process_environment}, {"process-directory", conf_on_process_directory},
#endif
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
	const char *key = conf_word(&value);
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
#ifdef KILN_COMPANION
	if (!conf_processes_complete(conf))
		return "a process without process-argument";
#endif
	if (!conf->network && conf->dhcp_wait_ms)
		return "dhcp without a network";
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
