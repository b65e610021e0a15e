/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/page.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>

#include "common/cursor.h"

#define PAGES 512

static struct page_batch batch;
static uint8_t payload[PAGE_PAYLOAD_MAX], scratch[PAGE_BATCH_BODY];

static struct ram_image *make_image(int *ret_fd)
{
	struct ram_image *image = NULL;
	struct mg_error err = { 0 };
	int fd = memfd_create("ram", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, PAGES * PAGE_SIZE_BYTES), 0);
	cr_assert_eq(ram_image_open(fd, PAGES * PAGE_SIZE_BYTES, &image, &err), 0, "%s", err.text);
	*ret_fd = fd;
	return image;
}

static uint8_t *map(int fd)
{
	uint8_t *p = mmap(NULL, PAGES * PAGE_SIZE_BYTES, PROT_READ, MAP_SHARED, fd, 0);

	cr_assert_neq(p, MAP_FAILED);
	return p;
}

static void fill(uint8_t *page, uint64_t seed, bool dense)
{
	for (size_t i = 0; i < PAGE_SIZE_BYTES; i += 8) {
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		uint64_t v = dense ? seed ^ seed >> 29 : seed >> 60;

		memcpy(page + i, &v, 8);
	}
}

static int place(size_t len, struct ram_image *image, struct mg_error *err)
{
	struct page_batch_stats stats;

	return page_batch_place(payload, len, image, scratch, &stats, err);
}

Test(page, what_goes_in_comes_out)
{
	static uint8_t expected[PAGES][PAGE_SIZE_BYTES];
	int fd;
	struct ram_image *image = make_image(&fd);
	struct page_batch_stats in, out;
	uint8_t *ram = map(fd);
	uint64_t seed = 1;

	for (unsigned round = 0; round < 60; round++) {
		size_t len;

		page_batch_reset(&batch);
		while (!page_batch_full(&batch)) {
			uint64_t page;

			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
			page = seed >> 40 & (PAGES - 1);
			for (unsigned run = seed >> 33 & 7; run < 8 && page < PAGES; run++, page++) {
				if (page_batch_full(&batch))
					break;
				if (seed >> 50 & 1)
					memset(expected[page], 0, PAGE_SIZE_BYTES);
				else
					fill(expected[page], seed + page, round & 1);
				page_batch_add(&batch, page, seed >> 50 & 1 && seed >> 51 & 1 ?
								     NULL : expected[page]);
			}
		}
		len = page_batch_encode(&batch, 1 + (int)round % 4, payload, &in);
		cr_assert_leq(len, PAGE_PAYLOAD_MAX);
		cr_assert_eq(in.codec, round & 1 ? PAGE_CODEC_RAW : PAGE_CODEC_LZ4);
		cr_assert_eq(page_batch_place(payload, len, image, scratch, &out, NULL), 0);
		cr_assert_eq(out.pages_zero, in.pages_zero);
		cr_assert_eq(out.pages_data, in.pages_data);
		cr_assert_eq(memcmp(ram, expected, sizeof(expected)), 0, "round %u", round);
	}
	ram_image_free(image);
	close(fd);
}

Test(page, zero_pages_that_were_never_written_touch_nothing)
{
	int fd;
	struct ram_image *image = make_image(&fd);
	struct page_batch_stats stats;

	page_batch_reset(&batch);
	for (uint64_t i = 0; i < PAGES; i++)
		page_batch_add(&batch, i, NULL);
	cr_assert_eq(page_batch_encode(&batch, 1, payload, &stats), PAGE_HEADER_SIZE + 8,
		     "one record says it all");
	cr_assert_eq(place(PAGE_HEADER_SIZE + 8, image, NULL), 0);
	cr_assert_eq(lseek(fd, 0, SEEK_DATA), -1, "the file is one hole");
	ram_image_free(image);
	close(fd);
}

Test(page, what_was_in_the_file_before_is_overwritten_by_zero_pages)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	struct ram_image *image;
	uint8_t old[3] = "old", now[3];

	cr_assert_eq(ftruncate(fd, PAGES * PAGE_SIZE_BYTES), 0);
	cr_assert_eq(pwrite(fd, old, 3, 7 * PAGE_SIZE_BYTES + 100), 3);
	cr_assert_eq(ram_image_open(fd, PAGES * PAGE_SIZE_BYTES, &image, NULL), 0);
	ram_image_zero(image, 0, PAGES);
	cr_assert_eq(pread(fd, now, 3, 7 * PAGE_SIZE_BYTES + 100), 3);
	cr_assert_eq(memcmp(now, "\0\0\0", 3), 0);
	ram_image_free(image);
	close(fd);
}

Test(page, an_image_must_fit_its_file)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	struct ram_image *image;

	cr_assert_eq(ftruncate(fd, 8192), 0);
	cr_assert_eq(ram_image_open(fd, 8193, &image, NULL), -EINVAL);
	cr_assert_eq(ram_image_open(fd, 12288, &image, NULL), -EINVAL);
	cr_assert_eq(ram_image_open(fd, 0, &image, NULL), -EINVAL);
	close(fd);
}

static size_t some_payload(void)
{
	struct page_batch_stats stats;
	uint8_t page[PAGE_SIZE_BYTES];

	page_batch_reset(&batch);
	for (uint64_t i = 10; i < 14; i++) {
		fill(page, i, false);
		page_batch_add(&batch, i, page);
	}
	page_batch_add(&batch, 20, NULL);
	return page_batch_encode(&batch, 1, payload, &stats);
}

static void refused(size_t len, const char *words)
{
	int fd;
	struct ram_image *image = make_image(&fd);
	struct mg_error err = { 0 };

	cr_assert_eq(place(len, image, &err), -EPROTO, "'%s' expected", words);
	cr_assert_not_null(strstr(err.text, words), "'%s' is not in '%s'", words, err.text);
	cr_assert_eq(lseek(fd, 0, SEEK_DATA), -1, "a page was written");
	ram_image_free(image);
	close(fd);
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
	record(1, PAGE_KINDS, 1, 1);
	refused(len, "unknown kind");
	record(1, PAGE_DATA, 1, 1);
	refused(len, "body of 16384 bytes for records of 20480");
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

Test(page, damaged_payloads_never_write_outside)
{
	int fd;
	struct ram_image *image = make_image(&fd);
	size_t len = some_payload();

	for (size_t at = 0; at < len; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			payload[at] ^= (uint8_t)(1u << bit);
			(void)place(len, image, NULL); /* ASan and the mapping's edges watch */
			payload[at] ^= (uint8_t)(1u << bit);
		}
	}
	ram_image_free(image);
	close(fd);
}
