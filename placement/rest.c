/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/rest.h"

#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/document.h"
#include "common/file.h"
#include "common/log.h"
#include "common/tokens.h"
#include "placement/openapi.h"
#include "placement/rest_answer.h"
#include "placement/rest_request.h"

#define PEM_MAX ((size_t)1 << 20)
#define BEARER "Bearer "
#define KEY_MAX 255 /* letters of an Idempotency-Key */
/* ZeroMQ gives routes that begin with 0 and have five bytes, and peers cannot choose one that
 * begins so. */
#define ROUTE_MARK "\0HTTP"
#define ROUTE_MARK_SIZE 5

struct rest {
	const struct rest_config *config;
	const struct rest_host *host;
	struct http_server *server;
	struct event_stream *events;
	struct tokens *tokens;
	struct timespec tokens_changed;
	char *certificate, *key;
	struct uuid boot;
	uint64_t last_call;
	struct call *calls;
};

/* One message to the controller, until it is answered. */
struct call {
	struct rest *rest;
	uint64_t id;
	const struct rest_match *match; /* these two only while the handler runs */
	const Envelope *request;
	const struct rest_operation *operation;
	struct http_reply *reply;
	struct http_later *later; /* NULL while the handler runs */
	struct call *next;
	bool answered;
	struct ordering *ordering;
};

/* Who asks. */
struct client {
	enum token_role role;
	const char *name;
};

/* ---- Tokens --------------------------------------------------------------------- */

/* Reads the list again when it has changed. A list that makes no sense changes nothing. */
static void refresh_tokens(struct rest *r)
{
	struct tokens *fresh;
	struct mg_error err;
	struct stat st;

	if (stat(r->config->tokens, &st) < 0 ||
	    memcmp(&st.st_mtim, &r->tokens_changed, sizeof(st.st_mtim)) == 0)
		return;
	r->tokens_changed = st.st_mtim;
	if (tokens_load(r->config->tokens, &fresh, &err) < 0) {
		log_error("http", "the tokens stay as they were: %s", err.text);
		return;
	}
	tokens_free(r->tokens);
	r->tokens = fresh;
}

static void refuse_client(struct http_reply *reply, const char *detail)
{
	rest_problem(reply, 401, detail, NULL);
	http_reply_header(reply, "WWW-Authenticate", "Bearer realm=\"placementd\"");
}

/* False: refused, and answered. */
static bool admit(struct rest *r, const struct http_request *request, enum token_role needed,
		  struct http_reply *reply, struct client *ret)
{
	const char *header = http_request_header(request, "Authorization");
	int found;

	*ret = (struct client){ TOKEN_ROLE_NONE, "" };
	if (needed == TOKEN_ROLE_NONE)
		return true;
	if (!header || strncasecmp(header, BEARER, strlen(BEARER)) != 0) {
		refuse_client(reply, "a token is needed: Authorization: Bearer TOKEN");
		return false;
	}
	refresh_tokens(r);
	found = tokens_find(r->tokens, header + strlen(BEARER), clock_utc_ns(), &ret->role,
			    &ret->name);
	if (found < 0) {
		refuse_client(reply, found == -EKEYEXPIRED ? "the token has expired"
							   : "no such token is known");
		return false;
	}
	if (ret->role < needed) {
		rest_problem(reply, 403, "the token's role is 'read'; this takes 'operate'", NULL);
		return false;
	}
	return true;
}

/* ---- Calls ---------------------------------------------------------------------- */

static void peer_of(const struct call *call, const struct client *client, struct bus_peer *ret)
{
	*ret = (struct bus_peer){ .role = PEER_ROLE_OPERATOR,
				  .route_len = ROUTE_MARK_SIZE + sizeof(call->id) };
	snprintf(ret->name, sizeof(ret->name), "%s", client->name);
	memcpy(ret->route, ROUTE_MARK, ROUTE_MARK_SIZE);
	memcpy(ret->route + ROUTE_MARK_SIZE, &call->id, sizeof(call->id));
}

static bool is_ours(const struct bus_peer *to, uint64_t *ret_id)
{
	if (to->route_len != ROUTE_MARK_SIZE + sizeof(*ret_id) ||
	    memcmp(to->route, ROUTE_MARK, ROUTE_MARK_SIZE) != 0)
		return false;
	memcpy(ret_id, to->route + ROUTE_MARK_SIZE, sizeof(*ret_id));
	return true;
}

