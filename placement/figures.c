/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/figures.h"

#include "placement/controller_private.h"

/* States are what nodes say, and may be those of a later release. */
void controller_figures(const struct controller *c, struct controller_figures *ret)
{
	struct controller_figures f = { .epoch = c->fx.epoch };
	const struct device *device;
	const struct node *node;
	const struct move *move;
	const struct vm *vm;

	INDEX_FOREACH(node, &c->fleet.nodes) {
		f.nodes++;
		f.migrators_up += node->programs[PROGRAM_MIGRATOR].up;
		f.telemetries_up += node->programs[PROGRAM_TELEMETRY].up;
		f.drained += node->drained;
		f.reports_missed += node->reports.missed;
		for (size_t i = 0; i < node->n_vms; i++)
			if ((unsigned)node->vms[i]->state < FIGURES_VM_STATES)
				f.vms[node->vms[i]->state]++;
	}
	INDEX_FOREACH(device, &c->fleet.devices) {
		f.devices += device->n_vms > 0;
		f.asleep += device->n_vms > 0 && device->asleep;
		f.pairs += device->n_vms;
	}
	INDEX_FOREACH(vm, &c->fleet.vms) {
		f.frozen += vm->frozen;
		f.warming += vm->warming;
	}
	INDEX_FOREACH(move, &c->executor.moves)
		if ((unsigned)move->entry->info->state < FIGURES_MOVE_STATES)
			f.moves[move->entry->info->state]++;
	*ret = f;
}

void controller_each_move(const struct controller *c, controller_move_fn fn, void *userdata)
{
	const struct move *move;

	INDEX_FOREACH(move, &c->executor.moves)
		fn(move->entry->info, userdata);
}
