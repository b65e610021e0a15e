/* SPDX-License-Identifier: Apache-2.0
 *
 * The connections to the controllers, of which one leads: NodeHello until it is
 * answered, and again whenever a controller may have forgotten us; NodeStatus
 * in between. Those that do not lead refuse every hello, so the next one that
 * does has ours at once.
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

struct controller {
	struct controller_link *link;
	struct bus_socket *socket;
	bool known; /* it has answered our hello */
	uint64_t hello_seq, hello_ns;
	struct uuid boot_id;
	char refusal[128]; /* the last one that was logged */
};

struct controller_link {
	struct daemon *daemon;
	sd_event_source *tick;
	struct controller *controllers, *leader;
	size_t n;
	uint64_t status_ns;
};

static void send_hello(struct controller *c)
{
	struct node *n = &c->link->daemon->node;
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
	hello.has_makes_way = hello.makes_way = true;
	hello.images = images;
	hello.n_images = daemon_images(n, infos, images, IMAGES_TOLD);
	if (vm_infos(n, NULL, &hello.vms, &hello.n_vms) < 0)
		return;
	if (daemon_open_moves(n, &hello.moves, &hello.n_moves) == 0) {
		e.body_case = TAGALONG__ENVELOPE__BODY_NODE_HELLO;
		e.node_hello = &hello;
		seq = bus_send(c->socket, NULL, &e);
		if (seq > 0) {
			c->hello_seq = (uint64_t)seq;
			c->hello_ns = clock_mono_ns();
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
	bool all_known = true, told = false;

	(void)now;
	now = clock_mono_ns();
	for (size_t i = 0; i < l->n; i++) {
		struct controller *c = &l->controllers[i];

		if (!c->known || now - c->hello_ns >= HELLO_NS) {
			send_hello(c);
			told |= c == l->leader;
		}
		all_known &= c->known;
	}
	if (l->leader->known && !told && (all_known || now - l->status_ns >= STATUS_NS))
		send_status(l);
	sd_event_source_set_time_relative(source, (all_known ? STATUS_NS : TICK_NS) / NS_PER_US);
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
	if (l && l->leader->known) {
		l->status_ns = 0;
		tick_soon(l, SOON_NS);
	}
}

/* It has taken our hello, so it leads; unless it is one that has not yet noticed
 * that another took over. */
static void follow(struct controller *c, uint64_t epoch)
{
	struct controller_link *l = c->link;
	struct node *n = &l->daemon->node;
	struct mg_error err = { 0 };

	if (daemon_see_epoch(n, epoch, &err) < 0)
		log_warning("controller", "%s", err.text);
	if (c == l->leader || epoch < n->epoch)
		return;
	l->leader = c;
	n->controller = c->socket;
}

static void on_answer(struct controller *c, const Envelope *e)
{
	struct node *n = &c->link->daemon->node;

	if (outgoing_take_answer(n, e->reply_to))
		return;
	if (e->reply_to != c->hello_seq)
		return;
	if (!c->known)
		log_info("controller", "node=%s is known to %s", n->config->name, e->sender);
	c->known = true;
	c->refusal[0] = 0;
	follow(c, e->epoch);
}

/* Whatever it did not like, a hello puts it right, or it does not lead. */
static void on_refusal(struct controller *c, const Envelope *e)
{
	c->known = false;
	if (strncmp(c->refusal, e->failure->text, sizeof(c->refusal) - 1) == 0)
		return;
	snprintf(c->refusal, sizeof(c->refusal), "%s", e->failure->text);
	log_warning("controller", "%s refuses: %s", e->sender, e->failure->text);
}

/* A message of another boot: the controller was restarted and knows nothing. */
static void check_boot(struct controller *c, const Envelope *e)
{
	struct uuid boot = { 0 };

	if (e->boot_id.len != UUID_SIZE)
		return;
	memcpy(boot.bytes, e->boot_id.data, UUID_SIZE);
	if (uuid_equal(&boot, &c->boot_id))
		return;
	c->boot_id = boot;
	if (c->known && e->reply_to != c->hello_seq) {
		c->known = false;
		tick_soon(c->link, 0);
	}
}

static void on_controller(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
			  void *userdata)
{
	struct controller *c = userdata;

	(void)from;
	check_boot(c, e);
	switch (e->body_case) {
	case TAGALONG__ENVELOPE__BODY_DONE:
		on_answer(c, e);
		break;
	case TAGALONG__ENVELOPE__BODY_FAILURE:
		on_refusal(c, e);
		break;
	default:
		daemon_on_order(c->link->daemon, s, NULL, e);
		break;
	}
}

static int connect_all(struct controller_link *l, struct mg_error *err)
{
	struct node *n = &l->daemon->node;
	const struct node_config *config = n->config;
	int r = 0;

	for (size_t i = 0; i < config->n_controllers && r == 0; i++) {
		const struct controller_config *to = &config->controllers[i];
		struct controller *c = &l->controllers[i];

		c->link = l;
		r = bus_connect(n->bus, BUS_DEALER, to->endpoint, to->key, on_controller, c,
				&c->socket, err);
		if (r == 0)
			l->n++;
	}
	return r;
}

int controller_link_new(struct daemon *d, struct controller_link **ret, struct mg_error *err)
{
	struct controller_link *l = calloc(1, sizeof(*l));
	int r;

	if (l)
		l->controllers = calloc(d->node.config->n_controllers, sizeof(*l->controllers));
	if (!l || !l->controllers) {
		free(l);
		return mg_error_set(err, -ENOMEM, "out of memory");
	}
	l->daemon = d;
	l->leader = &l->controllers[0]; /* until one says that it leads */
	r = connect_all(l, err);
	d->node.controller = l->leader->socket;
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
	for (size_t i = 0; i < l->n; i++)
		bus_socket_free(l->controllers[i].socket);
	l->daemon->node.controller = NULL;
	free(l->controllers);
	free(l);
}
