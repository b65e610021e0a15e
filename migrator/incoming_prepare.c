/* SPDX-License-Identifier: Apache-2.0
 *
 * What a source asks to prepare: whether this host takes the VM, and how a move begins.
 */
#include <string.h>

#include "common/log.h"
#include "migrator/foreign.h"
#include "migrator/incoming_internal.h"
#include "migrator/node_config.h"
#include "migrator/preflight.h"

#define PATIENCE_DEFAULT_NS (60 * NS_PER_S)
#define PATIENCE_MORE_NS (15 * NS_PER_S) /* than the source's, which notices later */
#define START_TIMEOUT_NS (50 * NS_PER_S) /* until QEMU waits; the source gives up after 60 s */

#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

static int check_host(struct node *n, const Tagalong__PeerPrepare *p, struct mg_error *err)
{
	struct preflight_target host = {
		.qemu_version = n->host.qemu_version,
		.machine_types = (const char *const *)n->host.machine_types,
		.has_kvm = n->host.has_kvm,
		.has_vm = vm_find(n, p->spec->name) != NULL,
		.no_faults = !guest_host_has_faults(&n->host),
		.huge_pages = n->config->huge_page_dir != NULL,
	};
	bool waits = !p->warm && foreign_waiting(n, p->spec->name);
	const struct preflight_facts facts = {
		.spec = p->spec, .source = p->source_node, .target = n->config->name,
		.running = true, .source_qemu = p->source_qemu_version, .host = &host,
		.post_copy = p->post_copy,
	};
	struct preflight found;
	int r;

	r = incoming_disk_look(n, p, &host, err);
	if (r < 0)
		return r;
	while (host.machine_types && host.machine_types[host.n_machine_types])
		host.n_machine_types++;
	vm_free_room(n, &host.memory_free, &host.vcpus_free);
	host.foreign = waits;
	if (waits) { /* the QEMU that waits is its owner's choice, and judges itself */
		host.qemu_version = NULL;
		host.n_machine_types = 0;
	}
	preflight_check(&facts, &found);
	r = preflight_verdict(&found, p->force, err);
	return r < 0 || waits ? r : guest_host_check(&n->host, p->spec, err);
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

/* The source has been visited too, by the time the VM is here. */
static int take_luggage(struct incoming *in, const Tagalong__PeerPrepare *p)
{
	VmLuggage *l;

	if (!p->luggage)
		return 0;
	l = in->m.row.luggage = luggage_copy(p->luggage);
	if (!l)
		return -ENOMEM;
	if (l->has_tail) /* without it more bytes come */
		(void)tail_unpack(l->tail.data, l->tail.len, &in->last_tail);
	if (!p->source_endpoint)
		return 0;
	return luggage_add_visit(l, p->source_node, p->source_endpoint,
				 p->source_public_key ? p->source_public_key : "");
}

/* As many as the source wants, and as there can be. */
static unsigned agree_connections(const Tagalong__MoveLimits *l)
{
	unsigned wanted = l && l->has_connections && l->connections ? l->connections : 1;

	return wanted < LINK_LANES_MAX ? wanted : LINK_LANES_MAX;
}

/* The one that waits for it is where it goes; whatever the source says of monitors is not
 * for us. */
static int take_waiting(struct incoming *in, struct node *n, const Tagalong__PeerPrepare *p)
{
	const char *monitor = p->warm ? NULL : foreign_waiting(n, p->spec->name);

	free(p->spec->monitor);
	p->spec->monitor = monitor ? strdup(monitor) : NULL;
	if (!monitor)
		return 0;
	in->listens = foreign_listens(n, p->spec->name);
	foreign_take(n, p->spec->name);
	return p->spec->monitor ? 0 : -ENOMEM;
}

static int begin(struct node *n, const Tagalong__PeerPrepare *p, struct incoming **ret,
		 struct mg_error *err)
{
	struct uuid id = uuid_of(&p->move), incarnation = uuid_random(), order;
	struct incoming *in = incoming_new(n);
	int r;

	if (!in)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r = take_waiting(in, n, p);
	if (r == 0)
		r = move_init(&in->m, n, &id, true, p->spec, &incarnation);
	if (r == 0 && p->has_order_id) {
		order = uuid_of(&p->order_id);
		r = move_set_order(&in->m, &order);
	}
	if (r == 0)
		r = move_set_nodes(&in->m, p->source_node, n->config->name, p->source_endpoint,
				   p->source_public_key);
	if (r == 0)
		r = take_luggage(in, p);
	if (r == 0)
		r = move_set_cause(&in->m, p->reason, p->has_device ? &p->device : NULL);
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
	in->patience_ns = PATIENCE_MORE_NS + (p->limits && p->limits->has_patience_ns
						      ? p->limits->patience_ns
						      : PATIENCE_DEFAULT_NS);
	in->connections = agree_connections(p->limits);
	in->post_copy = p->post_copy;
	r = vm_launch(n, p->spec, GUEST_INCOMING, &incarnation, VM_ARRIVING, &in->vm, err);
	if (r < 0) {
		in->qemu = COMMIT_QEMU_DEAD;
		incoming_give_up(in, err->text);
		return r;
	}
	incoming_watch(in, in->vm);
	(void)vm_set_luggage(in->vm, in->m.row.luggage); /* without it no image is kept */
	if (p->has_base_id) {
		struct uuid base = uuid_of(&p->base_id);

		incoming_find_base(in, &base);
	}
	in->warm = p->warm;
	/* What QEMU places by itself cannot be written down. */
	in->source_keeps = p->has_incarnation && !p->warm && !p->post_copy;
	if (in->source_keeps)
		in->source_image = uuid_of(&p->incarnation);
	in->may_come_again = p->warm || p->may_come_again;
	*ret = in;
	return 0;
}

/* A source that is told EAGAIN asks again, for as long as its move may take. */
static int check_turn(struct node *n, struct mg_error *err)
{
	const struct incoming *in;
	uint32_t busy = 0;

	LIST_FOREACH(in, &n->incoming, link)
		busy += !in->m.row.settled && !move_state_is_final(in->m.row.info->state);
	if (n->config->moves_in == 0 || busy < n->config->moves_in)
		return 0;
	return mg_error_set(err, -EAGAIN, "%u moves at most may arrive at a time",
			    n->config->moves_in);
}

/* What was sent ahead of the VM's move makes way for that; whether it has yet to. */
static bool must_make_way(struct node *n, const Tagalong__PeerPrepare *p)
{
	struct incoming *in;

	LIST_FOREACH(in, &n->incoming, link) {
		if (!in->warm || p->warm || move_state_is_final(in->m.row.info->state) ||
		    strcmp(in->m.row.info->vm, p->spec->name) != 0 ||
		    strcmp(in->m.row.info->source, p->source_node) != 0)
			continue;
		incoming_give_up(in, "a move of it comes");
		return true;
	}
	return false;
}

/* Of that name, and takes room until its QEMU has ended. */
static bool one_is_leaving(struct node *n, const char *name)
{
	struct vm *vm;

	LIST_FOREACH(vm, &n->vms, link)
		if (vm->place == VM_LEAVING && vm->guest && strcmp(vm->spec->name, name) == 0)
			return true;
	return false;
}

void incoming_prepare(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		      const Envelope *e)
{
	const Tagalong__PeerPrepare *p = e->peer_prepare;
	struct mg_error err = { 0 };
	struct incoming *in = NULL;
	int r;

	if (!p->dry_run && must_make_way(n, p))
		return; /* the source asks again */
	r = check_prepare(n, from, p, &err);
	if (r < 0 && !p->dry_run && one_is_leaving(n, p->spec->name))
		return;
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
	if (r == 0 && check_turn(n, &err) < 0) {
		bus_reply_failure(s, from, e, &err);
		return;
	}
	if (r == 0)
		r = begin(n, p, &in, &err);
	if (r == -EAGAIN)
		return; /* a base is still being read: the source asks again */
	if (r < 0) {
		log_info("incoming", "vm=%s from=%s refused: %s", p->spec->name, p->source_node,
			 err.text);
		bus_reply_failure(s, from, e, &err);
		return;
	}
	incoming_remember_source(in, s, from);
	in->prepare_seq = e->seq;
	incoming_connect_source(in);
	move_show(&in->m, STATE(CHECKING));
}
