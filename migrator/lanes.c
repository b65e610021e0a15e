/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/lanes.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/cursor.h"

#define BATCH_MIN ((size_t)48 << 10)
#define BATCH_PER_WIRE 3 /* bytes before the codec for one on the link */

#define FOR_EACH_LANE(l, lane) \
	for (__typeof__(&(l)->lane[0]) lane = (l)->lane; lane < (l)->lane + (l)->count; lane++)

static struct page_batch *filling(const struct lane *lane)
{
	return lane->batches[lane->filling];
}

static struct lane *lane_of(struct lanes *l, uint64_t page)
{
	return &l->lane[page_lane(page, l->count)];
}

/* ---- From batches to frames ------------------------------------------------------- */

/* By the worker, or at once. */
static void pack(void *userdata)
{
	struct lane *lane = userdata;
	uint64_t since = clock_mono_ns();

	lane->len = page_batch_encode(lane->packed, lane->effort, lane->payload, &lane->stats);
	lane->took_ns = clock_mono_ns() - since;
}

static void packed(void *userdata)
{
	struct lane *lane = userdata;

	lane->all->wake(lane->all->userdata);
}

/* The workers are at it at the same time: what each takes is a part of what all do. */
static void note_effort(struct lane *lane)
{
	struct lanes *l = lane->all;
	uint64_t rate = pace_rate(&l->pace);

	effort_note(&l->effort, lane->took_ns / l->count, rate ? lane->len * NS_PER_S / rate : 0);
}

/* Takes over what the worker has packed. False: it has not yet. */
static bool collect(struct lane *lane)
{
	if (!lane->packing)
		return true;
	if (worker_busy(&lane->worker))
		return false;
	lane->packing = false;
	note_effort(lane);
	sender_commit_pages(&lane->sender, lane->len, page_batch_made(lane->packed));
	page_batch_reset(lane->packed);
	page_counts_add(lane->all->page_counts, &lane->stats);
	return true;
}

static int next_effort(struct lane *lane)
{
	struct lanes *l = lane->all;

	return l->thrifty ? PAGE_EFFORT_THRIFTY
			  : effort_next(&l->effort, sender_starved(&lane->sender));
}

static bool send_pages(struct lane *lane)
{
	if (!collect(lane))
		return false;
	lane->payload = sender_payload(&lane->sender);
	if (!lane->payload)
		return false;
	lane->packed = filling(lane);
	lane->effort = next_effort(lane);
	lane->packing = true;
	page_batch_end(lane->packed);
	if (lane->batches[1])
		lane->filling = !lane->filling;
	worker_do(&lane->worker);
	(void)collect(lane);
	filling(lane)->hurry = lane->effort >= PAGE_EFFORT_FASTEST;
	return true;
}

static bool is_due(const struct lane *lane)
{
	const struct page_batch *b = filling(lane);

	return page_batch_full(b) ||
	       (b->body_len >= BATCH_MIN &&
		b->body_len >= sender_frame_target(&lane->sender) * BATCH_PER_WIRE);
}

void lanes_set_queue(struct lanes *l, unsigned frames)
{
	FOR_EACH_LANE(l, lane)
		lane->sender.queue = frames;
}

bool lanes_make_room(struct lanes *l)
{
	bool room = true;

	FOR_EACH_LANE(l, lane)
		if (is_due(lane) && !send_pages(lane))
			room = false;
	return room;
}

bool lanes_flush(struct lanes *l)
{
	bool all = true;

	FOR_EACH_LANE(l, lane) {
		if (!page_batch_empty(filling(lane)))
			(void)send_pages(lane);
		all &= collect(lane) && page_batch_empty(filling(lane));
	}
	return all;
}

/* ---- Pages ---------------------------------------------------------------------------- */

/* Whether the target holds what was queued for the page, or will by the time that it comes to
 * what goes on this lane. */
static bool is_there(void *userdata, uint64_t page)
{
	const struct lane *lane = userdata, *its = lane_of(lane->all, page);

	return its == lane ||
	       (int32_t)((uint32_t)its->sender.acknowledged - lane->all->frame_of[page]) >= 0;
}

static void note_frame(struct lane *lane, uint64_t page)
{
	if (lane->all->frame_of)
		lane->all->frame_of[page] =
			(uint32_t)lane->sender.committed + lane->packing + 1;
}

void lanes_add(struct lanes *l, uint64_t page, const uint8_t *data)
{
	struct lane *lane = lane_of(l, page);

	page_batch_add(filling(lane), page, data);
	note_frame(lane, page);
}

void lanes_add_whole(struct lanes *l, uint64_t page, const uint8_t *data)
{
	struct lane *lane = lane_of(l, page);

	page_batch_add_whole(filling(lane), page, data);
	note_frame(lane, page);
}

