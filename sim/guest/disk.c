/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/guest/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"

#define BLOCKS 256
#define PAUSE_NS 20000000

struct disk {
	int fd;
	struct pattern pattern;
	struct disk_counts *counts;
	void (*on_error)(uint64_t block, const char *what);
	_Alignas(PATTERN_PAGE) uint8_t buffer[PATTERN_PAGE];
};

static void failed(struct disk *d, uint64_t block, const char *what)
{
	d->counts->errors++;
	d->on_error(block, what);
}

static void write_block(struct disk *d, uint64_t block, uint64_t generation)
{
	pattern_fill(&d->pattern, d->buffer, block, generation);
	if (pwrite(d->fd, d->buffer, PATTERN_PAGE, (off_t)(block * PATTERN_PAGE)) != PATTERN_PAGE)
		failed(d, block, "write");
	else
		d->counts->writes++;
}

static void check_block(struct disk *d, uint64_t block, uint64_t generation)
{
	struct pattern_label found;
	enum page_state state;

	memset(d->buffer, 0, sizeof(d->buffer));
	if (pread(d->fd, d->buffer, PATTERN_PAGE, (off_t)(block * PATTERN_PAGE)) != PATTERN_PAGE) {
		failed(d, block, "read");
		return;
	}
	state = pattern_check(&d->pattern, d->buffer, block, generation, &found);
	if (state != PAGE_SOUND)
		failed(d, block, page_state_name(state));
}

int disk_exercise(const char *device, uint64_t seed, struct disk_counts *counts,
		  void (*on_error)(uint64_t block, const char *what))
{
	static struct disk d;
	char path[64];

	snprintf(path, sizeof(path), "/dev/%s", device);
	d.counts = counts;
	d.on_error = on_error;
	pattern_init(&d.pattern, seed, 1.0, 8);
	d.fd = open(path, O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
	if (d.fd < 0)
		return -errno;
	for (uint64_t n = 0;; n++) {
		uint64_t block = n % BLOCKS, generation = n / BLOCKS;

		write_block(&d, block, generation);
		check_block(&d, block, generation);
		/* The block that will be written next is the oldest. */
		if (generation > 0)
			check_block(&d, (block + 1) % BLOCKS, generation - (block + 1 < BLOCKS));
		nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
	}
}
