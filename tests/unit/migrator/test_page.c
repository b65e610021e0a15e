/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>

#include "common/cursor.h"
#include "migrator/page_batch.h"
#include "migrator/page_placer.h"

#define PAGES 512
#define SHADOWS ((size_t)1 << 20)

static const uint8_t secret[PAGE_SECRET_SIZE] = "secret";
static struct page_batch batch;
static int effort = 1; /* LZ4 */
static uint8_t payload[PAGE_PAYLOAD_MAX];
static uint8_t expected[PAGES][PAGE_SIZE_BYTES];
/* the two ends */
static struct reference *ref;
static struct page_placer *placer;
static struct ram_image *image;
static uint8_t *ram; /* the target's */
static int ram_fd;

static void setup(void)
{
	struct mg_error err = { 0 };

	ram_fd = memfd_create("ram", MFD_CLOEXEC);
	cr_assert_geq(ram_fd, 0);
	cr_assert_eq(ftruncate(ram_fd, PAGES * PAGE_SIZE_BYTES), 0);
	cr_assert_eq(ram_image_open(ram_fd, PAGES * PAGE_SIZE_BYTES, &image, &err), 0, "%s",
		     err.text);
	cr_assert_eq(page_placer_new(image, secret, &placer), 0);
	cr_assert_eq(reference_new(PAGES, secret, SHADOWS, &ref), 0);
	ram = mmap(NULL, PAGES * PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
	cr_assert_neq(ram, MAP_FAILED);
	cr_assert_eq(page_batch_init(&batch, ref), 0);
}

static void teardown(void)
{
	munmap(ram, PAGES * PAGE_SIZE_BYTES);
	page_batch_exit(&batch);
	page_placer_free(placer);
	ram_image_free(image);
	reference_free(ref);
	close(ram_fd);
}

TestSuite(page, .init = setup, .fini = teardown);

static void fill(uint8_t *page, uint64_t seed, bool dense)
{
	for (size_t i = 0; i < PAGE_SIZE_BYTES; i += 8) {
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		uint64_t v = dense ? seed ^ seed >> 29 : seed >> 60;

		memcpy(page + i, &v, 8);
	}
}

static int place(size_t len, struct mg_error *err)
{
	struct page_stats stats;

	return page_placer_place(placer, payload, len, &stats, err);
}

/* Sends what is in the batch; returns the payload's length. */
static size_t flush(struct page_stats *ret)
{
	struct mg_error err = { 0 };
	struct page_stats out;
	size_t len = page_batch_encode(&batch, effort, payload, ret);

	cr_assert_leq(len, PAGE_PAYLOAD_MAX);
	cr_assert_eq(page_placer_place(placer, payload, len, &out, &err), 0, "%s", err.text);
	cr_assert_arr_eq(out.pages, ret->pages, sizeof(out.pages));
	page_batch_reset(&batch);
	return len;
}

static void add(uint64_t page)
{
	page_batch_add(&batch, page, expected[page]);
}

static bool arrived(void)
{
	return memcmp(ram, expected, sizeof(expected)) == 0;
}

Test(page, what_goes_in_comes_out)
{
	struct page_stats in;
	uint64_t seed = 1, replaced = 0;

	for (unsigned round = 0; round < 60; round++) {
		bool raw = round & 1;

		effort = (int)round / 2 % (PAGE_EFFORT_NONE + 1);
		while (!page_batch_full(&batch)) {
			uint64_t page;

			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
			page = seed >> 40 & (PAGES - 1);
			for (unsigned run = seed >> 33 & 7; run < 8 && page < PAGES;
			     run++, page++) {
				if (page_batch_full(&batch))
					break;
				if (seed >> 50 & 1)
					memset(expected[page], 0, PAGE_SIZE_BYTES);
				else
					fill(expected[page], seed + page, round & 1);
				page_batch_add(&batch, page,
					       seed >> 50 & 1 && seed >> 51 & 1 ? NULL
										: expected[page]);
			}
		}
		flush(&in);
		if (!in.replaced || !(round & 1)) /* else by zeros, perhaps */
			cr_assert_eq(in.codec,
				     raw || effort == PAGE_EFFORT_NONE ? PAGE_CODEC_RAW
				     : effort > PAGE_EFFORT_THRIFTY    ? PAGE_CODEC_LZ4
								       : PAGE_CODEC_ZSTD);
		replaced += in.replaced;
		cr_assert_eq(page_placer_missing(placer), 0);
		cr_assert(arrived(), "round %u", round);
	}
	cr_assert_gt(replaced, 0);
}

Test(page, zero_pages_that_were_never_written_touch_nothing)
{
	struct page_stats stats;

	for (uint64_t i = 0; i < PAGES; i++)
		page_batch_add(&batch, i, NULL);
	cr_assert_eq(flush(&stats), PAGE_HEADER_SIZE + 8, "one record says it all");
	cr_assert_eq(lseek(ram_fd, 0, SEEK_DATA), -1, "the file is one hole");
}

Test(page, what_was_in_the_file_before_is_overwritten_by_zero_pages)
{
	struct ram_image *again;
	uint8_t old[3] = "old", now[3];

	cr_assert_eq(pwrite(ram_fd, old, 3, 7 * PAGE_SIZE_BYTES + 100), 3);
	cr_assert_eq(ram_image_open(ram_fd, PAGES * PAGE_SIZE_BYTES, &again, NULL), 0);
	ram_image_zero(again, 0, PAGES);
	cr_assert_eq(pread(ram_fd, now, 3, 7 * PAGE_SIZE_BYTES + 100), 3);
	cr_assert_eq(memcmp(now, "\0\0\0", 3), 0);
	ram_image_free(again);
}

Test(page, an_image_must_fit_its_file)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	struct ram_image *other;

	cr_assert_eq(ftruncate(fd, 8192), 0);
	cr_assert_eq(ram_image_open(fd, 8193, &other, NULL), -EINVAL);
	cr_assert_eq(ram_image_open(fd, 12288, &other, NULL), -EINVAL);
	cr_assert_eq(ram_image_open(fd, 0, &other, NULL), -EINVAL);
	close(fd);
}

