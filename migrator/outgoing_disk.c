/* SPDX-License-Identifier: Apache-2.0
 *
 * The disks that move with a VM, from the source's side. QEMU mirrors each of them (what its overlay
 * holds; the base stays where it is) to the NBD server of the target's QEMU, through a disk_pipe.
 * That begins before the pages, and the pages begin when all disks have been copied once; from then
 * on the mirrors keep up with the guest's writes, which do not wait for them.
 *
 * At the stop QEMU waits (pause-before-switchover) while the mirrors write what is left and flush it;
 * the jobs end, and only then QEMU lets go of its disks and sends the end of its stream. So the target
 * cannot get READY without whole disks. The source's overlays stay as they are until its files are
 * removed, so a source that takes the guest back has a whole disk, too. (libvirt
 * src/qemu/qemu_migration.c does it in this order.)
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/log.h"
#include "migrator/disk.h"
#include "migrator/disk_pipe.h"
#include "migrator/fault.h"
#include "migrator/node_config.h"
#include "migrator/outgoing_internal.h"

#define STEP_TIMEOUT_NS (10 * NS_PER_S)
#define MIRROR_NAME_SIZE 40 /* QEMU takes 31 characters, and there are few disks */
#define AGAIN_NS NS_PER_S /* between tries to connect */
#define PIPE_UP_NS (10 * NS_PER_S)
#define CAP_SHARE 4 /* of a capped bandwidth, while pages flow: a quarter for disks */

struct mirror {
	struct outgoing_disks *all;
	size_t index; /* of the disk in the VM's description */
	bool whole; /* its base has to go, too */
	char name[MIRROR_NAME_SIZE]; /* of the job, and of the node that it writes to */
	struct disk_pipe *pipe;
	uint32_t incarnation;
	int connecting_fd;
	sd_event_source *connecting, *again;
	uint64_t lost_since_ns; /* 0: its connection is there, or the first is still to come */
	bool ready;
};

enum step { STEP_CONNECT, STEP_ADD, STEP_MIRROR, STEP_ALL_BEGUN };

struct outgoing_disks {
	struct outgoing *o;
	size_t n, at; /* the one that the step is about */
	enum step step;
	uint64_t begun_ns;
	int listener;
	sd_event_source *accepting;
	bool copied, finishing, asking;
	uint64_t left; /* bytes of disks that the target lacks, as QEMU said last */
	struct mirror mirrors[];
};

bool outgoing_disk_moves(const struct outgoing *o)
{
	return !o->warm && o->m.row.spec && disk_count(o->m.row.spec) > 0;
}

static void give_up(struct mirror *m, const char *why)
{
	struct outgoing *o = m->all->o;

	outgoing_give_up(o, "disk %zu: %s", m->index, why);
	outgoing_reconcile(o);
}

/* ---- The bases ----------------------------------------------------------------------------- */

bool outgoing_disk_bases_known(struct outgoing *o)
{
	const VmSpec *spec = guest_spec(o->vm->guest);
	char digest[DISK_DIGEST_TEXT_SIZE];
	struct mg_error err = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < spec->n_disks; i++)
		if (spec->disks[i]->base_path)
			r = disk_digest_get(o->m.node->digests, spec->disks[i]->base_path, digest, &err);
	if (r < 0 && r != -EAGAIN)
		outgoing_give_up(o, "%s", err.text);
	return r == 0;
}

uint64_t outgoing_disk_used(const struct outgoing *o)
{
	const VmSpec *spec = guest_spec(o->vm->guest);
	uint64_t sum = 0;

	for (size_t i = 0; i < spec->n_disks; i++)
		if (disk_moves(spec->disks[i]))
			sum += disk_used_bytes(guest_directory(o->vm->guest), i);
	return sum;
}

static void describe(struct outgoing *o, size_t i, struct disks_told *told, size_t at)
{
	const char *base = guest_spec(o->vm->guest)->disks[i]->base_path;
	Tagalong__PeerDisk *disk = told->list[at] = &told->disks[at];
	struct stat st;

	tagalong__peer_disk__init(disk);
	disk->used_bytes = disk_used_bytes(guest_directory(o->vm->guest), i);
	if (base && disk_digest_get(o->m.node->digests, base, told->digests[at], NULL) == 0)
		disk->base_digest = told->digests[at];
	disk->has_base_bytes = base && stat(base, &st) == 0;
	if (disk->has_base_bytes)
		disk->base_bytes = (uint64_t)st.st_blocks * 512;
}