bool lanes_add_ahead(struct lanes *l, uint64_t page, const uint8_t *data)
{
	struct lane *lane = lane_of(l, page);

	if (!page_batch_add_ahead(filling(lane), page, data))
		return false;
	note_frame(lane, page);
	return true;
}

/* ---- Stream --------------------------------------------------------------------------- */

/* Nothing that follows on the first lane is taken before what the others have sent so far.
 * False: there is no room to say so. */
static bool send_barrier(struct lanes *l)
{
	struct lane *first = &l->lane[0];
	uint64_t sent[LINK_LANES_MAX] = { 0 };
	struct wcursor c;
	uint8_t *payload;

	for (unsigned i = 1; i < l->count; i++)
		sent[i] = l->lane[i].sender.committed;
	if (memcmp(sent, l->barrier, sizeof(sent)) == 0)
		return true;
	payload = sender_payload(&first->sender);
	if (!payload)
		return false;
	c = wcursor_over(payload, l->count * sizeof(uint64_t));
	for (unsigned i = 0; i < l->count; i++)
		wcursor_u64(&c, sent[i]);
	sender_commit(&first->sender, FRAME_BARRIER, 0, wcursor_used(&c));
	memcpy(l->barrier, sent, sizeof(sent));
	return true;
}

size_t lanes_send_stream(struct lanes *l, const uint8_t *data, size_t len, uint16_t flags,
			 struct tail *last_tail)
{
	struct sender *s = &l->lane[0].sender;
	struct tail *last = flags & FRAME_FLAG_TAIL ? last_tail : NULL;
	uint8_t *payload;
	uint16_t packed;
	size_t n;

	payload = send_barrier(l) ? sender_payload(s) : NULL;
	if (!payload)
		return 0;
	n = stream_frame_encode(data, len, last, payload, &packed);
	sender_commit(s, FRAME_STREAM, flags | packed, n);
	return FRAME_HEADER_SIZE + n + FRAME_TRAILER_SIZE;
}

/* ---- The connections --------------------------------------------------------------------- */

void lanes_start(struct lanes *l)
{
	FOR_EACH_LANE(l, lane)
		sender_start(&lane->sender);
}

uint64_t lanes_pump(struct lanes *l)
{
	uint64_t wait = UINT64_MAX;

	FOR_EACH_LANE(l, lane) {
		uint64_t its;

		(void)collect(lane);
		its = sender_pump(&lane->sender);
		wait = its < wait ? its : wait;
	}
	return wait;
}

bool lanes_packing(const struct lanes *l)
{
	FOR_EACH_LANE(l, lane)
		if (lane->packing)
			return true;
	return false;
}

bool lanes_idle(const struct lanes *l)
{
	FOR_EACH_LANE(l, lane)
		if (lane->packing || !sender_idle(&lane->sender))
			return false;
	return true;
}

bool lanes_down(const struct lanes *l)
{
	FOR_EACH_LANE(l, lane)
		if (lane->sender.lost.code || lane->down)
			return true;
	return false;
}

/* Takes up the connection that the owner has made, if it has. */
static int take_next(struct lane *lane, struct mg_error *err)
{
	int fd = atomic_exchange(&lane->next_fd, -1), r;

	if (fd < 0)
		return 0;
	r = sender_resume(&lane->sender, fd, lane->next_incarnation, err);
	if (r < 0)
		close(fd);
	return r;
}

/* Returns whether the owner has to be told that this one is lost. */
static bool is_news(struct lane *lane)
{
	unsigned bit = 1u << lane->number;

	if (!sender_is_down(&lane->sender) || atomic_load(&lane->all->lost) & bit ||
	    atomic_load(&lane->next_fd) >= 0)
		return false;
	lane->down = true;
	lane->loss = lane->sender.lost;
	atomic_fetch_or(&lane->all->lost, bit);
	return true;
}

static int check_lane(struct lane *lane, bool final, unsigned *news, struct mg_error *err)
{
	const struct sender *s = &lane->sender;
	int r = s->error.code;

	if (r < 0 || (final && s->lost.code)) {
		*err = r < 0 ? s->error : s->lost;
		return err->code;
	}
	if (sender_is_down(s))
		r = take_next(lane, err);
	if (is_news(lane))
		*news |= LANES_LOST;
	if (lane->down && !s->lost.code && s->greeted) {
		lane->down = false;
		*news |= LANES_RESUMED;
	}
	return r;
}

int lanes_check(struct lanes *l, bool final, unsigned *ret_news, struct mg_error *err)
{
	unsigned news = 0;
	int r;

	FOR_EACH_LANE(l, lane) {
		r = check_lane(lane, final, &news, err);
		if (r < 0)
			return r;
	}
	if (lanes_down(l))
		news &= ~(unsigned)LANES_RESUMED;
	*ret_news = news;
	return 0;
}

