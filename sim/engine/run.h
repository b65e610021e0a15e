/* SPDX-License-Identifier: Apache-2.0
 *
 * Within the engine: a run under way.
 */
#ifndef SIM_ENGINE_RUN_H
#define SIM_ENGINE_RUN_H

#include <assert.h>

#include "common/cost.h"
#include "common/rtt.h"
#include "placement/planner.h"
#include "sim/engine/engine.h"
#include "sim/engine/images.h"
#include "sim/engine/optimum.h"
#include "sim/engine/queue.h"

/* What happens; of one time, in this order. */
enum event_kind { EVENT_PROBE, EVENT_ROUND, EVENT_MOVE, EVENT_SNAPSHOT };

static inline struct event event_make(uint64_t t_ns, enum event_kind kind, uint32_t entity)
{
	return (struct event){ t_ns, (uint64_t)kind << 32 | entity };
}

/* Backhauls have fewer towers than that. */
typedef uint16_t host_number;
#define NOWHERE UINT16_MAX
static_assert(BACKHAUL_TOWERS_MAX < NOWHERE, "fits");

/* There may be millions: two cache lines each. */
struct phone {
	_Alignas(64) struct walker walker;
	struct attachment attachment;
	uint64_t arrived_ns[POLICY_VISITS];
	uint32_t draws;                     /* of the radio's random stream */
	uint32_t probes;                    /* since it appeared */
	host_number visited[POLICY_VISITS]; /* by its VM, the newest first, which is its host */
	uint16_t n_visits : 2, n_paths : 4;
	bool present : 1, moving : 1, wishing : 1;
};
static_assert(sizeof(struct phone) == 128, "no more");
static_assert(POLICY_VISITS < 1 << 2 && CANDIDATES_MAX < 1 << 4, "fit");

/* Between a device's tower and its VM's host; nowhere: the same twice. */
struct way {
	host_number tower, host;
};

/* A device's second VM. */
struct background {
	host_number host;
	bool moving;
};

struct sim_move {
	uint32_t phone, from, to;
	bool open;
	bool background; /* of the phone's second VM */
	bool image;      /* the target had one */
	uint64_t begun_ns, updated_ns, ends_ns;
	double left, bytes; /* left: 1 (all) to 0, when it was updated last */
	uint64_t first_bytes; /* of guest memory, that its first pass sends */
	uint64_t rate_bps;
	struct cost cost; /* of a whole move at that rate */
};

struct run {
	const struct run_input *in;
	const struct world *world;
	const struct setting *set;
	struct attachment_ratio ratio;
	uint64_t now_ns;
	struct event_ring probes; /* of phones that are there, an interval after their last */
	struct event_queue queue; /* all else */
	/* What the radio draws for the first probes of the ring, made several at once. */
	struct drawn {
		uint32_t phones[PHILOX_LANES], counters[PHILOX_LANES];
		uint64_t values[PHILOX_LANES];
		unsigned passed; /* of these probes have come */
	} drawn;

	struct phone *phones;
	/* The hosts that it probes, set->probing.candidates for each phone: */
	host_number *path_hosts;
	struct rtt_estimate *estimates;
	struct background *background; /* of each phone; NULL: there are none */
	uint8_t *policy_states; /* policy_room bytes for each phone */
	size_t policy_room;
	void *learnt;       /* by the policy, of all phones */
	bool crowded;       /* a VM had to start where there was no room */
	uint32_t *attached; /* phones, by tower */
	double *stretch;    /* by tower: how many times longer its load makes its access */

	/* What the planner looks at: a node a tower. */
	struct node *nodes;
	struct node **by_number;
	Tagalong__NodeHello hello;

	struct wish_told {
		uint64_t heard_ns;
		uint32_t phone;
	} * wishes; /* of phones that wish, in the order in which they came to it */
	uint32_t n_wishes, room_wishes;
	bool round_is_due;
	uint64_t round_ns; /* the last one */
	bool had_round;

	struct sim_move *moves; /* set->moves of them */
	uint32_t n_open;
	uint32_t *links; /* moves on each link and direction */

	struct images images;
	struct way *ways; /* of each phone, that its traffic takes; NULL: there is no traffic */
	uint32_t *loads;  /* phones that each link carries */

	struct stays stays;  /* when the optimum is wanted */
	uint64_t detours_ns; /* to the VMs' hosts and back, a probe each */

	int error;
	struct run_figures f;
};

static inline void *policy_state(const struct run *run, uint32_t i)
{
	return run->policy_states + i * run->policy_room;
}

static inline uint32_t phone_host(const struct phone *p)
{
	return p->visited[0];
}

static inline const struct machine *move_machine(const struct run *run, bool background)
{
	return background ? &run->set->background : &run->set->vm;
}

/* By which images tell a phone's VMs apart. */
static inline uint32_t vm_number(uint32_t i, bool background)
{
	return 2 * i + background;
}

static inline bool background_is_apart(const struct run *run, uint32_t i)
{
	return run->background && run->background[i].host != phone_host(&run->phones[i]);
}

/* phones.c: the next time that the phone must be asked; UINT64_MAX: never. */
uint64_t phone_probe(struct run *run, uint32_t i);
/* Draws for those that the ring has first. */
void phones_draw(struct run *run);
/* It will be probed soon: what that touches is fetched into the caches meanwhile. */
void phone_expect(const struct run *run, uint32_t i);
void phone_view(const struct run *run, uint32_t i, struct policy_candidate *candidates,
		struct policy_view *ret);
void phone_moved(struct run *run, uint32_t i, uint32_t host);

/* rounds.c */
void round_wish(struct run *run, uint32_t i);
void round_hold(struct run *run);

/* moves.c */
void move_begin(struct run *run, uint32_t i, uint32_t to, bool background);
/* What it would take, were the links its own. */
uint64_t move_expected_ns(const struct run *run, uint32_t i, uint32_t to);
void move_end(struct run *run, uint32_t slot);
void moves_settle(struct run *run); /* links may have got other shares */

/* traffic.c: the phone may have got another way; how long a packet waits on a way; what of a
 * link's rate is left to moves. */
void traffic_settle(struct run *run, uint32_t i);
uint64_t traffic_wait_ns(const struct run *run, uint32_t from, uint32_t to);
double traffic_left_bps(const struct run *run, uint32_t edge);

/* background.c: the VM goes away; starts beside the other; whether it is to go there. Nothing
 * happens to one that is on its way. */
void background_stop(struct run *run, uint32_t i);
void background_start(struct run *run, uint32_t i);
bool background_follows(const struct run *run, uint32_t i, const struct policy_view *view);

/* snapshots.c */
int snapshots_begin(struct run *run);
void snapshot_take(struct run *run, unsigned i);

#endif
