/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/arrival.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cursor.h"
#include "common/file.h"
#include "migrator/page.h"

#define MAGIC "tagarriv"
#define VERSION 2
#define BITS 64
#define RUN PAGE_CHECK_RUN /* pages that are written or read at once */
#define BLOCKS_SIZE (PAGE_BLOCKS * sizeof(uint64_t))

struct arrival {
	char *path;
	int fd;
	struct uuid image;
	uint64_t pages;
	_Atomic uint64_t *known; /* a bit a page: it is other than zero */
	atomic_int error;
	bool finished;
};

/* ---- Layout ------------------------------------------------------------------------ */

static off_t hash_at(uint64_t page)
{
	return (off_t)(ARRIVAL_HEADER_SIZE + page * sizeof(struct page_hash));
}

static off_t blocks_at(uint64_t pages, uint64_t page)
{
	return hash_at(pages) + (off_t)(page * BLOCKS_SIZE);
}

static int read_at(int fd, void *data, size_t len, off_t offset)
{
	uint8_t *p = data;

	while (len) {
		ssize_t n = pread(fd, p, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		p += n;
		len -= (size_t)n;
		offset += n;
	}
	return 0;
}

/* ---- Writing ----------------------------------------------------------------------- */

int arrival_new(const char *path, const struct uuid *image, uint64_t pages, struct arrival **ret,
		struct mg_error *err)
{
	_cleanup_(arrival_free_p) struct arrival *a = calloc(1, sizeof(*a));

	if (!a)
		return mg_error_set(err, -ENOMEM, "out of memory");
	a->fd = -1;
	a->image = *image;
	a->pages = pages;
	a->known = calloc(pages / BITS + 1, sizeof(*a->known));
	a->path = strdup(path);
	if (!a->known || !a->path)
		return mg_error_set(err, -ENOMEM, "out of memory");
	a->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (a->fd < 0 || ftruncate(a->fd, blocks_at(pages, pages)) < 0)
		return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	*ret = TAKE_PTR(a);
	return 0;
}

void arrival_free(struct arrival *a)
{
	if (!a)
		return;
	if (a->fd >= 0) {
		close(a->fd);
		if (!a->finished)
			(void)unlink(a->path);
	}
	free(a->path);
	free(a->known);
	free(a);
}

/* The first one is kept: with a page missing the rest is of no use. */
static void note_error(struct arrival *a, int r)
{
	int none = 0;

	if (r < 0)
		(void)atomic_compare_exchange_strong(&a->error, &none, r);
}

static void note_run(struct arrival *a, const struct page_hasher *hasher, uint64_t page,
		     uint64_t count, const uint8_t *data, const struct page_hash *hashes)
{
	struct page_hash made[RUN];
	uint64_t blocks[RUN][PAGE_BLOCKS];

	for (uint64_t i = 0; i < count; i++) {
		const uint8_t *at = data + i * PAGE_SIZE_BYTES;

		made[i] = hashes ? hashes[i] : page_hash(hasher, at);
		page_hash_blocks(hasher, at, blocks[i]);
		atomic_fetch_or_explicit(&a->known[(page + i) / BITS],
					 UINT64_C(1) << (page + i) % BITS, memory_order_relaxed);
	}
	note_error(a, file_write_at(a->fd, made, count * sizeof(made[0]), hash_at(page)));
	note_error(a, file_write_at(a->fd, blocks, count * sizeof(blocks[0]),
				    blocks_at(a->pages, page)));
}

void arrival_note(struct arrival *a, const struct page_hasher *hasher, uint64_t page,
		  uint64_t count, const uint8_t *data, const struct page_hash *hashes)
{
	for (uint64_t done = 0; done < count && !atomic_load(&a->error); done += RUN)
		note_run(a, hasher, page + done, count - done < RUN ? count - done : RUN,
			 data + done * PAGE_SIZE_BYTES, hashes ? hashes + done : NULL);
}

void arrival_note_zero(struct arrival *a, uint64_t page, uint64_t count)
{
	static const struct page_hash zero;

	for (uint64_t i = page; i < page + count; i++) {
		uint64_t bit = UINT64_C(1) << i % BITS;

		if (!atomic_load_explicit(&a->known[i / BITS], memory_order_relaxed)) {
			i |= BITS - 1; /* none of the 64 around it */
			continue;
		}
		if (atomic_fetch_and_explicit(&a->known[i / BITS], ~bit, memory_order_relaxed) &
		    bit)
			note_error(a, file_write_at(a->fd, &zero, sizeof(zero), hash_at(i)));
	}
}

int arrival_finish(struct arrival *a, struct mg_error *err)
{
	uint8_t header[ARRIVAL_HEADER_SIZE] = { 0 };
	struct wcursor c = wcursor_over(header, sizeof(header));
	uint64_t known = 0;
	int r = atomic_load(&a->error);

	for (uint64_t i = 0; i <= a->pages / BITS; i++)
		known += (uint64_t)__builtin_popcountll(atomic_load(&a->known[i]));
	wcursor_bytes(&c, MAGIC, sizeof(MAGIC) - 1);
	wcursor_u64(&c, VERSION);
	wcursor_bytes(&c, a->image.bytes, UUID_SIZE);
	wcursor_u64(&c, a->pages);
	wcursor_u64(&c, known);
	if (r == 0)
		r = file_write_at(a->fd, header, sizeof(header), 0);
	if (r < 0)
		return mg_error_set(err, r, "%s: %s", a->path, strerror(-r));
	a->finished = true;
	return 0;
}

/* ---- Reading ----------------------------------------------------------------------- */

struct arrived {
	int fd;
	uint64_t pages, known;
};

static int check_header(struct arrived *a, const struct uuid *image)
{
	uint8_t header[ARRIVAL_HEADER_SIZE];
	struct rcursor c = rcursor_over(header, sizeof(header));
	uint64_t version, pages;
	struct uuid its_image;
	struct stat st;
	int r = read_at(a->fd, header, sizeof(header), 0);

	if (r < 0)
		return r;
	if (memcmp(rcursor_bytes(&c, sizeof(MAGIC) - 1), MAGIC, sizeof(MAGIC) - 1) != 0)
		return -EBADMSG;
	version = rcursor_u64(&c);
	memcpy(its_image.bytes, rcursor_bytes(&c, UUID_SIZE), UUID_SIZE);
	pages = rcursor_u64(&c);
	a->known = rcursor_u64(&c);
	if (version != VERSION || pages != a->pages || !uuid_equal(&its_image, image))
		return -ESTALE;
	if (fstat(a->fd, &st) < 0)
		return -errno;
	return a->known > pages || st.st_size != blocks_at(pages, pages) ? -EBADMSG : 0;
}

int arrived_open(const char *path, const struct uuid *image, uint64_t pages, struct arrived **ret)
{
	_cleanup_(arrived_free_p) struct arrived *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->pages = pages;
	a->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	r = a->fd < 0 ? -errno : check_header(a, image);
	if (r == 0)
		*ret = TAKE_PTR(a);
	return r;
}

void arrived_free(struct arrived *a)
{
	if (!a)
		return;
	if (a->fd >= 0)
		close(a->fd);
	free(a);
}

uint64_t arrived_known(const struct arrived *a)
{
	return a->known;
}

static bool is_zero(const struct page_hash *hash)
{
	static const struct page_hash zero;

	return page_hash_equal(hash, &zero);
}

static int load_run(const struct arrived *a, uint64_t page, uint64_t count, struct reference *ref)
{
	struct page_hash hashes[RUN];
	uint64_t blocks[RUN][PAGE_BLOCKS], i = 0;
	int r = read_at(a->fd, hashes, count * sizeof(hashes[0]), hash_at(page));

	while (r == 0 && i < count && is_zero(&hashes[i]))
		i++;
	if (r < 0 || i == count)
		return r;
	r = read_at(a->fd, blocks, count * sizeof(blocks[0]), blocks_at(a->pages, page));
	for (; r == 0 && i < count; i++)
		if (!is_zero(&hashes[i]))
			reference_load(ref, page + i, &hashes[i], blocks[i]);
	return r;
}

int arrived_load(const struct arrived *a, struct reference *ref, bool (*go_on)(void *userdata),
		 void *userdata)
{
	int r = 0;

	for (uint64_t page = 0; r == 0 && page < a->pages; page += RUN)
		r = !go_on || go_on(userdata) ? load_run(a, page, a->pages - page < RUN ? a->pages - page : RUN, ref)
				    : -ECANCELED;
	return r;
}
