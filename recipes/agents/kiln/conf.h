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
#define CONF_PROCESSES 9 /* beside the application: eight of a definition, and the agent's companion */
#define CONF_PROCESS_WORDS 31 /* arguments of each, and as many variables */
#define CONF_RULES 64

#define CONF_SECRETS 16
#define CONF_CHECK_PATH 255

/* What is done when a rule fits, mildest first; conf_responses has the words. */
enum response {
	RESPONSE_COUNT, RESPONSE_LOG, RESPONSE_ALERT, RESPONSE_KILL, RESPONSE_FREEZE, RESPONSE_POWER_OFF, CONF_RESPONSES
};
extern const char *const conf_responses[CONF_RESPONSES];

enum restart { RESTART_NEVER, RESTART_ON_FAILURE, RESTART_ALWAYS };

struct conf_mount {
	const char *type, *source, *target, *data;
	unsigned long flags;
};

struct conf_owner {
	const char *path;
	uint32_t uid, gid;
};

/* Fits events of this name whose fields are these; `*` at the end of one stands for whatever follows. */
struct conf_rule {
	const char *name, *event, *kind, *verdict, *what;
	uint64_t count, window_ms; /* so many within such a time; 0: ever */
	enum response response;
};

struct conf_secret {
	const char *name, *path;
	uint32_t uid, gid;
	unsigned int mode;
};

/* Asks a port of this machine, over HTTP where there is a path. */
enum { CHECK_READY, CHECK_LIVE, CHECKS };

struct conf_check {
	const char *path;
	uint64_t interval_ms, timeout_ms, failures, start_ms;
	uint16_t port; /* 0: there is no such check */
};

/* A program beside the application: companion.c. */
struct conf_process {
	char *argument[CONF_PROCESS_WORDS + 1];
	char *environment[CONF_PROCESS_WORDS + 1];
	size_t arguments, variables;
	const char *name, *directory;
	uint64_t open_files, processes;
	uint32_t uid, gid;
	enum restart restart;
	bool companion; /* the agent's, and not one that the definition declares */
};

struct conf {
	char *argument[CONF_WORDS + 1];
	char *environment[CONF_WORDS + 1];
	const char *directory, *hostname;
	struct conf_mount mount[CONF_MOUNTS];
	struct conf_owner owner[CONF_MOUNTS];
	uint32_t group[CONF_GROUPS];
	uint16_t port[CONF_PORTS];
	char *guard[CONF_WORDS]; /* lines of the policy for the kernel's guard: it knows what may be said */
	struct conf_rule rule[CONF_RULES];
	struct conf_secret secret[CONF_SECRETS];
	struct conf_check check[CHECKS];
	size_t arguments, variables, mounts, owners, groups, ports, guards, rules, secrets;
	uint64_t stop_timeout_ms, open_files, processes, heartbeat_ms, verify_ms, watchdog_s;
	uint64_t dhcp_wait_ms; /* 0: the address comes from the kernel's command line */
	uint32_t uid, gid;
	int stop_signal;
	enum restart restart;
	uint16_t agent_port;
	bool network, verify_first, read_only;
#ifdef KILN_COMPANION
	struct conf_process process[CONF_PROCESSES];
	size_t beside;
#endif
};

struct conf_error {
	unsigned int line; /* 0: the file as a whole */
	const char *reason;
};

/* Parses `text` in place: `conf` points into it. `text[size]` must be ours to write. False: `error` says why. */
bool conf_parse(char *text, size_t size, struct conf *conf, struct conf_error *error);

#endif
