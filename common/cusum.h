/* SPDX-License-Identifier: Apache-2.0
 *
 * Has the level of a path's round-trip time changed? A two-sided CUSUM (Page
 * 1954; Montgomery, Statistical Quality Control, chapter 9) of samples in units of
 * their standard deviation: the sums of what lies more than k above and below
 * the level; an alarm when one of them is more than h.
 *
 * What k and h do, as average run lengths in samples, is computed and simulated in
 * tests/unit/common/test_cusum.c. CUSUM_K and CUSUM_H make one false alarm in
 * 86,400 normal samples (a day of one a second) and see a step of three standard
 * deviations after 3.2 samples.
 */
#ifndef COMMON_CUSUM_H
#define COMMON_CUSUM_H

#define CUSUM_K 1.0
#define CUSUM_H 5.24

/* All zero is one that has seen nothing. */
struct cusum {
	double above, below;
};

enum cusum_change { CUSUM_DOWN = -1, CUSUM_NONE = 0, CUSUM_UP = 1 };

/* Takes a sample, in standard deviations from the level. After an alarm both sums
 * begin at 0 again. */
enum cusum_change cusum_add(struct cusum *c, double k, double h, double deviation);

/* Round-trip times have a level that nobody tells and tails that are no normal
 * distribution's. So the level and the deviation are learnt from the first
 * LEVEL_LEARN samples since the last change, followed slowly after that, and one
 * sample counts for at most LEVEL_OUTLIER deviations: a single outlier, however far,
 * is no change. */
#define LEVEL_LEARN 16
#define LEVEL_OUTLIER 5.0

/* All zero is one that has seen nothing. */
struct level {
	struct cusum cusum;
	unsigned samples; /* since the last change, up to LEVEL_LEARN */
	double mean, variance;
};

/* Takes a sample, in any unit. On a change what was learnt is forgotten; the sample
 * is the first of the new level. */
enum cusum_change level_add(struct level *l, double sample);

/* Whether enough samples of the present level were seen to tell a change. */
static inline int level_is_known(const struct level *l)
{
	return l->samples >= LEVEL_LEARN;
}

/* How much the level is in doubt, 0 to 1: while it is learnt what is missing of that, later how
 * near the sums are to an alarm. 1 for one that has seen nothing. */
double level_doubt(const struct level *l);

#endif
