/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/effects.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"

#define LINE_SIZE 1024

enum effect_kind { EFFECT_PUT, EFFECT_DELETE, EFFECT_DECISION, EFFECT_SEND, EFFECT_EVENT };

struct effect {
	struct effect *next;
	enum effect_kind kind;
	struct bus_peer to;
	uint64_t request;
	size_t len;
	char key[STORE_KEY_SIZE];
	uint8_t data[]; /* value, line, or packed Envelope or Event */
};

void effects_init(struct effects *fx)
{
	*fx = (struct effects){ 0 };
	fx->end = &fx->first;
}

void effects_clear(struct effects *fx)
{
	struct effect *next;

	for (struct effect *e = fx->first; e; e = next) {
		next = e->next;
		free(e);
	}
	fx->first = NULL;
	fx->end = &fx->first;
	fx->n_ops = 0;
	fx->error = 0;
}

uint64_t effects_request(struct effects *fx)
{
	return ++fx->last_request;
}

static struct effect *add(struct effects *fx, enum effect_kind kind, size_t len)
{
	struct effect *e = malloc(sizeof(*e) + len + 1);

	if (!e) {
		fx->error = -ENOMEM;
		return NULL;
	}
	*e = (struct effect){ .kind = kind, .len = len };
	*fx->end = e;
	fx->end = &e->next;
	if (kind == EFFECT_PUT || kind == EFFECT_DELETE)
		fx->n_ops++;
	return e;
}

void effects_put(struct effects *fx, const char *key, const ProtobufCMessage *value)
{
	struct effect *e = add(fx, EFFECT_PUT, protobuf_c_message_get_packed_size(value));

	if (!e)
		return;
	snprintf(e->key, sizeof(e->key), "%s", key);
	protobuf_c_message_pack(value, e->data);
}

void effects_delete(struct effects *fx, const char *key)
{
	struct effect *e = add(fx, EFFECT_DELETE, 0);

	if (e)
		snprintf(e->key, sizeof(e->key), "%s", key);
}

void effects_decide(struct effects *fx, const char *kind, const char *fmt, ...)
{
	time_t seconds = (time_t)(fx->now_utc_ns / NS_PER_S);
	char line[LINE_SIZE], time_text[32];
	struct effect *e;
	struct tm tm;
	va_list args;
	size_t len;

	gmtime_r(&seconds, &tm);
	strftime(time_text, sizeof(time_text), "%Y-%m-%dT%H:%M:%S", &tm);
	len = (size_t)snprintf(line, sizeof(line), "%s.%09" PRIu64 "Z %s ", time_text,
			       fx->now_utc_ns % NS_PER_S, kind);
	va_start(args, fmt);
	vsnprintf(line + len, sizeof(line) - len, fmt, args);
	va_end(args);
	/* What peers wrote may hold newlines; a decision is one line. */
	for (char *c = line; *c; c++)
		if (*c == '\n' || *c == '\t')
			*c = ' ';
	len = strlen(line);
	e = add(fx, EFFECT_DECISION, len);
	if (e)
		memcpy(e->data, line, len + 1);
}

void effects_event(struct effects *fx, const PlacementEvent *event)
{
	struct effect *e;

	if (!fx->listened)
		return;
	e = add(fx, EFFECT_EVENT, protobuf_c_message_get_packed_size(&event->base));
	if (e)
		protobuf_c_message_pack(&event->base, e->data);
}

void effects_send(struct effects *fx, const struct bus_peer *to, uint64_t request,
		  Envelope *envelope)
{
	struct effect *e;

	if (to->route_len == 0)
		return;
	envelope->has_epoch = true;
	envelope->epoch = fx->epoch;
	envelope->sender = (char *)"";
	e = add(fx, EFFECT_SEND, tagalong__envelope__get_packed_size(envelope));
	if (!e)
		return;
	e->to = *to;
	e->request = request;
	tagalong__envelope__pack(envelope, e->data);
}

void effects_reply(struct effects *fx, const struct bus_peer *to, uint64_t seq, Envelope *e)
{
	e->has_reply_to = true;
	e->reply_to = seq;
	effects_send(fx, to, 0, e);
}

void effects_reply_done(struct effects *fx, const struct bus_peer *to, uint64_t seq)
{
	Tagalong__Done done = TAGALONG__DONE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	e.body_case = TAGALONG__ENVELOPE__BODY_DONE;
	e.done = &done;
	effects_reply(fx, to, seq, &e);
}

void effects_reply_failure(struct effects *fx, const struct bus_peer *to, uint64_t seq, int code,
			   const char *fmt, ...)
{
	Tagalong__Failure failure = TAGALONG__FAILURE__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	failure.code = code < 0 ? -code : code;
	failure.text = text;
	e.body_case = TAGALONG__ENVELOPE__BODY_FAILURE;
	e.failure = &failure;
	effects_reply(fx, to, seq, &e);
}

int effects_commit(struct effects *fx, struct store *store, const struct store_compare *fence,
		   struct mg_error *err)
{
	_cleanup_free_ struct store_op *ops = NULL;
	size_t n = 0;

	if (fx->error < 0)
		return mg_error_set(err, fx->error, "out of memory");
	if (!store || fx->n_ops == 0)
		return 0;
	ops = calloc(fx->n_ops, sizeof(*ops));
	if (!ops)
		return mg_error_set(err, -ENOMEM, "out of memory");
	for (const struct effect *e = fx->first; e; e = e->next)
		if (e->kind == EFFECT_PUT || e->kind == EFFECT_DELETE)
			ops[n++] = (struct store_op){
				.kind = e->kind == EFFECT_PUT ? STORE_PUT : STORE_DELETE,
				.key = e->key,
				.value = e->data,
				.len = e->len,
			};
	return store_txn(store, fence, fence ? 1 : 0, ops, n, NULL, err);
}

/* Not envelope_unpack(): the sender fills in what is missing. */
static void release_send(const struct effect *e, const struct environment *env)
{
	_cleanup_envelope_ Envelope *envelope = tagalong__envelope__unpack(NULL, e->len, e->data);

	if (envelope) {
		Envelope filled = *envelope;

		env->send(env->userdata, &e->to, e->request, &filled);
	}
}

static void release_event(const struct effect *e, const struct environment *env)
{
	PlacementEvent *event = tagalong__placement__event__unpack(NULL, e->len, e->data);

	if (!event)
		return;
	env->event(env->userdata, event);
	tagalong__placement__event__free_unpacked(event, NULL);
}

void effects_release(struct effects *fx, const struct environment *env)
{
	for (const struct effect *e = fx->first; e; e = e->next)
		if (e->kind == EFFECT_DECISION)
			env->decision(env->userdata, (const char *)e->data);
	for (const struct effect *e = fx->first; e; e = e->next)
		if (e->kind == EFFECT_SEND)
			release_send(e, env);
	for (const struct effect *e = fx->first; e; e = e->next)
		if (e->kind == EFFECT_EVENT)
			release_event(e, env);
	effects_clear(fx);
}
