/* SPDX-License-Identifier: Apache-2.0
 *
 * Random histories of a guest's pages between the two ends of the codec, with
 * everything that can be lost or wrong on the way: the image that the target says it
 * has, a base image, what it holds by now, answers that come late, and connections side by side
 * of which each is as fast as it likes. Whatever
 * happens, in the end the target has the source's memory, and has noted just that.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "migrator/page_batch.h"
#include "migrator/page_placer.h"

#define PAGES (3 * PAGE_LANE_RUN)
#define LANES_MAX 3
#define STEPS 5000
#define NOTED 4   /* of the histories, whose pages are noted */
#define FLIGHTS 8 /* frames on their way */

struct payload {
	size_t len;
	uint8_t *bytes;
};

struct queue {
	struct payload flights[FLIGHTS];
	unsigned first, count;
};

struct world {
	uint64_t rng;
	uint8_t memory[PAGES][PAGE_SIZE_BYTES]; /* the source's */
	uint8_t base[PAGES][PAGE_SIZE_BYTES];
	bool dirty[PAGES];
	struct reference *ref;
	unsigned lanes; /* by the seed; all that is an array is of one */
	struct page_batch batch[LANES_MAX];
	struct page_set asked;
	struct page_placer *placer[LANES_MAX];
	struct arrival *arrival;
	struct ram_image *image;
	int fd;
	struct queue there[LANES_MAX], back[LANES_MAX];
	uint64_t answered;
	uint64_t kinds[PAGE_KINDS];
};

static const uint8_t secret[PAGE_SECRET_SIZE] = "secret";
static const struct uuid noted_image = { { 1 } };
static char notes[] = "/tmp/test-page-history-XXXXXX";
static struct world w;

