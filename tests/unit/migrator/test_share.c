/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/share.h"

#include <criterion/criterion.h>

#include "common/clock.h"

#define MEMBERS 10
#define FRAME 65536
#define LINK_STEP (500 * NS_PER_US) /* a frame each: 131 MB/s */

/* A link that carries one frame a step, for whoever may send and is next; `idle` members have nothing
 * to send for most of the time, and are marked as starved. */
struct run {
	struct share *share;
	struct share_member *members[MEMBERS];
	uint64_t sent[MEMBERS];
	bool idle[MEMBERS];
	uint64_t now;
};

static void begin(struct run *run, const enum share_priority *priorities, const char *last_peer)
{
	*run = (struct run){ .now = 1000 };
	cr_assert_eq(share_new(&run->share), 0);
	for (int i = 0; i < MEMBERS; i++)
		cr_assert_eq(share_join(run->share, i == MEMBERS - 1 ? last_peer : "b", priorities[i],
					&run->members[i]), 0);
}

static void flow(struct run *run, int steps)
{
	for (int step = 0; step < steps; step++, run->now += LINK_STEP) {
		for (int k = 0; k < MEMBERS; k++) { /* the link asks one after the other */
			int i = (step + k) % MEMBERS;

			if (!run->members[i] || (run->idle[i] && step % 100) ||
			    share_delay(run->members[i], run->now))
				continue;
			share_sent(run->members[i], FRAME, run->idle[i], run->now);
			run->sent[i] += FRAME;
			break;
		}
	}
}

static void end(struct run *run)
{
	for (int i = 0; i < MEMBERS; i++)
		share_leave(run->members[i]);
	share_free(run->share);
}

static uint64_t all(const struct run *run)
{
	uint64_t n = 0;

	for (int i = 0; i < MEMBERS; i++)
		n += run->sent[i];
	return n;
}

Test(share, one_before_nine_of_a_lower_priority)
{
	enum share_priority priorities[MEMBERS] = { SHARE_NORMAL };
	struct run run;

	begin(&run, priorities, "b");
	flow(&run, 20000);
	cr_assert_eq(all(&run), (uint64_t)20000 * FRAME, "the link is always full");
	cr_assert_gt(run.sent[0], all(&run) * 5 / 6, "%lu of %lu", run.sent[0], all(&run));
	for (int i = 1; i < MEMBERS; i++)
		cr_assert_gt(run.sent[i], 0);
	end(&run);
}

Test(share, equals_get_the_same)
{
	enum share_priority priorities[MEMBERS];
	struct run run;

	for (int i = 0; i < MEMBERS; i++)
		priorities[i] = SHARE_HIGH;
	begin(&run, priorities, "b");
	flow(&run, 20000);
	cr_assert_eq(all(&run), (uint64_t)20000 * FRAME);
	for (int i = 0; i < MEMBERS; i++)
		cr_assert(run.sent[i] > all(&run) / 11 && run.sent[i] < all(&run) / 9);
	end(&run);
}

Test(share, who_has_nothing_to_send_keeps_nobody_waiting)
{
	enum share_priority priorities[MEMBERS] = { SHARE_HIGH };
	struct run run;

	begin(&run, priorities, "b");
	run.idle[0] = true;
	flow(&run, 20000);
	cr_assert_eq(all(&run), (uint64_t)20000 * FRAME);
	end(&run);
}

Test(share, another_peer_is_another_link)
{
	enum share_priority priorities[MEMBERS] = { SHARE_NORMAL };
	struct run run;

	begin(&run, priorities, "c");
	flow(&run, 20000);
	cr_assert_gt(run.sent[MEMBERS - 1], run.sent[1] * 4);
	end(&run);
}

Test(share, a_move_is_raised_and_another_leaves)
{
	enum share_priority priorities[MEMBERS] = { SHARE_NORMAL };
	struct run run;
	uint64_t before;

	begin(&run, priorities, "b");
	flow(&run, 5000);
	share_set_priority(run.members[3], SHARE_HIGH);
	cr_assert_eq(share_nice(run.members[3]), 0);
	cr_assert_gt(share_nice(run.members[4]), 0);
	before = run.sent[3];
	flow(&run, 5000);
	cr_assert_gt(run.sent[3] - before, (uint64_t)5000 * FRAME * 9 / 10);
	before = run.sent[0];
	share_leave(run.members[3]);
	run.members[3] = NULL;
	flow(&run, 5000);
	cr_assert_gt(run.sent[0] - before, (uint64_t)5000 * FRAME * 7 / 10, "and nobody else starves it");
	end(&run);
}

Test(share, what_stands_still_waits_for_nobody)
{
	enum share_priority priorities[MEMBERS] = { SHARE_HIGH };
	struct run run;
	uint64_t before;

	begin(&run, priorities, "b");
	flow(&run, 5000);
	share_set_urgent(run.members[5]);
	cr_assert_eq(share_nice(run.members[5]), 0);
	before = run.sent[5];
	flow(&run, 1000);
	cr_assert_gt(run.sent[5] - before, (uint64_t)1000 * FRAME * 9 / 10);
	cr_assert_eq(share_delay(run.members[5], run.now), 0);
	end(&run);
}

Test(share, who_comes_back_has_no_claim)
{
	enum share_priority priorities[MEMBERS] = { 0 };
	struct run run;
	uint64_t before;

	begin(&run, priorities, "b");
	run.idle[9] = true;
	flow(&run, 90);
	run.now += NS_PER_S;
	for (int i = 2; i < MEMBERS; i++) {
		share_leave(run.members[i]);
		run.members[i] = NULL;
	}
	run.idle[1] = true;
	for (int i = 0; i < 1000; i++, run.now += LINK_STEP) {
		cr_assert_eq(share_delay(run.members[0], run.now), 0);
		share_sent(run.members[0], FRAME, false, run.now);
	}
	run.idle[1] = false;
	before = run.sent[0] = run.sent[1] = 0;
	flow(&run, 1000);
	cr_assert_gt(run.sent[0], before + (uint64_t)400 * FRAME);
	end(&run);
}
