/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/engine/images.h"

#include <criterion/criterion.h>

#include "common/philox.h"

static void keep(struct images *images, uint32_t host, uint32_t vm, uint64_t bytes, uint64_t left)
{
	cr_assert_eq(images_keep(images, host, (struct image){ vm, bytes, left }), 0);
}

Test(images, the_oldest_make_room)
{
	struct images images;
	uint64_t left;

	cr_assert_eq(images_init(&images, 2, 100, 1000), 0);
	keep(&images, 0, 1, 50, 10);
	keep(&images, 0, 2, 50, 20);
	keep(&images, 1, 1, 50, 30);
	keep(&images, 0, 3, 60, 40); /* needs the room of both */
	keep(&images, 0, 4, 101, 50); /* too large for anything */
	cr_assert_not(images_take(&images, 0, 1, 60, &left));
	cr_assert_not(images_take(&images, 0, 2, 60, &left));
	cr_assert_not(images_take(&images, 0, 4, 60, &left));
	cr_assert(images_take(&images, 0, 3, 60, &left));
	cr_assert_eq(left, 40);
	cr_assert_not(images_take(&images, 0, 3, 60, &left), "it is used up");
	cr_assert(images_take(&images, 1, 1, 60, &left));
	cr_assert_eq(left, 30);
	images_clear(&images);
}

Test(images, age_and_the_end_of_a_vm)
{
	struct images images;
	uint64_t left;

	cr_assert_eq(images_init(&images, 3, 1000, 100), 0);
	for (uint32_t host = 0; host < 3; host++)
		for (uint32_t vm = 0; vm < 3; vm++)
			keep(&images, host, vm, 10, 7);
	cr_assert(images_take(&images, 0, 0, 107, &left));
	cr_assert_not(images_take(&images, 1, 0, 108, &left));
	images_forget(&images, 2);
	for (uint32_t host = 0; host < 3; host++)
		cr_assert_not(images_take(&images, host, 2, 10, &left));
	cr_assert(images_take(&images, 2, 1, 10, &left));
	images_clear(&images);
	cr_assert_eq(images_init(&images, 3, 0, 100), 0);
	keep(&images, 0, 1, 0, 0);
	images_forget(&images, 1);
	cr_assert_not(images_take(&images, 0, 1, 0, &left));
	images_clear(&images);
}

/* Whatever comes and goes, a shelf never holds more than the budget. */
Test(images, a_budget_is_kept)
{
	struct images images;
	uint64_t left;

	cr_assert_eq(images_init(&images, 1, 5000, 1000), 0);
	for (uint32_t i = 0; i < 20000; i++) {
		uint64_t drawn = philox_u64(1, 2, i);
		uint32_t vm = (uint32_t)drawn % 100;
		uint64_t sum = 0;

		if (!images_take(&images, 0, vm, i, &left))
			keep(&images, 0, vm, drawn >> 32 & 1023, i);
		for (uint32_t k = 0; k < images.shelves[0].n; k++)
			sum += images.shelves[0].images[k].bytes;
		cr_assert_eq(sum, images.shelves[0].bytes);
		cr_assert_leq(sum, 5000);
	}
	images_clear(&images);
}
