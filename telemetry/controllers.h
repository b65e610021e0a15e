/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the controllers are that a telemetry node speaks to; one of them leads.
 */
#ifndef TELEMETRY_CONTROLLERS_H
#define TELEMETRY_CONTROLLERS_H

#define TELEMETRY_CONTROLLERS_MAX 16

struct telemetry_controller {
	char *endpoint; /* of its ROUTER */
	char *key;	/* its public key in Z85; NULL only in plain text */
	char *reports;	/* endpoint of its SUB */
};

#endif
