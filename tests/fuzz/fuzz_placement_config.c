/* SPDX-License-Identifier: Apache-2.0
 *
 * placementd.yaml: what is taken must be a configuration that the policy takes.
 */
#include <stdint.h>
#include <stdlib.h>

#include "common/keys.h"
#include "placement/placement_config.h"
#include "placement/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct placement_config *c = NULL;
	struct mg_error err = { 0 };

	if (placement_config_parse("fuzz.yaml", (const char *)data, size, &c, &err) < 0) {
		if (!err.text[0] || c)
			abort();
		return 0;
	}
	if (!peer_name_is_valid(c->name) || !policy_find(c->policy) || c->limits.moves == 0 ||
	    c->parameters.margin_ns >= c->parameters.threshold_ns || !c->store != !!c->etcd.n_endpoints)
		abort();
	placement_config_free(c);
	return 0;
}
