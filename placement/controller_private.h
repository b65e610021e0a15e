/* SPDX-License-Identifier: Apache-2.0
 *
 * What the controller's own files share: controller.c (inputs and what nodes
 * say), decide.c (from samples to orders), summary.c
 * (what moves have bought), drain.c (empties nodes), maintenance.c
 * (does so by the calendar),
 * parameters.c (what the configuration says of policies), neighbours.c (and of which towers adjoin),
 * affinity.c (keeps VMs together or apart), quarantine.c
 * (spares those where moves fail), pairs.c
 * (devices and their VMs), warming.c (sends memory ahead of moves), watch.c (who watches whom), mec021.c and mec021_notices.c (who
 * has subscribed to moves, and is told), mec012.c (what mobile networks say), requests.c (what
 * operators ask) and views.c (what they are answered).
 */
#ifndef PLACEMENT_CONTROLLER_PRIVATE_H
#define PLACEMENT_CONTROLLER_PRIVATE_H

#include "placement/arena.h"
#include "placement/controller.h"
#include "placement/executor.h"
#include "placement/mec021.h"

enum controller_timer {
	TIMER_TICK = 1, /* each second: repetitions, silence */
	TIMER_PLAN = CONTROLLER_PLAN_TIMER, /* a round of decisions */
};

#define TICK_NS UINT64_C(1000000000)

/* A request that was passed on to a node. */
struct forwarded {
	uint64_t request; /* ours */
	uint64_t seq;     /* the operator's */
	struct bus_peer operator;
	struct node *node;
	uint64_t deadline_ns;
	struct uuid dry_run; /* of a move, whose result is passed on, too; else zero */
	char starts[NAME_SIZE]; /* the VM that it starts, else empty */
	struct forwarded *next;
};

struct controller {
	const struct environment *env;
	struct store *store;
	struct store_compare fence;
	struct effects fx;
	struct fleet fleet;
	struct executor executor;
	struct mec021 mec021;
	Tagalong__Placement__Start *start; /* NULL before it came */
	const struct policy_ops *policy;
	/* Those of the configuration after the first, which has all other devices. */
	struct device_group {
		const Tagalong__Placement__DeviceGroup *of; /* NULL: the first */
		struct policy_parameters parameters;
		bool recommend;
	} *groups;
	void *learnt; /* by the policy, of all devices */

	struct policy_candidate *candidates; /* room for all nodes; see decide.c */
	size_t candidates_room;
	struct device *awake, **awake_end; /* to be asked in the next round, in that order */
	uint64_t planned_ns;
	bool plan_is_due;
	uint64_t random_counter;

	struct {
		uint64_t edition; /* of the watch list, from 1 on */
		uint64_t threshold_ns; /* that it was told with, */
		uint64_t threshold_edition; /* from this edition on */
		TAILQ_HEAD(watch_devices, device) changed; /* all that have an edition, the latest last */
	} watch; /* see watch.c */
	uint64_t neighbourhoods_edition; /* of the configuration's lists; see neighbours.c */

	struct warming *warmings; /* see warming.c */
	struct forwarded *forwarded;
	size_t pruned_at; /* settled moves when the history was last cut */
};

/* decide.c */
void decide_sample(struct controller *c, struct device *device);
void decide_soon(struct controller *c); /* plans now, or when the interval allows */
void decide_now(struct controller *c);
void decide_wake(struct controller *c, struct device *device); /* asks it in the next round */
/* A UUID out of a stream of random numbers; those of moves come from stream 1. */
void decide_make_id(struct controller *c, uint64_t stream, uint8_t id[UUID_SIZE]);

/* drain.c: empties the nodes that operators have drained, round after round. */
size_t drain_count(const struct controller *c); /* of VMs that are to leave, at most */
size_t drain_gather(const struct controller *c, struct plan_item *items);
void drain_tick(struct controller *c);
const char *drain_word(const struct node *node);  /* why VMs leave it: "drain", ... */
const char *drain_state(const struct node *node); /* "drained", ... */
void drain_on_request(struct controller *c, const struct bus_peer *from, const Envelope *e);

/* neighbours.c: whether a device may go from one to the other. */
bool neighbours_are(const struct controller *c, struct node *a, struct node *b);

/* parameters.c. They take what is in a Start, or nothing and return an error. */
int parameters_take(struct controller *c, const Tagalong__Placement__Start *start,
		    struct mg_error *err);
int parameters_reload(struct controller *c, const Tagalong__Placement__Start *start,
		      struct mg_error *err);
const struct device_group *parameters_group(const struct controller *c, struct device *device);
const struct policy_parameters *parameters_of(const struct controller *c, struct device *device);
bool parameters_only_recommend(const struct controller *c, const struct plan_item *item);
void parameters_recommend(struct controller *c, const struct plan_item *item, const char *why);

/* maintenance.c: drains nodes by the calendar. */
void maintenance_tick(struct controller *c);
void maintenance_on_request(struct controller *c, const struct bus_peer *from, const Envelope *e);

/* affinity.c; see affinity.h. Those that are not where their group is go there. */
size_t affinity_count(const struct controller *c);
size_t affinity_gather(const struct controller *c, struct plan_item *items);
void affinity_tick(struct controller *c);
void affinity_on_set(struct controller *c, const struct bus_peer *from, const Envelope *e);
void affinity_on_remove(struct controller *c, const struct bus_peer *from, const Envelope *e);
void affinity_on_query(struct controller *c, const struct bus_peer *from, const Envelope *e);