static uint64_t draw(uint64_t below)
{
	uint64_t z = w.rng += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

static void change(uint8_t *page)
{
	size_t n = 1 + draw(40), at = draw(PAGE_SIZE_BYTES - n);

	switch (draw(6)) {
	case 0:
		memset(page, 0, PAGE_SIZE_BYTES);
		break;
	case 1:
		memcpy(page, w.memory[draw(PAGES)], PAGE_SIZE_BYTES);
		break;
	case 2:
		memcpy(page, w.base[draw(PAGES)], PAGE_SIZE_BYTES);
		break;
	case 3:
		for (size_t i = 0; i < PAGE_SIZE_BYTES; i++)
			page[i] = (uint8_t)draw(256);
		break;
	default:
		memset(page + at, (int)draw(256), n);
	}
}

/* ---- A base image whose pages may be lost or wrong at the target ---------------------- */

static bool base_lookup(void *userdata, const struct page_hash *hash, uint64_t *ret_slot)
{
	(void)userdata;
	for (uint64_t i = 0; i < PAGES; i++) {
		struct page_hash h = page_hash(reference_hasher(w.ref), w.base[i]);

		if (page_hash_equal(&h, hash)) {
			*ret_slot = i;
			return true;
		}
	}
	return false;
}

static int base_read(void *userdata, uint64_t slot, uint8_t *page)
{
	(void)userdata;
	if (slot >= PAGES || slot % 5 == 0)
		return -ENOENT;
	memcpy(page, w.base[slot], PAGE_SIZE_BYTES);
	page[17] ^= slot % 7 == 0;
	return 0;
}

static const struct page_source_ops base_ops = { .lookup = base_lookup, .read = base_read };

/* ---- The way between the ends ------------------------------------------------------------ */

static void queue_put(struct queue *q, const uint8_t *bytes, size_t len)
{
	struct payload *p = &q->flights[(q->first + q->count++) % FLIGHTS];

	p->len = len;
	p->bytes = malloc(len);
	memcpy(p->bytes, bytes, len);
}

static struct payload queue_take(struct queue *q)
{
	struct payload p = q->flights[q->first];

	q->first = (q->first + 1) % FLIGHTS;
	q->count--;
	return p;
}

static void deliver(unsigned lane)
{
	struct mg_error err = { 0 };
	struct page_stats stats;
	struct payload p;

	if (w.there[lane].count == 0)
		return;
	p = queue_take(&w.there[lane]);
	cr_assert_eq(page_placer_place(w.placer[lane], p.bytes, p.len, &stats, &err), 0, "%s",
		     err.text);
	free(p.bytes);
}

static void ask(unsigned lane)
{
	struct page_set *pages = page_placer_unasked(w.placer[lane]);
	uint8_t payload[PAGE_ASK_SIZE];

	if (pages->count && w.back[lane].count < FLIGHTS)
		queue_put(&w.back[lane], payload, page_ask_encode(pages, payload));
}

static void flush(unsigned lane)
{
	static uint8_t payload[PAGE_PAYLOAD_MAX];
	struct page_batch *b = &w.batch[lane];
	struct page_stats stats;

	if (page_batch_empty(b))
		return;
	if (w.there[lane].count == FLIGHTS)
		deliver(lane);
	queue_put(&w.there[lane], payload,
		  page_batch_encode(b, (int)draw(PAGE_EFFORT_NONE + 1), payload, &stats));
	for (unsigned k = 0; k < PAGE_KINDS; k++)
		w.kinds[k] += stats.pages[k];
	page_batch_reset(b);
}

/* One that the page fits into. */
static struct page_batch *batch_of(uint64_t page)
{
	unsigned lane = page_lane(page, w.lanes);

	if (page_batch_full(&w.batch[lane]))
		flush(lane);
	return &w.batch[lane];
}

static void send_page(uint64_t page)
{
	page_batch_add(batch_of(page), page, w.memory[page]);
	w.dirty[page] = false;
}

static void answer(unsigned lane)
{
	struct payload p;
	uint64_t page;

	if (w.back[lane].count == 0)
		return;
	p = queue_take(&w.back[lane]);
	cr_assert_eq(page_ask_decode(p.bytes, p.len, &w.asked, NULL), 0);
	free(p.bytes);
	while (w.asked.count) {
		page_set_take(&w.asked, 1, &page);
		/* as it is now, though the guest may have changed it since it was sent */
		page_batch_add_whole(batch_of(page), page, w.memory[page]);
		w.answered++;
	}
}

/* ---- What goes wrong ------------------------------------------------------------------------ */

/* The target's copy is damaged. A page that nobody sends again would stay so, as
 * it would with any protocol; so it is sent again. */
static void damage(uint64_t page)
{
	uint8_t bytes[PAGE_SIZE_BYTES];

	cr_assert_eq(ram_image_get(w.image, page, bytes), 0);
	bytes[draw(PAGE_SIZE_BYTES)] ^= 1;
	cr_assert_eq(ram_image_put(w.image, page, 1, bytes), 0);
	w.dirty[page] = true;
}

/* The table says that the target has something which it has not. */
static void mislead(uint64_t page)
{
	uint64_t of = draw(2) ? page : draw(PAGES), blocks[PAGE_BLOCKS];
	struct page_hash hash = page_hash(reference_hasher(w.ref), w.memory[of]);

	page_hash_blocks(reference_hasher(w.ref), w.memory[of], blocks);
	reference_load(w.ref, page, &hash, draw(2) ? blocks : NULL);
	w.dirty[page] = true;
}

static void step(void)
{
	unsigned lane = (unsigned)draw(w.lanes);
	uint64_t page = draw(PAGES);

	switch (draw(16)) {
	case 0:
		damage(page);
		break;
	case 1:
		mislead(page);
		break;
	case 2:
		reference_forget(w.ref, page);
		break;
	case 3:
		flush(lane);
		break;
	case 4:
		deliver(lane);
		break;
	case 5:
		ask(lane);
		break;
	case 6:
		answer(lane);
		break;
	case 7:
	case 8:
	case 9:
	case 10:
		change(w.memory[page]);
		w.dirty[page] = true;
		break;
	default:
		if (w.dirty[page])
			send_page(page);
	}
}

/* ---- A move ------------------------------------------------------------------------------------
 */

static void begin_lane(unsigned lane)
{
	cr_assert_eq(page_batch_init(&w.batch[lane], w.ref), 0);
	cr_assert_eq(page_placer_new(w.image, secret, &w.placer[lane]), 0);
	page_placer_bind(w.placer[lane], lane, w.lanes);
	page_placer_set_source(w.placer[lane], 1, (struct page_source){ .ops = &base_ops });
	page_placer_set_arrival(w.placer[lane], w.arrival);
}

static void begin(uint64_t seed, bool image)
{
	memset(&w, 0, sizeof(w));
	w.rng = seed;
	for (unsigned i = 0; i < PAGES; i++) {
		for (size_t at = 0; at < PAGE_SIZE_BYTES; at++)
			w.base[i][at] = (uint8_t)draw(4);
		change(w.memory[i]);
		w.dirty[i] = true;
	}
	w.fd = memfd_create("ram", MFD_CLOEXEC);
	cr_assert_eq(ftruncate(w.fd, PAGES * PAGE_SIZE_BYTES), 0);
	for (unsigned i = 0; image && i < PAGES; i++) /* what the target kept */
		cr_assert_eq(pwrite(w.fd, w.memory[i], PAGE_SIZE_BYTES, i * PAGE_SIZE_BYTES),
			     PAGE_SIZE_BYTES);
	cr_assert_eq(ram_image_open(w.fd, PAGES * PAGE_SIZE_BYTES, &w.image, NULL), 0);
	cr_assert_eq(reference_new(PAGES, secret, seed % 3 * 20 * PAGE_SIZE_BYTES, &w.ref), 0);
	cr_assert_eq(page_set_init(&w.asked, PAGES), 0);
	reference_set_source(w.ref, 1, (struct page_source){ .ops = &base_ops });
	if (seed <= NOTED)
		cr_assert_eq(arrival_new(notes, &noted_image, PAGES, &w.arrival, NULL), 0);
	w.lanes = 1 + seed % LANES_MAX;
	for (unsigned i = 0; i < w.lanes; i++)
		begin_lane(i);
	for (unsigned i = 0; image && i < PAGES; i++)
		mislead(i);
}

static void finish(void)
{
	for (uint64_t i = 0; i < PAGES; i++)
		if (w.dirty[i])
			send_page(i);
	for (bool more = true; more;) {
		more = false;
		for (unsigned i = 0; i < w.lanes; i++) {
			flush(i);
			while (w.there[i].count)
				deliver(i);
			ask(i);
			answer(i);
			more |= !page_batch_empty(&w.batch[i]) || w.back[i].count;
		}
	}
}

static uint64_t missing(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < w.lanes; i++)
		n += page_placer_missing(w.placer[i]);
	return n;
}

