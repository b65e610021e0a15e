/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/study/statistics.h"

#include <math.h>

/* P(T > t) for t > 0, by the finite sums of Abramowitz and Stegun, 26.7.3 and
 * 26.7.4. */
static double upper_tail(double t, unsigned df)
{
	double theta = atan(t / sqrt(df)), c = cos(theta), s = sin(theta), term, sum = 0;

	if (df % 2 == 0) {
		term = 1;
		for (unsigned k = 1; k <= df / 2; k++) {
			sum += term;
			term *= c * c * (2 * k - 1) / (2 * k);
		}
		return (1 - s * sum) / 2;
	}
	term = c;
	for (unsigned k = 1; k <= (df - 1) / 2; k++) {
		sum += term;
		term *= c * c * (2 * k) / (2 * k + 1);
	}
	return (1 - 2 / M_PI * (theta + s * sum)) / 2;
}

double student_975(unsigned df)
{
	double low = 1, high = 13; /* 1.96 to 12.71 */

	if (df > 100000)
		return 1.959964;
	for (int i = 0; i < 60; i++) {
		double middle = (low + high) / 2;

		if (upper_tail(middle, df) > 0.025)
			low = middle;
		else
			high = middle;
	}
	return (low + high) / 2;
}

struct estimate estimate_mean(const double *values, size_t n)
{
	struct estimate e = { .n = n, .half = NAN };
	double squares = 0;

	if (n == 0)
		return (struct estimate){ 0, NAN, NAN };
	for (size_t i = 0; i < n; i++)
		e.mean += values[i] / (double)n;
	for (size_t i = 0; i < n; i++)
		squares += (values[i] - e.mean) * (values[i] - e.mean);
	if (n > 1)
		e.half = student_975((unsigned)(n - 1)) *
			 sqrt(squares / (double)(n - 1) / (double)n);
	return e;
}

static double squared_error(const struct estimate *e)
{
	double error = e->half / student_975((unsigned)(e->n - 1));

	return error * error;
}

struct estimate estimate_difference(const struct estimate *a, const struct estimate *b)
{
	struct estimate e = { a->n < b->n ? a->n : b->n, b->mean - a->mean, NAN };
	double x, y, df;

	if (e.n < 2)
		return e;
	x = squared_error(a);
	y = squared_error(b);
	/* Welch and Satterthwaite, rounded down. */
	df = (x + y) * (x + y) / (x * x / (double)(a->n - 1) + y * y / (double)(b->n - 1));
	e.half = x + y > 0 ? student_975((unsigned)df) * sqrt(x + y) : 0;
	return e;
}
