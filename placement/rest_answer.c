/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/rest_answer.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/document.h"
#include "common/move_state.h"
#include "placement/rest_operations.h"

#define JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(9))

/* ---- Problems ------------------------------------------------------------------- */

unsigned rest_status_of(int code)
{
	switch (code < 0 ? -code : code) {
	case EINVAL:
	case EPROTO:
		return 400;
	case EACCES:
		return 403;
	case ENOENT:
		return 404;
	case EALREADY:
	case EBUSY:
	case EEXIST:
	case EHOSTUNREACH:
	case ENOSPC:
		return 409;
	case ENOMEM:
		return 500;
	case EREMCHG: /* what was there has changed */
		return 412;
	case EUSERS: /* there are too many */
		return 403;
	case ESTALE:
		return 503;
	case ETIMEDOUT:
		return 504;
	default: /* a node's reason, and its own */
		return 422;
	}
}

static const char *title_of(unsigned status)
{
	static const struct {
		unsigned status;
		const char *title;
	} titles[] = {
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 409, "Conflict" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 422, "Unprocessable Content" },
		{ 500, "Internal Server Error" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		if (titles[i].status == status)
			return titles[i].title;
	return "Error";
}

static void reply_json(struct http_reply *reply, unsigned status, const char *type, json_t *o)
{
	char *text = o ? json_dumps(o, JSON_FLAGS) : NULL;

	json_decref(o);
	http_reply_take(reply, status, type, text, text ? strlen(text) : 0);
	http_reply_header(reply, "Cache-Control", "no-store");
}

void rest_problem(struct http_reply *reply, unsigned status, const char *detail, json_t *more)
{
	json_t *o = json_pack("{s:s, s:s, s:i, s:s*}", "type", "about:blank", "title",
			      title_of(status), "status", (int)status, "detail", detail);

	if (more)
		json_object_update(o, more);
	json_decref(more);
	reply_json(reply, status, REST_PROBLEM_TYPE, o);
}

void rest_document(struct http_reply *reply, unsigned status, json_t *document)
{
	reply_json(reply, status, "application/json", document);
}

/* ---- The fleet ------------------------------------------------------------------ */

json_t *rest_show_status(const struct rest_match *match, const Envelope *request,
			 const Envelope *answer)
{
	(void)match, (void)request;
	return document_status(answer->status);
}

static void count(json_t *counts, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(counts, key));

	json_object_set_new(counts, key, json_integer(n + 1));
}

static json_t *count_nodes(const Tagalong__Status *status)
{
	json_int_t migrators = 0, telemetries = 0, drained = 0;

	for (size_t i = 0; i < status->n_nodes; i++) {
		migrators += status->nodes[i]->migrator_up;
		telemetries += status->nodes[i]->telemetry_up;
		drained += status->nodes[i]->drained;
	}
	return json_pack("{s:I, s:I, s:I, s:I}", "total", (json_int_t)status->n_nodes,
			 "migrator_up", migrators, "telemetry_up", telemetries, "drained", drained);
}

/* Pairs of one device stand together. */
static json_int_t count_devices(const Tagalong__Status *status)
{
	json_int_t n = 0;

	for (size_t i = 0; i < status->n_pairs; i++)
		n += i == 0 ||
		     strcmp(status->pairs[i]->device_name, status->pairs[i - 1]->device_name) != 0;
	return n;
}

json_t *rest_show_summary(const struct rest_match *match, const Envelope *request,
			  const Envelope *answer)
{
	const Tagalong__Status *status = answer->status;
	json_t *vms = json_object(), *moves = json_object();

	(void)match, (void)request;
	for (size_t i = 0; i < status->n_vms; i++)
		count(vms, document_vm_state_name(status->vms[i]->state));
	for (size_t i = 0; i < status->n_moves; i++)
		count(moves, move_state_name(status->moves[i]->state));
	return json_pack("{s:I, s:o, s:I, s:I, s:o, s:o}", "epoch", (json_int_t)status->epoch,
			 "nodes", count_nodes(status), "devices", count_devices(status), "pairs",
			 (json_int_t)status->n_pairs, "vms", vms, "moves", moves);
}

json_t *rest_controllers(const char *name, const Tagalong__Leader *leader)
{
	json_t *list = json_array();
	bool other = !leader->leads && leader->name;

	json_array_append_new(list, json_pack("{s:s, s:s, s:s*, s:s*, s:s*}", "name", name, "state",
					      leader->leads ? "leads" : "standby", "endpoint",
					      leader->leads ? leader->endpoint : NULL, "url",
					      leader->leads ? leader->url : NULL, "problem",
					      leader->problem));
	if (leader->has_epoch)
		json_object_set_new(json_array_get(list, 0), "epoch",
				    json_integer((json_int_t)leader->epoch));
	if (other)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s*, s:s*}", "name", leader->name,
						"state", "leads", "endpoint", leader->endpoint,
						"url", leader->url));
	if (leader->has_since_utc_ns)
		json_object_set_new(json_array_get(list, other), "since_utc_ns",
				    json_integer((json_int_t)leader->since_utc_ns));
	return json_pack("{s:o}", "controllers", list);
}

/* ---- Nodes ---------------------------------------------------------------------- */

json_t *rest_show_nodes(const struct rest_match *match, const Envelope *request,
			const Envelope *answer)
{
	(void)match, (void)request;
	return document_node_list(answer->node_list);
}