void outgoing_disk_describe(struct outgoing *o, struct disks_told *told, Tagalong__PeerPrepare *p)
{
	const VmSpec *spec = guest_spec(o->vm->guest);

	for (size_t i = 0; i < spec->n_disks; i++)
		if (disk_moves(spec->disks[i]))
			describe(o, i, told, p->n_disks++);
	p->disks = told->list;
	p->has_copy_bases = p->copy_bases = o->copy_bases;
}

void outgoing_disk_take_bases(struct outgoing *o, const Tagalong__PeerPrepared *p)
{
	const VmSpec *spec = guest_spec(o->vm->guest);
	size_t at = 0;

	for (size_t i = 0; i < spec->n_disks; i++) {
		if (!disk_moves(spec->disks[i]))
			continue;
		if (at >= p->n_has_disk_base || !p->has_disk_base[at])
			o->bases_missing |= UINT32_C(1) << i;
		at++;
	}
}

/* ---- Names ---------------------------------------------------------------------------------- */

/* Unique to the move, and known again after a restart. */
static void name_mirror(const struct outgoing *o, size_t index, char name[MIRROR_NAME_SIZE])
{
	snprintf(name, MIRROR_NAME_SIZE, "move-%.13s-%zu", o->m.id_text, index);
}

static void next(struct outgoing_disks *d);

/* ---- The way to the target --------------------------------------------------------------- */

static void try_to_connect(struct mirror *m);

static int on_again(sd_event_source *source, uint64_t now, void *userdata)
{
	(void)source;
	(void)now;
	try_to_connect(userdata);
	return 0;
}

static void try_later(struct mirror *m)
{
	m->again = sd_event_source_disable_unref(m->again);
	(void)sd_event_add_time_relative(m->all->o->m.node->loop, &m->again, CLOCK_MONOTONIC,
					 AGAIN_NS / NS_PER_US, 1000, on_again, m);
}

static void drop_try(struct mirror *m)
{
	m->connecting = sd_event_source_disable_unref(m->connecting);
	if (m->connecting_fd >= 0)
		close(TAKE_FD(m->connecting_fd));
}

static int on_connected(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct mirror *m = userdata;
	struct mg_error err = { 0 };
	int error = 0;
	socklen_t len = sizeof(error);

	(void)source;
	(void)events;
	m->connecting = sd_event_source_disable_unref(m->connecting);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error) {
		drop_try(m); /* the timer tries again */
	} else if (disk_pipe_connect(m->pipe, fd, ++m->incarnation, &err) < 0) {
		drop_try(m);
		give_up(m, err.text);
	} else {
		m->connecting_fd = -1;
	}
	return 0;
}

static void try_to_connect(struct mirror *m)
{
	struct outgoing *o = m->all->o;
	int fd;

	drop_try(m);
	try_later(m);
	fd = link_connect(o->data_endpoint);
	if (fd < 0)
		return;
	m->connecting_fd = fd;
	(void)sd_event_add_io(o->m.node->loop, &m->connecting, fd, EPOLLOUT, on_connected, m);
}

static void on_lost(struct mirror *m)
{
	struct outgoing *o = m->all->o;

	if (!m->lost_since_ns) {
		m->lost_since_ns = clock_mono_ns();
		log_warning("outgoing", "move=%s vm=%s disk %zu: %s", o->m.id_text,
			    o->m.row.info->vm, m->index, disk_pipe_loss(m->pipe)->text);
	}
	if (!o->outflow) /* else that of the pages is what counts */
		move_figures(&o->m)->has_link_down = move_figures(&o->m)->link_down = true;
	try_later(m);
}

