/* SPDX-License-Identifier: Apache-2.0
 *
 * A study: one world, policies with values for their parameters, and how often
 * each is run. edgesim(1) describes its file.
 */
#ifndef SIM_STUDY_STUDY_H
#define SIM_STUDY_STUDY_H

#include "sim/engine/engine.h"

#define STUDY_CONFIGURATIONS_MAX 4096
#define STUDY_REPLICATIONS_MAX 10000
#define STUDY_INPUTS_MAX 3
#define FINGERPRINT_SIZE 65 /* hexadecimal, with the NUL */

/* A policy with one value for each parameter. */
struct configuration {
	char label[160];                 /* the policy, and what is swept */
	const struct policy_ops *policy; /* NULL: "none", VMs stay */
	struct policy_parameters parameters;
};

struct study_input {
	char path[512]; /* as the study names it */
	char hash[FINGERPRINT_SIZE];
};

struct study {
	char name[64];
	uint64_t seed;
	uint32_t replications;
	uint32_t shown; /* metrics of the report's bars, metric_bit() each */
	struct setting setting;
	struct world world;
	struct configuration *configurations;
	uint32_t n_configurations;
	/* The study's own file first, then those that it names. */
	struct study_input inputs[STUDY_INPUTS_MAX];
	unsigned n_inputs;
	char fingerprint[FINGERPRINT_SIZE]; /* of the program's version and all inputs */
};

/* Reads the file and those that it names, which are sought beside it, and makes
 * the world. Errors name file and line. */
int study_load(const char *path, struct study **ret, struct mg_error *err);

/* The same from memory; files are sought in the current folder. */
int study_parse(const char *name, const char *text, size_t len, struct study **ret,
		struct mg_error *err);
void study_free(struct study *study);
DEFINE_CLEANUP(struct study, study_free)

/* Whether a name may go into JSON, CSV and HTML as it is. */
bool study_text_is_plain(const char *text);

/* Runs go by numbers: all replications of the first configuration, and so on. */
static inline uint32_t study_runs(const struct study *s)
{
	return s->n_configurations * s->replications;
}

/* What run number `i` is given. Replications differ by the seed alone, and the same
 * replication of all configurations has the same: so they can be compared in pairs. */
struct run_input study_run(const struct study *s, uint32_t i);

#endif
