/* SPDX-License-Identifier: Apache-2.0
 *
 * A phone's probe: where it is, which tower serves it, how long its probes take,
 * and each so many of them what the policy hears.
 */
#include <string.h>

#include "common/clock.h"
#include "sim/engine/noise.h"
#include "sim/engine/run.h"

#define CACHE_LINE 64

/* An access that is used up to the last is one that is used to this part. */
#define LOAD_MAX 0.95

/* Of the hosts that it probes. */
struct paths {
	host_number *hosts;
	struct rtt_estimate *estimates;
};

static inline struct paths paths_of(const struct run *run, uint32_t i)
{
	size_t first = (size_t)i * run->set->probing.candidates;

	return (struct paths){ &run->path_hosts[first], &run->estimates[first] };
}

/* ---- Which hosts it probes ------------------------------------------------------------- */

/* The VM's host and the nearest others. What is known of those that stay, stays. */
static void settle_paths(struct run *run, uint32_t i, struct point at)
{
	struct phone *p = &run->phones[i];
	struct paths paths = paths_of(run, i);
	host_number old_hosts[CANDIDATES_MAX];
	struct rtt_estimate old[CANDIDATES_MAX];
	uint32_t near[CANDIDATES_MAX], wanted = run->set->probing.candidates;
	size_t n = towers_nearest(&run->world->towers, at, wanted, near);
	unsigned n_old = p->n_paths, n_new = 0;

	memcpy(old_hosts, paths.hosts, n_old * sizeof(*old_hosts));
	memcpy(old, paths.estimates, n_old * sizeof(*old));
	for (size_t k = 0; k <= n && n_new < wanted; k++) {
		uint32_t host = k == 0 ? phone_host(p) : near[k - 1];

		if (k > 0 && host == phone_host(p))
			continue;
		paths.hosts[n_new] = (host_number)host;
		paths.estimates[n_new] = (struct rtt_estimate){ 0 };
		for (unsigned o = 0; o < n_old; o++)
			if (old_hosts[o] == host)
				paths.estimates[n_new] = old[o];
		n_new++;
	}
	p->n_paths = n_new & 0xf; /* all of its bits */
}

/* ---- Where its VM is --------------------------------------------------------------------- */

static void visit(struct run *run, struct phone *p, uint32_t host)
{
	memmove(&p->visited[1], &p->visited[0], sizeof(p->visited) - sizeof(p->visited[0]));
	memmove(&p->arrived_ns[1], &p->arrived_ns[0],
		sizeof(p->arrived_ns) - sizeof(p->arrived_ns[0]));
	p->visited[0] = (host_number)host;
	p->arrived_ns[0] = run->now_ns;
	if (p->n_visits < POLICY_VISITS)
		p->n_visits++;
}

static bool has_room(const struct run *run, uint32_t host)
{
	uint64_t needed = run->set->vm.memory + run->set->background.memory;

	return run->set->host_memory == 0 ||
	       run->nodes[host].load.memory + needed <= run->set->host_memory;
}

/* The nearest host that has room; when none has, the nearest. */
static uint32_t host_with_room(struct run *run, struct point at)
{
	const struct towers *towers = &run->world->towers;
	uint32_t nearest, best = TOWERS_NONE;

	towers_nearest(towers, at, 1, &nearest);
	if (has_room(run, nearest))
		return nearest;
	for (uint32_t h = 0; h < towers->n; h++)
		if (has_room(run, h) &&
		    (best == TOWERS_NONE ||
		     distance_squared(at, towers->at[h]) < distance_squared(at, towers->at[best])))
			best = h;
	run->crowded |= best == TOWERS_NONE;
	return best == TOWERS_NONE ? nearest : best;
}

static void start_vm(struct run *run, struct phone *p, struct point at)
{
	if (phone_host(p) != NOWHERE)
		run->nodes[phone_host(p)].load.memory -= run->set->vm.memory;
	background_stop(run, (uint32_t)(p - run->phones));
	images_forget(&run->images, vm_number((uint32_t)(p - run->phones), false));
	p->n_visits = 0;
	visit(run, p, host_with_room(run, at));
	run->nodes[phone_host(p)].load.memory += run->set->vm.memory;
	background_start(run, (uint32_t)(p - run->phones));
}

void phone_moved(struct run *run, uint32_t i, uint32_t host)
{
	struct phone *p = &run->phones[i];
	uint64_t until;
	struct point at;

	p->moving = false;
	visit(run, p, host);
	if (p->present && mobility_at(&run->world->mobility, &p->walker, i, run->in->seed,
				      run->now_ns, &at, &until))
		settle_paths(run, i, at);
	traffic_settle(run, i);
}

/* ---- Coming, going, handing over --------------------------------------------------------------
 */

static void note_stay(struct run *run, uint32_t i, uint32_t tower)
{
	if (run->set->optimum && stays_add(&run->stays, (struct stay){ i, tower, run->now_ns }) < 0)
		run->error = -ENOMEM;
}

