/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of a base, which an operator got from anywhere.
 */
#include <stddef.h>
#include <stdint.h>

#include "migrator/qcow2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qcow2_info info;

	(void)qcow2_read_header(data, size, &info);
	return 0;
}
