/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/foreign.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "migrator/guest_foreign.h"
#include "migrator/node_config.h"

#define ADOPT_TIMEOUT_NS (10 * NS_PER_S)

/* ---- Judging ----------------------------------------------------------------------- */

static int differs(struct mg_error *err, const char *what, const char *there, const char *here)
{
	return mg_error_set(err, -EINVAL, "its QEMU has %s '%.64s', the description '%.64s'", what,
			    there ? there : "?", here);
}

static int judge_machine(const struct foreign_answers *a, const VmSpec *spec, struct mg_error *err)
{
	const char *type = json_string_value(a->machine); /* "pc-q35-7.2-machine" */
	size_t len = strlen(spec->machine);
	bool kvm = json_is_true(json_object_get(a->kvm, "enabled"));
	const char *accelerator = kvm ? "kvm" : "tcg";

	if (!type || strncmp(type, spec->machine, len) != 0 || strcmp(type + len, "-machine") != 0)
		return differs(err, "machine", type, spec->machine);
	if (strcmp(accelerator, spec->accelerator) != 0)
		return differs(err, "accelerator", accelerator, spec->accelerator);
	if (json_array_size(a->cpus) != spec->vcpus)
		return mg_error_set(err, -EINVAL, "its QEMU has %zu vcpus, the description %" PRIu32,
				    json_array_size(a->cpus), spec->vcpus);
	return 0;
}

/* The largest; what else there is travels in the stream. */
static const json_t *find_memory(const json_t *list)
{
	const json_t *largest = NULL;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *m = json_array_get(list, i);

		if (!largest || json_integer_value(json_object_get(m, "size")) >
					json_integer_value(json_object_get(largest, "size")))
			largest = m;
	}
	return largest;
}

static int take_memory(const struct foreign_answers *a, VmSpec *spec, struct mg_error *err)
{
	const json_t *memory = find_memory(a->memory);
	const char *id = json_string_value(json_object_get(memory, "id"));
	json_int_t size = json_integer_value(json_object_get(memory, "size"));
	char *copy = id ? strdup(id) : NULL;

	if (!id || size <= 0)
		return mg_error_set(err, -EINVAL, "its QEMU does not say what its memory is called");
	if (!copy)
		return mg_error_set(err, -ENOMEM, "out of memory");
	free(spec->ram_block);
	spec->ram_block = copy;
	spec->memory_bytes = (uint64_t)size;
	return vm_spec_check(spec, err);
}

int foreign_judge(const struct foreign_answers *a, const char *version, bool force, VmSpec *spec,
		  struct mg_error *err)
{
	int r = judge_machine(a, spec, err);

	if (r == 0 && !json_is_true(json_object_get(a->status, "running")))
		r = mg_error_set(err, -EINVAL, "%s does not run; only a running guest is adopted",
				 spec->name);
	if (r == 0)
		r = take_memory(a, spec, err);
	if (r < 0 || force ||
	    !vm_spec_loses_pages(spec, (unsigned)strtoul(version, NULL, 10)))
		return r;
	return mg_error_set(err, -EPERM, "QEMU %s loses changes to the memory of a TCG guest whose "
			    "size (%" PRIu64 " bytes) is a multiple of 256 KiB when it moves: start "
			    "it with 8 KiB less, or by QEMU 9 ('--force' passes over it)", version,
			    spec->memory_bytes);
}

/* ---- Adopting ------------------------------------------------------------------------ */

static const struct {
	const char *command, *arguments;
} questions[] = {
	{ "query-status", NULL },
	{ "query-memdev", NULL },
	{ "query-kvm", NULL },
	{ "query-cpus-fast", NULL },
	{ "qom-get", "{\"path\": \"/machine\", \"property\": \"type\"}" },
};

struct adopting {
	struct vm *vm;
	struct bus_socket *socket;
	struct bus_peer peer;
	bool routed, force, dry_run;
	uint64_t seq;
	json_t *answers[ARRAY_SIZE(questions)];
	size_t answered;
	sd_event_source *timer;
	struct uuid no_move;
};

static void answer(struct adopting *a, const struct mg_error *err)
{
	Envelope request = TAGALONG__ENVELOPE__INIT;

	request.seq = a->seq;
	if (err)
		bus_reply_failure(a->socket, a->routed ? &a->peer : NULL, &request, err);
	else
		bus_reply_done(a->socket, a->routed ? &a->peer : NULL, &request);
}

