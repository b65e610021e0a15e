/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/base_image.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/log.h"
#include "migrator/image_store.h"
#include "migrator/node_config.h"
#include "migrator/vm.h"

#define PIECE ((size_t)512 << 10) /* of a message of 1 MiB at most */
#define ASK_AGAIN_NS (500 * NS_PER_MS)
#define PATIENCE_NS (15 * NS_PER_S) /* without any answer */

/* One that is being made or fetched, and who is told how it ends. */
struct base_adding {
	struct node *node;
	LIST_ENTRY(base_adding) link;
	struct bus_socket *asker;
	struct bus_peer peer;
	bool routed, dry_run;
	uint64_t seq;
	/* fetched: */
	char name[VM_NAME_MAX + 1];
	struct bus_socket *socket;
	sd_event_source *timer;
	struct image_part *part; /* NULL: nothing has come yet */
	struct uuid id;
	uint64_t at, total, heard_ns;
};

static void adding_free(struct base_adding *a)
{
	LIST_REMOVE(a, link);
	sd_event_source_disable_unref(a->timer);
	bus_socket_free(a->socket);
	image_part_free(a->part);
	free(a);
}

static void end(struct base_adding *a, const struct mg_error *err)
{
	Envelope request = TAGALONG__ENVELOPE__INIT;

	request.seq = a->seq;
	if (err)
		bus_reply_failure(a->asker, a->routed ? &a->peer : NULL, &request, err);
	else
		bus_reply_done(a->asker, a->routed ? &a->peer : NULL, &request);
	adding_free(a);
}

static struct base_adding *adding_new(struct node *n, struct bus_socket *s,
				      const struct bus_peer *from, const Envelope *e)
{
	struct base_adding *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	*a = (struct base_adding){ .node = n,
				   .asker = s,
				   .routed = from,
				   .seq = e->seq,
				   .dry_run = e->image_add->dry_run };
	if (from)
		a->peer = *from;
	snprintf(a->name, sizeof(a->name), "%s", e->image_add->name);
	LIST_INSERT_HEAD(&n->base_addings, a, link);
	return a;
}

/* ---- From a VM ------------------------------------------------------------------ */

static void on_made(int r, const struct mg_error *err, void *userdata)
{
	end(userdata, r < 0 ? err : NULL);
}

/* The VM runs on: every page is as it was at some moment, and that is all that is needed. */
static int make(struct base_adding *a, const char *name, struct mg_error *err)
{
	struct node *n = a->node;
	struct vm *vm = vm_find(n, name);
	int fd;

	if (!vm || !vm->guest || vm->place != VM_OURS)
		return mg_error_set(err, -ENOENT, "no VM named '%.64s' runs on %s", name,
				    n->config->name);
	if (guest_is_foreign(vm->guest))
		return mg_error_set(err, -ENOTSUP, "the memory of %.64s cannot be read: its QEMU was "
				    "started by somebody else", name);
	fd = guest_ram_open(vm->guest);
	if (fd < 0)
		return mg_error_set(err, fd, "cannot open the memory of %.64s: %s", name,
				    strerror(-fd));
	if (a->dry_run) {
		close(fd);
		end(a, NULL);
		return 0;
	}
	return image_store_add_base(n->images, a->name, fd, guest_ram_bytes(vm->guest), on_made, a,
				    err);
}

/* ---- From another node --------------------------------------------------------------- */

static void ask(struct base_adding *a)
{
	Tagalong__PeerBaseQuery query = TAGALONG__PEER_BASE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	query.name = a->name;
	query.offset = a->at;
	e.body_case = TAGALONG__ENVELOPE__BODY_PEER_BASE_QUERY;
	e.peer_base_query = &query;
	(void)bus_send(a->socket, NULL, &e);
}