static struct call *find_call(const struct rest *r, uint64_t id)
{
	struct call *call = r->calls;

	while (call && call->id != id)
		call = call->next;
	return call;
}

static void end_call(struct call *call)
{
	struct call **at;

	for (at = &call->rest->calls; *at != call; at = &(*at)->next)
		;
	*at = call->next;
	if (call->later)
		http_later_send(call->later);
	free(call);
}

static void answer_standby(struct rest *r, struct http_reply *reply)
{
	Tagalong__Leader leader = TAGALONG__LEADER__INIT;
	json_t *more = NULL;
	char detail[300];

	r->host->leader(r->host->userdata, &leader);
	if (leader.name && !leader.leads)
		more = json_pack("{s:{s:s, s:s*, s:s*}}", "leader", "name", leader.name, "endpoint",
				 leader.endpoint, "url", leader.url);
	if (more)
		snprintf(detail, sizeof(detail), "%.63s is a standby: %.63s leads", r->host->name,
			 leader.name);
	else
		snprintf(detail, sizeof(detail), "%.63s does not lead: %.200s", r->host->name,
			 leader.problem ? leader.problem : "nobody does just now; try again");
	rest_problem(reply, 503, detail, more);
	http_reply_header(reply, "Retry-After", "1");
}

static void show_headers(struct call *call, const Envelope *answer)
{
	struct rest_headers headers = { 0 };

	call->operation->headers(call->match, answer, &headers);
	if (headers.etag[0])
		http_reply_header(call->reply, "ETag", headers.etag);
	if (headers.location[0] && call->operation->status == 201)
		http_reply_header(call->reply, "Location", headers.location);
}

static void show(struct call *call, const Envelope *answer)
{
	const struct rest_operation *o = call->operation;
	json_t *document;

	if (answer->body_case == TAGALONG__ENVELOPE__BODY_FAILURE) {
		rest_problem(call->reply, rest_status_of(answer->failure->code),
			     answer->failure->text, NULL);
		return;
	}
	if (answer->body_case == TAGALONG__ENVELOPE__BODY_DONE) {
		http_reply_text(call->reply, 204, "application/json", "");
		return;
	}
	document = o->document(call->match, call->request, answer);
	if (document)
		rest_document(call->reply, o->status ? o->status : 200, document);
	else
		rest_problem(call->reply, 404, "there is no such thing", NULL);
	if (document && o->headers)
		show_headers(call, answer);
}

/* A dry run is accepted first; what it found comes later. Progress is for events. */
static bool is_awaited(const struct call *call, const Envelope *e)
{
	bool is_result = e->body_case == TAGALONG__ENVELOPE__BODY_MOVE_RESULT;

	if (call->operation->kind == REST_ORDER && !call->ordering)
		return is_result || e->body_case == TAGALONG__ENVELOPE__BODY_FAILURE;
	return e->has_reply_to;
}

static void note_answer(struct call *call, const Envelope *answer);

bool rest_answer(struct rest *r, const struct bus_peer *to, const Envelope *e)
{
	struct call *call;
	uint64_t id;

	if (!is_ours(to, &id))
		return false;
	call = find_call(r, id);
	if (!call || call->answered || !is_awaited(call, e))
		return true;
	call->answered = true;
	if (call->ordering)
		note_answer(call, e);
	else
		show(call, e);
	if (call->later)
		end_call(call);
	return true;
}

static struct call *begin_call(struct rest *r, const struct rest_operation *operation,
			       struct http_reply *reply)
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	*call = (struct call){
		.rest = r,
		.id = ++r->last_call,
		.operation = operation,
		.reply = reply,
		.next = r->calls,
	};
	r->calls = call;
	return call;
}

/* Has the controller deal with it. False: it could not, and that is answered. */
static bool deliver(struct call *call, const struct client *client, Envelope *e)
{
	struct rest *r = call->rest;
	struct mg_error err = { 0 };
	struct bus_peer from;
	int n;

	peer_of(call, client, &from);
	e->version = ENVELOPE_VERSION;
	e->sender = from.name;
	e->boot_id = (ProtobufCBinaryData){ UUID_SIZE, r->boot.bytes };
	e->seq = call->id;
	n = r->host->receive(r->host->userdata, &from, e, &err);
	if (n == 0 || call->answered)
		return true;
	if (n == -ESTALE)
		answer_standby(r, call->reply);
	else
		rest_problem(call->reply, rest_status_of(n), err.text, NULL);
	call->answered = true;
	return false;
}

