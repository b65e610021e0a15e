/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/incoming.h"

#include <sodium.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "migrator/commit.h"
#include "migrator/fault.h"
#include "migrator/inflow.h"
#include "migrator/node_config.h"
#include "migrator/outflow.h"
#include "migrator/preflight.h"
#include "migrator/qemu_state.h"
#include "migrator/vm.h"

#define TICK_NS (100 * NS_PER_MS)
#define COMMAND_TIMEOUT_NS (10 * NS_PER_S)
#define START_TIMEOUT_NS (50 * NS_PER_S) /* until QEMU waits; the source gives up after 60 s */
#define DATA_TIMEOUT_NS (30 * NS_PER_S)  /* from PREPARED to the data connection */
#define ASK_AFTER_NS (2 * NS_PER_S)      /* of silence, when only the source's word is missing */
#define ASK_NS (NS_PER_S)
#define DOUBT_NS (5 * NS_PER_S)
#define FD_NAME "tagalong"

#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name
#define PEER(name) TAGALONG__PEER_STAGE__PEER_##name

struct incoming {
	struct move m;
	LIST_ENTRY(incoming) link;
	struct vm *vm;
	uint8_t session_key[LINK_KEY_SIZE];
	/* the facts of commit.h */
	enum commit_qemu qemu;
	enum commit_word word;
	bool live, loaded, refused;
	/* the source: where its last message came from, and our own way to it */
	struct bus_socket *socket;
	struct bus_peer source;
	bool has_source;
	uint64_t prepare_seq;
	struct bus_socket *ask;
	uint64_t asked_ns, heard_ns;
	/* QEMU and the pages */
	struct qemu_question question;
	bool commanding;
	unsigned pending;
	int qemu_fd;
	struct inflow *inflow;
	uint64_t deadline_ns; /* for the step that is waited for; 0: none */
	uint64_t resumed_utc_ns;
	sd_event_source *tick;
	bool reconciling, again;
};

static void reconcile(struct incoming *in);
static void poll_qemu(struct incoming *in);

struct incoming *incoming_find(struct node *n, const struct uuid *id)
{
	struct incoming *in;

	LIST_FOREACH(in, &n->incoming, link)
		if (uuid_equal(&in->m.row.id, id))
			return in;
	return NULL;
}

const MoveInfo *incoming_info(const struct incoming *in)
{
	return in->m.row.info;
}

size_t incoming_infos(struct node *n, MoveInfo **infos)
{
	struct incoming *in;
	size_t count = 0;

	LIST_FOREACH(in, &n->incoming, link) {
		if (infos)
			infos[count] = in->m.row.info;
		count++;
	}
	return count;
}

/* ---- Telling the source ---------------------------------------------------------------- */

static Tagalong__PeerStage stage_of(const struct incoming *in)
{
	return commit_target_stage(in->m.row.stage, in->inflow != NULL);
}

static void tell_state(struct incoming *in)
{
	if (in->has_source)
		(void)peer_send_state(in->socket, &in->source, NULL, &in->m.row.id, stage_of(in),
				      in->m.row.info->failure, in->resumed_utc_ns);
}

static void tell_prepared(struct incoming *in)
{
	struct node *n = in->m.node;
	Tagalong__PeerPrepared p = TAGALONG__PEER_PREPARED__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	p.move = (ProtobufCBinaryData){ UUID_SIZE, in->m.row.id.bytes };
	p.data_endpoint = n->data_endpoint;
	p.incarnation = (ProtobufCBinaryData){ UUID_SIZE, in->m.row.incarnation.bytes };
	p.qemu_version = n->host.qemu_version;
	e.body_case = TAGALONG__ENVELOPE__BODY_PEER_PREPARED;
	e.peer_prepared = &p;
	e.has_reply_to = true;
	e.reply_to = in->prepare_seq;
	(void)peer_send(in->socket, &in->source, &e);
}

static void remember_source(struct incoming *in, struct bus_socket *s, const struct bus_peer *from)
{
	in->heard_ns = clock_mono_ns();
	if (!from)
		return; /* an answer on our own way to it */
	in->socket = s;
	in->source = *from;
	in->has_source = true;
}

