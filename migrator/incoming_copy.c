/* SPDX-License-Identifier: Apache-2.0
 *
 * The pages' way in: makes QEMU wait for them, joins it and the source's data
 * connection, and sees the stream to its end.
 */
#include <sodium.h>
#include <string.h>

#include "common/log.h"
#include "migrator/guest_foreign.h"
#include "migrator/incoming_internal.h"
#include "migrator/node_config.h"
#include "migrator/outflow.h"

#define DATA_TIMEOUT_NS (30 * NS_PER_S) /* from PREPARED to the data connection */
#define FD_NAME "tagalong"
#define DEVICES_NS (2 * NS_PER_MS) /* between looks at QEMU, in the blackout */

#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

void incoming_become_prepared(struct incoming *in)
{
	in->waits_for_image = incoming_image_is_coming(in);
	if (in->waits_for_image)
		return; /* the tick comes back */
	incoming_find_image(in);
	if (move_to_stage(&in->m, JOURNAL_PREPARED) < 0) {
		incoming_give_up(in, "the journal cannot be written");
		return;
	}
	in->qemu = COMMIT_QEMU_PAUSED;
	in->deadline_ns = clock_mono_ns() + DATA_TIMEOUT_NS;
	move_show(&in->m, STATE(PREPARED));
	incoming_tell_prepared(in);
}

static void on_capabilities(struct qmp *q, int r, json_t *result, const struct mg_error *err,
			    void *userdata)
{
	struct incoming *in = userdata;

	(void)q;
	(void)result;
	in->pending--;
	if (r < 0) { /* QEMU has tried, with post-copy, whether it may hear of page faults */
		incoming_give_up(in, err->text);
		return;
	}
	if (in->m.row.stage == JOURNAL_BEGUN && in->live && !incoming_disk_begin(in))
		incoming_become_prepared(in);
}

static void set_capabilities(struct incoming *in)
{
	static const char *const names[] = { "events", "return-path", "late-block-activate",
					     "postcopy-ram" };
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(names) - !in->post_copy; i++)
		json_array_append_new(list, json_pack("{s:s, s:b}", "capability", names[i], "state",
						      1));
	if (incoming_command(in, "migrate-set-capabilities",
			     json_pack("{s:o}", "capabilities", list), on_capabilities) < 0)
		incoming_give_up(in, "QEMU's monitor does not answer");
}

static void on_held(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		    void *userdata)
{
	struct incoming *in = userdata;

	(void)q;
	(void)result;
	in->pending--;
	if (r < 0)
		incoming_give_up(in, err->text);
	else if (in->m.row.stage == JOURNAL_BEGUN && in->live)
		set_capabilities(in);
}

/* Whoever started it may have done so without -S; then this is what keeps it from running by
 * itself once it has loaded (QEMU: qmp_stop() in the state inmigrate). */
void incoming_copy_begin(struct incoming *in)
{
	if (!guest_is_foreign(in->vm->guest))
		set_capabilities(in);
	else if (incoming_command(in, "stop", NULL, on_held) < 0)
		incoming_give_up(in, "QEMU's monitor does not answer");
}

/* ---- The pages ------------------------------------------------------------------- */

void incoming_loaded(struct incoming *in)
{
	in->loaded = true;
	in->qemu = COMMIT_QEMU_PAUSED;
	incoming_reconcile(in);
}

static void await_devices(struct incoming *in);

static int on_devices(sd_event_source *source, uint64_t now, void *userdata)
{
	(void)source;
	(void)now;
	await_devices(userdata);
	return 0;
}

/* QEMU says nothing of it when it has loaded the devices and waits to be told to run. */
static void await_devices(struct incoming *in)
{
	if (in->m.row.stage != JOURNAL_PREPARED || !in->live)
		return;
	if (in->qemu == COMMIT_QEMU_PAUSED && in->asked_devices) {
		incoming_loaded(in);
		return;
	}
	in->asked_devices = true;
	in->qemu = COMMIT_QEMU_BUSY;
	incoming_poll(in);
	sd_event_source_disable_unref(in->devices);
	in->devices = NULL;
	sd_event_add_time_relative(in->m.node->loop, &in->devices, CLOCK_MONOTONIC,
				   DEVICES_NS / NS_PER_US, 1, on_devices, in);
}

