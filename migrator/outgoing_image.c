/* SPDX-License-Identifier: Apache-2.0
 *
 * What the target still has of the VM from an earlier visit. It says so with
 * PeerPrepared. When the VM came from there last, its arrival has told what that is. Else
 * the hashes of the pages are fetched from the target piece by piece, before pages flow.
 * Without them, for whatever reason, all pages are sent.
 */
#include <string.h>

#include "common/log.h"
#include "common/units.h"
#include "migrator/image_store.h"
#include "migrator/node_config.h"
#include "migrator/outgoing_internal.h"
#include "migrator/ram_image.h"

#define ASK_AGAIN_NS (250 * NS_PER_MS)
#define PATIENCE_NS (5 * NS_PER_S) /* without any answer */

void image_find_base(struct outgoing *o)
{
	const char *name = o->vm->spec->base_image;

	if (name && image_store_find_base(o->m.node->images, name, &o->base) < 0)
		log_info("outgoing", "move=%s vm=%s its base image '%s' is not here", o->m.id_text,
			 o->m.row.info->vm, name);
}

void image_describe(const struct outgoing *o, Tagalong__PeerPrepare *p)
{
	const struct node *n = o->m.node;

	p->luggage = o->vm->luggage;
	p->has_incarnation = n->config->image_budget_bytes > 0 && !o->warm;
	p->incarnation = (ProtobufCBinaryData){ UUID_SIZE,
						 (uint8_t *)o->m.row.incarnation.bytes };
	p->has_base_id = o->base != NULL;
	if (o->base)
		p->base_id = (ProtobufCBinaryData){ UUID_SIZE,
						 (uint8_t *)image_header(o->base)->id.bytes };
}

static void ask(struct outgoing *o)
{
	struct image_fetch *f = &o->fetch;
	Tagalong__PeerImageQuery query = TAGALONG__PEER_IMAGE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	query.move = (ProtobufCBinaryData){ UUID_SIZE, o->peer_id.bytes };
	query.offset = f->at;
	e.body_case = TAGALONG__ENVELOPE__BODY_PEER_IMAGE_QUERY;
	e.peer_image_query = &query;
	f->asked_ns = clock_mono_ns();
	(void)bus_send(o->peer, NULL, &e);
}

/* It is used when the target has just the same. */
static void take_tail(struct outgoing *o, const Tagalong__PeerPrepared *p)
{
	const VmLuggage *l = o->vm->luggage;

	if (!p->has_tail_mark || !l->has_tail ||
	    tail_unpack(l->tail.data, l->tail.len, &o->last_tail) < 0)
		return;
	if (tail_mark(o->last_tail) != p->tail_mark) {
		tail_free(o->last_tail);
		o->last_tail = NULL;
	}
}

/* Whether the VM arrived from where just this image was left. */
static bool know_image(struct outgoing *o, const Tagalong__HeldImage *image)
{
	_cleanup_free_ char *path = NULL;
	Tagalong__MoveFigures *figures = move_figures(&o->m);
	struct uuid id;
	int r;

	if (!image->has_id ||
	    asprintf(&path, "%s/" ARRIVAL_FILE, guest_directory(o->vm->guest)) < 0)
		return false;
	id = uuid_of(&image->id);
	r = arrived_open(path, &id, image->guest_pages, &o->arrived);
	if (r < 0 && r != -ENOENT && r != -ESTALE)
		log_warning("outgoing", "move=%s vm=%s %s: %s", o->m.id_text, o->m.row.info->vm,
			    path, strerror(-r));
	if (r < 0)
		return false;
	figures->has_known_pages = true;
	figures->known_pages = arrived_known(o->arrived);
	log_info("outgoing", "move=%s vm=%s %s has the image that it left there, with %llu of %llu "
		 "pages", o->m.id_text, o->m.row.info->vm, o->m.row.peer,
		 (unsigned long long)figures->known_pages,
		 (unsigned long long)image->guest_pages);
	return true;
}

bool image_fetch_begin(struct outgoing *o, const Tagalong__PeerPrepared *p)
{
	const Tagalong__HeldImage *image = p->image;
	struct image_fetch *f = &o->fetch;

	o->both_have_base = p->has_the_base;
	take_tail(o, p);
	if (!image || image->guest_pages != guest_ram_bytes(o->vm->guest) / RAM_IMAGE_PAGE ||
	    image->slots > image->guest_pages || know_image(o, image))
		return false;
	f->len = image_manifest_size(image->guest_pages, image->slots);
	f->data = malloc(f->len);
	if (!f->data)
		return false;
	f->guest_pages = image->guest_pages;
	f->slots = image->slots;
	f->at = 0;
	f->heard_ns = clock_mono_ns();
	ask(o);
	return true;
}

static void end(struct outgoing *o, const char *why)
{
	if (why)
		log_warning("outgoing", "move=%s vm=%s all pages are sent: %s", o->m.id_text,
			    o->m.row.info->vm, why);
	free(TAKE_PTR(o->fetch.data));
	copy_begin(o);
}

static void take_whole(struct outgoing *o)
{
	struct image_fetch *f = &o->fetch;
	Tagalong__MoveFigures *figures = move_figures(&o->m);
	int r = image_manifest_unpack(f->data, f->len, f->guest_pages, f->slots, &o->held);

	figures->has_image_bytes = true;
	figures->image_bytes = f->len;
	log_info("outgoing", "move=%s vm=%s %s has an image with %llu of %llu pages", o->m.id_text,
		 o->m.row.info->vm, o->m.row.peer, (unsigned long long)f->slots,
		 (unsigned long long)f->guest_pages);
	end(o, r < 0 ? "what the target says of its image makes no sense" : NULL);
}

void image_fetch_data(struct outgoing *o, const Tagalong__PeerImageData *data)
{
	struct image_fetch *f = &o->fetch;

	if (!f->data || data->offset != f->at || data->manifest.len == 0 ||
	    data->manifest.len > f->len - f->at)
		return; /* one that was asked for twice, or nonsense: asked for again */
	memcpy(f->data + f->at, data->manifest.data, data->manifest.len);
	f->at += data->manifest.len;
	f->heard_ns = clock_mono_ns();
	if (f->at == f->len)
		take_whole(o);
	else
		ask(o);
}

void image_fetch_tick(struct outgoing *o)
{
	struct image_fetch *f = &o->fetch;
	uint64_t now = clock_mono_ns();

	if (!f->data)
		return;
	if (now - f->heard_ns > PATIENCE_NS)
		end(o, "the target does not say what is in its image");
	else if (now - f->asked_ns > ASK_AGAIN_NS)
		ask(o);
}

void image_fetch_free(struct outgoing *o)
{
	free(TAKE_PTR(o->fetch.data));
	image_manifest_free(o->held);
	o->held = NULL;
	arrived_free(TAKE_PTR(o->arrived));
	image_free(o->base);
	o->base = NULL;
	tail_free(o->last_tail);
	o->last_tail = NULL;
}
