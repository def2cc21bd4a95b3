/* The agent: process 1 of a Kiln image. What its parts share. No allocation after start, one thread, one loop. */
#ifndef KILN_AGENT_H
#define KILN_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define AGENT_VERSION "kiln 1"
#define MAX_ARGUMENTS 128
#define MAX_ENVIRONMENT 128
#define MAX_MOUNTS 32
#define MAX_PORTS 32
#define MAX_GROUPS 32
#define LINE_BYTES 4096

enum restart { RESTART_NEVER, RESTART_ON_FAILURE, RESTART_ALWAYS };

struct mount_point {
    char *type, *source, *target, *options;
};

struct owner {
    char *path;
    unsigned uid, gid;
};

/* conf.c: the baked-in configuration; texts point into one static buffer. */
struct conf {
    char *arguments[MAX_ARGUMENTS + 1];
    char *environment[MAX_ENVIRONMENT + 1];
    struct mount_point mounts[MAX_MOUNTS];
    struct owner owners[MAX_MOUNTS];
    uint16_t ports[MAX_PORTS];
    gid_t groups[MAX_GROUPS];
    unsigned argument_count, environment_count, mount_count, owner_count, port_count, group_count;
    char *directory, *hostname;
    uid_t uid;
    gid_t gid;
    enum restart restart;
    int stop_signal;
    unsigned stop_timeout_ms, open_files;
    bool network;
    uint16_t agent_port;
};
/* Reads directives from `text` (changed in place). Returns NULL, or what is wrong with which line. */
const char *conf_parse(struct conf *conf, char *text, unsigned *line);

/* text.c: building text in fixed buffers; what does not fit is left out and `full` says so. */
struct text {
    char *at;
    size_t used, size;
    bool full;
};
void text_add(struct text *text, const char *bytes, size_t count);
void text_put(struct text *text, const char *string);
void text_number(struct text *text, int64_t number);
void text_hex(struct text *text, uint64_t number);
void text_fixed(struct text *text, int64_t number, unsigned digits); /* number / 10^digits */
void text_json(struct text *text, const char *bytes, size_t count);  /* quoted and escaped */
bool number_of(const char *string, uint64_t limit, uint64_t *number);

/* event.c: one JSON object per line on the console. */
void event_open(int console);
int64_t now_us(void); /* since boot */
void event_begin(const char *name);
void event_number(const char *key, int64_t number);
void event_string(const char *key, const char *string);
void event_bytes(const char *key, const char *bytes, size_t count);
void event_end(void);
bool event_end_if_ready(void); /* drops the event when the console would block; false then */
void event_error(const char *what, int number); /* number: errno */
void event_drain(void);

/* boot.c: what a machine needs before its application. */
void boot_mounts(const struct conf *conf);
void boot_network(const struct conf *conf, const char *address, const char *gateway);
void boot_unmount(const struct conf *conf);

/* app.c: the application's life. */
struct app {
    const struct conf *conf;
    pid_t pid; /* 0: not running */
    int pipes[2]; /* its stdout and stderr, read ends; -1: closed */
    char pending[2][LINE_BYTES];
    size_t pending_count[2];
    int code;             /* of the last end: exit code, or 128 + signal */
    bool stopping, ended; /* asked to stop; will not be started again */
    unsigned restarts, quick_ends;
    int64_t started_us, start_at_us, kill_at_us; /* 0: not planned */
    uint64_t lines, dropped;
};
void app_init(struct app *app, const struct conf *conf);
void app_start(struct app *app);
void app_stop(struct app *app, const char *reason);
bool app_reap(struct app *app); /* whether processes are left */
void app_read(struct app *app, int which);
void app_flush(struct app *app);
void app_timers(struct app *app, int64_t now);

/* kmsg.c: the kernel's messages. */
struct kmsg {
    int fd;
    uint64_t warnings, refused;
};
void kmsg_open(struct kmsg *kmsg);
void kmsg_read(struct kmsg *kmsg);
bool kmsg_parse(const char *record, unsigned *level, const char **message, size_t *count);
struct refused {
    int64_t number, pid;
    uint64_t ip;
    char comm[17];
};
bool kmsg_refused(const char *message, struct refused *refused);

/* proc.c: figures of the machine and of processes. */
size_t proc_read(const char *path, char *buffer, size_t size); /* NUL-terminated */
struct process {
    uint64_t cpu_ticks, threads, virtual_bytes, resident_bytes, start_ticks;
    unsigned descriptors;
};
bool proc_process(pid_t pid, struct process *process);
bool proc_stat_parse(const char *text, struct process *process);
bool proc_listens(const char *table, uint16_t port);
bool proc_all_listen(const struct conf *conf);
struct traffic {
    char name[16];
    uint64_t received[4], sent[4]; /* bytes, packets, errors, drops */
};
unsigned proc_traffic(const char *table, struct traffic *found, unsigned limit);

/* metrics.c: OpenMetrics text. */
struct watch {
    struct app *app;
    struct kmsg *kmsg;
    bool healthy;
};
void metrics_write(struct text *text, const struct watch *watch);

/* http.c: the two pages. */
void http_open(uint16_t port);
struct pollfd;
unsigned http_polls(struct pollfd *polls);
void http_serve(const struct pollfd *polls, unsigned count, const struct watch *watch, int64_t now);
bool http_route(const char *request, size_t count, const char **path, unsigned *status);
#define HTTP_POLLS 9

#endif
