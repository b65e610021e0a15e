/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/ram_image.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "common/file.h"
#include "migrator/image.h"

#define BITS RAM_IMAGE_RUN /* a word of bits is one thread's to write */

struct ram_image {
	int fd;
	uint64_t bytes;
	uint8_t *map; /* of huge pages; else NULL */
	_Atomic uint64_t *touched; /* a bit a page: it may be other than zero */
	const struct image *source;
	_Atomic uint64_t *open; /* with a source, a bit a page: it comes from there when it is read */
};

static bool has_bit(const _Atomic uint64_t *bits, uint64_t page)
{
	return atomic_load_explicit(&bits[page / BITS], memory_order_relaxed) >> page % BITS & 1;
}

static void set_bit(_Atomic uint64_t *bits, uint64_t page, bool on)
{
	_Atomic uint64_t *word = &bits[page / BITS];
	uint64_t bit = UINT64_C(1) << page % BITS;
	uint64_t old = atomic_load_explicit(word, memory_order_relaxed);

	atomic_store_explicit(word, on ? old | bit : old & ~bit, memory_order_relaxed);
}

static void touch(struct ram_image *image, uint64_t page, uint64_t count)
{
	for (uint64_t i = page; i < page + count; i++)
		set_bit(image->touched, i, true);
}

/* Marks what is data in the file already: QEMU may have put something there, or
 * the file was used before. */
static int mark_data(struct ram_image *image)
{
	int fd = image->fd;
	off_t at = 0, end = (off_t)image->bytes;

	while (at < end) {
		off_t data = lseek(fd, at, SEEK_DATA), hole;

		if (data < 0)
			return errno == ENXIO ? 0 : -errno; /* ENXIO: holes to the end */
		if (data >= end)
			return 0;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		if (hole > end)
			hole = end;
		at = (hole + RAM_IMAGE_PAGE - 1) / RAM_IMAGE_PAGE * RAM_IMAGE_PAGE;
		data /= RAM_IMAGE_PAGE;
		touch(image, (uint64_t)data, (uint64_t)(at / RAM_IMAGE_PAGE - data));
	}
	return 0;
}

