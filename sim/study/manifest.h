/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.json: what was run, of which inputs, by which version, on which machine
 * and how fast.
 */
#ifndef SIM_STUDY_MANIFEST_H
#define SIM_STUDY_MANIFEST_H

#include "sim/study/runner.h"

int manifest_write(const struct study *s, const struct runner_options *o,
		   const struct runner_report *report, struct mg_error *err);

#endif
