#include "dhcp.h"

#include <net/if_arp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>

#include "address.h"
#include "clock.h"
#include "dhcp_message.h"
#include "event.h"
#include "interface.h"
#include "loop.h"
#include "resolver.h"
#include "rules.h"
#include "sys.h"
#include "text.h"

#define DEVICE "eth0"
#define SERVER_PORT 67
#define CLIENT_PORT 68
#define LONGEST (64 * SECOND) /* between two questions, while there is no address */
#define TRIES 4               /* to get what was offered: then whoever else offers something */
#define ANSWER 1500

static enum { OFF, SELECTING, REQUESTING, BOUND, RENEWING, REBINDING } state;
static int fd = -1;
static struct dhcp_client client;
static struct dhcp_lease lease; /* what was offered, or what we have */
static bool has_lease;
static unsigned int tries;
static int64_t since_us; /* the first question of this exchange */
static int64_t asked_us; /* the last one: a lease counts from there */
static int64_t due_us;   /* the next one */
static int64_t renew_us, rebind_us, end_us;

/* Differs from machine to machine and from time to time, which is all that is asked of it: xorshift (Marsaglia 2003). */
static uint32_t next_random(void)
{
	static uint32_t random;

	if (!random) {
		/* 16 bytes that the kernel gives every program; the first 8 guard our stack, and nobody may learn them */
		unsigned long seed = getauxval(AT_RANDOM);

		if (seed)
			memcpy(&random, (const char *)seed + 8, sizeof random);
		random ^= (uint32_t)clock_us() | 1;
	}
	random ^= random << 13;
	random ^= random >> 17;
	random ^= random << 5;
	return random;
}

/* Three to five quarters of it, so that machines that start together do not ask together. */
static int64_t about(int64_t time_us)
{
	return time_us * 3 / 4 + time_us * (next_random() & 1023) / 2048;
}

static int64_t after(uint32_t seconds)
{
	return seconds == DHCP_FOR_EVER ? NEVER : asked_us + seconds * SECOND;
}

/* Half of what is left of the time to do it in (RFC 2131 4.4.5), a second at least. */
static int64_t pause_us(int64_t now_us)
{
	int64_t left_us = (state == RENEWING ? rebind_us : end_us) - now_us;

	if (has_lease)
		return left_us / 2 > SECOND ? left_us / 2 : SECOND;
	return about(tries < 6 ? SECOND << tries : LONGEST);
}

static void ask(void)
{
	int64_t now_us = clock_us(), elapsed_s = (now_us - since_us) / SECOND;
	struct dhcp_question question = {
		.type = state == SELECTING ? DHCP_DISCOVER : DHCP_REQUEST,
		.current = has_lease ? lease.address : 0,
		.requested = state == REQUESTING ? lease.address : 0,
		.server = state == REQUESTING ? lease.server : 0,
		.elapsed_s = (uint16_t)(elapsed_s < UINT16_MAX ? elapsed_s : UINT16_MAX),
	};
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(SERVER_PORT),
		.sin_addr.s_addr = htonl(state == RENEWING ? lease.server : INADDR_BROADCAST),
	};
	uint8_t message[DHCP_SIZE];
	long error;

	dhcp_write(message, &client, &question);
	error = sys_sendto(fd, message, sizeof message, &to, sizeof to);
	if (error < 0 && !tries)
		event_error("DHCP", error);
	asked_us = now_us;
	due_us = now_us + pause_us(now_us);
	tries++;
}

static void enter(int next)
{
	state = next;
	tries = 0;
	due_us = since_us = clock_us();
	if (next != REQUESTING) /* an offer is taken under its own number */
		client.xid = next_random();
}

static void tell_address(const char *key, uint32_t address)
{
	char words[16];
	struct text text = text_in(words, sizeof words);

	address_write(&text, address);
	event_string(key, text_end(&text));
}

static void tell_lease(bool renewed)
{
	char words[24];
	struct text text = text_in(words, sizeof words);

	address_write_network(&text, lease.address, lease.mask);
	event_begin("lease");
	event_string("address", text_end(&text));
	if (lease.gateway)
		tell_address("gateway", lease.gateway);
	tell_address("server", lease.server);
	if (lease.seconds != DHCP_FOR_EVER)
		event_number("seconds", lease.seconds);
	event_flag("renewed", renewed);
	event_end();
}

/* Clouds lend single addresses, with a gateway that is in no network of theirs. */
static void lead_out(void)
{
	bool is_near = ((lease.gateway ^ lease.address) & lease.mask) == 0;

	if (lease.gateway && (is_near || interface_neighbour(fd, DEVICE, lease.gateway)))
		interface_gateway(fd, lease.gateway);
}

