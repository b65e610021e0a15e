/* SPDX-License-Identifier: Apache-2.0
 *
 * The round-trip times that phones recorded while they were driven about (six logs
 * of the "Beyond Throughput" 5G data set, University College Cork).
 */
#ifndef TESTS_UNIT_COMMON_RECORDED_H
#define TESTS_UNIT_COMMON_RECORDED_H

#include <stddef.h>

struct recorded {
	double ms[1000];
	size_t n;
};

/* Skips the test when the logs are not there. */
void recorded_read(struct recorded *log);

void recorded_sort(struct recorded *log);

#endif
