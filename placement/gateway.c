/* SPDX-License-Identifier: Apache-2.0 */
#include "placement/gateway.h"

#include <string.h>

#include "common/document.h"
#include "common/log.h"
#include "common/move_state.h"
#include "placement/mec021_json.h"

bool gateway_listens(const struct placement_config *config)
{
	return config->has_http || config->n_webhooks > 0;
}

int gateway_start(struct gateway *g, sd_event *loop, const struct placement_config *config,
		  const struct rest_host *host, struct mg_error *err)
{
	char text[ADDRESS_TEXT_SIZE];
	int r = 0;

	g->config = config;
	g->host = *host;
	exporter_init(&g->exporter);
	if (gateway_listens(config))
		r = webhooks_new(loop, config->webhooks, config->n_webhooks, &g->webhooks, err);
	if (r == 0 && g->webhooks)
		webhooks_set_posts(g->webhooks, config->mec_cacert, g->host.told, g->host.userdata);
	if (r == 0 && config->has_http)
		r = rest_new(loop, &config->http, &g->host, &g->rest, err);
	if (r == 0 && g->rest)
		log_info("http", "listen=%s %s", address_format(rest_local(g->rest), text),
			 config->http.certificate ? "TLS" : "in the clear");
	return r;
}

void gateway_stop(struct gateway *g)
{
	rest_free(g->rest);
	webhooks_free(g->webhooks);
	g->rest = NULL;
	g->webhooks = NULL;
}

void gateway_step_down(struct gateway *g)
{
	if (g->rest)
		rest_step_down(g->rest);
	if (g->webhooks)
		webhooks_forget_posts(g->webhooks);
}

/* ---- Events --------------------------------------------------------------------- */

static json_t *document_of_rtt(const Tagalong__Placement__DeviceRtt *rtt)
{
	json_t *o = document_rtt(rtt->rtt);

	json_object_set_new(o, "device", json_string(rtt->device_name));
	return o;
}

/* Without memory it stays in the store until the next start. */
static void send_notice(const struct gateway *g, const Tagalong__Placement__Notice *n)
{
	char *body = mec021_notification(n, g->config->http_advertise);

	if (g->webhooks)
		webhooks_post(g->webhooks, n->subscription, n->url, n->number, body);
	else
		free(body);
}

static void tell_all(struct gateway *g, const PlacementEvent *event)
{
	bool is_move = event->what_case == TAGALONG__PLACEMENT__EVENT__WHAT_MOVE;
	json_t *document = is_move ? document_move(event->move) : document_of_rtt(event->rtt);
	char *text = json_dumps(document, JSON_COMPACT), type[64];

	json_decref(document);
	exporter_note_event(&g->exporter, event);
	if (!text)
		return;
	if (g->rest)
		rest_event(g->rest, is_move ? EVENT_MOVE : EVENT_RTT, text);
	if (g->webhooks && is_move) {
		snprintf(type, sizeof(type), "move.%s", move_state_name(event->move->state));
		for (char *c = strchr(type, ' '); c; c = strchr(c, ' '))
			*c = '_'; /* "in doubt" */
		webhooks_tell(g->webhooks, type, text);
	}
	free(text);
}

void gateway_event(struct gateway *g, const PlacementEvent *event)
{
	if (event->what_case == TAGALONG__PLACEMENT__EVENT__WHAT_NOTICE)
		send_notice(g, event->notice);
	else
		tell_all(g, event);
}

/* ---- Figures -------------------------------------------------------------------- */

static void write_webhooks(const struct gateway *g, struct metrics *m)
{
	struct webhook_counters c;

	webhooks_count(g->webhooks, &c);
	metrics_family(m, METRICS_COUNTER, "tagalong_placement_webhooks_total",
		       "Events for webhooks by what became of them.");
	metrics_value(m, (double)c.delivered, METRICS_LABELS({ "result", "delivered" }));
	metrics_value(m, (double)c.lost, METRICS_LABELS({ "result", "lost" }));
	metrics_family(m, METRICS_COUNTER, "tagalong_placement_webhook_failures_total",
		       "Attempts to tell a webhook that failed.");
	metrics_value(m, (double)c.failed_attempts, METRICS_NO_LABELS);
	metrics_family(m, METRICS_GAUGE, "tagalong_placement_webhooks_queued", "Events that wait.");
	metrics_value(m, (double)c.queued, METRICS_NO_LABELS);
}

void gateway_measure(const struct gateway *g, const struct controller *c, const struct store *store,
		     struct metrics *m)
{
	exporter_write(&g->exporter, c, store, m);
	if (g->webhooks)
		write_webhooks(g, m);
}