/* ---- QEMU ---------------------------------------------------------------------------------- */

static struct qmp *monitor(struct incoming *in)
{
	return in->vm && in->vm->guest ? guest_qmp(in->vm->guest) : NULL;
}

static int command(struct incoming *in, const char *name, json_t *arguments, qmp_reply_fn fn)
{
	struct qmp *q = monitor(in);
	int r;

	if (!q) {
		json_decref(arguments);
		return -ENOTCONN;
	}
	r = qmp_command(q, name, arguments, COMMAND_TIMEOUT_NS, fn, in);
	if (r >= 0)
		in->pending++;
	return r;
}

static void on_qemu_state(enum commit_qemu state, void *userdata)
{
	struct incoming *in = userdata;

	in->pending--;
	in->qemu = state;
	reconcile(in);
}

static void poll_qemu(struct incoming *in)
{
	if (in->qemu != COMMIT_QEMU_DEAD &&
	    qemu_state_ask(&in->question, monitor(in), on_qemu_state, in) == 0)
		in->pending++;
}

static void on_cont(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		    void *userdata)
{
	struct incoming *in = userdata;

	(void)q;
	(void)result;
	in->pending--;
	in->commanding = false;
	if (r == 0) {
		in->qemu = COMMIT_QEMU_RUNNING;
	} else if (r == -EREMOTEIO && !in->resumed_utc_ns) {
		in->refused = true;
		move_explain(&in->m, "QEMU cannot run it: %s", err->text);
	} else {
		in->qemu = COMMIT_QEMU_UNKNOWN; /* it may have, or not: find out */
	}
	reconcile(in);
}

static void on_stop(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		    void *userdata)
{
	struct incoming *in = userdata;

	(void)q;
	(void)r;
	(void)result;
	(void)err;
	in->pending--;
	in->commanding = false;
	poll_qemu(in);
}

static void give_up(struct incoming *in, const char *why)
{
	if (!in->live || in->m.row.stage > JOURNAL_PREPARED)
		return;
	in->live = false;
	move_explain(&in->m, "%s", why);
	reconcile(in);
}

static void on_capabilities(struct qmp *q, int r, json_t *result, const struct mg_error *err,
			    void *userdata)
{
	struct incoming *in = userdata;

	(void)q;
	(void)result;
	in->pending--;
	if (r < 0) {
		give_up(in, err->text);
		return;
	}
	if (in->m.row.stage != JOURNAL_BEGUN || !in->live)
		return;
	if (move_to_stage(&in->m, JOURNAL_PREPARED) < 0) {
		give_up(in, "the journal cannot be written");
		return;
	}
	in->qemu = COMMIT_QEMU_PAUSED;
	in->deadline_ns = clock_mono_ns() + DATA_TIMEOUT_NS;
	move_show(&in->m, STATE(PREPARED));
	tell_prepared(in);
}

static void set_capabilities(struct incoming *in)
{
	static const char *const names[] = { "events", "return-path", "late-block-activate" };
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		json_array_append_new(list, json_pack("{s:s, s:b}", "capability", names[i], "state",
						      1));
	if (command(in, "migrate-set-capabilities", json_pack("{s:o}", "capabilities", list),
		    on_capabilities) < 0)
		give_up(in, "QEMU's monitor does not answer");
}

/* ---- The VM tells ----------------------------------------------------------------------------- */

static void on_vm_ready(struct vm *vm, void *userdata)
{
	struct incoming *in = userdata;

	(void)vm;
	if (in->m.row.stage == JOURNAL_BEGUN && in->live)
		set_capabilities(in);
	else
		poll_qemu(in);
}

static void on_vm_event(struct vm *vm, const char *event, json_t *data, uint64_t utc_ns,
			void *userdata)
{
	struct incoming *in = userdata;

	(void)vm;
	(void)data;
	if (strcmp(event, "RESUME") != 0)
		return;
	if (!in->resumed_utc_ns)
		in->resumed_utc_ns = utc_ns;
	in->qemu = COMMIT_QEMU_RUNNING; /* sooner than the answer to cont */
	reconcile(in);
}

