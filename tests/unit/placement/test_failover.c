/* SPDX-License-Identifier: Apache-2.0
 *
 * Three real placementd with one real etcd. The test plays two nodes with 200
 * VMs and an operator, who has all of them moved; in the midst of it the
 * leader is killed, or sleeps past its lease. Every move must be begun once
 * and told once, whatever happens. KILLS sets how often (default: 5).
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common/bus.h"
#include "common/clock.h"
#include "tests/unit/placement/etcd_server.h"

#define CONTROLLERS 3
#define NODES 2
#define LISTED_MAX 1000 /* moves in one answer */
#define VMS 200
#define PATIENCE_NS (120 * NS_PER_S)
#define SAY_AGAIN_NS (300 * NS_PER_MS)
#define ASKED 65536
#define BODY(name) TAGALONG__ENVELOPE__BODY_##name

struct move {
	struct uuid id;
	int vm, source, target;
	bool ordered; /* a controller has taken the operator's order */
	bool begun, ended, told;
	uint64_t end_ns;
};

/* Which move a message was about, by its seq: answers may be late. */
struct asked {
	size_t moves[ASKED]; /* index + 1 */
};

struct node;

/* One connection of a node, or of the operator (node NULL), to one controller. */
struct line {
	struct world *world;
	struct node *node;
	struct bus_socket *socket;
	bool known, leads;
	int64_t hello_seq, list_seq;
	uint64_t epoch;
};

struct node {
	const char *name;
	struct bus *bus;
	struct line lines[CONTROLLERS];
	struct line *leader;
	uint64_t epoch; /* the highest that it has seen */
	struct asked asked;
};

struct world {
	struct etcd_server etcd;
	sd_event *loop;
	char dir[64];
	char endpoints[CONTROLLERS][64];
	pid_t pids[CONTROLLERS];
	struct node nodes[NODES];
	struct bus *operator;
	struct line lines[CONTROLLERS]; /* the operator's */
	struct asked asked;
	int where[VMS];			/* the node of each VM */
	struct move *moves;
	size_t n_moves;
	uint64_t said_ns;
	unsigned doubled, stale, misled, cancelled;
	size_t listed; /* settled moves in the last answer, -1 while there is none */
};

static void note_asked(struct asked *a, const struct world *w, const struct move *m, int64_t seq)
{
	if (seq > 0)
		a->moves[seq % ASKED] = (size_t)(m - w->moves) + 1;
}

static struct move *move_asked(struct asked *a, struct world *w, uint64_t reply_to)
{
	size_t i = a->moves[reply_to % ASKED];

	return i ? &w->moves[i - 1] : NULL;
}

/* ---- Controllers -------------------------------------------------------------------- */

static void configure(struct world *w, int i)
{
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "%s/c%d.yaml", w->dir, i);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	fprintf(f,
		"name: c%d\nplain_text_bus: true\nlisten: %s\n"
		"listen_reports: ipc://%s/reports%d\n"
		"etcd: {endpoints: ['%s']}\n"
		"record: %s/c%d.record\ndecisions: %s/c%d.decisions\n"
		"policy: {threshold: 20ms, hold: 1s, margin: 5ms}\n"
		"limits: {order_timeout: 300s, node_timeout: 60s}\n",
		i, w->endpoints[i], w->dir, i, w->etcd.client_url, w->dir, i, w->dir, i);
	fclose(f);
}

static void start_controller(struct world *w, int i)
{
	char program[512], config[96], log[96];

	snprintf(program, sizeof(program), "%s/placementd", getenv("top_builddir"));
	snprintf(config, sizeof(config), "%s/c%d.yaml", w->dir, i);
	snprintf(log, sizeof(log), "%s/c%d.log", w->dir, i);
	w->pids[i] = fork();
	if (w->pids[i] == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fd, STDERR_FILENO);
		execl(program, "placementd", "--config", config, NULL);
		_exit(127);
	}
}

