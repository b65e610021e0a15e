/* SPDX-License-Identifier: Apache-2.0
 *
 * A phone's probe: where it is, which tower serves it, how long its probes take,
 * and each so many of them what the policy hears.
 */
#include <string.h>

#include "common/clock.h"
#include "sim/engine/noise.h"
#include "sim/engine/run.h"

/* What telemetryd keeps a minimum over. */
#define RTT_WINDOW_NS (10 * NS_PER_S)

#define CACHE_LINE 64

/* An access that is used up to the last is one that is used to this part. */
#define LOAD_MAX 0.95

static struct path *paths_of(const struct run *run, uint32_t i)
{
	return &run->paths[(size_t)i * run->set->probing.candidates];
}

/* ---- Which hosts it probes ------------------------------------------------------------- */

/* The VM's host and the nearest others. What is known of those that stay, stays. */
static void settle_paths(struct run *run, uint32_t i, struct point at)
{
	struct phone *p = &run->phones[i];
	struct path *paths = paths_of(run, i), old[CANDIDATES_MAX];
	uint32_t near[CANDIDATES_MAX], wanted = run->set->probing.candidates;
	size_t n = towers_nearest(&run->world->towers, at, wanted, near);
	unsigned n_old = p->n_paths;

	memcpy(old, paths, n_old * sizeof(*old));
	p->n_paths = 0;
	for (size_t k = 0; k <= n && p->n_paths < wanted; k++) {
		uint32_t host = k == 0 ? p->host : near[k - 1];
		struct path *path = &paths[p->n_paths];

		if (k > 0 && host == p->host)
			continue;
		path->host = NOWHERE;
		for (unsigned o = 0; o < n_old; o++)
			if (old[o].host == host)
				*path = old[o];
		if (path->host == NOWHERE) {
			path->host = host;
			rtt_init(&path->rtt, RTT_WINDOW_NS, run->set->probing.interval_ns);
		}
		p->n_paths++;
	}
}

/* ---- Where its VM is --------------------------------------------------------------------- */

static void visit(struct run *run, struct phone *p, uint32_t host)
{
	memmove(&p->visited[1], &p->visited[0], sizeof(p->visited) - sizeof(p->visited[0]));
	memmove(&p->arrived_ns[1], &p->arrived_ns[0],
		sizeof(p->arrived_ns) - sizeof(p->arrived_ns[0]));
	p->visited[0] = host;
	p->arrived_ns[0] = run->now_ns;
	p->n_visits += p->n_visits < POLICY_VISITS;
	p->host = host;
}

/* The nearest host that has room; when none of the nearest has, the nearest. */
static uint32_t host_with_room(const struct run *run, struct point at)
{
	uint32_t near[16];
	size_t n = towers_nearest(&run->world->towers, at, ARRAY_SIZE(near), near);

	for (size_t k = 0; k < n && run->set->host_memory > 0; k++)
		if (run->nodes[near[k]].load.memory + run->set->vm.memory <= run->set->host_memory)
			return near[k];
	return near[0];
}

static void start_vm(struct run *run, struct phone *p, struct point at)
{
	if (p->host != NOWHERE)
		run->nodes[p->host].load.memory -= run->set->vm.memory;
	p->n_visits = 0;
	visit(run, p, host_with_room(run, at));
	run->nodes[p->host].load.memory += run->set->vm.memory;
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
}

/* ---- Coming, going, handing over --------------------------------------------------------------
 */

static void note_stay(struct run *run, uint32_t i, uint32_t tower)
{
	if (run->set->optimum && stays_add(&run->stays, (struct stay){ i, tower, run->now_ns }) < 0)
		run->error = -ENOMEM;
}

static void leave(struct run *run, uint32_t i)
{
	struct phone *p = &run->phones[i];

	note_stay(run, i, NOWHERE);
	run->attached[p->attachment.serving]--;
	attachment_init(&p->attachment);
	p->present = false;
}

static void look(struct run *run, uint32_t i, struct point at)
{
	struct phone *p = &run->phones[i];
	uint32_t before = p->attachment.serving;

	if (!attachment_look(&run->set->attachment, &run->ratio, &run->world->towers,
			     &p->attachment, run->now_ns, at))
		return;
	run->attached[p->attachment.serving]++;
	note_stay(run, i, p->attachment.serving);
	if (before != ATTACHMENT_NONE) {
		run->attached[before]--;
		run->f.handovers++;
	} else if (!p->moving) {
		/* One that moves while its phone is away goes on. */
		start_vm(run, p, at);
		p->probes = 0;
		p->n_paths = 0;
		if (run->in->policy)
			run->in->policy->dev_init(policy_state(run, i));
	}
	p->present = true;
	settle_paths(run, i, at);
}