static void on_up(struct mirror *m)
{
	struct outgoing *o = m->all->o;

	m->again = sd_event_source_disable_unref(m->again);
	if (m->lost_since_ns && !o->outflow) {
		Tagalong__MoveFigures *f = move_figures(&o->m);

		f->link_down = false;
		f->has_reconnects = true;
		f->reconnects++;
	}
	m->lost_since_ns = 0;
	if (m->all->step == STEP_CONNECT)
		next(m->all);
}

static void on_pipe(struct disk_pipe *p, enum disk_pipe_event event, void *userdata)
{
	struct mirror *m = userdata;

	(void)p;
	if (event == DISK_PIPE_UP)
		on_up(m);
	else if (event == DISK_PIPE_LOST)
		on_lost(m);
	/* closed: the job's end says why */
}

static void open_pipe(struct mirror *m)
{
	struct outgoing *o = m->all->o;
	struct link_config link = {
		.fd = -1, .move = o->peer_id, .stream = (uint16_t)(DISK_STREAM + m->index),
		.plain_text = o->m.node->config->plain_text_data,
	};
	int r;

	memcpy(link.key, o->session_key, sizeof(link.key));
	r = disk_pipe_new(o->m.node->loop, &link, guest_spec(o->vm->guest)->disks[m->index]->size,
			  on_pipe, m, &m->pipe);
	explicit_bzero(&link, sizeof(link));
	if (r < 0)
		give_up(m, strerror(-r));
	else
		try_to_connect(m);
}

/* ---- QEMU's way to us ----------------------------------------------------------------------- */

static void close_listener(struct outgoing_disks *d)
{
	d->accepting = sd_event_source_disable_unref(d->accepting);
	if (d->listener < 0)
		return;
	close(TAKE_FD(d->listener));
	if (d->o->vm && d->o->vm->guest)
		disk_unlisten(guest_directory(d->o->vm->guest));
}

static int on_accept(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct mirror *m = userdata;
	int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)source;
	(void)events;
	if (conn < 0)
		return 0;
	close_listener(m->all);
	if (disk_pipe_join(m->pipe, conn) < 0) {
		close(conn);
		give_up(m, "event loop");
	}
	return 0;
}

static void on_step(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		    void *userdata)
{
	struct outgoing *o = userdata;

	(void)q;
	(void)result;
	o->pending--;
	if (!o->disks)
		return;
	if (r < 0)
		give_up(&o->disks->mirrors[o->disks->at], err->text);
	else if (o->live)
		next(o->disks);
}

static void command(struct outgoing_disks *d, const char *name, json_t *arguments)
{
	if (outgoing_command(d->o, name, arguments, STEP_TIMEOUT_NS, on_step) < 0)
		give_up(&d->mirrors[d->at], "QEMU's monitor does not answer");
}

/* QEMU talks with the target's NBD server in this command and nothing else meanwhile, for some five
 * round trips; so the connection is there before. */
static void add_node(struct outgoing_disks *d)
{
	struct mirror *m = &d->mirrors[d->at];
	struct guest *g = d->o->vm->guest;
	char export[32];

	d->listener = disk_listen(guest_directory(g), d->o->m.node->config->qemu_user);
	if (d->listener < 0 ||
	    sd_event_add_io(d->o->m.node->loop, &d->accepting, d->listener, EPOLLIN, on_accept, m) < 0) {
		give_up(m, "no socket for QEMU to connect to");
		return;
	}
	snprintf(export, sizeof(export), "disk%zu", m->index);
	command(d, "blockdev-add",
		json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "driver", "nbd", "node-name", m->name,
			  "export", export, "server", "type", "unix", "path", DISK_SOCKET));
}

/* 0: as fast as it goes. */
static uint64_t speed(const struct outgoing *o, bool pages_flow)
{
	return o->bandwidth_bps / 8 / (pages_flow ? CAP_SHARE : 1);
}

uint64_t outgoing_disk_page_bandwidth(const struct outgoing *o)
{
	return o->disks ? o->bandwidth_bps - o->bandwidth_bps / CAP_SHARE : o->bandwidth_bps;
}

/* What is sent again for one small write; a bit of QEMU's memory for each. */
static int granularity(uint64_t disk_bytes)
{
	return disk_bytes <= UINT64_C(1) << 40 ? 4 << 10 : 64 << 10;
}