/* One message, one answer; what a node has to answer comes later. */
static void ask(struct rest *r, const struct client *client, const struct rest_match *match,
		Envelope *e, struct http_reply *reply)
{
	struct call *call = begin_call(r, match->operation, reply);

	if (!call)
		return;
	call->match = match;
	call->request = e;
	(void)deliver(call, client, e);
	call->match = NULL;
	call->request = NULL;
	if (!call->answered)
		call->later = http_reply_later(reply);
	if (call->later)
		call->reply = http_later_reply(call->later);
	else
		end_call(call);
}

/* ---- Orders of moves ------------------------------------------------------------ */

/* A client that repeats an order, because it did not hear what came of it, gives
 * the same Idempotency-Key: then the move has the same id, and is not ordered twice. */
struct ordering {
	const Tagalong__MoveOrder *order;
	unsigned status;
	bool found, refused;
};

static int move_id(const struct client *client, const char *key, struct uuid *ret)
{
	crypto_generichash_state state;

	if (!key) {
		*ret = uuid_random();
		return 0;
	}
	if (!*key || strlen(key) > KEY_MAX)
		return -EINVAL;
	crypto_generichash_init(&state, NULL, 0, UUID_SIZE);
	crypto_generichash_update(&state, (const uint8_t *)client->name, strlen(client->name) + 1);
	crypto_generichash_update(&state, (const uint8_t *)key, strlen(key));
	crypto_generichash_final(&state, ret->bytes, UUID_SIZE);
	/* Version 8: of our own making (RFC 9562). */
	ret->bytes[6] = (uint8_t)((ret->bytes[6] & 0x0f) | 0x80);
	ret->bytes[8] = (uint8_t)((ret->bytes[8] & 0x3f) | 0x80);
	return 0;
}

static void note_move(struct call *call, const Tagalong__MoveInfo *info)
{
	struct ordering *o = call->ordering;
	char id[UUID_TEXT_SIZE], location[64];

	o->found = true;
	if (strcmp(info->vm, o->order->vm) != 0 || strcmp(info->target, o->order->target) != 0) {
		rest_problem(call->reply, 422, "this Idempotency-Key was given for another move",
			     NULL);
		return;
	}
	rest_document(call->reply, o->status, document_move(info));
	snprintf(location, sizeof(location), "/v1/moves/%s",
		 uuid_format((const struct uuid *)o->order->move.data, id));
	http_reply_header(call->reply, "Location", location);
}

static void note_answer(struct call *call, const Envelope *answer)
{
	if (answer->body_case == TAGALONG__ENVELOPE__BODY_MOVE_LIST) {
		if (answer->move_list->n_moves)
			note_move(call, answer->move_list->moves[0]);
	} else if (answer->body_case == TAGALONG__ENVELOPE__BODY_FAILURE) {
		call->ordering->refused = true;
		show(call, answer);
	}
}

/* A step of the order, which the controller answers at once. */
static bool step(struct rest *r, const struct client *client, struct ordering *ordering,
		 const struct rest_match *match, Envelope *e, struct http_reply *reply)
{
	struct call *call = begin_call(r, match->operation, reply);
	bool delivered;

	if (!call)
		return false;
	call->ordering = ordering;
	delivered = deliver(call, client, e);
	end_call(call);
	return delivered;
}

static bool look_up(struct rest *r, const struct client *client, struct ordering *ordering,
		    const struct rest_match *match, struct http_reply *reply)
{
	Tagalong__MoveQuery query = TAGALONG__MOVE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	query.has_move = true;
	query.move = ordering->order->move;
	query.has_limit = true;
	query.limit = 1;
	e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_QUERY;
	e.move_query = &query;
	return step(r, client, ordering, match, &e, reply);
}