static void kill_controller(struct world *w, int i)
{
	kill(w->pids[i], SIGKILL);
	waitpid(w->pids[i], NULL, 0);
}

/* ---- What a node does ------------------------------------------------------------------ */

static const char *vm_name(int vm, char name[16])
{
	snprintf(name, 16, "vm%d", vm);
	return name;
}

struct told {
	char names[VMS][16];
	Tagalong__VmSpec specs[VMS];
	Tagalong__VmInfo infos[VMS], *vms[VMS];
	size_t n;
};

static void tell_vms(const struct world *w, const struct node *n, struct told *t)
{
	static uint8_t incarnation[UUID_SIZE];

	t->n = 0;
	for (int i = 0; i < VMS; i++) {
		Tagalong__VmSpec *spec = &t->specs[t->n];
		Tagalong__VmInfo *info = &t->infos[t->n];

		if (&w->nodes[w->where[i]] != n)
			continue;
		tagalong__vm_spec__init(spec);
		tagalong__vm_info__init(info);
		spec->name = (char *)vm_name(i, t->names[t->n]);
		spec->machine = spec->cpu = spec->accelerator = (char *)"x";
		spec->memory_bytes = 1 << 20;
		spec->vcpus = 1;
		info->spec = spec;
		info->state = TAGALONG__VM_STATE__VM_RUNNING;
		info->incarnation = (ProtobufCBinaryData){ UUID_SIZE, incarnation };
		t->vms[t->n++] = info;
	}
}

static void move_info(const struct world *w, struct move *m, char name[16],
		      Tagalong__MoveInfo *info)
{
	tagalong__move_info__init(info);
	info->move = (ProtobufCBinaryData){ UUID_SIZE, m->id.bytes };
	info->vm = (char *)vm_name(m->vm, name);
	info->source = (char *)w->nodes[m->source].name;
	info->target = (char *)w->nodes[m->target].name;
	info->state = m->ended ? TAGALONG__MOVE_STATE__MOVE_DONE :
				 TAGALONG__MOVE_STATE__MOVE_COPYING;
}

static void say_hello(struct world *w, struct line *l)
{
	static struct told t;
	static Tagalong__MoveInfo infos[VMS], *open[VMS];
	static char names[VMS][16];
	Tagalong__NodeHello hello = TAGALONG__NODE_HELLO__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	tell_vms(w, l->node, &t);
	hello.role = TAGALONG__NODE_ROLE__NODE_MIGRATOR;
	hello.control_endpoint = (char *)"tcp://10.0.0.1:7000";
	hello.has_memory_bytes = hello.has_vcpus = hello.has_epoch_seen = true;
	hello.memory_bytes = UINT64_C(1) << 40;
	hello.vcpus = 1000;
	hello.epoch_seen = l->node->epoch;
	hello.vms = t.vms;
	hello.n_vms = t.n;
	hello.moves = open;
	for (size_t i = 0; i < w->n_moves; i++) {
		struct move *m = &w->moves[i];

		if (!m->begun || m->told || &w->nodes[m->source] != l->node)
			continue;
		move_info(w, m, names[hello.n_moves], &infos[hello.n_moves]);
		open[hello.n_moves] = &infos[hello.n_moves];
		hello.n_moves++;
	}
	e.body_case = BODY(NODE_HELLO);
	e.node_hello = &hello;
	l->hello_seq = bus_send(l->socket, NULL, &e);
}

static void say_status(struct world *w, struct line *l)
{
	static struct told t;
	Tagalong__NodeStatus status = TAGALONG__NODE_STATUS__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	tell_vms(w, l->node, &t);
	status.vms = t.vms;
	status.n_vms = t.n;
	e.body_case = BODY(NODE_STATUS);
	e.node_status = &status;
	(void)bus_send(l->socket, NULL, &e);
}

