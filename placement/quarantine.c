/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/quarantine.h"

#include <inttypes.h>

#include "common/clock.h"
#include "placement/controller_private.h"

static void begin(struct effects *fx, struct node *node, uint64_t until_utc_ns, const char *why)
{
	node->quarantine.on = true;
	node->quarantine.until_utc_ns = until_utc_ns;
	effects_decide(fx, "quarantine", "node=%s failures=%" PRIu32 " until_utc_ns=%" PRIu64 " %s",
		       node->name, node->quarantine.failures, until_utc_ns, why);
}

/* It is given another chance: one more failure is enough to end that. */
static void end(struct effects *fx, struct node *node, const char *why)
{
	node->quarantine.on = false;
	node->quarantine.until_utc_ns = 0;
	effects_decide(fx, "release", "node=%s %s", node->name, why);
}

/* ---- What moves show ---------------------------------------------------------------- */

void quarantine_success(struct fleet *fleet, struct node *node)
{
	struct quarantine *q = &node->quarantine;

	if (q->failures == 0 && q->times == 0)
		return;
	q->failures = q->times = 0;
	fleet_touch_node(fleet, node);
}

static uint64_t length(const Tagalong__Placement__Limits *limits, uint32_t times)
{
	uint64_t ns = limits->quarantine_ns;

	while (times-- > 0 && ns < limits->quarantine_max_ns)
		ns *= 2;
	return ns < limits->quarantine_max_ns ? ns : limits->quarantine_max_ns;
}

void quarantine_failure(struct effects *fx, struct fleet *fleet,
			const Tagalong__Placement__Limits *limits, struct node *node,
			const struct vm *vm)
{
	struct quarantine *q = &node->quarantine;
	bool recent = fx->now_utc_ns - q->since_utc_ns <= limits->quarantine_window_ns;

	if (limits->quarantine_after == 0 || (vm->failed_at && vm->failed_at != node))
		return;
	/* A node that comes out of quarantine has its failures still. */
	if (q->failures == 0 || (!recent && q->times == 0)) {
		q->failures = 0;
		q->since_utc_ns = fx->now_utc_ns;
	}
	q->failures++;
	fleet_touch_node(fleet, node);
	if (!q->on && q->failures >= limits->quarantine_after)
		begin(fx, node, fx->now_utc_ns + length(limits, q->times++), "moves to it fail");
}

void quarantine_tick(struct controller *c)
{
	struct node *node;

	INDEX_FOREACH(node, &c->fleet.nodes) {
		if (!node->quarantine.on || c->fx.now_utc_ns < node->quarantine.until_utc_ns)
			continue;
		end(&c->fx, node, "its time is over");
		fleet_touch_node(&c->fleet, node);
	}
}

void quarantine_clock_back(struct controller *c)
{
	uint64_t latest = c->fx.now_utc_ns + c->start->limits->quarantine_max_ns;
	struct node *node;

	INDEX_FOREACH(node, &c->fleet.nodes) {
		if (node->quarantine.until_utc_ns == UINT64_MAX || node->quarantine.until_utc_ns <= latest)
			continue;
		node->quarantine.until_utc_ns = latest;
		fleet_touch_node(&c->fleet, node);
	}
}

/* ---- What operators ask -------------------------------------------------------------- */

static void set(struct controller *c, struct node *node, bool quarantined, const char *who)
{
	char why[96];

	if (node->quarantine.on == quarantined &&
	    (!quarantined || node->quarantine.until_utc_ns == UINT64_MAX))
		return;
	snprintf(why, sizeof(why), "by=%s", who);
	if (quarantined)
		begin(&c->fx, node, UINT64_MAX, why);
	else
		end(&c->fx, node, why);
	/* Who releases a node says that it is well. */
	node->quarantine.failures = node->quarantine.times = 0;
	fleet_touch_node(&c->fleet, node);
	decide_soon(c);
}

void quarantine_on_request(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	const Tagalong__NodeQuarantine *request = e->node_quarantine;
	struct mg_error err = { 0 };
	struct node *node;
	int r = request_find_node(c, request->node, &node, &err);

	if (r == 0 && !request->dry_run)
		set(c, node, request->quarantined, from->name);
	request_reply(c, from, e, r, &err);
}
