#include "health.h"

#include <string.h>

#include "clock.h"
#include "event.h"
#include "loop.h"
#include "probe.h"
#include "supervisor.h"
#include "text.h"

#define SOON (50 * MILLISECOND) /* between questions to an application that is not ready yet */

static const char *const names[CHECKS] = {"ready", "live"};
static struct checked {
	struct probe probe;
	int64_t started_us, due_us; /* of this question; of the next */
	uint64_t failures;          /* one after the other */
	bool good, fresh;           /* fresh: since the application's start it was not good yet */
	bool told;                  /* that it was good, and is not any more */
	char reason[96];            /* of the last failure */
} checks[CHECKS];
static int64_t since_us; /* the application's start */

static bool is_asked(const struct checked *c)
{
	const struct application *app = supervisor_application();

	return c->probe.check && app->pid && !app->stopping && !app->frozen;
}

void health_open(const struct conf *conf)
{
	int i;

	for (i = 0; i < CHECKS; i++) {
		checks[i].probe.fd = -1;
		if (conf->check[i].port)
			checks[i].probe.check = &conf->check[i];
	}
}

void health_begin(void)
{
	int i;

	since_us = clock_us();
	for (i = 0; i < CHECKS; i++) {
		struct checked *c = &checks[i];

		probe_close(&c->probe);
		c->probe.known = false;
		c->due_us = since_us;
		c->failures = 0;
		c->told |= c->good && supervisor_application()->healthy;
		c->good = false;
		c->fresh = true;
		text_end(&(struct text){.data = c->reason, .size = sizeof c->reason});
	}
}

static void say(const struct checked *c)
{
	event_begin("unhealthy");
	event_string("check", names[c - checks]);
	event_string("reason", c->reason);
	event_number("failures", (int64_t)c->failures);
	event_end();
}

static void pass(struct checked *c)
{
	c->failures = 0;
	c->good = true;
	c->fresh = false;
	if (!c->told || c != &checks[CHECK_READY])
		return;
	c->told = false;
	event_begin("healthy");
	event_end();
}

static void keep_reason(struct checked *c)
{
	struct text text = text_in(c->reason, sizeof c->reason);

	text_string(&text, *c->probe.why ? c->probe.why : "HTTP status ");
	if (!*c->probe.why)
		text_unsigned(&text, (uint64_t)c->probe.status);
	text_end(&text);
}

static void fail(struct checked *c)
{
	const struct conf_check *check = c->probe.check;

	keep_reason(c);
	if (clock_us() - since_us < (int64_t)check->start_ms * MILLISECOND || ++c->failures < check->failures)
		return;
	if (c == &checks[CHECK_LIVE]) {
		say(c);
		c->due_us = NEVER; /* until it is started again */
		supervisor_fail();
		return;
	}
	if (c->good && supervisor_application()->healthy) {
		say(c);
		c->told = true;
	}
	c->good = false;
}

static void judge(struct checked *c)
{
	int64_t interval_us = (int64_t)c->probe.check->interval_ms * MILLISECOND;
	bool waits = c == &checks[CHECK_READY] && c->fresh && c->probe.why && interval_us > SOON;

	c->probe.known = false;
	c->due_us = c->started_us + (waits ? SOON : interval_us);
	if (c->probe.why)
		fail(c);
	else
		pass(c);
}

static int64_t limit_of(const struct checked *c)
{
	return c->started_us + (int64_t)c->probe.check->timeout_ms * MILLISECOND;
}

static void turn(struct checked *c)
{
	int64_t now_us = clock_us();

	if (!is_asked(c))
		return;
	if (c->probe.state == PROBE_DRAINS && now_us >= limit_of(c))
		probe_close(&c->probe);
	else if (c->probe.state != PROBE_IDLE && !c->probe.known && now_us >= limit_of(c))
		probe_end(&c->probe, "no answer in time");
	if (now_us >= c->due_us && !c->probe.known && (c->probe.state == PROBE_IDLE || c->probe.state == PROBE_DRAINS)) {
		probe_close(&c->probe);
		c->started_us = now_us;
		probe_begin(&c->probe);
	}
	if (c->probe.known)
		judge(c);
}

void health_turn(void)
{
	int i;

	for (i = 0; i < CHECKS; i++)
		turn(&checks[i]);
}

void health_watch(void)
{
	int i;

	for (i = 0; i < CHECKS; i++) {
		struct checked *c = &checks[i];

		if (!is_asked(c))
			continue;
		probe_watch(&c->probe);
		if (c->probe.state != PROBE_IDLE)
			loop_wake_at(limit_of(c));
		if (c->probe.state == PROBE_IDLE || c->probe.state == PROBE_DRAINS)
			loop_wake_at(c->due_us);
	}
}

const char *health_reason(void)
{
	static char reason[128];
	const struct checked *c = &checks[CHECK_READY];
	struct text text = text_in(reason, sizeof reason);

	if (!c->probe.check || c->good)
		return NULL;
	text_string(&text, "the ready check: ");
	text_string(&text, c->reason[0] ? c->reason : "not answered yet");
	return text_end(&text);
}
