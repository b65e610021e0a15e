/* SPDX-License-Identifier: Apache-2.0
 *
 * The default gateway, as a device that roams finds its present tower.
 */
#ifndef TELEMETRY_GATEWAY_H
#define TELEMETRY_GATEWAY_H

#include <netinet/in.h>

/* The gateway of the default route with the lowest metric, from
 * /proc/net/route. -ENETUNREACH when there is none (a point-to-point link has a
 * default route without one); other errors of reading. */
int gateway_read(struct in_addr *ret);

/* The same for the text of such a file. */
int gateway_parse(const char *text, struct in_addr *ret);

#endif
