#include "dhcp_message.h"

#include <string.h>

/* places in a message (RFC 2131 2) and options (RFC 2132) */
enum {
	OP = 0, HTYPE = 1, HLEN = 2, XID = 4, SECS = 8, FLAGS = 10, CIADDR = 12, YIADDR = 16, CHADDR = 28, COOKIE = 236,
	OPTIONS = 240
};
enum {
	PAD = 0, MASK = 1, ROUTER = 3, RESOLVER = 6, REQUESTED = 50, LEASE = 51, TYPE = 53, SERVER = 54, WANTED = 55,
	RENEW = 58, REBIND = 59, END = 255
};
#define REQUEST 1
#define REPLY 2
#define ETHERNET 1
#define TO_ALL 0x80
#define MAGIC 0x63825363u

struct found {
	const uint8_t *option[END]; /* their values; NULL: not there */
	uint8_t size[END];
};

static uint32_t number_at(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_number(uint8_t *at, uint32_t number)
{
	at[0] = (uint8_t)(number >> 24);
	at[1] = (uint8_t)(number >> 16);
	at[2] = (uint8_t)(number >> 8);
	at[3] = (uint8_t)number;
}

static uint8_t *put_option(uint8_t *at, uint8_t option, uint32_t number)
{
	if (!number)
		return at;
	*at++ = option;
	*at++ = 4;
	put_number(at, number);
	return at + 4;
}

void dhcp_write(uint8_t message[DHCP_SIZE], const struct dhcp_client *client, const struct dhcp_question *question)
{
	static const uint8_t wanted[] = {WANTED, 7, MASK, ROUTER, RESOLVER, LEASE, SERVER, RENEW, REBIND};
	uint8_t *at = message + OPTIONS;

	memset(message, 0, DHCP_SIZE);
	message[OP] = REQUEST;
	message[HTYPE] = ETHERNET;
	message[HLEN] = DHCP_MAC;
	put_number(message + XID, client->xid);
	message[SECS] = (uint8_t)(question->elapsed_s >> 8);
	message[SECS + 1] = (uint8_t)question->elapsed_s;
	message[FLAGS] = question->current ? 0 : TO_ALL;
	put_number(message + CIADDR, question->current);
	memcpy(message + CHADDR, client->mac, DHCP_MAC);
	put_number(message + COOKIE, MAGIC);
	*at++ = TYPE;
	*at++ = 1;
	*at++ = (uint8_t)question->type;
	at = put_option(at, REQUESTED, question->requested);
	at = put_option(at, SERVER, question->server);
	memcpy(at, wanted, sizeof wanted);
	at[sizeof wanted] = END;
}

/* Options that are cut off, have no end, or say something twice make a message that says nothing. */
static bool find(const uint8_t *at, const uint8_t *end, struct found *found)
{
	while (at < end && *at != END) {
		uint8_t option = *at++;

		if (option == PAD)
			continue;
		if (at == end || *at > end - at - 1 || found->option[option])
			return false;
		found->size[option] = *at;
		found->option[option] = at + 1;
		at += 1 + *at;
	}
	return at < end;
}

/* An option that is not there is no mistake; one of another size is. */
static bool take(const struct found *found, uint8_t option, uint32_t *to)
{
	if (found->option[option] && found->size[option] != 4)
		return false;
	if (found->option[option])
		*to = number_at(found->option[option]);
	return true;
}

/* A single machine's address: none of 0/8 and 127/8, no group, nothing reserved. */
static bool is_machine(uint32_t address)
{
	uint32_t first = address >> 24;

	return first > 0 && first != 127 && first < 224;
}

static bool is_mask(uint32_t mask)
{
	uint32_t hosts = ~mask;

	return mask && (hosts & (hosts + 1)) == 0;
}

/* As it was before masks were sent along (RFC 791 3.2). */
static uint32_t usual_mask(uint32_t address)
{
	uint32_t first = address >> 24;

	return first < 128 ? 0xff000000 : first < 192 ? 0xffff0000 : 0xffffff00;
}

static bool take_address(const uint8_t *message, const struct found *found, struct dhcp_lease *to)
{
	uint32_t hosts;

	to->address = number_at(message + YIADDR);
	to->mask = usual_mask(to->address);
	if (!is_machine(to->address) || !take(found, MASK, &to->mask) || !is_mask(to->mask))
		return false;
	hosts = ~to->mask;
	return hosts < 2 || ((to->address & hosts) != 0 && (to->address & hosts) != hosts);
}

/* The first of a list of routers, and of resolvers as many as there is room for; addresses of nobody are left out. */
static bool take_neighbours(const struct found *found, struct dhcp_lease *to)
{
	const uint8_t *router = found->option[ROUTER], *resolver = found->option[RESOLVER];
	size_t i;

	if (found->size[ROUTER] % 4 || found->size[RESOLVER] % 4)
		return false;
	if (router && found->size[ROUTER])
		to->gateway = number_at(router);
	if (!is_machine(to->gateway) || to->gateway == to->address)
		to->gateway = 0;
	for (i = 0; i < found->size[RESOLVER] && to->resolvers < DHCP_RESOLVERS; i += 4)
		if (is_machine(number_at(resolver + i)))
			to->resolver[to->resolvers++] = number_at(resolver + i);
	return true;
}

/* Times that contradict each other are as if they were not there (RFC 2131 4.4.5). */
static bool take_times(const struct found *found, struct dhcp_lease *to)
{
	if (!take(found, LEASE, &to->seconds) || !take(found, RENEW, &to->renew_s) || !take(found, REBIND, &to->rebind_s))
		return false;
	if (to->seconds == DHCP_FOR_EVER) {
		to->renew_s = to->rebind_s = DHCP_FOR_EVER;
		return true;
	}
	if (!to->renew_s || to->renew_s >= to->rebind_s || to->rebind_s >= to->seconds) {
		to->renew_s = to->seconds / 2;
		to->rebind_s = (uint32_t)((uint64_t)to->seconds * 7 / 8);
	}
	return to->seconds != 0;
}

static bool is_reply(const uint8_t *message, size_t size, const struct dhcp_client *client)
{
	return size >= OPTIONS && message[OP] == REPLY && message[HTYPE] == ETHERNET && message[HLEN] == DHCP_MAC &&
	       number_at(message + XID) == client->xid && memcmp(message + CHADDR, client->mac, DHCP_MAC) == 0 &&
	       number_at(message + COOKIE) == MAGIC;
}

enum dhcp_type dhcp_read(const uint8_t *message, size_t size, const struct dhcp_client *client, struct dhcp_lease *to)
{
	struct found found = {0};
	uint8_t type;

	*to = (struct dhcp_lease){0};
	if (!is_reply(message, size, client) || !find(message + OPTIONS, message + size, &found) ||
	    !found.option[TYPE] || found.size[TYPE] != 1 || !take(&found, SERVER, &to->server) || !is_machine(to->server))
		return 0;
	type = *found.option[TYPE];
	if (type == DHCP_NAK)
		return DHCP_NAK;
	if ((type != DHCP_OFFER && type != DHCP_ACK) || !take_address(message, &found, to) ||
	    !take_neighbours(&found, to) || !take_times(&found, to))
		return 0;
	return (enum dhcp_type)type;
}
