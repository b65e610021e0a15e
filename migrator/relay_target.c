/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "migrator/guest_foreign.h"
#include "migrator/image.h"
#include "migrator/inflow.h"
#include "migrator/node_config.h"
#include "migrator/ramstream.h"
#include "migrator/relay.h"
#include "migrator/vm_spec.h"

#define DATA_TIMEOUT_NS (30 * NS_PER_S) /* until the source connects */
#define FLOWS_ON_NS (2 * NS_PER_S)      /* until the source has heard that all is in QEMU */
#define KEPT_NS (60 * NS_PER_S)         /* to answer how it ended */
#define PATIENCE_DEFAULT_NS (60 * NS_PER_S)
#define PATIENCE_MORE_NS (15 * NS_PER_S) /* than the source's, which notices later */

#define PEER(name) TAGALONG__PEER_STAGE__PEER_##name

struct relay_target {
	struct node *node;
	LIST_ENTRY(relay_target) link;
	struct uuid id;
	char vm[VM_NAME_MAX + 1];
	char block[256];
	char source_node[PEER_NAME_SIZE];
	uint8_t session_key[LINK_KEY_SIZE];
	uint64_t ram_bytes, patience_ns;
	int ram_fd, qemu_fd;
	struct inflow *inflow;
	Tagalong__PeerStage stage;
	char why[256];
	struct bus_socket *socket; /* where the source's last message came from */
	struct bus_peer source;
	sd_event_source *deadline;
};

static struct relay_target *find(struct node *n, const struct uuid *id)
{
	struct relay_target *t;

	LIST_FOREACH(t, &n->relay_targets, link)
		if (uuid_equal(&t->id, id))
			return t;
	return NULL;
}

/* QEMU finds its socket closed, if it has not loaded all. */
static void let_go(struct relay_target *t)
{
	inflow_free(t->inflow);
	t->inflow = NULL;
	if (t->qemu_fd >= 0)
		close(TAKE_FD(t->qemu_fd));
	if (t->ram_fd >= 0)
		relay_return_memory(t->node, TAKE_FD(t->ram_fd), t->ram_bytes);
	explicit_bzero(t->session_key, sizeof(t->session_key));
}

static void target_free(struct relay_target *t)
{
	let_go(t);
	LIST_REMOVE(t, link);
	sd_event_source_disable_unref(t->deadline);
	free(t);
}

static void tell(struct relay_target *t)
{
	(void)peer_send_state(t->socket, &t->source, NULL, &t->id, t->stage,
			      t->why[0] ? t->why : NULL, 0, false);
}

static void set_deadline(struct relay_target *t, uint64_t ns)
{
	sd_event_source_set_time_relative(t->deadline, ns / NS_PER_US);
	sd_event_source_set_enabled(t->deadline, SD_EVENT_ONESHOT);
}

/* How it ended is kept for a while. */
static void end(struct relay_target *t, Tagalong__PeerStage stage, const char *why)
{
	char id_text[UUID_TEXT_SIZE];

	if (t->stage == PEER(READY) || t->stage == PEER(NEVER))
		return;
	t->stage = stage;
	snprintf(t->why, sizeof(t->why), "%s", why);
	log_info("relay", "move=%s vm=%s from=%s %s", uuid_format(&t->id, id_text), t->vm,
		 t->source_node, stage == PEER(READY) ? "all of it is in QEMU" : why);
	tell(t);
	set_deadline(t, stage == PEER(READY) ? FLOWS_ON_NS : KEPT_NS);
	if (stage == PEER(NEVER))
		let_go(t);
}

static int on_deadline(sd_event_source *source, uint64_t now, void *userdata)
{
	struct relay_target *t = userdata;

	(void)source;
	(void)now;
	if (t->stage == PEER(READY) && t->inflow) {
		let_go(t);
		set_deadline(t, KEPT_NS);
	} else if (t->stage == PEER(READY) || t->stage == PEER(NEVER)) {
		target_free(t);
	} else {
		end(t, PEER(NEVER), t->inflow ? inflow_loss(t->inflow)->text
					      : "the source did not connect in time");
	}
	return 0;
}

