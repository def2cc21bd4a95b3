#include "interface.h"

#include <net/route.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>

#include "event.h"
#include "sys.h"

static void put_address(struct sockaddr *to, uint32_t address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};

	memcpy(to, &in, sizeof in);
}

static bool set(int fd, unsigned long request, const void *argument, const char *what)
{
	long error = sys_ioctl(fd, request, argument);

	if (error < 0)
		event_error(what, error);
	return error >= 0;
}

struct ifreq interface_named(const char *name)
{
	struct ifreq request = {0};

	memcpy(request.ifr_name, name, strlen(name));
	return request;
}

bool interface_up(int fd, const char *name)
{
	struct ifreq request = interface_named(name);

	request.ifr_flags = IFF_UP | IFF_RUNNING;
	return set(fd, SIOCSIFFLAGS, &request, name);
}

bool interface_address(int fd, const char *name, uint32_t address, uint32_t mask)
{
	struct ifreq request = interface_named(name);

	put_address(&request.ifr_addr, address);
	if (!set(fd, SIOCSIFADDR, &request, name))
		return false;
	put_address(&request.ifr_netmask, mask);
	return set(fd, SIOCSIFNETMASK, &request, name) && interface_up(fd, name);
}

bool interface_clear(int fd, const char *name)
{
	struct ifreq request = interface_named(name);

	put_address(&request.ifr_addr, INADDR_ANY); /* net/ipv4/devinet.c: the old one goes, none comes */
	return set(fd, SIOCSIFADDR, &request, name);
}

bool interface_neighbour(int fd, const char *name, uint32_t host)
{
	struct ifreq request = interface_named(name);
	struct rtentry route = {.rt_flags = RTF_UP | RTF_HOST, .rt_dev = request.ifr_name};

	put_address(&route.rt_dst, host);
	put_address(&route.rt_genmask, INADDR_BROADCAST);
	return set(fd, SIOCADDRT, &route, "route to the gateway");
}

bool interface_gateway(int fd, uint32_t gateway)
{
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};

	put_address(&route.rt_dst, INADDR_ANY);
	put_address(&route.rt_genmask, INADDR_ANY);
	put_address(&route.rt_gateway, gateway);
	return set(fd, SIOCADDRT, &route, "default route");
}