static void say_result(struct world *w, struct move *m)
{
	struct line *l = w->nodes[m->source].leader;
	Tagalong__MoveResult result = TAGALONG__MOVE_RESULT__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	Tagalong__MoveInfo info;
	char name[16];

	if (!l)
		return;
	move_info(w, m, name, &info);
	result.info = &info;
	e.body_case = BODY(MOVE_RESULT);
	e.move_result = &result;
	note_asked(&w->nodes[m->source].asked, w, m, bus_send(l->socket, NULL, &e));
}

static struct move *find_move(struct world *w, const ProtobufCBinaryData *id)
{
	for (size_t i = 0; i < w->n_moves; i++)
		if (memcmp(w->moves[i].id.bytes, id->data, UUID_SIZE) == 0)
			return &w->moves[i];
	return NULL;
}

static void fail_order(struct line *l, const Envelope *e, int code, const char *text)
{
	struct mg_error err;

	mg_error_set(&err, code, "%s", text);
	bus_reply_failure(l->socket, NULL, e, &err);
}

static void on_order(struct world *w, struct line *l, const Envelope *e)
{
	struct node *n = l->node;
	struct move *m = find_move(w, &e->move_order->move);

	if (e->epoch < n->epoch) {
		w->stale++;
		fail_order(l, e, -ESTALE, "stale order");
		return;
	}
	n->epoch = e->epoch;
	if (!m || &w->nodes[m->source] != n) {
		w->misled++;
		fail_order(l, e, -ENOENT, "no such VM here");
		return;
	}
	if (!m->begun) {
		w->doubled += &w->nodes[w->where[m->vm]] != n;
		m->begun = true;
		m->end_ns = clock_mono_ns() + NS_PER_S + (uint64_t)rand() % (4 * NS_PER_S);
	}
	m->told = false; /* whoever asks does not know how it ended */
	bus_reply_done(l->socket, NULL, e);
}

static void on_query(struct world *w, struct line *l, const Envelope *e)
{
	struct move *m = find_move(w, &e->move_query->move);
	Tagalong__MoveList list = TAGALONG__MOVE_LIST__INIT;
	Tagalong__MoveInfo info, *infos[] = { &info };
	Envelope answer = TAGALONG__ENVELOPE__INIT;
	char name[16];

	if (m && m->begun) {
		move_info(w, m, name, &info);
		list.moves = infos;
		list.n_moves = 1;
	}
	answer.body_case = BODY(MOVE_LIST);
	answer.move_list = &list;
	bus_reply(l->socket, NULL, e, &answer);
}

static void on_done(struct world *w, struct line *l, const Envelope *e)
{
	struct node *n = l->node;
	struct move *m;

	if (l->hello_seq > 0 && e->reply_to == (uint64_t)l->hello_seq) {
		l->known = true;
		l->epoch = e->epoch;
		if (e->epoch >= n->epoch)
			n->leader = l;
		if (e->epoch > n->epoch)
			n->epoch = e->epoch;
	}
	m = move_asked(&n->asked, w, e->reply_to);
	if (m)
		m->told = true;
}

static void on_node_message(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
			    void *userdata)
{
	struct line *l = userdata;
	struct world *w = l->world;

	(void)s, (void)from;
	switch (e->body_case) {
	case BODY(DONE):
		on_done(w, l, e);
		break;
	case BODY(FAILURE):
		l->known = false;
		break;
	case BODY(MOVE_ORDER):
		on_order(w, l, e);
		break;
	case BODY(MOVE_QUERY):
		on_query(w, l, e);
		break;
	case BODY(MOVE_CANCEL):
		w->cancelled++;
		bus_reply_done(l->socket, NULL, e);
		break;
	default:
		break;
	}
}

/* ---- What the operator does ------------------------------------------------------------ */