static void on_vm_exit(struct vm *vm, void *userdata)
{
	struct incoming *in = userdata;

	in->pending = 0;
	in->commanding = false;
	in->question = (struct qemu_question){ 0 };
	in->qemu = COMMIT_QEMU_DEAD;
	if (vm->place == VM_LEAVING)
		in->vm = NULL; /* its memory goes when we return */
	if (in->m.row.stage <= JOURNAL_READY && !in->m.row.info->failure)
		move_explain(&in->m, "QEMU of %s died: %s", in->m.node->config->name,
			     vm->exit_error.text);
	reconcile(in);
}

static const struct vm_watcher watcher = {
	.on_ready = on_vm_ready,
	.on_event = on_vm_event,
	.on_exit = on_vm_exit,
};

/* ---- The pages ---------------------------------------------------------------------------------- */

static void on_inflow(struct inflow *flow, enum inflow_event event, void *userdata)
{
	struct incoming *in = userdata;

	switch (event) {
	case INFLOW_STARTED:
		move_show(&in->m, STATE(COPYING));
		break;
	case INFLOW_LOADED:
		in->loaded = true;
		in->qemu = COMMIT_QEMU_PAUSED;
		reconcile(in);
		break;
	case INFLOW_FAILED:
		give_up(in, inflow_error(flow)->text);
		break;
	}
}

static void on_migrate_incoming(struct qmp *q, int r, json_t *result, const struct mg_error *err,
				void *userdata)
{
	struct incoming *in = userdata;

	(void)q;
	(void)result;
	in->pending--;
	if (r < 0)
		give_up(in, err->text);
}

static void on_getfd(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		     void *userdata)
{
	struct incoming *in = userdata;

	(void)q;
	(void)result;
	in->pending--;
	if (in->qemu_fd >= 0)
		close(TAKE_FD(in->qemu_fd)); /* QEMU has its own by now */
	if (r < 0)
		give_up(in, err->text);
	else if (in->live && command(in, "migrate-incoming", json_pack("{s:s}", "uri", "fd:" FD_NAME),
				     on_migrate_incoming) < 0)
		give_up(in, "QEMU's monitor does not answer");
}

static int start_inflow(struct incoming *in, int fd, const struct link_hello *hello,
			struct mg_error *err)
{
	struct node *n = in->m.node;
	_cleanup_close_ int ram_fd = guest_ram_open(in->vm->guest);
	struct inflow_config config = {
		.qemu_fd = -1,
		.ram_fd = ram_fd,
		.ram_bytes = guest_ram_bytes(in->vm->guest),
		.link = { .fd = fd, .move = in->m.row.id, .incarnation = 1,
			  .plain_text = n->config->plain_text_data },
		.hello = *hello,
	};
	int r;

	if (ram_fd < 0)
		return mg_error_set(err, ram_fd, "cannot open the guest's RAM");
	r = outflow_socketpair(&config.qemu_fd, &in->qemu_fd);
	if (r < 0)
		return mg_error_set(err, r, "no socketpair: %s", strerror(-r));
	memcpy(config.link.key, in->session_key, sizeof(config.link.key));
	r = inflow_start(n->loop, &config, on_inflow, in, &in->inflow, err);
	explicit_bzero(config.link.key, sizeof(config.link.key));
	if (r < 0) {
		close(config.qemu_fd);
		close(TAKE_FD(in->qemu_fd));
	}
	return r;
}

