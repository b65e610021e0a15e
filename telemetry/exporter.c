/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/exporter.h"

#include "common/metrics.h"

struct exporter {
	struct http_server *server;
	struct exporter_sources sources;
};

static void write_results(struct metrics *m, const char *name, const char *help,
			  const struct metrics_label *results, const uint64_t *counts, size_t n)
{
	metrics_family(m, METRICS_COUNTER, name, help);
	for (size_t i = 0; i < n; i++)
		metrics_value(m, (double)counts[i], METRICS_LABELS(results[i]));
}

static void write_probes(struct metrics *m, const struct prober *prober)
{
	const struct prober_counters *c = prober_counters(prober);
	static const struct metrics_label results[] = {
		{ "result", "accepted" },     { "result", "duplicate" }, { "result", "late" },
		{ "result", "implausible" },  { "result", "forged" },    { "result", "stranger" },
		{ "result", "wrong_length" },
	};
	const uint64_t counts[] = { c->accepted, c->duplicate, c->late,        c->implausible,
				    c->forged,   c->stranger,  c->wrong_length };

	metrics_family(m, METRICS_GAUGE, "tagalong_telemetry_interval_factor",
		       "By what factor intervals are longer than wished, to keep the budget.");
	metrics_value(m, prober_squeeze(prober), METRICS_NO_LABELS);
	metrics_family(m, METRICS_COUNTER, "tagalong_telemetry_probes_sent_total",
		       "Probes that left.");
	metrics_value(m, (double)c->sent, METRICS_NO_LABELS);
	metrics_family(m, METRICS_COUNTER, "tagalong_telemetry_probes_not_sent_total",
		       "Probes that did not leave because this host's buffers were full.");
	metrics_value(m, (double)c->not_sent, METRICS_NO_LABELS);
	metrics_family(m, METRICS_COUNTER, "tagalong_telemetry_session_samples_total",
		       "Round-trip times that clients' own TCP sessions told.");
	metrics_value(m, (double)c->sessions, METRICS_NO_LABELS);
	write_results(m, "tagalong_telemetry_answers_total",
		      "Datagrams that came as answers to probes, by what became of them.", results,
		      counts, ARRAY_SIZE(counts));
}

static void write_tlvs(struct metrics *m, const struct client_tlvs_counters *c)
{
	static const struct metrics_label results[PROBE_TLVS_VERDICTS] = {
		[PROBE_TLVS_ANSWERED] = { "result", "answered" },
		[PROBE_TLVS_PARTLY] = { "result", "partly" },
		[PROBE_TLVS_PLAIN] = { "result", "plain" },
		[PROBE_TLVS_MALFORMED] = { "result", "malformed" },
		[PROBE_TLVS_NOT_WHOLE] = { "result", "not_whole" },
		[PROBE_TLVS_FORGED] = { "result", "forged" },
		[PROBE_TLVS_UNFIT] = { "result", "unfit" },
	};
	static const struct metrics_label dscps[] = {
		{ "result", "changed_there" },
		{ "result", "changed_back" },
		{ "result", "refused" },
	};
	const uint64_t counts[] = { c->changed_there, c->changed_back, c->refused };

	write_results(m, "tagalong_telemetry_tlv_answers_total",
		      "Accepted answers to probes with TLVs, by what became of those.", results,
		      c->verdicts, ARRAY_SIZE(results));
	write_results(m, "tagalong_telemetry_dscps_total",
		      "Answers of which the DSCP, there or back, was not that asked for.", dscps,
		      counts, ARRAY_SIZE(counts));
	metrics_family(m, METRICS_COUNTER, "tagalong_telemetry_followed_up_total",
		       "Round-trip times made right by when the answer really left.");
	metrics_value(m, (double)c->followed_up, METRICS_NO_LABELS);
}

static void write_registrations(struct metrics *m, const struct registry_counters *c)
{
	static const struct metrics_label results[] = {
		{ "result", "accepted" },       { "result", "repeat" }, { "result", "malformed" },
		{ "result", "unknown_device" }, { "result", "forged" },
	};
	const uint64_t counts[] = { c->accepted, c->repeat, c->malformed, c->unknown_device,
				    c->forged };

	write_results(m, "tagalong_telemetry_registrations_total",
		      "Registrations that came, by what became of them.", results, counts,
		      ARRAY_SIZE(counts));
}

