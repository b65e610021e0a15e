/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/vm.h"

#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/units.h"
#include "migrator/announce.h"
#include "migrator/image_store.h"
#include "migrator/node_config.h"
#include "migrator/qemu_state.h"
#include "migrator/ram_idle.h"
#include "migrator/tail.h"

struct vm_request {
	struct bus_socket *socket;
	struct bus_peer peer;
	bool routed;
	uint64_t seq;
	bool is_start;
};

static void on_guest_ready(struct guest *g, void *userdata);
static void on_guest_event(struct guest *g, const char *event, json_t *data, uint64_t utc_ns,
			   void *userdata);
static void on_guest_exit(struct guest *g, void *userdata);

static const struct guest_handlers guest_handlers = {
	.on_ready = on_guest_ready,
	.on_event = on_guest_event,
	.on_exit = on_guest_exit,
};

/* ---- Finding and counting ------------------------------------------------------- */

struct vm *vm_find(struct node *n, const char *name)
{
	struct vm *vm;

	LIST_FOREACH(vm, &n->vms, link)
		if (vm->place != VM_LEAVING && strcmp(vm->spec->name, name) == 0)
			return vm;
	return NULL;
}

struct vm *vm_find_incarnation(struct node *n, const struct uuid *incarnation)
{
	struct vm *vm;

	LIST_FOREACH(vm, &n->vms, link)
		if (uuid_equal(&vm->incarnation, incarnation))
			return vm;
	return NULL;
}

void vm_used(struct node *n, uint64_t *ret_memory, uint32_t *ret_vcpus)
{
	struct vm *vm;

	*ret_memory = n->relayed_bytes;
	*ret_vcpus = 0;
	LIST_FOREACH(vm, &n->vms, link) {
		if (!vm->guest && vm->place != VM_OURS)
			continue;
		*ret_memory += vm->spec->memory_bytes;
		*ret_vcpus += vm->spec->vcpus;
	}
}

void vm_free_room(struct node *n, uint64_t *ret_memory, uint32_t *ret_vcpus)
{
	const struct node_config *c = n->config;
	uint64_t memory;
	uint32_t vcpus;

	vm_used(n, &memory, &vcpus);
	*ret_memory = c->memory_bytes > memory ? c->memory_bytes - memory : 0;
	*ret_vcpus = c->vcpus > vcpus ? c->vcpus - vcpus : 0;
}

int vm_check_room(struct node *n, const VmSpec *spec, struct mg_error *err)
{
	char need[UNITS_TEXT_SIZE], have[UNITS_TEXT_SIZE];
	uint64_t memory;
	uint32_t vcpus;

	vm_free_room(n, &memory, &vcpus);
	if (spec->memory_bytes > memory)
		return mg_error_set(err, -ENOSPC, "%s is full: %s needs %s of memory, %s is left",
				    n->config->name, spec->name,
				    size_format(spec->memory_bytes, need), size_format(memory, have));
	if (spec->vcpus > vcpus)
		return mg_error_set(err, -ENOSPC, "%s is full: %s needs %u vcpus, %u are left",
				    n->config->name, spec->name, spec->vcpus, vcpus);
	return 0;
}

/* ---- Life -------------------------------------------------------------------------- */

static int vm_new(struct node *n, const VmSpec *spec, const struct uuid *incarnation,
		  enum vm_place place, struct vm **ret, struct mg_error *err)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return mg_error_set(err, -ENOMEM, "out of memory");
	vm->node = n;
	vm->place = place;
	vm->incarnation = *incarnation;
	LIST_INSERT_HEAD(&n->vms, vm, link);
	vm->spec = vm_spec_copy(spec);
	vm->question = calloc(1, sizeof(*vm->question));
	if (!vm->spec || !vm->question) {
		vm_free(vm);
		return mg_error_set(err, -ENOMEM, "out of memory");
	}
	*ret = vm;
	return 0;
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	LIST_REMOVE(vm, link);
	announce_end(vm);
	ram_clear_free(vm->clearing);
	guest_free(vm->guest);
	if (vm->spec)
		vm_spec_free(vm->spec);
	luggage_free(vm->luggage);
	free(vm->request);
	free(vm->question);
	free(vm);
}

