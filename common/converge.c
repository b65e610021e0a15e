/* SPDX-License-Identifier: Apache-2.0 */
#include "common/converge.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"

#define C(name) TAGALONG__IF_NOT_CONVERGING__CONVERGE_##name

static const char *const names[] = {
	[C(LONGER)] = "longer",
	[C(WAIT)] = "wait",
	[C(GIVE_UP)] = "give-up",
	[C(THROTTLE)] = "throttle",
	[C(POST_COPY)] = "post-copy",
};

int converge_parse(const char *text, IfNotConverging *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i] && strcmp(names[i], text) == 0) {
			*ret = (IfNotConverging)i;
			return 0;
		}
	return -EINVAL;
}

const char *converge_name(IfNotConverging choice)
{
	return (unsigned)choice < ARRAY_SIZE(names) && names[choice] ? names[choice] : "unknown";
}
