/* SPDX-License-Identifier: Apache-2.0
 *
 * What this node still has of a VM that comes back: an image from an earlier visit. The
 * source is told that there is one, and asks for the hashes of its pages; the pages
 * themselves are put into the VM's memory before those that the source sends (inflow.c).
 */
#include <string.h>

#include "migrator/image_store.h"
#include "migrator/incoming_internal.h"
#include "migrator/ram_image.h"

#define PIECE ((size_t)512 << 10) /* of a message of 1 MiB at most */
#define WAIT_NS (10 * NS_PER_S)   /* for an image: sending all would take longer */

void incoming_find_image(struct incoming *in)
{
	const VmLuggage *l = in->m.row.luggage;
	const struct image_manifest *m;

	if (!l || image_store_find(in->m.node->images, l->image_key.data, &in->image) < 0)
		return;
	m = image_manifest(in->image);
	in->manifest_len =
		image_manifest_size(image_manifest_guest_pages(m), image_manifest_slots(m));
	if (image_manifest_guest_pages(m) * RAM_IMAGE_PAGE == in->m.row.spec->memory_bytes)
		in->manifest = malloc(in->manifest_len);
	if (in->manifest)
		image_manifest_pack(m, in->manifest);
	else
		incoming_drop_image(in);
}

bool incoming_image_is_coming(const struct incoming *in)
{
	const VmLuggage *l = in->m.row.luggage;

	return l && clock_mono_ns() - in->m.begun_mono_ns < WAIT_NS &&
	       image_store_is_writing(in->m.node->images, l->image_key.data);
}

void incoming_find_base(struct incoming *in, const struct uuid *id)
{
	const char *name = in->m.row.spec->base_image;

	if (!name || image_store_find_base(in->m.node->images, name, &in->base) < 0)
		return;
	if (!uuid_equal(&image_header(in->base)->id, id)) {
		image_free(in->base);
		in->base = NULL;
	}
}

void incoming_drop_image(struct incoming *in)
{
	image_free(in->base);
	in->base = NULL;
	image_free(in->image);
	in->image = NULL;
	free(TAKE_PTR(in->manifest));
}

void incoming_describe_image(const struct incoming *in, Tagalong__HeldImage *ret)
{
	const struct image_header *h = image_header(in->image);

	tagalong__held_image__init(ret);
	ret->guest_pages = h->guest_pages;
	ret->slots = h->slots;
}

void incoming_answer_image_query(struct incoming *in, struct bus_socket *s,
				 const struct bus_peer *from, const Envelope *e)
{
	Tagalong__PeerImageData data = TAGALONG__PEER_IMAGE_DATA__INIT;
	Envelope answer = TAGALONG__ENVELOPE__INIT;
	uint64_t offset = e->peer_image_query->offset;

	if (!in->manifest || offset >= in->manifest_len)
		return;
	data.move = e->peer_image_query->move;
	data.offset = offset;
	data.manifest.data = in->manifest + offset;
	data.manifest.len = in->manifest_len - offset < PIECE ? in->manifest_len - offset : PIECE;
	answer.body_case = TAGALONG__ENVELOPE__BODY_PEER_IMAGE_DATA;
	answer.peer_image_data = &data;
	bus_reply(s, from, e, &answer);
}
