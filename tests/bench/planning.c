/* SPDX-License-Identifier: Apache-2.0
 *
 * What decisions cost: one scenario a call, its figures as one line of JSON. Wishes,
 * sizes and samples are drawn from a counter, so that every run sees the same.
 */
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/philox.h"
#include "common/rtt.h"
#include "common/uuid.h"
#include "placement/assign.h"
#include "placement/controller.h"
#include "placement/planner.h"

#define GIB (UINT64_C(1) << 30)
#define MS UINT64_C(1000000)

static uint64_t drawn;

static uint64_t draw(uint64_t below)
{
	return philox_u64(1, 1, drawn++) % below;
}

static void *need(void *p)
{
	if (!p) {
		fprintf(stderr, "planning: out of memory\n");
		exit(1);
	}
	return p;
}

static int compare_ns(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* ---- plan ------------------------------------------------------------------------------- */

/* A city: every host is 80 % full and its VMs wish for up to four of the hosts around it;
 * nearly all want to move, and at most one in three can. */
#define HOSTS 200
#define VMS 100000

struct city {
	struct fleet fleet;
	struct planner_limits limits;
	struct traffic traffic;
	struct node_traffic node_traffic[HOSTS];
	Tagalong__NodeHello hellos[HOSTS];
	struct vm *vms;
	struct plan_item *items;
};

static void make_hosts(struct city *c)
{
	fleet_init(&c->fleet);
	for (int n = 0; n < HOSTS; n++) {
		struct node *node;
		char name[16];

		snprintf(name, sizeof(name), "host-%03d", n);
		if (fleet_add_node(&c->fleet, name, &node) < 0)
			need(NULL);
		tagalong__node_hello__init(&c->hellos[n]);
		node->hello = &c->hellos[n];
		node->programs[PROGRAM_MIGRATOR].up = true;
	}
}

static void make_vms(struct city *c)
{
	c->vms = need(calloc(VMS, sizeof(*c->vms)));
	c->items = need(calloc(VMS, sizeof(*c->items)));
	for (uint32_t i = 0; i < VMS; i++) {
		struct vm *vm = &c->vms[i];
		struct plan_item *item = &c->items[i];

		snprintf(vm->name, sizeof(vm->name), "vm-%06u", i);
		vm->node = c->fleet.by_number[draw(HOSTS)];
		vm->state = TAGALONG__VM_STATE__VM_RUNNING;
		vm->memory = (1 + draw(8)) * GIB;
		vm->vcpus = 1 + (uint32_t)draw(4);
		vm->foreground = draw(10) > 0;
		vm->node->load.memory += vm->memory;
		vm->node->load.vcpus += vm->vcpus;
		item->vm = vm;
		item->n_wishes = 1 + draw(POLICY_WISHES_MAX);
		for (size_t k = 0; k < item->n_wishes; k++)
			item->wishes[k] = (struct policy_wish){
				.target = (vm->node->number + 1 + (uint32_t)(k * 7 + draw(7))) %
					  HOSTS,
				.benefit_ns = MS + draw(40 * MS),
				.code = "threshold",
			};
	}
	for (int n = 0; n < HOSTS; n++) {
		const struct load *load = &c->fleet.by_number[n]->load;

		c->hellos[n].has_memory_bytes = c->hellos[n].has_vcpus = true;
		c->hellos[n].memory_bytes = load->memory * 5 / 4;
		c->hellos[n].vcpus = load->vcpus * 5 / 4;
	}
}

/* Adds everything up again: nothing of the plan may be beyond a limit. */
static bool keeps_limits(const struct city *c)
{
	uint64_t memory[HOSTS] = { 0 };
	uint32_t vcpus[HOSTS] = { 0 }, in[HOSTS] = { 0 }, out[HOSTS] = { 0 };
	bool ok = true;

	for (uint32_t i = 0; i < VMS; i++) {
		const struct plan_item *item = &c->items[i];

		if (!item->granted)
			continue;
		memory[item->granted->target] += item->vm->memory;
		vcpus[item->granted->target] += item->vm->vcpus;
		in[item->granted->target]++;
		out[item->vm->node->number]++;
	}
	for (int n = 0; n < HOSTS; n++) {
		const struct load *load = &c->fleet.by_number[n]->load;

		ok = ok && load->memory + memory[n] <= c->hellos[n].memory_bytes &&
		     load->vcpus + vcpus[n] <= c->hellos[n].vcpus &&
		     in[n] <= c->limits.moves_per_node && out[n] <= c->limits.moves_per_node;
	}
	return ok;
}

static int plan(void)
{
	static struct city c;
	uint64_t begun, granted = 0;
	double ms;
	int r;

	make_hosts(&c);
	make_vms(&c);
	c.traffic.nodes = c.node_traffic;
	c.limits = (struct planner_limits){ .moves = VMS, .moves_per_node = 250 };
	begun = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	r = planner_plan(&c.fleet, &c.limits, 1, &c.traffic, c.items, VMS);
	ms = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begun) / 1e6;
	for (uint32_t i = 0; i < VMS; i++)
		granted += c.items[i].granted != NULL;
	printf("{\"plan_ms\": %.3f, \"granted\": %lu, \"outcome\": \"%s\"}\n", ms, granted,
	       r == 0 && keeps_limits(&c) ? "completed" : "failed: a limit was broken");
	return 0;
}

