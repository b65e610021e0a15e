/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrator/image.h"
#include "migrator/image_index.h"
#include "migrator/page_batch.h"
#include "migrator/page_placer.h"
#include "migrator/ram_image.h"

#define PAGES 300

static char dir[] = "/tmp/test-image-XXXXXX";
static char path[64];
static uint8_t key[IMAGE_KEY_SIZE], other_key[IMAGE_KEY_SIZE];

static void make_dir(void)
{
	cr_assert_geq(sodium_init(), 0);
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/image", dir);
	randombytes_buf(key, sizeof(key));
	randombytes_buf(other_key, sizeof(other_key));
}

static void remove_dir(void)
{
	char command[80];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(image, .init = make_dir, .fini = remove_dir);

/* Every third page is a hole, every third one zeroes that take memory. */
static bool page_is_data(unsigned i)
{
	return i % 3 == 1;
}

static void fill_page(unsigned i, uint8_t page[PAGE_SIZE_BYTES])
{
	memset(page, 0, PAGE_SIZE_BYTES);
	if (page_is_data(i)) {
		memset(page, (int)i, PAGE_SIZE_BYTES);
		memcpy(page + PAGE_SIZE_BYTES - sizeof(i), &i, sizeof(i));
	}
}

static int make_ram(void)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	uint8_t page[PAGE_SIZE_BYTES];

	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, PAGES * PAGE_SIZE_BYTES), 0);
	for (unsigned i = 0; i < PAGES; i++) {
		fill_page(i, page);
		if (i % 3)
			cr_assert_eq(pwrite(fd, page, sizeof(page), i * PAGE_SIZE_BYTES),
				     PAGE_SIZE_BYTES);
	}
	return fd;
}

static int write_image(int ram_fd, bool release, uint64_t max_bytes, bool stop,
		       struct image_header *ret, struct mg_error *err)
{
	struct image_source source = { .id = uuid_random(),
				       .name = "web",
				       .key = key,
				       .ram_fd = ram_fd,
				       .ram_bytes = PAGES * PAGE_SIZE_BYTES,
				       .release = release };
	atomic_bool stopping = stop;
	struct ring ring;
	int r;

	cr_assert_eq(ring_init(&ring, err), 0);
	r = image_write(&source, path, max_bytes, &ring, &stopping, ret, err);
	ring_exit(&ring);
	return r;
}

static void write_whole(struct image_header *ret)
{
	struct mg_error err = { 0 };
	int fd = make_ram();

	cr_assert_eq(write_image(fd, false, UINT64_MAX, false, ret, &err), 0, "%s", err.text);
	close(fd);
}

/* Every page as it was, or noticed as damaged; returns how many are. */
static unsigned check_pages(const struct image *image)
{
	const struct image_manifest *m = image_manifest(image);
	unsigned damaged = 0;

	for (unsigned i = 0; i < PAGES; i++) {
		uint8_t expected[PAGE_SIZE_BYTES], page[PAGE_SIZE_BYTES];
		uint32_t slot = image_manifest_slot(m, i);
		int r;

		cr_assert_eq(slot != IMAGE_NO_SLOT, page_is_data(i));
		if (slot == IMAGE_NO_SLOT)
			continue;
		r = image_read(image, slot, page);
		fill_page(i, expected);
		if (r == 0)
			cr_assert_arr_eq(page, expected, sizeof(page));
		else
			cr_assert_eq(r, -EBADMSG);
		damaged += r != 0;
	}
	return damaged;
}

Test(image, gives_back_what_it_was_given)
{
	uint8_t hash_key[PAGE_SECRET_SIZE], page[PAGE_SIZE_BYTES];
	struct mg_error err = { 0 };
	struct image_header h;
	struct page_hasher hasher;
	struct page_hash hash;
	struct image *image;
	struct stat st;

	write_whole(&h);
	cr_assert_eq(h.slots, PAGES / 3);
	cr_assert_eq(h.guest_pages, PAGES);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq((uint64_t)st.st_size, image_file_bytes(h.guest_pages, h.slots));
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(image_open(path, key, &image, &err), 0, "%s", err.text);
	cr_assert_eq(check_pages(image), 0);
	image_hash_key(key, hash_key);
	cr_assert_eq(page_hasher_init(&hasher, hash_key), 0);
	fill_page(4, page);
	hash = page_hash(&hasher, page);
	cr_assert(page_hash_equal(
		&hash, image_manifest_hash(image_manifest(image),
					   image_manifest_slot(image_manifest(image), 4))));
	page_hasher_exit(&hasher);
	cr_assert_eq(image_manifest_slot(image_manifest(image), PAGES), IMAGE_NO_SLOT);
	cr_assert_eq(image_read(image, (uint32_t)h.slots, page), -EINVAL);
	image_free(image);
}