/* quarantine.c; see quarantine.h. */
void quarantine_tick(struct controller *c);
/* The clock was ahead when some deadlines were set: none is further ahead than it would be from now. */
void quarantine_clock_back(struct controller *c);
void quarantine_on_request(struct controller *c, const struct bus_peer *from, const Envelope *e);

/* pairs.c. `item` and `items` have a place for each of the device's VMs. */
size_t pairs_summon(struct controller *c, struct vm *vm, const struct policy_view *view,
		    struct plan_item *item); /* the wishes of one that was brought to the front */
size_t pairs_gather_followers(struct controller *c, const struct device *device,
			      const struct policy_view *view, struct plan_item *items);
void pairs_on_front(struct controller *c, const struct bus_peer *from, const Envelope *e);
void pairs_on_replace(struct controller *c, const struct bus_peer *from, const Envelope *e);
void pairs_on_set(struct controller *c, const struct bus_peer *from, const Envelope *e);
void pairs_on_remove(struct controller *c, const struct bus_peer *from, const Envelope *e);

/* mec021.c; see mec021.h. */
void mec021_on_service(struct controller *c, const struct bus_peer *from, const Envelope *e);
void mec021_on_service_remove(struct controller *c, const struct bus_peer *from, const Envelope *e);
void mec021_on_service_query(struct controller *c, const struct bus_peer *from, const Envelope *e);
void mec021_on_subscription(struct controller *c, const struct bus_peer *from, const Envelope *e);
void mec021_on_subscription_remove(struct controller *c, const struct bus_peer *from,
				   const Envelope *e);
void mec021_on_subscription_query(struct controller *c, const struct bus_peer *from,
				  const Envelope *e);
void mec021_on_termination(struct controller *c, const struct bus_peer *from, const Envelope *e);
void mec021_on_instance_query(struct controller *c, const struct bus_peer *from, const Envelope *e);

/* mec012.c. `item` gets the wish of a VM that is called. */
void mec012_on_change(struct controller *c, const struct bus_peer *from, const Envelope *e);
size_t mec012_wishes(struct controller *c, struct vm *vm, struct plan_item *item);
void mec012_tick(struct controller *c);
extern const char mec012_code[]; /* the wish's */

/* why.c: records what a policy's order rests on, and tells it. What evidence is given
 * lives as long as the arena. */
void why_record(struct controller *c, const struct plan_item *item, const struct policy_view *view,
		struct arena *arena, Tagalong__Placement__Evidence *evidence);
void why_on_query(struct controller *c, const struct bus_peer *from, const Envelope *e);

/* summary.c */
void summary_tick(struct controller *c);
void summary_on_query(struct controller *c, const struct bus_peer *from, const Envelope *e);

/* warming.c: the device is content, but may not be for long. */
void warming_consider(struct controller *c, struct device *device, const struct policy_view *view);
bool warming_answer(struct controller *c, uint64_t request, const Envelope *e);
bool warming_result(struct controller *c, const struct node *node, const Tagalong__MoveInfo *info);
void warming_hello(struct controller *c, struct node *node, const Tagalong__NodeHello *hello);
void warming_tick(struct controller *c);
void warming_clear(struct controller *c);

/* watch.c: tells each node which clients it should watch, and what has changed of that, until it has
 * answered. */
void watch_update(struct controller *c);                         /* anything may have changed */
void watch_device(struct controller *c, struct device *device); /* only that has */
void watch_hello(struct controller *c, struct node *node);
void watch_repeat(struct controller *c);
void watch_restart(struct node *node); /* it has lost its list */
bool watch_answer(struct controller *c, uint64_t request, const Envelope *e);

/* requests.c */
typedef void (*request_fn)(struct controller *c, const struct bus_peer *from, const Envelope *e);
request_fn request_find(Tagalong__Envelope__BodyCase body);
int request_find_node(const struct controller *c, const char *name, struct node **ret,
		      struct mg_error *err); /* -ENOENT */
void request_answer_with(struct controller *c, const struct bus_peer *from, const Envelope *request,
			 struct arena *arena, Envelope *answer); /* frees the arena */
void request_reply(struct controller *c, const struct bus_peer *from, const Envelope *e, int r,
		   const struct mg_error *err); /* Done, or for r < 0 the failure */
bool request_answer(struct controller *c, uint64_t request, const Envelope *e);
void request_result(struct controller *c, const struct node *node, const Tagalong__MoveInfo *info);
void request_expire(struct controller *c);
void request_clear(struct controller *c);

/* tell.c: what happens, for who listens. */
void tell_rtt(struct controller *c, struct device *device, const struct node *node);

/* views.c: messages made of the controller's state; they live until the arena
 * is freed, and not longer than the next input. */
Tagalong__NodeRtt *view_rtt(const struct device *device, const struct rtt_entry *e,
			    struct arena *arena);
Tagalong__NodeList *view_nodes(const struct controller *c, struct arena *arena);
Tagalong__PairList *view_pairs(const struct controller *c, const char *device_name,
			       struct arena *arena); /* NULL: of all */
Tagalong__VmList *view_vms(const struct controller *c, const char *name, struct arena *arena);
Tagalong__MoveList *view_open_moves(const struct controller *c, struct arena *arena);
Tagalong__Status *view_status(const struct controller *c, struct arena *arena);

/* history.c: settled moves, in the store. */
int history_list(struct store *store, const Tagalong__MoveQuery *query, size_t limit,
		 Tagalong__Placement__MoveEntry ***ret, size_t *ret_n, struct mg_error *err);
void history_free(Tagalong__Placement__MoveEntry **entries, size_t n);
int history_prune(struct store *store, size_t keep, struct mg_error *err);

#endif
