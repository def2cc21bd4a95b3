#include <string.h>

#include "conf_values.h"

#define MOST_NAME 64

static const char *begin(struct conf *conf, char *value, bool companion)
{
	struct conf_process *process = &conf->process[conf->beside];
	const char *name = conf_word(&value);
	const char *restart = conf_word(&value);
	const char *open_files = conf_word(&value);
	const char *processes = conf_word(&value);
	const char *uid = conf_word(&value);

	if (conf->beside == CONF_PROCESSES)
		return "too many of them";
	*process = (struct conf_process){.name = name, .directory = "/", .companion = companion};
	if (!name[0] || strlen(name) > MOST_NAME)
		return "a name has 1 to 64 characters";
	if (conf_restart(restart, &process->restart) || conf_number(open_files, 4, 1048576, &process->open_files) ||
	    conf_number(processes, 0, 1048576, &process->processes) || conf_id(uid, &process->uid) ||
	    conf_id(value, &process->gid))
		return "not `name restart open-files processes uid gid`";
	conf->beside++;
	return NULL;
}

const char *conf_on_process(struct conf *conf, char *value) { return begin(conf, value, false); }
const char *conf_on_companion(struct conf *conf, char *value) { return begin(conf, value, true); }

static struct conf_process *last(struct conf *conf)
{
	return conf->beside ? &conf->process[conf->beside - 1] : NULL;
}

static const char *word(char *list[], size_t *count, char *value)
{
	if (*count == CONF_PROCESS_WORDS)
		return "too many of them";
	list[(*count)++] = value;
	return NULL;
}

const char *conf_on_process_argument(struct conf *conf, char *value)
{
	struct conf_process *process = last(conf);

	if (!process)
		return "of no process";
	if (!process->arguments && value[0] != '/')
		return "the program is no absolute path";
	return word(process->argument, &process->arguments, value);
}

const char *conf_on_process_environment(struct conf *conf, char *value)
{
	struct conf_process *process = last(conf);

	if (!process)
		return "of no process";
	if (!strchr(value, '=') || value[0] == '=')
		return "not NAME=value";
	return word(process->environment, &process->variables, value);
}

const char *conf_on_process_directory(struct conf *conf, char *value)
{
	struct conf_process *process = last(conf);

	if (!process)
		return "of no process";
	process->directory = value;
	return value[0] == '/' ? NULL : "not an absolute path";
}

bool conf_processes_complete(const struct conf *conf)
{
	size_t i = 0;

	while (i < conf->beside && conf->process[i].arguments)
		i++;
	return i == conf->beside;
}
