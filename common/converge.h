/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of a move that does not converge, by the names that operators and
 * configurations use. What each choice does to the stop is migrator/steer.h.
 */
#ifndef COMMON_CONVERGE_H
#define COMMON_CONVERGE_H

#include "common/proto/tagalong.pb-c.h"

typedef Tagalong__IfNotConverging IfNotConverging;

/* For messages. */
#define CONVERGE_CHOICES "longer, wait, give-up, throttle, post-copy"

/* -EINVAL when it is none of the choices. */
int converge_parse(const char *text, IfNotConverging *ret);

const char *converge_name(IfNotConverging choice);

#endif
