/* SPDX-License-Identifier: Apache-2.0
 *
 * placementd: the controller's core with a real clock, sockets and files.
 */
#ifndef PLACEMENT_DAEMON_H
#define PLACEMENT_DAEMON_H

#include "placement/placement_config.h"

#include <systemd/sd-event.h>

struct placement_daemon;

/* Begins to serve on the loop; `config` is borrowed. */
int placement_daemon_start(const struct placement_config *config, sd_event *loop,
			   struct placement_daemon **ret, struct mg_error *err);

/* Takes policy, groups, limits and the allow list of a changed configuration, which need not
 * live on; all else stays as it was. An error changes nothing, or ends the daemon. */
int placement_daemon_reload(struct placement_daemon *d, const struct placement_config *config,
			    struct mg_error *err);

void placement_daemon_stop(struct placement_daemon *d);
DEFINE_CLEANUP(struct placement_daemon, placement_daemon_stop)

/* Where it listens, with the ports that were chosen. */
const char *placement_daemon_endpoint(const struct placement_daemon *d);
const char *placement_daemon_reports_endpoint(const struct placement_daemon *d);

#endif