static void begin_mirror(struct outgoing_disks *d)
{
	struct mirror *m = &d->mirrors[d->at];
	uint64_t size = guest_spec(d->o->vm->guest)->disks[m->index]->size;
	char node[32];

	snprintf(node, sizeof(node), "disk%zu", m->index);
	command(d, "blockdev-mirror",
		json_pack("{s:s, s:s, s:s, s:s, s:I, s:i, s:s, s:s, s:s}", "job-id", m->name,
			  "device", node, "target", m->name, "sync", m->whole ? "full" : "top",
			  "speed", (json_int_t)speed(d->o, false), "granularity", granularity(size),
			  "copy-mode", "background", "on-source-error", "report",
			  "on-target-error", "report"));
}

static void next(struct outgoing_disks *d)
{
	switch (d->step) {
	case STEP_CONNECT:
		d->step = STEP_ADD;
		add_node(d);
		break;
	case STEP_ADD:
		d->step = STEP_MIRROR;
		begin_mirror(d);
		break;
	case STEP_MIRROR:
		d->step = ++d->at < d->n ? STEP_CONNECT : STEP_ALL_BEGUN;
		d->begun_ns = clock_mono_ns();
		if (d->at < d->n)
			open_pipe(&d->mirrors[d->at]);
		break;
	case STEP_ALL_BEGUN:
		break;
	}
}

/* ---- The jobs ---------------------------------------------------------------------------------- */

static void set_speed(struct outgoing_disks *d)
{
	for (size_t i = 0; i < d->n && d->o->bandwidth_bps; i++)
		(void)qmp_command(guest_qmp(d->o->vm->guest), "block-job-set-speed",
				  json_pack("{s:s, s:I}", "device", d->mirrors[i].name, "speed",
					    (json_int_t)speed(d->o, true)),
				  STEP_TIMEOUT_NS, NULL, NULL);
}

static void check_copied(struct outgoing_disks *d)
{
	if (d->copied || d->step != STEP_ALL_BEGUN)
		return;
	for (size_t i = 0; i < d->n; i++)
		if (!d->mirrors[i].ready)
			return;
	d->copied = true;
	set_speed(d);
	log_info("outgoing", "move=%s vm=%s the disks have been copied", d->o->m.id_text,
		 d->o->m.row.info->vm);
	copy_disks_done(d->o);
}

static void on_continue(struct qmp *q, int r, json_t *result, const struct mg_error *err,
			void *userdata)
{
	struct outgoing *o = userdata;

	(void)q;
	(void)result;
	o->pending--;
	if (r < 0)
		outgoing_give_up(o, "QEMU: %s", err->text);
	outgoing_reconcile(o);
}

/* All mirrors have ended: QEMU may let go of its disks. */
static void switch_over(struct outgoing *o)
{
	Tagalong__MoveFigures *f = move_figures(&o->m);

	f->disk_bytes += f->disk_remaining_bytes;
	f->disk_remaining_bytes = o->disks->left = 0;
	if (outgoing_command(o, "migrate-continue", json_pack("{s:s}", "state", "pre-switchover"),
			     STEP_TIMEOUT_NS, on_continue) < 0)
		outgoing_give_up(o, "QEMU's monitor does not answer");
	fault_after("disk", "finish");
}

static void on_deleted(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		       void *userdata)
{
	struct outgoing *o = userdata;
	struct outgoing_disks *d = o->disks;

	(void)q;
	(void)result;
	o->pending--;
	if (!d || !o->live)
		return;
	if (r < 0)
		outgoing_give_up(o, "QEMU: %s", err->text);
	else if (++d->at == d->n)
		switch_over(o);
	outgoing_reconcile(o);
}

static void on_job_end(struct mirror *m, const char *error)
{
	struct outgoing_disks *d = m->all;

	if (!d->o->live)
		return;
	if (error || !d->finishing)
		give_up(m, error ? error : "QEMU ended its copy");
	else if (outgoing_command(d->o, "blockdev-del", json_pack("{s:s}", "node-name", m->name),
				  STEP_TIMEOUT_NS, on_deleted) < 0)
		give_up(m, "QEMU's monitor does not answer");
}

