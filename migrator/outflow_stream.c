/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/cursor.h"
#include "migrator/outflow_internal.h"
#include "migrator/return_path.h"

#define QEMU_SNDBUF (16 << 10) /* on QEMU's end; the kernel doubles it */
/* The same during the first pass, which is most of a move: with the small one both sides wake
 * each other for every few pages, which took a fifth of all processor time. */
#define QEMU_SNDBUF_FIRST (256 << 10)
#define FIRST_LAST_PART 16 /* of the guest's memory, for which it is small again */

int outflow_socketpair(int *ret_ours, int *ret_qemu)
{
	int fds[2], size = QEMU_SNDBUF;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	if (setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0) {
		int r = -errno;

		close(fds[0]);
		close(fds[1]);
		return r;
	}
	*ret_ours = fds[0];
	*ret_qemu = fds[1];
	return 0;
}

/* ---- From batches to frames --------------------------------------------------------- */

static bool send_stream(struct outflow *o)
{
	size_t len = lanes_send_stream(&o->lanes, o->writer.data, o->writer.len, o->tail_flags,
				       o->last_tail);

	if (!len)
		return false;
	if (o->tail_flags & FRAME_FLAG_TAIL)
		ADD(o, tail_bytes, len);
	ADD(o, stream_bytes, o->writer.len);
	o->writer.len = 0;
	return true;
}

/* The stream's bytes never overtake the pages before them: what makes the
 * destination load its devices comes after all memory. */
bool outflow_send_all(struct outflow *o)
{
	if (!lanes_flush(&o->lanes))
		return false;
	if (o->writer.len && !send_stream(o))
		return false;
	o->oldest_ns = 0;
	return true;
}

static bool stream_is_due(const struct outflow *o)
{
	return o->writer.size - o->writer.len < STREAMWRITER_PAGE_MAX;
}

int outflow_make_room(struct outflow *o)
{
	if (stream_is_due(o) && !outflow_send_all(o))
		return 1;
	return !lanes_make_room(&o->lanes);
}

bool outflow_clear_way(struct outflow *o)
{
	if ((o->tail_is_next || o->advise_is_next) && !outflow_send_all(o))
		return false;
	if (o->tail_is_next)
		o->tail_flags = o->post_copy ? FRAME_FLAG_POST_COPY : FRAME_FLAG_TAIL;
	o->tail_is_next = o->advise_is_next = false;
	return true;
}

/* ---- From QEMU's stream to batches ---------------------------------------------------- */

void outflow_note_waiting(struct outflow *o)
{
	if (!o->oldest_ns)
		o->oldest_ns = clock_mono_ns();
}

static int on_bytes(void *userdata, const uint8_t *data, size_t len)
{
	struct outflow *o = userdata;

	/* fits: there is room for a page, and pieces are no longer than that */
	streamwriter_bytes(&o->writer, data, len);
	outflow_note_waiting(o);
	return outflow_make_room(o);
}

static int on_block(void *userdata, unsigned index, const struct ramstream_block *block)
{
	struct outflow *o = userdata;

	if (strcmp(block->name, o->ram_id) != 0)
		return 0;
	if (block->length != o->ram_bytes)
		return mg_error_set(&o->flow.error, -EINVAL, "QEMU's block '%s' has %" PRIu64
				    " bytes, expected %" PRIu64, o->ram_id, block->length,
				    o->ram_bytes);
	o->ram_block = index;
	return 0;
}

