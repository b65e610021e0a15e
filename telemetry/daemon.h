/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TELEMETRY_DAEMON_H
#define TELEMETRY_DAEMON_H

#include "common/daemon.h"

/* telemetryd, for daemon_main(). Its configuration is in telemetryd(8). */
extern const struct daemon_program telemetry_daemon;

#endif
