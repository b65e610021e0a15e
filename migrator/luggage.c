/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/luggage.h"

#include <sodium.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "migrator/image_store.h"
#include "migrator/node_config.h"

#define TELL_EVERY_NS (500 * NS_PER_MS)
#define TELL_TIMES 20

/* One node that is being told that a VM is no more. */
struct farewell {
	struct node *node;
	LIST_ENTRY(farewell) link;
	struct bus_socket *socket;
	sd_event_source *timer;
	struct uuid key_id;
	unsigned left;
};

/* ---- The luggage itself --------------------------------------------------------- */

VmLuggage *luggage_new(void)
{
	VmLuggage *l = malloc(sizeof(*l));

	if (!l)
		return NULL;
	tagalong__vm_luggage__init(l);
	l->image_key.data = malloc(IMAGE_KEY_SIZE);
	if (!l->image_key.data) {
		free(l);
		return NULL;
	}
	l->image_key.len = IMAGE_KEY_SIZE;
	randombytes_buf(l->image_key.data, IMAGE_KEY_SIZE);
	return l;
}

VmLuggage *luggage_copy(const VmLuggage *l)
{
	size_t len = tagalong__vm_luggage__get_packed_size(l);
	uint8_t *packed = malloc(len);
	VmLuggage *copy;

	if (!packed)
		return NULL;
	tagalong__vm_luggage__pack(l, packed);
	copy = tagalong__vm_luggage__unpack(NULL, len, packed);
	sodium_memzero(packed, len);
	free(packed);
	return copy;
}

void luggage_free(VmLuggage *l)
{
	if (!l)
		return;
	sodium_memzero(l->image_key.data, l->image_key.len);
	tagalong__vm_luggage__free_unpacked(l, NULL);
}

static void contact_free(Tagalong__NodeContact *c)
{
	if (c)
		tagalong__node_contact__free_unpacked(c, NULL);
}

static Tagalong__NodeContact *contact_new(const char *node, const char *endpoint,
					  const char *public_key)
{
	Tagalong__NodeContact *c = malloc(sizeof(*c));

	if (!c)
		return NULL;
	tagalong__node_contact__init(c);
	c->node = strdup(node);
	c->endpoint = strdup(endpoint);
	c->public_key = public_key[0] ? strdup(public_key) : NULL;
	if (!c->node || !c->endpoint || (public_key[0] && !c->public_key)) {
		contact_free(c);
		return NULL;
	}
	return c;
}

static void remove_visit(VmLuggage *l, size_t i)
{
	contact_free(l->visited[i]);
	memmove(l->visited + i, l->visited + i + 1, (l->n_visited - i - 1) * sizeof(*l->visited));
	l->n_visited--;
}

int luggage_add_visit(VmLuggage *l, const char *node, const char *endpoint, const char *public_key)
{
	Tagalong__NodeContact *c = contact_new(node, endpoint, public_key), **more;

	if (!c)
		return -ENOMEM;
	for (size_t i = l->n_visited; i-- > 0;)
		if (strcmp(l->visited[i]->node, node) == 0)
			remove_visit(l, i);
	while (l->n_visited >= LUGGAGE_VISITED_MAX)
		remove_visit(l, 0);
	more = reallocarray(l->visited, l->n_visited + 1, sizeof(*more));
	if (!more) {
		contact_free(c);
		return -ENOMEM;
	}
	l->visited = more;
	l->visited[l->n_visited++] = c;
	return 0;
}

void luggage_set_tail(VmLuggage *l, uint8_t *packed, size_t len)
{
	free(l->tail.data);
	l->has_tail = packed != NULL;
	l->tail = (ProtobufCBinaryData){ packed ? len : 0, packed };
}

/* ---- The end of a VM --------------------------------------------------------------- */

static void farewell_free(struct farewell *f)
{
	LIST_REMOVE(f, link);
	sd_event_source_disable_unref(f->timer);
	bus_socket_free(f->socket);
	free(f);
}

static void on_farewell_answer(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
			       void *userdata)
{
	(void)s;
	(void)from;
	if (e->body_case == TAGALONG__ENVELOPE__BODY_DONE ||
	    e->body_case == TAGALONG__ENVELOPE__BODY_FAILURE)
		farewell_free(userdata);
}

static int on_farewell_timer(sd_event_source *source, uint64_t now, void *userdata)
{
	struct farewell *f = userdata;
	Tagalong__PeerForget forget = TAGALONG__PEER_FORGET__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	(void)now;
	if (f->left-- == 0) {
		farewell_free(f);
		return 0;
	}
	forget.key_id = (ProtobufCBinaryData){ UUID_SIZE, f->key_id.bytes };
	e.body_case = TAGALONG__ENVELOPE__BODY_PEER_FORGET;
	e.peer_forget = &forget;
	(void)bus_send(f->socket, NULL, &e);
	sd_event_source_set_time_relative(source, TELL_EVERY_NS / NS_PER_US);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static void tell(struct node *n, const Tagalong__NodeContact *c, const struct uuid *key_id)
{
	struct farewell *f = calloc(1, sizeof(*f));
	struct mg_error err = { 0 };
	int r;

	if (!f)
		return;
	f->node = n;
	f->key_id = *key_id;
	f->left = TELL_TIMES;
	LIST_INSERT_HEAD(&n->farewells, f, link);
	r = bus_connect(n->bus, BUS_DEALER, c->endpoint, c->public_key, on_farewell_answer, f,
			&f->socket, &err);
	if (r == 0)
		r = sd_event_add_time_relative(n->loop, &f->timer, CLOCK_MONOTONIC, 0, 1,
					       on_farewell_timer, f);
	if (r < 0) {
		log_warning("images", "%s cannot be told: %s", c->node, err.text);
		farewell_free(f);
	}
}

void luggage_destroy(struct node *n, const VmLuggage *l)
{
	struct uuid key_id = image_key_id(l->image_key.data);

	(void)image_store_remove_key(n->images, &key_id);
	for (size_t i = 0; i < l->n_visited; i++)
		if (strcmp(l->visited[i]->node, n->config->name) != 0)
			tell(n, l->visited[i], &key_id);
}

void luggage_forget_for(struct node *n, struct bus_socket *s, const struct bus_peer *from,
			const Envelope *e)
{
	struct uuid key_id;

	memcpy(key_id.bytes, e->peer_forget->key_id.data, UUID_SIZE);
	(void)image_store_remove_key(n->images, &key_id);
	bus_reply_done(s, from, e);
}

void luggage_stop_telling(struct node *n)
{
	while (!LIST_EMPTY(&n->farewells))
		farewell_free(LIST_FIRST(&n->farewells));
}
