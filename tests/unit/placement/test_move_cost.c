/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/move_cost.h"

#include <criterion/criterion.h>

#include "common/clock.h"
#include "common/cost.h"

#define MIB (UINT64_C(1) << 20)

struct fixture {
	struct node a, b, c;
	Tagalong__NodeHello hello; /* of b: it keeps an image */
	Tagalong__ImageInfo image, *images[1];
	struct vm vm;
};

static void set_up(struct fixture *f)
{
	*f = (struct fixture){ 0 };
	tagalong__node_hello__init(&f->hello);
	tagalong__image_info__init(&f->image);
	f->image.vm = (char *)"web";
	f->images[0] = &f->image;
	f->hello.images = f->images;
	f->hello.n_images = 1;
	f->b.hello = &f->hello;
	snprintf(f->vm.name, sizeof(f->vm.name), "web");
	f->vm.node = &f->a;
	f->vm.memory = 512 * MIB;
}

static void learn(struct fixture *f, struct node *to, uint64_t wire, uint64_t rate, uint64_t image)
{
	Tagalong__MoveFigures figures = TAGALONG__MOVE_FIGURES__INIT;

	figures.wire_bytes = wire;
	figures.link_bps = rate;
	figures.image_bytes = image;
	move_cost_learn(&f->vm, &f->a, to, &figures);
}

/* Beside what every move takes. */
static double seconds(struct fixture *f, const struct node *to)
{
	return ((double)move_cost_predict(&f->vm, to).total_ns - COST_START_NS - COST_QEMU_NS) / 1e9;
}

Test(move_cost, nothing_is_known)
{
	struct fixture f;

	set_up(&f);
	/* Its memory, compressed, at the rate of a link that nobody has measured. */
	cr_assert_float_eq(seconds(&f, &f.c), 0.6 * 512 * MIB / COST_LINK_BPS_GUESS, 0.01);
	cr_assert_float_eq(seconds(&f, &f.b), 0.6 * 512 * MIB / COST_LINK_BPS_GUESS / 16, 0.01);
	cr_assert(move_cost_predict(&f.vm, &f.b).has_image);
	cr_assert_not(move_cost_predict(&f.vm, &f.c).has_image);
	f.image.is_base = true;
	cr_assert_not(move_cost_predict(&f.vm, &f.b).has_image);
	f.image.is_base = false;
	f.image.vm = (char *)"other";
	cr_assert_not(move_cost_predict(&f.vm, &f.b).has_image);
}

Test(move_cost, a_move_is_like_the_last_of_its_kind)
{
	struct fixture f;

	set_up(&f);
	learn(&f, &f.c, 100000000, 25000000, 0);
	cr_assert_float_eq(seconds(&f, &f.c), 4, 0.01);
	cr_assert_float_eq(seconds(&f, &f.b), 4.0 / 16, 0.01);
	learn(&f, &f.b, 1000000, 25000000, 300000);
	cr_assert_float_eq(seconds(&f, &f.c), 4, 0.01);
	cr_assert_float_eq(seconds(&f, &f.b), 0.04, 0.01);
	/* Without figures nothing is forgotten. */
	learn(&f, &f.c, 0, 0, 0);
	cr_assert_float_eq(seconds(&f, &f.c), 4, 0.01);
}

Test(move_cost, the_slower_node_counts)
{
	struct fixture f;

	set_up(&f);
	learn(&f, &f.c, 100000000, 50000000, 0);
	f.c.in_bps = 5000000;
	cr_assert_float_eq(seconds(&f, &f.c), 20, 0.01);
	f.a.out_bps = 2000000;
	cr_assert_float_eq(seconds(&f, &f.c), 50, 0.02);
	/* A rate follows what is seen. */
	for (int i = 0; i < 50; i++)
		learn(&f, &f.c, 100000000, 80000000, 0);
	cr_assert_float_eq(seconds(&f, &f.c), 1.25, 0.01);
}

Test(move_cost, no_figure_is_too_large)
{
	struct fixture f;

	set_up(&f);
	f.vm.memory = UINT64_MAX;
	learn(&f, &f.c, UINT64_MAX, UINT64_MAX, 0);
	learn(&f, &f.c, UINT64_MAX, UINT64_MAX, UINT64_MAX);
	cr_assert_gt(move_cost_predict(&f.vm, &f.c).total_ns, 0);
	f.a.out_bps = f.c.in_bps = 1;
	cr_assert_eq(move_cost_predict(&f.vm, &f.c).total_ns, UINT64_MAX);
}
