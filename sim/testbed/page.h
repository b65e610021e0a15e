/* SPDX-License-Identifier: Apache-2.0
 *
 * The run as one self-contained HTML page: a chart of the round-trip times
 * with the moves in it (inline SVG), the phone's way, and tables. It loads
 * nothing, runs no script and follows the reader's light or dark setting.
 */
#ifndef SIM_TESTBED_PAGE_H
#define SIM_TESTBED_PAGE_H

#include "sim/testbed/verdict.h"

int page_write(const char *path, const struct story *s, const struct verdict *v,
	       struct mg_error *err);

#endif
