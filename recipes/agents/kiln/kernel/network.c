// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets: which kinds are made, which ports served, which peers spoken to.
 */
#include <linux/net.h>
#include <linux/socket.h>
#include <net/inet_sock.h>
#include <net/ipv6.h>

#include "guard.h"

static int on_create(int family, int type, int protocol, int kern)
{
	bool usual = type == SOCK_STREAM || type == SOCK_DGRAM;

	if (kern || kiln_is_exempt() || family == AF_UNIX || family == AF_NETLINK ||
	    (usual && (family == AF_INET || family == AF_INET6)))
		return 0;
	return kiln_against(KILN_SOCKET, NULL, "family %d type %d protocol %d", family, type, protocol);
}

static bool is_of_internet(const struct socket *sock)
{
	return sock->sk && (sock->sk->sk_family == AF_INET || sock->sk->sk_family == AF_INET6);
}

static bool is_served(u16 port, bool udp)
{
	unsigned int i;

	for (i = 0; i < kiln_policy.ports; i++)
		if (kiln_policy.port[i].port == port && kiln_policy.port[i].udp == udp)
			return true;
	return false;
}

static const char *protocol_of(const struct socket *sock)
{
	return sock->type == SOCK_STREAM ? "tcp" : "udp";
}

/* The peer or the own end that an address of either family means, if it is whole. */
static bool address_of(const struct sockaddr *address, int size, int family, struct in6_addr *to, u16 *port)
{
	const struct sockaddr_in *old = (const void *)address;
	const struct sockaddr_in6 *new = (const void *)address;

	if (family == AF_INET && size >= (int)sizeof(*old)) {
		ipv6_addr_set_v4mapped(old->sin_addr.s_addr, to);
		*port = ntohs(old->sin_port);
		return true;
	}
	if (family == AF_INET6 && size >= SIN6_LEN_RFC2133) {
		*to = new->sin6_addr;
		*port = ntohs(new->sin6_port);
		return true;
	}
	return false;
}

/* A port of one's own choice is served: by TCP as soon as it listens, by UDP at once. */
static int on_bind(struct socket *sock, struct sockaddr *address, int size)
{
	struct in6_addr own;
	u16 port;

	if (kiln_is_exempt() || !is_of_internet(sock) || size < (int)sizeof(sa_family_t))
		return 0;
	if (!address_of(address, size, address->sa_family ?: sock->sk->sk_family, &own, &port) || !port)
		return 0;
	if (is_served(port, sock->type != SOCK_STREAM))
		return 0;
	return kiln_against(KILN_LISTEN, NULL, "bind %s port %u", protocol_of(sock), port);
}

static int on_listen(struct socket *sock, int backlog)
{
	u16 port;

	if (kiln_is_exempt() || !is_of_internet(sock))
		return 0;
	port = inet_sk(sock->sk)->inet_num;
	if (is_served(port, false)) {
		kiln_allowed(KILN_LISTEN);
		return 0;
	}
	return kiln_against(KILN_LISTEN, NULL, "listen %s port %u", protocol_of(sock), port);
}

static bool is_known(const struct in6_addr *address, u16 port)
{
	unsigned int i;

	for (i = 0; i < kiln_policy.peers; i++) {
		const struct kiln_peer *peer = &kiln_policy.peer[i];

		if ((!peer->port || peer->port == port) &&
		    (ipv6_addr_any(&peer->address) || ipv6_addr_equal(&peer->address, address)))
			return true;
	}
	return false;
}

/*
 * The machine itself is no peer: nothing leaves it, and resolvers connect
 * datagram sockets to such addresses only to learn their own.
 */
static bool is_here(const struct in6_addr *address)
{
	if (ipv6_addr_v4mapped(address))
		return ipv4_is_loopback(address->s6_addr32[3]) || !address->s6_addr32[3];
	return ipv6_addr_loopback(address) || ipv6_addr_any(address);
}

static int judge_peer(const struct socket *sock, const struct sockaddr *address, int size, int family)
{
	struct in6_addr peer;
	u16 port;

	if (!address_of(address, size, family, &peer, &port))
		return 0; /* the protocol refuses it */
	if (is_here(&peer) || is_known(&peer, port)) {
		kiln_allowed(KILN_CONNECT);
		return 0;
	}
	if (ipv6_addr_v4mapped(&peer))
		return kiln_against(KILN_CONNECT, NULL, "%s %pI4:%u", protocol_of(sock), &peer.s6_addr32[3], port);
	return kiln_against(KILN_CONNECT, NULL, "%s [%pI6c]:%u", protocol_of(sock), &peer, port);
}

static int on_connect(struct socket *sock, struct sockaddr *address, int size)
{
	if (kiln_is_exempt() || !is_of_internet(sock) || size < (int)sizeof(sa_family_t))
		return 0;
	return judge_peer(sock, address, size, address->sa_family); /* AF_UNSPEC takes a connection back */
}

/* What is sent to an address needs no connection; answers come from a port that is served. */
static int on_send(struct socket *sock, struct msghdr *message, int size)
{
	const struct sockaddr *address = message->msg_name;

	if (!address || kiln_is_exempt() || !is_of_internet(sock) || message->msg_namelen < (int)sizeof(sa_family_t))
		return 0;
	if (sock->type != SOCK_STREAM && is_served(inet_sk(sock->sk)->inet_num, true))
		return 0;
	return judge_peer(sock, address, message->msg_namelen, address->sa_family ?: sock->sk->sk_family);
}

static struct security_hook_list hooks[] __ro_after_init = {
	LSM_HOOK_INIT(socket_create, on_create),
	LSM_HOOK_INIT(socket_bind, on_bind),
	LSM_HOOK_INIT(socket_listen, on_listen),
	LSM_HOOK_INIT(socket_connect, on_connect),
	LSM_HOOK_INIT(socket_sendmsg, on_send),
};

void __init kiln_network_init(void)
{
	security_add_hooks(hooks, ARRAY_SIZE(hooks), &kiln_lsmid);
}
