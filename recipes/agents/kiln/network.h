/* What an image with a network has: interfaces, ports that are looked at, and the agent's own pages. An image without
 * one is linked with offline.c instead, and asks nothing of the kernel's network. */
#ifndef KILN_NETWORK_H
#define KILN_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"

/* Brings up lo, and eth0 with an address as in "10.0.2.15/24" (NULL: leaves it down) and a gateway (NULL: none). */
void network_open(const struct conf *conf, const char *address, const char *gateway);

/* Whether every port of the application is listened on; else the first that is not. */
bool listening_on_all(const struct conf *conf, uint16_t *missing);

void server_open(const struct conf *conf);
void server_watch(void);

#endif
