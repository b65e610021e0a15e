/* SPDX-License-Identifier: Apache-2.0
 *
 * What this node still has of a VM that comes back: an image from an earlier visit. The
 * source is told which one; unless it knows what is in it, it asks for the hashes of its pages. The
 * pages themselves are put into the VM's memory before those that the source sends (inflow.c).
 * And what comes is written down, for the way back from here (arrival.h).
 */
#include <string.h>

#include "common/log.h"
#include "migrator/image_store.h"
#include "migrator/incoming_internal.h"
#include "migrator/ram_image.h"

#define PIECE ((size_t)512 << 10) /* of a message of 1 MiB at most */
#define WAIT_NS (10 * NS_PER_S)   /* for an image: sending all would take longer */

void incoming_find_image(struct incoming *in)
{
	const VmLuggage *l = in->m.row.luggage;
	struct image *image;

	if (!l || image_store_find(in->m.node->images, l->image_key.data, &image) < 0)
		return;
	if (image_header(image)->guest_pages * RAM_IMAGE_PAGE == in->m.row.spec->memory_bytes)
		in->image = image;
	else
		image_free(image);
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

void incoming_begin_arrival(struct incoming *in)
{
	_cleanup_free_ char *path = NULL;
	struct mg_error err = { 0 };

	if (!in->source_keeps || !in->m.row.luggage ||
	    asprintf(&path, "%s/" ARRIVAL_FILE, guest_directory(in->vm->guest)) < 0)
		return;
	if (arrival_new(path, &in->source_image, guest_ram_bytes(in->vm->guest) / RAM_IMAGE_PAGE,
			&in->arrival, &err) < 0)
		log_warning("incoming", "move=%s vm=%s its way back will cost more: %s",
			    in->m.id_text, in->m.row.info->vm, err.text);
}

void incoming_end_arrival(struct incoming *in)
{
	struct mg_error err = { 0 };

	if (in->arrival && arrival_finish(in->arrival, &err) < 0)
		log_warning("incoming", "move=%s vm=%s its way back will cost more: %s",
			    in->m.id_text, in->m.row.info->vm, err.text);
	arrival_free(TAKE_PTR(in->arrival));
}

void incoming_describe_image(const struct incoming *in, Tagalong__HeldImage *ret)
{
	const struct image_header *h = image_header(in->image);

	tagalong__held_image__init(ret);
	ret->guest_pages = h->guest_pages;
	ret->slots = h->slots;
	ret->has_id = true;
	ret->id = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)h->id.bytes };
}

static int make_manifest(struct incoming *in)
{
	const struct image_header *h;

	if (in->manifest)
		return 0;
	if (!in->image)
		return -ENOENT;
	h = image_header(in->image);
	in->manifest_len = image_manifest_size(h->guest_pages, h->slots);
	in->manifest = malloc(in->manifest_len);
	if (!in->manifest)
		return -ENOMEM;
	image_manifest_pack(image_manifest(in->image), in->manifest);
	return 0;
}

void incoming_answer_image_query(struct incoming *in, struct bus_socket *s,
				 const struct bus_peer *from, const Envelope *e)
{
	Tagalong__PeerImageData data = TAGALONG__PEER_IMAGE_DATA__INIT;
	Envelope answer = TAGALONG__ENVELOPE__INIT;
	uint64_t offset = e->peer_image_query->offset;

	if (make_manifest(in) < 0 || offset >= in->manifest_len)
		return;
	data.move = e->peer_image_query->move;
	data.offset = offset;
	data.manifest.data = in->manifest + offset;
	data.manifest.len = in->manifest_len - offset < PIECE ? in->manifest_len - offset : PIECE;
	answer.body_case = TAGALONG__ENVELOPE__BODY_PEER_IMAGE_DATA;
	answer.peer_image_data = &data;
	bus_reply(s, from, e, &answer);
}
