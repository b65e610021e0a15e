/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/relay.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "migrator/image.h"
#include "migrator/node_config.h"
#include "migrator/outflow.h"
#include "migrator/stream_head.h"
#include "migrator/vm.h"
#include "migrator/vm_spec.h"

#define TICK_NS (100 * NS_PER_MS)
#define HEAD_TICK_NS (5 * NS_PER_MS)  /* until it is known how the stream begins */
#define HEAD_TIMEOUT_NS (10 * NS_PER_S)
#define REPEAT_NS (250 * NS_PER_MS)   /* of a word that is not answered */
#define ASK_TIMEOUT_NS (20 * NS_PER_S)
#define CONNECT_AGAIN_NS NS_PER_S     /* between tries; one that hangs is given up by then */
#define ABORT_TIMEOUT_NS (10 * NS_PER_S)
#define LINGER_NS NS_PER_S            /* for QEMU to read SHUT */
#define PATIENCE_DEFAULT_NS (60 * NS_PER_S)

#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name
#define PEER(name) TAGALONG__PEER_STAGE__PEER_##name
#define BODY(name) TAGALONG__ENVELOPE__BODY_##name

enum step {
	STEP_LISTEN,  /* for QEMU */
	STEP_READ,    /* how its stream begins */
	STEP_ASK,     /* the target, whether it may come */
	STEP_CONNECT, /* the first time */
	STEP_FLOW,
	STEP_OVER,    /* whoever ordered it is told, and the target, if it does not know */
};

struct relay {
	struct move m;
	LIST_ENTRY(relay) link;
	uint64_t bandwidth_bps, patience_ns;
	uint8_t session_key[LINK_KEY_SIZE];
	char path[108];
	enum step step;
	uint64_t since_ns; /* of the step */
	int listener, qemu_fd, ram_fd, connecting_fd;
	struct stream_head head;
	struct outflow *outflow;
	char data_endpoint[128];
	uint32_t incarnation; /* how many data connections there were */
	uint64_t lost_since_ns, tried_ns, said_ns;
	struct bus_socket *peer;
	bool peer_waits; /* for an end: it has answered that it takes the stream */
	sd_event_source *accepting, *connecting, *tick;
};

/* ---- What both ends need ------------------------------------------------------------- */

int relay_path(const struct node *n, const char *vm, char ret[108], struct mg_error *err)
{
	if (!n->config->relay_dir)
		return mg_error_set(err, -EOPNOTSUPP, "%s has no 'relay_dir' in its configuration",
				    n->config->name);
	if (!vm_name_is_valid(vm))
		return mg_error_set(err, -EINVAL, "'%.64s' is no name for a VM", vm);
	snprintf(ret, 108, "%s/%s", n->config->relay_dir, vm);
	return 0;
}

