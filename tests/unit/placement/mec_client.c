/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/placement/mec_client.h"

#include <criterion/criterion.h>
#include <string.h>

#include "placement/mec021_json.h"
#include "placement/rest_answer.h"
#include "placement/rest_request.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name

const struct uuid mec_phone = { { 1 } };

char mec_told[16384];
uint64_t mec_last;
unsigned mec_n_told;

static void on_event(void *userdata, const PlacementEvent *event)
{
	_cleanup_free_ char *text = NULL;
	size_t n = strlen(mec_told);

	(void)userdata;
	if (event->what_case != TAGALONG__PLACEMENT__EVENT__WHAT_NOTICE)
		return;
	text = mec021_notification(event->notice, "https://main:7280");
	cr_assert_not_null(text);
	snprintf(mec_told + n, sizeof(mec_told) - n, "%s\n", text);
	mec_last = event->notice->number;
	mec_n_told++;
}

void mec_forget(void)
{
	mec_told[0] = '\0';
	mec_n_told = 0;
}

void mec_saw(const char *text)
{
	cr_assert_not_null(strstr(mec_told, text), "'%s' is not in\n%s", text, mec_told);
}

void mec_setup(struct harness *h)
{
	static Tagalong__Placement__CellNode cell, *cells[] = { &cell };

	harness_open(h);
	h->env.event = on_event;
	tagalong__placement__cell_node__init(&cell);
	cell.cell = (char *)"001-01-B";
	cell.node = (char *)"tower-b";
	h->cells = cells;
	h->n_cells = 1;
	harness_start(h);
	node_hello(h, "tower-a", 8 * GIB, "web");
	node_hello(h, "tower-b", 8 * GIB, NULL);
	set_pair(h, &mec_phone, "phone", "web");
	mec_forget();
}

void mec_see_client(struct harness *h, const char *node, const char *address)
{
	Tagalong__ClientSeen seen = TAGALONG__CLIENT_SEEN__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	seen.device = (ProtobufCBinaryData){ UUID_SIZE, (uint8_t *)mec_phone.bytes };
	seen.address = (char *)address;
	seen.attached = true;
	e.body_case = BODY(CLIENT_SEEN);
	e.client_seen = &seen;
	harness_receive(h, PEER_ROLE_NODE, node, 0, &e);
}

/* ---- A client ------------------------------------------------------------------------------ */

/* As rest.c does. */
static void show(struct answer *a, const struct rest_match *match, const Envelope *request,
		 const Envelope *answer)
{
	_cleanup_free_ char *text = NULL;
	json_t *document;

	if (answer->body_case == BODY(FAILURE)) {
		a->status = rest_status_of(answer->failure->code);
		snprintf(a->text, sizeof(a->text), "%s", answer->failure->text);
		return;
	}
	a->status = answer->body_case == BODY(DONE) ? 204 : match->operation->status;
	if (a->status == 204)
		return;
	if (a->status == 0)
		a->status = 200;
	document = match->operation->document(match, request, answer);
	text = json_dumps(document, JSON_COMPACT);
	cr_assert_not_null(text);
	snprintf(a->text, sizeof(a->text), "%s", text);
	json_decref(document);
	if (match->operation->headers)
		match->operation->headers(match, answer, &a->headers);
}

unsigned mec_http(struct harness *h, struct answer *a, const char *method, const char *target,
		  const char *body, const char *if_match)
{
	struct rest_input input = { .body = body ? body : "", .len = body ? strlen(body) : 0 };
	char path[256], allow[REST_ALLOW_SIZE], *query;
	struct rest_match match = { 0 };
	struct arena arena = { 0 };
	struct mg_error err = { 0 };
	Envelope e;
	int r;

	*a = (struct answer){ 0 };
	snprintf(path, sizeof(path), "%s", target);
	query = strchr(path, '?');
	if (query) {
		char *value = strchr(query, '=');

		*query++ = *value++ = '\0';
		input.arguments[input.n_arguments++] = (struct rest_argument){ query, value };
	}
	input.if_match = if_match;
	cr_assert_eq(rest_match(method, path, &match, allow), 0, "%s %s", method, target);
	match.base = "https://main:7280";
	r = rest_request(&match, &input, &arena, &e, &err);
	if (r < 0) {
		a->status = rest_status_of(r);
		snprintf(a->text, sizeof(a->text), "%s", err.text);
	} else {
		show(a, &match, &e, ask(h, &e));
	}
	arena_free(&arena);
	return a->status;
}

void mec_refused(struct harness *h, const char *method, const char *target, const char *body,
		 unsigned status, const char *why)
{
	struct answer a;

	cr_assert_eq(mec_http(h, &a, method, target, body, NULL), status, "%s %s: %u %s", target,
		     body, a.status, a.text);
	cr_assert_not_null(strstr(a.text, why), "%s %s: %s", target, body, a.text);
}

/* Its path. */
const char *mec_add(struct harness *h, const char *to, const char *body)
{
	static char path[256];
	struct answer a;

	cr_assert_eq(mec_http(h, &a, "POST", to, body, NULL), 201, "%s: %s", body, a.text);
	cr_assert_str_eq(a.headers.etag, "\"1\"");
	cr_assert_eq(strncmp(a.headers.location, "https://main:7280/amsi/", 23), 0, "%s",
		     a.headers.location);
	snprintf(path, sizeof(path), "%.200s", a.headers.location + strlen("https://main:7280"));
	return path;
}

const struct sent *mec_order(struct harness *h, const char *target)
{
	static uint8_t id[UUID_SIZE];
	Tagalong__MoveOrder order = TAGALONG__MOVE_ORDER__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	const struct sent *s;

	id[0]++;
	order.move = (ProtobufCBinaryData){ UUID_SIZE, id };
	order.vm = (char *)"web";
	order.target = (char *)target;
	order.has_force = order.force = true;
	e.body_case = BODY(MOVE_ORDER);
	e.move_order = &order;
	harness_forget(h);
	cr_assert_eq(ask(h, &e)->body_case, BODY(DONE));
	s = harness_next(h, NULL, BODY(MOVE_ORDER));
	cr_assert_not_null(s);
	answer_done(h, s);
	return s;
}

void mec_deliver(struct harness *h, uint64_t notice)
{
	Tagalong__Placement__Told input = TAGALONG__PLACEMENT__TOLD__INIT;
	PlacementRecord record = TAGALONG__PLACEMENT__RECORD__INIT;

	input.notice = notice;
	record.input_case = TAGALONG__PLACEMENT__RECORD__INPUT_TOLD;
	record.told = &input;
	cr_assert_eq(harness_input(h, &record), 0, "%s", h->err.text);
}

void mec_subscribe(struct harness *h, const char *filter)
{
	char body[1024];

	snprintf(body, sizeof(body), PROCEDURE CALLBACK "\"filterCriteria\": {%s}}", filter);
	mec_add(h, SUBSCRIPTIONS, body);
}
