/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "common/clock.h"
#include "telemetry/client_tlvs.h"

#define T3 UINT64_C(1795235400000000000)

static struct address probed;
static struct client_tlvs_counters counters;

static struct client_tlvs_answer answer_of(const struct probe_tlvs_told *told)
{
	cr_assert_eq(address_parse("192.0.2.2:862", 0, &probed), 0);
	return (struct client_tlvs_answer){
		.told = told, .wished_dscp = 46, .tos = 46 << 2 | 1, .address = &probed
	};
}

static void note(struct client_tlvs *c, const struct probe_tlvs_told *told)
{
	const struct client_tlvs_answer answer = answer_of(told);

	client_tlvs_note(c, &answer, &counters);
}

static void count(struct client_tlvs *c, uint32_t sent, uint32_t received, uint32_t transmitted)
{
	note(c, &(struct probe_tlvs_told){ .has_counters = true,
					   .counters = { sent, received, transmitted } });
}

static void expect_lost(const struct client_tlvs *c, uint64_t there, uint64_t back)
{
	cr_assert(c->figures.has_losses);
	cr_assert_eq(c->figures.lost_there, there, "%lu", c->figures.lost_there);
	cr_assert_eq(c->figures.lost_back, back, "%lu", c->figures.lost_back);
}

Test(client_tlvs, losses_are_told_by_way)
{
	struct client_tlvs c = { 0 };

	count(&c, 10, 10, 10);
	expect_lost(&c, 0, 0);
	count(&c, 11, 11, 11);
	expect_lost(&c, 0, 0);
	count(&c, 14, 12, 12); /* two did not arrive */
	expect_lost(&c, 2, 0);
	count(&c, 18, 16, 16); /* of three the answers did not */
	expect_lost(&c, 2, 3);
}

Test(client_tlvs, counters_wrap)
{
	struct client_tlvs c = { 0 };

	count(&c, UINT32_MAX, UINT32_MAX - 7, UINT32_MAX);
	count(&c, 1, UINT32_MAX - 6, 0);
	expect_lost(&c, 1, 0);
}

Test(client_tlvs, who_is_overtaken_is_not_lost)
{
	struct client_tlvs c = { 0 };

	count(&c, 1, 1, 1);
	count(&c, 3, 2, 2); /* the third probe overtook the second, */
	expect_lost(&c, 1, 0);
	count(&c, 2, 3, 3); /* which came then, */
	count(&c, 4, 4, 4);
	expect_lost(&c, 0, 0);
	count(&c, 6, 6, 6); /* and now an answer another one */
	expect_lost(&c, 0, 1);
	count(&c, 5, 5, 5);
	count(&c, 7, 7, 7);
	expect_lost(&c, 0, 0);
}

Test(client_tlvs, a_reflector_that_begins_anew_has_lost_nothing)
{
	struct client_tlvs c = { 0 };

	count(&c, 1, 1, 1);
	count(&c, 5, 4, 3);
	expect_lost(&c, 1, 1);
	count(&c, 9, 1, 1); /* it was restarted */
	expect_lost(&c, 1, 1);
	count(&c, 11, 2, 2);
	expect_lost(&c, 2, 1);
	client_tlvs_break(&c); /* the client moved on */
	count(&c, 20, 900, 900);
	count(&c, 22, 901, 901);
	expect_lost(&c, 3, 1);
}

Test(client_tlvs, classes_of_service_are_compared)
{
	struct client_tlvs c = { 0 };
	struct probe_tlvs_told told = { .has_class_of_service = true, .dscp = 46 };
	struct client_tlvs_answer answer = answer_of(&told);

	counters = (struct client_tlvs_counters){ 0 };
	client_tlvs_note(&c, &answer, &counters);
	cr_assert(c.figures.has_class_of_service && !c.figures.dscp_refused);
	cr_assert_eq(c.figures.dscp_there, 46);
	cr_assert_eq(c.figures.dscp_back, 46);
	cr_assert_eq(counters.changed_there + counters.changed_back + counters.refused, 0);
	told.dscp = 0;
	answer.tos = 10 << 2;
	client_tlvs_note(&c, &answer, &counters);
	cr_assert_eq(c.figures.dscp_there, 0);
	cr_assert_eq(c.figures.dscp_back, 10);
	cr_assert_eq(counters.changed_there, 1);
	cr_assert_eq(counters.changed_back, 1);
	told.refused = true;
	client_tlvs_note(&c, &answer, &counters);
	cr_assert_eq(counters.refused, 1);
	cr_assert_eq(counters.changed_back, 1);
}

