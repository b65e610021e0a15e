/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/gateway.h"

#include <net/route.h>
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

int gateway_read(struct in_addr *ret)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = file_read("/proc/net/route", ROUTES_MAX, &text, &len, NULL);
	return r < 0 ? r : gateway_parse(text, ret);
}