/* ---- Each kind ---------------------------------------------------------------------- */

static void send_dense(uint64_t first, uint64_t n)
{
	struct page_stats stats;

	for (uint64_t i = first; i < first + n; i++) {
		fill(expected[i], 1000 + i, true);
		add(i);
	}
	flush(&stats);
	cr_assert_eq(stats.pages[PAGE_DATA], n);
}

Test(page, what_is_there_already_costs_half_a_byte)
{
	struct page_stats stats;
	size_t len;

	send_dense(10, 60);
	for (uint64_t i = 10; i < 70; i++)
		add(i);
	len = flush(&stats);
	cr_assert_eq(stats.pages[PAGE_SAME], 60);
	cr_assert_eq(len, PAGE_HEADER_SIZE + 8 + sizeof(struct page_hash));
	cr_assert(arrived());
}

Test(page, what_is_elsewhere_is_copied)
{
	struct page_stats stats;
	size_t len;

	send_dense(10, 20);
	memcpy(expected[100], expected[10], 20 * PAGE_SIZE_BYTES);
	memcpy(expected[200], expected[100], PAGE_SIZE_BYTES);
	for (uint64_t i = 100; i < 120; i++)
		add(i);
	add(200);
	len = flush(&stats);
	cr_assert_eq(stats.pages[PAGE_COPY], 21);
	cr_assert_leq(len, PAGE_HEADER_SIZE + 2 * (8 + sizeof(struct page_hash) + 8));
	cr_assert(arrived());
}

