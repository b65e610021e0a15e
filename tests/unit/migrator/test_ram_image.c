/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/ram_image.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/migrator/huge_pages.h"

#define BYTES ((uint64_t)4 << 20)
#define PAGES (BYTES / RAM_IMAGE_PAGE)

static uint8_t page[RAM_IMAGE_PAGE], got[RAM_IMAGE_PAGE], pair[2 * RAM_IMAGE_PAGE];

static bool is_zero(struct ram_image *image, uint64_t at)
{
	static const uint8_t zero[RAM_IMAGE_PAGE];

	cr_assert_eq(ram_image_get(image, at, got), 0);
	return memcmp(got, zero, sizeof(zero)) == 0;
}

/* What holds for any file; one byte is in it already. */
static void try_file(int fd)
{
	struct ram_image *image;
	struct mg_error err;

	cr_assert_eq(ram_image_open(fd, BYTES + RAM_IMAGE_PAGE, &image, &err), -EINVAL);
	cr_assert_eq(ram_image_open(fd, BYTES, &image, &err), 0, "%s", err.text);
	cr_assert_eq(ram_image_pages(image), PAGES);
	cr_assert_not(is_zero(image, 9));
	cr_assert_eq(ram_image_zero(image, 0, PAGES), 0);
	cr_assert(is_zero(image, 9));
	memset(pair, 0x5a, sizeof(pair));
	cr_assert_eq(ram_image_put(image, PAGES - 2, 2, pair), 0);
	cr_assert_eq(ram_image_get(image, PAGES - 1, got), 0);
	cr_assert_arr_eq(got, pair, sizeof(got));
	cr_assert(is_zero(image, PAGES - 3));
	cr_assert_eq(ram_image_zero(image, PAGES - 1, 1), 0);
	cr_assert(is_zero(image, PAGES - 1));
	cr_assert_not(is_zero(image, PAGES - 2));
	ram_image_free(image);
	cr_assert_eq(pread(fd, got, sizeof(got), (off_t)((PAGES - 2) * RAM_IMAGE_PAGE)),
		     (ssize_t)sizeof(got));
	cr_assert_arr_eq(got, pair, sizeof(got));
}

Test(ram_image, a_file_of_a_tmpfs)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);

	cr_assert_eq(ftruncate(fd, (off_t)BYTES), 0);
	cr_assert_eq(pwrite(fd, "x", 1, (off_t)9 * RAM_IMAGE_PAGE + 5), 1);
	try_file(fd);
	close(fd);
}

/* As for a QEMU that waits for missing pages: one that was reserved is none. */
Test(ram_image, whole_is_what_has_no_holes)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);

	cr_assert_eq(ftruncate(fd, (off_t)BYTES), 0);
	cr_assert_eq(ram_image_is_whole(fd), 0);
	cr_assert_eq(fallocate(fd, 0, 0, (off_t)BYTES), 0);
	cr_assert_eq(ram_image_is_whole(fd), 1);
	cr_assert_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)7 * RAM_IMAGE_PAGE,
			       RAM_IMAGE_PAGE), 0);
	cr_assert_eq(ram_image_is_whole(fd), 0);
	cr_assert_eq(pwrite(fd, "x", 1, (off_t)7 * RAM_IMAGE_PAGE), 1);
	cr_assert_eq(ram_image_is_whole(fd), 1);
	close(fd);
	cr_assert_eq(ram_image_is_whole(fd), -EBADF);
}

Test(ram_image, a_file_of_huge_pages)
{
	uint8_t *map;
	int fd;

	huge_pages_allow((int)(BYTES >> 21));
	fd = memfd_create("ram", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, (off_t)BYTES), 0);
	cr_assert_eq(fallocate(fd, 0, 0, (off_t)BYTES), 0);
	map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq(map, MAP_FAILED);
	map[9 * RAM_IMAGE_PAGE + 5] = 'x';
	munmap(map, BYTES);
	try_file(fd);
	close(fd);
	huge_pages_allow(-(int)(BYTES >> 21));
}

Test(ram_image, a_page_that_cannot_be_written_is_an_error)
{
	struct ram_image *image;
	int fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	cr_assert_eq(ftruncate(fd, (off_t)BYTES), 0);
	cr_assert_eq(ram_image_open(fd, BYTES, &image, NULL), 0);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	cr_assert_eq(ram_image_put(image, 0, 1, page), -EPERM);
	ram_image_free(image);
	close(fd);
}
