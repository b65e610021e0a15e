/* SPDX-License-Identifier: Apache-2.0
 *
 * Another attempt, after a stop that had to be undone. To the two nodes it is another
 * move: it begins once the target has said that it will never run the one before,
 * and has a name, keys and a journaled stage of its own, so that the rules of
 * commit.h hold for each. To whoever ordered it, it is the same move. The target
 * keeps what came as an image, so what is sent is hashes and what has changed since.
 */
#include <sodium.h>
#include <string.h>

#include "common/log.h"
#include "migrator/node_config.h"
#include "migrator/outgoing_internal.h"

#define BACKOFF_NS NS_PER_S /* doubles with each attempt */
#define BACKOFF_SHIFT_MAX 5

#define STATE(name) TAGALONG__MOVE_STATE__MOVE_##name

static bool time_is_over(const struct outgoing *o)
{
	return clock_mono_ns() - o->m.begun_mono_ns > o->timeout_ns;
}

void retry_want(struct outgoing *o)
{
	if (o->live || o->warm || o->m.row.stage > JOURNAL_PREPARED ||
	    o->retry.made >= o->retry.most)
		return;
	o->retry.wanted = true;
	o->retry.since_ns = clock_mono_ns();
}

void retry_forget(struct outgoing *o)
{
	o->retry.wanted = false;
	sd_event_source_disable_unref(o->retry.timer);
	o->retry.timer = NULL;
}

/* What one attempt leaves in memory; the rest was ended when it was aborted. */
static void reset(struct outgoing *o)
{
	check_end(o);
	image_fetch_free(o);
	bus_socket_free(o->peer); /* late words about the last attempt go nowhere */
	o->peer = NULL;
	o->word = WORD_NONE;
	o->word_went = o->prepare_went = o->peer_is_busy = o->unheard = o->commanding = false;
	o->ran_on = false;
	o->tell_until_ns = o->stop_utc_ns = o->lost_since_ns = 0;
	o->step = COPY_NONE;
	o->handshakes = 0;
	o->bases_missing = 0;
	connection_init(o);
	o->peer_stage = COMMIT_PEER_SILENT;
	randombytes_buf(o->session_key, sizeof(o->session_key));
	if (o->m.row.info->figures)
		tagalong__move_figures__free_unpacked(TAKE_PTR(o->m.row.info->figures), NULL);
}

static int give_name(struct outgoing *o)
{
	MoveInfo *info = o->m.row.info;
	uint8_t *bytes = malloc(UUID_SIZE);

	if (!bytes)
		return -ENOMEM;
	o->peer_id = uuid_random();
	memcpy(bytes, o->peer_id.bytes, UUID_SIZE);
	free(info->attempt_id.data);
	info->attempt_id = (ProtobufCBinaryData){ UUID_SIZE, bytes };
	info->has_attempt_id = true;
	return 0;
}

static void begin(struct outgoing *o)
{
	struct journal_move *row = &o->m.row;
	Tagalong__MoveFigures *f;

	reset(o);
	o->retry.made++;
	f = move_figures(&o->m);
	f->has_attempt = true;
	f->attempt = o->retry.made;
	if (give_name(o) < 0 || move_to_stage(&o->m, JOURNAL_BEGUN) < 0)
		return; /* it stays aborted */
	o->live = true;
	o->qemu = COMMIT_QEMU_RUNNING;
	log_info("outgoing", "move=%s vm=%s attempt=%u of=%u", o->m.id_text, row->info->vm,
		 o->retry.made, o->retry.most);
	move_explain(&o->m, NULL);
	move_show(&o->m, STATE(CHECKING));
	image_find_base(o);
	check_begin(o);
}

static int on_retry(sd_event_source *source, uint64_t now, void *userdata)
{
	struct outgoing *o = userdata;
	bool possible = o->vm && o->vm->guest && o->qemu == COMMIT_QEMU_RUNNING && !time_is_over(o);

	(void)source;
	(void)now;
	retry_forget(o);
	if (possible)
		begin(o);
	outgoing_reconcile(o);
	return 0;
}

void retry_later(struct outgoing *o)
{
	uint32_t shift = o->retry.made - 1;

	if (o->retry.timer)
		return;
	outgoing_set_timer(o, &o->retry.timer,
			   BACKOFF_NS << (shift < BACKOFF_SHIFT_MAX ? shift : BACKOFF_SHIFT_MAX),
			   on_retry, o);
}

void retry_tick(struct outgoing *o)
{
	if (!o->retry.wanted)
		return;
	if (time_is_over(o) || (!o->retry.timer &&
				clock_mono_ns() - o->retry.since_ns > o->patience_ns))
		retry_forget(o);
}
