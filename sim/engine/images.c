/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/engine/images.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int images_init(struct images *images, uint32_t hosts, uint64_t budget, uint64_t max_age_ns)
{
	*images = (struct images){ budget, max_age_ns, hosts, NULL };
	if (budget == 0)
		return 0;
	images->shelves = calloc(hosts, sizeof(*images->shelves));
	return images->shelves ? 0 : -ENOMEM;
}

void images_clear(struct images *images)
{
	for (uint32_t h = 0; images->shelves && h < images->n_hosts; h++)
		free(images->shelves[h].images);
	free(images->shelves);
}

static void drop(struct shelf *s, uint32_t i)
{
	s->bytes -= s->images[i].bytes;
	s->n--;
	memmove(&s->images[i], &s->images[i + 1], (s->n - i) * sizeof(*s->images));
}

static int add(struct shelf *s, struct image image)
{
	if (s->n == s->room) {
		uint32_t room = s->room ? s->room * 2 : 16;
		struct image *images = reallocarray(s->images, room, sizeof(*images));

		if (!images)
			return -ENOMEM;
		s->images = images;
		s->room = room;
	}
	s->images[s->n++] = image;
	s->bytes += image.bytes;
	return 0;
}

/* Where it is on the shelf; s->n: it is not. */
static uint32_t find(const struct shelf *s, uint32_t vm)
{
	uint32_t i = 0;

	while (i < s->n && s->images[i].vm != vm)
		i++;
	return i;
}

int images_keep(struct images *images, uint32_t host, struct image image)
{
	struct shelf *s = images->shelves ? &images->shelves[host] : NULL;

	if (!s || image.bytes > images->budget)
		return 0;
	while (s->n > 0 && s->bytes + image.bytes > images->budget)
		drop(s, 0);
	return add(s, image);
}

bool images_has(const struct images *images, uint32_t host, uint32_t vm, uint64_t now_ns,
		uint64_t *ret_left_ns)
{
	const struct shelf *s = images->shelves ? &images->shelves[host] : NULL;
	uint32_t i = s ? find(s, vm) : 0;

	if (!s || i == s->n)
		return false;
	*ret_left_ns = s->images[i].left_ns;
	return now_ns - *ret_left_ns <= images->max_age_ns;
}

bool images_take(struct images *images, uint32_t host, uint32_t vm, uint64_t now_ns,
		 uint64_t *ret_left_ns)
{
	bool has = images_has(images, host, vm, now_ns, ret_left_ns);
	struct shelf *s = images->shelves ? &images->shelves[host] : NULL;
	uint32_t i = s ? find(s, vm) : 0;

	if (s && i < s->n)
		drop(s, i);
	return has;
}

void images_forget(struct images *images, uint32_t vm)
{
	for (uint32_t h = 0; images->shelves && h < images->n_hosts; h++) {
		struct shelf *s = &images->shelves[h];
		uint32_t i = find(s, vm);

		if (i < s->n)
			drop(s, i);
	}
}
