/* SPDX-License-Identifier: Apache-2.0
 *
 * A socket filter (classic BPF) for Ethernet frames that lets pass what tcp_segment_read() is to
 * see: TCP segments with options enough for time stamps, no fragments, over IPv4 and IPv6, from or
 * to one of some hosts. So that all other traffic costs nothing but the filter.
 *
 * Hosts are known by the last four bytes of their addresses; who else has the same ones passes,
 * too.
 */
#ifndef TELEMETRY_TCP_FILTER_H
#define TELEMETRY_TCP_FILTER_H

#include <linux/filter.h>
#include <stddef.h>

#include "common/address.h"

/* The kernel of Debian 12 has room for the filters of so many hosts, the old one and the new. */
#define TCP_FILTER_HOSTS 256
#define TCP_FILTER_SIZE 1024

/* What the filter knows a host by. */
uint32_t tcp_filter_key(const struct address *host);

/* Puts keys in order and drops double ones; returns how many are left. */
size_t tcp_filter_sort(uint32_t *keys, size_t n);

/* Writes the filter for that many keys, sorted, at most TCP_FILTER_HOSTS; of none it lets nothing
 * pass. Returns its length. */
size_t tcp_filter_make(const uint32_t *keys, size_t n, struct sock_filter ret[TCP_FILTER_SIZE]);

/* The same for any hosts. */
size_t tcp_filter_make_open(struct sock_filter ret[TCP_FILTER_SIZE]);

#endif
