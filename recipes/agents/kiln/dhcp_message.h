/* Messages of DHCP (RFC 2131, 2132): written, and read without trust in whoever sent them. Addresses are in host byte
 * order. Nothing here makes a system call. */
#ifndef KILN_DHCP_MESSAGE_H
#define KILN_DHCP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DHCP_MAC 6
#define DHCP_SIZE 300 /* of what we send: BOOTP's least, which some servers and relays insist on (RFC 1542 2.1) */
#define DHCP_RESOLVERS 3 /* as many as resolv.conf(5) has */
#define DHCP_FOR_EVER UINT32_MAX

enum dhcp_type { DHCP_DISCOVER = 1, DHCP_OFFER = 2, DHCP_REQUEST = 3, DHCP_ACK = 5, DHCP_NAK = 6 };

/* Whose message: a reply must name the same. */
struct dhcp_client {
	uint8_t mac[DHCP_MAC];
	uint32_t xid;
};

struct dhcp_lease {
	uint32_t address, mask, server;
	uint32_t gateway; /* 0: none */
	uint32_t resolver[DHCP_RESOLVERS];
	size_t resolvers;
	uint32_t seconds, renew_s, rebind_s; /* all DHCP_FOR_EVER, or in growing order */
};

struct dhcp_question {
	enum dhcp_type type;
	uint32_t current;   /* the address we have and ask for again; 0: none, answers must be sent to all */
	uint32_t requested; /* the address that `server` has offered; 0: none */
	uint32_t server;
	uint16_t elapsed_s;
};

void dhcp_write(uint8_t message[DHCP_SIZE], const struct dhcp_client *client, const struct dhcp_question *question);

/* OFFER, ACK or NAK to this client, of which only `server` is known then; 0: no such message, or a lease that cannot
 * be. */
enum dhcp_type dhcp_read(const uint8_t *message, size_t size, const struct dhcp_client *client, struct dhcp_lease *to);

#endif
