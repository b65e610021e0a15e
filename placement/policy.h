/* SPDX-License-Identifier: Apache-2.0
 *
 * A policy turns evidence into wishes: which node would serve a device better.
 * It decides nothing; the planner grants wishes. A policy is pure: what it
 * returns depends on its parameters, what it has learnt and its arguments
 * alone. What it learns has a fixed size and no pointers: a state for each device, and
 * memory that all devices of a run share.
 */
#ifndef PLACEMENT_POLICY_H
#define PLACEMENT_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define POLICY_STATE_SIZE 160 /* a device's, at most */
#define POLICY_WISHES_MAX 4
#define POLICY_VISITS 3

/* Nodes go by numbers here that stay the same while the controller runs.
 * Candidates come in the order of their names. */
struct policy_candidate {
	uint32_t node;
	bool available; /* up, and could take the VM */
	bool measured;  /* the figures below mean something */
	uint64_t srtt_ns, rttvar_ns;
	uint32_t confidence; /* 0 to 100 */
	uint64_t age_ns;     /* of the newest sample */
};

struct policy_visit {
	uint32_t node;
	uint64_t ago_ns; /* since the VM arrived there; UINT64_MAX: unknown */
};

struct policy_view {
	uint64_t now_ns; /* monotonic */
	const struct policy_candidate *candidates;
	size_t n_candidates;
	/* Where the VM is and was, the newest first; none: it is nowhere. */
	struct policy_visit visits[POLICY_VISITS];
	size_t n_visits;
};

struct policy_wish {
	uint32_t target;
	uint64_t benefit_ns;
	const char *code; /* the reason, a word that stays */
	uint64_t here_ns, target_ns, held_ns;
};

/* Where its VM may soon be wanted. */
struct policy_prospect {
	uint32_t target;
	uint32_t permille; /* how likely that is */
};

/* What operators set. A policy takes what it needs. */
struct policy_parameters {
	uint64_t threshold_ns;    /* RTT above which a device is served badly */
	uint64_t hold_ns;         /* how long before that counts (3GPP: time to trigger) */
	uint64_t margin_ns;       /* how much better another node must be (hysteresis) */
	uint64_t min_stay_ns;     /* between two moves of a VM */
	uint64_t return_guard_ns; /* see policy_evidence.h */
	uint64_t max_age_ns;      /* older samples are no evidence */
	uint32_t min_confidence;  /* nor are less certain ones */
	uint64_t horizon_ns;      /* how far ahead costs count: by 1/e at that distance */
	uint32_t order;           /* of the chain that predicts: 1 or 2 */
};

struct policy_ops {
	const char *name;
	size_t state_size;  /* of a device; at most POLICY_STATE_SIZE */
	size_t shared_size; /* of what all devices share; it starts as zeros */
	/* Checks the parameters; the text names the offending one. */
	int (*init)(const struct policy_parameters *p, struct mg_error *err);
	/* `state` has state_size bytes, aligned for anything, and so has `shared`. */
	void (*dev_init)(void *state);
	/* There is news of the device: a sample of some candidate, or its VM is
	 * elsewhere. */
	void (*on_sample)(const struct policy_parameters *p, void *shared, void *state,
			  const struct policy_view *view);
	/* Writes at most POLICY_WISHES_MAX wishes, the best first; returns how many. */
	size_t (*wishes)(const struct policy_parameters *p, const void *shared, const void *state,
			 const struct policy_view *view, struct policy_wish *out);
	/* Of a device without a wish: the likeliest node that it will have one for; false: none. */
	bool (*foresee)(const struct policy_parameters *p, const void *shared, const void *state,
			const struct policy_view *view, struct policy_prospect *out);
};

/* By name; NULL when there is no such policy. */
const struct policy_ops *policy_find(const char *name);

extern const struct policy_ops policy_markov;
extern const struct policy_ops policy_rent_or_buy;
extern const struct policy_ops policy_threshold;

#endif
