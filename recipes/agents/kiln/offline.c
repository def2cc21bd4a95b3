/* In place of network.c, listening.c and server.c where an image has no network. */
#include "network.h"

#include <errno.h>

#include "event.h"

void network_open(const struct conf *conf, const char *address, const char *gateway)
{
	(void)address;
	(void)gateway;
	if (conf->network)
		event_error("this agent was built without network", -EAFNOSUPPORT);
}

bool listening_on_all(const struct conf *conf, uint16_t *missing)
{
	*missing = conf->ports ? conf->port[0] : 0;
	return !conf->ports;
}

void server_open(const struct conf *conf)
{
	(void)conf;
}

void server_watch(void)
{
}
