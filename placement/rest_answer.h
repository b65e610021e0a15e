/* SPDX-License-Identifier: Apache-2.0
 *
 * What HTTP clients are answered: documents, and problems (RFC 9457).
 */
#ifndef PLACEMENT_REST_ANSWER_H
#define PLACEMENT_REST_ANSWER_H

#include <jansson.h>

#include "common/http.h"
#include "common/proto/tagalong.pb-c.h"

#define REST_PROBLEM_TYPE "application/problem+json"

/* The status for a refusal's errno (positive or negative). */
unsigned rest_status_of(int code);

/* {"type": "about:blank", "title", "status", "detail"}, and what `more` (a reference
 * that is taken over; may be NULL) adds. */
void rest_problem(struct http_reply *reply, unsigned status, const char *detail, json_t *more);

/* Takes the document over. */
void rest_document(struct http_reply *reply, unsigned status, json_t *document);

/* Of several controllers: this one, and the leader if that is another. */
json_t *rest_controllers(const char *name, const Tagalong__Leader *leader);

#endif
