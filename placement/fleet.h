/* SPDX-License-Identifier: Apache-2.0
 *
 * What the controller knows of the world: nodes, devices, VMs, which device
 * goes with which VM, and the round-trip times between them. Pure state: times
 * are arguments (monotonic nanoseconds unless named utc).
 *
 * Where a VM is, nodes say; each report of a node replaces what it said before.
 * While a VM moves, two nodes know of it: the one where it is more alive counts.
 *
 * Nodes, devices and VMs are made when first heard of and live as long as the
 * fleet, so pointers to them stay good. -ENOMEM is the only error unless
 * something else is said.
 */
#ifndef PLACEMENT_FLEET_H
#define PLACEMENT_FLEET_H

#include <sys/queue.h>

#include "common/address.h"
#include "common/keys.h"
#include "common/uuid.h"
#include "placement/environment.h"
#include "placement/index.h"
#include "placement/policy.h"

/* VMs and devices are named by the rule for peers, peer_name_is_valid(): so a
 * name may be part of a key in the store. */
#define NAME_SIZE PEER_NAME_SIZE

enum { PROGRAM_MIGRATOR, PROGRAM_TELEMETRY, PROGRAMS };

#define NODE_WINDOWS_MAX 8
#define NODE_LISTS_MAX 16

/* One of our programs on a node, as its messages show it. */
struct program {
	bool known; /* it has said hello since the controller started */
	bool up;
	uint64_t heard_ns;
	struct bus_peer peer; /* where it can be reached */
};

struct node {
	uint32_t number; /* in the order of acquaintance */
	char name[PEER_NAME_SIZE];
	struct program programs[PROGRAMS];
	struct uuid telemetry_boot; /* the instance of its telemetryd */
	struct {
		struct uuid boot; /* of the instance that the number is from */
		uint64_t number;  /* of its last report */
		uint64_t missed;  /* of all its instances, as gaps in the numbers tell */
	} reports;
	Tagalong__NodeHello *hello; /* of its migratord, without VMs and moves; or NULL */
	bool admitted; /* and its key is the allow list's; set by the controller */
	bool drained;  /* by an operator: VMs leave it and none comes */
	bool evacuated; /* drained, and in a hurry */
	struct quarantine {
		bool on; /* no VM comes to it */
		uint64_t until_utc_ns; /* UINT64_MAX: until an operator ends it */
		uint32_t failures;     /* moves to it, since the last that succeeded */
		uint64_t since_utc_ns; /* the first of them */
		uint32_t times;        /* in quarantine, since then */
	} quarantine; /* see quarantine.c */
	struct window {
		uint64_t start_utc_ns, end_utc_ns;
	} windows[NODE_WINDOWS_MAX]; /* see maintenance.c */
	size_t n_windows;
	bool maintained; /* one of them is near, or has begun: VMs leave it and none comes */
	struct node *next_changed;
	bool changed; /* the store's NodeEntry is out of date */
	Tagalong__VmInfo **vms;     /* what it reported last, in the order of their names */
	size_t n_vms;
	struct index claimed; /* the struct vm of which it has a claim, by name */
	struct load {
		uint64_t memory;
		uint32_t vcpus;
	} load;               /* of its VMs, those that are on their way to it included */
	uint64_t memory_used; /* by its own account */
	uint32_t lists[NODE_LISTS_MAX], n_lists; /* of neighbours that it is in; see neighbours.c */
	uint64_t lists_edition;
	uint64_t out_bps, in_bps; /* bytes a second, of moves; 0: not seen. See move_cost.h */
	uint64_t heard_utc_ns;
	struct {
		bool takes_changes;
		uint64_t edition_sent; /* of the list that it has been told; 0: none */
		uint64_t number;       /* of the last message of it */
		struct watch_sent {
			uint64_t request, sent_ns;
		} unanswered[8]; /* the oldest first */
		size_t n_unanswered;
	} watch; /* see watch.c */
};

struct visit {
	struct node *node;
	uint64_t since_utc_ns; /* 0: unknown */
};

struct claim {
	struct node *node;
	Tagalong__VmState state;
	uint64_t memory;
	uint32_t vcpus;
};