Test(page, a_page_that_waits_whole_is_replaced)
{
	struct page_stats stats;

	for (uint64_t i = 10; i < 14; i++) {
		fill(expected[i], i, true);
		add(i);
	}
	fill(expected[11], 99, true);
	add(11);
	memset(expected[12], 0, PAGE_SIZE_BYTES);
	page_batch_add(&batch, 12, NULL);
	cr_assert_lt(flush(&stats), PAGE_HEADER_SIZE + 8 + 4 * PAGE_SIZE_BYTES);
	cr_assert_eq(stats.pages[PAGE_DATA], 4);
	cr_assert_eq(stats.replaced, 2);
	cr_assert(arrived());
	cr_assert_eq(reference_at(ref, 12), REFERENCE_ZERO);
	add(11); /* it is known by its later version */
	flush(&stats);
	cr_assert_eq(stats.pages[PAGE_SAME], 1);
	cr_assert_eq(stats.replaced, 0);
	cr_assert(arrived());
}

/* What other pages in the batch were made from must be there when they are. */
Test(page, a_page_that_waits_and_was_copied_is_sent_again)
{
	struct page_stats stats;

	fill(expected[10], 10, true);
	add(10);
	memcpy(expected[30], expected[10], PAGE_SIZE_BYTES);
	add(30);
	expected[10][5] ^= 1;
	add(10);
	expected[10][6] ^= 1; /* and what has been patched is patched again */
	add(10);
	flush(&stats);
	cr_assert_eq(stats.pages[PAGE_DATA], 1);
	cr_assert_eq(stats.pages[PAGE_COPY], 1);
	cr_assert_eq(stats.pages[PAGE_PATCH] + stats.pages[PAGE_DELTA], 2);
	cr_assert_eq(stats.replaced, 0);
	cr_assert(arrived());
}

Test(page, a_copy_of_what_the_same_record_writes_is_another_record)
{
	struct page_stats stats;

	/* page 11 gets what 10 has, 12 what 11 has by then, ...: one record would read
	 * 11 before it is written */
	send_dense(10, 10);
	for (uint64_t i = 11; i < 20; i++) {
		memcpy(expected[i], expected[10], PAGE_SIZE_BYTES);
		add(i);
	}
	flush(&stats);
	cr_assert_eq(stats.pages[PAGE_COPY], 9);
	cr_assert_eq(page_placer_missing(placer), 0);
	cr_assert(arrived());
	/* everything moves down by one page, and up again */
	send_dense(40, 30);
	for (unsigned up = 0; up < 2; up++) {
		memmove(expected[41 - up], expected[40 + up], 30 * PAGE_SIZE_BYTES);
		for (uint64_t i = 39; i < 72; i++)
			add(i);
		flush(&stats);
		cr_assert_eq(page_placer_missing(placer), 0);
		cr_assert(arrived());
	}
}

Test(page, few_changed_blocks_are_a_patch)
{
	struct page_stats stats;
	size_t len;

	send_dense(10, 3);
	expected[10][0] ^= 1;
	expected[10][PAGE_SIZE_BYTES - 1] ^= 1;
	expected[11][1000] ^= 1;
	for (uint64_t i = 10; i < 13; i++)
		add(i);
	len = flush(&stats);
	cr_assert_eq(stats.pages[PAGE_PATCH], 2);
	cr_assert_eq(stats.pages[PAGE_SAME], 1);
	cr_assert_leq(len, PAGE_HEADER_SIZE + 2 * (8 + sizeof(struct page_hash)) + 2 * 4 + 3 * 128);
	cr_assert(arrived());
	/* all blocks: the page itself */
	for (size_t i = 0; i < PAGE_SIZE_BYTES; i += 128)
		expected[12][i] ^= 1;
	add(12);
	flush(&stats);
	cr_assert_eq(stats.pages[PAGE_DATA], 1);
	cr_assert(arrived());
}

Test(page, what_comes_often_is_a_difference)
{
	struct page_stats stats;
	size_t len = 0;

	send_dense(10, 1);
	for (unsigned round = 0; round < 4; round++) {
		for (size_t i = 0; i < PAGE_SIZE_BYTES; i += 128)
			expected[10][i] ^= (uint8_t)(1 + round);
		add(10);
		len = flush(&stats);
		cr_assert_eq(stats.pages[round == 0 ? PAGE_DATA : PAGE_DELTA], 1, "%u", round);
		cr_assert(arrived());
	}
	cr_assert_lt(len, 200, "%zu bytes for 32 that changed", len);
}

