/* SPDX-License-Identifier: Apache-2.0
 *
 * Maintenance windows. Some time before one begins the node is emptied as if it were drained,
 * and after its end VMs may come again; what an operator has drained stays drained. Windows that
 * are over are forgotten.
 */
#include <inttypes.h>
#include <string.h>

#include "placement/controller_private.h"

static void forget_past(struct controller *c, struct node *node)
{
	size_t n = 0;

	for (size_t i = 0; i < node->n_windows; i++)
		if (c->fx.now_utc_ns < node->windows[i].end_utc_ns)
			node->windows[n++] = node->windows[i];
	if (n < node->n_windows)
		fleet_touch_node(&c->fleet, node);
	node->n_windows = n;
}

static bool is_due(const struct controller *c, const struct node *node)
{
	uint64_t then = c->fx.now_utc_ns + c->start->limits->maintenance_lead_ns;

	for (size_t i = 0; i < node->n_windows; i++)
		if (then >= node->windows[i].start_utc_ns)
			return true;
	return false;
}

void maintenance_tick(struct controller *c)
{
	struct node *node;

	INDEX_FOREACH(node, &c->fleet.nodes) {
		bool due;

		forget_past(c, node);
		due = is_due(c, node);
		if (due == node->maintained)
			continue;
		node->maintained = due;
		fleet_touch_node(&c->fleet, node);
		effects_decide(&c->fx, due ? "maintenance" : "maintained", "node=%s", node->name);
	}
}

/* ---- What operators ask -------------------------------------------------------------- */

/* An order that is repeated adds no second window. */
static bool has(const struct node *node, const Tagalong__MaintenanceWindow *window)
{
	for (size_t i = 0; i < node->n_windows; i++)
		if (node->windows[i].start_utc_ns == window->start_utc_ns &&
		    node->windows[i].end_utc_ns == window->end_utc_ns)
			return true;
	return false;
}

static int check(const struct controller *c, const struct node *node,
		 const Tagalong__MaintenanceWindow *window, struct mg_error *err)
{
	if (window->start_utc_ns >= window->end_utc_ns)
		return mg_error_set(err, -EINVAL, "the window ends before it begins");
	if (window->end_utc_ns <= c->fx.now_utc_ns)
		return mg_error_set(err, -EINVAL, "the window is over already");
	if (node->n_windows == NODE_WINDOWS_MAX && !has(node, window))
		return mg_error_set(err, -ENOSPC, "node '%s' has %d windows; 'migrator node "
				    "unmaintain' takes them away", node->name, NODE_WINDOWS_MAX);
	return 0;
}

static void set(struct controller *c, struct node *node, const Tagalong__MaintenanceWindow *window,
		const char *who)
{
	if (!window) {
		node->n_windows = 0;
		effects_decide(&c->fx, "unmaintain", "node=%s by=%s", node->name, who);
	} else if (!has(node, window)) {
		node->windows[node->n_windows++] =
			(struct window){ window->start_utc_ns, window->end_utc_ns };
		effects_decide(&c->fx, "maintain",
			       "node=%s start_utc_ns=%" PRIu64 " end_utc_ns=%" PRIu64 " by=%s",
			       node->name, window->start_utc_ns, window->end_utc_ns, who);
	}
	fleet_touch_node(&c->fleet, node);
	maintenance_tick(c);
	drain_tick(c);
}

void maintenance_on_request(struct controller *c, const struct bus_peer *from, const Envelope *e)
{
	const Tagalong__NodeMaintain *request = e->node_maintain;
	struct mg_error err = { 0 };
	struct node *node;
	int r = request_find_node(c, request->node, &node, &err);

	if (r == 0 && request->window)
		r = check(c, node, request->window, &err);
	if (r == 0 && !request->dry_run)
		set(c, node, request->window, from->name);
	request_reply(c, from, e, r, &err);
}
