/* SPDX-License-Identifier: Apache-2.0
 *
 * What placementd takes by HTTP, as a table. Most rows are one message that the
 * bus has too: the row says where its members come from and how its answer is
 * shown. placement/openapi.yaml says the same for people and programs, and
 * tests/e2e/rest.sh compares the two.
 */
#ifndef PLACEMENT_REST_OPERATIONS_H
#define PLACEMENT_REST_OPERATIONS_H

#include <jansson.h>
#include <stdbool.h>

#include "common/envelope.h"
#include "common/tokens.h"

#define REST_PATH_PARAMETERS 2
#define REST_VALUE_SIZE 256 /* of a parameter in a path, with the NUL */
#define REST_LOCATION_SIZE 4352

/* Where a member's value comes from. */
enum rest_place {
	REST_BODY,     /* a member of the JSON object */
	REST_PATH,     /* "{name}" in the path */
	REST_QUERY,    /* "?name=value" */
	REST_FIXED,    /* `value`, always; a later row may replace it */
	REST_IF_MATCH, /* the header */
};

struct rest_field {
	const char *name;   /* as clients write it; NULL ends a list */
	const char *member; /* of the message; NULL: the same; "": none, the row itself uses it */
	enum rest_place place;
	bool required;
	uint64_t value;     /* REST_FIXED: it; else, unless 0, the greatest that is taken */
	const struct rest_field *fields; /* of a message within */
	/* Of an enumeration that others have named: the words for its values, in their order, then
	 * NULL. Else they are made of the names in the schema. */
	const char *const *words;
};

enum rest_kind {
	REST_ASK, /* `request` goes to the controller; what comes back is shown */
	REST_ORDER, /* of a move: may be repeated, see rest.c */
	REST_CONTROLLERS,
	REST_EVENTS,
	REST_METRICS,
	REST_OPENAPI,
};

struct rest_match;

/* Besides the document; empty: not sent. */
struct rest_headers {
	char etag[32];
	char location[REST_LOCATION_SIZE];
};

struct rest_operation {
	const char *method, *path; /* "/v1/nodes/{node}"; NULL ends the table */
	enum token_role role;      /* that it takes */
	enum rest_kind kind;
	Tagalong__Envelope__BodyCase request;
	const struct rest_field *fields;
	/* Of the answer, when that is not Done: a new reference, or NULL: there is no such
	 * thing. `request` is what was asked. */
	json_t *(*document)(const struct rest_match *match, const Envelope *request,
			    const Envelope *answer);
	unsigned status; /* with the document; 0: 200 */
	/* NULL: there are none. The location is sent with 201 alone. */
	void (*headers)(const struct rest_match *match, const Envelope *answer,
			struct rest_headers *ret);
};

extern const struct rest_operation rest_operations[];

/* A request line and the row that it fits. */
struct rest_match {
	const struct rest_operation *operation;
	char values[REST_PATH_PARAMETERS][REST_VALUE_SIZE]; /* in the path's order */
	const char *base; /* what links begin with; NULL: nothing */
};

#define REST_ALLOW_SIZE 64

/* HEAD is GET. 0, -ENOENT (no such path), -EOPNOTSUPP (not with this method;
 * `ret_allow` then has those that there are). */
int rest_match(const char *method, const char *path, struct rest_match *ret,
	       char ret_allow[REST_ALLOW_SIZE]);

/* The documents of rest_answer.c. */
json_t *rest_show_status(const struct rest_match *match, const Envelope *request,
			 const Envelope *answer);
json_t *rest_show_summary(const struct rest_match *match, const Envelope *request,
			  const Envelope *answer);
json_t *rest_show_nodes(const struct rest_match *match, const Envelope *request,
			const Envelope *answer);
json_t *rest_show_node(const struct rest_match *match, const Envelope *request,
		       const Envelope *answer);
json_t *rest_show_drain(const struct rest_match *match, const Envelope *request,
			const Envelope *answer);
json_t *rest_show_devices(const struct rest_match *match, const Envelope *request,
			  const Envelope *answer);
json_t *rest_show_device(const struct rest_match *match, const Envelope *request,
			 const Envelope *answer);
json_t *rest_show_pairs(const struct rest_match *match, const Envelope *request,
			const Envelope *answer);
json_t *rest_show_affinities(const struct rest_match *match, const Envelope *request,
			     const Envelope *answer);
json_t *rest_show_vms(const struct rest_match *match, const Envelope *request,
		      const Envelope *answer);
json_t *rest_show_vm(const struct rest_match *match, const Envelope *request,
		     const Envelope *answer);
json_t *rest_show_moves(const struct rest_match *match, const Envelope *request,
			const Envelope *answer);
json_t *rest_show_move(const struct rest_match *match, const Envelope *request,
		       const Envelope *answer);
json_t *rest_show_why(const struct rest_match *match, const Envelope *request,
		      const Envelope *answer);
json_t *rest_show_outcomes(const struct rest_match *match, const Envelope *request,
			   const Envelope *answer);

#endif
