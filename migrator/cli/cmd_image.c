/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/clock.h"
#include "migrator/cli/commands.h"
#include "migrator/cli/output.h"
#include "migrator/cli/view.h"

#define TIMEOUT_ADD_NS (600 * NS_PER_S) /* it travels */

static enum cli_exit ask_images(const struct cli *cli, struct session *s, Envelope **ret,
				struct mg_error *err)
{
	Tagalong__ImageQuery query = TAGALONG__IMAGE_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	e.body_case = TAGALONG__ENVELOPE__BODY_IMAGE_QUERY;
	e.image_query = &query;
	return client_call(s->client, REQUEST_REPEATABLE, &e, TAGALONG__ENVELOPE__BODY_IMAGE_LIST,
			   cli_timeout(cli, CLI_TIMEOUT_NS), ret, err);
}

enum cli_exit cmd_image_add(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	Tagalong__ImageAdd add = TAGALONG__IMAGE_ADD__INIT;
	Tagalong__NodeContact source = TAGALONG__NODE_CONTACT__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	struct server_settings from = { 0 };
	enum cli_exit code;

	if (!cli->options.vm == !cli->options.from)
		return cli_fail(err, CLI_USAGE, "say with --vm out of which VM it is made, or with "
				"--from which node has it");
	code = session_open(cli, &s, err);
	if (code == CLI_OK && cli->options.from &&
	    settings_find_node(s.settings, cli->options.from, &from, err) < 0)
		code = CLI_USAGE;
	if (code != CLI_OK)
		return code;
	add.name = cli->operands[0];
	add.has_dry_run = add.dry_run = cli->options.dry_run;
	add.vm = (char *)cli->options.vm;
	source.node = from.name;
	source.endpoint = from.endpoint;
	source.public_key = from.key;
	add.source = cli->options.from ? &source : NULL;
	request.body_case = TAGALONG__ENVELOPE__BODY_IMAGE_ADD;
	request.image_add = &add;
	code = client_call(s.client, REQUEST_ONCE, &request, TAGALONG__ENVELOPE__BODY_DONE,
			   cli_timeout(cli, TIMEOUT_ADD_NS), NULL, err);
	if (code == CLI_OK)
		cli_report_change(cli,
				  json_pack("{s:s, s:s}", "image", add.name, "result", "added"),
				  "added: base image %s", add.name);
	return code;
}

enum cli_exit cmd_image_list(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	_cleanup_envelope_ Envelope *answer = NULL;
	enum cli_exit code = session_open(cli, &s, err);

	if (code == CLI_OK)
		code = ask_images(cli, &s, &answer, err);
	if (code == CLI_OK)
		output_document(cli->options.json, document_image_list(answer->image_list), "images",
				view_image_columns, "no images");
	return code;
}

/* The one whose id begins so, or the one of that VM. */
static enum cli_exit find_image(const Tagalong__ImageList *list, const char *text, struct uuid *ret,
				struct mg_error *err)
{
	const Tagalong__ImageInfo *found = NULL;
	char id_text[UUID_TEXT_SIZE];
	struct uuid id;

	for (size_t i = 0; i < list->n_images; i++) {
		memcpy(id.bytes, list->images[i]->image.data, UUID_SIZE);
		uuid_format(&id, id_text);
		if (strcmp(list->images[i]->vm, text) != 0 &&
		    (strlen(text) < ID_PREFIX_MIN || strncasecmp(id_text, text, strlen(text)) != 0))
			continue;
		if (found)
			return cli_fail(err, CLI_FAILED,
					"'%.64s' may be several images; 'migrator "
					"image list --json' has their whole ids",
					text);
		found = list->images[i];
		*ret = id;
	}
	if (!found)
		return cli_fail(err, CLI_FAILED,
				"no image '%.64s'; 'migrator image list' shows "
				"those there are",
				text);
	return CLI_OK;
}

enum cli_exit cmd_image_remove(const struct cli *cli, struct mg_error *err)
{
	_cleanup_session_ struct session s = { 0 };
	_cleanup_envelope_ Envelope *answer = NULL;
	Tagalong__ImageRemove image_remove = TAGALONG__IMAGE_REMOVE__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	char id_text[UUID_TEXT_SIZE];
	struct uuid id;
	enum cli_exit code = session_open(cli, &s, err);

	if (code == CLI_OK)
		code = ask_images(cli, &s, &answer, err);
	if (code == CLI_OK)
		code = find_image(answer->image_list, cli->operands[0], &id, err);
	if (code != CLI_OK)
		return code;
	image_remove.has_dry_run = image_remove.dry_run = cli->options.dry_run;
	image_remove.image = (ProtobufCBinaryData){ UUID_SIZE, id.bytes };
	request.body_case = TAGALONG__ENVELOPE__BODY_IMAGE_REMOVE;
	request.image_remove = &image_remove;
	code = client_call(s.client, REQUEST_ONCE, &request, TAGALONG__ENVELOPE__BODY_DONE,
			   cli_timeout(cli, CLI_TIMEOUT_NS), NULL, err);
	if (code == CLI_OK)
		cli_report_change(cli,
				  json_pack("{s:s, s:s}", "image", uuid_format(&id, id_text),
					    "result", "removed"),
				  "removed: image %s", uuid_format(&id, id_text));
	return code;
}
