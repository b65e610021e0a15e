/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/daemon.h"

int main(int argc, char **argv)
{
	return daemon_main(&telemetry_daemon, argc, argv);
}
