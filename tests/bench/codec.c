/* SPDX-License-Identifier: Apache-2.0
 *
 * The page codec over images of guests' RAM: bytes, and megabytes a second of
 * guest memory on one processor, at both ends.
 *
 *     codec IMAGE [LATER]...
 *
 * The first image is sent as a cold move: whole pages by LZ4, then with all ways to send
 * a page, and then by Zstandard, as it is on a link that is the bottleneck, at each level. Each later one (of the
 * same guest, after a while) is sent as a further round of that move, pages that changed only, and
 * as the way back to a host that kept the first one, all pages. What the target has in the end is
 * compared with the image.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "common/clock.h"
#include "migrator/page_batch.h"
#include "migrator/page_placer.h"

#define LZ4 (PAGE_EFFORT_THRIFTY + 1) /* as an effort */
#define SHADOWS ((size_t)64 << 20)

struct image {
	const uint8_t *data;
	uint64_t pages;
};

struct ends { /* a source and a target */
	struct reference *ref;
	struct page_placer *placer;
	struct ram_image *ram;
	int fd;
	uint64_t pages;
};

struct row {
	const char *what;
	int effort;
	uint64_t pages, wire_bytes, encode_ns, place_ns;
	uint64_t kinds[PAGE_KINDS];
};

static const uint8_t secret[PAGE_SECRET_SIZE] = "any that both ends have";

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static struct image open_image(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	struct image i;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(path);
	i.pages = (uint64_t)st.st_size / PAGE_SIZE_BYTES;
	i.data =
		mmap(NULL, i.pages * PAGE_SIZE_BYTES, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (i.data == MAP_FAILED)
		die(path);
	close(fd);
	return i;
}

static const uint8_t *page_of(const struct image *i, uint64_t page)
{
	return i->data + page * PAGE_SIZE_BYTES;
}

static void ends_open(struct ends *e, uint64_t pages)
{
	e->pages = pages;
	e->fd = memfd_create("target", MFD_CLOEXEC);
	if (e->fd < 0 || ftruncate(e->fd, (off_t)(pages * PAGE_SIZE_BYTES)) < 0 ||
	    ram_image_open(e->fd, pages * PAGE_SIZE_BYTES, &e->ram, NULL) < 0 ||
	    page_placer_new(e->ram, secret, &e->placer) < 0 ||
	    reference_new(pages, secret, SHADOWS, &e->ref) < 0)
		die("no memory for the ends");
}

static void ends_close(struct ends *e)
{
	page_placer_free(e->placer);
	ram_image_free(e->ram);
	reference_free(e->ref);
	close(e->fd);
}

static void send_batch(struct ends *e, struct page_batch *b, struct row *row)
{
	static uint8_t payload[PAGE_PAYLOAD_MAX];
	struct mg_error err = { 0 };
	struct page_stats stats;
	uint64_t from = cpu_ns();
	size_t len = page_batch_encode(b, row->effort, payload, &stats);

	row->encode_ns += cpu_ns() - from;
	row->wire_bytes += len;
	for (unsigned k = 0; k < PAGE_KINDS; k++)
		row->kinds[k] += stats.pages[k];
	from = cpu_ns();
	if (page_placer_place(e->placer, payload, len, &stats, &err) < 0) {
		fprintf(stderr, "codec: %s\n", err.text);
		exit(1);
	}
	row->place_ns += cpu_ns() - from;
	page_batch_reset(b);
}

typedef void (*add_fn)(struct page_batch *b, uint64_t page, const uint8_t *data);

/* `old`: what is the same there is not sent; NULL: all pages are. */
static void send_image(struct ends *e, const struct image *now, const struct image *old, add_fn add,
		       struct row *row)
{
	static struct page_batch batch;
	uint64_t page = 0;

	if (page_batch_init(&batch, e->ref) < 0)
		die("no memory for a batch");
	while (page < now->pages) {
		uint64_t from = cpu_ns();

		for (; page < now->pages && !page_batch_full(&batch); page++) {
			if (old &&
			    memcmp(page_of(now, page), page_of(old, page), PAGE_SIZE_BYTES) == 0)
				continue;
			add(&batch, page, page_of(now, page));
			row->pages++;
		}
		row->encode_ns += cpu_ns() - from;
		if (!page_batch_empty(&batch))
			send_batch(e, &batch, row);
	}
	page_batch_exit(&batch);
}

static void check(const struct ends *e, const struct image *now)
{
	uint8_t *ram = mmap(NULL, e->pages * PAGE_SIZE_BYTES, PROT_READ, MAP_SHARED, e->fd, 0);

	if (ram == MAP_FAILED || memcmp(ram, now->data, e->pages * PAGE_SIZE_BYTES) != 0 ||
	    page_placer_missing(e->placer)) {
		fprintf(stderr, "codec: the target has something else\n");
		exit(1);
	}
	munmap(ram, e->pages * PAGE_SIZE_BYTES);
}

static void show(const struct row *r)
{
	uint64_t data = r->pages - r->kinds[PAGE_ZERO];
	double mb = (double)data * PAGE_SIZE_BYTES / 1e6;

	printf("%-10s %8" PRIu64 " %9.1f %9.2f %9.0f %9.0f", r->what, data, mb,
	       (double)r->wire_bytes / 1e6, mb * 1e9 / (double)r->encode_ns,
	       mb * 1e9 / (double)r->place_ns);
	for (unsigned k = PAGE_DATA; k < PAGE_KINDS; k++)
		printf(" %8" PRIu64, r->kinds[k]);
	printf("\n");
}

/* A host that kept this image, and a source that has its manifest. */
static void keep(struct ends *e, const struct image *i)
{
	const struct page_hasher *h = reference_hasher(e->ref);

	for (uint64_t page = 0; page < i->pages; page++) {
		uint64_t blocks[PAGE_BLOCKS];
		struct page_hash hash = page_hash(h, page_of(i, page));

		page_hash_blocks(h, page_of(i, page), blocks);
		reference_load(e->ref, page, &hash, blocks);
		if (ram_image_put(e->ram, page, 1, page_of(i, page)) < 0)
			die("target");
	}
}

/* `before`: what the target has by an earlier round of this move, or NULL. */
static void run(struct ends *e, const char *what, int effort, const struct image *now,
		const struct image *before, add_fn add)
{
	struct row row = { .what = what, .effort = effort };

	send_image(e, now, before, add, &row);
	check(e, now);
	show(&row);
}

static void run_later(struct ends *e, const struct image *first, const struct image *before,
		      const struct image *later)
{
	struct ends back;

	if (later->pages != first->pages) {
		fprintf(stderr, "codec: images of different sizes\n");
		exit(1);
	}
	run(e, "round", PAGE_EFFORT_THRIFTY, later, before, page_batch_add);
	ends_open(&back, first->pages);
	keep(&back, first);
	run(&back, "way back", PAGE_EFFORT_THRIFTY, later, NULL, page_batch_add);
	ends_close(&back);
}

int main(int argc, char **argv)
{
	struct image first, before;
	struct ends e;

	if (argc < 2) {
		fprintf(stderr, "usage: codec IMAGE [LATER]...\n");
		return 2;
	}
	first = open_image(argv[1]);
	printf("%-10s %8s %9s %9s %9s %9s %8s %8s %8s %8s %8s\n", "", "pages", "MB", "wire MB",
	       "encode/s", "place/s", "whole", "same", "copy", "patch", "delta");
	ends_open(&e, first.pages);
	run(&e, "whole lz4", LZ4, &first, NULL, page_batch_add_whole);
	ends_close(&e);
	ends_open(&e, first.pages);
	run(&e, "cold lz4", LZ4, &first, NULL, page_batch_add);
	ends_close(&e);
	for (int effort = PAGE_EFFORT_SMALLEST; effort < PAGE_EFFORT_THRIFTY; effort++) {
		ends_open(&e, first.pages);
		run(&e, "thorough", effort, &first, NULL, page_batch_add);
		ends_close(&e);
	}
	ends_open(&e, first.pages);
	run(&e, "cold", PAGE_EFFORT_THRIFTY, &first, NULL, page_batch_add);
	before = first;
	for (int i = 2; i < argc; i++) {
		struct image later = open_image(argv[i]);

		run_later(&e, &first, &before, &later);
		before = later;
	}
	ends_close(&e);
	return 0;
}