/* ---- optimum ------------------------------------------------------------------------------ */

/* Fleets whose optimum the flow finds, because their VMs are of one size, by prices. */
#define OPTIMUM_ITEMS 2000
#define OPTIMUM_NODES 40

static void make_assign(struct assign *a)
{
	for (size_t n = 0; n < a->n_nodes; n++)
		a->nodes[n] = (struct assign_node){ .out = 60,
						    .in = 60,
						    .memory = (10 + draw(50)) * GIB,
						    .vcpus = UINT64_MAX };
	for (size_t i = 0; i < a->n_items; i++) {
		struct assign_item *item = &a->items[i];

		*item = (struct assign_item){ .from = (uint32_t)draw(a->n_nodes),
					      .memory = GIB,
					      .vcpus = 1,
					      .n_options = 1 + (uint32_t)draw(ASSIGN_OPTIONS_MAX),
					      .chosen = -1 };
		for (uint32_t k = 0; k < item->n_options; k++)
			item->options[k] = (struct assign_option){
				(item->from + 1 + k * 5 + (uint32_t)draw(5)) %
					(uint32_t)a->n_nodes,
				ASSIGN_NO_LINK, (int64_t)(MS + draw(40 * MS)) };
	}
}

static int optimum(void)
{
	static struct assign_item items[OPTIMUM_ITEMS];
	static struct assign_node nodes[OPTIMUM_NODES];
	struct assign a = { .items = items, .n_items = OPTIMUM_ITEMS, .nodes = nodes,
			    .n_nodes = OPTIMUM_NODES, .moves = 2 * OPTIMUM_ITEMS / 3 };
	double worst = 1, worst_bound = 1;
	bool exact = true;

	for (int fleet = 0; fleet < 10; fleet++) {
		struct assign_result prices, best;

		a.moves = 2 * OPTIMUM_ITEMS / 3;
		make_assign(&a);
		if (assign_by_prices(&a, &prices) < 0)
			need(NULL);
		best = prices;
		if (assign_exact(&a, UINT64_MAX, &best) < 0)
			need(NULL);
		exact = exact && best.exact;
		worst = fmax(worst, (double)best.value / (double)prices.value);
		worst_bound = fmax(worst_bound, prices.bound / (double)prices.value);
	}
	printf("{\"ratio\": %.5f, \"bound_ratio\": %.5f, \"outcome\": \"%s\"}\n", worst,
	       worst_bound, exact ? "completed" : "failed: the optimum was not found");
	return 0;
}

/* ---- samples ------------------------------------------------------------------------------- */

#define SAMPLES 4000000
#define SAMPLE_DEVICES 10000
#define CANDIDATES 3

struct probed {
	struct rtt rtts[CANDIDATES];
	_Alignas(max_align_t) uint8_t state[POLICY_STATE_SIZE];
};

static const struct policy_parameters parameters = {
	.threshold_ns = 20 * MS,
	.hold_ns = 2000 * MS,
	.margin_ns = 5 * MS,
	.min_stay_ns = 10000 * MS,
	.max_age_ns = 3000 * MS,
	.min_confidence = 50,
};