static void on_inflow(struct inflow *flow, enum inflow_event event, void *userdata)
{
	struct relay_target *t = userdata;

	switch (event) {
	case INFLOW_STARTED:
		t->stage = PEER(LOADING);
		break;
	case INFLOW_LOADED:
		end(t, PEER(READY), "");
		break;
	case INFLOW_LOST:
		set_deadline(t, t->patience_ns);
		break;
	case INFLOW_RESUMED:
		sd_event_source_set_enabled(t->deadline, SD_EVENT_OFF);
		break;
	case INFLOW_FAILED:
		end(t, PEER(NEVER), inflow_error(flow)->text);
		break;
	case INFLOW_POST_COPY: /* is refused by the source */
		break;
	}
}

static int start_inflow(struct relay_target *t, int fd, const struct link_hello *hello,
			struct mg_error *err)
{
	struct inflow_config config = {
		.qemu_fd = t->qemu_fd,
		.ram_fd = t->ram_fd,
		.ram_bytes = t->ram_bytes,
		.write_back = t->block,
		.link = { .fd = fd, .move = t->id, .incarnation = hello->incarnation,
			  .plain_text = t->node->config->plain_text_data },
		.connections = 1,
		.hello = *hello,
	};
	int r;

	memcpy(config.link.key, t->session_key, sizeof(config.link.key));
	image_hash_key(t->session_key, config.link.page_secret);
	r = inflow_start(t->node->loop, &config, on_inflow, t, &t->inflow, err);
	explicit_bzero(&config.link, sizeof(config.link));
	if (r < 0)
		return r;
	t->qemu_fd = -1;
	sd_event_source_set_enabled(t->deadline, SD_EVENT_OFF);
	return 0;
}

bool relay_target_data(struct node *n, int fd, const struct link_hello *hello)
{
	struct relay_target *t = find(n, &hello->move);
	struct mg_error err = { 0 };
	int r;

	if (!t || t->stage == PEER(READY) || t->stage == PEER(NEVER))
		return false;
	r = t->inflow ? inflow_resume(t->inflow, fd, hello, &err) : start_inflow(t, fd, hello, &err);
	if (r < 0) {
		log_warning("relay", "vm=%s data connection refused: %s", t->vm, err.text);
		close(fd);
	}
	return true;
}

/* ---- Beginning -------------------------------------------------------------------------- */

static int connect_qemu(const struct node *n, const char *vm, int *ret, struct mg_error *err)
{
	char path[108], address[sizeof(path) + 5];
	int r = relay_path(n, vm, path, err);

	if (r < 0)
		return r;
	snprintf(address, sizeof(address), "unix:%s", path);
	return guest_foreign_connect(address, ret, err);
}

static int check(const struct node *n, const struct bus_peer *from, const Tagalong__PeerRelay *p,
		 struct mg_error *err)
{
	if (p->plain_text != n->config->plain_text_data)
		return mg_error_set(err, -EACCES, "one side would send pages in plain text and the "
				    "other not: 'plain_text_data' has to be the same on both");
	if (from->name[0] && strcmp(from->name, p->source_node) != 0)
		return mg_error_set(err, -EACCES, "%s speaks for %s", from->name, p->source_node);
	if (p->ram_bytes == 0 || p->ram_bytes % RAMSTREAM_PAGE ||
	    p->ram_bytes > RAMSTREAM_MAX_BYTES || strlen(p->ram_block) > 255)
		return mg_error_set(err, -EINVAL, "no guest has such RAM");
	return 0;
}

static int begin(struct node *n, const struct bus_peer *from, const Tagalong__PeerRelay *p,
		 struct relay_target **ret, struct mg_error *err)
{
	struct relay_target *t;
	int qemu_fd = -1, ram_fd, r = check(n, from, p, err);

