/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/daemon.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/statfs.h>

#include "common/file.h"
#include "common/log.h"
#include "migrator/base_image.h"
#include "migrator/daemon_internal.h"
#include "migrator/disk_digest.h"
#include "migrator/exporter.h"
#include "migrator/fault.h"
#include "migrator/foreign.h"
#include "migrator/image_store.h"
#include "migrator/incoming.h"
#include "migrator/node_config.h"
#include "migrator/outgoing.h"
#include "migrator/relay.h"
#include "migrator/share.h"
#include "migrator/vm.h"

void node_changed(struct node *n)
{
	controller_link_changed(((struct daemon *)n)->link);
}

/* ---- Making it --------------------------------------------------------------------------- */

static int open_huge_pages(const char *directory, struct mg_error *err)
{
	struct statfs fs;
	int r = directory_make(directory, 0755, err);

	if (r < 0)
		return r;
	if (statfs(directory, &fs) < 0)
		return mg_error_set(err, -errno, "%s: %s", directory, strerror(errno));
	if (fs.f_type != HUGETLBFS_MAGIC)
		return mg_error_set(err, -EINVAL, "huge_page_dir: %s is not on a hugetlbfs; mount one: "
				    "mount -t hugetlbfs none DIR", directory);
	return 0;
}

static int open_host(struct node *n, struct mg_error *err)
{
	const struct node_config *c = n->config;
	int r;

	n->host = (struct guest_host){ .state_dir = c->state_dir, .ram_dir = c->ram_dir,
				       .huge_page_dir = c->huge_page_dir,
				       .qemu = c->qemu, .user = c->qemu_user,
				       .cgroup_root = c->cgroup };
	if (geteuid() == 0 && !c->qemu_user)
		log_warning("daemon", "qemu_user is not set: guests run as root, without capabilities");
	r = directory_make(c->state_dir, 0755, err);
	if (r == 0)
		r = directory_make(c->ram_dir, 0755, err);
	if (r == 0 && c->relay_dir)
		r = directory_make(c->relay_dir, 0755, err);
	if (r == 0 && c->huge_page_dir)
		r = open_huge_pages(c->huge_page_dir, err);
	return r < 0 ? r : guest_host_probe(&n->host, err);
}

static int open_journal(struct node *n, struct mg_error *err)
{
	char path[4096];
	int r;

	snprintf(path, sizeof(path), "%s/journal.db", n->config->state_dir);
	r = journal_open(path, &n->journal, err);
	if (r == 0 && journal_epoch(n->journal, &n->epoch) < 0)
		r = mg_error_set(err, -EIO, "%s: cannot be read", path);
	return r;
}

static int open_images(struct node *n, struct mg_error *err)
{
	const struct node_config *c = n->config;
	const struct image_store_config config = { .directory = c->image_dir,
						   .budget_bytes = c->image_budget_bytes,
						   .max_age_ns = c->image_max_age_ns };

	n->digests = disk_digests_new();
	if (!n->digests)
		return mg_error_set(err, -ENOMEM, "out of memory");
	return image_store_open(n->loop, &config, &n->images, err);
}

static int open_bus(struct daemon *d, struct mg_error *err)
{
	struct node *n = &d->node;
	const struct node_config *c = n->config;
	struct bus_config config = { .name = c->name, .plain_text = c->plain_text_bus };
	int r = 0;

	if (c->plain_text_bus) {
		log_warning("daemon", "plain_text_bus: whoever reaches %s may give orders", c->listen);
	} else {
		r = keypair_load(c->key, &n->keys, err);
		if (r == 0)
			r = allow_list_load(c->allow, &n->allow, err);
		config.keys = &n->keys;
		config.allow = n->allow;
	}
	if (c->plain_text_data)
		log_warning("daemon", "plain_text_data: the memory of VMs travels in plain text");
	if (r == 0)
		r = bus_new(n->loop, &config, &n->bus, err);
	if (r == 0)
		r = bus_listen(n->bus, BUS_ROUTER, c->listen, daemon_on_router, d, &n->router, err);
	if (r == 0)
		snprintf(n->control_endpoint, sizeof(n->control_endpoint), "%s",
			 c->advertise ? c->advertise : bus_endpoint(n->router));
	return r;
}