/* VMs come first: what waits to be written as an image is dropped when they need
 * its memory. */
void vm_give_memory(struct node *n, uint64_t bytes)
{
	uint64_t memory;
	uint32_t vcpus;

	vm_free_room(n, &memory, &vcpus);
	if (bytes + image_store_waiting_bytes(n->images) > memory)
		image_store_give_way(n->images);
}

int vm_launch(struct node *n, const VmSpec *spec, enum guest_mode mode,
	      const struct uuid *incarnation, enum vm_place place, struct vm **ret,
	      struct mg_error *err)
{
	struct vm *vm;
	int r;

	vm_give_memory(n, spec->memory_bytes); /* before the VM counts as one that has its own */
	r = vm_new(n, spec, incarnation, place, &vm, err);
	if (r < 0)
		return r;
	r = spec->monitor ? guest_attach(n->loop, &n->host, spec, incarnation, &guest_handlers, vm,
					 &vm->guest, err)
			  : guest_start(n->loop, &n->host, spec, mode, incarnation, &guest_handlers,
					vm, &vm->guest, err);
	if (r < 0) {
		guest_remove_files(&n->host, spec->name, incarnation, false);
		vm_free(vm);
		return r;
	}
	*ret = vm;
	return 0;
}

int vm_adopt(struct node *n, const VmSpec *spec, const struct uuid *incarnation,
	     enum vm_place place, struct vm **ret, struct mg_error *err)
{
	struct vm *vm;
	int r = vm_new(n, spec, incarnation, place, &vm, err);

	if (r < 0)
		return r;
	r = guest_adopt(n->loop, &n->host, spec->name, incarnation, &guest_handlers, vm, &vm->guest,
			err);
	if (r < 0 && r != -ESRCH) {
		vm_free(vm);
		return r;
	}
	*ret = vm;
	return 0;
}

int vm_set_luggage(struct vm *vm, const VmLuggage *luggage)
{
	VmLuggage *copy = luggage ? luggage_copy(luggage) : NULL;

	if (luggage && !copy)
		return -ENOMEM;
	luggage_free(vm->luggage);
	vm->luggage = copy;
	return 0;
}

void vm_keep_tail(struct vm *vm, const uint8_t *tail, size_t len)
{
	struct journal_vm row = { vm->incarnation, vm->spec, vm->luggage };
	uint8_t *packed = NULL;
	size_t packed_len = 0;

	if (!vm->luggage)
		return;
	(void)tail_pack(tail, len, &packed, &packed_len);
	luggage_set_tail(vm->luggage, packed, packed_len);
	(void)journal_vm_add(vm->node->journal, &row, NULL);
}

int vm_pack(struct vm *vm, struct mg_error *err)
{
	_cleanup_(luggage_free_p) VmLuggage *luggage = NULL;
	struct journal_vm row = { .incarnation = vm->incarnation, .spec = vm->spec };
	int r;

	if (vm->luggage)
		return 0;
	luggage = row.luggage = luggage_new();
	if (!luggage)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r = journal_vm_add(vm->node->journal, &row, err);
	if (r == 0)
		vm->luggage = TAKE_PTR(luggage);
	return r;
}

int vm_note_visit(struct vm *vm, const char *node, const char *endpoint, const char *public_key,
		  struct mg_error *err)
{
	struct journal_vm row = { vm->incarnation, vm->spec, vm->luggage };

	if (luggage_add_visit(vm->luggage, node, endpoint, public_key ? public_key : "") < 0)
		return mg_error_set(err, -ENOMEM, "out of memory");
	return journal_vm_add(vm->node->journal, &row, err);
}

/* A VM that is no more: nobody shall read what there is of it. */
static int forget_vm(struct vm *vm, struct mg_error *err)
{
	struct node *n = vm->node;
	int r = journal_vm_remove(n->journal, vm->spec->name, err);

	if (r < 0)
		return r;
	(void)journal_tidy(n->journal, JOURNAL_KEEP_MOVES, NULL);
	if (vm->luggage)
		luggage_destroy(n, vm->luggage);
	return 0;
}

