/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/refusals.h"

#include <criterion/criterion.h>
#include <errno.h>

static void refuse(struct refusals *r, uint8_t order)
{
	struct uuid id = { { order } };
	struct mg_error why = { 0 };

	mg_error_set(&why, -EBUSY, "order %u", order);
	refusals_add(r, &id, &why);
}

Test(refusals, hold_until_there_were_many_others)
{
	struct uuid first = { { 1 } }, other = { { 0 } };
	struct refusals r = { 0 };

	cr_assert_null(refusals_find(&r, &other), "nothing is not an order");
	refuse(&r, 1);
	for (uint8_t i = 2; i <= REFUSALS; i++)
		refuse(&r, i);
	cr_assert_eq(refusals_find(&r, &first)->code, -EBUSY);
	cr_assert_str_eq(refusals_find(&r, &first)->text, "order 1");
	cr_assert_null(refusals_find(&r, &other));
	refuse(&r, REFUSALS + 1);
	cr_assert_null(refusals_find(&r, &first));
}
