/* SPDX-License-Identifier: Apache-2.0
 *
 * What an HTTP client asks of placementd: a line "METHOD PATH?QUERY", then a body.
 * Whatever becomes a message is one that the bus would take, and that packs.
 */
#include <stdlib.h>
#include <string.h>

#include "common/uuid.h"
#include "placement/rest_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_query(char *query, struct rest_input *input)
{
	char *save = NULL;

	for (char *word = strtok_r(query, "&", &save);
	     word && input->n_arguments < REST_ARGUMENTS_MAX; word = strtok_r(NULL, "&", &save)) {
		char *value = word + strcspn(word, "=");

		if (*value)
			*value++ = '\0';
		input->arguments[input->n_arguments++] = (struct rest_argument){ word, value };
	}
}

static void check(Envelope *e)
{
	uint8_t boot[UUID_SIZE] = { 0 }, *packed;
	_cleanup_envelope_ Envelope *again = NULL;
	struct mg_error err;
	size_t len;

	if (e->body_case == TAGALONG__ENVELOPE__BODY__NOT_SET)
		return;
	e->version = ENVELOPE_VERSION;
	e->sender = (char *)"robot";
	e->boot_id = (ProtobufCBinaryData){ UUID_SIZE, boot };
	if (envelope_pack(e, &packed, &len) < 0)
		abort();
	again = envelope_unpack(packed, len, &err);
	if (!again || again->body_case != e->body_case)
		abort();
	free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), *body, *path, *query,
	     allow[REST_ALLOW_SIZE];
	struct rest_input input = { 0 };
	struct arena arena = { 0 };
	struct mg_error err = { 0 };
	struct rest_match match;
	Envelope e;
	int r;

	body = text + strcspn(text, "\n");
	if (*body)
		*body++ = '\0';
	path = text + strcspn(text, " ");
	if (*path)
		*path++ = '\0';
	query = path + strcspn(path, "?");
	if (*query)
		*query++ = '\0';
	read_query(query, &input);
	/* The body may have NULs, which JSON does not. */
	input.body = (const char *)data + (body - text);
	input.len = size - (size_t)(body - text);
	if (input.len > size)
		input.len = 0;
	if (rest_match(text, path, &match, allow) == 0) {
		r = rest_request(&match, &input, &arena, &e, &err);
		if (r == 0)
			check(&e);
		else if (r != err.code || !err.text[0])
			abort();
	}
	arena_free(&arena);
	free(text);
	return 0;
}
