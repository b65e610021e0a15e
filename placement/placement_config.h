/* SPDX-License-Identifier: Apache-2.0
 *
 * placementd.yaml, checked; placementd(8) describes it.
 */
#ifndef PLACEMENT_PLACEMENT_CONFIG_H
#define PLACEMENT_PLACEMENT_CONFIG_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "placement/etcd_client.h"
#include "placement/proto/placement.pb-c.h"
#include "placement/rest.h"
#include "placement/webhook.h"

struct placement_config {
	struct placement_config_file *file; /* owns the strings below */
	const char *name;
	const char *key, *allow; /* NULL: plain text */
	const char *listen, *listen_reports;
	const char *advertise; /* where others find us; see leadership.h */
	const char *store; /* NULL: in etcd */
	struct etcd_config etcd;
	uint64_t epoch_min; /* 0: whatever comes */
	const char *record, *decisions; /* NULL: not written */
	bool plain_text_bus;
	bool has_http;
	struct rest_config http;
	const char *http_advertise; /* a URL, or NULL */
	struct webhook_config webhooks[WEBHOOKS_MAX];
	size_t n_webhooks;
	const char *mec_cacert; /* for callbacks of subscribers; NULL: as this host does */
	Tagalong__Placement__CellNode *cells, **cell_pointers;
	size_t n_cells;
	Tagalong__Placement__Neighbourhood *neighbourhoods, **neighbourhood_pointers;
	size_t n_neighbourhoods;

	const char *policy;
	Tagalong__Placement__PolicyParameters parameters;
	protobuf_c_boolean recommend;
	struct placement_group {
		Tagalong__Placement__DeviceGroup message;
		Tagalong__Placement__PolicyParameters parameters; /* message.parameters */
	} *groups;
	size_t n_groups;
	uint64_t interval_ns;
	Tagalong__Placement__Limits limits;
	Tagalong__MoveLimits move_limits; /* limits.move, when any is set */
};

int placement_config_load(const char *path, struct placement_config **ret, struct mg_error *err);
int placement_config_parse(const char *name, const char *text, size_t len,
			   struct placement_config **ret, struct mg_error *err);
void placement_config_free(struct placement_config *config);
DEFINE_CLEANUP(struct placement_config, placement_config_free)

#endif
