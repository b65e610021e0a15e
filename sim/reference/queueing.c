/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/reference/queueing.h"

#include <math.h>

#include "common/philox.h"

double erlang_b(unsigned servers, double load)
{
	double b = 1;

	for (unsigned n = 1; n <= servers; n++)
		b = load * b / (n + load * b);
	return b;
}

double erlang_c(unsigned servers, double load)
{
	double b = erlang_b(servers, load);

	return b / (1 - load / servers * (1 - b));
}

double erlang_wait(unsigned servers, double load)
{
	return erlang_c(servers, load) / (servers - load);
}

/* Exponential with mean 1. */
static double draw(const struct queue_run *run, uint64_t counter)
{
	uint64_t bits = philox_u64(run->key, run->stream, counter);

	return -log((double)((bits >> 11) + 1) * 0x1p-53);
}

/* Each arrival goes to the server that is free first: with service in the order of
 * arrival that is all that the queue is (Kiefer and Wolfowitz 1955). */
static unsigned free_first(const double *free_at, unsigned servers)
{
	unsigned best = 0;

	for (unsigned i = 1; i < servers; i++)
		if (free_at[i] < free_at[best])
			best = i;
	return best;
}

void queue_simulate_wait(const struct queue_run *run, struct tally *waited, struct tally *wait)
{
	double free_at[QUEUE_SERVERS_MAX] = { 0 }, now = 0;
	uint64_t counter = 0;

	for (unsigned batch = 0; batch <= run->batches; batch++) {
		unsigned n = 0;
		double sum = 0;

		for (unsigned i = 0; i < run->arrivals; i++) {
			unsigned at = free_first(free_at, run->servers);
			double begin;

			now += draw(run, counter++) / run->load;
			begin = fmax(now, free_at[at]);
			n += begin > now;
			sum += begin - now;
			free_at[at] = begin + draw(run, counter++);
		}
		if (batch == 0)
			continue;
		tally_add(waited, (double)n / run->arrivals);
		tally_add(wait, sum / run->arrivals);
	}
}

void queue_simulate_loss(const struct queue_run *run, struct tally *lost)
{
	double free_at[QUEUE_SERVERS_MAX] = { 0 }, now = 0;
	uint64_t counter = 0;

	for (unsigned batch = 0; batch <= run->batches; batch++) {
		unsigned n = 0;

		for (unsigned i = 0; i < run->arrivals; i++) {
			unsigned at = free_first(free_at, run->servers);

			now += draw(run, counter++) / run->load;
			if (free_at[at] > now)
				n++;
			else
				free_at[at] = now + draw(run, counter++);
		}
		if (batch > 0)
			tally_add(lost, (double)n / run->arrivals);
	}
}