int relay_take_memory(struct node *n, const char *vm, uint64_t bytes, struct mg_error *err)
{
	VmSpec spec = TAGALONG__VM_SPEC__INIT;
	_cleanup_close_ int fd = -1;
	int r;

	spec.name = (char *)vm;
	spec.memory_bytes = bytes;
	r = vm_check_room(n, &spec, err);
	if (r < 0)
		return r;
	vm_give_memory(n, bytes);
	fd = memfd_create("tagalong-relay", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		return mg_error_set(err, -errno, "no memory for a copy of %s: %s", vm,
				    strerror(errno));
	n->relayed_bytes += bytes;
	return TAKE_FD(fd);
}

void relay_return_memory(struct node *n, int fd, uint64_t bytes)
{
	close(fd);
	n->relayed_bytes -= bytes;
}

/* ---- Steps --------------------------------------------------------------------------- */

static void relay_free(struct relay *r);

static void enter(struct relay *r, enum step step)
{
	r->step = step;
	r->since_ns = clock_mono_ns();
	sd_event_source_set_time_relative(r->tick, 0);
	sd_event_source_set_enabled(r->tick, SD_EVENT_ONESHOT);
}

static void stop_listening(struct relay *r)
{
	sd_event_source_disable_unref(r->accepting);
	r->accepting = NULL;
	if (r->listener < 0)
		return;
	close(TAKE_FD(r->listener));
	(void)unlink(r->path);
}

static void stop_connecting(struct relay *r)
{
	sd_event_source_disable_unref(r->connecting);
	r->connecting = NULL;
	if (r->connecting_fd >= 0)
		close(TAKE_FD(r->connecting_fd));
}

/* A guest that QEMU has stopped runs on there. */
static void let_go(struct relay *r)
{
	stop_listening(r);
	stop_connecting(r);
	if (r->outflow)
		outflow_abort(r->outflow);
	outflow_free(r->outflow);
	r->outflow = NULL;
	if (r->qemu_fd >= 0)
		close(TAKE_FD(r->qemu_fd));
	if (r->ram_fd >= 0)
		relay_return_memory(r->m.node, TAKE_FD(r->ram_fd), r->head.ram.length);
}

static void fill_figures(struct relay *r)
{
	Tagalong__MoveFigures *f = move_figures(&r->m);
	struct outflow_stats s;

	f->has_elapsed_ns = true;
	f->elapsed_ns = clock_mono_ns() - r->m.begun_mono_ns;
	if (!r->outflow)
		return;
	outflow_get_stats(r->outflow, &s);
	f->has_wire_bytes = f->has_guest_bytes = f->has_link_bps = true;
	f->wire_bytes = s.wire_bytes;
	f->guest_bytes = s.guest_bytes;
	f->link_bps = s.link_bps;
	f->has_resent_bytes = s.resent_bytes > 0;
	f->resent_bytes = s.resent_bytes;
	move_figures_pages(f, s.pages);
}

/* For the history; there is nothing that a restart would have to do. */
static void journal(struct relay *r, enum journal_stage stage)
{
	struct journal_move row = r->m.row;
	struct mg_error err = { 0 };

	row.stage = stage;
	row.settled = row.reported = true;
	if (journal_write(r->m.node->journal, &row, &err) < 0)
		log_warning("relay", "move=%s is not in the history: %s", r->m.id_text, err.text);
}

static void fail(struct relay *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void fail(struct relay *r, const char *fmt, ...)
{
	char text[sizeof(((struct mg_error *)0)->text)];
	va_list ap;

	if (r->step == STEP_OVER)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fill_figures(r);
	let_go(r);
	move_explain(&r->m, "%s", text);
	move_show(&r->m, STATE(ABORTED));
	journal(r, JOURNAL_ABORTED);
	enter(r, STEP_OVER);
}

/* The target's QEMU has all, and ours is told at once: from here on it is between whoever
 * steers both. */
static void succeed(struct relay *r)
{
	if (r->step != STEP_FLOW)
		return;
	if (outflow_send_shut(r->outflow) < 0) {
		fail(r, "QEMU closed its migration socket");
		return;
	}
	fill_figures(r);
	while (r->m.row.info->state < STATE(DONE))
		move_show(&r->m, r->m.row.info->state + 1);
	journal(r, JOURNAL_DONE);
	r->peer_waits = false; /* it lets go by itself */
	enter(r, STEP_OVER);
}

/* ---- The data connection --------------------------------------------------------------- */

static void on_outflow(struct outflow *flow, enum outflow_event event, void *userdata)
{
	struct relay *r = userdata;

	if (r->step != STEP_FLOW)
		return;
	switch (event) {
	case OUTFLOW_STOPPED:
		move_show(&r->m, STATE(STOPPED));
		break;
	case OUTFLOW_LOST:
		r->lost_since_ns = clock_mono_ns();
		r->tried_ns = 0;
		log_warning("relay", "move=%s vm=%s %s; trying again for %llu s", r->m.id_text,
			    r->m.row.info->vm, outflow_loss(flow)->text,
			    (unsigned long long)(r->patience_ns / NS_PER_S));
		break;
	case OUTFLOW_RESUMED:
		r->lost_since_ns = 0;
		stop_connecting(r);
		break;
	case OUTFLOW_FAILED:
		fail(r, "%s", outflow_error(flow)->text);
		break;
	case OUTFLOW_POST_COPY: /* is refused before */
	case OUTFLOW_WARMED:
		break;
	}
}

static int start_outflow(struct relay *r, struct mg_error *err)
{
	struct node *n = r->m.node;
	struct outflow_config config = {
		.qemu_fd = r->qemu_fd,
		.qemu_end = -1,
		.ram_fd = fcntl(r->ram_fd, F_DUPFD_CLOEXEC, 0),
		.mirror = true,
		.ram_id = r->head.ram.name,
		.ram_bytes = r->head.ram.length,
		.shadow_bytes = n->config->shadow_bytes,
		.connections = 1,
		.fds = { r->connecting_fd },
		.link = { .move = r->m.row.id, .incarnation = ++r->incarnation,
			  .plain_text = n->config->plain_text_data },
		.bandwidth_bps = r->bandwidth_bps,
	};
	int code;

	if (config.ram_fd < 0)
		return mg_error_set(err, -errno, "no descriptor: %s", strerror(errno));
	memcpy(config.link.key, r->session_key, sizeof(config.link.key));
	image_hash_key(r->session_key, config.link.page_secret);
	code = outflow_start(n->loop, &config, on_outflow, r, &r->outflow, err);
	explicit_bzero(&config.link, sizeof(config.link));
	if (code < 0) {
		close(config.ram_fd);
		return code;
	}
	r->qemu_fd = r->connecting_fd = -1;
	return 0;
}

static int on_connected(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct relay *r = userdata;
	struct mg_error err = { 0 };
	socklen_t len = sizeof(int);
	int error = 0;

	(void)source;
	(void)events;
	r->connecting = sd_event_source_disable_unref(r->connecting);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error) {
		stop_connecting(r);
		if (!r->outflow) /* else there will be another try */
			fail(r, "no data connection to %s at %s: %s", r->m.row.peer,
			     r->data_endpoint, strerror(error));
	} else if (r->outflow) {
		outflow_resume(r->outflow, 0, TAKE_FD(r->connecting_fd), ++r->incarnation);
	} else if (start_outflow(r, &err) < 0) {
		fail(r, "%s", err.text);
	} else {
		move_show(&r->m, STATE(COPYING));
		enter(r, STEP_FLOW);
	}
	return 0;
}

static void try_to_connect(struct relay *r)
{
	stop_connecting(r);
	r->tried_ns = clock_mono_ns();
	r->connecting_fd = link_connect(r->data_endpoint);
	if (r->connecting_fd >= 0)
		(void)sd_event_add_io(r->m.node->loop, &r->connecting, r->connecting_fd, EPOLLOUT,
				      on_connected, r);
	else if (!r->outflow)
		fail(r, "no data connection to %s at %s: %s", r->m.row.peer, r->data_endpoint,
		     strerror(-r->connecting_fd));
}

/* ---- The target -------------------------------------------------------------------------- */

static void on_prepared(struct relay *r, const Tagalong__PeerPrepared *p)
{
	if (r->step == STEP_OVER)
		r->peer_waits = true;
	if (r->step != STEP_ASK)
		return;
	snprintf(r->data_endpoint, sizeof(r->data_endpoint), "%s", p->data_endpoint);
	r->peer_waits = true;
	move_show(&r->m, STATE(PREPARED));
	enter(r, STEP_CONNECT);
	try_to_connect(r);
}

static void on_state(struct relay *r, const Tagalong__PeerState *state)
{
	if (state->stage == PEER(READY)) {
		succeed(r);
	} else if (state->stage == PEER(NEVER) || state->stage == PEER(UNKNOWN)) {
		r->peer_waits = false;
		fail(r, "%s gave it up%s%s", r->m.row.peer, state->why ? ": " : "",
		     state->why ? state->why : "");
	}
}

static void on_peer_message(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
			    void *userdata)
{
	struct relay *r = userdata;

	(void)s;
	(void)from;
	if (e->body_case == BODY(PEER_PREPARED))
		on_prepared(r, e->peer_prepared);
	else if (e->body_case == BODY(PEER_STATE))
		on_state(r, e->peer_state);
	else if (e->body_case == BODY(FAILURE) && r->step == STEP_ASK)
		fail(r, "%s: %s", r->m.row.peer, e->failure->text);
}

static void ask(struct relay *r)
{
	const struct node_config *c = r->m.node->config;
	Tagalong__PeerRelay p = TAGALONG__PEER_RELAY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	p.move = (ProtobufCBinaryData){ UUID_SIZE, r->m.row.id.bytes };
	p.vm = r->m.row.info->vm;
	p.session_key = (ProtobufCBinaryData){ LINK_KEY_SIZE, r->session_key };
	p.plain_text = c->plain_text_data;
	p.source_node = c->name;
	p.ram_block = r->head.ram.name;
	p.ram_bytes = r->head.ram.length;
	p.has_patience_ns = true;
	p.patience_ns = r->patience_ns;
	e.body_case = BODY(PEER_RELAY);
	e.peer_relay = &p;
	(void)peer_send(r->peer, NULL, &e);
}

/* Says it, unless it was said a moment ago. */
static void say(struct relay *r)
{
	uint64_t now = clock_mono_ns();

	if (now - r->said_ns < REPEAT_NS)
		return;
	r->said_ns = now;
	if (r->step == STEP_ASK)
		ask(r);
	else
		(void)peer_send_word(r->peer, NULL, NULL, &r->m.row.id,
				     r->step == STEP_OVER ? BODY(PEER_ABORT) : BODY(PEER_QUERY),
				     r->m.row.info->failure);
}

/* ---- QEMU ---------------------------------------------------------------------------------- */

static int take_head(struct relay *r, struct mg_error *err)
{
	int code = stream_head_peek(r->qemu_fd, &r->head, err);

	if (code <= 0)
		return code;
	if (!r->head.returns) /* it would take what lies in our buffers for arrived */
		return mg_error_set(err, -EOPNOTSUPP, "its QEMU opens no return path; that is the "
				    "capability 'return-path', which libvirt sets from 9.0 on");
	r->ram_fd = relay_take_memory(r->m.node, r->m.row.info->vm, r->head.ram.length, err);
	return r->ram_fd < 0 ? r->ram_fd : 1;
}

static void read_head(struct relay *r)
{
	struct mg_error err = { 0 };
	int code = take_head(r, &err);

	if (code < 0)
		fail(r, "%s", err.text);
	else if (code > 0)
		enter(r, STEP_ASK);
	else if (clock_mono_ns() - r->since_ns > HEAD_TIMEOUT_NS)
		fail(r, "QEMU connected, and its migration does not begin");
}

static int on_accept(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct relay *r = userdata;

	(void)source;
	(void)events;
	r->qemu_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (r->qemu_fd < 0)
		return 0;
	stop_listening(r); /* one migration */
	move_show(&r->m, STATE(CHECKING));
	enter(r, STEP_READ);
	return 0;
}

/* What a daemon that was killed has left there is in nobody's way. */
static void remove_socket(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path);
}

