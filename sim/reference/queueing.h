/* SPDX-License-Identifier: Apache-2.0
 *
 * Queues with Poisson arrivals and exponential service: Erlang's formulas
 * (1917) and simulations of the same queues.
 */
#ifndef SIM_REFERENCE_QUEUEING_H
#define SIM_REFERENCE_QUEUEING_H

#include <stdint.h>

#include "sim/reference/tally.h"

#define QUEUE_SERVERS_MAX 256

/* Erlang B: the share of arrivals that find all of `servers` busy and leave; `load` in erlangs. */
double erlang_b(unsigned servers, double load);

/* Erlang C: the share of arrivals that must wait; load < servers. */
double erlang_c(unsigned servers, double load);

/* Their mean wait, those that wait for nothing included, in mean service times. */
double erlang_wait(unsigned servers, double load);

/* Batches of so many arrivals, a first one left out: each adds its share (and
 * mean wait) to the tallies. */
struct queue_run {
	unsigned servers;
	double load;
	unsigned batches, arrivals;
	uint64_t key, stream;
};

void queue_simulate_loss(const struct queue_run *run, struct tally *lost);
void queue_simulate_wait(const struct queue_run *run, struct tally *waited, struct tally *wait);

#endif