static int adopt_vms(struct node *n, struct mg_error *err)
{
	struct journal_vm *rows;
	size_t count;
	int r = journal_vms(n->journal, &rows, &count);

	if (r < 0)
		return mg_error_set(err, r, "the journal cannot be read");
	for (size_t i = 0; i < count && r == 0; i++) {
		struct vm *vm;

		r = vm_adopt(n, rows[i].spec, &rows[i].incarnation, VM_OURS, &vm, err);
		if (r == 0 && vm_set_luggage(vm, rows[i].luggage) < 0)
			r = mg_error_set(err, -ENOMEM, "out of memory");
		if (r == 0)
			log_info("daemon", "vm=%s %s", rows[i].spec->name,
				 vm->guest ? "found again" : "its QEMU is no more");
	}
	journal_vms_free(rows, count);
	return r;
}

/* Unsettled moves go on where they were; of settled ones the controller may not
 * know yet. */
static int restore_moves(struct node *n, struct mg_error *err)
{
	struct journal_filter filter = { .open_only = true };
	struct journal_move *rows;
	size_t count;
	int r = journal_moves(n->journal, &filter, &rows, &count);

	if (r < 0)
		return mg_error_set(err, r, "the journal cannot be read");
	for (size_t i = 0; i < count && r == 0; i++) {
		bool incoming = rows[i].incoming;

		log_info("daemon", "vm=%s a move is open at stage '%s'", rows[i].info->vm,
			 journal_stage_name(rows[i].stage));
		r = incoming ? incoming_restore(n, &rows[i]) : outgoing_restore(n, &rows[i]);
	}
	journal_moves_free(rows, count);
	return r < 0 ? mg_error_set(err, r, "open moves cannot be taken up: %s", strerror(-r)) : 0;
}

struct journaled {
	struct journal_vm *vms;
	struct journal_move *moves;
	size_t n_vms, n_moves;
};

static bool is_lost(const char *name, const struct uuid *incarnation, void *userdata)
{
	const struct journaled *j = userdata;
	char id[UUID_TEXT_SIZE];

	for (size_t i = 0; i < j->n_vms; i++)
		if (uuid_equal(&j->vms[i].incarnation, incarnation))
			return false;
	for (size_t i = 0; i < j->n_moves; i++)
		if (uuid_equal(&j->moves[i].incarnation, incarnation))
			return false;
	log_warning("daemon", "vm=%s incarnation=%s has no QEMU and is not in the journal: what a "
		    "power loss left of it is removed", name, uuid_format(incarnation, id));
	return true;
}

/* Before anything can be started: what the journal does not know then is nobody's. */
static int sweep_lost(struct node *n, struct mg_error *err)
{
	struct journal_filter filter = { .open_only = true };
	struct journaled j = { 0 };
	int r = journal_vms(n->journal, &j.vms, &j.n_vms);

	if (r == 0)
		r = journal_moves(n->journal, &filter, &j.moves, &j.n_moves);
	if (r == 0)
		guest_sweep(&n->host, is_lost, &j);
	journal_vms_free(j.vms, j.n_vms);
	journal_moves_free(j.moves, j.n_moves);
	return r < 0 ? mg_error_set(err, r, "the journal cannot be read") : 0;
}

/* Guests run on. */
static void close_daemon(void *daemon)
{
	struct daemon *d = daemon;
	struct node *n = &d->node;

	controller_link_free(d->link);
	d->link = NULL;
	exporter_free(n->exporter);
	n->exporter = NULL;
	while (!LIST_EMPTY(&n->outgoing))
		outgoing_free(LIST_FIRST(&n->outgoing));
	while (!LIST_EMPTY(&n->incoming))
		incoming_free(LIST_FIRST(&n->incoming));
	relays_free(n);
	luggage_stop_telling(n);
	base_image_stop(n);
	while (!LIST_EMPTY(&n->vms))
		vm_free(LIST_FIRST(&n->vms));
	foreign_free(n);
	data_listener_free(d->data);
	bus_free(n->bus);
	allow_list_free(n->allow);
	share_free(n->share);
	image_store_free(n->images);
	disk_digests_free(n->digests);
	journal_close(n->journal);
	guest_host_release(&n->host);
	sd_event_unref(n->loop);
	explicit_bzero(&n->keys, sizeof(n->keys));
	free(d);
}

