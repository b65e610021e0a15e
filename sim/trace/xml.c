/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/trace/xml.h"

#include <expat.h>
#include <string.h>

#include "common/cleanup.h"

#define CHUNK 65536

struct reading {
	struct source *s;
	const struct xml_handler *handler;
	void *userdata;
	XML_Parser parser;
	unsigned depth;
	size_t silent; /* bytes fed since the last tag or text */
	char text[XML_TEXT_MAX];
	size_t len;
	int r;
};

static void stop(struct reading *in, int r)
{
	if (in->r < 0 || r >= 0)
		return;
	in->r = r;
	XML_StopParser(in->parser, XML_FALSE);
}

static void here(struct reading *in)
{
	in->s->number = (unsigned)XML_GetCurrentLineNumber(in->parser);
	in->silent = 0;
}

static void on_begin(void *userdata, const char *tag, const char **attributes)
{
	struct reading *in = userdata;

	if (in->r < 0)
		return;
	here(in);
	in->len = 0;
	if (++in->depth > XML_DEPTH_MAX)
		stop(in, source_fail(in->s, "tags are nested deeper than %d", XML_DEPTH_MAX));
	else
		stop(in, in->handler->begin(in->userdata, tag, attributes));
}

static void on_end(void *userdata, const char *tag)
{
	struct reading *in = userdata;

	if (in->r < 0)
		return;
	here(in);
	in->depth--;
	in->text[in->len] = '\0';
	in->len = 0;
	stop(in, in->handler->end(in->userdata, tag, in->text));
}

static void on_text(void *userdata, const char *text, int len)
{
	struct reading *in = userdata;
	size_t room = sizeof(in->text) - 1 - in->len;
	size_t n = (size_t)len < room ? (size_t)len : room;

	in->silent = 0;
	memcpy(in->text + in->len, text, n);
	in->len += n;
}

static void on_doctype(void *userdata, const char *name, const char *system, const char *public,
		       int internal)
{
	struct reading *in = userdata;

	(void)name, (void)system, (void)public, (void)internal;
	here(in);
	stop(in, source_fail(in->s, "has a DOCTYPE, which no trace needs"));
}

static int feed(struct reading *in)
{
	char chunk[CHUNK];
	ssize_t n;

	do {
		n = source_read(in->s, chunk, sizeof(chunk));
		if (n < 0)
			return (int)n;
		in->silent += (size_t)n;
		if (XML_Parse(in->parser, chunk, (int)n, n == 0) != XML_STATUS_OK && in->r == 0) {
			in->s->number = (unsigned)XML_GetCurrentLineNumber(in->parser);
			in->r = source_fail(in->s, "%s",
					    XML_ErrorString(XML_GetErrorCode(in->parser)));
		}
		if (in->r == 0 && in->silent > XML_TOKEN_MAX)
			in->r = source_fail(in->s, "a tag or comment of more than %zu bytes",
					    XML_TOKEN_MAX);
	} while (n > 0 && in->r == 0);
	return in->r;
}

int xml_read(struct source *s, const struct xml_handler *handler, void *userdata)
{
	struct reading in = {
		.s = s,
		.handler = handler,
		.userdata = userdata,
		.parser = XML_ParserCreate(NULL),
	};
	int r;

	if (!in.parser)
		return mg_error_set(s->err, -ENOMEM, "out of memory");
	XML_SetUserData(in.parser, &in);
	XML_SetElementHandler(in.parser, on_begin, on_end);
	XML_SetCharacterDataHandler(in.parser, on_text);
	XML_SetStartDoctypeDeclHandler(in.parser, on_doctype);
	r = feed(&in);
	XML_ParserFree(in.parser);
	return r;
}

const char *xml_attribute(const char **attributes, const char *name)
{
	for (; attributes[0]; attributes += 2)
		if (strcmp(attributes[0], name) == 0)
			return attributes[1];
	return NULL;
}

int xml_number(struct source *s, const char **attributes, const char *name, double *ret)
{
	const char *text = xml_attribute(attributes, name);

	return text ? source_number(s, text, name, ret) : source_fail(s, "has no %s", name);
}
