/* SPDX-License-Identifier: Apache-2.0
 *
 * Internet addresses with a port: "192.0.2.7:862", "[2001:db8::7]:862".
 */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Only AF_INET and AF_INET6; all zero is "none" (AF_UNSPEC). */
struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};

#define ADDRESS_TEXT_SIZE 64

/* Parses a numeric address; names are not looked up. Without a port in the
 * text it gets `default_port`; 0 makes the port mandatory. Returns 0, or
 * -EINVAL. */
int address_parse(const char *text, uint16_t default_port, struct address *ret);

/* Writes "ADDRESS:PORT", "none" for none; returns `text`. */
const char *address_format(const struct address *a, char text[ADDRESS_TEXT_SIZE]);

/* Another host (with or without brackets and a port) with the port of `endpoint`, which is "ADDRESS:PORT" or the same behind "tcp://".
 * -EINVAL when either is none, -ENOBUFS. */
int address_elsewhere(const char *endpoint, const char *host, char *ret, size_t size);

/* The length that bind(2) and sendmsg(2) want; 0 for none. */
socklen_t address_len(const struct address *a);

uint16_t address_port(const struct address *a);
void address_set_port(struct address *a, uint16_t port);

/* Family, address and port (and scope) are the same. */
bool address_equal(const struct address *a, const struct address *b);

/* Of this host alone: 127.0.0.0/8 or ::1. */
bool address_is_loopback(const struct address *a);

static inline bool address_is_none(const struct address *a)
{
	return a->any.sa_family == AF_UNSPEC;
}

#endif