/* Adds `change` to the phones of a tower. */
static void attach(struct run *run, uint32_t tower, uint32_t change)
{
	uint32_t capacity = run->set->radio.capacity;
	double load;

	run->attached[tower] += change;
	if (capacity == 0)
		return;
	load = (double)run->attached[tower] / capacity;
	run->stretch[tower] = 1 / (1 - (load < LOAD_MAX ? load : LOAD_MAX));
}

static void leave(struct run *run, uint32_t i)
{
	struct phone *p = &run->phones[i];

	if (p->attachment.serving != ATTACHMENT_NONE) {
		note_stay(run, i, STAY_ABSENT);
		attach(run, p->attachment.serving, UINT32_MAX);
	}
	attachment_init(&p->attachment);
	p->present = false;
	traffic_settle(run, i);
}

/* A look would change nothing; as most of the time. */
static inline bool is_settled(const struct run *run, const struct phone *p, struct point at)
{
	const struct attachment *a = &p->attachment;

	return a->serving != ATTACHMENT_NONE && a->candidate == ATTACHMENT_NONE &&
	       run->set->attachment.rule == ATTACHMENT_A3 &&
	       attachment_covers(&run->set->attachment, &run->world->towers, a->serving, at) &&
	       attachment_is_clear(&run->ratio, &run->world->towers, a, at);
}

/* It has come, or is back. One that moves while its phone is away goes on. */
static void appear(struct run *run, uint32_t i, struct point at)
{
	struct phone *p = &run->phones[i];

	p->present = true;
	if (p->moving)
		return;
	start_vm(run, p, at);
	p->probes = 0;
	p->n_paths = 0;
	if (run->in->policy)
		run->in->policy->dev_init(policy_state(run, i));
}

static void look(struct run *run, uint32_t i, struct point at)
{
	struct phone *p = &run->phones[i];
	uint32_t before = p->attachment.serving, now;

	if (!attachment_look(&run->set->attachment, &run->ratio, &run->world->towers,
			     &p->attachment, run->now_ns, at))
		return;
	now = p->attachment.serving;
	note_stay(run, i, now == ATTACHMENT_NONE ? STAY_ABSENT : now);
	if (before != ATTACHMENT_NONE)
		attach(run, before, UINT32_MAX);
	if (now != ATTACHMENT_NONE) {
		attach(run, now, 1);
		run->f.handovers += before != ATTACHMENT_NONE;
		if (!p->present)
			appear(run, i, at);
		settle_paths(run, i, at);
	}
	traffic_settle(run, i);
}

/* ---- Round-trip times --------------------------------------------------------------------------
 */

static inline uint64_t access_ns(const struct run *run, uint32_t tower, double metres, double u)
{
	const struct radio *radio = &run->set->radio;

	return (uint64_t)(int64_t)((double)radio->rtt_ns * noise_factor(u) * run->stretch[tower] +
				   metres * (radio->ns_per_km / 1000));
}

static void count(struct run_figures *f, uint64_t rtt_ns, uint64_t target_ns)
{
	f->samples++;
	f->rtt_sum_ns += (double)rtt_ns;
	f->above += rtt_ns > target_ns;
	histogram_add(&f->rtt, rtt_ns);
}

void phones_draw(struct run *run)
{
	struct drawn *d = &run->drawn;
	uint64_t streams[PHILOX_LANES];

	for (unsigned k = 0; k < PHILOX_LANES; k++) {
		uint32_t i = (uint32_t)ring_at(&run->probes, k)->what;

		d->phones[k] = i;
		d->counters[k] = run->phones[i].draws;
		streams[k] = (uint64_t)PURPOSE_RADIO << 32 | i;
	}
	philox_u64_lanes(run->in->seed, streams, d->counters, d->values);
	d->passed = 0;
}

/* The phone's next number, drawn ahead or now. */
static inline uint64_t draw(const struct run *run, uint32_t i)
{
	const struct drawn *d = &run->drawn;
	uint32_t counter = run->phones[i].draws++;
	unsigned k = d->passed - 1;

	if (k < PHILOX_LANES && d->phones[k] == i && d->counters[k] == counter)
		return d->values[k];
	return philox_u64(run->in->seed, (uint64_t)PURPOSE_RADIO << 32 | i, counter);
}

/* Out of reach of all towers. */
static void miss_probes(struct run *run, uint32_t i)
{
	struct paths paths = paths_of(run, i);

	for (unsigned k = 0; k < run->phones[i].n_paths; k++)
		rtt_estimate_lose(&paths.estimates[k]);
	run->f.lost++;
	run->f.uncovered_ns += run->set->probing.interval_ns;
}