static void on_operator_message(struct bus_socket *s, const struct bus_peer *from,
				const Envelope *e, void *userdata)
{
	struct line *l = userdata;
	struct world *w = l->world;
	struct move *m = move_asked(&w->asked, w, e->reply_to);

	(void)s, (void)from;
	if (e->body_case == BODY(LEADER)) {
		l->leads = e->leader->leads;
		l->epoch = e->leader->epoch;
	} else if (e->body_case == BODY(DONE)) {
		if (m)
			m->ordered = true;
	} else if (e->body_case == BODY(MOVE_LIST)) {
		w->listed = 0;
		for (size_t i = 0; i < e->move_list->n_moves; i++)
			w->listed += e->move_list->moves[i]->state ==
				     TAGALONG__MOVE_STATE__MOVE_DONE;
	}
}

static struct line *leader(struct world *w)
{
	struct line *found = NULL;

	for (int i = 0; i < CONTROLLERS; i++)
		if (w->lines[i].leads && (!found || w->lines[i].epoch > found->epoch))
			found = &w->lines[i];
	return found;
}

static void ask_leaders(struct world *w)
{
	for (int i = 0; i < CONTROLLERS; i++) {
		Tagalong__LeaderQuery query = TAGALONG__LEADER_QUERY__INIT;
		Envelope e = TAGALONG__ENVELOPE__INIT;

		e.body_case = BODY(LEADER_QUERY);
		e.leader_query = &query;
		if (bus_send(w->lines[i].socket, NULL, &e) < 0)
			w->lines[i].leads = false;
	}
}

static void order(struct world *w, struct move *m)
{
	struct line *l = leader(w);
	Tagalong__MoveOrder o = TAGALONG__MOVE_ORDER__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	char name[16];

	if (!l)
		return;
	o.move = (ProtobufCBinaryData){ UUID_SIZE, m->id.bytes };
	o.vm = (char *)vm_name(m->vm, name);
	o.target = (char *)w->nodes[m->target].name;
	e.body_case = BODY(MOVE_ORDER);
	e.move_order = &o;
	note_asked(&w->asked, w, m, bus_send(l->socket, NULL, &e));
}

static void ask_history(struct world *w)
{
	struct line *l = leader(w);
	Tagalong__MoveQuery query = TAGALONG__MOVE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	query.has_limit = true;
	query.limit = LISTED_MAX;
	e.body_case = BODY(MOVE_QUERY);
	e.move_query = &query;
	if (l)
		(void)bus_send(l->socket, NULL, &e);
}

/* ---- Time -------------------------------------------------------------------------------- */

static void say_again(struct world *w)
{
	for (int i = 0; i < NODES; i++)
		for (int k = 0; k < CONTROLLERS; k++) {
			struct line *l = &w->nodes[i].lines[k];

			if (!l->known)
				say_hello(w, l);
			else
				say_status(w, l);
		}
	for (size_t i = 0; i < w->n_moves; i++) {
		if (!w->moves[i].ordered)
			order(w, &w->moves[i]);
		if (w->moves[i].ended && !w->moves[i].told)
			say_result(w, &w->moves[i]);
	}
	ask_leaders(w);
}

static void step(struct world *w)
{
	uint64_t now = clock_mono_ns();

	for (size_t i = 0; i < w->n_moves; i++) {
		struct move *m = &w->moves[i];

		if (!m->begun || m->ended || now < m->end_ns)
			continue;
		m->ended = true;
		w->where[m->vm] = m->target;
	}
	if (now - w->said_ns >= SAY_AGAIN_NS) {
		say_again(w);
		w->said_ns = now;
	}
	sd_event_run(w->loop, 10000);
}

static bool wait_until(struct world *w, bool (*fn)(struct world *w))
{
	uint64_t end = clock_mono_ns() + PATIENCE_NS;

	while (clock_mono_ns() < end) {
		if (fn(w))
			return true;
		step(w);
	}
	return false;
}

static void run_for(struct world *w, uint64_t ns)
{
	for (uint64_t end = clock_mono_ns() + ns; clock_mono_ns() < end;)
		step(w);
}

/* ---- The world ------------------------------------------------------------------------- */

