/* SPDX-License-Identifier: Apache-2.0
 *
 * The parameters of policies by name, as studies sweep them: a line each in the
 * table of parameters.c.
 */
#ifndef SIM_STUDY_PARAMETERS_H
#define SIM_STUDY_PARAMETERS_H

#include "placement/policy.h"

#define PARAMETERS_MAX 32

extern const size_t n_parameters;

const char *parameter_name(int parameter);

/* The number of the parameter; -1 when there is none. */
int parameter_find(const char *name);

/* What placementd takes when nothing is said. */
void parameters_default(struct policy_parameters *p);

/* -EINVAL: `text` is no value of it. */
int parameter_set(struct policy_parameters *p, int parameter, const char *text);

#endif
