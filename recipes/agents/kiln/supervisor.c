#include "supervisor.h"

#include <errno.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/wait.h>

#include "application.h"
#include "backoff.h"
#include "clock.h"
#include "companion.h"
#include "console.h"
#include "event.h"
#include "guard.h"
#include "health.h"
#include "kernel.h"
#include "loop.h"
#include "network.h"
#include "rules.h"
#include "setup.h"
#include "sys.h"
#include "told.h"
#include "trace.h"

#define EVERYBODY (-1) /* to kill(2): every process but this one */
#define CODE_RULE 123 /* a rule ended the application */
#define LAST_WORDS (5 * SECOND)
#define DEATH_LIMIT (2 * SECOND)
#define LOOK_OFTEN (10 * MILLISECOND) /* between looks whether the application listens */
#define LOOK_SELDOM (250 * MILLISECOND)
#define LOOK_OFTEN_FOR (10 * SECOND)

static const struct conf *conf;
static struct application app;
static struct backoff backoff;
static int code; /* of the last end of the application: the machine's own */
static enum { RUNNING, WAITING, FROZEN, STOPPING, LEAVING, KILLED } state;
static bool condemned; /* by a rule: the machine ends with its code */
static bool overdue; /* the application did not end in time */
static int64_t due_us; /* what the state waits for at most */
static int64_t look_us; /* for the application to listen */

static void enter(int next, int64_t due)
{
	state = next;
	due_us = due;
}

/* The application is over; whoever it left behind is asked to go, too. */
static void leave(void)
{
	app.stopping = true;
	sys_kill(EVERYBODY, SIGTERM);
	enter(LEAVING, clock_us() + (int64_t)conf->stop_timeout_ms * MILLISECOND);
}

static void look(void)
{
	uint16_t missing;
	int64_t now_us = clock_us();

	if (app.healthy || state != RUNNING || now_us < look_us)
		return;
	if (listening_on_all(conf, &missing) && !health_reason()) {
		app.healthy = true;
		app.first_healthy_us = app.first_healthy_us ? app.first_healthy_us : now_us;
		event_begin("healthy");
		event_end();
	}
	look_us = now_us + (now_us - app.started_us < LOOK_OFTEN_FOR ? LOOK_OFTEN : LOOK_SELDOM);
}

void supervisor_boot(void)
{
	app.booted_us = clock_us();
}

static void start(void)
{
	struct started started = application_start(conf);

	app.pid = started.pid;
	app.started_us = look_us = clock_us();
	app.first_started_us = app.first_started_us ? app.first_started_us : app.started_us;
	if (!started.pid) {
		code = started.code;
		event_error(started.what, started.error);
		leave();
		return;
	}
	enter(RUNNING, NEVER);
	health_begin();
	told_start(app.pid, app.restarts);
	if (!conf->ports)
		look(); /* at once: it may end before the next turn */
}

void supervisor_start(const struct conf *from)
{
	conf = from;
	start();
}

/* Nobody is asked any more. */
static void condemn(void)
{
	app.stopping = condemned = true;
	sys_kill(EVERYBODY, SIGKILL);
	enter(KILLED, clock_us() + DEATH_LIMIT);
}

bool supervisor_hold(void)
{
	if (!conf || app.stopping || app.frozen)
		return false;
	sys_kill(EVERYBODY, SIGSTOP);
	return true;
}

void supervisor_respond(enum response response)
{
	switch (response) {
	case RESPONSE_KILL:
		sys_kill(EVERYBODY, SIGKILL);
		break;
	case RESPONSE_FREEZE:
		app.frozen = true;
		app.healthy = false;
		enter(FROZEN, NEVER);
		event_begin("freeze");
		event_end();
		break;
	case RESPONSE_POWER_OFF:
		condemn();
		break;
	default:
		break;
	}
}

