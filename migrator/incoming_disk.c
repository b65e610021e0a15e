/* SPDX-License-Identifier: Apache-2.0
 *
 * The disks that come with a VM, at the target: their bases are compared, then QEMU's NBD server
 * takes what the source's QEMU mirrors into the empty overlays. The server ends before READY:
 * whoever may write to a disk afterwards is the guest alone. (Such an export is what libvirt has, too;
 * QEMU block/export/export.c activates the node for it, and late-block-activate keeps the rest.)
 */
#include <string.h>

#include "common/log.h"
#include "migrator/disk.h"
#include "migrator/disk_digest.h"
#include "migrator/disk_pipe.h"
#include "migrator/incoming_internal.h"
#include "migrator/node_config.h"

#define FD_NAME "tagalong-disks"

struct incoming_disks {
	struct incoming *in;
	int listener; /* until QEMU has it */
	size_t exported;
	struct disk_pipe *pipes[VM_DISKS_MAX]; /* by the disk's number in the description */
	bool lost[VM_DISKS_MAX];
};

/* ---- The bases ------------------------------------------------------------------------- */

/* Nothing of the disk is here, so all of it has to come. */
static int forget_base(Tagalong__Disk *d)
{
	char *format = strdup("qcow2");

	if (!format)
		return -ENOMEM;
	free(d->base_path);
	d->base_path = NULL;
	free(d->format);
	d->format = format;
	return 0;
}

static int look_at_base(struct node *n, const Tagalong__Disk *d, const Tagalong__PeerDisk *told,
			struct preflight_disk *ret, struct mg_error *err)
{
	char digest[DISK_DIGEST_TEXT_SIZE];
	struct mg_error problem = { 0 };
	uint64_t size;
	int r = disk_base_check(d, &size, &problem);

	if (r < 0) {
		ret->base_missing = r == -ENOENT;
		snprintf(ret->problem, sizeof(ret->problem), "%.159s", problem.text);
		return 0;
	}
	r = disk_digest_get(n->digests, d->base_path, digest, err);
	if (r == 0)
		ret->base_differs = !told->base_digest || strcmp(digest, told->base_digest) != 0;
	return r;
}

int incoming_disk_look(struct node *n, const Tagalong__PeerPrepare *p,
		       struct preflight_target *ret, struct mg_error *err)
{
	size_t at = 0;