void outgoing_disk_event(struct outgoing *o, const char *event, json_t *data)
{
	const char *name = json_string_value(json_object_get(data, "device"));
	struct mirror *m = NULL;

	for (size_t i = 0; o->disks && name && i < o->disks->n; i++)
		if (strcmp(name, o->disks->mirrors[i].name) == 0)
			m = &o->disks->mirrors[i];
	if (!m)
		return;
	if (strcmp(event, "BLOCK_JOB_READY") == 0) {
		m->ready = true;
		check_copied(o->disks);
	} else if (strcmp(event, "BLOCK_JOB_COMPLETED") == 0) {
		on_job_end(m, json_string_value(json_object_get(data, "error")));
	} else if (strcmp(event, "BLOCK_JOB_CANCELLED") == 0) {
		on_job_end(m, "QEMU called its copy off");
	}
}

static void on_cancel(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		      void *userdata)
{
	struct outgoing *o = userdata;

	(void)q;
	(void)result;
	o->pending--;
	if (r < 0)
		outgoing_give_up(o, "QEMU: %s", err->text);
	outgoing_reconcile(o);
}

/* A mirror that is ready and cancelled writes what is left, flushes it and then ends. */
void outgoing_disk_finish(struct outgoing *o)
{
	struct outgoing_disks *d = o->disks;

	if (!d || d->finishing)
		return;
	fault_before("disk", "finish");
	d->finishing = true;
	d->at = 0;
	for (size_t i = 0; o->live && i < d->n; i++)
		if (outgoing_command(o, "block-job-cancel",
				     json_pack("{s:s}", "device", d->mirrors[i].name),
				     STEP_TIMEOUT_NS, on_cancel) < 0)
			give_up(&d->mirrors[i], "QEMU's monitor does not answer");
}

/* ---- Progress ------------------------------------------------------------------------------------ */

static void take_job(struct outgoing_disks *d, json_t *job, uint64_t *done)
{
	const char *name = json_string_value(json_object_get(job, "device"));
	json_int_t len = json_integer_value(json_object_get(job, "len"));
	json_int_t offset = json_integer_value(json_object_get(job, "offset"));

	for (size_t i = 0; name && i < d->n; i++) {
		struct mirror *m = &d->mirrors[i];

		if (strcmp(name, m->name) != 0)
			continue;
		*done += offset > 0 ? (uint64_t)offset : 0;
		d->left += len > offset ? (uint64_t)(len - offset) : 0;
		m->ready |= json_is_true(json_object_get(job, "ready"));
	}
}

static void on_jobs(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		    void *userdata)
{
	struct outgoing *o = userdata;
	struct outgoing_disks *d = o->disks;
	Tagalong__MoveFigures *f = move_figures(&o->m);
	uint64_t done = 0;
	size_t i;
	json_t *job;

	(void)q;
	(void)err;
	o->pending--;
	if (!d)
		return;
	d->asking = false;
	/* It may have stopped the guest, and wait for writes that a dead link does not carry. */
	if (r == -ETIMEDOUT && o->step == COPY_FLOWING && !d->finishing)
		outgoing_give_up(o, "QEMU did not answer for as long as the blackout may last");
	if (r == 0 && !d->finishing) {
		d->left = 0;
		json_array_foreach(result, i, job)
			take_job(d, job, &done);
		f->has_disk_bytes = f->has_disk_remaining_bytes = true;
		f->disk_bytes = done;
		f->disk_remaining_bytes = d->left;
		if (o->live)
			check_copied(d);
	}
	outgoing_reconcile(o);
}

static void fill_figures(struct outgoing_disks *d)
{
	Tagalong__MoveFigures *f = move_figures(&d->o->m);

	f->has_disk_wire_bytes = true;
	f->disk_wire_bytes = 0;
	for (size_t i = 0; i < d->n; i++)
		if (d->mirrors[i].pipe)
			f->disk_wire_bytes += disk_pipe_wire_bytes(d->mirrors[i].pipe);
}