Test(page, a_zero_page_forgets_what_was_there)
{
	struct page_stats stats;

	send_dense(10, 1);
	memcpy(expected[11], expected[10], PAGE_SIZE_BYTES);
	memset(expected[10], 0, PAGE_SIZE_BYTES);
	add(10);
	add(11);
	flush(&stats);
	cr_assert_eq(stats.pages[PAGE_ZERO], 1);
	cr_assert_eq(stats.pages[PAGE_DATA], 1, "its copy is no more");
	cr_assert(arrived());
}

Test(page, in_a_hurry_only_what_is_known_is_compared)
{
	struct page_stats stats;

	send_dense(10, 1);
	batch.hurry = true;
	memcpy(expected[11], expected[10], PAGE_SIZE_BYTES);
	page_batch_add(&batch, 12, NULL);
	add(10);
	add(11);
	add(12);
	flush(&stats);
	memcpy(expected[12], expected[10], PAGE_SIZE_BYTES);
	add(11);
	add(12);
	flush(&stats);
	cr_assert_eq(stats.pages[PAGE_DATA], 2);
	cr_assert(arrived());
	add(10);
	flush(&stats);
	cr_assert_eq(stats.pages[PAGE_SAME], 1);
	batch.hurry = false;
	add(12);
	flush(&stats);
	cr_assert_eq(stats.pages[PAGE_COPY], 1);
	cr_assert(arrived());
}

Test(page, one_that_was_sent_ahead_is_the_same_when_it_is_told_of)
{
	struct page_stats stats;

	batch.hurry = true;
	fill(expected[10], 10, true);
	page_batch_add_ahead(&batch, 10, expected[10]);
	page_batch_add_ahead(&batch, 11, expected[11]);
	flush(&stats);
	cr_assert_eq(stats.pages[PAGE_DATA], 1);
	cr_assert_eq(stats.ahead, 1);
	cr_assert_eq(stats.pages[PAGE_ZERO], 0, "it is told of as cheaply");
	add(10);
	flush(&stats);
	cr_assert_eq(stats.pages[PAGE_SAME], 1);
	cr_assert(arrived());
}

/* ---- References that do not fit --------------------------------------------------------- */

static void answer(void)
{
	struct page_stats stats;
	uint64_t page;

	while (page_placer_unasked(placer)->count) {
		page_set_take(page_placer_unasked(placer), 1, &page);
		page_batch_add_whole(&batch, page, expected[page]);
	}
	flush(&stats);
}

/* What the target has is damaged, then the pages come again as `kind`. */
static void repairs(uint64_t damaged, enum page_kind kind)
{
	struct page_stats stats;

	ram[damaged * PAGE_SIZE_BYTES + 3000] ^= 1;
	page_batch_encode(&batch, effort, payload, &stats);
	cr_assert_eq(stats.pages[kind], 1);
	flush(&stats);
	cr_assert_eq(page_placer_missing(placer), 1);
	cr_assert_eq(page_placer_unasked(placer)->count, 1);
	answer();
	cr_assert_eq(page_placer_missing(placer), 0);
}

Test(page, a_page_that_cannot_be_made_is_not_written_but_asked_for)
{
	send_dense(10, 4);
	add(10);
	repairs(10, PAGE_SAME);
	cr_assert(arrived());
	memcpy(expected[100], expected[11], PAGE_SIZE_BYTES);
	add(100);
	repairs(11, PAGE_COPY);
	cr_assert_eq(memcmp(ram + 100 * PAGE_SIZE_BYTES, expected[100], PAGE_SIZE_BYTES), 0);
	expected[12][0] ^= 1;
	add(12);
	repairs(12, PAGE_PATCH);
	expected[12][8] ^= 1; /* its second sending left a shadow */
	add(12);
	repairs(12, PAGE_PATCH); /* which was dropped when it was asked for */
	expected[12][8] ^= 1;
	add(12);
	repairs(12, PAGE_PATCH);
	cr_assert_eq(memcmp(ram + 12 * PAGE_SIZE_BYTES, expected[12], PAGE_SIZE_BYTES), 0);
}