void vm_drop_image(struct vm *vm)
{
	struct uuid key_id;

	if (!vm->luggage)
		return;
	key_id = image_key_id(vm->luggage->image_key.data);
	(void)image_store_remove_key(vm->node->images, &key_id);
}

void vm_watch(struct vm *vm, const struct vm_watcher *watcher, void *userdata,
	      const struct uuid *move)
{
	vm->watcher = watcher;
	vm->watcher_data = userdata;
	vm->move = *move;
}

void vm_unwatch(struct vm *vm)
{
	vm->watcher = NULL;
	vm->watcher_data = NULL;
	vm->stopped_by_move = false;
	if (vm->guest)
		guest_ram_forget(vm->guest);
}

static void answer_request(struct vm *vm, const struct mg_error *err)
{
	struct vm_request *q = vm->request;
	const struct bus_peer *to;
	Envelope request = TAGALONG__ENVELOPE__INIT;

	if (!q)
		return;
	to = q->routed ? &q->peer : NULL;
	request.seq = q->seq;
	if (err)
		bus_reply_failure(q->socket, to, &request, err);
	else
		bus_reply_done(q->socket, to, &request);
	free(q);
	vm->request = NULL;
}

/* The file may go: its memory lives as long as somebody has it open. Returns whether
 * somebody has. */
static bool keep_image(struct vm *vm)
{
	struct stat st;
	int fd;

	vm->keep_image = false;
	fd = guest_ram_open_left(&vm->node->host, vm->spec->name, &vm->incarnation);
	if (fd < 0)
		return false;
	if (!vm->luggage || fstat(fd, &st) < 0) {
		close(fd);
		return false;
	}
	image_store_keep(vm->node->images, &vm->incarnation, vm->spec->name, vm->luggage->image_key.data, fd,
			 (uint64_t)st.st_size);
	return true;
}

/* Always before the journal forgets it: else a kill between the two would leave
 * files that nobody knows of. */
void vm_remove_files(struct vm *vm)
{
	bool kept = vm->keep_image && keep_image(vm);

	guest_remove_files(&vm->node->host, vm->spec->name, &vm->incarnation, kept);
}

static void remove_all(struct vm *vm)
{
	struct node *n = vm->node;

	vm_remove_files(vm);
	answer_request(vm, NULL);
	vm_free(vm);
	node_changed(n);
}

void vm_let_go(struct vm *vm, bool at_once)
{
	vm->place = VM_LEAVING;
	if (vm->exiting)
		return; /* on_guest_exit() goes on with it */
	if (!vm->guest)
		remove_all(vm);
	else if (at_once)
		guest_kill(vm->guest);
	else
		guest_quit(vm->guest);
}

/* ---- What QEMU says ----------------------------------------------------------------- */

static void on_state(enum commit_qemu state, void *userdata)
{
	struct vm *vm = userdata;

	if (state != COMMIT_QEMU_UNKNOWN)
		vm->running = state == COMMIT_QEMU_RUNNING || state == COMMIT_QEMU_BUSY;
	node_changed(vm->node);
}

/* Not while the VM arrives: what was never touched is known to be zero there. */
static void begin_clearing(struct vm *vm)
{
	int fd = -1, r;

	if (vm->place != VM_OURS || vm->clearing || vm->incomplete || guest_is_foreign(vm->guest))
		return;
	r = fd = guest_ram_open(vm->guest);
	if (r >= 0)
		r = ram_clear_start(fd, guest_ram_bytes(vm->guest), &vm->clearing);
	if (r < 0)
		log_debug("vm", "vm=%s memory is not cleared ahead: %s", vm->spec->name, strerror(-r));
}

static void on_guest_ready(struct guest *g, void *userdata)
{
	struct vm *vm = userdata;

	vm->ready = true;
	begin_clearing(vm);
	if (vm->request && vm->request->is_start)
		answer_request(vm, NULL);
	if (vm->watcher)
		vm->watcher->on_ready(vm, vm->watcher_data);
	(void)qemu_state_ask(vm->question, guest_qmp(g), on_state, vm);
}