static void write_clients(struct metrics *m, const struct prober *prober)
{
	static const unsigned parts[] = { 5000, 9500, 9900, 9990 };
	static const struct metrics_label quantiles[] = {
		{ "quantile", "0.5" },
		{ "quantile", "0.95" },
		{ "quantile", "0.99" },
		{ "quantile", "0.999" },
	};
	const struct prober_summary *summary = prober_summary(prober);
	uint64_t ns[ARRAY_SIZE(parts)];

	histogram_quantiles(&summary->srtt, parts, ARRAY_SIZE(parts), ns);
	metrics_family(m, METRICS_GAUGE, "tagalong_telemetry_clients",
		       "Clients on the watch list.");
	metrics_value(m, (double)prober_clients(prober), METRICS_NO_LABELS);
	metrics_family(m, METRICS_GAUGE, "tagalong_telemetry_clients_quiet",
		       "Clients that are asleep or idle, and so are not probed.");
	metrics_value(m, (double)summary->quiet, METRICS_NO_LABELS);
	metrics_family(m, METRICS_GAUGE, "tagalong_telemetry_clients_measured",
		       "Clients whose figures have a confidence of at least one half.");
	metrics_value(m, (double)summary->measured, METRICS_NO_LABELS);
	metrics_family(m, METRICS_GAUGE, "tagalong_telemetry_client_srtt_seconds",
		       "Quantiles, over the measured clients, of their smoothed round-trip times.");
	for (size_t i = 0; i < ARRAY_SIZE(parts) && summary->measured; i++)
		metrics_value(m, (double)ns[i] / 1e9, METRICS_LABELS(quantiles[i]));
}

static void write_passing(struct metrics *m, const struct bridge_watch_counters *c)
{
	static const struct metrics_label results[] = {
		{ "result", "taken" },
		{ "result", "stranger" },
		{ "result", "malformed" },
		{ "result", "dropped" },
	};
	const uint64_t counts[] = { c->taken, c->stranger, c->malformed, c->dropped };

	write_results(m, "tagalong_telemetry_passing_segments_total",
		      "TCP segments that passed, by what became of them.", results, counts,
		      ARRAY_SIZE(counts));
	metrics_family(m, METRICS_COUNTER, "tagalong_telemetry_passing_samples_total",
		       "Round-trip times that TCP sessions told which passed.");
	metrics_value(m, (double)c->samples, METRICS_NO_LABELS);
	metrics_family(m, METRICS_COUNTER, "tagalong_telemetry_passing_crowded_total",
		       "Segments of sessions that passed and that there was no place for.");
	metrics_value(m, (double)c->crowded, METRICS_NO_LABELS);
}

static void on_metrics(const struct http_request *request, struct http_reply *reply, void *userdata)
{
	const struct exporter *e = userdata;
	struct metrics *m = metrics_new();
	char *text;
	size_t len;

	(void)request;
	if (!m)
		return;
	write_probes(m, e->sources.prober);
	write_tlvs(m, &prober_counters(e->sources.prober)->tlvs);
	write_registrations(m, registry_counters(e->sources.registry));
	write_clients(m, e->sources.prober);
	if (e->sources.passing)
		write_passing(m, bridge_watch_counters(e->sources.passing));
	if (metrics_finish(m, &text, &len) == 0)
		http_reply_take(reply, 200, METRICS_CONTENT_TYPE, text, len);
}

int exporter_new(sd_event *loop, const struct address *listen,
		 const struct exporter_sources *sources, struct exporter **ret,
		 struct mg_error *err)
{
	static const struct http_route routes[] = { { "GET", "/metrics", on_metrics }, { 0 } };
	_cleanup_(exporter_free_p) struct exporter *e = calloc(1, sizeof(*e));
	const struct http_config config = { .listen = *listen, .routes = routes, .userdata = e };
	int r;

	if (!e)
		return mg_error_set(err, -ENOMEM, "out of memory");
	e->sources = *sources;
	r = http_server_new(loop, &config, &e->server, err);
	if (r < 0) {
		mg_error_prefix(err, "metrics");
		return r;
	}
	*ret = TAKE_PTR(e);
	return 0;
}

void exporter_free(struct exporter *e)
{
	if (!e)
		return;
	http_server_free(e->server);
	free(e);
}

const struct address *exporter_local(const struct exporter *e)
{
	return http_server_local(e->server);
}