static void order(struct rest *r, const struct client *client, const struct rest_match *match,
		  const char *key, Envelope *e, struct http_reply *reply)
{
	struct ordering ordering = { .order = e->move_order, .status = 200 };
	struct uuid id;

	if (move_id(client, key, &id) < 0) {
		rest_problem(reply, 400, "an Idempotency-Key has 1 to 255 letters", NULL);
		return;
	}
	e->move_order->move = (ProtobufCBinaryData){ UUID_SIZE, id.bytes };
	if (e->move_order->dry_run) {
		ask(r, client, match, e, reply);
		return;
	}
	if (key && (!look_up(r, client, &ordering, match, reply) || ordering.found))
		return;
	if (!step(r, client, &ordering, match, e, reply) || ordering.refused)
		return;
	ordering.status = 201;
	look_up(r, client, &ordering, match, reply);
}

/* ---- Requests ------------------------------------------------------------------- */

static void on_argument(const char *name, const char *value, void *userdata)
{
	struct rest_input *input = userdata;

	if (input->n_arguments < REST_ARGUMENTS_MAX)
		input->arguments[input->n_arguments] = (struct rest_argument){ name, value };
	input->n_arguments++;
}

static bool is_json(const char *type)
{
	size_t n = type ? strcspn(type, "; ") : 0;

	return n == strlen("application/json") && strncasecmp(type, "application/json", n) == 0;
}

static bool shows_json(const struct rest_operation *o)
{
	return o->kind != REST_EVENTS && o->kind != REST_METRICS;
}

/* By its Accept (RFC 9110), in which a type may be called unwanted, but ours by name are not. */
static bool accepts_json(const struct http_request *request)
{
	static const char *const ours[] = { "application/json", "application/problem+json",
					    "application/*", "*/*" };
	const char *accept = http_request_header(request, "Accept");

	for (size_t i = 0; accept && i < ARRAY_SIZE(ours); i++)
		if (strcasestr(accept, ours[i]))
			return true;
	return !accept;
}

/* False: refused, and answered. */
static bool read_input(const struct http_request *request, const struct rest_operation *operation,
		       struct rest_input *ret, struct http_reply *reply)
{
	*ret = (struct rest_input){ 0 };
	http_request_arguments(request, on_argument, ret);
	ret->body = http_request_body(request, &ret->len);
	ret->if_match = http_request_header(request, "If-Match");
	if (ret->n_arguments > REST_ARGUMENTS_MAX)
		rest_problem(reply, 400, "too many parameters", NULL);
	else if (shows_json(operation) && !accepts_json(request))
		rest_problem(reply, 406, "answers are of type application/json", NULL);
	else if (ret->len && !is_json(http_request_header(request, "Content-Type")))
		rest_problem(reply, 415, "the body is to be of type application/json", NULL);
	else
		return true;
	return false;
}

static void show_controllers(struct rest *r, struct http_reply *reply)
{
	Tagalong__Leader leader = TAGALONG__LEADER__INIT;

	r->host->leader(r->host->userdata, &leader);
	rest_document(reply, 200, rest_controllers(r->host->name, &leader));
}

static void show_metrics(struct rest *r, struct http_reply *reply)
{
	struct metrics *m = metrics_new();
	char *text;
	size_t len;

	if (!m)
		return;
	r->host->measure(r->host->userdata, m);
	if (metrics_finish(m, &text, &len) == 0)
		http_reply_take(reply, 200, METRICS_CONTENT_TYPE, text, len);
}

static void open_events(struct rest *r, const struct http_request *request,
			struct http_reply *reply)
{
	const char *name = http_request_argument(request, "type");
	Tagalong__Leader leader = TAGALONG__LEADER__INIT;
	enum event_type type;

	r->host->leader(r->host->userdata, &leader);
	if (!leader.leads)
		answer_standby(r, reply);
	else if (name && event_type_parse(name, &type) < 0)
		rest_problem(reply, 400, "'type' is one of move, rtt", NULL);
	else
		event_stream_open(r->events, reply, http_request_header(request, "Last-Event-ID"),
				  name ? &type : NULL);
}

static void serve(struct rest *r, const struct http_request *request, const struct client *client,
		  const struct rest_match *match, Envelope *e, struct http_reply *reply)
{
	switch (match->operation->kind) {
	case REST_ASK:
		ask(r, client, match, e, reply);
		break;
	case REST_ORDER:
		order(r, client, match, http_request_header(request, "Idempotency-Key"), e, reply);
		break;
	case REST_CONTROLLERS:
		show_controllers(r, reply);
		break;
	case REST_EVENTS:
		open_events(r, request, reply);
		break;
	case REST_METRICS:
		show_metrics(r, reply);
		break;
	case REST_OPENAPI:
		http_reply_text(reply, 200, "application/json", openapi_document);
		break;
	}
}

