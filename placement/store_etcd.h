/* SPDX-License-Identifier: Apache-2.0
 *
 * The store in etcd, which several controllers share.
 */
#ifndef PLACEMENT_STORE_ETCD_H
#define PLACEMENT_STORE_ETCD_H

#include "placement/etcd_client.h"
#include "placement/store.h"

/* No I/O yet: that etcd cannot be reached is told by whatever is asked first.
 * `config` is borrowed. Leases run on etcd's clock, by whole seconds. */
int store_etcd_open(const struct etcd_config *config, struct store **ret, struct mg_error *err);

#endif