Test(image, is_not_plain_text)
{
	_cleanup_free_ uint8_t *data = malloc(PAGES * 5000);
	uint8_t page[PAGE_SIZE_BYTES];
	struct image_header h;
	int fd;
	ssize_t n;

	write_whole(&h);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, data, PAGES * 5000);
	close(fd);
	cr_assert_gt(n, 0);
	fill_page(1, page);
	cr_assert_null(memmem(data, (size_t)n, page, 16));
}

Test(image, memory_is_given_back_while_it_is_written)
{
	struct mg_error err = { 0 };
	struct image_header h;
	struct stat st;
	int fd = make_ram();

	cr_assert_eq(write_image(fd, true, UINT64_MAX, false, &h, &err), 0, "%s", err.text);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(st.st_blocks, 0);
	close(fd);
}

Test(image, another_key_opens_nothing)
{
	struct uuid a = image_key_id(key), b = image_key_id(other_key);
	struct image_header h;
	struct image *image;

	write_whole(&h);
	cr_assert_not(uuid_equal(&a, &b));
	cr_assert(uuid_equal(&h.key_id, &a));
	cr_assert_eq(image_open(path, other_key, &image, NULL), -EBADMSG);
}

/* A file that ends anywhere: after each of the writes that made it, and within them. */
Test(image, cut_short_it_is_refused)
{
	struct image_header h;
	struct image *image;
	struct stat st;

	write_whole(&h);
	cr_assert_eq(stat(path, &st), 0);
	for (off_t size = st.st_size - 1; size > 0; size -= size > 600 ? 501 : 7) {
		cr_assert_eq(truncate(path, size), 0);
		cr_assert_eq(image_open(path, key, &image, NULL), -EBADMSG, "%jd", (intmax_t)size);
		cr_assert_eq(image_header_read(path, &h, NULL), -EBADMSG);
	}
	cr_assert_eq(truncate(path, 0), 0);
	cr_assert_eq(image_open(path, key, &image, NULL), -EBADMSG);
}

static void flip(int fd, off_t at)
{
	uint8_t byte;

	cr_assert_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
}