void incoming_data(struct incoming *in, int fd, const struct link_hello *hello)
{
	struct mg_error err = { 0 };
	struct qmp *q = monitor(in);

	if (in->m.row.stage != JOURNAL_PREPARED || !in->live || in->inflow || !q) {
		close(fd);
		return;
	}
	if (start_inflow(in, fd, hello, &err) < 0) {
		/* Anybody can connect; only the source's HELLO fits. Wait on for that. */
		log_warning("incoming", "move=%s vm=%s data connection refused: %s", in->m.id_text,
			    in->m.row.info->vm, err.text);
		close(fd);
		return;
	}
	in->deadline_ns = 0;
	if (qmp_command_with_fd(q, "getfd", json_pack("{s:s}", "fdname", FD_NAME), in->qemu_fd,
				COMMAND_TIMEOUT_NS, on_getfd, in) < 0)
		give_up(in, "QEMU's monitor does not answer");
	else
		in->pending++;
}

static void close_flow(struct incoming *in)
{
	inflow_free(in->inflow);
	in->inflow = NULL;
	if (in->qemu_fd >= 0)
		close(TAKE_FD(in->qemu_fd));
	sodium_memzero(in->session_key, sizeof(in->session_key));
}

/* ---- Deciding -------------------------------------------------------------------------------------- */

static void enter_stage(struct incoming *in, enum journal_stage stage)
{
	enum journal_stage was = in->m.row.stage;

	if (stage == JOURNAL_DONE) {
		in->m.row.info->has_ended_utc_ns = true; /* a repeated COMMIT is answered with it */
		in->m.row.info->ended_utc_ns = in->resumed_utc_ns ? in->resumed_utc_ns
								  : clock_utc_ns();
	}
	if (move_to_stage(&in->m, stage) < 0)
		return; /* tried again by the tick */
	in->again = true;
	switch (stage) {
	case JOURNAL_READY:
		in->heard_ns = clock_mono_ns();
		tell_state(in);
		if (in->vm)
			in->vm->stopped_by_move = true;
		move_show(&in->m, STATE(STOPPED));
		move_show(&in->m, STATE(READY));
		break;
	case JOURNAL_RUN:
		if (in->vm)
			in->vm->place = VM_OURS;
		move_explain(&in->m, NULL);
		break;
	case JOURNAL_DONE:
		tell_state(in);
		if (in->vm)
			vm_unwatch(in->vm);
		in->vm = NULL;
		close_flow(in);
		move_show(&in->m, STATE(COMMITTED));
		move_show(&in->m, STATE(DONE));
		break;
	case JOURNAL_NEVER:
		in->live = in->loaded = false;
		tell_state(in);
		close_flow(in);
		move_show(&in->m, was == JOURNAL_RUN ? STATE(REVOKED) : STATE(ABORTED));
		break;
	default:
		break;
	}
}

static void kill_qemu(struct incoming *in)
{
	struct vm *vm = in->vm;

	if (!vm || !vm->guest) {
		in->qemu = COMMIT_QEMU_DEAD;
		in->vm = NULL;
		in->again = true;
	}
	if (vm && vm->place != VM_LEAVING)
		vm_let_go(vm, true); /* on_vm_exit() follows, if there is a QEMU */
}

static void ask_source(struct incoming *in)
{
	struct journal_move *row = &in->m.row;
	uint64_t now = clock_mono_ns();

	if (now - in->heard_ns > DOUBT_NS && row->info->state != STATE(IN_DOUBT)) {
		move_explain(&in->m, "%s has to say whether %s runs here, and cannot be reached",
			     row->peer, row->info->vm);
		move_show(&in->m, STATE(IN_DOUBT));
	}
	if (now - in->heard_ns < ASK_AFTER_NS || now - in->asked_ns < ASK_NS || !in->ask)
		return;
	if (peer_send_word(in->ask, NULL, NULL, &row->id, TAGALONG__ENVELOPE__BODY_PEER_QUERY,
			   NULL) > 0)
		in->asked_ns = now;
}

static void settle(struct incoming *in)
{
	struct vm *vm = in->vm;

	if (vm && in->m.row.stage == JOURNAL_NEVER)
		vm_remove_files(vm);
	if (in->m.row.settled || move_settle(&in->m) < 0)
		return;
	in->vm = NULL;
	if (vm && in->m.row.stage == JOURNAL_NEVER) /* its QEMU had died before it was told to */
		vm_let_go(vm, true);
	else if (vm)
		vm_unwatch(vm);
	(void)journal_tidy(in->m.node->journal, JOURNAL_KEEP_MOVES, NULL);
}