/* ---- Figures --------------------------------------------------------------------------------- */

uint64_t lanes_wire_bytes(const struct lanes *l)
{
	uint64_t n = 0;

	FOR_EACH_LANE(l, lane)
		n += lane->sender.wire_bytes;
	return n;
}

uint64_t lanes_resent_bytes(const struct lanes *l)
{
	uint64_t n = 0;

	FOR_EACH_LANE(l, lane)
		n += lane->sender.resent_bytes;
	return n;
}

uint64_t lanes_queued(const struct lanes *l)
{
	uint64_t n = 0;

	FOR_EACH_LANE(l, lane) {
		n += sender_queued(&lane->sender) + filling(lane)->body_len;
		if (lane->packing)
			n += lane->packed->body_len;
	}
	return n;
}

/* ---- For the owner ------------------------------------------------------------------------- */

unsigned lanes_lost(struct lanes *l)
{
	return atomic_load(&l->lost);
}

void lanes_resume(struct lanes *l, unsigned lane, int fd, uint32_t incarnation)
{
	l->lane[lane].next_incarnation = incarnation;
	atomic_store(&l->lane[lane].next_fd, fd);
	atomic_fetch_and(&l->lost, ~(1u << lane));
	l->wake(l->userdata);
}

static int make_batches(struct lane *lane)
{
	unsigned count = lane->all->count > 1 ? 2 : 1;

	for (unsigned i = 0; i < count; i++) {
		struct page_batch *b = calloc(1, sizeof(*b));

		lane->batches[i] = b;
		if (!b || page_batch_init(b, lane->all->ref) < 0)
			return -ENOMEM;
		if (count > 1) {
			b->is_there = is_there;
			b->userdata = lane;
		}
	}
	return 0;
}

static int lane_init(struct lane *lane, const struct lanes_config *config, struct mg_error *err)
{
	struct link_config link = *config->link;
	int r = make_batches(lane);

	if (r < 0)
		return mg_error_set(err, r, "out of memory");
	lane->worker.job = pack;
	lane->worker.done = packed;
	lane->worker.userdata = lane;
	link.fd = config->fds[lane->number];
	link.stream = (uint16_t)(link.stream + lane->number);
	r = sender_init(&lane->sender, config->ring, &link, config->ram_bytes, &lane->all->pace,
			err);
	explicit_bzero(&link, sizeof(link));
	if (r < 0)
		return r;
	lane->open = true;
	lane->sender.share = config->share;
	lane->sender.heard = config->heard;
	lane->sender.userdata = config->userdata;
	return lane->all->count > 1 ? worker_start(&lane->worker, err) : 0;
}

static int make_tables(struct lanes *l, const struct lanes_config *config)
{
	uint64_t pages = config->ram_bytes / PAGE_SIZE_BYTES;

	if (l->count > 1) {
		l->frame_of = calloc(pages, sizeof(*l->frame_of));
		if (!l->frame_of)
			return -ENOMEM;
	}
	return reference_new(pages, config->link->page_secret, config->shadow_bytes, &l->ref);
}

int lanes_init(struct lanes *l, const struct lanes_config *config, struct mg_error *err)
{
	int r;

	memset(l, 0, sizeof(*l));
	l->count = config->count;
	l->thrifty = config->thrifty;
	l->page_counts = config->page_counts;
	l->wake = config->wake;
	l->userdata = config->userdata;
	effort_init(&l->effort);
	pace_init(&l->pace, config->bandwidth_bps, clock_mono_ns());
	for (unsigned i = 0; i < LINK_LANES_MAX; i++) {
		l->lane[i].all = l;
		l->lane[i].number = i;
		atomic_store(&l->lane[i].next_fd, -1);
	}
	if (make_tables(l, config) < 0)
		return mg_error_set(err, -ENOMEM, "out of memory");
	FOR_EACH_LANE(l, lane) {
		r = lane_init(lane, config, err);
		if (r < 0) {
			lanes_give_back(l);
			return r;
		}
	}
	return 0;
}

void lanes_stop(struct lanes *l)
{
	FOR_EACH_LANE(l, lane)
		worker_stop(&lane->worker);
}

void lanes_give_back(struct lanes *l)
{
	FOR_EACH_LANE(l, lane)
		lane->sender.config.fd = -1;
}

static void free_batch(struct page_batch *b)
{
	if (b)
		page_batch_exit(b);
	free(b);
}

void lanes_exit(struct lanes *l)
{
	lanes_stop(l);
	FOR_EACH_LANE(l, lane) {
		int fd = atomic_load(&lane->next_fd);

		if (lane->open)
			sender_exit(&lane->sender);
		if (fd >= 0)
			close(fd);
		free_batch(lane->batches[0]);
		free_batch(lane->batches[1]);
	}
	reference_free(l->ref);
	free(l->frame_of);
}
