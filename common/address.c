/* SPDX-License-Identifier: Apache-2.0 */
#include "common/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int port_parse(const char *text, uint16_t *ret)
{
	unsigned port = 0;
	size_t n = strspn(text, "0123456789");

	if (n == 0 || n > 5 || text[n])
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		port = port * 10 + (unsigned)(text[i] - '0');
	if (port > UINT16_MAX)
		return -EINVAL;
	*ret = (uint16_t)port;
	return 0;
}

int address_parse(const char *text, uint16_t default_port, struct address *ret)
{
	bool bracketed = text[0] == '[';
	size_t n = strcspn(text, bracketed ? "]" : ":");
	const char *host_end = text + n, *port = bracketed && *host_end ? host_end + 1 : host_end;
	char host[INET6_ADDRSTRLEN];
	struct address a = { 0 };
	uint16_t number = default_port;

	if (bracketed && *host_end != ']')
		return -EINVAL;
	text += bracketed;
	n -= bracketed;
	if (n >= sizeof(host) || (*port && *port != ':') || (!*port && !default_port))
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	if (*port && port_parse(port + 1, &number) < 0)
		return -EINVAL;
	a.any.sa_family = bracketed ? AF_INET6 : AF_INET;
	if (inet_pton(a.any.sa_family, host,
		      bracketed ? (void *)&a.v6.sin6_addr : (void *)&a.v4.sin_addr) != 1)
		return -EINVAL;
	address_set_port(&a, number);
	*ret = a;
	return 0;
}

const char *address_format(const struct address *a, char text[ADDRESS_TEXT_SIZE])
{
	char host[INET6_ADDRSTRLEN];

	if (a->any.sa_family == AF_INET)
		snprintf(text, ADDRESS_TEXT_SIZE, "%s:%u",
			 inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof(host)), address_port(a));
	else if (a->any.sa_family == AF_INET6)
		snprintf(text, ADDRESS_TEXT_SIZE, "[%s]:%u",
			 inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof(host)),
			 address_port(a));
	else
		snprintf(text, ADDRESS_TEXT_SIZE, "none");
	return text;
}

socklen_t address_len(const struct address *a)
{
	if (a->any.sa_family == AF_INET)
		return sizeof(a->v4);
	return a->any.sa_family == AF_INET6 ? sizeof(a->v6) : 0;
}

uint16_t address_port(const struct address *a)
{
	if (a->any.sa_family == AF_INET)
		return ntohs(a->v4.sin_port);
	return a->any.sa_family == AF_INET6 ? ntohs(a->v6.sin6_port) : 0;
}

void address_set_port(struct address *a, uint16_t port)
{
	if (a->any.sa_family == AF_INET)
		a->v4.sin_port = htons(port);
	else if (a->any.sa_family == AF_INET6)
		a->v6.sin6_port = htons(port);
}

bool address_equal(const struct address *a, const struct address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->v4.sin_port == b->v4.sin_port &&
		       a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	if (a->any.sa_family == AF_INET6)
		return a->v6.sin6_port == b->v6.sin6_port &&
		       a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
		       memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr)) == 0;
	return true;
}

int address_elsewhere(const char *endpoint, const char *host, char *ret, size_t size)
{
	static const char scheme[] = "tcp://";
	char text[ADDRESS_TEXT_SIZE];
	struct address there, here;
	bool bare_v6 = host[0] != '[' && strchr(host, ':') != strrchr(host, ':');

	snprintf(text, sizeof(text), bare_v6 ? "[%s]" : "%s", host);
	if (strncmp(endpoint, scheme, sizeof(scheme) - 1) == 0)
		endpoint += sizeof(scheme) - 1;
	if (address_parse(endpoint, 0, &there) < 0 ||
	    address_parse(text, address_port(&there), &here) < 0)
		return -EINVAL;
	address_set_port(&here, address_port(&there));
	address_format(&here, text);
	if (strlen(text) >= size)
		return -ENOBUFS;
	memcpy(ret, text, strlen(text) + 1);
	return 0;
}

bool address_is_loopback(const struct address *a)
{
	if (a->any.sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
	return a->any.sa_family == AF_INET && ntohl(a->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}