static void send_probes(struct run *run, uint32_t i, struct point at)
{
	struct phone *p = &run->phones[i];
	struct paths paths = paths_of(run, i);
	uint32_t tower = p->attachment.serving;
	double metres = sqrt(distance_squared(at, run->world->towers.at[tower]));

	for (unsigned k = 0; k < p->n_paths; k++) {
		uint64_t drawn = draw(run, i);
		bool lost = (double)(uint32_t)drawn * 0x1p-32 < run->set->radio.loss;
		bool mine = paths.hosts[k] == phone_host(p);
		uint64_t ns;

		if (lost) {
			rtt_estimate_lose(&paths.estimates[k]);
			run->f.lost += mine;
			continue;
		}
		ns = access_ns(run, tower, metres, (double)(drawn >> 32) * 0x1p-32) +
		     2 * backhaul_delay_ns(&run->world->backhaul, tower, paths.hosts[k]);
		if (run->ways)
			ns += 2 * traffic_wait_ns(run, tower, paths.hosts[k]);
		rtt_estimate_add(&paths.estimates[k], run->now_ns, ns);
		if (mine)
			count(&run->f, ns, run->set->target_ns);
	}
}

static void probe_hosts(struct run *run, uint32_t i, struct point at)
{
	const struct phone *p = &run->phones[i];
	uint32_t tower = p->attachment.serving;

	if (tower == ATTACHMENT_NONE) {
		miss_probes(run, i);
		return;
	}
	run->detours_ns += 2 * backhaul_delay_ns(&run->world->backhaul, tower, phone_host(p));
	send_probes(run, i, at);
}

/* ---- What the policy hears
 * ------------------------------------------------------------------------ */

/* Candidates in the order of their hosts, as controllers have it. */
static void put_candidate(const struct run *run, struct policy_candidate *candidates, size_t n,
			  uint32_t host, const struct rtt_estimate *e, uint64_t now_ns)
{
	size_t at = n;

	for (; at > 0 && candidates[at - 1].node > host; at--)
		candidates[at] = candidates[at - 1];
	candidates[at] = (struct policy_candidate){
		.node = host,
		.available = true,
		.measured = e->any,
		.srtt_ns = rtt_estimate_srtt_ns(e),
		.rttvar_ns = rtt_estimate_rttvar_ns(e),
		.confidence = rtt_estimate_confidence(e, now_ns, run->set->probing.interval_ns),
		.age_ns = now_ns - e->last_at_ns,
	};
}

/* At the time when it is heard of: so time never runs backwards for a policy. */
void phone_view(const struct run *run, uint32_t i, struct policy_candidate *candidates,
		struct policy_view *ret)
{
	const struct phone *p = &run->phones[i];
	const struct paths paths = paths_of(run, i);
	uint64_t now = run->now_ns + run->set->probing.delay_ns;

	*ret = (struct policy_view){
		.now_ns = now,
		.candidates = candidates,
		.n_candidates = p->n_paths,
		.n_visits = p->n_visits,
	};
	for (unsigned k = 0; k < p->n_paths; k++)
		put_candidate(run, candidates, k, paths.hosts[k], &paths.estimates[k], now);
	for (unsigned k = 0; k < p->n_visits; k++)
		ret->visits[k] = (struct policy_visit){ p->visited[k], now - p->arrived_ns[k] };
}

static void report(struct run *run, uint32_t i)
{
	struct policy_candidate candidates[CANDIDATES_MAX];
	struct policy_wish wishes[POLICY_WISHES_MAX];
	struct phone *p = &run->phones[i];
	const struct policy_ops *policy = run->in->policy;
	struct policy_view view;

	phone_view(run, i, candidates, &view);
	policy->on_sample(&run->in->parameters, run->learnt, policy_state(run, i), &view);
	if (!p->moving && !p->wishing &&
	    (policy->wishes(&run->in->parameters, run->learnt, policy_state(run, i), &view,
			    wishes) > 0 ||
	     background_follows(run, i, &view)))
		round_wish(run, i);
}

uint64_t phone_probe(struct run *run, uint32_t i)
{
	struct phone *p = &run->phones[i];
	uint64_t until;
	struct point at;

	if (!mobility_at(&run->world->mobility, &p->walker, i, run->in->seed, run->now_ns, &at,
			 &until)) {
		if (p->present)
			leave(run, i);
		return until;
	}
	if (!is_settled(run, p, at))
		look(run, i, at);
	if (!p->present)
		return run->now_ns + run->set->probing.interval_ns;
	run->f.user_ns += run->set->probing.interval_ns;
	if (background_is_apart(run, i))
		run->f.apart_ns += run->set->probing.interval_ns;
	probe_hosts(run, i, at);
	p->probes++;
	if (run->in->policy && p->probes % run->set->probing.report == 0)
		report(run, i);
	return run->now_ns + run->set->probing.interval_ns;
}

void phone_expect(const struct run *run, uint32_t i)
{
	const char *phone = (const char *)&run->phones[i];

	__builtin_prefetch(phone, 1);
	__builtin_prefetch(phone + CACHE_LINE, 1);
	__builtin_prefetch(paths_of(run, i).hosts);
	for (uint32_t k = 0; k < run->set->probing.candidates; k += 2)
		__builtin_prefetch(&paths_of(run, i).estimates[k], 1);
	if (run->policy_states)
		__builtin_prefetch(policy_state(run, i), 1);
}
