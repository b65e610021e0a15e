/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/guest/options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/units.h"
#include "sim/guest/pattern.h"

#define PREFIX "tagguest."
#define WORD_MAX 128
#define UNSET UINT64_MAX

/* A guest that verifies its memory in less time than this does little else. */
#define PASS_SECONDS 2
#define VERIFY_MIN (16u << 20)

void guest_options_init(struct guest_options *o)
{
	*o = (struct guest_options){
		.mem = 64u << 20, .seed = 1, .ratio = 2.0, .bits = 8, .rate = 1u << 20,
		.ws = UNSET, .verify = UNSET,
	};
}

static int parse_seed(const char *text, uint64_t *ret)
{
	char *end;
	uint64_t v;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 0);
	if (*end)
		return -EINVAL;
	if (errno)
		return -ERANGE;
	*ret = v;
	return 0;
}

static int parse_ratio(const char *text, double *ret)
{
	char *end;
	double v;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	v = strtod(text, &end);
	if (*end || !isfinite(v))
		return -EINVAL;
	if (v < 1.0 || v > 10.0)
		return -ERANGE;
	*ret = v;
	return 0;
}

static int parse_bits(const char *text, unsigned *ret)
{
	if (text[0] < '1' || text[0] > '8' || text[1])
		return -EINVAL;
	*ret = (unsigned)(text[0] - '0');
	return 0;
}

static int parse_disk(struct guest_options *o, const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len >= sizeof(o->disk) ||
	    strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789") != len)
		return -EINVAL;
	memcpy(o->disk, text, len + 1);
	return 0;
}

int guest_options_set(struct guest_options *o, const char *text, bool running)
{
	const char *value = strchr(text, '=');
	size_t len;

	if (!value)
		return -EINVAL;
	len = (size_t)(value++ - text);
#define KEY(name) (len == sizeof(name) - 1 && memcmp(text, name, len) == 0)
	if (KEY("rate"))
		return size_parse(value, &o->rate);
	if (KEY("ws"))
		return size_parse(value, &o->ws);
	if (KEY("verify"))
		return size_parse(value, &o->verify);
	if (running)
		return -ENOENT;
	if (KEY("mem"))
		return size_parse(value, &o->mem);
	if (KEY("seed"))
		return parse_seed(value, &o->seed);
	if (KEY("compress"))
		return parse_ratio(value, &o->ratio);
	if (KEY("bits"))
		return parse_bits(value, &o->bits);
	if (KEY("touch"))
		return size_parse(value, &o->touch);
	if (KEY("disk"))
		return parse_disk(o, value);
	if (KEY("ip") || KEY("gw") || KEY("mtu"))
		return 0;
#undef KEY
	return -ENOENT;
}

/* Calls guest_options_set() for each word that begins with the prefix. */
static int set_words(struct guest_options *o, const char *text, const char *prefix, bool running,
		     char *ret_bad, size_t size)
{
	static const char space[] = " \t\r\n";
	size_t prefix_len = strlen(prefix);
	char word[WORD_MAX];

	for (text += strspn(text, space); *text; text += strspn(text, space)) {
		size_t len = strcspn(text, space);
		int r = 0;

		snprintf(word, sizeof(word), "%.*s", (int)len, text);
		if (len >= prefix_len && memcmp(text, prefix, prefix_len) == 0)
			r = len < sizeof(word) ? guest_options_set(o, word + prefix_len, running) :
						 -EINVAL;
		if (r < 0) {
			snprintf(ret_bad, size, "%s", word);
			return r;
		}
		text += len;
	}
	return 0;
}

int guest_options_cmdline(struct guest_options *o, const char *cmdline, char *ret_bad, size_t size)
{
	return set_words(o, cmdline, PREFIX, false, ret_bad, size);
}

int guest_options_update(struct guest_options *o, const char *words, char *ret_bad, size_t size)
{
	struct guest_options changed = *o;
	int r = set_words(&changed, words, "", true, ret_bad, size);

	if (r < 0)
		return r;
	r = guest_options_finish(&changed);
	if (r < 0) {
		snprintf(ret_bad, size, "ws");
		return r;
	}
	*o = changed;
	return 0;
}

int guest_options_finish(struct guest_options *o)
{
	o->mem -= o->mem % PATTERN_PAGE;
	if (o->ws == UNSET)
		o->ws = o->mem;
	if (o->verify == UNSET) {
		o->verify = o->mem / PASS_SECONDS;
		if (o->verify < VERIFY_MIN)
			o->verify = VERIFY_MIN;
	}
	if (o->mem == 0 || o->mem / PATTERN_PAGE > UINT32_MAX)
		return -EINVAL;
	if (o->ws < PATTERN_PAGE || o->ws > o->mem)
		return -EINVAL;
	if (o->touch && (o->touch < PATTERN_TOUCH_LEAST || o->touch > PATTERN_PAGE))
		return -EINVAL;
	return 0;
}
