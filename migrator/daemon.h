/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MIGRATOR_DAEMON_H
#define MIGRATOR_DAEMON_H

#include "common/daemon.h"

/* migratord: makes a node of a configuration. Guests run on when it stops. */
extern const struct daemon_program migratord_program;

#endif