static void on_guest_event(struct guest *g, const char *event, json_t *data, uint64_t utc_ns,
			   void *userdata)
{
	struct vm *vm = userdata;

	(void)g;
	if (strcmp(event, "STOP") == 0 || strcmp(event, "RESUME") == 0) {
		vm->running = event[0] == 'R';
		if (vm->running)
			begin_clearing(vm);
		node_changed(vm->node);
	}
	if (vm->watcher)
		vm->watcher->on_event(vm, event, data, utc_ns, vm->watcher_data);
}

/* A VM that ends in its first second has a story to tell. */
static void failed_start(struct vm *vm)
{
	struct mg_error err = { 0 };

	mg_error_set(&err, -ECHILD, "QEMU ended while it started %s: %s", vm->spec->name,
		     vm->exit_error.text);
	answer_request(vm, &err);
	vm_remove_files(vm);
	(void)journal_vm_remove(vm->node->journal, vm->spec->name, NULL);
	vm->place = VM_LEAVING;
}

static void on_guest_exit(struct guest *g, void *userdata)
{
	struct vm *vm = userdata;
	struct node *n = vm->node;

	vm->exit_error = *guest_error(g);
	vm->heard_out = guest_was_heard_out(g);
	if (vm->exit_error.code)
		log_warning("vm", "vm=%s QEMU has ended: %s", vm->spec->name, vm->exit_error.text);
	else
		log_info("vm", "vm=%s QEMU has ended", vm->spec->name);
	if (vm->request && vm->request->is_start)
		failed_start(vm);
	vm->guest = NULL;
	vm->ready = vm->running = false;
	vm->question->open = false;
	ram_clear_free(vm->clearing);
	vm->clearing = NULL;
	vm->exiting = true;
	if (vm->place == VM_LEAVING)
		vm_remove_files(vm); /* its move settles next */
	if (vm->watcher)
		vm->watcher->on_exit(vm, vm->watcher_data);
	vm->exiting = false;
	guest_free(g);
	if (vm->place != VM_LEAVING) {
		node_changed(n);
		return;
	}
	if (vm->request)
		(void)forget_vm(vm, NULL);
	remove_all(vm);
}

/* ---- Start and stop for somebody ------------------------------------------------------ */

static struct vm_request *request_new(struct bus_socket *s, const struct bus_peer *from,
				      const Envelope *e, bool is_start)
{
	struct vm_request *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	*q = (struct vm_request){ .socket = s, .routed = from, .seq = e->seq, .is_start = is_start };
	if (from)
		q->peer = *from;
	return q;
}

static int check_start(struct node *n, const VmSpec *spec, struct mg_error *err)
{
	int r = vm_spec_check(spec, err);

	if (r < 0)
		return r;
	if (spec->monitor)
		return mg_error_set(err, -EINVAL, "%s has a QEMU already; 'migrator vm adopt' takes "
				    "it up", spec->name);
	if (vm_find(n, spec->name))
		return mg_error_set(err, -EEXIST, "%s has a VM named '%s' already", n->config->name,
				    spec->name);
	r = vm_check_room(n, spec, err);
	return r < 0 ? r : guest_host_check(&n->host, spec, err);
}

static int start(struct node *n, const VmSpec *spec, struct vm **ret, struct mg_error *err)
{
	struct journal_vm row = { .incarnation = uuid_random(), .spec = (VmSpec *)spec };
	int r = journal_vm_add(n->journal, &row, err);

	if (r < 0)
		return r;
	r = vm_launch(n, spec, GUEST_RUN, &row.incarnation, VM_OURS, ret, err);
	if (r < 0)
		(void)journal_vm_remove(n->journal, spec->name, NULL);
	return r;
}