	if (r == 0)
		r = connect_qemu(n, p->vm, &qemu_fd, err);
	if (r < 0)
		return r;
	t = calloc(1, sizeof(*t));
	ram_fd = t ? relay_take_memory(n, p->vm, p->ram_bytes, err)
		   : mg_error_set(err, -ENOMEM, "out of memory");
	if (ram_fd < 0) {
		close(qemu_fd);
		free(t);
		return ram_fd;
	}
	t->node = n;
	t->id = uuid_of(&p->move);
	snprintf(t->vm, sizeof(t->vm), "%s", p->vm);
	snprintf(t->block, sizeof(t->block), "%s", p->ram_block);
	snprintf(t->source_node, sizeof(t->source_node), "%s", p->source_node);
	memcpy(t->session_key, p->session_key.data, LINK_KEY_SIZE);
	t->ram_bytes = p->ram_bytes;
	t->patience_ns = PATIENCE_MORE_NS + (p->has_patience_ns ? p->patience_ns
								: PATIENCE_DEFAULT_NS);
	t->ram_fd = ram_fd;
	t->qemu_fd = qemu_fd;
	t->stage = PEER(PREPARED);
	LIST_INSERT_HEAD(&n->relay_targets, t, link);
	(void)sd_event_add_time_relative(n->loop, &t->deadline, CLOCK_MONOTONIC,
					 DATA_TIMEOUT_NS / NS_PER_US, 0, on_deadline, t);
	log_info("relay", "vm=%s from=%s for the QEMU that waits for it", t->vm, t->source_node);
	*ret = t;
	return 0;
}

static void answer_prepared(struct relay_target *t, const Envelope *e)
{
	Tagalong__PeerPrepared prepared = TAGALONG__PEER_PREPARED__INIT;
	Envelope answer = TAGALONG__ENVELOPE__INIT;

	prepared.move = prepared.incarnation = e->peer_relay->move;
	prepared.data_endpoint = t->node->data_endpoint;
	answer.body_case = TAGALONG__ENVELOPE__BODY_PEER_PREPARED;
	answer.peer_prepared = &prepared;
	bus_reply(t->socket, &t->source, e, &answer);
}

/* ---- What the source says ---------------------------------------------------------------- */

static void hear(struct relay_target *t, struct bus_socket *s, const struct bus_peer *from,
		 const Envelope *e)
{
	t->socket = s;
	t->source = *from;
	if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_RELAY && t->stage == PEER(PREPARED)) {
		answer_prepared(t, e);
		return;
	}
	if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_ABORT)
		end(t, PEER(NEVER), e->peer_abort->why ? e->peer_abort->why : "called off");
	tell(t);
}

static const ProtobufCBinaryData *move_of(const Envelope *e)
{
	switch (e->body_case) {
	case TAGALONG__ENVELOPE__BODY_PEER_RELAY:
		return &e->peer_relay->move;
	case TAGALONG__ENVELOPE__BODY_PEER_QUERY:
		return &e->peer_query->move;
	case TAGALONG__ENVELOPE__BODY_PEER_ABORT:
		return &e->peer_abort->move;
	default:
		return NULL;
	}
}

bool relay_target_message(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			  const Envelope *e)
{
	const ProtobufCBinaryData *move = move_of(e);
	struct uuid id = move ? uuid_of(move) : (struct uuid){ 0 };
	struct relay_target *t = move ? find(n, &id) : NULL;
	struct mg_error err = { 0 };

	if (!t && e->body_case != TAGALONG__ENVELOPE__BODY_PEER_RELAY)
		return false;
	if (t && from->name[0] && strcmp(from->name, t->source_node) != 0)
		mg_error_set(&err, -EACCES, "that relay is %s's", t->source_node);
	else if (!t)
		(void)begin(n, from, e->peer_relay, &t, &err);
	if (err.code)
		bus_reply_failure(s, from, e, &err);
	else
		hear(t, s, from, e);
	return true;
}

void relay_targets_free(struct node *n)
{
	while (!LIST_EMPTY(&n->relay_targets))
		target_free(LIST_FIRST(&n->relay_targets));
}
