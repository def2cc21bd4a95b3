/* An address that the network lends: asked for before the application starts, kept while the machine runs (RFC 2131).
 * Other agents know nothing of it: without KILN_DHCP the address is in the kernel's command line. */
#ifndef KILN_DHCP_H
#define KILN_DHCP_H

#include "conf.h"

#ifdef KILN_DHCP
/* Waits for an address, but not for ever: then the application starts without one. */
void dhcp_open(const struct conf *conf);
void dhcp_watch(void);
void dhcp_turn(void);
#else
static inline void dhcp_open(const struct conf *conf)
{
	(void)conf;
}
static inline void dhcp_watch(void)
{
}
static inline void dhcp_turn(void)
{
}
#endif

#endif