static void act(struct incoming *in, enum commit_action action)
{
	switch (action) {
	case COMMIT_TO_READY:
		enter_stage(in, JOURNAL_READY);
		break;
	case COMMIT_TO_RUN:
		enter_stage(in, JOURNAL_RUN);
		break;
	case COMMIT_TO_DONE:
		enter_stage(in, JOURNAL_DONE);
		break;
	case COMMIT_TO_NEVER:
		enter_stage(in, JOURNAL_NEVER);
		break;
	case COMMIT_CONT:
		if (!in->commanding)
			in->commanding = command(in, "cont", NULL, on_cont) >= 0;
		break;
	case COMMIT_STOP:
		if (!in->commanding)
			in->commanding = command(in, "stop", NULL, on_stop) >= 0;
		break;
	case COMMIT_QUIT:
		kill_qemu(in);
		break;
	case COMMIT_ASK_PEER:
		ask_source(in);
		break;
	case COMMIT_SETTLE:
		settle(in);
		break;
	default:
		break;
	}
}

static void reconcile(struct incoming *in)
{
	if (in->m.row.settled)
		return;
	if (in->reconciling) {
		in->again = true;
		return;
	}
	in->reconciling = true;
	do {
		struct commit_target facts = { in->m.row.stage, in->qemu, in->word,
					       in->live,	in->loaded, in->refused };

		in->again = false;
		act(in, commit_target_next(&facts));
	} while (in->again);
	in->reconciling = false;
}

