/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/move_cost.h"

#include <string.h>

#include "common/cost.h"

/* Of a VM that has never come to a host with its image, beside a move to one without. Measured after
 * ten minutes of use: less. */
#define IMAGE_PART 16

/* A node's rate is a mean that forgets. */
#define RATE_MEMORY 4

static void learn_rate(uint64_t *rate, uint64_t seen)
{
	*rate = *rate ? *rate - *rate / RATE_MEMORY + seen / RATE_MEMORY : seen;
}

void move_cost_learn(struct vm *vm, struct node *source, struct node *target,
		     const Tagalong__MoveFigures *figures)
{
	bool image = figures->image_bytes > 0 || figures->known_pages > 0;

	if (figures->wire_bytes > 0)
		vm->moved_bytes[image] = figures->wire_bytes;
	if (figures->link_bps == 0)
		return;
	if (source)
		learn_rate(&source->out_bps, figures->link_bps);
	if (target)
		learn_rate(&target->in_bps, figures->link_bps);
}

static bool has_image(const struct node *node, const struct vm *vm)
{
	for (size_t i = 0; node->hello && i < node->hello->n_images; i++)
		if (!node->hello->images[i]->is_base &&
		    strcmp(node->hello->images[i]->vm, vm->name) == 0)
			return true;
	return false;
}

/* 0: unknown. */
static uint64_t rate_between(const struct node *from, const struct node *to)
{
	if (!from->out_bps || !to->in_bps)
		return from->out_bps + to->in_bps;
	return from->out_bps < to->in_bps ? from->out_bps : to->in_bps;
}

/* On the wire; 0: cost.h's guess of its memory. */
static uint64_t bytes_of(const struct vm *vm, bool image)
{
	if (!image || vm->moved_bytes[true])
		return vm->moved_bytes[image];
	return vm->moved_bytes[false] / IMAGE_PART;
}

struct move_cost move_cost_predict(const struct vm *vm, const struct node *target)
{
	struct move_cost ret = { .has_image = has_image(target, vm) };
	uint64_t bytes = bytes_of(vm, ret.has_image);
	const struct cost_facts facts = {
		.remaining_bytes = bytes                ? bytes
				   : ret.has_image ? vm->memory / IMAGE_PART
						   : vm->memory,
		.wire_permille = bytes ? 1000 : 0,
		.link_bps = rate_between(vm->node, target),
		.start_ns = COST_START_NS,
		.promise_ns = UINT64_MAX, /* one pass: rounds are in the bytes */
	};
	struct cost cost;

	cost_predict(&facts, &cost);
	ret.total_ns = cost.total_ns;
	return ret;
}
