/* SPDX-License-Identifier: Apache-2.0
 *
 * The programs of a run: their keys, allow lists and configurations, written to
 * the sandbox's /run; their start, each in its namespace; and the operator's
 * commands. Logs go to the folder of results, where they stay.
 */
#ifndef SIM_TESTBED_DAEMONS_H
#define SIM_TESTBED_DAEMONS_H

#include <sys/types.h>

#include "common/keys.h"
#include "common/uuid.h"
#include "sim/testbed/topology.h"

#define OPERATOR_NAME "operator"
#define CONTROLLER_NAME "main"

struct daemons_config {
	const char *programs; /* the build folder */
	const char *results;  /* gets logs/, inputs.record and decisions.log */
};

struct daemon {
	char name[48]; /* "migratord of tower-a" */
	pid_t pid;     /* 0: not started */
};

struct daemons;

/* Writes all that they need. `t`, `s` and the config's texts are borrowed. */
int daemons_new(const struct daemons_config *config, const struct scenario *s,
		const struct topology *t, struct daemons **ret, struct mg_error *err);
void daemons_free(struct daemons *d);
DEFINE_CLEANUP(struct daemons, daemons_free)

/* Starts controller, towers and the phone's reflector. */
int daemons_start(struct daemons *d, struct mg_error *err);

/* How many there are, and each one. */
int daemons_count(const struct daemons *d);
const struct daemon *daemons_get(const struct daemons *d, int i);

/* Asks all to end, waits, and kills the rest after a while. A VM's QEMU is none of
 * ours: it ends with the sandbox. */
void daemons_stop(struct daemons *d);

/* Runs `migrator ARG...` (a NULL ends them) as the operator. */
int daemons_command(struct daemons *d, const char *const *args, char *output, size_t size,
		    struct mg_error *err);

/* The VM's description, for `migrator vm start`. */
const char *daemons_vm_file(const struct daemons *d);

/* A pattern (glob(7)) for the directories of a tower's VMs; valid until the next
 * call. */
const char *daemons_vm_directories(struct daemons *d, int tower);

/* What a client of the controller needs. */
const char *daemons_controller_endpoint(const struct daemons *d);
const char *daemons_controller_key(const struct daemons *d);
const struct keypair *daemons_operator_keys(const struct daemons *d);
const struct uuid *daemons_device(const struct daemons *d);

#endif