static void on_request(const struct http_request *request, struct http_reply *reply, void *userdata)
{
	struct rest *r = userdata;
	char allow[REST_ALLOW_SIZE];
	struct arena arena = { 0 };
	struct mg_error err = { 0 };
	struct rest_input input;
	struct rest_match match;
	struct client client;
	Envelope e;
	int found =
		rest_match(http_request_method(request), http_request_path(request), &match, allow);

	if (found == -ENOENT) {
		rest_problem(reply, 404, "there is no such path; see /v1/openapi.json", NULL);
		return;
	}
	if (found < 0) {
		rest_problem(reply, 405, "this path takes other methods", NULL);
		http_reply_header(reply, "Allow", allow);
		return;
	}
	if (!admit(r, request, match.operation->role, reply, &client) ||
	    !read_input(request, match.operation, &input, reply))
		return;
	match.base = r->config->advertise;
	found = rest_request(&match, &input, &arena, &e, &err);
	if (found < 0)
		rest_problem(reply, rest_status_of(found), err.text, NULL);
	else
		serve(r, request, &client, &match, &e, reply);
	arena_free(&arena);
}

static void on_error(struct http_reply *reply, unsigned status, const char *text)
{
	rest_problem(reply, status, text, NULL);
}

/* ---- Life ----------------------------------------------------------------------- */

void rest_event(struct rest *r, enum event_type type, const char *data)
{
	event_stream_add(r->events, type, data);
}

void rest_step_down(struct rest *r)
{
	struct call *next;

	for (struct call *call = r->calls; call; call = next) {
		next = call->next;
		if (!call->later)
			continue;
		answer_standby(r, call->reply);
		end_call(call);
	}
	event_stream_close(r->events);
}

static int read_files(struct rest *r, struct mg_error *err)
{
	const struct rest_config *c = r->config;
	size_t len;
	int n = tokens_load(c->tokens, &r->tokens, err);

	if (n == 0 && c->certificate)
		n = file_read(c->certificate, PEM_MAX, &r->certificate, &len, err);
	if (n == 0 && c->key)
		n = file_read_secret(c->key, PEM_MAX, &r->key, &len, err);
	return n;
}

static int listen_at(struct rest *r, sd_event *loop, struct mg_error *err)
{
	static const struct http_route routes[] = {
		{ "GET", "/*", on_request },    { "POST", "/*", on_request },
		{ "PUT", "/*", on_request },    { "PATCH", "/*", on_request },
		{ "DELETE", "/*", on_request }, { 0 },
	};
	const struct http_config http = {
		.listen = r->config->listen,
		.routes = routes,
		.body_max = r->config->body_max,
		.connections = r->config->connections,
		.connections_each = r->config->connections_each,
		.timeout_s = r->config->timeout_s,
		.certificate = r->certificate,
		.key = r->key,
		.on_error = on_error,
		.userdata = r,
	};

	return http_server_new(loop, &http, &r->server, err);
}

int rest_new(sd_event *loop, const struct rest_config *config, const struct rest_host *host,
	     struct rest **ret, struct mg_error *err)
{
	_cleanup_(rest_free_p) struct rest *r = calloc(1, sizeof(*r));
	int n;

	if (!r)
		return mg_error_set(err, -ENOMEM, "out of memory");
	r->config = config;
	r->host = host;
	r->boot = uuid_random();
	n = read_files(r, err);
	if (n == 0)
		n = event_stream_new(loop, &r->events, err);
	if (n == 0)
		n = listen_at(r, loop, err);
	if (n < 0) {
		mg_error_prefix(err, "http");
		return n;
	}
	*ret = TAKE_PTR(r);
	return 0;
}

void rest_free(struct rest *r)
{
	if (!r)
		return;
	if (r->events)
		rest_step_down(r);
	http_server_free(r->server);
	event_stream_free(r->events);
	tokens_free(r->tokens);
	free(r->certificate);
	if (r->key)
		explicit_bzero(r->key, strlen(r->key));
	free(r->key);
	free(r);
}

const struct address *rest_local(const struct rest *r)
{
	return http_server_local(r->server);
}