/* Who may come there is said by the directory, as the QEMU of another is another user's. */
static int listen_at(struct relay *r, struct mg_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	remove_socket(r->path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", r->path);
	r->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (r->listener < 0 || bind(r->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(r->path, 0666) < 0 || listen(r->listener, 1) < 0)
		return mg_error_set(err, -errno, "%s: %s", r->path, strerror(errno));
	return sd_event_add_io(r->m.node->loop, &r->accepting, r->listener, EPOLLIN, on_accept, r);
}

/* ---- Time ---------------------------------------------------------------------------------- */

static bool is_over(struct relay *r)
{
	uint64_t past = clock_mono_ns() - r->since_ns;

	if (r->peer_waits && past < ABORT_TIMEOUT_NS)
		say(r);
	else
		r->peer_waits = false;
	return move_tell_result(&r->m) && !r->peer_waits && past > LINGER_NS;
}

static void flow_tick(struct relay *r)
{
	uint64_t now = clock_mono_ns();

	fill_figures(r);
	move_figures(&r->m)->has_link_down = true;
	move_figures(&r->m)->link_down = r->lost_since_ns != 0;
	move_tell_progress(&r->m);
	if (r->lost_since_ns || r->m.row.info->state == STATE(STOPPED))
		say(r); /* what the target says by itself may be lost */
	if (r->lost_since_ns && now - r->lost_since_ns > r->patience_ns)
		fail(r, "the data connection was lost, and there was no other within %llu s (%s)",
		     (unsigned long long)(r->patience_ns / NS_PER_S),
		     outflow_loss(r->outflow)->text);
	else if (r->lost_since_ns && now - r->tried_ns > CONNECT_AGAIN_NS)
		try_to_connect(r);
}

static int on_tick(sd_event_source *source, uint64_t now, void *userdata)
{
	struct relay *r = userdata;
	uint64_t past = clock_mono_ns() - r->since_ns;

	(void)now;
	if (r->step == STEP_READ)
		read_head(r);
	if (r->step == STEP_ASK)
		say(r);
	if (r->step == STEP_ASK && past > ASK_TIMEOUT_NS)
		fail(r, "%s does not answer; is it up, and is this node's key on its allow list?",
		     r->m.row.peer);
	if (r->step == STEP_CONNECT && past > ASK_TIMEOUT_NS)
		fail(r, "no data connection to %s at %s", r->m.row.peer, r->data_endpoint);
	if (r->step == STEP_FLOW)
		flow_tick(r);
	if (r->step == STEP_OVER && is_over(r)) {
		relay_free(r);
		return 0;
	}
	sd_event_source_set_time_relative(source, (r->step == STEP_READ ? HEAD_TICK_NS : TICK_NS) /
							  NS_PER_US);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

/* ---- Orders -------------------------------------------------------------------------------- */

static struct relay *find(struct node *n, const struct uuid *id)
{
	struct relay *r;

	LIST_FOREACH(r, &n->relays, link)
		if (uuid_equal(&r->m.row.id, id))
			return r;
	return NULL;
}

static bool waits_for(struct node *n, const char *vm)
{
	struct relay *r;

	LIST_FOREACH(r, &n->relays, link)
		if (r->step == STEP_LISTEN && strcmp(r->m.row.info->vm, vm) == 0)
			return true;
	return false;
}

/* Also where QEMU is to migrate to. */
static int check(struct node *n, const Tagalong__VmRelay *order, char ret_path[108],
		 struct mg_error *err)
{
	int code = relay_path(n, order->vm, ret_path, err);

	if (code < 0)
		return code;
	if (vm_find(n, order->vm))
		return mg_error_set(err, -EEXIST, "%s has a VM named '%s': 'migrator move' moves it",
				    n->config->name, order->vm);
	if (waits_for(n, order->vm))
		return mg_error_set(err, -EBUSY, "one of %s is awaited already", order->vm);
	if (strcmp(order->target, n->config->name) == 0)
		return mg_error_set(err, -EINVAL, "%s is this node itself", order->target);
	if (!order->target_endpoint || !*order->target_endpoint)
		return mg_error_set(err, -EINVAL, "the order does not say where %s is reached",
				    order->target);
	return 0;
}

static struct relay *relay_new(struct node *n, const Tagalong__VmRelay *order)
{
	const Tagalong__MoveLimits *l = order->limits;
	Tagalong__MoveReason reason = TAGALONG__MOVE_REASON__INIT;
	VmSpec spec = TAGALONG__VM_SPEC__INIT;
	struct uuid id = uuid_of(&order->move), none = { 0 };
	char no_text[] = "";
	struct relay *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->listener = r->qemu_fd = r->ram_fd = r->connecting_fd = -1;
	r->m.node = n;
	LIST_INSERT_HEAD(&n->relays, r, link);
	spec.name = order->vm;
	spec.machine = spec.cpu = spec.accelerator = no_text; /* that is not ours to know */
	reason.code = (char *)"relay";
	reason.text = (char *)"what its owner migrates";
	if (move_init(&r->m, n, &id, false, &spec, &none) < 0 ||
	    move_set_nodes(&r->m, n->config->name, order->target, order->target_endpoint,
			   order->target_public_key) < 0 ||
	    move_set_cause(&r->m, &reason, NULL) < 0 ||
	    sd_event_add_time_relative(n->loop, &r->tick, CLOCK_MONOTONIC, TICK_NS / NS_PER_US, 1,
				       on_tick, r) < 0) {
		relay_free(r);
		return NULL;
	}
	randombytes_buf(r->session_key, sizeof(r->session_key));
	r->bandwidth_bps = l ? l->bandwidth_bps : 0;
	r->patience_ns = l && l->has_patience_ns ? l->patience_ns : PATIENCE_DEFAULT_NS;
	return r;
}

static void relay_free(struct relay *r)
{
	let_go(r);
	LIST_REMOVE(r, link);
	bus_socket_free(r->peer);
	sd_event_source_disable_unref(r->tick);
	explicit_bzero(r->session_key, sizeof(r->session_key));
	move_clear(&r->m);
	free(r);
}

static int begin(struct node *n, const Tagalong__VmRelay *order, struct relay **ret,
		 struct mg_error *err)
{
	char path[sizeof((*ret)->path)];
	struct relay *r;
	int code = check(n, order, path, err);

	if (code < 0)
		return code;
	r = relay_new(n, order);
	if (!r)
		return mg_error_set(err, -ENOMEM, "out of memory");
	memcpy(r->path, path, sizeof(path));
	code = bus_connect(n->bus, BUS_DEALER, r->m.row.peer_endpoint, r->m.row.peer_key,
			   on_peer_message, r, &r->peer, err);
	if (code == 0)
		code = listen_at(r, err);
	if (code < 0) {
		relay_free(r);
		return code;
	}
	*ret = r;
	return 0;
}

static void answer_waits(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
			 char *path)
{
	Tagalong__RelayWaits waits = TAGALONG__RELAY_WAITS__INIT;
	Envelope answer = TAGALONG__ENVELOPE__INIT;

	waits.path = path;
	answer.body_case = BODY(RELAY_WAITS);
	answer.relay_waits = &waits;
	bus_reply(s, from, e, &answer);
}

void relay_order(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		 const Envelope *e)
{
	const Tagalong__VmRelay *order = e->vm_relay;
	struct uuid id = uuid_of(&order->move);
	const struct mg_error *refused = refusals_find(&n->refused, &id);
	struct mg_error err = { 0 };
	struct relay *r = find(n, &id);
	char path[sizeof(r->path)];

	if (refused) {
		bus_reply_failure(s, from, e, refused);
		return;
	}
	if (order->dry_run && check(n, order, path, &err) == 0) {
		answer_waits(s, from, e, path);
		return;
	}
	if (err.code || (!r && begin(n, order, &r, &err) < 0)) {
		refusals_add(&n->refused, &id, &err);
		bus_reply_failure(s, from, e, &err);
		return;
	}
	move_set_follower(&r->m, from);
	answer_waits(s, from, e, r->path);
	move_tell_progress(&r->m);
}

bool relay_cancel(struct node *n, const Tagalong__MoveCancel *cancel, const char *who)
{
	struct uuid id = uuid_of(&cancel->move);
	struct relay *r = find(n, &id);

	if (r && !cancel->dry_run)
		fail(r, "cancelled by %s", who);
	return r != NULL;
}

size_t relay_infos(struct node *n, const Tagalong__MoveQuery *q, MoveInfo **infos)
{
	struct relay *r;
	size_t count = 0;

	LIST_FOREACH(r, &n->relays, link) {
		if (r->step == STEP_OVER || (q->vm && strcmp(q->vm, r->m.row.info->vm) != 0) ||
		    (q->has_move && memcmp(q->move.data, r->m.row.id.bytes, UUID_SIZE) != 0))
			continue;
		if (infos)
			infos[count] = r->m.row.info;
		count++;
	}
	return count;
}

void relay_take_answer(struct node *n, uint64_t reply_to)
{
	struct relay *r;

	LIST_FOREACH(r, &n->relays, link)
		if (move_take_answer(&r->m, reply_to))
			return;
}

void relays_free(struct node *n)
{
	while (!LIST_EMPTY(&n->relays))
		relay_free(LIST_FIRST(&n->relays));
	relay_targets_free(n);
}