static int on_tick(sd_event_source *source, uint64_t now, void *userdata)
{
	struct incoming *in = userdata;
	const MoveInfo *info = in->m.row.info;

	(void)now;
	if (in->deadline_ns && clock_mono_ns() > in->deadline_ns) {
		in->deadline_ns = 0;
		give_up(in, in->m.row.stage == JOURNAL_BEGUN ? "QEMU did not get ready in time"
							     : "the source did not connect in time");
	}
	/* What is in doubt needs to be known again and again; the rest comes as events. */
	if (in->m.row.stage != JOURNAL_BEGUN && !in->m.row.settled &&
	    (in->qemu == COMMIT_QEMU_UNKNOWN || info->state == STATE(IN_DOUBT)))
		poll_qemu(in);
	reconcile(in);
	if (in->m.row.settled && !in->pending) {
		incoming_free(in);
		return 0;
	}
	sd_event_source_set_time_relative(source, TICK_NS / NS_PER_US);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

/* ---- Beginning and ending ------------------------------------------------------------------------------ */

static struct incoming *incoming_new(struct node *n)
{
	struct incoming *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	in->qemu_fd = -1;
	in->m.node = n;
	in->heard_ns = clock_mono_ns();
	LIST_INSERT_HEAD(&n->incoming, in, link);
	sd_event_add_time_relative(n->loop, &in->tick, CLOCK_MONOTONIC, TICK_NS / NS_PER_US, 1,
				   on_tick, in);
	return in;
}

void incoming_free(struct incoming *in)
{
	if (!in)
		return;
	LIST_REMOVE(in, link);
	close_flow(in);
	if (in->vm)
		vm_unwatch(in->vm);
	bus_socket_free(in->ask);
	sd_event_source_disable_unref(in->tick);
	move_clear(&in->m);
	free(in);
}

static int check_host(struct node *n, const Tagalong__PeerPrepare *p, struct mg_error *err)
{
	struct preflight_target host = {
		.qemu_version = n->host.qemu_version,
		.machine_types = (const char *const *)n->host.machine_types,
		.has_kvm = n->host.has_kvm,
		.has_vm = vm_find(n, p->spec->name) != NULL,
	};
	const struct preflight_facts facts = {
		.spec = p->spec, .source = p->source_node, .target = n->config->name,
		.running = true, .source_qemu = p->source_qemu_version, .host = &host,
	};
	struct preflight found;
	int r;

	while (host.machine_types && host.machine_types[host.n_machine_types])
		host.n_machine_types++;
	vm_free_room(n, &host.memory_free, &host.vcpus_free);
	preflight_check(&facts, &found);
	r = preflight_verdict(&found, p->force, err);
	return r < 0 ? r : guest_host_check(&n->host, p->spec, err);
}

static int check_prepare(struct node *n, const struct bus_peer *from,
			 const Tagalong__PeerPrepare *p, struct mg_error *err)
{
	int r;

	if (p->plain_text != n->config->plain_text_data)
		return mg_error_set(err, -EACCES, "one side would send pages in plain text and the "
				    "other not: 'plain_text_data' has to be the same on both");
	if (p->session_key.len != LINK_KEY_SIZE)
		return mg_error_set(err, -EINVAL, "a session key has %d bytes", LINK_KEY_SIZE);
	if (from->name[0] && strcmp(from->name, p->source_node) != 0)
		return mg_error_set(err, -EACCES, "%s speaks for %s", from->name, p->source_node);
	r = vm_spec_check(p->spec, err);
	return r < 0 ? r : check_host(n, p, err);
}

static int begin(struct node *n, const Tagalong__PeerPrepare *p, struct incoming **ret,
		 struct mg_error *err)
{
	struct uuid id = uuid_of(&p->move), incarnation = uuid_random();
	struct incoming *in = incoming_new(n);
	int r;

	if (!in)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r = move_init(&in->m, n, &id, true, p->spec, &incarnation);
	if (r == 0)
		r = move_set_nodes(&in->m, p->source_node, n->config->name, p->source_endpoint,
				   p->source_public_key);
	/* Journaled before QEMU starts, so that no QEMU is ever without an owner. */
	if (r == 0)
		r = journal_write(n->journal, &in->m.row, err);
	if (r < 0) {
		incoming_free(in);
		return err->code ? r : mg_error_set(err, r, "out of memory");
	}
	memcpy(in->session_key, p->session_key.data, LINK_KEY_SIZE);
	in->live = true;
	in->deadline_ns = clock_mono_ns() + START_TIMEOUT_NS;
	r = vm_launch(n, p->spec, GUEST_INCOMING, &incarnation, VM_ARRIVING, &in->vm, err);
	if (r < 0) {
		in->qemu = COMMIT_QEMU_DEAD;
		give_up(in, err->text);
		return r;
	}
	vm_watch(in->vm, &watcher, in, &id);
	*ret = in;
	return 0;
}

/* A way of our own to the source, should it fall silent. */
static void connect_source(struct incoming *in, bus_receive_fn fn)
{
	struct journal_move *row = &in->m.row;
	struct mg_error err = { 0 };

	if (!row->peer_endpoint[0] || in->ask)
		return;
	if (bus_connect(in->m.node->bus, BUS_DEALER, row->peer_endpoint, row->peer_key, fn, in,
			&in->ask, &err) < 0)
		log_warning("incoming", "move=%s %s", in->m.id_text, err.text);
}

/* ---- Messages ---------------------------------------------------------------------------------------------- */

/* How a settled move, or one never heard of, stands. */
static Tagalong__PeerStage known_stage(struct node *n, const struct uuid *id, uint64_t *ret_utc_ns)
{
	Tagalong__PeerStage stage = PEER(UNKNOWN);
	struct journal_move row;

	if (journal_find(n->journal, id, &row) < 0)
		return stage;
	if (row.incoming)
		stage = commit_target_stage(row.stage, false);
	if (row.stage == JOURNAL_DONE)
		*ret_utc_ns = row.info->ended_utc_ns;
	journal_move_clear(&row);
	return stage;
}

/* An abort that overtook its PeerPrepare, or came after it was forgotten. */
static void leave_tombstone(struct node *n, const struct uuid *id, const char *source)
{
	struct move m = { .node = n };
	VmSpec spec = TAGALONG__VM_SPEC__INIT;
	char none[] = "";
	struct uuid incarnation = { 0 };

	spec.name = spec.machine = spec.cpu = spec.accelerator = none;
	if (move_init(&m, n, id, true, &spec, &incarnation) < 0)
		return;
	m.row.stage = JOURNAL_NEVER;
	m.row.settled = true;
	m.row.info->state = STATE(ABORTED);
	if (move_set_nodes(&m, source, n->config->name, NULL, NULL) == 0)
		(void)journal_write(n->journal, &m.row, NULL);
	move_clear(&m);
}

static void on_unknown(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		       const Envelope *e, const struct uuid *id)
{
	uint64_t utc_ns = 0;
	Tagalong__PeerStage stage = known_stage(n, id, &utc_ns);

	if (stage == PEER(UNKNOWN) && e->body_case == TAGALONG__ENVELOPE__BODY_PEER_ABORT) {
		leave_tombstone(n, id, e->sender);
		stage = known_stage(n, id, &utc_ns);
	}
	peer_send_state(s, from, e, id, stage, NULL, utc_ns);
}

static void on_ask_answer(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
			  void *userdata);

static void on_prepare(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		       const Envelope *e)
{
	const Tagalong__PeerPrepare *p = e->peer_prepare;
	struct uuid id = uuid_of(&p->move);
	struct mg_error err = { 0 };
	struct incoming *in = NULL;
	uint64_t utc_ns = 0;
	int r;

	if (known_stage(n, &id, &utc_ns) != PEER(UNKNOWN)) {
		on_unknown(n, s, from, e, &id);
		return;
	}
	r = check_prepare(n, from, p, &err);
	if (r == 0 && p->dry_run) {
		Tagalong__PeerPrepared prepared = TAGALONG__PEER_PREPARED__INIT;
		Envelope answer = TAGALONG__ENVELOPE__INIT;

		prepared.move = p->move;
		prepared.incarnation = p->move;
		prepared.data_endpoint = n->data_endpoint;
		answer.body_case = TAGALONG__ENVELOPE__BODY_PEER_PREPARED;
		answer.peer_prepared = &prepared;
		bus_reply(s, from, e, &answer);
		return;
	}
	if (r == 0)
		r = begin(n, p, &in, &err);
	if (r < 0) {
		log_info("incoming", "vm=%s from=%s refused: %s", p->spec->name, p->source_node,
			 err.text);
		bus_reply_failure(s, from, e, &err);
		return;
	}
	remember_source(in, s, from);
	in->prepare_seq = e->seq;
	connect_source(in, on_ask_answer);
	move_show(&in->m, STATE(CHECKING));
}

static void take_word(struct incoming *in, const Envelope *e)
{
	if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_COMMIT) {
		in->word = COMMIT_WORD_COMMIT;
	} else {
		in->word = COMMIT_WORD_ABORT;
		if (in->m.row.stage <= JOURNAL_READY)
			move_explain(&in->m, "%s", e->peer_abort->why ? e->peer_abort->why
								      : "the source called it off");
	}
	reconcile(in);
}