struct vm {
	char name[NAME_SIZE];
	struct claim *claims; /* in the order of the nodes' names */
	size_t n_claims;
	struct node *node; /* where it is, or NULL */
	Tagalong__VmState state; /* there */
	uint64_t memory; /* as last heard; 0: never */
	uint32_t vcpus;
	struct visit visits[POLICY_VISITS];
	size_t n_visits;
	struct device *device; /* that it is paired with, or NULL */
	bool foreground;
	bool follows;  /* in the background: goes where the one in the foreground is */
	bool summoned; /* brought to the front: goes to its device without delay */
	bool frozen; /* by an operator: only operators move it */
	bool warming; /* its memory is being sent ahead; see warming.c */
	struct node *warmed_at; /* the last that it was sent to, or NULL; */
	uint64_t warmed_ns;     /* and when */
	struct move *move; /* that is not settled, or NULL; see executor.h */
	struct node *bound;   /* the move's target, or NULL */
	struct node *planned; /* the same in a plan that is being made */
	struct affinity **affinities; /* see affinity.h */
	size_t n_affinities;
	uint64_t moved_bytes[2]; /* the last move's, to a host without and with its image; 0: none yet */
	uint32_t failures; /* moves in a row that came to nothing */
	struct node *failed_at; /* the last of them was to go there; or NULL */
	uint64_t retry_utc_ns;
	struct node *called; /* where its device is, as its network says; or NULL. See mec012.c */
	uint64_t called_until_utc_ns;
	struct vm *next_changed;
	bool changed; /* the store's VmEntry is out of date */
};

struct rtt_entry {
	struct node *node;
	Tagalong__RttMethod method;
	uint64_t fresh_ns;           /* when its newest sample was first told of */
	uint64_t last_sample_utc_ns; /* by the node's clock */
	uint64_t srtt_ns, rttvar_ns, min_ns, p50_ns, p95_ns, p99_ns, p999_ns, last_ns;
	uint64_t level_utc_ns; /* by the node's clock: since when the level is what it is; or 0 */
	uint64_t sent, lost;
	uint64_t told_srtt_ns, told_level_utc_ns; /* see tell.c */
	uint32_t confidence;
	Tagalong__ToldTlvs *tlvs; /* NULL: nothing was told */
};

struct device {
	struct uuid id;
	char name[NAME_SIZE];
	struct vm **vms; /* that it is paired with, in the order of their names */
	size_t n_vms;
	struct node *attached; /* where it registered last, or NULL */
	char *address;         /* and with which address, or NULL */
	struct address host;   /* the same with port 1, or none */
	bool asleep;           /* it told that node so: its silence does not mean that it is lost */
	bool idle;             /* as the watch lists tell it; see device_is_idle() */
	/* See watch.c. In the list of those that have an edition, the latest last. */
	uint64_t watch_mark, watch_edition, watch_edition_before;
	struct watch_place {
		struct node *attached, *vm; /* or NULL */
	} watch_place, watch_place_before;
	TAILQ_ENTRY(device) watch_link;
	struct rtt_entry *rtts; /* in the order of the nodes' names */
	size_t n_rtts;
	_Alignas(max_align_t) uint8_t policy_state[POLICY_STATE_SIZE];
	/* See decide.c: it is to be asked for wishes, with others. */
	struct device *next_awake;
	bool awake;
	/* The wish that the decision log told last. */
	struct node *wished;
	const char *refused;
	struct node *recommended; /* see parameters.c */
	uint32_t group; /* see parameters_of(); 0: not known yet */
};

struct fleet {
	struct index nodes;   /* by name */
	struct index devices; /* by id */
	struct index devices_named; /* those that have a name */
	struct index vms;     /* by name */
	struct index affinities; /* by name */
	struct node **by_number;
	struct vm *changed; /* see fleet_take_changed() */
	struct node *changed_nodes;
};

void fleet_init(struct fleet *fleet);
void fleet_clear(struct fleet *fleet);

/* ---- Nodes ------------------------------------------------------------------- */

struct node *fleet_node(const struct fleet *fleet, const char *name);
int fleet_add_node(struct fleet *fleet, const char *name, struct node **ret);

#define FLEET_IMAGES_MAX 64 /* of a node; what it says beyond that is not kept */

/* A hello of either program. That of a migratord brings its VMs, and the images that it
 * keeps, the newest first: node->hello has them. */
int fleet_hello(struct fleet *fleet, struct node *node, const Tagalong__NodeHello *hello,
		const struct bus_peer *peer, uint64_t now_ns, uint64_t now_utc_ns);