void vm_start_for(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		  const Envelope *e)
{
	const Tagalong__VmStart *order = e->vm_start;
	struct mg_error err = { 0 };
	struct vm *vm;
	int r = check_start(n, order->spec, &err);

	if (r == 0 && !order->dry_run)
		r = start(n, order->spec, &vm, &err);
	if (r < 0) {
		bus_reply_failure(s, from, e, &err);
		return;
	}
	if (order->dry_run) {
		bus_reply_done(s, from, e);
		return;
	}
	vm->request = request_new(s, from, e, true);
	log_info("vm", "vm=%s starting", vm->spec->name);
	node_changed(n);
}

void vm_stop_for(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		 const Envelope *e)
{
	struct vm *vm = vm_find(n, e->vm_stop->name);
	struct mg_error err = { 0 };

	if (!vm)
		mg_error_set(&err, -ENOENT, "no VM named '%s' on %s; 'migrator vm list --node %s' "
			     "shows those that are", e->vm_stop->name, n->config->name,
			     n->config->name);
	else if (vm->watcher)
		mg_error_set(&err, -EBUSY, "%s is being moved; cancel the move first", vm->spec->name);
	else if (vm->request)
		mg_error_set(&err, -EBUSY, "%s is being started; try again", vm->spec->name);
	if (err.code) {
		bus_reply_failure(s, from, e, &err);
		return;
	}
	if (e->vm_stop->dry_run) {
		bus_reply_done(s, from, e);
		return;
	}
	log_info("vm", "vm=%s stopping", vm->spec->name);
	if (vm->guest) {
		vm->request = request_new(s, from, e, false);
		vm_let_go(vm, false);
		return;
	}
	vm_remove_files(vm);
	if (forget_vm(vm, &err) < 0) {
		bus_reply_failure(s, from, e, &err);
		return;
	}
	vm_let_go(vm, false);
	bus_reply_done(s, from, e);
}

/* ---- Showing ------------------------------------------------------------------------------ */

Tagalong__VmState vm_state(const struct vm *vm)
{
	if (!vm->guest)
		return TAGALONG__VM_STATE__VM_GONE;
	if (vm->place == VM_ARRIVING)
		return vm->stopped_by_move ? TAGALONG__VM_STATE__VM_STOPPED
					   : TAGALONG__VM_STATE__VM_INCOMING;
	if (vm->stopped_by_move)
		return TAGALONG__VM_STATE__VM_STOPPED;
	if (!vm->running && vm->ready)
		return TAGALONG__VM_STATE__VM_PAUSED;
	return vm->watcher ? TAGALONG__VM_STATE__VM_MOVING : TAGALONG__VM_STATE__VM_RUNNING;
}

static Tagalong__VmInfo *info_of(struct vm *vm)
{
	Tagalong__VmInfo *info = malloc(sizeof(*info));

	if (!info)
		return NULL;
	tagalong__vm_info__init(info);
	info->spec = vm->spec;
	info->state = vm_state(vm);
	info->incarnation = (ProtobufCBinaryData){ UUID_SIZE, vm->incarnation.bytes };
	info->node = vm->node->config->name;
	if (vm->guest) {
		info->has_pid = true;
		info->pid = (uint32_t)guest_pid(vm->guest);
		info->directory = (char *)guest_directory(vm->guest);
	}
	if (vm->watcher) {
		info->has_move = true;
		info->move = (ProtobufCBinaryData){ UUID_SIZE, vm->move.bytes };
	}
	return info;
}

int vm_infos(struct node *n, const char *name, Tagalong__VmInfo ***ret, size_t *ret_n)
{
	Tagalong__VmInfo **infos = NULL;
	size_t count = 0;
	struct vm *vm;

	LIST_FOREACH(vm, &n->vms, link)
		count++;
	infos = calloc(count + 1, sizeof(*infos));
	if (!infos)
		return -ENOMEM;
	count = 0;
	LIST_FOREACH(vm, &n->vms, link) {
		if (vm->place == VM_LEAVING || (name && strcmp(name, vm->spec->name) != 0))
			continue;
		infos[count] = info_of(vm);
		if (!infos[count]) {
			vm_infos_free(infos, count);
			return -ENOMEM;
		}
		count++;
	}
	*ret = infos;
	*ret_n = count;
	return 0;
}

void vm_infos_free(Tagalong__VmInfo **infos, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(infos[i]);
	free(infos);
}
