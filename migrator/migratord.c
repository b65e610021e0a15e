/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/daemon.h"

int main(int argc, char **argv)
{
	return daemon_main(&migratord_program, argc, argv);
}