Test(page, a_damaged_base_of_a_difference_is_noticed)
{
	struct page_stats stats;

	send_dense(10, 1);
	expected[10][0] ^= 1;
	add(10);
	flush(&stats);
	expected[10][0] ^= 3;
	add(10);
	repairs(10, PAGE_DELTA);
	cr_assert(arrived());
}

Test(page, a_page_that_is_missing_is_asked_for_once_and_may_come_otherwise)
{
	struct page_stats stats;

	send_dense(10, 1);
	ram[10 * PAGE_SIZE_BYTES] ^= 1;
	for (unsigned i = 0; i < 3; i++) {
		add(10);
		flush(&stats);
		cr_assert_eq(page_placer_missing(placer), 1);
		cr_assert_eq(page_placer_unasked(placer)->count, i == 0);
		page_set_remove(page_placer_unasked(placer), 0, PAGES);
	}
	page_batch_add(&batch, 10, NULL); /* the guest has cleared it meanwhile */
	flush(&stats);
	cr_assert_eq(page_placer_missing(placer), 0);
}

/* Too late to be told to a QEMU that loads its devices by then; other bytes have to be, or it would
 * run with the old ones. */
Test(page, who_is_told_of_pages_hears_of_the_same_bytes_once)
{
	struct page_stats stats;
	struct page_set changed;
	uint64_t page;

	cr_assert_eq(page_set_init(&changed, PAGES), 0);
	cr_assert_eq(page_placer_set_changed(placer, &changed), 0);
	send_dense(10, 2);
	page_batch_add(&batch, 20, NULL); /* it is zero, as the file is: that has to be told, too */
	flush(&stats);
	cr_assert_eq(changed.count, 3);
	while (changed.count)
		page_set_take(&changed, PAGES, &page);
	page_batch_add_whole(&batch, 10, expected[10]);
	page_batch_add(&batch, 11, expected[11]);
	page_batch_add(&batch, 20, NULL);
	flush(&stats);
	cr_assert_eq(stats.pages[PAGE_SAME], 1);
	cr_assert_eq(changed.count, 0);
	expected[11][0] ^= 1;
	add(11);
	page_batch_add(&batch, 10, NULL);
	flush(&stats);
	cr_assert_eq(changed.count, 2);
	page_set_exit(&changed);
}

static int lost_read(void *userdata, uint64_t slot, uint8_t *page)
{
	memset(page, 7, PAGE_SIZE_BYTES);
	return slot == *(uint64_t *)userdata ? 0 : -ENOENT;
}

static bool found_lookup(void *userdata, const struct page_hash *hash, uint64_t *ret_slot)
{
	(void)hash;
	*ret_slot = *(uint64_t *)userdata;
	return true;
}

Test(page, an_image_that_the_target_has_serves_as_a_source)
{
	static const struct page_source_ops target = { .read = lost_read },
					    source = { .lookup = found_lookup };
	struct page_stats stats;
	uint64_t slot = 77, other = 78;

	reference_set_source(ref, 3, (struct page_source){ .ops = &source, .userdata = &slot });
	page_placer_set_source(placer, 3,
			       (struct page_source){ .ops = &target, .userdata = &slot });
	memset(expected[5], 7, PAGE_SIZE_BYTES);
	add(5);
	flush(&stats);
	cr_assert_eq(stats.pages[PAGE_COPY], 1);
	cr_assert_eq(page_placer_missing(placer), 0);
	cr_assert(arrived());
	/* the target has lost it, has something else there, has no such image */
	memset(expected[6], 6, PAGE_SIZE_BYTES);
	add(6);
	flush(&stats);
	reference_set_source(ref, 3, (struct page_source){ .ops = &source, .userdata = &other });
	memset(expected[7], 9, PAGE_SIZE_BYTES);
	add(7);
	flush(&stats);
	reference_set_source(ref, 3, (struct page_source){ .ops = NULL });
	reference_set_source(ref, 4, (struct page_source){ .ops = &source, .userdata = &slot });
	memset(expected[8], 8, PAGE_SIZE_BYTES);
	add(8);
	flush(&stats);
	cr_assert_eq(page_placer_missing(placer), 3);
	answer();
	cr_assert_eq(page_placer_missing(placer), 0);
	cr_assert(arrived());
}

