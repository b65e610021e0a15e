/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/ram_idle.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"

#define BYTES (((uint64_t)5 << 20) + 4096)
#define AT 777000

static int reserved_file(void)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, BYTES), 0);
	cr_assert_eq(fallocate(fd, 0, 0, BYTES), 0);
	cr_assert_eq(pwrite(fd, "guest", 5, AT), 5);
	return fd;
}

/* What was reserved and never touched looks like a hole to lseek(2). */
static bool has_holes(int fd)
{
	return lseek(fd, 0, SEEK_HOLE) != (off_t)BYTES;
}

Test(ram_idle, touches_all_and_changes_nothing)
{
	struct ram_clear *c;
	uint8_t *expected = calloc(1, BYTES), *found = malloc(BYTES);
	int fd = reserved_file();
	uint64_t end = clock_mono_ns() + 60 * NS_PER_S;

	cr_assert(has_holes(fd));
	cr_assert_eq(ram_clear_start(dup(fd), BYTES, &c), 0);
	while (has_holes(fd) && clock_mono_ns() < end)
		usleep(20000);
	cr_assert_not(has_holes(fd));
	memcpy(expected + AT, "guest", 5);
	cr_assert_eq(pread(fd, found, BYTES, 0), (ssize_t)BYTES);
	cr_assert_eq(memcmp(expected, found, BYTES), 0);
	ram_clear_free(c);
	close(fd);
	free(expected);
	free(found);
}

Test(ram_idle, ends_when_it_is_told_to)
{
	struct ram_clear *c;
	int fd = reserved_file();

	cr_assert_eq(ram_clear_start(dup(fd), BYTES, &c), 0);
	ram_clear_free(c);
	cr_assert(has_holes(fd), "it had hardly begun");
	ram_clear_free(NULL);
	close(fd);
}