static void all_is_here(struct incoming *in)
{
	in->partial = in->vm->incomplete = false;
	log_info("incoming", "move=%s vm=%s all of its memory is here", in->m.id_text,
		 in->m.row.info->vm);
	incoming_poll(in); /* its migration is over */
	incoming_reconcile(in);
}

static void on_inflow(struct inflow *flow, enum inflow_event event, void *userdata)
{
	struct incoming *in = userdata;

	switch (event) {
	case INFLOW_STARTED:
		move_show(&in->m, STATE(COPYING));
		break;
	case INFLOW_LOADED:
		in->deadline_ns = 0;
		if (in->partial) {
			all_is_here(in);
			break;
		}
		incoming_end_arrival(in);
		if (!incoming_disk_close(in))
			incoming_loaded(in);
		break;
	case INFLOW_POST_COPY:
		in->partial = in->vm->incomplete = true;
		in->deadline_ns = 0;
		move_figures(&in->m)->has_post_copy = move_figures(&in->m)->post_copy = true;
		move_show(&in->m, STATE(STOPPED));
		await_devices(in);
		break;
	case INFLOW_RESUMED:
		in->deadline_ns = 0;
		if (in->partial && in->m.row.info->state == STATE(IN_DOUBT)) {
			move_explain(&in->m, NULL);
			move_show(&in->m, STATE(COMMITTED));
		}
		log_info("incoming", "move=%s vm=%s the data connection is back", in->m.id_text,
			 in->m.row.info->vm);
		break;
	case INFLOW_LOST:
		in->deadline_ns = clock_mono_ns() + in->patience_ns;
		log_warning("incoming", "move=%s vm=%s %s; another may come", in->m.id_text,
			    in->m.row.info->vm, inflow_loss(flow)->text);
		break;
	case INFLOW_FAILED:
		if (in->partial) {
			incoming_lose(in, inflow_error(flow)->text);
			break;
		}
		in->hung_up = inflow_error(flow)->code == -ECONNRESET;
		incoming_give_up(in, inflow_error(flow)->text);
		break;
	}
}

static void on_migrate_incoming(struct qmp *q, int r, json_t *result, const struct mg_error *err,
				void *userdata)
{
	struct incoming *in = userdata;

	(void)q;
	(void)result;
	in->pending--;
	if (r < 0)
		incoming_give_up(in, err->text);
}

static void on_getfd(struct qmp *q, int r, json_t *result, const struct mg_error *err,
		     void *userdata)
{
	struct incoming *in = userdata;

	(void)q;
	(void)result;
	in->pending--;
	if (in->qemu_fd >= 0)
		close(TAKE_FD(in->qemu_fd)); /* QEMU has its own by now */
	if (r < 0)
		incoming_give_up(in, err->text);
	else if (in->live && incoming_command(in, "migrate-incoming",
					      json_pack("{s:s}", "uri", "fd:" FD_NAME),
					      on_migrate_incoming) < 0)
		incoming_give_up(in, "QEMU's monitor does not answer");
}

/* Our end; in->qemu_fd is QEMU's, should it be given that. */
static int connect_qemu(struct incoming *in, int *ret, struct mg_error *err)
{
	int r;

	if (in->listens)
		return guest_foreign_connect(in->listens, ret, err);
	r = outflow_socketpair(ret, &in->qemu_fd);
	return r < 0 ? mg_error_set(err, r, "no socketpair: %s", strerror(-r)) : 0;
}

