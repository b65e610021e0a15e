/* SPDX-License-Identifier: Apache-2.0
 *
 * XML from outside, read as a stream by expat. What makes a small document large or
 * reaches for other files is refused: a DOCTYPE, deep nesting, and tags and texts
 * without an end.
 */
#ifndef SIM_TRACE_XML_H
#define SIM_TRACE_XML_H

#include "sim/trace/source.h"

#define XML_DEPTH_MAX 64
#define XML_TOKEN_MAX ((size_t)1 << 20)
#define XML_TEXT_MAX 256

/* Attributes as expat has them: name, value, name, value, NULL. Return a negative
 * errno to end; the line of the source is that of the tag. */
struct xml_handler {
	int (*begin)(void *userdata, const char *tag, const char **attributes);
	/* `text`: what stood between the tags that end here and the last tag, at most
	 * XML_TEXT_MAX - 1 bytes of it. */
	int (*end)(void *userdata, const char *tag, const char *text);
};

int xml_read(struct source *s, const struct xml_handler *handler, void *userdata);

/* NULL when there is no such attribute. */
const char *xml_attribute(const char **attributes, const char *name);

/* One that must be there and a number. */
int xml_number(struct source *s, const char **attributes, const char *name, double *ret);

#endif
