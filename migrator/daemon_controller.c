/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection to the controller: NodeHello until it is answered, and again
 * whenever the controller may have forgotten us; NodeStatus in between.
 */
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "migrator/daemon_internal.h"
#include "migrator/node_config.h"
#include "migrator/outgoing.h"
#include "migrator/vm.h"

#define TICK_NS (NS_PER_S)
#define STATUS_NS (2 * NS_PER_S)
#define IMAGES_TOLD 64
#define HELLO_NS (15 * NS_PER_S) /* again, should a restart of the controller go unseen */
#define SOON_NS (20 * NS_PER_MS) /* several changes at once make one status */

struct controller_link {
	struct daemon *daemon;
	sd_event_source *tick;
	bool known; /* the controller has answered our hello */
	uint64_t hello_seq;
	uint64_t hello_ns, status_ns;
	struct uuid boot_id; /* of the controller */
};

static void send_hello(struct controller_link *l)
{
	struct node *n = &l->daemon->node;
	Tagalong__NodeHello hello = TAGALONG__NODE_HELLO__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	char *accelerators[] = { (char *)"tcg", (char *)"kvm" };
	Tagalong__ImageInfo infos[IMAGES_TOLD], *images[IMAGES_TOLD];
	size_t n_machines = 0;
	int64_t seq;

	while (n->host.machine_types && n->host.machine_types[n_machines])
		n_machines++;
	hello.role = TAGALONG__NODE_ROLE__NODE_MIGRATOR;
	hello.control_endpoint = n->control_endpoint;
	if (bus_public_key(n->bus)[0])
		hello.public_key = (char *)bus_public_key(n->bus);
	hello.data_endpoint = n->data_endpoint;
	hello.has_memory_bytes = hello.has_vcpus = hello.has_epoch_seen = true;
	hello.memory_bytes = n->config->memory_bytes;
	hello.vcpus = n->config->vcpus;
	hello.accelerators = accelerators;
	hello.n_accelerators = n->host.has_kvm ? 2 : 1;
	hello.qemu_version = n->host.qemu_version;
	hello.machine_types = n->host.machine_types;
	hello.n_machine_types = n_machines;
	hello.epoch_seen = n->epoch;
	hello.images = images;
	hello.n_images = daemon_images(n, infos, images, IMAGES_TOLD);
	if (vm_infos(n, NULL, &hello.vms, &hello.n_vms) < 0)
		return;
	if (daemon_open_moves(n, &hello.moves, &hello.n_moves) == 0) {
		e.body_case = TAGALONG__ENVELOPE__BODY_NODE_HELLO;
		e.node_hello = &hello;
		seq = bus_send(n->controller, NULL, &e);
		if (seq > 0) {
			l->hello_seq = (uint64_t)seq;
			l->hello_ns = clock_mono_ns();
		}
	}
	free(hello.moves);
	vm_infos_free(hello.vms, hello.n_vms);
}

static void send_status(struct controller_link *l)
{
	struct node *n = &l->daemon->node;
	Tagalong__NodeStatus status = TAGALONG__NODE_STATUS__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	vm_used(n, &status.memory_used_bytes, &status.vcpus_used);
	if (vm_infos(n, NULL, &status.vms, &status.n_vms) < 0)
		return;
	e.body_case = TAGALONG__ENVELOPE__BODY_NODE_STATUS;
	e.node_status = &status;
	(void)bus_send(n->controller, NULL, &e);
	l->status_ns = clock_mono_ns();
	vm_infos_free(status.vms, status.n_vms);
}

static int on_tick(sd_event_source *source, uint64_t now, void *userdata)
{
	struct controller_link *l = userdata;

	(void)now;
	now = clock_mono_ns();
	if (!l->known || now - l->hello_ns >= HELLO_NS)
		send_hello(l);
	else
		send_status(l);
	sd_event_source_set_time_relative(source, (l->known ? STATUS_NS : TICK_NS) / NS_PER_US);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static void tick_soon(struct controller_link *l, uint64_t delay_ns)
{
	sd_event_source_set_time_relative(l->tick, delay_ns / NS_PER_US);
	sd_event_source_set_enabled(l->tick, SD_EVENT_ONESHOT);
}

void controller_link_changed(struct controller_link *l)
{
	if (l && l->known)
		tick_soon(l, SOON_NS);
}

static void on_answer(struct controller_link *l, const Envelope *e)
{
	if (outgoing_take_answer(&l->daemon->node, e->reply_to))
		return;
	if (e->reply_to != l->hello_seq)
		return;
	if (!l->known)
		log_info("controller", "node=%s is known to %s", l->daemon->node.config->name,
			 e->sender);
	l->known = true;
}

/* A message of another boot: the controller was restarted and knows nothing. */
static void check_boot(struct controller_link *l, const Envelope *e)
{
	struct uuid boot = { 0 };

	if (e->boot_id.len != UUID_SIZE)
		return;
	memcpy(boot.bytes, e->boot_id.data, UUID_SIZE);
	if (uuid_equal(&boot, &l->boot_id))
		return;
	l->boot_id = boot;
	if (l->known && e->reply_to != l->hello_seq) {
		l->known = false;
		tick_soon(l, 0);
	}
}

static void on_controller(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
			  void *userdata)
{
	struct controller_link *l = userdata;

	(void)from;
	check_boot(l, e);
	switch (e->body_case) {
	case TAGALONG__ENVELOPE__BODY_DONE:
		on_answer(l, e);
		break;
	case TAGALONG__ENVELOPE__BODY_FAILURE:
		log_warning("controller", "%s refuses: %s", e->sender, e->failure->text);
		l->known = false; /* whatever it did not like, a hello puts it right */
		break;
	default:
		daemon_on_order(l->daemon, s, NULL, e);
		break;
	}
}

int controller_link_new(struct daemon *d, struct controller_link **ret, struct mg_error *err)
{
	const struct controller_config *c = d->node.config->controller;
	struct controller_link *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return mg_error_set(err, -ENOMEM, "out of memory");
	l->daemon = d;
	r = bus_connect(d->node.bus, BUS_DEALER, c->endpoint, c->key, on_controller, l,
			&d->node.controller, err);
	if (r == 0)
		r = sd_event_add_time_relative(d->node.loop, &l->tick, CLOCK_MONOTONIC, 0, 1, on_tick,
					       l);
	if (r < 0) {
		controller_link_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void controller_link_free(struct controller_link *l)
{
	if (!l)
		return;
	sd_event_source_disable_unref(l->tick);
	bus_socket_free(l->daemon->node.controller);
	l->daemon->node.controller = NULL;
	free(l);
}
