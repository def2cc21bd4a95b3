/* /etc/kiln/agent.conf: one directive per line, `key value`; in values \n and \\ stand for a line feed and a backslash. */
#ifndef KILN_CONF_H
#define KILN_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONF_PATH "/etc/kiln/agent.conf"
#define CONF_BYTES 32768
#define CONF_WORDS 255 /* arguments, and as many variables */
#define CONF_MOUNTS 32
#define CONF_GROUPS 32
#define CONF_PORTS 32

enum restart { RESTART_NEVER, RESTART_ON_FAILURE, RESTART_ALWAYS };

struct conf_mount {
	const char *type, *source, *target, *data;
	unsigned long flags;
};

struct conf_owner {
	const char *path;
	uint32_t uid, gid;
};

struct conf {
	char *argument[CONF_WORDS + 1];
	char *environment[CONF_WORDS + 1];
	const char *directory, *hostname;
	struct conf_mount mount[CONF_MOUNTS];
	struct conf_owner owner[CONF_MOUNTS];
	uint32_t group[CONF_GROUPS];
	uint16_t port[CONF_PORTS];
	size_t arguments, variables, mounts, owners, groups, ports;
	uint64_t stop_timeout_ms, open_files;
	uint32_t uid, gid;
	int stop_signal;
	enum restart restart;
	uint16_t agent_port;
	bool network;
};

struct conf_error {
	unsigned int line; /* 0: the file as a whole */
	const char *reason;
};

/* Parses `text` in place: `conf` points into it. `text[size]` must be ours to write. False: `error` says why. */
bool conf_parse(char *text, size_t size, struct conf *conf, struct conf_error *error);

#endif