/* One sample: into the estimator, and what is known of all candidates to the policy. */
static size_t add_sample(struct probed *d, uint64_t now_ns, size_t candidate, uint64_t rtt_ns)
{
	struct policy_candidate candidates[CANDIDATES] = { 0 };
	struct policy_wish wishes[POLICY_WISHES_MAX];
	struct policy_view view = { .now_ns = now_ns, .candidates = candidates,
				    .n_candidates = CANDIDATES, .n_visits = 1,
				    .visits = { { 0, UINT64_MAX } } };

	rtt_count_sent(&d->rtts[candidate]);
	rtt_add_sample(&d->rtts[candidate], now_ns, rtt_ns);
	for (uint32_t k = 0; k < CANDIDATES; k++) {
		struct rtt_figures f;
		bool measured = rtt_read(&d->rtts[k], now_ns, &f);

		candidates[k] = (struct policy_candidate){ k, true, measured, f.srtt_ns,
							   f.rttvar_ns, f.confidence,
							   now_ns - f.last_at_ns };
	}
	policy_threshold.on_sample(&parameters, NULL, d->state, &view);
	return policy_threshold.wishes(&parameters, NULL, d->state, &view, wishes);
}

static int samples(void)
{
	struct probed *devices = need(calloc(SAMPLE_DEVICES, sizeof(*devices)));
	uint64_t *took = need(calloc(SAMPLES, sizeof(*took)));
	uint64_t now_ns = MS, begun, wishes = 0;
	double seconds;

	for (size_t d = 0; d < SAMPLE_DEVICES; d++) {
		policy_threshold.dev_init(devices[d].state);
		for (size_t k = 0; k < CANDIDATES; k++)
			rtt_init(&devices[d].rtts[k], 60 * NS_PER_S, NS_PER_S);
	}
	begun = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (size_t i = 0; i < SAMPLES; i++) {
		/* The clock's own time is counted: it makes the figure worse, not better. */
		uint64_t before = clock_mono_ns();

		size_t device = i / CANDIDATES % SAMPLE_DEVICES, candidate = i % CANDIDATES;
		uint64_t jitter = (i * 7919 >> 8) % 10 * MS;

		/* Every other device is served badly, and wishes to be elsewhere. */
		now_ns += 1000;
		wishes += add_sample(&devices[device], now_ns, candidate,
				     (device % 2 && candidate == 0 ? 30 : 10) * MS + jitter);
		took[i] = clock_mono_ns() - before;
	}
	seconds = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begun) / 1e9;
	qsort(took, SAMPLES, sizeof(*took), compare_ns);
	printf("{\"samples_per_s\": %.0f, \"p50_ns\": %lu, \"p99_ns\": %lu, \"wishes\": %lu, "
	       "\"outcome\": \"%s\"}\n", SAMPLES / seconds, took[SAMPLES / 2],
	       took[SAMPLES / 100 * 99], wishes,
	       wishes > 0 ? "completed" : "failed: nobody wished for anything");
	free(devices);
	free(took);
	return 0;
}

/* ---- A controller and its fleet ------------------------------------------------------------ */

/* The controller that placementd runs, without its store, sockets and clocks. Device i and
 * its VM are at home on host i modulo HOSTS. Few hosts probe. */
#define PROBING_HOSTS 4

struct world {
	struct environment env;
	struct controller *controller;
	uint32_t n_devices;
	uint64_t now_ns, orders, ordered_ns, ordered_cpu_ns;
};

static uint64_t world_now(void *userdata)
{
	return ((struct world *)userdata)->now_ns;
}

static uint64_t world_random(void *userdata, uint64_t stream, uint64_t counter)
{
	(void)userdata;
	return philox_u64(2, stream, counter);
}

static void world_timer_set(void *userdata, uint64_t id, uint64_t deadline_ns)
{
	(void)userdata;
	(void)id;
	(void)deadline_ns;
}

static void world_timer_cancel(void *userdata, uint64_t id)
{
	(void)userdata;
	(void)id;
}