	if (p->n_disks != disk_count(p->spec))
		return mg_error_set(err, -EPROTO, "%zu disks that move are described, %zu told",
				    disk_count(p->spec), p->n_disks);
	ret->disk_free = disk_free_bytes(n->config->state_dir);
	for (size_t i = 0; i < p->spec->n_disks; i++) {
		Tagalong__Disk *d = p->spec->disks[i];
		const Tagalong__PeerDisk *told;
		int r = 0;

		if (!disk_moves(d))
			continue;
		told = p->disks[at++];
		ret->disk_needed += told->used_bytes;
		if (d->base_path)
			r = look_at_base(n, d, told, &ret->disks[i], err);
		if (r == 0 && p->copy_bases &&
		    (ret->disks[i].base_missing || ret->disks[i].base_differs)) {
			ret->disk_needed += told->base_bytes;
			ret->disks[i] = (struct preflight_disk){ 0 };
			r = forget_base(d);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- QEMU's server ---------------------------------------------------------------------- */

static void next_export(struct incoming *in);

static void on_export(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		      void *userdata)
{
	struct incoming *in = userdata;

	(void)q;
	(void)result;
	in->pending--;
	if (r < 0)
		incoming_give_up(in, err->text);
	else if (in->live && in->disks)
		next_export(in);
}

static void command(struct incoming *in, const char *name, json_t *arguments)
{
	if (incoming_command(in, name, arguments, on_export) < 0)
		incoming_give_up(in, "QEMU's monitor does not answer");
}

static void next_export(struct incoming *in)
{
	struct incoming_disks *d = in->disks;
	const VmSpec *spec = guest_spec(in->vm->guest);
	char node[32];

	while (d->exported < spec->n_disks && !disk_moves(spec->disks[d->exported]))
		d->exported++;
	if (d->exported == spec->n_disks) {
		incoming_become_prepared(in);
		return;
	}
	snprintf(node, sizeof(node), "disk%zu", d->exported++);
	command(in, "block-export-add",
		json_pack("{s:s, s:s, s:s, s:s, s:b}", "type", "nbd", "id", node, "node-name", node,
			  "name", node, "writable", 1));
}

static void on_getfd(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		     void *userdata)
{
	struct incoming *in = userdata;

	(void)q;
	(void)result;
	in->pending--;
	if (in->disks && in->disks->listener >= 0)
		close(TAKE_FD(in->disks->listener)); /* QEMU has its own by now */
	if (r < 0)
		incoming_give_up(in, err->text);
	else if (in->live && in->disks)
		command(in, "nbd-server-start",
			json_pack("{s:{s:s, s:{s:s}}}", "addr", "type", "fd", "data", "str", FD_NAME));
}

bool incoming_disk_begin(struct incoming *in)
{
	struct qmp *q = incoming_monitor(in);
	struct incoming_disks *d;

	if (!in->vm->guest || disk_count(guest_spec(in->vm->guest)) == 0 || in->warm)
		return false;
	d = in->disks = calloc(1, sizeof(*d));
	if (!d) {
		incoming_give_up(in, "out of memory");
		return true;
	}
	d->in = in;
	d->listener = disk_listen(guest_directory(in->vm->guest), NULL);
	if (d->listener < 0 || !q ||
	    qmp_command_with_fd(q, "getfd", json_pack("{s:s}", "fdname", FD_NAME), d->listener,
				INCOMING_COMMAND_NS, on_getfd, in) < 0)
		incoming_give_up(in, "no socket for QEMU's NBD server");
	else
		in->pending++;
	return true;
}

/* ---- The source's connections ------------------------------------------------------------ */

static bool any_is_lost(const struct incoming_disks *d)
{
	for (size_t i = 0; i < VM_DISKS_MAX; i++)
		if (d->lost[i])
			return true;
	return false;
}

/* Once there are pages, their connection is what counts. */
static void on_pipe(struct disk_pipe *p, enum disk_pipe_event event, void *userdata)
{
	struct incoming_disks *d = userdata;
	struct incoming *in = d->in;
	size_t i = 0;

	while (d->pipes[i] != p)
		i++;
	d->lost[i] = event == DISK_PIPE_LOST;
	if (in->inflow || in->m.row.stage != JOURNAL_PREPARED)
		return;
	if (event == DISK_PIPE_LOST)
		log_info("incoming", "move=%s vm=%s disk %zu: %s; another connection may come",
			 in->m.id_text, in->m.row.info->vm, i, disk_pipe_loss(p)->text);
	if (event == DISK_PIPE_CLOSED) {
		incoming_give_up(in, "QEMU's NBD server closed a disk's connection");
		return;
	}
	in->deadline_ns = any_is_lost(d) ? clock_mono_ns() + in->patience_ns : 0;
	if (event == DISK_PIPE_UP)
		move_show(&in->m, TAGALONG__MOVE_STATE__MOVE_COPYING);
}

static int open_pipe(struct incoming *in, size_t i)
{
	struct incoming_disks *d = in->disks;
	struct link_config link = {
		.fd = -1, .move = in->m.row.id, .stream = (uint16_t)(DISK_STREAM + i),
		.plain_text = in->m.node->config->plain_text_data,
	};
	int r, local;

	memcpy(link.key, in->session_key, sizeof(link.key));
	r = disk_pipe_new(in->m.node->loop, &link, guest_spec(in->vm->guest)->disks[i]->size, on_pipe,
			  d, &d->pipes[i]);
	explicit_bzero(&link, sizeof(link));
	if (r < 0)
		return r;
	local = disk_connect(guest_directory(in->vm->guest));
	r = local < 0 ? local : disk_pipe_join(d->pipes[i], local);
	if (r < 0) {
		if (local >= 0)
			close(local);
		disk_pipe_free(TAKE_PTR(d->pipes[i]));
	}
	return r;
}

bool incoming_disk_data(struct incoming *in, int fd, const struct link_hello *hello)
{
	size_t i = hello->stream - (size_t)DISK_STREAM;
	struct incoming_disks *d = in->disks;
	struct mg_error err = { 0 };
	const VmSpec *spec;
	int r = -ENOENT;

	if (hello->stream < DISK_STREAM)
		return false;
	spec = in->vm && in->vm->guest ? guest_spec(in->vm->guest) : NULL;
	if (d && spec && i < spec->n_disks && disk_moves(spec->disks[i]) && in->live &&
	    in->m.row.stage == JOURNAL_PREPARED)
		r = d->pipes[i] ? 0 : open_pipe(in, i);
	if (r == 0)
		r = disk_pipe_accept(d->pipes[i], fd, hello, &err);
	if (r < 0) {
		log_warning("incoming", "move=%s vm=%s a disk's connection refused: %s",
			    in->m.id_text, in->m.row.info->vm,
			    err.code ? err.text : strerror(-r));
		close(fd);
	}
	return true;
}

/* ---- The end ---------------------------------------------------------------------------------- */

static void on_stopped(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		       void *userdata)
{
	struct incoming *in = userdata;

	(void)q;
	(void)result;
	in->pending--;
	if (r < 0)
		incoming_give_up(in, err->text);
	else
		incoming_loaded(in);
}

/* The source's mirrors have ended, or its QEMU would not have sent its devices. */
bool incoming_disk_close(struct incoming *in)
{
	if (!in->disks)
		return false;
	if (in->vm && in->vm->guest)
		disk_unlisten(guest_directory(in->vm->guest));
	if (incoming_command(in, "nbd-server-stop", NULL, on_stopped) < 0)
		incoming_give_up(in, "QEMU's monitor does not answer");
	return true;
}

void incoming_disk_end(struct incoming *in)
{
	struct incoming_disks *d = in->disks;

	if (!d)
		return;
	for (size_t i = 0; i < VM_DISKS_MAX; i++)
		disk_pipe_free(d->pipes[i]);
	if (d->listener >= 0)
		close(d->listener);
	free(d);
	in->disks = NULL;
}

void incoming_disk_figures(const struct incoming *in, Tagalong__MoveFigures *f)
{
	if (!in->disks)
		return;
	f->has_disk_wire_bytes = true;
	f->disk_wire_bytes = 0;
	for (size_t i = 0; i < VM_DISKS_MAX; i++)
		if (in->disks->pipes[i])
			f->disk_wire_bytes += disk_pipe_wire_bytes(in->disks->pipes[i]);
}
