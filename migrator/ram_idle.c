/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/ram_idle.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define DELAY_MS 2000 /* a guest that has just begun to run needs the processors */
#define CHUNK ((uint64_t)2 << 20)
#define RELEASE_CHUNK ((off_t)8 << 20)
#define PAGE 4096

#ifndef MADV_POPULATE_READ /* Linux 5.14, glibc 2.35 */
#define MADV_POPULATE_READ 22
#endif

/* ---- Clearing --------------------------------------------------------------------- */

struct ram_clear {
	pthread_t thread;
	int fd;
	int stop_fd;
	uint64_t bytes;
};

static bool stopped_within(const struct ram_clear *c, int ms)
{
	struct pollfd p = { .fd = c->stop_fd, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

static int clear_chunk(const struct ram_clear *c, uint64_t at)
{
	size_t len = (size_t)(c->bytes - at < CHUNK ? c->bytes - at : CHUNK);
	volatile uint8_t *map = mmap(NULL, len, PROT_READ, MAP_SHARED, c->fd, (off_t)at);

	if (map == MAP_FAILED)
		return -errno;
	if (madvise((void *)map, len, MADV_POPULATE_READ) < 0 && errno == EINVAL)
		for (size_t i = 0; i < len; i += PAGE) /* an older kernel */
			(void)map[i];
	munmap((void *)map, len);
	return 0;
}

static void *clear_main(void *userdata)
{
	struct ram_clear *c = userdata;
	const struct sched_param lowest = { 0 };

	(void)pthread_setschedparam(pthread_self(), SCHED_IDLE, &lowest);
	if (stopped_within(c, DELAY_MS))
		return NULL;
	for (uint64_t at = 0; at < c->bytes && !stopped_within(c, 0); at += CHUNK)
		if (clear_chunk(c, at) < 0)
			break;
	return NULL;
}

int ram_clear_start(int fd, uint64_t bytes, struct ram_clear **ret)
{
	struct ram_clear *c = malloc(sizeof(*c));
	int r = -ENOMEM;

	if (c) {
		*c = (struct ram_clear){ .fd = fd, .bytes = bytes };
		c->stop_fd = eventfd(0, EFD_CLOEXEC);
		r = c->stop_fd < 0 ? -errno : -pthread_create(&c->thread, NULL, clear_main, c);
		if (r == 0) {
			*ret = c;
			return 0;
		}
		if (c->stop_fd >= 0)
			close(c->stop_fd);
		free(c);
	}
	close(fd);
	return r;
}

void ram_clear_free(struct ram_clear *c)
{
	if (!c)
		return;
	eventfd_write(c->stop_fd, 1);
	pthread_join(c->thread, NULL);
	close(c->stop_fd);
	close(c->fd);
	free(c);
}

/* ---- Giving back --------------------------------------------------------------------- */

static void *release_main(void *userdata)
{
	int fd = (int)(intptr_t)userdata;
	struct stat st;

	for (off_t at = 0; fstat(fd, &st) == 0 && at < st.st_size; at += RELEASE_CHUNK)
		(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, RELEASE_CHUNK);
	close(fd);
	return NULL;
}

void ram_release(int fd)
{
	pthread_t thread;

	if (fd < 0)
		return;
	if (pthread_create(&thread, NULL, release_main, (void *)(intptr_t)fd) == 0)
		pthread_detach(thread);
	else
		close(fd);
}
