/* In place of server.c where process 1 serves no pages: somebody else does, or nobody. */
#include <errno.h>

#include "event.h"
#include "network.h"

void server_open(const struct conf *conf)
{
	if (conf->agent_port)
		event_error("this agent was built without pages", -EOPNOTSUPP);
}

void server_watch(void)
{
}