static int on_ask_timer(sd_event_source *source, uint64_t now, void *userdata)
{
	struct base_adding *a = userdata;
	struct mg_error err = { 0 };

	(void)now;
	if (clock_mono_ns() - a->heard_ns > PATIENCE_NS) {
		mg_error_set(&err, -ETIMEDOUT, "the node that has it does not answer");
		end(a, &err);
		return 0;
	}
	if (clock_mono_ns() - a->heard_ns > ASK_AGAIN_NS)
		ask(a);
	sd_event_source_set_time_relative(source, ASK_AGAIN_NS / NS_PER_US);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

/* No larger than the memory of a VM that could be here. */
static int begin_part(struct base_adding *a, const struct uuid *id, uint64_t total,
		      struct mg_error *err)
{
	uint64_t pages = a->node->config->memory_bytes / PAGE_SIZE_BYTES;

	if (total > image_file_bytes(pages, pages))
		return mg_error_set(err, -EFBIG, "it is larger than all memory of %s",
				    a->node->config->name);
	a->id = *id;
	a->total = total;
	return image_part_new(a->node->images, id, total, &a->part, err);
}

/* 1: it is whole. */
static int take(struct base_adding *a, const Tagalong__PeerBaseData *data, struct mg_error *err)
{
	struct uuid id;
	int r = 0;

	memcpy(id.bytes, data->image.data, UUID_SIZE);
	if (!a->part)
		r = begin_part(a, &id, data->total, err);
	if (r < 0)
		return r;
	if (!uuid_equal(&id, &a->id) || data->total != a->total)
		return mg_error_set(err, -ESTALE, "it was replaced while it was fetched");
	if (data->offset != a->at || data->piece.len == 0 || data->piece.len > a->total - a->at)
		return 0; /* one that was asked for twice */
	r = image_part_write(a->part, data->piece.data, data->piece.len, err);
	if (r < 0)
		return r;
	a->at += data->piece.len;
	a->heard_ns = clock_mono_ns();
	if (a->at < a->total) {
		ask(a);
		return 0;
	}
	r = image_part_finish(TAKE_PTR(a->part), a->name, err);
	return r < 0 ? r : 1;
}

static void on_base_answer(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
			   void *userdata)
{
	struct base_adding *a = userdata;
	struct mg_error err = { 0 };
	int r = 0;

	(void)s;
	(void)from;
	if (e->body_case == TAGALONG__ENVELOPE__BODY_FAILURE)
		r = mg_error_set(&err, -e->failure->code, "%s", e->failure->text);
	else if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_BASE_DATA)
		r = a->dry_run ? 1 : take(a, e->peer_base_data, &err);
	if (r)
		end(a, r < 0 ? &err : NULL);
}

static int fetch(struct base_adding *a, const Tagalong__NodeContact *from, struct mg_error *err)
{
	struct node *n = a->node;
	int r = bus_connect(n->bus, BUS_DEALER, from->endpoint, from->public_key, on_base_answer, a,
			    &a->socket, err);

	if (r < 0)
		return r;
	a->heard_ns = clock_mono_ns();
	r = sd_event_add_time_relative(n->loop, &a->timer, CLOCK_MONOTONIC, 0, 1, on_ask_timer, a);
	if (r < 0)
		return mg_error_set(err, r, "event loop: %s", strerror(-r));
	ask(a);
	return 0;
}

void base_image_add_for(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			const Envelope *e)
{
	const Tagalong__ImageAdd *add = e->image_add;
	struct base_adding *a = NULL;
	struct mg_error err = { 0 };
	int r = 0;

	if (!vm_name_is_valid(add->name))
		r = mg_error_set(&err, -EINVAL, "'%.64s' is no name: a-z, 0-9 and '-'", add->name);
	else if (!add->vm == !add->source)
		r = mg_error_set(&err, -EINVAL, "either a VM or a node to take it from");
	if (r == 0)
		a = adding_new(n, s, from, e);
	if (r == 0 && !a)
		r = mg_error_set(&err, -ENOMEM, "out of memory");
	if (r == 0)
		r = add->vm ? make(a, add->vm, &err) : fetch(a, add->source, &err);
	if (r == 0)
		return;
	bus_reply_failure(s, from, e, &err);
	if (a)
		adding_free(a);
}

void base_image_answer(struct node *n, struct bus_socket *s, const struct bus_peer *from,
		       const Envelope *e)
{
	const Tagalong__PeerBaseQuery *query = e->peer_base_query;
	Tagalong__PeerBaseData data = TAGALONG__PEER_BASE_DATA__INIT;
	Envelope answer = TAGALONG__ENVELOPE__INIT;
	_cleanup_free_ uint8_t *piece = malloc(PIECE);
	struct mg_error err = { 0 };
	struct uuid id;
	ssize_t len = piece ? image_store_read_base(n->images, query->name, query->offset, piece,
						    PIECE, &id, &data.total)
			    : -ENOMEM;

	if (len < 0) {
		mg_error_set(&err, (int)len, "%s has no base image '%.64s'", n->config->name,
			     query->name);
		bus_reply_failure(s, from, e, &err);
		return;
	}
	data.image = (ProtobufCBinaryData){ UUID_SIZE, id.bytes };
	data.offset = query->offset;
	data.piece = (ProtobufCBinaryData){ (size_t)len, piece };
	answer.body_case = TAGALONG__ENVELOPE__BODY_PEER_BASE_DATA;
	answer.peer_base_data = &data;
	bus_reply(s, from, e, &answer);
}

void base_image_stop(struct node *n)
{
	while (!LIST_EMPTY(&n->base_addings))
		adding_free(LIST_FIRST(&n->base_addings));
}