json_t *rest_show_node(const struct rest_match *match, const Envelope *request,
		       const Envelope *answer)
{
	const Tagalong__NodeList *list = answer->node_list;

	(void)request;
	for (size_t i = 0; i < list->n_nodes; i++)
		if (strcmp(list->nodes[i]->name, match->values[0]) == 0)
			return document_node(list->nodes[i]);
	return NULL;
}

json_t *rest_show_drain(const struct rest_match *match, const Envelope *request,
			const Envelope *answer)
{
	(void)match;
	return document_drain_plan(request->node_drain->node, request->node_drain->dry_run,
				   answer->drain_plan);
}

/* ---- Devices and pairs ---------------------------------------------------------- */

json_t *rest_show_pairs(const struct rest_match *match, const Envelope *request,
			const Envelope *answer)
{
	(void)match, (void)request;
	return document_pair_list(answer->pair_list);
}

/* What is the device's of a pair's document moves to a document of its own. */
static json_t *take_device(json_t *pair)
{
	static const char *const members[] = { "device", "device_id", "device_node", "asleep",
					       "rtts" };
	json_t *device = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		json_object_set(device, members[i], json_object_get(pair, members[i]));
		json_object_del(pair, members[i]);
	}
	json_object_set_new(device, "vms", json_array());
	return device;
}

/* The devices' documents; pairs of one device stand together. Only that of this name, unless NULL.
 */
static json_t *devices(const Tagalong__PairList *list, const char *name)
{
	json_t *all = json_array(), *last = NULL;

	for (size_t i = 0; i < list->n_pairs; i++) {
		const Tagalong__Pair *p = list->pairs[i];
		json_t *pair, *device;

		if (name && strcmp(p->device_name, name) != 0)
			continue;
		pair = document_pair(p);
		device = take_device(pair);
		if (last && json_equal(json_object_get(last, "device"),
				       json_object_get(device, "device"))) {
			json_decref(device);
		} else {
			json_array_append_new(all, device);
			last = device;
		}
		json_array_append_new(json_object_get(last, "vms"), pair);
	}
	return all;
}

json_t *rest_show_devices(const struct rest_match *match, const Envelope *request,
			  const Envelope *answer)
{
	(void)match, (void)request;
	return json_pack("{s:o}", "devices", devices(answer->pair_list, NULL));
}

json_t *rest_show_device(const struct rest_match *match, const Envelope *request,
			 const Envelope *answer)
{
	json_t *all = devices(answer->pair_list, match->values[0]);
	json_t *device = json_incref(json_array_get(all, 0));

	(void)request;
	json_decref(all);
	return device;
}

json_t *rest_show_affinities(const struct rest_match *match, const Envelope *request,
			     const Envelope *answer)
{
	(void)match, (void)request;
	return document_affinity_list(answer->affinity_list);
}

/* ---- VMs ------------------------------------------------------------------------ */

json_t *rest_show_vms(const struct rest_match *match, const Envelope *request,
		      const Envelope *answer)
{
	(void)match, (void)request;
	return document_vm_list(answer->vm_list);
}

static bool is_elsewhere(const Tagalong__VmInfo *vm)
{
	return vm->state == TAGALONG__VM_STATE__VM_INCOMING ||
	       vm->state == TAGALONG__VM_STATE__VM_GONE;
}

/* While it moves two nodes have it: the one that runs it counts. */
json_t *rest_show_vm(const struct rest_match *match, const Envelope *request,
		     const Envelope *answer)
{
	const Tagalong__VmList *list = answer->vm_list;
	size_t i = 0;

	(void)match, (void)request;
	while (i < list->n_vms && is_elsewhere(list->vms[i]))
		i++;
	if (i == list->n_vms)
		i = 0;
	return list->n_vms ? document_vm(list->vms[i]) : NULL;
}

/* ---- Moves ---------------------------------------------------------------------- */

/* A full page may have others behind it. */
json_t *rest_show_moves(const struct rest_match *match, const Envelope *request,
			const Envelope *answer)
{
	const Tagalong__MoveList *list = answer->move_list;
	json_t *o = document_move_list(list);

	(void)match;
	if (list->n_moves && list->n_moves >= request->move_query->limit) {
		json_t *moves = json_object_get(o, "moves");
		json_t *last = json_array_get(moves, list->n_moves - 1);

		json_object_set(o, "next", json_object_get(last, "move"));
	}
	return o;
}

/* Of a question, or of what a dry run found. */
json_t *rest_show_move(const struct rest_match *match, const Envelope *request,
		       const Envelope *answer)
{
	const Tagalong__MoveList *list = answer->move_list;

	(void)match, (void)request;
	if (answer->body_case == TAGALONG__ENVELOPE__BODY_MOVE_RESULT)
		return document_move(answer->move_result->info);
	return list->n_moves ? document_move(list->moves[0]) : NULL;
}

json_t *rest_show_why(const struct rest_match *match, const Envelope *request,
		      const Envelope *answer)
{
	(void)match, (void)request;
	return document_why(answer->move_why);
}

json_t *rest_show_outcomes(const struct rest_match *match, const Envelope *request,
			   const Envelope *answer)
{
	(void)match;
	return document_summary(request->summary_query->since_utc_ns, answer->summary);
}