void supervisor_stop(const char *reason)
{
	if (app.stopping)
		return;
	event_begin("stop");
	event_string("reason", reason);
	event_end();
	app.stopping = true;
	if (app.frozen) {
		condemn();
		return;
	}
	if (state != RUNNING) {
		leave();
		return;
	}
	sys_kill(app.pid, conf->stop_signal);
	enter(STOPPING, clock_us() + (int64_t)conf->stop_timeout_ms * MILLISECOND);
}

void supervisor_fail(void)
{
	if (state == RUNNING && app.pid)
		sys_kill(app.pid, SIGKILL);
}

static void note_end(int status, bool requested)
{
	bool crashed = WIFSIGNALED(status) && !requested;

	told_end(app.pid, status, code, crashed);
	app.crashes += crashed;
	if (crashed)
		rules_note_number("crash", WTERMSIG(status), app.pid);
}

static void restart_or_leave(int pid)
{
	int64_t delay_ms = 0;
	int64_t up_ms = (clock_us() - app.started_us) / MILLISECOND;
	enum next next = backoff_next(&backoff, conf->restart, code != 0, up_ms, &delay_ms);

	if (next == NEXT_GIVE_UP)
		told_giving_up(conf->argument[0]);
	if (next != NEXT_RESTART) {
		leave();
		return;
	}
	companion_clear_away(pid); /* what it left behind would stand in the way of the next one */
	app.restarts++;
	enter(WAITING, clock_us() + delay_ms * MILLISECOND);
	told_restart(delay_ms, app.restarts);
}

static void on_end(int status)
{
	int pid = app.pid;
	bool requested = app.stopping && WIFSIGNALED(status) && WTERMSIG(status) == conf->stop_signal;

	application_drain();
	code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	note_end(status, requested);
	app.pid = 0;
	if (requested)
		code = 0;
	if (condemned || (app.frozen && !app.stopping))
		return;
	if (app.stopping)
		leave();
	else
		restart_or_leave(pid);
}

/* Takes note of ended processes, the application's and orphans; false if no process is left. */
static bool reap(void)
{
	for (;;) {
		int status = 0;
		long pid = sys_wait4(-1, &status, WNOHANG);

		if (pid <= 0)
			return pid != -ECHILD;
		if (pid == app.pid)
			on_end(status);
		else
			companion_ended((int)pid, status);
	}
}

/* What must happen when the time of a state is over. */
static void on_due(void)
{
	switch (state) {
	case WAITING:
		start();
		break;
	case STOPPING:
		code = 128 + SIGKILL;
		if (companion_has_processes() && app.pid && !overdue) { /* they are asked before they are killed */
			overdue = true;
			sys_kill(app.pid, SIGKILL);
			enter(STOPPING, clock_us() + DEATH_LIMIT);
			break;
		}
		sys_kill(EVERYBODY, SIGKILL);
		enter(KILLED, clock_us() + DEATH_LIMIT);
		break;
	case LEAVING:
		sys_kill(EVERYBODY, SIGKILL);
		enter(KILLED, clock_us() + DEATH_LIMIT);
		break;
	case KILLED:
		supervisor_halt(conf, code);
	case RUNNING:
	case FROZEN:
		break;
	}
}

void supervisor_turn(void)
{
	bool any_left = reap();

	if (!any_left && (state == LEAVING || state == KILLED))
		supervisor_halt(conf, code);
	if (clock_us() >= due_us)
		on_due();
	look();
}

void supervisor_watch(void)
{
	loop_wake_at(due_us);
	if (!app.healthy && state == RUNNING)
		loop_wake_at(look_us);
}

const struct application *supervisor_application(void)
{
	return &app;
}

void supervisor_halt(const struct conf *from, int last)
{
	application_drain();
	companion_drain();
	guard_drain();
	kernel_drain();
	trace_report();
	setup_release(from);
	event_begin("halt");
	event_number("code", condemned ? CODE_RULE : last);
	event_end();
	console_drain(clock_us() + LAST_WORDS);
	for (;;)
		sys_reboot(RB_AUTOBOOT);
}
