/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "common/uuid.h"
#include "placement/controller_private.h"
#include "placement/rest_request.h"

#define ID "3f2a1199-5c00-4001-8002-0000000000ff"

struct made {
	struct rest_match match;
	struct arena arena;
	Envelope e;
	struct mg_error err;
};

/* "GET /path?a=b" and a body (NULL: none) become a message. */
static int make(struct made *m, const char *method, const char *target, const char *body)
{
	struct rest_input input = { .body = body ? body : "", .len = body ? strlen(body) : 0 };
	char text[256], allow[REST_ALLOW_SIZE], *query, *save = NULL;

	memset(m, 0, sizeof(*m));
	snprintf(text, sizeof(text), "%s", target);
	query = strchr(text, '?');
	if (query)
		*query++ = '\0';
	for (char *word = query ? strtok_r(query, "&", &save) : NULL; word;
	     word = strtok_r(NULL, "&", &save)) {
		char *value = strchr(word, '=');

		*value++ = '\0';
		input.arguments[input.n_arguments++] = (struct rest_argument){ word, value };
	}
	cr_assert_eq(rest_match(method, text, &m->match, allow), 0, "%s %s", method, target);
	return rest_request(&m->match, &input, &m->arena, &m->e, &m->err);
}

static void refused(const char *method, const char *target, const char *body, const char *why)
{
	struct made m;

	cr_assert_eq(make(&m, method, target, body), -EINVAL, "%s %s", target, body);
	cr_assert_not_null(strstr(m.err.text, why), "%s %s: %s", target, body, m.err.text);
	arena_free(&m.arena);
}

Test(rest_request, a_path_finds_its_row)
{
	char allow[REST_ALLOW_SIZE], path[400];
	struct rest_match match;

	cr_assert_eq(rest_match("PUT", "/v1/pairs/phone/web", &match, allow), 0);
	cr_assert_str_eq(match.operation->path, "/v1/pairs/{device}/{vm}");
	cr_assert_str_eq(match.values[0], "phone");
	cr_assert_str_eq(match.values[1], "web");
	cr_assert_eq(rest_match("HEAD", "/v1/nodes", &match, allow), 0);
	cr_assert_eq(rest_match("GET", "/v1/nodes/", &match, allow), -ENOENT);
	cr_assert_eq(rest_match("GET", "/v1/nodes/a/b", &match, allow), -ENOENT);
	cr_assert_eq(rest_match("GET", "/v1/node", &match, allow), -ENOENT);
	cr_assert_eq(rest_match("GET", "", &match, allow), -ENOENT);
	cr_assert_eq(rest_match("POST", "/v1/pairs/phone/web", &match, allow), -EOPNOTSUPP);
	cr_assert_str_eq(allow, "PUT, DELETE");
	memset(path, 'x', sizeof(path));
	memcpy(path, "/v1/nodes/", 10);
	path[10 + REST_VALUE_SIZE - 1] = '\0';
	cr_assert_eq(rest_match("GET", path, &match, allow), 0);
	path[10 + REST_VALUE_SIZE - 1] = 'x';
	path[10 + REST_VALUE_SIZE] = '\0';
	cr_assert_eq(rest_match("GET", path, &match, allow), -ENOENT);
}

Test(rest_request, an_order_is_the_message_that_the_bus_has)
{
	const Tagalong__MoveOrder *o;
	struct made m;

	cr_assert_eq(
		make(&m, "POST", "/v1/moves",
		     "{\"vm\": \"web\", \"target\": \"b\", \"force\": true, \"priority\": \"low\","
		     " \"limits\": {\"blackout_ns\": 20000000, \"connections\": 3,"
		     " \"if_not_converging\": \"give-up\"}}"),
		0, "%s", m.err.text);
	cr_assert_eq(m.e.body_case, TAGALONG__ENVELOPE__BODY_MOVE_ORDER);
	o = m.e.move_order;
	cr_assert_str_eq(o->vm, "web");
	cr_assert_str_eq(o->target, "b");
	cr_assert(o->has_force && o->force && !o->has_dry_run);
	cr_assert_eq(o->priority, TAGALONG__MOVE_PRIORITY__PRIORITY_LOW);
	cr_assert(o->limits->has_blackout_ns && !o->limits->has_blackout_max_ns);
	cr_assert_eq(o->limits->blackout_ns, 20000000);
	cr_assert_eq(o->limits->connections, 3);
	cr_assert_eq(o->limits->if_not_converging, TAGALONG__IF_NOT_CONVERGING__CONVERGE_GIVE_UP);
	arena_free(&m.arena);
}