int fleet_status(struct fleet *fleet, struct node *node, const Tagalong__NodeStatus *status,
		 uint64_t now_utc_ns);

/* Any sign of life. */
void fleet_heard(struct node *node, int program, uint64_t now_ns, uint64_t now_utc_ns);

/* Takes down a program that has been silent for longer than the timeout;
 * whether it did. */
bool fleet_expire(struct node *node, int program, uint64_t now_ns, uint64_t timeout_ns);

static inline bool node_is_up(const struct node *node)
{
	return node->programs[PROGRAM_MIGRATOR].up;
}

/* VMs leave it. */
static inline bool node_is_emptied(const struct node *node)
{
	return node->drained || node->maintained;
}

/* Why no VM may come to the node, a phrase that stays; NULL: one may. */
const char *node_refusal(const struct node *node);

/* What a node's NodeEntry holds was changed: fleet_take_changed_node() will return it, once. */
void fleet_touch_node(struct fleet *fleet, struct node *node);
struct node *fleet_take_changed_node(struct fleet *fleet);

/* ---- VMs --------------------------------------------------------------------- */

struct vm *fleet_vm(const struct fleet *fleet, const char *name);
int fleet_add_vm(struct fleet *fleet, const char *name, struct vm **ret);

/* By that node's own last word, whatever others say. */
bool fleet_vm_runs_at(const struct vm *vm, const struct node *node);

/* A move says that the VM has gone from here to there. */
int fleet_vm_arrived(struct fleet *fleet, struct vm *vm, struct node *from, struct node *to,
		     uint64_t now_utc_ns);

/* The node has started it. -ENOMEM or 0. */
int fleet_vm_started(struct fleet *fleet, const char *name, struct node *node, uint64_t now_utc_ns);

/* The VM's node is silent, and an operator says that it is off: what it had told of the VM is
 * forgotten, until it says so again. */
void fleet_vm_give_up(struct fleet *fleet, struct vm *vm, uint64_t now_utc_ns);

/* A move says that neither has it any more. */
void fleet_vm_lost(struct fleet *fleet, struct vm *vm, struct node *from, struct node *to,
		   uint64_t now_utc_ns);

/* What a VM's VmEntry holds was changed: fleet_take_changed() will return it, once. */
void fleet_touch(struct fleet *fleet, struct vm *vm);
struct vm *fleet_take_changed(struct fleet *fleet);

/* What the node said of the VM, or NULL. */
const Tagalong__VmInfo *fleet_vm_info(const struct vm *vm, const struct node *node);

/* ---- Devices and pairs ----------------------------------------------------------- */

struct device *fleet_device(const struct fleet *fleet, const struct uuid *id);
struct device *fleet_device_named(const struct fleet *fleet, const char *name);
int fleet_add_device(struct fleet *fleet, const struct uuid *id, const char *name,
		     struct device **ret);

/* Pairs them, or changes the pair. A device has one VM in the foreground: the
 * one that was moves to the background. -EEXIST: the VM is another device's. */
int fleet_pair(struct device *device, struct vm *vm, bool foreground);
void fleet_unpair(struct device *device, struct vm *vm);

/* All VMs of `lost` go with `device`, as they went with the other one, and so does
 * the name. `device` has none of its own. -ENOMEM or 0. */
int fleet_replace(struct fleet *fleet, struct device *lost, struct device *device);

/* The VM in the foreground, or NULL. */
struct vm *device_foreground(const struct device *device);

/* No VM of it is in the foreground or on the move: nothing depends on its round-trip time. */
bool device_is_idle(const struct device *device);

/* A node that a device has left tells so late, with the address that was good
 * there: by then another may have it. */
int fleet_client_seen(struct device *device, struct node *node, const Tagalong__ClientSeen *seen);

/* ---- Round-trip times --------------------------------------------------------------- */

/* A sample that the node has told before does not become younger by being told again. */
int fleet_sample(struct device *device, struct node *node, const Tagalong__RttSample *sample,
		 uint64_t now_ns);

/* What a policy sees of the device's VM. `candidates` has room for all nodes;
 * `can_take` says which of them are available. */
typedef bool (*fleet_can_take_fn)(const struct node *node, const struct vm *vm, void *userdata);
void fleet_view(const struct device *device, const struct vm *vm, uint64_t now_ns,
		uint64_t now_utc_ns, fleet_can_take_fn can_take, void *userdata,
		struct policy_candidate *candidates, struct policy_view *ret);

#endif
