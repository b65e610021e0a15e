/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/gateway.h"

#include <errno.h>
#include <net/route.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"

#define ROUTES_MAX ((size_t)4 << 20)

int gateway_parse(const char *text, struct in_addr *ret)
{
	unsigned best_metric = 0;
	struct in_addr best = { 0 };
	bool found = false;

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		unsigned destination, gateway, flags, metric, mask;

		/* Addresses are printed as numbers of this host's byte order. */
		if (sscanf(line, "%*31s %8x %8x %4x %*u %*u %u %8x", &destination, &gateway, &flags,
			   &metric, &mask) != 5)
			continue;
		if (destination || mask || !(flags & RTF_UP) || !(flags & RTF_GATEWAY))
			continue;
		if (found && metric >= best_metric)
			continue;
		found = true;
		best_metric = metric;
		best.s_addr = gateway;
	}
	if (!found)
		return -ENETUNREACH;
	*ret = best;
	return 0;
}

static int parse_hex(const char digits[32], struct in6_addr *ret)
{
	size_t n;

	return sodium_hex2bin(ret->s6_addr, sizeof(ret->s6_addr), digits, 32, NULL, &n, NULL) ==
				       0 &&
			       n == sizeof(ret->s6_addr)
		       ? 0
		       : -EBADMSG;
}

int gateway_parse_v6(const char *text, struct in6_addr *ret, char ret_interface[IF_NAMESIZE])
{
	char best_interface[IF_NAMESIZE] = "";
	struct in6_addr best = { 0 };
	unsigned best_metric = 0;

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		char destination[33], gateway[33], interface[IF_NAMESIZE];
		unsigned length, metric, flags;
		struct in6_addr a;

		if (sscanf(line, "%32[0-9a-f] %2x %*32s %*2s %32[0-9a-f] %8x %*8s %*8s %8x %15s",
			   destination, &length, gateway, &metric, &flags, interface) != 6)
			continue;
		if (length || !(flags & RTF_UP) || !(flags & RTF_GATEWAY))
			continue;
		if (best_interface[0] && metric >= best_metric)
			continue;
		if (strlen(gateway) != 32 || parse_hex(gateway, &a) < 0)
			continue;
		best = a;
		best_metric = metric;
		strcpy(best_interface, interface);
	}
	if (!best_interface[0])
		return -ENETUNREACH;
	*ret = best;
	strcpy(ret_interface, best_interface);
	return 0;
}

static int find_v6(const char *text, struct sockaddr_in6 *a)
{
	char interface[IF_NAMESIZE];
	int r = gateway_parse_v6(text, &a->sin6_addr, interface);

	if (r < 0)
		return r;
	a->sin6_scope_id = 0;
	if (!IN6_IS_ADDR_LINKLOCAL(&a->sin6_addr))
		return 0;
	a->sin6_scope_id = if_nametoindex(interface);
	return a->sin6_scope_id ? 0 : -ENETUNREACH;
}

int gateway_read(struct address *a)
{
	bool v6 = a->any.sa_family == AF_INET6;
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = file_read(v6 ? "/proc/net/ipv6_route" : "/proc/net/route", ROUTES_MAX, &text, &len,
		      NULL);
	if (r < 0)
		return r;
	return v6 ? find_v6(text, &a->v6) : gateway_parse(text, &a->v4.sin_addr);
}