/* ---- Bytes from outside ------------------------------------------------------------------- */

static size_t some_payload(void)
{
	struct page_stats stats;
	uint8_t page[PAGE_SIZE_BYTES];

	page_batch_reset(&batch);
	for (uint64_t i = 10; i < 14; i++) {
		fill(page, i, false);
		page_batch_add_whole(&batch, i, page);
	}
	page_batch_add(&batch, 20, NULL);
	return page_batch_encode(&batch, effort, payload, &stats);
}

/* Records of every kind, and a codec that can be seen through: RAW. */
static size_t payload_of_all_kinds(void)
{
	struct page_stats stats;
	size_t len;

	send_dense(100, 6);
	expected[101][0] ^= 1;
	add(101);
	flush(&stats);
	expected[101][0] ^= 1;
	expected[102][0] ^= 1;
	memcpy(expected[110], expected[100], PAGE_SIZE_BYTES);
	fill(expected[104], 7777, true);
	add(100); /* SAME */
	add(101); /* DELTA */
	add(102); /* PATCH */
	add(110); /* COPY */
	add(104); /* DATA */
	page_batch_add(&batch, 111, NULL);
	len = page_batch_encode(&batch, effort, payload, &stats);
	for (unsigned k = 0; k < PAGE_KINDS; k++)
		cr_assert_eq(stats.pages[k], 1, "kind %u", k);
	return len;
}

static void refused(size_t len, const char *words)
{
	struct mg_error err = { 0 };

	cr_assert_eq(place(len, &err), -EPROTO, "'%s' expected", words);
	cr_assert_not_null(strstr(err.text, words), "'%s' is not in '%s'", words, err.text);
	cr_assert_eq(lseek(ram_fd, 0, SEEK_DATA), -1, "a page was written");
}

static void record(unsigned at, uint8_t kind, uint16_t count, uint64_t page)
{
	struct wcursor c = wcursor_over(payload + PAGE_HEADER_SIZE + at * 8, 8);

	wcursor_u64(&c, (uint64_t)kind << 56 | (uint64_t)count << 40 | page);
}

Test(page, bad_payloads_are_refused_before_anything_is_written)
{
	size_t len = some_payload();

	for (size_t cut = 0; cut < len; cut++)
		refused(cut, "PAGES");
	refused(len + 1, "damaged");
	record(1, 0, 1, PAGES);
	refused(len, "in a guest of 512");
	record(1, 0, 2, PAGES - 1);
	refused(len, "in a guest of 512");
	record(1, 0, 65535, (UINT64_C(1) << 40) - 1);
	refused(len, "in a guest of 512");
	record(1, 0, 0, 1);
	refused(len, "0 pages");
	record(1, PAGE_SAME, PAGE_CHECK_RUN + 1, 1);
	refused(len, "65 pages");
	record(1, PAGE_KINDS, 1, 1);
	refused(len, "unknown kind");
	record(1, 255, 1, 1);
	refused(len, "unknown kind");
	for (uint8_t kind = PAGE_DATA; kind < PAGE_KINDS; kind++) {
		record(1, kind, 1, 1);
		refused(len, "too short for record 1");
	}
	record(0, PAGE_DATA, 3, 10);
	record(1, PAGE_ZERO, 1, 1);
	refused(len, "4096 bytes more");
	len = some_payload();
	payload[8] = PAGE_CODECS;
	refused(len, "malformed header");
	len = some_payload();
	payload[9] = 1;
	refused(len, "malformed header");
	len = some_payload();
	memset(payload, 0, 4);
	refused(len, "malformed header");
	len = some_payload();
	memset(payload + 4, 0xff, 4);
	refused(len, "malformed header");
	len = some_payload();
	payload[8] = PAGE_CODEC_RAW;
	refused(len, "damaged");
}