static int start_inflow(struct incoming *in, int fd, const struct link_hello *hello,
			struct mg_error *err)
{
	struct node *n = in->m.node;
	_cleanup_close_ int ram_fd = guest_ram_open(in->vm->guest);
	struct inflow_config config = {
		.qemu_fd = -1,
		.ram_fd = ram_fd,
		.ram_bytes = guest_ram_bytes(in->vm->guest),
		.write_back = guest_is_foreign(in->vm->guest)
				      ? vm_spec_ram_block(guest_spec(in->vm->guest)) : NULL,
		.link = { .fd = fd, .move = in->m.row.id, .incarnation = hello->incarnation,
			  .plain_text = n->config->plain_text_data },
		.connections = in->connections,
		.post_copy = in->post_copy,
		.hello = *hello,
		.image = in->image,
		.arrival = in->arrival,
		.base = in->base,
		.last_tail = in->last_tail,
	};
	int r;

	if (ram_fd < 0)
		return mg_error_set(err, ram_fd, "cannot open the guest's RAM");
	r = connect_qemu(in, &config.qemu_fd, err);
	if (r < 0)
		return r;
	memcpy(config.link.key, in->session_key, sizeof(config.link.key));
	if (in->m.row.luggage) /* else no page is sent by its hash */
		image_hash_key(in->m.row.luggage->image_key.data, config.link.page_secret);
	r = inflow_start(n->loop, &config, on_inflow, in, &in->inflow, err);
	explicit_bzero(&config.link, sizeof(config.link));
	if (r < 0) {
		close(config.qemu_fd);
		if (in->qemu_fd >= 0)
			close(TAKE_FD(in->qemu_fd));
	}
	return r;
}

/* Anybody can connect; only the source's HELLO fits, and that is waited for. */
void incoming_data(struct incoming *in, int fd, const struct link_hello *hello)
{
	bool first = !in->inflow;
	struct mg_error err = { 0 };
	struct qmp *q = incoming_monitor(in);
	int r;

	if (incoming_disk_data(in, fd, hello))
		return;
	if ((in->m.row.stage != JOURNAL_PREPARED && !in->partial) || !in->live || !q) {
		close(fd);
		return;
	}
	if (first && !in->arrival)
		incoming_begin_arrival(in);
	r = first ? start_inflow(in, fd, hello, &err) : inflow_resume(in->inflow, fd, hello, &err);
	if (r < 0) {
		log_warning("incoming", "move=%s vm=%s data connection refused: %s", in->m.id_text,
			    in->m.row.info->vm, err.text);
		close(fd);
		return;
	}
	if (!first)
		return;
	in->deadline_ns = 0;
	if (in->listens)
		return;
	if (qmp_command_with_fd(q, "getfd", json_pack("{s:s}", "fdname", FD_NAME), in->qemu_fd,
				INCOMING_COMMAND_NS, on_getfd, in) < 0)
		incoming_give_up(in, "QEMU's monitor does not answer");
	else
		in->pending++;
}

void incoming_copy_figures(struct incoming *in)
{
	Tagalong__MoveFigures *f;
	struct inflow_stats s;

	incoming_disk_figures(in, move_figures(&in->m));
	if (!in->inflow)
		return;
	f = move_figures(&in->m);
	inflow_get_stats(in->inflow, &s);
	f->has_wire_bytes = f->has_guest_bytes = f->has_elapsed_ns = true;
	f->wire_bytes = s.wire_bytes;
	f->guest_bytes = s.guest_bytes;
	move_figures_pages(f, s.pages);
	f->elapsed_ns = clock_mono_ns() - in->m.begun_mono_ns;
}

void incoming_keep_tail(struct incoming *in)
{
	const uint8_t *tail;
	size_t len;

	if (!in->vm || !in->inflow)
		return;
	tail = inflow_tail(in->inflow, &len);
	vm_keep_tail(in->vm, tail, len);
}

void incoming_copy_end(struct incoming *in)
{
	inflow_free(in->inflow);
	in->inflow = NULL;
	incoming_disk_end(in);
	sd_event_source_disable_unref(in->devices);
	in->devices = NULL;
	tail_free(in->last_tail);
	in->last_tail = NULL;
	arrival_free(TAKE_PTR(in->arrival));
	incoming_drop_image(in);
	if (in->qemu_fd >= 0)
		close(TAKE_FD(in->qemu_fd));
	sodium_memzero(in->session_key, sizeof(in->session_key));
}
