/* SPDX-License-Identifier: Apache-2.0
 *
 * What a mobile network says of its devices (ETSI GS MEC 012): one that has changed to a cell
 * which the configuration puts beside a node calls its VM in the foreground there. That is a
 * wish, as those of a policy are: the planner grants it within its limits, or it goes
 * unheard after a while, and what is measured has the say again.
 */
#include <string.h>

#include "common/clock.h"
#include "placement/affinity.h"
#include "placement/controller_private.h"
#include "placement/policy_evidence.h"

#define CALLED_NS (10 * NS_PER_S) /* for how long it is wished */
#define COMPLETED 3               /* hoStatus */
#define STATUS_MIN 1
#define GTP_TEID 4
#define CELL_SIZE 128 /* with the NUL; longer ones are in no configuration */

const char mec012_code[] = "cell";

/* ---- Wishes ---------------------------------------------------------------------------- */

static void hang_up(struct controller *c, struct vm *vm)
{
	vm->called = NULL;
	vm->called_until_utc_ns = 0;
	fleet_touch(&c->fleet, vm);
}

/* It has come, or has not been heard for long enough. */
static bool is_over(const struct controller *c, const struct vm *vm)
{
	uint64_t now = c->fx.now_utc_ns, until = vm->called_until_utc_ns;

	/* Nor is it heard when the clock was ahead as it was called. */
	return vm->node == vm->called || now >= until || until - now > CALLED_NS;
}

size_t mec012_wishes(struct controller *c, struct vm *vm, struct plan_item *item)
{
	if (!vm->called || !vm->node || vm->node == vm->called || affinity_leader(vm))
		return 0;
	if (is_over(c, vm) || !vm->called->admitted || node_refusal(vm->called))
		return 0;
	item->n_wishes = policy_insert_wish(item->wishes, 0,
					    &(struct policy_wish){
						    .target = vm->called->number,
						    .benefit_ns = NS_PER_S,
						    .code = mec012_code,
					    });
	return item->n_wishes;
}

void mec012_tick(struct controller *c)
{
	bool asked = false;
	struct vm *vm;

	INDEX_FOREACH(vm, &c->fleet.vms)
	{
		if (!vm->called)
			continue;
		if (is_over(c, vm)) {
			hang_up(c, vm);
		} else if (vm->device) {
			decide_wake(c, vm->device);
			asked = true;
		}
	}
	if (asked)
		decide_soon(c);
}

/* ---- What is said ------------------------------------------------------------------------ */

static struct device *find_device(const struct controller *c,
				  const Tagalong__CellChange__Identity *id)
{
	Tagalong__AssociateId meant = TAGALONG__ASSOCIATE_ID__INIT;
	struct device *device = fleet_device_named(&c->fleet, id->value);
	struct address host;

	if (device)
		return device;
	meant.has_type = id->type == GTP_TEID;
	meant.type = TAGALONG__ASSOCIATE_ID__TYPE__GTP_TEID;
	meant.value = id->value;
	if (!mec021_host(&meant, &host))
		return NULL;
	INDEX_FOREACH(device, &c->fleet.devices)
	if (address_equal(&host, &device->host))
		return device;
	return NULL;
}

static struct node *find_node(const struct controller *c, const Tagalong__CellChange__Cell *cell)
{
	char text[CELL_SIZE];

	snprintf(text, sizeof(text), "%s-%s-%s", cell->plmn->mcc, cell->plmn->mnc, cell->id);
	for (size_t i = 0; i < c->start->n_cells; i++)
		if (strcmp(c->start->cells[i]->cell, text) == 0)
			return fleet_node(&c->fleet, c->start->cells[i]->node);
	return NULL;
}

static void call(struct controller *c, struct device *device, struct node *node)
{
	struct vm *vm = device_foreground(device);

	effects_decide(&c->fx, "cell", "device=%s node=%s vm=%s", device->name, node->name,
		       vm ? vm->name : "-");
	if (!vm)
		return;
	vm->called = node;
	vm->called_until_utc_ns = c->fx.now_utc_ns + CALLED_NS;
	fleet_touch(&c->fleet, vm);
	decide_wake(c, device);
	decide_soon(c);
}

/* Who has changed to where no node of ours is, or is not ours, is no error of the network's. */
void mec012_on_change(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	const Tagalong__CellChange *change = e->cell_change;
	struct mg_error err = { 0 };
	struct device *device;
	struct node *node;
	int r = 0;

	if (change->n_targets == 0)
		r = mg_error_set(&err, -EINVAL, "'trgEcgi' is to have a cell");
	else if (change->status < STATUS_MIN)
		r = mg_error_set(&err, -EINVAL, "'hoStatus' is from 1 to 5");
	else if (change->status == COMPLETED && change->n_targets > 1)
		r = mg_error_set(&err, -EINVAL, "a completed handover has one target");
	node = r == 0 && change->status == COMPLETED ? find_node(c, change->targets[0]) : NULL;
	for (size_t i = 0; node && i < change->n_associate_ids; i++) {
		device = find_device(c, change->associate_ids[i]);
		if (device)
			call(c, device, node);
	}
	request_reply(c, from, e, r, &err);
}
