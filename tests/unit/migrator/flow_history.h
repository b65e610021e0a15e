/* SPDX-License-Identifier: Apache-2.0
 *
 * Random moves over the whole data path, drawn from a seed: a guest that keeps changing; an
 * image and a base image that the target has, has damaged, has of another guest or has not at
 * all, whatever the source was told; and connections that end at any byte of
 * either direction and are made again. Whatever happens, the target ends up with the source's
 * memory, or the source still has its guest.
 */
#ifndef TESTS_UNIT_MIGRATOR_FLOW_HISTORY_H
#define TESTS_UNIT_MIGRATOR_FLOW_HISTORY_H

#include "migrator/image.h"
#include "tests/unit/migrator/pipeline.h"

#define HISTORY_CUTS 6

enum history_end {
	HISTORY_HUNG,  /* or failed without a reason */
	HISTORY_WRONG, /* the target has loaded something else */
	HISTORY_MOVED,
	HISTORY_STAYED, /* the connection was lost while the guest stood still */
};

struct history {
	struct pipeline_config c;
	struct image *image[2], *base[2]; /* the source's and the target's */
	uint8_t key[IMAGE_KEY_SIZE];
};

static uint64_t history_rng; /* of the cuts; one history at a time */

static inline uint64_t history_draw(uint64_t below)
{
	return pipe_random(&history_rng) % below;
}

/* The same chance for few bytes and for many. */
static inline size_t history_bytes(unsigned bits)
{
	return 1 + (size_t)history_draw(UINT64_C(1) << (1 + history_draw(bits)));
}

/* ---- Images --------------------------------------------------------------------------------- */

/* The guest as it was at the beginning, with some pages otherwise and some elsewhere. */
static inline int history_ram(const struct pipeline_config *c, uint64_t others)
{
	size_t bytes = (size_t)c->pages * PIPE_PAGE;
	int fd = memfd_create("image", MFD_CLOEXEC);
	uint64_t rng = c->seed;
	uint8_t *ram;

	MUST(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	ram = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	MUST(ram != MAP_FAILED);
	for (unsigned i = 0; i < c->pages; i++)
		pipe_fill(ram + (size_t)i * PIPE_PAGE, &rng);
	for (unsigned i = 0; i < c->pages; i++) {
		uint8_t *page = ram + (size_t)i * PIPE_PAGE;

		if (history_draw(others) == 0)
			pipe_fill(page, &history_rng);
		else if (history_draw(others) == 0)
			memmove(page, ram + history_draw(c->pages) * PIPE_PAGE, PIPE_PAGE);
	}
	munmap(ram, bytes);
	return fd;
}

static inline struct image *history_image(const struct history *h, const char *path,
					  uint64_t others)
{
	int ram_fd = history_ram(&h->c, others);
	const struct image_source source = { .name = "image",
					     .key = h->key,
					     .ram_fd = ram_fd,
					     .ram_bytes = (uint64_t)h->c.pages * PIPE_PAGE };
	atomic_bool stop = false;
	struct image_header header;
	struct image *image;
	struct ring ring;

	MUST(ring_init(&ring, NULL) == 0);
	MUST(image_write(&source, path, UINT64_MAX, &ring, &stop, &header, NULL) == 0);
	MUST(image_open(path, h->key, &image, NULL) == 0);
	ring_exit(&ring);
	close(ram_fd);
	return image;
}

/* Every so many bytes of its pages one is another. */
static inline void history_damage(const char *path, uint64_t every)
{
	struct image_header header;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	MUST(fd >= 0 && image_header_read(path, &header, NULL) == 0);
	for (uint64_t at = IMAGE_HEADER_SIZE + history_draw(every);
	     at < IMAGE_HEADER_SIZE + header.slots * PIPE_PAGE; at += every) {
		MUST(pread(fd, &byte, 1, (off_t)at) == 1);
		byte ^= 0x20;
		MUST(pwrite(fd, &byte, 1, (off_t)at) == 1);
	}
	close(fd);
}

/* An image at both ends: ret[1], the target's, is the same, damaged, of another guest, or none. */
static inline void history_images(const struct history *h, struct image *ret[2])
{
	char path[] = "/tmp/tagalong-history-XXXXXX";
	int fd = mkstemp(path);

	MUST(fd >= 0);
	close(fd);
	ret[0] = history_image(h, path, 4);
	switch (history_draw(4)) {
	case 0:
		history_damage(path, 20 * PIPE_PAGE);
		/* fall through */
	case 1:
		MUST(image_open(path, h->key, &ret[1], NULL) == 0);
		break;
	case 2:
		ret[1] = history_image(h, path, 3);
		break;
	default:
		ret[1] = NULL;
	}
	unlink(path);
}

/* ---- A move ------------------------------------------------------------------------------------
 */

static inline void history_next_harm(struct pipeline_config *c)
{
	c->harm = (struct relay_harm){ .kind = HARM_NONE };
	if (!c->cuts)
		return;
	if (history_draw(3))
		c->harm.there_max = history_bytes(21);
	else
		c->harm.back_max = history_bytes(12);
	c->harm.target_unaware = history_draw(2);
}

/* The first of `*count` seeds, or the one of TAGALONG_SEED alone. */
static inline uint64_t history_seeds(uint64_t *count)
{
	const char *seed = getenv("TAGALONG_SEED");

	if (!seed)
		return 1;
	*count = 1;
	return strtoull(seed, NULL, 10);
}

static inline void history_begin(struct history *h, uint64_t seed)
{
	*h = (struct history){ 0 };
	history_rng = seed;
	h->c = (struct pipeline_config){ .seed = pipe_random(&history_rng),
					 .pages = 100 + (unsigned)history_draw(1200),
					 .rounds = 1 + (unsigned)history_draw(4),
					 .plain_text = history_draw(4) == 0,
					 .fast = true,
					 .short_tail = history_draw(2),
					 .shadow_bytes = history_draw(3) * 100 * PIPE_PAGE,
					 .thrifty = history_draw(2),
					 .stream = (uint16_t)history_draw(3),
					 .connections = 1 + (unsigned)history_draw(3),
					 .cuts = (unsigned)history_draw(HISTORY_CUTS + 1),
					 .next_harm = history_next_harm };
	if (history_draw(2))
		history_images(h, h->image);
	if (history_draw(2))
		history_images(h, h->base);
	image_hash_key(h->key, h->c.page_secret);
	h->c.held = h->image[0] ? image_manifest(h->image[0]) : NULL;
	h->c.target_image = h->image[1];
	h->c.source_base = h->base[0];
	h->c.target_base = h->base[1];
	history_next_harm(&h->c);
}

/* Moves the guest; pipeline_end() and history_end() follow. */
static inline enum history_end history_run(struct history *h, struct pipeline *p)
{
	bool ended = pipeline_run(p, &h->c);

	if (!ended || p->in_failed || (p->out_failed && !p->stopped))
		return HISTORY_HUNG;
	if (pipe_is_broken(p))
		return atomic_load(&p->shut) ? HISTORY_WRONG : HISTORY_STAYED;
	return pipeline_same(p) ? HISTORY_MOVED : HISTORY_WRONG;
}

static inline void history_end(struct history *h)
{
	for (unsigned i = 0; i < 2; i++) {
		image_free(h->image[i]);
		image_free(h->base[i]);
	}
}

#endif
