/* SPDX-License-Identifier: Apache-2.0
 *
 * What lies on the disk beside a VM about its arrival, of as many pages as it says itself.
 */
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "migrator/arrival.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGES_AT 32 /* in the header */
#define PAGES_MAX 512

static char path[] = "/tmp/fuzz-arrival-XXXXXX";
static int fd = -1;

static void remove_file(void)
{
	(void)unlink(path);
}

static void make_file(void)
{
	fd = mkstemp(path);
	if (fd < 0)
		abort();
	(void)atexit(remove_file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t secret[PAGE_SECRET_SIZE];
	static const struct uuid image;
	struct reference *ref;
	struct arrived *a;
	uint64_t pages;

	if (fd < 0)
		make_file();
	if (size < PAGES_AT + sizeof(pages))
		return 0;
	memcpy(&pages, data + PAGES_AT, sizeof(pages));
	pages = be64toh(pages);
	if (pages == 0 || pages > PAGES_MAX)
		return 0;
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	if (arrived_open(path, &image, pages, &a) < 0)
		return 0;
	if (arrived_known(a) > pages || reference_new(pages, secret, 0, &ref) < 0 ||
	    arrived_load(a, ref, NULL, NULL) < 0)
		abort();
	reference_free(ref);
	arrived_free(a);
	return 0;
}