static void connect_line(struct world *w, struct line *l, struct node *n, struct bus *bus, int i)
{
	struct mg_error err = { 0 };

	l->world = w;
	l->node = n;
	cr_assert_eq(bus_connect(bus, BUS_DEALER, w->endpoints[i], NULL,
				 n ? on_node_message : on_operator_message, l, &l->socket, &err),
		     0, "%s", err.text);
}

static void make(struct world *w)
{
	static const char *const names[NODES] = { "a", "b" };
	struct bus_config bus = { .name = "alice", .plain_text = true };
	struct mg_error err = { 0 };

	memset(w, 0, sizeof(*w));
	etcd_server_make(&w->etcd);
	strcpy(w->dir, "/tmp/test-failover-XXXXXX");
	cr_assert_not_null(mkdtemp(w->dir));
	cr_assert_geq(sd_event_new(&w->loop), 0);
	for (int i = 0; i < CONTROLLERS; i++) {
		snprintf(w->endpoints[i], sizeof(w->endpoints[i]), "ipc://%.40s/c%d", w->dir, i);
		configure(w, i);
		start_controller(w, i);
	}
	cr_assert_eq(bus_new(w->loop, &bus, &w->operator, &err), 0, "%s", err.text);
	for (int i = 0; i < NODES; i++) {
		w->nodes[i].name = bus.name = names[i];
		cr_assert_eq(bus_new(w->loop, &bus, &w->nodes[i].bus, &err), 0);
	}
	for (int i = 0; i < CONTROLLERS; i++) {
		connect_line(w, &w->lines[i], NULL, w->operator, i);
		for (int k = 0; k < NODES; k++)
			connect_line(w, &w->nodes[k].lines[i], &w->nodes[k], w->nodes[k].bus, i);
	}
}

static void unmake(struct world *w)
{
	char command[96];

	for (int i = 0; i < CONTROLLERS; i++)
		kill_controller(w, i);
	bus_free(w->operator);
	for (int i = 0; i < NODES; i++)
		bus_free(w->nodes[i].bus);
	sd_event_unref(w->loop);
	free(w->moves);
	etcd_server_remove(&w->etcd);
	snprintf(command, sizeof(command), "rm -rf %s", w->dir);
	cr_assert_eq(system(command), 0);
}

static bool nodes_are_known(struct world *w)
{
	struct line *l = leader(w);

	return l && w->nodes[0].leader && w->nodes[1].leader && w->nodes[0].leader->known &&
	       w->nodes[1].leader->known && w->nodes[0].leader->epoch == l->epoch &&
	       w->nodes[1].leader->epoch == l->epoch;
}

static bool half_have_begun(struct world *w)
{
	size_t n = 0;

	for (size_t i = w->n_moves - VMS; i < w->n_moves; i++)
		n += w->moves[i].begun;
	return n >= VMS / 2;
}

static bool all_are_told(struct world *w)
{
	for (size_t i = 0; i < w->n_moves; i++)
		if (!w->moves[i].told || !w->moves[i].ordered)
			return false;
	return true;
}

/* Of all moves so far, or the last LISTED_MAX. */
static size_t to_be_listed(const struct world *w)
{
	return w->n_moves < LISTED_MAX ? w->n_moves : LISTED_MAX;
}

static bool history_is_whole(struct world *w)
{
	ask_history(w);
	return w->listed >= to_be_listed(w);
}

/* All VMs to the other node. */
static void order_all(struct world *w)
{
	w->moves = reallocarray(w->moves, w->n_moves + VMS, sizeof(*w->moves));
	cr_assert_not_null(w->moves);
	for (int i = 0; i < VMS; i++)
		w->moves[w->n_moves++] = (struct move){ .id = uuid_random(), .vm = i,
							.source = w->where[i],
							.target = !w->where[i] };
	w->said_ns = 0;
}