Test(rest_request, paths_queries_and_what_is_fixed)
{
	struct uuid id;
	struct made m;

	cr_assert_eq(make(&m, "GET", "/v1/moves", NULL), 0);
	cr_assert(m.e.move_query->has_limit && !m.e.move_query->has_after);
	cr_assert_eq(m.e.move_query->limit, 50);
	arena_free(&m.arena);
	cr_assert_eq(make(&m, "GET", "/v1/moves?limit=7&vm=web&after=" ID, NULL), 0, "%s",
		     m.err.text);
	cr_assert_eq(m.e.move_query->limit, 7);
	cr_assert_str_eq(m.e.move_query->vm, "web");
	cr_assert_eq(uuid_parse(ID, &id), 0);
	cr_assert_arr_eq(m.e.move_query->after.data, id.bytes, UUID_SIZE);
	arena_free(&m.arena);
	cr_assert_eq(make(&m, "POST", "/v1/moves/" ID "/resolve",
			  "{\"verdict\": \"run-here\", \"node\": \"a\"}"),
		     0, "%s", m.err.text);
	cr_assert_eq(m.e.move_resolve->verdict, TAGALONG__MOVE_RESOLVE__VERDICT__RUN_HERE);
	arena_free(&m.arena);
	cr_assert_eq(make(&m, "POST", "/v1/nodes/a/undrain", NULL), 0);
	cr_assert(!m.e.node_drain->drained);
	arena_free(&m.arena);
	cr_assert_eq(make(&m, "PUT", "/v1/pairs/phone/web", "{\"device_id\": \"" ID "\"}"), 0);
	cr_assert(m.e.pair_set->foreground);
	arena_free(&m.arena);
	cr_assert_eq(make(&m, "PUT", "/v1/pairs/phone/web",
			  "{\"device_id\": \"" ID "\", \"foreground\": false}"),
		     0);
	cr_assert(!m.e.pair_set->foreground);
	arena_free(&m.arena);
}

Test(rest_request, windows_and_instants)
{
	struct made m;

	cr_assert_eq(make(&m, "POST", "/v1/nodes/a/maintain",
			  "{\"window\": {\"start_utc_ns\": 1795900000000000000,"
			  " \"end_utc_ns\": 1795903600000000000}, \"dry_run\": true}"),
		     0, "%s", m.err.text);
	cr_assert_eq(m.e.node_maintain->window->end_utc_ns, 1795903600000000000);
	cr_assert(m.e.node_maintain->dry_run);
	arena_free(&m.arena);
	cr_assert_eq(make(&m, "GET", "/v1/outcomes?since_utc_ns=1795900000000000000", NULL), 0,
		     "%s", m.err.text);
	cr_assert_eq(m.e.summary_query->since_utc_ns, 1795900000000000000);
	arena_free(&m.arena);
	refused("GET", "/v1/outcomes?since_utc_ns=9223372036854775808", NULL, "at most");
	refused("POST", "/v1/nodes/a/maintain", "{\"window\": {\"start_utc_ns\": 1}}",
		"in 'window': 'end_utc_ns' is missing");
}

/* ---- Nothing is left out ------------------------------------------------------------ */

/* Members that are not for clients: ids that are made, what a controller knows, and what it has
 * no orders for. */
static const struct {
	const char *message, *members;
} not_for_clients[] = {
	{ "MobilityService", " version expires_utc_ns " },
	{ "MobilitySubscription", " version " },
	{ "MoveOrder", " move target_endpoint target_public_key reason device warm copy_bases " },
};

static bool is_for_clients(const ProtobufCMessageDescriptor *message, const char *member)
{
	char word[64];

	snprintf(word, sizeof(word), " %s ", member);
	for (size_t i = 0; i < sizeof(not_for_clients) / sizeof(not_for_clients[0]); i++)
		if (strcmp(not_for_clients[i].message, message->short_name) == 0 &&
		    strstr(not_for_clients[i].members, word))
			return false;
	return true;
}

static bool row_has(const struct rest_operation *o, const char *member)
{
	for (const struct rest_field *f = o->fields; f->name; f++)
		if (strcmp(f->member && f->member[0] ? f->member : f->name, member) == 0)
			return true;
	return false;
}

static bool some_row_has(Tagalong__Envelope__BodyCase body, const char *member)
{
	for (const struct rest_operation *o = rest_operations; o->method; o++)
		if (o->request == body && (!member || row_has(o, member)))
			return true;
	return false;
}

