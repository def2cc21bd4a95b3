#include "network.h"

#include <errno.h>

#include "address.h"
#include "event.h"
#include "interface.h"
#include "sys.h"

static void connect_machine(int fd, const char *address, const char *gateway)
{
	uint32_t host, mask;

	if (!address_parse_network(address, &host, &mask)) {
		event_error("kernel parameter kiln_ip", -EINVAL);
		return;
	}
	if (!interface_address(fd, "eth0", host, mask) || !gateway)
		return;
	if (address_parse(gateway, &host))
		interface_gateway(fd, host);
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
	interface_up((int)fd, "lo"); /* the kernel gives it 127.0.0.1/8 by itself (net/ipv4/devinet.c) */
	if (address && !conf->dhcp_wait_ms)
		connect_machine((int)fd, address, gateway);
	sys_close((int)fd);
}