/* Else pages of one address would not be in order. */
Test(page, pages_of_another_connection_are_refused)
{
	static const struct {
		uint64_t page, count;
		unsigned connections;
		int result;
	} cases[] = {
		{ 0, 64, 2, -EPROTO },   { 64, 64, 2, 0 },  { 127, 1, 2, 0 },
		{ 127, 2, 2, -EPROTO },  { 128, 1, 2, -EPROTO }, { 192, 1, 2, 0 },
		{ 64, 64, 3, 0 },        { 192, 1, 3, -EPROTO }, { 256, 64, 3, 0 },
		{ 64, 257, 2, -EPROTO }, { 64, 257, 1, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct wcursor c = wcursor_over(payload, sizeof(payload));
		const struct page_record r = { .kind = PAGE_ZERO,
					       .page = cases[i].page,
					       .count = cases[i].count };
		struct mg_error err;

		wcursor_u32(&c, 1);
		wcursor_u32(&c, 0);
		wcursor_u32(&c, 0);
		wcursor_u64(&c, page_record_pack(r));
		page_placer_bind(placer, cases[i].connections > 1, cases[i].connections);
		cr_assert_eq(place(wcursor_used(&c), &err), cases[i].result, "case %zu", i);
		if (cases[i].result)
			cr_assert_not_null(strstr(err.text, "another connection"));
	}
}

Test(page, the_body_must_have_what_each_kind_needs)
{
	size_t len = payload_of_all_kinds();
	uint32_t body = (uint32_t)len - PAGE_HEADER_SIZE - 6 * 8;
	struct wcursor c = wcursor_over(payload + 4, 8);

	/* as it is, uncompressed: each cut is between or inside of what a kind needs */
	memcpy(payload + PAGE_HEADER_SIZE + 6 * 8, batch.body, batch.body_len);
	body = (uint32_t)batch.body_len;
	wcursor_u32(&c, body);
	wcursor_u32(&c, 0);
	len = PAGE_HEADER_SIZE + 6 * 8 + body;
	for (uint32_t cut = 1; cut <= body; cut++) {
		struct mg_error err = { 0 };

		c = wcursor_over(payload + 4, 4);
		wcursor_u32(&c, body - cut);
		cr_assert_eq(place(len - cut, &err), -EPROTO, "without %u bytes", cut);
		cr_assert_not_null(strstr(err.text, "too short"), "%s", err.text);
	}
	c = wcursor_over(payload + 4, 4);
	wcursor_u32(&c, body);
	cr_assert_eq(place(len, NULL), 0);
	cr_assert_eq(page_placer_missing(placer), 0);
	cr_assert(arrived());
}

static void flip_every_bit(void)
{
	size_t len = payload_of_all_kinds();

	for (size_t at = 0; at < len; at += at < 300 ? 1 : 7) {
		for (unsigned bit = 0; bit < 8; bit++) {
			payload[at] ^= (uint8_t)(1u << bit);
			(void)place(len, NULL); /* ASan and the mapping's edges watch */
			payload[at] ^= (uint8_t)(1u << bit);
		}
	}
}

Test(page, damaged_payloads_never_write_outside)
{
	flip_every_bit();
}

Test(page, damaged_payloads_of_zstandard_never_write_outside)
{
	effort = PAGE_EFFORT_SMALLEST;
	flip_every_bit();
}

Test(page, a_damaged_zstandard_body_is_refused)
{
	size_t len;

	effort = PAGE_EFFORT_SMALLEST;
	len = some_payload();
	cr_assert_eq(payload[8], PAGE_CODEC_ZSTD);
	for (size_t cut = 1; cut < len; cut++)
		refused(cut, "PAGES");
	refused(len + 1, "damaged");
	payload[8] = PAGE_CODEC_LZ4;
	refused(len, "damaged");
	payload[8] = PAGE_CODEC_ZSTD;
	payload[6]++; /* the body's length: 256 more */
	refused(len, "damaged");
}
