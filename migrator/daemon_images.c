/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators ask of the images that this node keeps.
 */
#include <string.h>

#include "migrator/daemon_internal.h"
#include "migrator/image_store.h"
#include "migrator/node_config.h"

#define LIST_MAX 1000 /* in one answer: well below the size of a message */

static void fill(Tagalong__ImageInfo *to, const struct image_info *from)
{
	const struct image_header *h = &from->header;

	tagalong__image_info__init(to);
	to->image = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)h->id.bytes };
	to->vm = (char *)h->name;
	to->bytes = from->bytes;
	to->guest_bytes = h->guest_pages * PAGE_SIZE_BYTES;
	to->pages = h->slots;
	to->made_utc_ns = h->made_utc_ns;
	to->has_used_utc_ns = true;
	to->used_utc_ns = from->used_utc_ns;
	to->has_is_base = true;
	to->is_base = image_is_base(h);
}

size_t daemon_images(const struct node *n, Tagalong__ImageInfo *infos, Tagalong__ImageInfo **list,
		     size_t max)
{
	const struct image_info *info;
	size_t count = 0;

	while (count < max && (info = image_store_at(n->images, count))) {
		fill(&infos[count], info);
		list[count] = &infos[count];
		count++;
	}
	return count;
}

void daemon_on_image_query(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			   const Envelope *e)
{
	Tagalong__ImageInfo infos[LIST_MAX], *list[LIST_MAX];
	Tagalong__ImageList images = TAGALONG__IMAGE_LIST__INIT;
	Envelope answer = TAGALONG__ENVELOPE__INIT;

	images.n_images = daemon_images(n, infos, list, LIST_MAX);
	images.images = list;
	answer.body_case = TAGALONG__ENVELOPE__BODY_IMAGE_LIST;
	answer.image_list = &images;
	bus_reply(s, from, e, &answer);
}

static bool has_image(const struct node *n, const struct uuid *id)
{
	const struct image_info *info;

	for (size_t i = 0; (info = image_store_at(n->images, i)); i++)
		if (uuid_equal(&info->header.id, id))
			return true;
	return false;
}

void daemon_on_image_remove(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			    const Envelope *e)
{
	struct mg_error err = { 0 };
	struct uuid id;

	memcpy(id.bytes, e->image_remove->image.data, UUID_SIZE);
	if (e->image_remove->dry_run ? has_image(n, &id) : image_store_remove(n->images, &id) > 0) {
		bus_reply_done(s, from, e);
		return;
	}
	mg_error_set(&err, -ENOENT, "no such image on %s", n->config->name);
	bus_reply_failure(s, from, e, &err);
}