static void world_send(void *userdata, const struct bus_peer *to, uint64_t request, Envelope *e)
{
	struct world *w = userdata;

	(void)to;
	(void)request;
	if (e->body_case != TAGALONG__ENVELOPE__BODY_MOVE_ORDER)
		return;
	w->orders++;
	w->ordered_ns = clock_mono_ns();
	w->ordered_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void world_record(void *userdata, const PlacementRecord *input)
{
	(void)userdata;
	(void)input;
}

static void world_decision(void *userdata, const char *line)
{
	(void)userdata;
	(void)line;
}

static void input(struct world *w, PlacementRecord *record)
{
	struct mg_error err;

	if (controller_input(w->controller, record, &err) == 0)
		return;
	fprintf(stderr, "planning: %s\n", err.text);
	exit(1);
}

static void receive(struct world *w, const char *node, Envelope *e)
{
	Tagalong__Placement__Received received = TAGALONG__PLACEMENT__RECEIVED__INIT;
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;
	uint8_t zero[UUID_SIZE] = { 1 };

	e->version = ENVELOPE_VERSION;
	e->sender = (char *)node;
	e->boot_id = (ProtobufCBinaryData){ UUID_SIZE, zero };
	e->seq = 1;
	received.role = TAGALONG__PLACEMENT__PEER_ROLE__ROLE_NODE;
	received.name = (char *)node;
	received.route = (ProtobufCBinaryData){ 5, (uint8_t *)"route" };
	received.envelope = e;
	record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_RECEIVED;
	record.received = &received;
	input(w, &record);
}

static void device_id(uint32_t i, uint8_t id[UUID_SIZE])
{
	memset(id, 0, UUID_SIZE);
	for (int k = 0; k < 4; k++)
		id[k] = (uint8_t)(i >> (24 - 8 * k));
	id[15] = 1;
}

static void host_name(uint32_t n, char name[16])
{
	snprintf(name, 16, "host-%03u", n);
}

/* What the store would have: a pair of each device. */
static Tagalong__Placement__StoreValue **make_pairs(uint32_t n)
{
	Tagalong__Placement__StoreValue **values = need(calloc(n, sizeof(*values)));

	for (uint32_t i = 0; i < n; i++) {
		Tagalong__Placement__PairEntry pair = TAGALONG__PLACEMENT__PAIR_ENTRY__INIT;
		uint8_t id[UUID_SIZE];
		char name[16];

		values[i] = need(malloc(sizeof(**values)));
		tagalong__placement__store_value__init(values[i]);
		device_id(i, id);
		snprintf(name, sizeof(name), "vm-%07u", i);
		pair.device = (ProtobufCBinaryData){ UUID_SIZE, id };
		pair.device_name = pair.vm = name;
		pair.foreground = true;
		values[i]->key = need(strdup("pairs/"));
		values[i]->value.len = tagalong__placement__pair_entry__get_packed_size(&pair);
		values[i]->value.data = need(malloc(values[i]->value.len));
		tagalong__placement__pair_entry__pack(&pair, values[i]->value.data);
	}
	return values;
}

static void world_start(struct world *w)
{
	Tagalong__Placement__Start start = TAGALONG__PLACEMENT__START__INIT;
	Tagalong__Placement__PolicyParameters p = TAGALONG__PLACEMENT__POLICY_PARAMETERS__INIT;
	Tagalong__Placement__Limits limits = TAGALONG__PLACEMENT__LIMITS__INIT;
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;

	p.threshold_ns = parameters.threshold_ns;
	p.hold_ns = parameters.hold_ns;
	p.margin_ns = parameters.margin_ns;
	p.min_stay_ns = parameters.min_stay_ns;
	p.max_age_ns = 36000 * NS_PER_S;
	p.min_confidence = parameters.min_confidence;
	limits.moves = w->n_devices;
	limits.moves_per_node = w->n_devices;
	limits.backoff_ns = limits.backoff_max_ns = limits.order_timeout_ns = NS_PER_S;
	limits.node_timeout_ns = 36000 * NS_PER_S;
	start.epoch = 1;
	start.policy = (char *)"threshold";
	start.parameters = &p;
	start.limits = &limits;
	start.plain_text = true;
	start.values = make_pairs(w->n_devices);
	start.n_values = w->n_devices;
	record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_START;
	record.start = &start;
	input(w, &record);
	for (uint32_t i = 0; i < w->n_devices; i++)
		tagalong__placement__store_value__free_unpacked(start.values[i], NULL);
	free(start.values);
}

static void telemetry_hello(struct world *w, const char *host)
{
	Tagalong__NodeHello hello = TAGALONG__NODE_HELLO__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	hello.role = TAGALONG__NODE_ROLE__NODE_TELEMETRY;
	e.body_case = TAGALONG__ENVELOPE__BODY_NODE_HELLO;
	e.node_hello = &hello;
	receive(w, host, &e);
}

static void world_hello(struct world *w, uint32_t n)
{
	uint32_t n_vms = (w->n_devices - n + HOSTS - 1) / HOSTS;
	Tagalong__VmInfo *infos = need(calloc(n_vms, sizeof(*infos)));
	Tagalong__VmInfo **vms = need(calloc(n_vms, sizeof(*vms)));
	Tagalong__VmSpec *specs = need(calloc(n_vms, sizeof(*specs)));
	char (*names)[16] = need(calloc(n_vms, sizeof(*names))), host[16];
	Tagalong__NodeHello hello = TAGALONG__NODE_HELLO__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	uint8_t zero[UUID_SIZE] = { 0 };

	for (uint32_t k = 0; k < n_vms; k++) {
		snprintf(names[k], sizeof(names[k]), "vm-%07u", n + k * HOSTS);
		tagalong__vm_spec__init(&specs[k]);
		specs[k].name = names[k];
		specs[k].memory_bytes = GIB;
		specs[k].vcpus = 1;
		specs[k].machine = (char *)"pc-q35-7.2";
		specs[k].cpu = (char *)"qemu64";
		specs[k].accelerator = (char *)"kvm";
		tagalong__vm_info__init(&infos[k]);
		infos[k].spec = &specs[k];
		infos[k].state = TAGALONG__VM_STATE__VM_RUNNING;
		infos[k].incarnation = (ProtobufCBinaryData){ UUID_SIZE, zero };
		vms[k] = &infos[k];
	}
	host_name(n, host);
	hello.control_endpoint = (char *)"tcp://192.0.2.1:7300";
	hello.vms = vms;
	hello.n_vms = n_vms;
	e.body_case = TAGALONG__ENVELOPE__BODY_NODE_HELLO;
	e.node_hello = &hello;
	hello.role = TAGALONG__NODE_ROLE__NODE_MIGRATOR;
	receive(w, host, &e);
	if (n < PROBING_HOSTS)
		telemetry_hello(w, host);
	free(infos);
	free(vms);
	free(specs);
	free(names);
}

#define NOBODY UINT32_MAX
#define BAD_MS 40

/* One host reports n devices, first, first + HOSTS, ... with this time, and one of them
 * as served badly. */
static void report(struct world *w, uint32_t host, uint32_t first, uint32_t n, uint64_t ms,
		   uint32_t bad)
{
	Tagalong__RttSample *all = need(calloc(n, sizeof(*all)));
	Tagalong__RttSample **samples = need(calloc(n, sizeof(*samples)));
	uint8_t (*ids)[UUID_SIZE] = need(calloc(n, sizeof(*ids)));
	Tagalong__RttReport body = TAGALONG__RTT_REPORT__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	char name[16];

	for (uint32_t k = 0; k < n; k++) {
		device_id(first + k * HOSTS, ids[k]);
		tagalong__rtt_sample__init(&all[k]);
		all[k].device = (ProtobufCBinaryData){ UUID_SIZE, ids[k] };
		all[k].method = TAGALONG__RTT_METHOD__RTT_STAMP;
		all[k].last_sample_utc_ns = w->now_ns;
		all[k].srtt_ns = all[k].min_ns = (first + k * HOSTS == bad ? BAD_MS : ms) * MS;
		all[k].confidence = 100;
		samples[k] = &all[k];
	}
	body.samples = samples;
	body.n_samples = n;
	e.body_case = TAGALONG__ENVELOPE__BODY_RTT_REPORT;
	e.rtt_report = &body;
	host_name(host, name);
	receive(w, name, &e);
	free(all);
	free(samples);
	free(ids);
}

static void world_open(struct world *w, uint32_t n_devices)
{
	*w = (struct world){ .n_devices = n_devices, .now_ns = NS_PER_S };
	w->env = (struct environment){ w, world_now, world_now, world_random, world_timer_set,
				       world_timer_cancel, world_send, world_record,
				       world_decision };
	struct mg_error err;

	if (controller_new(&w->env, NULL, 0, &w->controller, &err) < 0)
		need(NULL);
	world_start(w);
	for (uint32_t n = 0; n < HOSTS; n++)
		world_hello(w, n);
}

/* The devices of the first hosts, served well, as three hosts see them. */
static void report_all(struct world *w)
{
	for (uint32_t n = 0; n + 2 < PROBING_HOSTS; n++)
		for (uint32_t k = 0; k < 3; k++)
			report(w, n + k, n, w->n_devices / HOSTS, k ? 12 : 10, NOBODY);
}

/* ---- reaction ------------------------------------------------------------------------------- */

#define REACTION_DEVICES 100000
#define REACTIONS 1000

/* All devices are content, and the host of one reports it with the others: that one is
 * served badly, for longer than the hold. From that report to the order. */
static int reaction(void)
{
	uint32_t each = REACTION_DEVICES / HOSTS;
	static uint64_t took[REACTIONS], cpu[REACTIONS];
	struct world w;

	world_open(&w, REACTION_DEVICES);
	report_all(&w);
	for (uint32_t i = 0; i < REACTIONS; i++) {
		/* Device i / 2 of host i & 1. */
		uint32_t host = i & 1, device = host + i / 2 * HOSTS;
		uint64_t begun, begun_cpu;

		report(&w, host, device, 1, 0, device);
		w.now_ns += 3 * NS_PER_S;
		begun = clock_mono_ns();
		begun_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		report(&w, host, host, each, 10, device);
		took[i] = w.ordered_ns - begun;
		cpu[i] = w.ordered_cpu_ns - begun_cpu;
		if (w.orders != i + 1) {
			fprintf(stderr, "planning: reaction %u came to no order\n", i);
			return 1;
		}
	}
	qsort(took, REACTIONS, sizeof(*took), compare_ns);
	qsort(cpu, REACTIONS, sizeof(*cpu), compare_ns);
	printf("{\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"cpu_p50_ms\": %.3f, \"cpu_p99_ms\": %.3f, "
	       "\"outcome\": \"completed\"}\n", (double)took[REACTIONS / 2] / 1e6,
	       (double)took[REACTIONS / 100 * 99] / 1e6, (double)cpu[REACTIONS / 2] / 1e6,
	       (double)cpu[REACTIONS / 100 * 99] / 1e6);
	controller_free(w.controller);
	return 0;
}

/* ---- memory --------------------------------------------------------------------------------- */

#define MEMORY_DEVICES 1000000

/* Without what was in use on the way there. */
static uint64_t resident_bytes(void)
{
	unsigned long size, resident = 0;
	FILE *f = need(fopen("/proc/self/statm", "re"));

	malloc_trim(0);
	if (fscanf(f, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Three hosts know each device's times, and one device is moved. */
static int memory(void)
{
	uint32_t each = MEMORY_DEVICES / HOSTS;
	struct world w;

	world_open(&w, MEMORY_DEVICES);
	for (uint32_t n = 0; n < HOSTS; n++)
		for (uint32_t k = 0; k < 3; k++)
			report(&w, k, n, each, k ? 12 : 10, NOBODY);
	report(&w, 0, 0, 1, 0, 0);
	w.now_ns += 3 * NS_PER_S;
	report(&w, 0, 0, each, 10, 0);
	printf("{\"bytes_per_device\": %.1f, \"outcome\": \"%s\"}\n",
	       (double)resident_bytes() / MEMORY_DEVICES,
	       w.orders == 1 ? "completed" : "failed: no move was ordered");
	controller_free(w.controller);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} scenarios[] = { { "plan", plan }, { "optimum", optimum }, { "samples", samples },
			{ "reaction", reaction }, { "memory", memory } };

	for (size_t i = 0; argc == 2 && i < ARRAY_SIZE(scenarios); i++)
		if (strcmp(argv[1], scenarios[i].name) == 0)
			return scenarios[i].run();
	fprintf(stderr, "usage: planning plan|optimum|samples|reaction|memory\n");
	return 2;
}
