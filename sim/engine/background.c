/* SPDX-License-Identifier: Apache-2.0
 *
 * A device's second VM: as placement/pairs.c has it, it goes to where the one in the foreground
 * is when that has settled and serves well there, with what is left of the limits.
 */
#include "sim/engine/run.h"

void background_stop(struct run *run, uint32_t i)
{
	struct background *b = run->background ? &run->background[i] : NULL;

	if (!b || b->moving || b->host == NOWHERE)
		return;
	run->nodes[b->host].load.memory -= run->set->background.memory;
	images_forget(&run->images, vm_number(i, true));
	b->host = NOWHERE;
}

void background_start(struct run *run, uint32_t i)
{
	struct background *b = run->background ? &run->background[i] : NULL;

	if (!b || b->moving)
		return;
	b->host = (host_number)phone_host(&run->phones[i]);
	run->nodes[b->host].load.memory += run->set->background.memory;
}

bool background_follows(const struct run *run, uint32_t i, const struct policy_view *view)
{
	const struct policy_parameters *p = &run->in->parameters;
	uint32_t front = phone_host(&run->phones[i]);

	if (!background_is_apart(run, i) || run->background[i].moving || view->n_visits == 0 ||
	    view->visits[0].ago_ns < p->min_stay_ns)
		return false;
	for (size_t k = 0; k < view->n_candidates; k++)
		if (view->candidates[k].node == front)
			return view->candidates[k].measured &&
			       view->candidates[k].srtt_ns <= p->threshold_ns;
	return false;
}