/* The source has a settled word for us, or none yet. */
static void on_known(struct incoming *in, struct bus_socket *s, const struct bus_peer *from,
		     const Envelope *e)
{
	enum journal_stage was = in->m.row.stage;

	remember_source(in, s, from);
	switch (e->body_case) {
	case TAGALONG__ENVELOPE__BODY_PEER_PREPARE:
		in->prepare_seq = e->seq;
		if (was == JOURNAL_PREPARED)
			tell_prepared(in);
		else if (was > JOURNAL_PREPARED)
			tell_state(in);
		break;
	case TAGALONG__ENVELOPE__BODY_PEER_COMMIT:
	case TAGALONG__ENVELOPE__BODY_PEER_ABORT:
		take_word(in, e);
		/* A change of stage has told it already; RUN tells when it runs. */
		if (in->m.row.stage == was && was != JOURNAL_RUN)
			tell_state(in);
		break;
	default:
		tell_state(in);
		break;
	}
}

static const ProtobufCBinaryData *move_of(const Envelope *e)
{
	switch (e->body_case) {
	case TAGALONG__ENVELOPE__BODY_PEER_PREPARE:
		return &e->peer_prepare->move;
	case TAGALONG__ENVELOPE__BODY_PEER_COMMIT:
		return &e->peer_commit->move;
	case TAGALONG__ENVELOPE__BODY_PEER_ABORT:
		return &e->peer_abort->move;
	default:
		return &e->peer_query->move;
	}
}