/* What a source would load that sends this memory back. */
static void check_notes(uint64_t seed)
{
	struct reference *ref;
	struct arrived *a;

	cr_assert_eq(arrival_finish(w.arrival, NULL), 0);
	cr_assert_eq(arrived_open(notes, &noted_image, PAGES, &a), 0);
	cr_assert_eq(reference_new(PAGES, secret, 0, &ref), 0);
	cr_assert_eq(arrived_load(a, ref, NULL, NULL), 0);
	for (uint64_t i = 0; i < PAGES; i++) {
		static const uint8_t zero[PAGE_SIZE_BYTES];
		struct page_hash hash = page_hash(reference_hasher(ref), w.memory[i]);

		/* what was replaced by zeros while it waited came as bytes, and is noted as such */
		if (memcmp(w.memory[i], zero, sizeof(zero)) == 0)
			cr_assert(reference_at(ref, i) == REFERENCE_NONE ||
				  reference_same(ref, i, &hash));
		else
			cr_assert(reference_same(ref, i, &hash) &&
					  reference_changed(ref, i, w.memory[i]) == 0,
				  "seed %lu, page %lu", (unsigned long)seed, (unsigned long)i);
	}
	reference_free(ref);
	arrived_free(a);
}

static void end(void)
{
	for (unsigned i = 0; i < w.lanes; i++) {
		page_batch_exit(&w.batch[i]);
		page_placer_free(w.placer[i]);
	}
	arrival_free(w.arrival);
	(void)unlink(notes);
	ram_image_free(w.image);
	reference_free(w.ref);
	page_set_exit(&w.asked);
	close(w.fd);
}

Test(page_history, the_target_ends_up_with_the_sources_memory)
{
	uint64_t answered = 0, kinds[PAGE_KINDS] = { 0 };

	close(mkstemp(notes));
	(void)unlink(notes);
	for (uint64_t seed = 1; seed <= 24; seed++) {
		const uint8_t *ram;

		begin(seed, seed / 2 % 2);
		for (unsigned i = 0; i < STEPS; i++)
			step();
		finish();
		cr_assert_eq(missing(), 0, "seed %lu", (unsigned long)seed);
		ram = mmap(NULL, sizeof(w.memory), PROT_READ, MAP_SHARED, w.fd, 0);
		for (unsigned i = 0; i < PAGES; i++)
			cr_assert_eq(
				memcmp(ram + i * PAGE_SIZE_BYTES, w.memory[i], PAGE_SIZE_BYTES), 0,
				"seed %lu, page %u", (unsigned long)seed, i);
		munmap((void *)ram, sizeof(w.memory));
		if (w.arrival)
			check_notes(seed);
		answered += w.answered;
		for (unsigned k = 0; k < PAGE_KINDS; k++)
			kinds[k] += w.kinds[k];
		end();
	}
	/* nothing of this was idle */
	cr_assert_gt(answered, 100);
	for (unsigned k = 0; k < PAGE_KINDS; k++)
		cr_assert_gt(kinds[k], 100, "kind %u: %lu", k, (unsigned long)kinds[k]);
}
