#include "network.h"

#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>

#include "address.h"
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

static struct ifreq interface(const char *name)
{
	struct ifreq request = {0};

	memcpy(request.ifr_name, name, strlen(name));
	return request;
}

static bool bring_up(int fd, const char *name)
{
	struct ifreq request = interface(name);

	request.ifr_flags = IFF_UP | IFF_RUNNING;
	return set(fd, SIOCSIFFLAGS, &request, name);
}

static bool give_address(int fd, const char *name, uint32_t address, uint32_t mask)
{
	struct ifreq request = interface(name);

	put_address(&request.ifr_addr, address);
	if (!set(fd, SIOCSIFADDR, &request, name))
		return false;
	put_address(&request.ifr_netmask, mask);
	return set(fd, SIOCSIFNETMASK, &request, name) && bring_up(fd, name);
}

static void add_default_route(int fd, uint32_t gateway)
{
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};

	put_address(&route.rt_dst, INADDR_ANY);
	put_address(&route.rt_genmask, INADDR_ANY);
	put_address(&route.rt_gateway, gateway);
	set(fd, SIOCADDRT, &route, "default route");
}

static void connect_machine(int fd, const char *address, const char *gateway)
{
	uint32_t host, mask;

	if (!address_parse_network(address, &host, &mask)) {
		event_error("kernel parameter kiln_ip", -EINVAL);
		return;
	}
	if (!give_address(fd, "eth0", host, mask) || !gateway)
		return;
	if (address_parse(gateway, &host))
		add_default_route(fd, host);
	else
		event_error("kernel parameter kiln_gw", -EINVAL);
}

void network_open(const struct conf *conf, const char *address, const char *gateway)
{
	long fd;

	if (!conf->network)
		return;
	fd = sys_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC);
	if (fd < 0) {
		event_error("network", fd);
		return;
	}
	bring_up((int)fd, "lo"); /* the kernel gives it 127.0.0.1/8 by itself (net/ipv4/devinet.c) */
	if (address)
		connect_machine((int)fd, address, gateway);
	sys_close((int)fd);
}
