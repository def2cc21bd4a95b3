/* Addresses and routes of the machine's interfaces. `fd` is any IPv4 socket; what the kernel refuses is told. */
#ifndef KILN_INTERFACE_H
#define KILN_INTERFACE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct ifreq interface_named(const char *name);
bool interface_up(int fd, const char *name);
/* Gives an interface this address instead of the one it had, and brings it up. In host byte order. */
bool interface_address(int fd, const char *name, uint32_t address, uint32_t mask);
/* Takes its address away, and with it all routes that lead over it. */
bool interface_clear(int fd, const char *name);
/* A machine that is reached over this interface although the address's network does not say so. */
bool interface_neighbour(int fd, const char *name, uint32_t host);
bool interface_gateway(int fd, uint32_t gateway);

#endif
