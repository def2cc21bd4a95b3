#include "heartbeat.h"

#include "clock.h"
#include "companion.h"
#include "event.h"
#include "loop.h"
#include "metrics.h"
#include "rules.h"
#include "sample.h"

static const struct conf *conf;
static int64_t due_us, sequence;

void heartbeat_open(const struct conf *from)
{
	conf = from;
	sample_begin();
	due_us = clock_us() + (int64_t)conf->heartbeat_ms * MILLISECOND;
}

void heartbeat_watch(void)
{
	if (conf->heartbeat_ms)
		loop_wake_at(due_us);
}

/* One that does not fit on the console is left out: the gap in the numbers tells. */
static void say(const struct metrics *m)
{
	event_begin("heartbeat");
	event_number("seq", ++sequence);
	event_flag("up", m->up);
	event_flag("healthy", m->healthy);
	event_number("restarts", (int64_t)m->restarts);
	event_number("crashes", (int64_t)m->crashes);
	event_number("processes", (int64_t)m->processes);
	event_number("cpu_ms", (int64_t)m->cpu_ticks * 10); /* USER_HZ is 100: include/asm-generic/param.h */
	event_number("rss", (int64_t)m->resident_bytes);
	event_number("open_files", (int64_t)m->open_files);
	event_number("memory", (int64_t)m->memory_bytes);
	event_number("free", (int64_t)m->free_bytes);
	event_number("refused", (int64_t)m->kernel.refused);
	event_number("changed_files", (int64_t)m->integrity.changed);
	event_number("alerts", (int64_t)rules_alerts());
	if (m->frozen)
		event_flag("frozen", true);
	event_number("lost", (int64_t)m->events_lost);
	companion_say();
	event_offer();
}

void heartbeat_turn(void)
{
	static struct metrics metrics;

	if (!conf->heartbeat_ms || clock_us() < due_us)
		return;
	due_us = clock_us() + (int64_t)conf->heartbeat_ms * MILLISECOND;
	sample_take(conf, &metrics);
	say(&metrics);
}