static const char *lost(const struct world *w)
{
	static char text[128];
	size_t ordered = 0, begun = 0, ended = 0, told = 0;

	for (size_t i = 0; i < w->n_moves; i++) {
		ordered += w->moves[i].ordered;
		begun += w->moves[i].begun;
		ended += w->moves[i].ended;
		told += w->moves[i].told;
	}
	snprintf(text, sizeof(text), "of %zu moves %zu ordered, %zu begun, %zu ended, %zu told",
		 w->n_moves, ordered, begun, ended, told);
	return text;
}

static void check_round(struct world *w, int round)
{
	cr_assert(wait_until(w, all_are_told), "round %d: %s", round, lost(w));
	cr_assert(wait_until(w, nodes_are_known));
	w->listed = 0;
	cr_assert(wait_until(w, history_is_whole), "round %d: %zu of %zu moves in the history",
		  round, w->listed, to_be_listed(w));
	cr_assert_eq(w->listed, to_be_listed(w));
	cr_assert_eq(w->doubled, 0);
	cr_assert_eq(w->misled, 0);
	cr_assert_eq(w->cancelled, 0);
}

static int rounds(void)
{
	const char *kills = getenv("KILLS");

	return kills ? atoi(kills) : 5;
}

static struct line *before; /* the leader before */
static uint64_t before_epoch;

static bool another_leads(struct world *w)
{
	struct line *l = leader(w);

	return l && l != before && l->epoch > before_epoch;
}

/* The leader as of now is no longer asked. */
static int depose(struct world *w)
{
	before = leader(w);
	before_epoch = before->epoch;
	before->leads = false;
	return (int)(before - w->lines);
}

Test(failover, a_killed_leader_is_replaced_and_no_move_is_lost_or_doubled, .timeout = 1500)
{
	static struct world w;

	make(&w);
	cr_assert(wait_until(&w, nodes_are_known), "nobody leads");
	for (int round = 0; round < rounds(); round++) {
		uint64_t killed;
		int i;

		order_all(&w);
		cr_assert(wait_until(&w, half_have_begun));
		run_for(&w, (uint64_t)rand() % NS_PER_S);
		i = depose(&w);
		kill_controller(&w, i);
		killed = clock_mono_ns();
		cr_assert(wait_until(&w, another_leads), "nobody took over");
		fprintf(stderr, "round %d: c%d was killed, c%d leads after %.1f s\n", round, i,
			(int)(leader(&w) - w.lines), (double)(clock_mono_ns() - killed) / 1e9);
		start_controller(&w, i);
		check_round(&w, round);
	}
	unmake(&w);
}

Test(failover, a_leader_that_slept_steps_down, .timeout = 1500)
{
	static struct world w;
	int i;

	make(&w);
	cr_assert(wait_until(&w, nodes_are_known), "nobody leads");
	order_all(&w);
	cr_assert(wait_until(&w, half_have_begun));
	i = depose(&w);
	kill(w.pids[i], SIGSTOP);
	cr_assert(wait_until(&w, another_leads), "nobody took over");
	check_round(&w, 0);
	kill(w.pids[i], SIGCONT);
	order_all(&w);
	run_for(&w, 2 * NS_PER_S);
	cr_assert_not(w.lines[i].leads, "it thinks that it leads");
	check_round(&w, 1);
	unmake(&w);
}

Test(failover, an_etcd_that_is_gone_stops_everything_and_loses_nothing, .timeout = 1500)
{
	static struct world w;

	make(&w);
	cr_assert(wait_until(&w, nodes_are_known), "nobody leads");
	order_all(&w);
	cr_assert(wait_until(&w, half_have_begun));
	etcd_server_signal(&w.etcd, SIGKILL);
	run_for(&w, 8 * NS_PER_S);
	ask_leaders(&w);
	run_for(&w, 3 * NS_PER_S);
	cr_assert_null(leader(&w), "somebody leads without a store");
	etcd_server_start(&w.etcd);
	check_round(&w, 0);
	unmake(&w);
}