static int open_metrics(struct node *n, struct mg_error *err)
{
	char text[ADDRESS_TEXT_SIZE];
	struct address at;
	int r;

	if (!n->config->metrics)
		return 0;
	(void)address_parse(n->config->metrics, 0, &at); /* it was when it was loaded */
	r = exporter_new(n, &at, &n->exporter, err);
	if (r == 0)
		log_info("daemon", "metrics=http://%s/metrics",
			 address_format(exporter_local(n->exporter), text));
	return r;
}

static int open_daemon(struct daemon *d, struct mg_error *err)
{
	struct node *n = &d->node;
	int r = fault_init(getenv("TAGALONG_FAULT"), err);

	if (r == 0)
		r = open_host(n, err);
	if (r == 0)
		r = open_journal(n, err);
	if (r == 0)
		r = open_images(n, err);
	if (r == 0)
		r = data_listener_new(n, &d->data, err);
	if (r == 0)
		r = open_bus(d, err);
	if (r == 0)
		r = sweep_lost(n, err);
	if (r == 0)
		r = adopt_vms(n, err);
	if (r == 0 && n->config->n_controllers)
		r = controller_link_new(d, &d->link, err);
	if (r == 0)
		r = open_metrics(n, err);
	return r < 0 ? r : restore_moves(n, err);
}

static int start(void *config, sd_event *loop, void **ret, struct mg_error *err)
{
	struct daemon *d = calloc(1, sizeof(*d));
	struct node *n = &d->node;
	int r;

	if (!d)
		return mg_error_set(err, -ENOMEM, "out of memory");
	n->config = config;
	n->loop = sd_event_ref(loop);
	LIST_INIT(&n->vms);
	LIST_INIT(&n->outgoing);
	LIST_INIT(&n->incoming);
	LIST_INIT(&n->farewells);
	LIST_INIT(&n->waiting);
	LIST_INIT(&n->base_addings);
	LIST_INIT(&n->relays);
	LIST_INIT(&n->relay_targets);
	r = open_daemon(d, err);
	if (r < 0) {
		close_daemon(d);
		return r;
	}
	log_info("daemon", "node=%s listen=%s data=%s qemu=%s ready", n->config->name,
		 n->control_endpoint, n->data_endpoint, n->host.qemu_version);
	*ret = d;
	return 0;
}

/* The allow list alone: a node that changes its key, or goes, is no reason to restart the others. */
static int reload(void *daemon, const void *started_with, const void *config, struct mg_error *err)
{
	const struct node_config *c = config;
	struct node *n = &((struct daemon *)daemon)->node;
	struct allow_list *allow;
	int r;

	(void)started_with;
	if (n->config->plain_text_bus)
		return 0;
	if (c->plain_text_bus)
		return mg_error_set(err, -EINVAL, "plain_text_bus changes with a restart only");
	r = allow_list_load(c->allow, &allow, err);
	if (r < 0)
		return r;
	bus_set_allow(n->bus, allow);
	allow_list_free(n->allow);
	n->allow = allow;
	return 0;
}

static int load(const char *path, void **ret, struct mg_error *err)
{
	return node_config_load(path, (struct node_config **)ret, err);
}

static void unload(void *config)
{
	node_config_free(config);
}

const struct daemon_program migratord_program = {
	.name = "migratord",
	.summary = "Owns the VMs of this host and moves them to and from others.",
	.load = load,
	.unload = unload,
	.start = start,
	.stop = close_daemon,
	.reload = reload,
};