/* Connections outlive a renewal that changes nothing. */
static void use(const struct dhcp_lease *given)
{
	bool renewed = has_lease;
	bool same = renewed && given->mask == lease.mask && given->gateway == lease.gateway;

	lease = *given;
	if (!same) {
		if (has_lease)
			interface_clear(fd, DEVICE);
		if (interface_address(fd, DEVICE, lease.address, lease.mask))
			lead_out();
	}
	has_lease = true;
	resolver_write(lease.resolver, lease.resolvers);
	renew_us = after(lease.renew_s);
	rebind_us = after(lease.rebind_s);
	end_us = after(lease.seconds);
	state = BOUND;
	tell_lease(renewed);
}

static void lose(const char *why)
{
	if (!has_lease)
		return;
	interface_clear(fd, DEVICE);
	has_lease = false;
	resolver_write(NULL, 0);
	event_begin("lease-lost");
	tell_address("address", lease.address);
	event_string("what", why);
	event_end();
	rules_note(&(struct finding){.event = "lease-lost", .what = scan_of(why, strlen(why)), .count = 1});
}

static bool is_wanted(enum dhcp_type type, const struct dhcp_lease *given)
{
	bool same_server = given->server == lease.server;

	if (type == DHCP_OFFER)
		return state == SELECTING;
	if (state != REQUESTING && state != RENEWING && state != REBINDING)
		return false;
	return (same_server || state == REBINDING) && (type == DHCP_NAK || given->address == lease.address);
}

static void on_ready(void *argument, short events)
{
	uint8_t message[ANSWER];
	struct dhcp_lease given;
	long size = sys_read(fd, message, sizeof message);
	enum dhcp_type type;

	(void)argument;
	(void)events;
	type = size > 0 ? dhcp_read(message, (size_t)size, &client, &given) : 0;
	if (!type || !is_wanted(type, &given))
		return;
	if (type == DHCP_ACK) {
		use(&given);
	} else if (type == DHCP_OFFER) {
		lease = given;
		enter(REQUESTING);
	} else {
		lose("refused by the server");
		enter(SELECTING);
		due_us += about(SECOND); /* who refuses at once is not asked at once */
	}
}

void dhcp_turn(void)
{
	int64_t now_us = clock_us();

	if (state == OFF)
		return;
	if (has_lease && now_us >= end_us) {
		lose("expired");
		enter(SELECTING);
	} else if (has_lease && state != REBINDING && now_us >= rebind_us) {
		enter(REBINDING);
	} else if (state == BOUND && now_us >= renew_us) {
		enter(RENEWING);
	} else if (state == REQUESTING && tries == TRIES && now_us >= due_us) {
		enter(SELECTING);
	}
	if (state != BOUND && now_us >= due_us)
		ask();
}

static int64_t wake_us(void)
{
	int64_t limit_us = state == BOUND ? renew_us : state == RENEWING ? rebind_us : state == REBINDING ? end_us : NEVER;

	return state != BOUND && due_us < limit_us ? due_us : limit_us;
}

void dhcp_watch(void)
{
	if (state == OFF)
		return;
	loop_watch(fd, POLLIN, on_ready, NULL);
	loop_wake_at(wake_us());
}

static long open_socket(void)
{
	static const int yes = 1;
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(CLIENT_PORT)};
	struct ifreq request = interface_named(DEVICE);
	long error = sys_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (error < 0)
		return error;
	fd = (int)error;
	if (!interface_up(fd, DEVICE))
		return 0;
	error = sys_ioctl(fd, SIOCGIFHWADDR, &request);
	memcpy(client.mac, request.ifr_hwaddr.sa_data, DHCP_MAC);
	if (error >= 0)
		error = sys_setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes);
	if (error >= 0)
		error = sys_setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, DEVICE, sizeof DEVICE);
	return error >= 0 ? sys_bind(fd, &any, sizeof any) : error;
}

void dhcp_open(const struct conf *conf)
{
	int64_t until_us = clock_us() + (int64_t)conf->dhcp_wait_ms * MILLISECOND;
	long error;

	if (!conf->dhcp_wait_ms || !resolver_open())
		return;
	error = open_socket();
	if (error < 0) {
		event_error("DHCP", error);
		return;
	}
	enter(SELECTING);
	for (dhcp_turn(); state != BOUND && clock_us() < until_us; dhcp_turn())
		if (loop_wait_for(fd, POLLIN, wake_us() < until_us ? wake_us() : until_us))
			on_ready(NULL, POLLIN);
	if (state == BOUND)
		return;
	event_begin("lease-wait");
	event_number("waited_ms", (int64_t)conf->dhcp_wait_ms);
	event_end();
}