void outflow_lengthen_queue(struct outflow *o)
{
	static const int size = QEMU_SNDBUF_FIRST;

	lanes_set_queue(&o->lanes, SENDER_QUEUE_LONG);
	if (o->qemu_end >= 0)
		(void)setsockopt(o->qemu_end, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* From here on QEMU may stop the guest. Its end is its own again, too, so that we
 * see it closed. */
static void shorten_queue(struct outflow *o)
{
	static const int size = QEMU_SNDBUF;

	lanes_set_queue(&o->lanes, SENDER_QUEUE_SHORT);
	if (o->qemu_end < 0)
		return;
	(void)setsockopt(o->qemu_end, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	close(TAKE_FD(o->qemu_end));
}

int outflow_open_ram(struct outflow *o)
{
	return o->ram ? 0 : ram_image_open(o->ram_fd, o->ram_bytes, &o->ram, &o->flow.error);
}

/* The target may ask for it, and it is what the next move's pages are told apart from. */
static int mirror_page(struct outflow *o, uint64_t page, const uint8_t *data)
{
	int r = outflow_open_ram(o);

	if (r < 0)
		return r;
	r = data ? ram_image_put(o->ram, page, 1, data) : ram_image_zero(o->ram, page, 1);
	return r < 0 ? mg_error_set(&o->flow.error, r, "the copy of the guest's RAM: %s",
				    strerror(-r))
		     : 0;
}

static int on_page(void *userdata, unsigned index, uint64_t offset, const uint8_t *data)
{
	struct outflow *o = userdata;

	outflow_note_waiting(o);
	if (index != o->ram_block) {
		streamwriter_page(&o->writer, ramstream_block_at(o->stream, index), offset, data);
		return outflow_make_room(o);
	}
	if (offset < o->last_offset)
		ADD(o, passes, 1);
	if (offset < o->last_offset || offset >= o->ram_bytes - o->ram_bytes / FIRST_LAST_PART)
		shorten_queue(o);
	o->last_offset = offset;
	if (data)
		outflow_note_passed(o, offset / RAMSTREAM_PAGE);
	if (o->mirror && mirror_page(o, offset / RAMSTREAM_PAGE, data) < 0)
		return o->flow.error.code;
	lanes_add(&o->lanes, offset / RAMSTREAM_PAGE, data);
	ADD(o, guest_bytes, RAMSTREAM_PAGE);
	o->holding |= offset / RAMSTREAM_PAGE >= o->hold_at;
	return o->holding || outflow_make_room(o);
}

static void note_stop(struct outflow *o, enum outflow_event event)
{
	if (o->share)
		share_set_urgent(o->share);
	shorten_queue(o);
	SET(o, stopped_bytes, lanes_wire_bytes(&o->lanes) - pace_unacked(&o->lanes.pace));
	SET(o, stopped_mono_ns, clock_mono_ns());
	flow_post(&o->flow, event);
}

static int on_section(void *userdata, enum ramstream_element kind)
{
	struct outflow *o = userdata;

	if (kind != RAMSTREAM_START && o->ram_block == OUTFLOW_NO_BLOCK)
		return mg_error_set(&o->flow.error, -EINVAL, "QEMU's stream has no block '%s'",
				    o->ram_id);
	if (kind == RAMSTREAM_END) {
		o->stopped = true;
		note_stop(o, OUTFLOW_STOPPED);
	}
	return 0;
}

/* What follows in the stream; else it could not be told when QEMU has emptied its memory. */
static void ping_advised(struct outflow *o)
{
	uint8_t ping[9];
	struct wcursor c = wcursor_over(ping, sizeof(ping));

	wcursor_u8(&c, RAMSTREAM_COMMAND);
	wcursor_u16(&c, RAMSTREAM_PING);
	wcursor_u16(&c, sizeof(uint32_t));
	wcursor_u32(&c, RETURN_PATH_ADVISED);
	streamwriter_bytes(&o->writer, ping, sizeof(ping));
}

static int on_command(void *userdata, enum ramstream_command command, uint32_t value)
{
	struct outflow *o = userdata;
	int r;

	if (command == RAMSTREAM_POSTCOPY_ADVISE && !o->may_post_copy)
		return mg_error_set(&o->flow.error, -EOPNOTSUPP, "QEMU's stream prepares for "
				    "post-copy, which does not go through here");
	if (command == RAMSTREAM_POSTCOPY_ADVISE) {
		ping_advised(o);
		o->advise_is_next = true;
		return !outflow_clear_way(o);
	}
	if (command == RAMSTREAM_PACKAGED) {
		o->post_copy = true;
		note_stop(o, OUTFLOW_POST_COPY);
	}
	if (command != RAMSTREAM_PING)
		return 0;
	r = return_path_send(o->qemu_fd, RETURN_PATH_PONG, value);
	if (r < 0 && r != -EPIPE) /* then the end of its stream says more */
		return mg_error_set(&o->flow.error, r, "QEMU's return path: %s", strerror(-r));
	return 0;
}

static int on_tail(void *userdata)
{
	struct outflow *o = userdata;

	o->tail_is_next = true;
	return !outflow_clear_way(o);
}

const struct ramstream_ops outflow_stream_ops = {
	.bytes = on_bytes,
	.block = on_block,
	.page = on_page,
	.section = on_section,
	.command = on_command,
	.tail = on_tail,
};