/* Whatever an operator may ask of a controller by the bus can be asked by HTTP. */
Test(rest_request, every_message_of_operators_has_an_operation)
{
	const ProtobufCMessageDescriptor *envelope = &tagalong__envelope__descriptor;
	size_t asked = 0;

	for (unsigned i = 0; i < envelope->n_fields; i++) {
		Tagalong__Envelope__BodyCase body = (Tagalong__Envelope__BodyCase)envelope->fields[i].id;
		const ProtobufCMessageDescriptor *message = envelope->fields[i].descriptor;

		if (envelope->fields[i].type != PROTOBUF_C_TYPE_MESSAGE || !request_find(body))
			continue;
		asked++;
		cr_expect(some_row_has(body, NULL), "%s has no row", message->short_name);
		for (unsigned j = 0; j < message->n_fields; j++)
			cr_expect(!is_for_clients(message, message->fields[j].name) ||
					  some_row_has(body, message->fields[j].name),
				  "%s: no row has '%s'", message->short_name,
				  message->fields[j].name);
	}
	cr_assert_gt(asked, 20);
}

Test(rest_request, lists_of_objects_and_texts)
{
	const Tagalong__VmSpec *spec;
	struct made m;

	cr_assert_eq(make(&m, "POST", "/v1/vms",
			  "{\"spec\": {\"name\": \"web\", \"memory_bytes\": 1048576, \"vcpus\": 1,"
			  " \"machine\": \"q35\", \"cpu\": \"qemu64\", \"accelerator\": \"tcg\","
			  " \"extra\": [\"-a\", \"b\"], \"disks\": [{\"format\": \"raw\", "
			  "\"size\": 5}]}}"),
		     0, "%s", m.err.text);
	spec = m.e.vm_start->spec;
	cr_assert_eq(spec->n_extra, 2);
	cr_assert_str_eq(spec->extra[1], "b");
	cr_assert_eq(spec->n_disks, 1);
	cr_assert_eq(spec->disks[0]->size, 5);
	cr_assert_null(m.e.vm_start->node);
	arena_free(&m.arena);
}

Test(rest_request, what_makes_no_sense_is_refused)
{
	refused("POST", "/v1/moves", NULL, "'vm' is missing");
	refused("POST", "/v1/moves", "", "'vm' is missing");
	refused("POST", "/v1/moves", "{", "no JSON");
	refused("POST", "/v1/moves", "7", "no JSON");
	refused("POST", "/v1/moves", "[]", "an object");
	refused("POST", "/v1/moves", "{\"vm\":\"a\",\"vm\":\"a\",\"target\":\"b\"}", "no JSON");
	refused("POST", "/v1/moves", "{\"vm\":\"a\",\"target\":\"b\",\"x\":1}", "no member 'x'");
	/* Members of the message that are not for clients. */
	refused("POST", "/v1/moves", "{\"vm\":\"a\",\"target\":\"b\",\"target_endpoint\":\"c\"}",
		"no member");
	refused("POST", "/v1/moves", "{\"vm\":\"a\",\"target\":7}", "'target' is to be a text");
	refused("POST", "/v1/moves", "{\"vm\":\"\",\"target\":\"b\"}", "longer than nothing");
	refused("POST", "/v1/moves", "{\"vm\":\"a\\u0001\",\"target\":\"b\"}", "clean");
	refused("POST", "/v1/moves", "{\"vm\":\"a\",\"target\":\"b\",\"priority\":\"top\"}",
		"'top' is none");
	refused("POST", "/v1/moves", "{\"vm\":\"a\",\"target\":\"b\",\"limits\":[]}",
		"'limits' is to be an object");
	refused("POST", "/v1/moves", "{\"vm\":\"a\",\"target\":\"b\",\"limits\":{\"attempts\":-1}}",
		"in 'limits': 'attempts'");
	refused("POST", "/v1/moves",
		"{\"vm\":\"a\",\"target\":\"b\",\"limits\":{\"attempts\":4294967296}}",
		"at most 4294967295");
	refused("POST", "/v1/moves",
		"{\"vm\":\"a\",\"target\":\"b\",\"limits\":{\"attempts\":1.5}}", "whole number");
	refused("GET", "/v1/moves/none", NULL, "'move' is to be a UUID");
	refused("GET", "/v1/moves?limit=1001", NULL, "at most 1000");
	refused("GET", "/v1/moves?limit=-1", NULL, "whole number");
	refused("GET", "/v1/moves?limit=1x", NULL, "whole number");
	refused("GET", "/v1/moves?limit=1&limit=1", NULL, "given twice");
	refused("GET", "/v1/moves?colour=red", NULL, "no parameter 'colour'");
	refused("DELETE", "/v1/vms/web?force=yes", NULL, "true or false");
	refused("GET", "/v1/nodes", "{}", "takes no body");
	refused("GET", "/v1/events", "{}", "takes no body");
	refused("PUT", "/v1/pairs/phone/web", "{\"device_id\":\"x\"}", "a UUID");
}