/* ---- Round-trip times --------------------------------------------------------------------------
 */

static uint64_t access_ns(const struct run *run, const struct phone *p, double km, double u)
{
	const struct radio *radio = &run->set->radio;
	double load = 0;

	if (radio->capacity > 0)
		load = (double)run->attached[p->attachment.serving] / radio->capacity;
	load = load < LOAD_MAX ? load : LOAD_MAX;
	return (uint64_t)((double)radio->rtt_ns * noise_factor(u) / (1 - load) +
			  km * radio->ns_per_km);
}

static void count(struct run_figures *f, uint64_t rtt_ns, uint64_t target_ns)
{
	f->samples++;
	f->rtt_sum_ns += (double)rtt_ns;
	f->above += rtt_ns > target_ns;
	histogram_add(&f->rtt, rtt_ns);
}

static void send_probes(struct run *run, uint32_t i, struct point at)
{
	struct phone *p = &run->phones[i];
	struct path *paths = paths_of(run, i);
	uint32_t tower = p->attachment.serving;
	double km = sqrt(distance_squared(at, run->world->towers.at[tower])) / 1000;

	for (unsigned k = 0; k < p->n_paths; k++) {
		uint64_t drawn =
			philox_u64(run->in->seed, (uint64_t)PURPOSE_RADIO << 32 | i, p->draws++);
		bool lost = (double)(uint32_t)drawn * 0x1p-32 < run->set->radio.loss;
		uint64_t ns;

		rtt_count_sent(&paths[k].rtt);
		if (lost) {
			rtt_count_lost(&paths[k].rtt);
			run->f.lost += paths[k].host == p->host;
			continue;
		}
		ns = access_ns(run, p, km, (double)(drawn >> 32) * 0x1p-32) +
		     2 * backhaul_delay_ns(&run->world->backhaul, tower, paths[k].host);
		rtt_add_sample(&paths[k].rtt, run->now_ns, ns);
		if (paths[k].host == p->host)
			count(&run->f, ns, run->set->target_ns);
	}
}

/* ---- What the policy hears
 * ------------------------------------------------------------------------ */

/* Candidates in the order of their hosts, as controllers have it. */
static void put_candidate(struct policy_candidate *candidates, size_t n, const struct path *path,
			  uint64_t now_ns)
{
	struct rtt_figures f;
	bool measured = rtt_read(&path->rtt, now_ns, &f);
	size_t at = n;

	for (; at > 0 && candidates[at - 1].node > path->host; at--)
		candidates[at] = candidates[at - 1];
	candidates[at] = (struct policy_candidate){
		.node = path->host,
		.available = true,
		.measured = measured,
	};
	if (!measured)
		return;
	candidates[at].srtt_ns = f.srtt_ns;
	candidates[at].rttvar_ns = f.rttvar_ns;
	candidates[at].min_ns = f.min_ns;
	candidates[at].confidence = f.confidence;
	candidates[at].age_ns = now_ns - f.last_at_ns;
}

void phone_view(const struct run *run, uint32_t i, struct policy_candidate *candidates,
		struct policy_view *ret)
{
	const struct phone *p = &run->phones[i];
	uint64_t now = run->now_ns + run->set->probing.delay_ns;

	*ret = (struct policy_view){
		.now_ns = now,
		.candidates = candidates,
		.n_candidates = p->n_paths,
		.n_visits = p->n_visits,
	};
	for (unsigned k = 0; k < p->n_paths; k++)
		put_candidate(candidates, k, &paths_of(run, i)[k], now);
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
	    policy->wishes(&run->in->parameters, run->learnt, policy_state(run, i), &view, wishes) >
		    0)
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
	look(run, i, at);
	run->f.user_ns += run->set->probing.interval_ns;
	run->detours_ns +=
		2 * backhaul_delay_ns(&run->world->backhaul, p->attachment.serving, p->host);
	send_probes(run, i, at);
	p->probes++;
	if (run->in->policy && p->probes % run->set->probing.report == 0)
		report(run, i);
	return run->now_ns + run->set->probing.interval_ns;
}

void phone_expect(const struct run *run, uint32_t i)
{
	const char *phone = (const char *)&run->phones[i], *path = (const char *)paths_of(run, i);

	for (size_t at = 0; at < sizeof(struct phone); at += CACHE_LINE)
		__builtin_prefetch(phone + at, 1);
	for (size_t at = 0; at < 3 * CACHE_LINE; at += CACHE_LINE)
		__builtin_prefetch(path + at, 1);
}