static void adopting_free(struct adopting *a)
{
	for (size_t i = 0; i < a->answered; i++)
		json_decref(a->answers[i]);
	sd_event_source_disable_unref(a->timer);
	free(a);
}

/* With an error, or dry, the VM is forgotten, and its QEMU never hears of us again. */
static void finish(struct adopting *a, const struct mg_error *err)
{
	struct vm *vm = a->vm;
	struct node *n = vm->node;

	answer(a, err);
	log_info("vm", "vm=%s %s%s", vm->spec->name,
		 err          ? "is not adopted: "
		 : a->dry_run ? "could be adopted"
			      : "adopted",
		 err ? err->text : "");
	vm_unwatch(vm);
	if (err || a->dry_run) {
		guest_remove_files(&n->host, vm->spec->name, &vm->incarnation, false);
		vm_free(vm);
	}
	adopting_free(a);
	node_changed(n);
}

/* The journal has it last: before, no order is for it, because it is watched. */
static void judge(struct adopting *a)
{
	const struct foreign_answers all = { a->answers[0], a->answers[1], a->answers[2],
					     a->answers[3], a->answers[4] };
	struct vm *vm = a->vm;
	struct journal_vm row = { .incarnation = vm->incarnation, .spec = vm->spec };
	struct mg_error err = { 0 };
	int r = foreign_judge(&all, guest_qemu_version(vm->guest), a->force, vm->spec, &err);

	if (r == 0 && !a->dry_run)
		r = guest_describe(vm->guest, vm->spec, &err);
	if (r == 0 && !a->dry_run)
		r = journal_vm_add(vm->node->journal, &row, &err);
	finish(a, r < 0 ? &err : NULL);
}

static void ask_next(struct adopting *a);

static void on_answer(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		      void *userdata)
{
	struct adopting *a = userdata;

	(void)q;
	if (r < 0) {
		finish(a, err);
		return;
	}
	a->answers[a->answered++] = json_incref(result);
	ask_next(a);
}

static void ask_next(struct adopting *a)
{
	const char *arguments;
	struct qmp *q = guest_qmp(a->vm->guest);

	if (a->answered == ARRAY_SIZE(questions)) {
		judge(a);
		return;
	}
	arguments = questions[a->answered].arguments;
	if (q) /* what cannot be asked is not answered in time */
		(void)qmp_command(q, questions[a->answered].command,
				  arguments ? json_loads(arguments, 0, NULL) : NULL,
				  ADOPT_TIMEOUT_NS, on_answer, a);
}

static void on_ready(struct vm *vm, void *userdata)
{
	struct adopting *a = userdata;

	(void)vm;
	if (a->answered == 0)
		ask_next(a);
}

static void on_event(struct vm *vm, const char *event, json_t *data, uint64_t utc_ns,
		     void *userdata)
{
	(void)vm, (void)event, (void)data, (void)utc_ns, (void)userdata;
}

/* The VM is freed with its QEMU. */
static void on_qemu_exit(struct vm *vm, void *userdata)
{
	struct adopting *a = userdata;
	struct mg_error err = { 0 };

	mg_error_set(&err, -ESRCH, "its QEMU has ended");
	answer(a, &err);
	vm->place = VM_LEAVING;
	vm_unwatch(vm);
	adopting_free(a);
}

static const struct vm_watcher watcher = {
	.on_ready = on_ready,
	.on_event = on_event,
	.on_exit = on_qemu_exit,
};

static int on_timeout(sd_event_source *source, uint64_t now, void *userdata)
{
	struct mg_error err = { 0 };

	(void)source, (void)now;
	mg_error_set(&err, -ETIMEDOUT, "QEMU's monitor does not answer; it serves one client at a "
		     "time, and another may have it");
	finish(userdata, &err);
	return 0;
}

static int check_adopt(struct node *n, const VmSpec *spec, struct mg_error *err)
{
	int r = vm_spec_check(spec, err);

	if (r == 0 && !spec->monitor)
		r = mg_error_set(err, -EINVAL, "which QEMU? Its monitor's socket is missing");
	if (r == 0 && vm_find(n, spec->name))
		r = mg_error_set(err, -EEXIST, "%s has a VM named '%s' already", n->config->name,
				 spec->name);
	return r == 0 ? vm_check_room(n, spec, err) : r;
}

