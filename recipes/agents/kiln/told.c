#include "told.h"

#include <sys/wait.h>

#include "event.h"

void told_start(int pid, uint64_t restarts)
{
	event_begin("start");
	event_number("pid", pid);
	event_number("restarts", (int64_t)restarts);
	event_end();
}

void told_restart(int64_t delay_ms, uint64_t restarts)
{
	event_begin("restart");
	event_number("delay_ms", delay_ms);
	event_number("restarts", (int64_t)restarts);
	event_end();
}

void told_end(int pid, int status, int code, bool crashed)
{
	event_begin(crashed ? "crash" : "exit");
	event_number("pid", pid);
	if (!crashed)
		event_number("code", code);
	if (WIFSIGNALED(status))
		event_number("signal", WTERMSIG(status));
	event_end();
}

void told_giving_up(const char *program)
{
	event_begin("error");
	event_string("what", program);
	event_string("error", "failed too often in a row: it is not started again");
	event_end();
}
