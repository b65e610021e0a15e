/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/disk_digest.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)
#define DIGEST_SIZE 32

struct entry {
	LIST_ENTRY(entry) link;
	char *path;
	struct stat st; /* of the file that was read */
	int fd;
	pthread_t thread;
	bool joined;
	atomic_bool stop, ended;
	int error; /* valid once it has ended, and */
	char digest[DISK_DIGEST_TEXT_SIZE];
};

struct disk_digests {
	LIST_HEAD(, entry) entries;
};

struct disk_digests *disk_digests_new(void)
{
	return calloc(1, sizeof(struct disk_digests));
}

static void entry_free(struct entry *e)
{
	LIST_REMOVE(e, link);
	atomic_store(&e->stop, true);
	if (!e->joined)
		pthread_join(e->thread, NULL);
	close(e->fd);
	free(e->path);
	free(e);
}

void disk_digests_free(struct disk_digests *d)
{
	if (!d)
		return;
	while (!LIST_EMPTY(&d->entries))
		entry_free(LIST_FIRST(&d->entries));
	free(d);
}

static int compute(struct entry *e, uint8_t digest[DIGEST_SIZE])
{
	crypto_generichash_state state;
	_cleanup_free_ uint8_t *piece = malloc(PIECE);
	ssize_t n;

	if (!piece)
		return -ENOMEM;
	crypto_generichash_init(&state, NULL, 0, DIGEST_SIZE);
	while ((n = read(e->fd, piece, PIECE)) > 0) {
		if (atomic_load(&e->stop))
			return -ECANCELED;
		crypto_generichash_update(&state, piece, (size_t)n);
	}
	if (n < 0)
		return -errno;
	crypto_generichash_final(&state, digest, DIGEST_SIZE);
	return 0;
}

static void *thread_main(void *userdata)
{
	struct entry *e = userdata;
	uint8_t digest[DIGEST_SIZE];

	e->error = compute(e, digest);
	if (e->error == 0)
		sodium_bin2hex(e->digest, sizeof(e->digest), digest, sizeof(digest));
	atomic_store(&e->ended, true);
	return NULL;
}

static int begin(struct disk_digests *d, const char *path, const struct stat *st)
{
	struct entry *e = calloc(1, sizeof(*e));
	sigset_t all, old;
	int r = -ENOMEM;

	if (!e)
		return r;
	e->st = *st;
	e->path = strdup(path);
	e->fd = e->path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (e->path)
		r = e->fd < 0 ? -errno : 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* they are the event loop's */
	if (r == 0)
		r = -pthread_create(&e->thread, NULL, thread_main, e);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0) {
		LIST_INSERT_HEAD(&d->entries, e, link);
		return -EAGAIN;
	}
	if (e->fd >= 0)
		close(e->fd);
	free(e->path);
	free(e);
	return r;
}

static bool is_the_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* What is known of the file as it is now. */
static int look(struct disk_digests *d, const char *path, char ret[DISK_DIGEST_TEXT_SIZE])
{
	struct stat st;
	struct entry *e;
	int r;

	if (stat(path, &st) < 0)
		return -errno;
	LIST_FOREACH(e, &d->entries, link)
		if (strcmp(e->path, path) == 0)
			break;
	if (e && !is_the_same(&e->st, &st)) {
		entry_free(e);
		e = NULL;
	}
	if (!e)
		return begin(d, path, &st);
	if (!atomic_load(&e->ended))
		return -EAGAIN;
	if (!e->joined)
		pthread_join(e->thread, NULL);
	e->joined = true;
	r = e->error;
	memcpy(ret, e->digest, DISK_DIGEST_TEXT_SIZE);
	if (r < 0)
		entry_free(e); /* the next may be luckier */
	return r;
}

int disk_digest_get(struct disk_digests *d, const char *path, char ret[DISK_DIGEST_TEXT_SIZE],
		    struct mg_error *err)
{
	char digest[DISK_DIGEST_TEXT_SIZE] = "";
	int r = look(d, path, digest);

	if (r == 0)
		memcpy(ret, digest, sizeof(digest));
	else if (r != -EAGAIN)
		mg_error_set(err, r, "the base '%.160s': %s", path, strerror(-r));
	return r;
}