void foreign_adopt_for(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		       const Envelope *e)
{
	const VmSpec *spec = e->vm_adopt->spec;
	struct uuid incarnation = uuid_random();
	struct mg_error err = { 0 };
	struct adopting *a = calloc(1, sizeof(*a));
	int r = a ? check_adopt(n, spec, &err) : mg_error_set(&err, -ENOMEM, "out of memory");

	if (r == 0)
		r = vm_launch(n, spec, GUEST_RUN, &incarnation, VM_OURS, &a->vm, &err);
	if (r < 0) {
		bus_reply_failure(s, from, e, &err);
		free(a);
		return;
	}
	a->socket = s;
	a->routed = from != NULL;
	if (from)
		a->peer = *from;
	a->seq = e->seq;
	a->force = e->vm_adopt->force;
	a->dry_run = e->vm_adopt->dry_run;
	vm_watch(a->vm, &watcher, a, &a->no_move);
	(void)sd_event_add_time_relative(n->loop, &a->timer, CLOCK_MONOTONIC,
					 ADOPT_TIMEOUT_NS / NS_PER_US, 0, on_timeout, a);
}

/* ---- Those that wait ------------------------------------------------------------------ */

struct waiting {
	LIST_ENTRY(waiting) link;
	char name[VM_NAME_MAX + 1];
	char *monitor;
	char *listens; /* NULL: it is given a descriptor by its monitor */
};

static struct waiting *find_waiting(struct node *n, const char *name)
{
	struct waiting *w;

	LIST_FOREACH(w, &n->waiting, link)
		if (strcmp(w->name, name) == 0)
			return w;
	return NULL;
}

const char *foreign_waiting(struct node *n, const char *name)
{
	const struct waiting *w = find_waiting(n, name);

	return w ? w->monitor : NULL;
}

char *foreign_listens(struct node *n, const char *name)
{
	struct waiting *w = find_waiting(n, name);

	return w ? TAKE_PTR(w->listens) : NULL;
}

static void forget(struct waiting *w)
{
	LIST_REMOVE(w, link);
	free(w->monitor);
	free(w->listens);
	free(w);
}

void foreign_take(struct node *n, const char *name)
{
	struct waiting *w = find_waiting(n, name);

	if (w)
		forget(w);
}

void foreign_free(struct node *n)
{
	struct waiting *w;

	while ((w = LIST_FIRST(&n->waiting)))
		forget(w);
}

static int note_waiting(struct node *n, const Tagalong__VmReceive *order, struct mg_error *err)
{
	_cleanup_close_ int pidfd = -1;
	struct waiting *w;
	pid_t pid;
	int r;

	if (!vm_name_is_valid(order->name) || order->monitor[0] != '/')
		return mg_error_set(err, -EINVAL, "it takes the name of a VM, and the absolute path "
				    "of a monitor's socket");
	if (order->listens && strncmp(order->listens, "unix:/", 6) != 0 &&
	    strncmp(order->listens, "tcp:", 4) != 0)
		return mg_error_set(err, -EINVAL, "'%.64s' is neither unix:PATH nor tcp:ADDRESS:PORT: "
				    "with -incoming fd: or exec: only whoever started it can reach it",
				    order->listens);
	if (vm_find(n, order->name))
		return mg_error_set(err, -EEXIST, "%s has a VM named '%s' already", n->config->name,
				    order->name);
	r = guest_foreign_find(order->monitor, &pid, &pidfd, err);
	if (r < 0 || order->dry_run)
		return r;
	w = calloc(1, sizeof(*w));
	if (!w || !(w->monitor = strdup(order->monitor)) ||
	    (order->listens && !(w->listens = strdup(order->listens)))) {
		if (w)
			free(w->monitor);
		free(w);
		return mg_error_set(err, -ENOMEM, "out of memory");
	}
	snprintf(w->name, sizeof(w->name), "%s", order->name);
	foreign_take(n, order->name);
	LIST_INSERT_HEAD(&n->waiting, w, link);
	log_info("vm", "vm=%s process %d waits for it", w->name, (int)pid);
	return 0;
}

void foreign_receive_for(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			 const Envelope *e)
{
	struct mg_error err = { 0 };

	if (note_waiting(n, e->vm_receive, &err) < 0)
		bus_reply_failure(s, from, e, &err);
	else
		bus_reply_done(s, from, e);
}