/* One bit anywhere: the image is refused as a whole, or that page is. */
Test(image, a_flipped_bit_is_noticed)
{
	off_t pages_end;
	struct image_header h;
	struct stat st;
	int fd;

	write_whole(&h);
	cr_assert_eq(stat(path, &st), 0);
	pages_end = IMAGE_HEADER_SIZE + (off_t)h.slots * (PAGE_SIZE_BYTES + 16);
	fd = open(path, O_RDWR | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	for (off_t at = 0; at < st.st_size;
	     at += at < IMAGE_HEADER_SIZE || at >= pages_end ? 1 : 997) {
		struct image *image;
		int r;

		flip(fd, at);
		r = image_open(path, key, &image, NULL);
		cr_assert_eq(r == 0, at >= IMAGE_HEADER_SIZE && at < pages_end, "%jd",
			     (intmax_t)at);
		if (r == 0) {
			cr_assert_eq(check_pages(image), 1);
			image_free(image);
		}
		flip(fd, at);
	}
	close(fd);
}

/* Two pages whose places were exchanged are both noticed. */
Test(image, a_page_passes_for_no_other)
{
	uint8_t a[PAGE_SIZE_BYTES + 16], b[sizeof(a)];
	struct image_header h;
	struct image *image;
	int fd;

	write_whole(&h);
	fd = open(path, O_RDWR | O_CLOEXEC);
	cr_assert_eq(pread(fd, a, sizeof(a), IMAGE_HEADER_SIZE), (ssize_t)sizeof(a));
	cr_assert_eq(pread(fd, b, sizeof(b), IMAGE_HEADER_SIZE + sizeof(a)), (ssize_t)sizeof(b));
	cr_assert_eq(pwrite(fd, b, sizeof(b), IMAGE_HEADER_SIZE), (ssize_t)sizeof(b));
	cr_assert_eq(pwrite(fd, a, sizeof(a), IMAGE_HEADER_SIZE + sizeof(a)), (ssize_t)sizeof(a));
	close(fd);
	cr_assert_eq(image_open(path, key, &image, NULL), 0);
	cr_assert_eq(check_pages(image), 2);
	image_free(image);
}

static bool is_empty(void)
{
	char command[100];

	snprintf(command, sizeof(command), "[ -z \"$(ls -A %s)\" ]", dir);
	return system(command) == 0;
}

Test(image, beyond_its_limit_nothing_is_left)
{
	struct image_header h;
	int fd = make_ram();

	cr_assert_eq(write_image(fd, false, 100000, false, &h, NULL), -ENOSPC);
	cr_assert(is_empty());
	cr_assert_eq(write_image(fd, false, UINT64_MAX, true, &h, NULL), -ECANCELED);
	cr_assert(is_empty());
	close(fd);
}

/* A guest's memory over an image: pages come from there when they are first read, unless
 * they were written before, and are in the RAM file from then on. */
Test(image, lies_below_the_memory_of_a_guest)
{
	int ram_fd = memfd_create("guest", MFD_CLOEXEC);
	uint8_t page[PAGE_SIZE_BYTES], expected[PAGE_SIZE_BYTES], other[PAGE_SIZE_BYTES];
	struct ram_image *ram = NULL;
	struct image_header h;
	struct image *image;
	int fd;

	memset(other, 0xab, sizeof(other));
	write_whole(&h);
	fd = open(path, O_RDWR | O_CLOEXEC);
	flip(fd, IMAGE_HEADER_SIZE + 5 * (PAGE_SIZE_BYTES + 16) + 9); /* slot 5 is page 16 */
	close(fd);
	cr_assert_eq(image_open(path, key, &image, NULL), 0);
	cr_assert_eq(ftruncate(ram_fd, PAGES * PAGE_SIZE_BYTES), 0);
	cr_assert_eq(pwrite(ram_fd, other, sizeof(other), PAGE_SIZE_BYTES), PAGE_SIZE_BYTES);
	cr_assert_eq(ram_image_open(ram_fd, PAGES * PAGE_SIZE_BYTES, &ram, NULL), 0);
	cr_assert_eq(ram_image_set_source(ram, image), 0);
	cr_assert_eq(ram_image_put(ram, 4, 1, other), 0);
	cr_assert_eq(ram_image_zero(ram, 7, 1), 0);
	for (unsigned i = 0; i < PAGES; i++) {
		fill_page(i, expected);
		if (i == 1 || i == 4) /* the first was there before */
			memcpy(expected, other, sizeof(expected));
		if (i == 7 || i == 16) /* the second is damaged in the image */
			memset(expected, 0, sizeof(expected));
		cr_assert_eq(ram_image_get(ram, i, page), 0);
		cr_assert_arr_eq(page, expected, sizeof(page), "page %u", i);
		cr_assert_eq(pread(ram_fd, page, sizeof(page), i * PAGE_SIZE_BYTES),
			     PAGE_SIZE_BYTES);
		cr_assert_arr_eq(page, expected, sizeof(page), "page %u in the file", i);
	}
	cr_assert_eq(ram_image_put(ram, 10, 1, other), 0);
	cr_assert_eq(ram_image_get(ram, 10, page), 0);
	cr_assert_arr_eq(page, other, sizeof(page), "what was written stays");
	ram_image_free(ram);
	image_free(image);
	close(ram_fd);
}

/* One move of a guest whose memory is what the image has, and the table says so. */
struct same_move {
	struct reference *ref;
	struct page_batch batch;
	struct page_placer *placer;
	struct ram_image *ram;
	int ram_fd;
};

static void same_move_begin(struct same_move *m, const struct image *image)
{
	const struct image_manifest *manifest = image_manifest(image);
	uint8_t secret[PAGE_SECRET_SIZE];

	image_hash_key(key, secret);
	m->ram_fd = memfd_create("guest", MFD_CLOEXEC);
	cr_assert_eq(ftruncate(m->ram_fd, PAGES * PAGE_SIZE_BYTES), 0);
	cr_assert_eq(ram_image_open(m->ram_fd, PAGES * PAGE_SIZE_BYTES, &m->ram, NULL), 0);
	cr_assert_eq(ram_image_set_source(m->ram, image), 0);
	cr_assert_eq(page_placer_new(m->ram, secret, &m->placer), 0);
	cr_assert_eq(reference_new(PAGES, secret, 0, &m->ref), 0);
	cr_assert_eq(page_batch_init(&m->batch, m->ref), 0);
	for (unsigned i = 0; i < PAGES; i++)
		if (page_is_data(i))
			reference_load(m->ref, i,
				       image_manifest_hash(manifest, image_manifest_slot(manifest, i)),
				       NULL);
}

static void same_move_end(struct same_move *m)
{
	page_batch_exit(&m->batch);
	page_placer_free(m->placer);
	reference_free(m->ref);
	ram_image_free(m->ram);
	close(m->ram_fd);
}

static void deliver(struct same_move *m)
{
	static uint8_t payload[PAGE_PAYLOAD_MAX];
	struct mg_error err = { 0 };
	struct page_stats stats;
	size_t len = page_batch_encode(&m->batch, PAGE_EFFORT_FASTEST, payload, &stats);

	cr_assert_eq(page_placer_place(m->placer, payload, len, &stats, &err), 0, "%s", err.text);
	page_batch_reset(&m->batch);
}

static void send_pages(struct same_move *m, unsigned first, unsigned end)
{
	uint8_t page[PAGE_SIZE_BYTES];

	for (unsigned i = first; i < end; i++) {
		fill_page(i, page);
		page_batch_add(&m->batch, i, page);
	}
	deliver(m);
}

static void answer(struct same_move *m)
{
	struct page_set *asked = page_placer_unasked(m->placer);
	uint8_t page[PAGE_SIZE_BYTES];
	uint64_t i;

	while (asked->count) {
		page_set_take(asked, 1, &i);
		fill_page((unsigned)i, page);
		page_batch_add_whole(&m->batch, i, page);
		if (page_batch_full(&m->batch))
			deliver(m);
	}
	deliver(m);
}

Test(image, lost_in_the_middle_of_a_move_its_pages_are_asked_for)
{
	uint8_t page[PAGE_SIZE_BYTES], expected[PAGE_SIZE_BYTES];
	struct image_header h;
	struct same_move m;
	struct image *image;

	write_whole(&h);
	cr_assert_eq(image_open(path, key, &image, NULL), 0);
	same_move_begin(&m, image);
	send_pages(&m, 0, PAGES / 2);
	cr_assert_eq(page_placer_missing(m.placer), 0, "what is in the image was not found");
	cr_assert_eq(truncate(path, IMAGE_HEADER_SIZE), 0);
	send_pages(&m, PAGES / 2, PAGES);
	cr_assert_eq(page_placer_missing(m.placer), PAGES / 2 / 3);
	answer(&m);
	cr_assert_eq(page_placer_missing(m.placer), 0);
	for (unsigned i = 0; i < PAGES; i++) {
		fill_page(i, expected);
		cr_assert_eq(pread(m.ram_fd, page, sizeof(page), i * PAGE_SIZE_BYTES),
			     PAGE_SIZE_BYTES);
		cr_assert_arr_eq(page, expected, sizeof(page), "page %u", i);
	}
	same_move_end(&m);
	image_free(image);
}

static bool go_on(void *userdata)
{
	const bool *stop = userdata;

	return !*stop;
}

/* Both ends of a base image: where the source finds a page, the target reads it. */
Test(image, pages_are_found_by_their_hashes)
{
	static const uint8_t move_secret[PAGE_SECRET_SIZE] = { 7 };
	struct image_index *index = NULL;
	struct page_source there, here;
	uint8_t page[PAGE_SIZE_BYTES], got[PAGE_SIZE_BYTES];
	struct page_hasher hasher;
	bool stop = false;
	struct page_hash hash;
	struct image_header h;
	struct image *image;
	uint64_t slot;

	write_whole(&h);
	cr_assert_eq(image_open(path, key, &image, NULL), 0);
	cr_assert_eq(page_hasher_init(&hasher, move_secret), 0);
	cr_assert_eq(image_index_new(image, &hasher, go_on, &stop, &index), 0);
	here = image_index_source(index);
	there = image_page_source(image);
	for (unsigned i = 0; i < PAGES; i++) {
		fill_page(i, page);
		hash = page_hash(&hasher, page);
		cr_assert_eq(here.ops->lookup(here.userdata, &hash, &slot), page_is_data(i));
		if (!page_is_data(i))
			continue;
		cr_assert_eq(there.ops->read(there.userdata, slot, got), 0);
		cr_assert_arr_eq(got, page, sizeof(page));
	}
	cr_assert_eq(there.ops->read(there.userdata, h.slots, got), -ENOENT);
	image_index_free(index);
	stop = true;
	cr_assert_eq(image_index_new(image, &hasher, go_on, &stop, &index), -ECANCELED);
	page_hasher_exit(&hasher);
	image_free(image);
}