static int check_sender(const struct incoming *in, const struct bus_peer *from,
			struct mg_error *err)
{
	if (!from->name[0] || strcmp(from->name, in->m.row.peer) == 0)
		return 0;
	return mg_error_set(err, -EACCES, "that move is between %s and %s", in->m.row.peer,
			    in->m.node->config->name);
}

void incoming_message(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		      const Envelope *e)
{
	struct uuid id = uuid_of(move_of(e));
	struct incoming *in = incoming_find(n, &id);
	struct mg_error err = { 0 };
	char step[48];

	peer_step_name(e, step);
	fault_before("receive", step);
	if (in && check_sender(in, from, &err) < 0)
		bus_reply_failure(s, from, e, &err);
	else if (in)
		on_known(in, s, from, e);
	else if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_PREPARE)
		on_prepare(n, s, from, e);
	else
		on_unknown(n, s, from, e, &id);
	fault_after("receive", step);
}

/* The source answers what we asked: PeerCommit, PeerAbort, or PeerState while it
 * has not decided. */
static void on_ask_answer(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
			  void *userdata)
{
	struct incoming *in = userdata;
	char step[48];

	peer_step_name(e, step);
	fault_before("receive", step);
	if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_COMMIT ||
	    e->body_case == TAGALONG__ENVELOPE__BODY_PEER_ABORT)
		on_known(in, s, from, e);
	else if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_STATE &&
		 e->peer_state->stage == PEER(PREPARED))
		in->heard_ns = clock_mono_ns();
	fault_after("receive", step);
}

/* ---- Restart, resolve ------------------------------------------------------------------------------------------ */

int incoming_restore(struct node *n, struct journal_move *row)
{
	struct incoming *in = incoming_new(n);
	struct mg_error err = { 0 };
	enum vm_place place;

	if (!in)
		return -ENOMEM;
	move_restore(&in->m, n, row);
	row = &in->m.row;
	if (row->stage <= JOURNAL_PREPARED)
		move_explain(&in->m, "migratord of %s was restarted", n->config->name);
	place = row->stage == JOURNAL_RUN || row->stage == JOURNAL_DONE ? VM_OURS : VM_ARRIVING;
	in->vm = vm_find_incarnation(n, &row->incarnation);
	if (!in->vm && vm_adopt(n, row->spec, &row->incarnation, place, &in->vm, &err) < 0)
		log_warning("incoming", "move=%s vm=%s %s", in->m.id_text, row->info->vm, err.text);
	if (in->vm)
		vm_watch(in->vm, &watcher, in, &row->id);
	if (in->vm && !in->vm->guest)
		in->qemu = COMMIT_QEMU_DEAD;
	if (in->vm)
		in->vm->stopped_by_move = row->stage == JOURNAL_READY;
	connect_source(in, on_ask_answer);
	in->heard_ns = clock_mono_ns() - ASK_AFTER_NS; /* ask at once */
	return 0;
}

int incoming_resolve(struct incoming *in, bool run_here, const char *who, struct mg_error *err)
{
	if (in->m.row.info->state != STATE(IN_DOUBT))
		return mg_error_set(err, -EBUSY, "the move of %s is not in doubt: it is %s",
				    in->m.row.info->vm, move_state_name(in->m.row.info->state));
	log_warning("incoming", "move=%s vm=%s resolved by %s: %s", in->m.id_text,
		    in->m.row.info->vm, who, run_here ? "run here" : "discard");
	move_explain(&in->m, "resolved by %s", who);
	in->word = run_here ? COMMIT_WORD_COMMIT : COMMIT_WORD_ABORT;
	reconcile(in);
	return 0;
}
