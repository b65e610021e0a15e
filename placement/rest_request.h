/* SPDX-License-Identifier: Apache-2.0
 *
 * From a request line, its query and its body to the message that the bus would
 * have. Everything is checked: what a row of the table does not name, and what is
 * of another type or out of its bounds, is refused.
 */
#ifndef PLACEMENT_REST_REQUEST_H
#define PLACEMENT_REST_REQUEST_H

#include "placement/arena.h"
#include "placement/rest_operations.h"

#define REST_ARGUMENTS_MAX 16

struct rest_argument {
	const char *name, *value;
};

/* What of a request the message is made of; all of it is borrowed. */
struct rest_input {
	struct rest_argument arguments[REST_ARGUMENTS_MAX];
	size_t n_arguments;
	const char *if_match; /* the header, or NULL */
	const char *body; /* JSON; of no length: none */
	size_t len;
};

/* Makes the message, out of the arena. -EINVAL (the text says what is wrong),
 * -ENOMEM. For rows without a message only the query is checked. */
int rest_request(const struct rest_match *match, const struct rest_input *input,
		 struct arena *arena, Envelope *ret, struct mg_error *err);

#endif