Test(client_tlvs, a_device_elsewhere_is_translated)
{
	struct client_tlvs c = { 0 };
	struct probe_tlvs_told told = { .has_location = true };

	cr_assert_eq(address_parse("192.0.2.2:862", 0, &told.to), 0);
	note(&c, &told);
	cr_assert(c.figures.has_location && !c.figures.translated);
	cr_assert_eq(address_parse("10.0.0.2:862", 0, &told.to), 0);
	note(&c, &told);
	cr_assert(c.figures.translated);
}

/* The time of the answer 4, which left `late_ns` after T3 as the answer after it tells. */
static uint64_t follow_up(uint32_t last_sequence, int64_t late_ns, bool *ret_waited)
{
	const struct client_tlvs_sample sample = { 4, T3, 20 * NS_PER_MS, 1, 1 };
	struct client_tlvs c = { 0 };
	struct client_tlvs_sample held;
	struct probe_tlvs_told told = {
		.has_follow_up = true,
		.last_sequence = last_sequence,
		.last_t3 = stamp_time_pack(STAMP_PTP, (uint64_t)((int64_t)T3 + late_ns)),
	};
	struct client_tlvs_answer answer = answer_of(&told);

	answer.format = STAMP_PTP;
	cr_assert_not(client_tlvs_release(&c, &answer, &counters, &held));
	cr_assert(client_tlvs_hold(&c, &answer, &sample));
	cr_assert(client_tlvs_release(&c, &answer, &counters, &held));
	cr_assert_not(client_tlvs_release(&c, &answer, &counters, &held));
	*ret_waited = c.figures.has_wait;
	return held.rtt_ns;
}

Test(client_tlvs, what_an_answer_waited_is_taken_off)
{
	bool waited;

	cr_assert_eq(follow_up(4, 3 * (int64_t)NS_PER_MS, &waited), 17 * NS_PER_MS);
	cr_assert(waited);
	cr_assert_eq(follow_up(4, 0, &waited), 20 * NS_PER_MS);
	cr_assert_eq(follow_up(5, 3 * (int64_t)NS_PER_MS, &waited), 20 * NS_PER_MS);
	cr_assert_not(waited, "that is another answer's");
	cr_assert_eq(follow_up(4, -1, &waited), 20 * NS_PER_MS);
	cr_assert_eq(follow_up(4, 20 * (int64_t)NS_PER_MS + 1, &waited), 20 * NS_PER_MS);
	cr_assert_not(waited, "that cannot be");
}

Test(client_tlvs, none_waits_for_what_is_never_told)
{
	const struct client_tlvs_sample sample = { 4, T3, 20 * NS_PER_MS, 1, 1 };
	struct probe_tlvs_told told = { 0 };
	struct client_tlvs_answer answer = answer_of(&told);
	struct client_tlvs_sample held;
	struct client_tlvs c = { 0 };

	cr_assert_not(client_tlvs_hold(&c, &answer, &sample));
	told.has_follow_up = true;
	cr_assert(client_tlvs_hold(&c, &answer, &sample));
	cr_assert(client_tlvs_release(&c, NULL, &counters, &held));
	cr_assert_eq(held.rtt_ns, 20 * NS_PER_MS);
	cr_assert(client_tlvs_hold(&c, &answer, &sample));
	client_tlvs_break(&c);
	cr_assert_not(client_tlvs_release(&c, NULL, &counters, &held));
}
