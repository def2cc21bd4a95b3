/* In place of heartbeat.c, integrity.c and guard.c where process 1 supervises and does nothing else. What it cannot do
 * and is told to do is an error, never passed over. */
#include <errno.h>

#include "event.h"
#include "guard.h"
#include "heartbeat.h"
#include "integrity.h"

static bool verify_first;

void heartbeat_open(const struct conf *conf)
{
	if (conf->heartbeat_ms)
		event_error("this agent was built without heartbeats", -EOPNOTSUPP);
}

void heartbeat_watch(void)
{
}

void heartbeat_turn(void)
{
}

void integrity_open(const struct conf *conf)
{
	verify_first = conf->verify_first;
	if (conf->verify_ms || verify_first)
		event_error("this agent was built without verification", -EOPNOTSUPP);
}

bool integrity_before_start(void)
{
	return !verify_first;
}

void integrity_watch(void)
{
}

void integrity_turn(void)
{
}

void guard_open(const struct conf *conf)
{
	if (conf->guards)
		event_error("this agent was built without the guard's policy", -EOPNOTSUPP);
}

void guard_watch(void)
{
}

void guard_drain(void)
{
}
