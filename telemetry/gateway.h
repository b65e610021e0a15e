/* SPDX-License-Identifier: Apache-2.0
 *
 * The default gateway, as a device that roams finds its present tower.
 */
#ifndef TELEMETRY_GATEWAY_H
#define TELEMETRY_GATEWAY_H

#include <net/if.h>
#include <netinet/in.h>

#include "common/address.h"

/* Sets the address in *a, and its scope, to the gateway of the default route with the lowest
 * metric, of the family that *a has; its port stays. -ENETUNREACH when there is none (a
 * point-to-point link has a default route without one); other errors of reading. */
int gateway_read(struct address *a);

/* For the text of /proc/net/route. */
int gateway_parse(const char *text, struct in_addr *ret);

/* For the text of /proc/net/ipv6_route; also the interface, which a link-local address needs. */
int gateway_parse_v6(const char *text, struct in6_addr *ret, char ret_interface[IF_NAMESIZE]);

#endif