static void check_patience(struct outgoing_disks *d)
{
	uint64_t now = clock_mono_ns();

	if (d->step == STEP_CONNECT && !d->mirrors[d->at].lost_since_ns &&
	    now - d->begun_ns > PIPE_UP_NS)
		outgoing_give_up(d->o, "disk %zu: no data connection to %s at %s",
				 d->mirrors[d->at].index, d->o->m.row.peer, d->o->data_endpoint);
	for (size_t i = 0; i < d->n; i++)
		if (d->mirrors[i].lost_since_ns &&
		    now - d->mirrors[i].lost_since_ns > d->o->patience_ns)
			outgoing_give_up(d->o, "disk %zu: its data connection was lost, and there "
					 "was no other in time", d->mirrors[i].index);
}

void outgoing_disk_tick(struct outgoing *o)
{
	struct outgoing_disks *d = o->disks;
	bool stopped;

	if (!d || !o->live)
		return;
	fill_figures(d);
	check_patience(d);
	stopped = d->finishing || o->step > COPY_FLOWING;
	if (o->live && !d->asking && !stopped && (d->at > 0 || d->step == STEP_ALL_BEGUN))
		d->asking = outgoing_command(o, "query-block-jobs", NULL, o->most_ns, on_jobs) >= 0;
	if (o->live && o->step == COPY_DISKS)
		move_tell_progress(&o->m);
}

uint64_t outgoing_disk_left(const struct outgoing *o)
{
	return o->disks ? o->disks->left : 0;
}

/* ---- Beginning and ending ---------------------------------------------------------------------- */

bool outgoing_disk_begin(struct outgoing *o)
{
	const VmSpec *spec = guest_spec(o->vm->guest);
	size_t n = outgoing_disk_moves(o) ? disk_count(spec) : 0;
	Tagalong__MoveFigures *f = move_figures(&o->m);
	struct outgoing_disks *d;

	if (n == 0)
		return false;
	d = o->disks = calloc(1, sizeof(*d) + n * sizeof(d->mirrors[0]));
	if (!d) {
		outgoing_give_up(o, "out of memory");
		return true;
	}
	d->o = o;
	d->listener = -1;
	for (size_t i = 0; i < spec->n_disks; i++) {
		if (!disk_moves(spec->disks[i]))
			continue;
		d->mirrors[d->n] = (struct mirror){
			.all = d, .index = i, .connecting_fd = -1,
			.whole = spec->disks[i]->base_path && (o->bases_missing >> i & 1),
		};
		name_mirror(o, i, d->mirrors[d->n++].name);
	}
	d->begun_ns = clock_mono_ns();
	f->has_remaining_bytes = true; /* all of it, until QEMU knows better */
	f->remaining_bytes = guest_ram_bytes(o->vm->guest);
	open_pipe(&d->mirrors[0]);
	return true;
}

/* Whatever became of them: the jobs that are left, and the guest that waits for its switch-over. */
void outgoing_disk_undo(struct outgoing *o)
{
	const VmSpec *spec = o->m.row.spec;
	struct qmp *q = o->vm && o->vm->guest ? guest_qmp(o->vm->guest) : NULL;
	char name[MIRROR_NAME_SIZE];

	if (!q || !outgoing_disk_moves(o))
		return;
	(void)qmp_command(q, "migrate_cancel", NULL, STEP_TIMEOUT_NS, NULL, NULL);
	for (size_t i = 0; i < spec->n_disks; i++) {
		if (!disk_moves(spec->disks[i]))
			continue;
		name_mirror(o, i, name);
		(void)qmp_command(q, "block-job-cancel",
				  json_pack("{s:s, s:b}", "device", name, "force", 1),
				  STEP_TIMEOUT_NS, NULL, NULL);
		(void)qmp_command(q, "blockdev-del", json_pack("{s:s}", "node-name", name),
				  STEP_TIMEOUT_NS, NULL, NULL);
	}
}

void outgoing_disk_end(struct outgoing *o)
{
	struct outgoing_disks *d = o->disks;

	if (!d)
		return;
	fill_figures(d);
	close_listener(d);
	for (size_t i = 0; i < d->n; i++) {
		drop_try(&d->mirrors[i]);
		sd_event_source_disable_unref(d->mirrors[i].again);
		disk_pipe_free(d->mirrors[i].pipe);
	}
	free(d);
	o->disks = NULL;
}
