/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/study/parameters.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/units.h"

enum kind { DURATION, PERCENT, ORDER };

#define MEMBER(member) offsetof(struct policy_parameters, member)

/* The defaults are those of placementd(8). */
static const struct parameter {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *otherwise;
} parameters[] = {
	{ "threshold", DURATION, MEMBER(threshold_ns), "50ms" },
	{ "hold", DURATION, MEMBER(hold_ns), "2s" },
	{ "margin", DURATION, MEMBER(margin_ns), "5ms" },
	{ "min_stay", DURATION, MEMBER(min_stay_ns), "10s" },
	{ "return_guard", DURATION, MEMBER(return_guard_ns), "40s" },
	{ "max_age", DURATION, MEMBER(max_age_ns), "3s" },
	{ "min_confidence", PERCENT, MEMBER(min_confidence), "50" },
	{ "horizon", DURATION, MEMBER(horizon_ns), "10m" },
	{ "order", ORDER, MEMBER(order), "2" },
};

const size_t n_parameters = ARRAY_SIZE(parameters);

static_assert(ARRAY_SIZE(parameters) <= PARAMETERS_MAX, "fits");

const char *parameter_name(int parameter)
{
	return parameters[parameter].name;
}

int parameter_find(const char *name)
{
	for (size_t i = 0; i < n_parameters; i++)
		if (strcmp(parameters[i].name, name) == 0)
			return (int)i;
	return -1;
}

static int parse_count(const char *text, unsigned long min, unsigned long max, uint32_t *ret)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || v < min || v > max)
		return -EINVAL;
	*ret = (uint32_t)v;
	return 0;
}

int parameter_set(struct policy_parameters *p, int parameter, const char *text)
{
	char *at = (char *)p + parameters[parameter].offset;
	uint32_t count;
	uint64_t ns;
	int r;

	if (parameters[parameter].kind != DURATION) {
		r = parameters[parameter].kind == PERCENT ? parse_count(text, 0, 100, &count)
							  : parse_count(text, 1, 2, &count);
		if (r == 0)
			memcpy(at, &count, sizeof(count));
		return r;
	}
	r = duration_parse(text, &ns);
	if (r == 0)
		memcpy(at, &ns, sizeof(ns));
	return r < 0 ? -EINVAL : 0;
}

void parameters_default(struct policy_parameters *p)
{
	*p = (struct policy_parameters){ 0 };
	for (size_t i = 0; i < n_parameters; i++)
		parameter_set(p, (int)i, parameters[i].otherwise);
}
