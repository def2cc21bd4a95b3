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
#include "told.h"

#define PATIENCE (5 * SECOND) /* for the application to become healthy first: its start matters more */
#define OPEN_FILES 1024

static struct conf own; /* how it is started: nothing else is in it */
static const char *name;
static struct output output; /* both of its streams */
static struct backoff backoff;
static int running; /* its process id */
static bool tried, spared;
static uint64_t restarts;
static int64_t started_us, due_us = NEVER;

static void begin(const char *state)
{
	event_begin("companion");
	event_string("name", name);
	event_string("state", state);
}

void companion_open(const struct conf *conf)
{
	const struct conf_companion *wanted = &conf->companion;
	long error;

	if (!wanted->arguments)
		return;
	own = (struct conf){.directory = "/", .open_files = OPEN_FILES, .uid = wanted->uid, .gid = wanted->gid};
	memcpy(own.argument, wanted->argument, sizeof wanted->argument);
	name = wanted->name;
	error = output_open(&output, name, own.uid, own.gid);
	if (error < 0)
		event_error(name, error);
	else
		due_us = clock_us() + PATIENCE;
}

static void start_later(bool failed)
{
	int64_t delay_ms = 0;

	due_us = NEVER;
	if (backoff_next(&backoff, RESTART_ALWAYS, failed, (clock_us() - started_us) / MILLISECOND, &delay_ms) == NEXT_GIVE_UP)
		told_giving_up(name);
	else
		due_us = clock_us() + delay_ms * MILLISECOND;
}

static void start(void)
{
	struct started started = application_start_as(&own, output.write_fd, output.write_fd);

	restarts += tried;
	tried = true;
	spared = false;
	due_us = NEVER;
	started_us = clock_us();
	running = started.pid;
	if (!running) {
		event_error(started.what, started.error);
		start_later(true);
		return;
	}
	begin("started");
	event_number("pid", running);
	event_number("restarts", (int64_t)restarts);
	event_end();
}

void companion_ended(int pid, int status)
{
	if (!running || pid != running)
		return;
	running = 0;
	output_drain(&output);
	if (supervisor_application()->stopping)
		return;
	if (spared) {
		due_us = clock_us();
		return;
	}
	begin("ended");
	if (WIFSIGNALED(status))
		event_number("signal", WTERMSIG(status));
	else
		event_number("code", WEXITSTATUS(status));
	event_end();
	start_later(WIFSIGNALED(status) || WEXITSTATUS(status));
}

void companion_spare(void)
{
	spared = true;
}

void companion_turn(void)
{
	const struct application *app = supervisor_application();

	if (due_us == NEVER || app->stopping)
		return;
	if (clock_us() >= due_us || (!tried && app->healthy))
		start();
}

void companion_watch(void)
{
	if (output.name)
		output_watch(&output);
	if (!supervisor_application()->stopping)
		loop_wake_at(due_us);
}

void companion_drain(void)
{
	output_drain(&output);
}

int companion_pid(void)
{
	return running;
}

void companion_say(void)
{
	event_flag("companion_up", running != 0);
	event_number("companion_restarts", (int64_t)restarts);
}