/* A hugetlbfs takes no write(2) (hugetlbfs(5) of Linux: Documentation/admin-guide/mm). */
static int map_huge_pages(struct ram_image *image)
{
	struct statfs fs;
	void *map;

	if (fstatfs(image->fd, &fs) < 0)
		return -errno;
	if (fs.f_type != HUGETLBFS_MAGIC)
		return 0;
	map = mmap(NULL, image->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, image->fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	image->map = map;
	return 0;
}

int ram_image_open(int fd, uint64_t bytes, struct ram_image **ret, struct mg_error *err)
{
	_cleanup_(ram_image_free_p) struct ram_image *image = NULL;
	struct stat st;
	int r;

	if (bytes == 0 || bytes % RAM_IMAGE_PAGE)
		return mg_error_set(err, -EINVAL, "%" PRIu64 " bytes of RAM are not whole pages",
				    bytes);
	if (fstat(fd, &st) < 0)
		return mg_error_set(err, -errno, "RAM file: %s", strerror(errno));
	if ((uint64_t)st.st_size < bytes)
		return mg_error_set(err, -EINVAL, "the RAM file has %jd bytes, %" PRIu64 " are "
				    "needed", (intmax_t)st.st_size, bytes);
	image = calloc(1, sizeof(*image));
	if (!image)
		return mg_error_set(err, -ENOMEM, "out of memory");
	image->fd = -1;
	image->bytes = bytes;
	image->touched = calloc(bytes / RAM_IMAGE_PAGE / BITS + 1, sizeof(uint64_t));
	if (!image->touched)
		return mg_error_set(err, -ENOMEM, "out of memory");
	image->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (image->fd < 0)
		return mg_error_set(err, -errno, "RAM file: %s", strerror(errno));
	r = mark_data(image);
	if (r == 0)
		r = map_huge_pages(image);
	if (r < 0)
		return mg_error_set(err, r, "RAM file: %s", strerror(-r));
	*ret = TAKE_PTR(image);
	return 0;
}

void ram_image_free(struct ram_image *image)
{
	if (!image)
		return;
	if (image->map)
		munmap(image->map, image->bytes);
	if (image->fd >= 0)
		close(image->fd);
	free(image->touched);
	free(image->open);
	free(image);
}

uint64_t ram_image_pages(const struct ram_image *image)
{
	return image->bytes / RAM_IMAGE_PAGE;
}

int ram_image_set_source(struct ram_image *image, const struct image *source)
{
	uint64_t pages = ram_image_pages(image);

	if (!source)
		return 0;
	image->open = calloc(pages / BITS + 1, sizeof(uint64_t));
	if (!image->open)
		return -ENOMEM;
	image->source = source;
	for (uint64_t i = 0; i < pages; i++)
		/* all of a file of huge pages counts as touched */
		set_bit(image->open, i, image->map || !has_bit(image->touched, i));
	return 0;
}

/* What is written is the source's no more. */
static void close_pages(struct ram_image *image, uint64_t page, uint64_t count)
{
	for (uint64_t i = page; image->open && i < page + count; i++)
		set_bit(image->open, i, false);
}

static int put(struct ram_image *image, uint64_t page, uint64_t count, const uint8_t *data)
{
	if (!image->map)
		return file_write_at(image->fd, data, count * RAM_IMAGE_PAGE,
				     (off_t)(page * RAM_IMAGE_PAGE));
	memcpy(image->map + page * RAM_IMAGE_PAGE, data, count * RAM_IMAGE_PAGE);
	return 0;
}

int ram_image_put(struct ram_image *image, uint64_t page, uint64_t count, const uint8_t *data)
{
	touch(image, page, count);
	close_pages(image, page, count);
	return put(image, page, count, data);
}

/* Whether the source has the page. One that is damaged there is what the file has. */
static bool read_source(const struct ram_image *image, uint64_t page, uint8_t *data)
{
	uint32_t slot;

	if (!image->open || !has_bit(image->open, page))
		return false;
	slot = image_manifest_slot(image_manifest(image->source), page);
	return slot != IMAGE_NO_SLOT && image_read(image->source, slot, data) == 0;
}

static int read_file(const struct ram_image *image, uint64_t page, uint8_t *data)
{
	size_t have = 0;

	while (have < RAM_IMAGE_PAGE) {
		ssize_t n = pread(image->fd, data + have, RAM_IMAGE_PAGE - have,
				  (off_t)(page * RAM_IMAGE_PAGE + have));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		have += (size_t)n;
	}
	return 0;
}

int ram_image_peek(const struct ram_image *image, uint64_t page, uint8_t *data)
{
	return read_source(image, page, data) ? 0 : read_file(image, page, data);
}

int ram_image_get(struct ram_image *image, uint64_t page, uint8_t *data)
{
	if (read_source(image, page, data))
		return ram_image_put(image, page, 1, data);
	close_pages(image, page, 1);
	return read_file(image, page, data);
}

int ram_image_reserve(struct ram_image *image)
{
	return fallocate(image->fd, 0, 0, (off_t)image->bytes) < 0 ? -errno : 0;
}

int ram_image_is_whole(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return (uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size; /* stat(3type): in units of 512 B */
}

/* All of a file of huge pages counts as touched; to read is cheaper than to write there. */
static int make_zero(struct ram_image *image, uint64_t page)
{
	static const uint8_t zero[RAM_IMAGE_PAGE];

	if (image->map && memcmp(image->map + page * RAM_IMAGE_PAGE, zero, sizeof(zero)) == 0)
		return 0;
	return put(image, page, 1, zero);
}

int ram_image_zero(struct ram_image *image, uint64_t page, uint64_t count)
{
	close_pages(image, page, count);
	for (uint64_t i = page; i < page + count; i++) {
		int r;

		if (!atomic_load_explicit(&image->touched[i / BITS], memory_order_relaxed)) {
			i |= BITS - 1; /* none of the 64 around it */
			continue;
		}
		if (!has_bit(image->touched, i))
			continue;
		r = make_zero(image, i);
		if (r < 0)
			return r;
		set_bit(image->touched, i, false);
	}
	return 0;
}
