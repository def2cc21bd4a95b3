#include "companion.h"

#include <string.h>
#include <sys/wait.h>

#include "application.h"
#include "backoff.h"
#include "clock.h"
#include "event.h"
#include "loop.h"
#include "output.h"
#include "supervisor.h"
#include "text.h"
#include "told.h"

#define PATIENCE (5 * SECOND) /* of a companion, for the application to become healthy first: its start matters more */

struct beside {
	const struct conf_process *conf;
	struct output output; /* both of its streams */
	struct backoff backoff;
	int running; /* its process id */
	bool tried, spared;
	uint64_t restarts;
	int64_t started_us, due_us;
};

static struct beside all[CONF_PROCESSES];
static size_t count;

static void begin(const struct beside *one, const char *state)
{
	event_begin(one->conf->companion ? "companion" : "process");
	event_string("name", one->conf->name);
	event_string("state", state);
}

void companion_open(const struct conf *conf)
{
	size_t i;

	for (i = 0; i < conf->beside; i++) {
		struct beside *one = &all[i];
		long error;

		one->conf = &conf->process[i];
		one->due_us = NEVER;
		error = output_open(&one->output, one->conf->name, one->conf->uid, one->conf->gid);
		if (error < 0)
			event_error(one->conf->name, error);
		else
			one->due_us = clock_us() + (one->conf->companion ? PATIENCE : 0);
	}
	count = conf->beside;
}

static void start_later(struct beside *one, bool failed)
{
	int64_t delay_ms = 0;
	int64_t up_ms = (clock_us() - one->started_us) / MILLISECOND;
	enum next next = backoff_next(&one->backoff, one->conf->restart, failed, up_ms, &delay_ms);

	one->due_us = next == NEXT_RESTART ? clock_us() + delay_ms * MILLISECOND : NEVER;
	if (next == NEXT_GIVE_UP)
		told_giving_up(one->conf->name);
}

static void start(struct beside *one)
{
	const struct conf_process *conf = one->conf;
	const struct program program = {
		.argument = conf->argument, .environment = conf->environment, .directory = conf->directory,
		.open_files = conf->open_files, .processes = conf->processes, .uid = conf->uid, .gid = conf->gid,
	};
	struct started started = application_start_as(&program, one->output.write_fd, one->output.write_fd);

	one->restarts += one->tried;
	one->tried = true;
	one->spared = false;
	one->due_us = NEVER;
	one->started_us = clock_us();
	one->running = started.pid;
	if (!one->running) {
		event_error(started.what, started.error);
		start_later(one, true);
		return;
	}
	begin(one, "started");
	event_number("pid", one->running);
	event_number("restarts", (int64_t)one->restarts);
	event_end();
}

static void say_end(const struct beside *one, const char *state, int pid, int status)
{
	begin(one, state);
	event_number("pid", pid);
	if (WIFSIGNALED(status))
		event_number("signal", WTERMSIG(status));
	else
		event_number("code", WEXITSTATUS(status));
	event_end();
}

static void end(struct beside *one, int status)
{
	bool stopping = supervisor_application()->stopping;
	int pid = one->running;

	one->running = 0;
	output_drain(&one->output);
	if (one->spared && !stopping) {
		one->due_us = clock_us();
		return;
	}
	say_end(one, stopping ? "stopped" : "ended", pid, status);
	if (stopping)
		return;
	sys_kill(-pid, SIGKILL); /* what it left behind would stand in the way of the next one */
	start_later(one, WIFSIGNALED(status) || WEXITSTATUS(status));
}

void companion_ended(int pid, int status)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (all[i].running && all[i].running == pid)
			end(&all[i], status);
}

/* Declared processes go on: then only its process group is known to be the application's. Without them everybody is killed,
 * and the end of a companion is no fault of its own. */
void companion_clear_away(int pid)
{
	bool has_processes = companion_has_processes();
	size_t i;

	for (i = 0; i < count && !has_processes; i++)
		all[i].spared = true;
	sys_kill(has_processes ? -pid : -1, SIGKILL);
}

static bool may_start(void)
{
	return !supervisor_application()->stopping && !supervisor_application()->frozen;
}

void companion_turn(void)
{
	size_t i;

	for (i = 0; i < count && may_start(); i++) {
		bool early = !all[i].tried && supervisor_application()->healthy;

		if (all[i].due_us != NEVER && (clock_us() >= all[i].due_us || early))
			start(&all[i]);
	}
}

void companion_watch(void)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (all[i].output.name)
			output_watch(&all[i].output);
		if (may_start())
			loop_wake_at(all[i].due_us);
	}
}

void companion_drain(void)
{
	size_t i;

	for (i = 0; i < count; i++)
		output_drain(&all[i].output);
}

int companion_pid(void)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (all[i].conf->companion)
			return all[i].running;
	return 0;
}

bool companion_has_processes(void)
{
	size_t i = 0;

	while (i < count && all[i].conf->companion)
		i++;
	return i < count;
}

/* `companion_up`, or `process_NAME_up`. */
static const char *key_of(char (*room)[128], const struct conf_process *conf, const char *what)
{
	struct text text = text_in(*room, sizeof *room);

	text_string(&text, conf->companion ? "companion" : "process_");
	text_string(&text, conf->companion ? "" : conf->name);
	text_string(&text, what);
	return text_end(&text);
}

void companion_say(void)
{
	char key[128];
	size_t i;

	for (i = 0; i < count; i++) {
		event_flag(key_of(&key, all[i].conf, "_up"), all[i].running != 0);
		event_number(key_of(&key, all[i].conf, "_restarts"), (int64_t)all[i].restarts);
	}
}

size_t companion_counts(struct process_counts to[CONF_PROCESSES])
{
	size_t found = 0;
	size_t i;

	for (i = 0; i < count; i++)
		if (!all[i].conf->companion)
			to[found++] = (struct process_counts){all[i].conf->name, all[i].running != 0, all[i].restarts};
	return found;
}
