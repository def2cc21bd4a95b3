/* What the directives of agent.conf have in common. A reader gives NULL, or what is wrong with the value. */
#ifndef KILN_CONF_VALUES_H
#define KILN_CONF_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"

const char *conf_number(const char *value, uint64_t least, uint64_t most, uint64_t *to);
const char *conf_id(const char *value, uint32_t *to); /* of a user or a group */
const char *conf_flag(const char *value, bool *to); /* yes or no */
const char *conf_restart(const char *value, enum restart *to);

/* The next word of a value, made a string; the value moves behind it. */
char *conf_word(char **value);

/* `type source /target options` and `/path uid gid`. */
const char *conf_on_mount(struct conf *conf, char *value);
const char *conf_on_own(struct conf *conf, char *value);

/* `name response count window-ms event kind verdict what` */
const char *conf_on_rule(struct conf *conf, char *value);

/* `name /path uid gid mode`, for an agent that takes secrets. */
const char *conf_on_secret(struct conf *conf, char *value);

/* `kind tcp|http port interval timeout failures start [/path]`, for an agent that asks the application. */
const char *conf_on_check(struct conf *conf, char *value);

/* `milliseconds` to wait for an address, for an agent that asks for one. */
const char *conf_on_dhcp(struct conf *conf, char *value);

#ifdef KILN_COMPANION
/* `name restart open-files processes uid gid` begins a program beside the application; what follows is of the last one. */
const char *conf_on_process(struct conf *conf, char *value);
const char *conf_on_companion(struct conf *conf, char *value);
const char *conf_on_process_argument(struct conf *conf, char *value);
const char *conf_on_process_environment(struct conf *conf, char *value);
const char *conf_on_process_directory(struct conf *conf, char *value);
bool conf_processes_complete(const struct conf *conf); /* each has a program to start */
#endif

#endif
