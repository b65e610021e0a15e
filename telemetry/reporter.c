/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/reporter.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"

/* So many clients are looked at before it is others' turn: probes must not wait for reports. */
#define SLICE 1000

struct reporter {
	struct bus_socket *pubs[TELEMETRY_CONTROLLERS_MAX];
	size_t n_pubs;
	struct prober *prober;
	sd_event_source *timer;
	uint64_t interval_ns;
	uint64_t round_ns; /* when the round over all clients was due that is under way */
	/* The batch in the making. */
	Tagalong__RttSample samples[REPORTER_BATCH];
	Tagalong__RttSample *pointers[REPORTER_BATCH];
	struct uuid devices[REPORTER_BATCH];
	Tagalong__ToldTlvs tlvs[REPORTER_BATCH];
	size_t n;
	uint64_t number; /* of the last batch */
};

static void send_batch(struct reporter *r)
{
	Tagalong__RttReport report = TAGALONG__RTT_REPORT__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;

	if (r->n == 0)
		return;
	report.n_samples = r->n;
	report.samples = r->pointers;
	report.has_number = true;
	report.number = ++r->number;
	e.body_case = TAGALONG__ENVELOPE__BODY_RTT_REPORT;
	e.rtt_report = &report;
	for (size_t i = 0; i < r->n_pubs; i++) {
		int64_t seq = bus_send(r->pubs[i], NULL, &e);

		if (seq < 0)
			log_debug("report", "clients=%zu not sent: %s", r->n, strerror((int)-seq));
	}
	r->n = 0;
}

static void fill_tlvs(const struct client_tlvs_figures *f, Tagalong__ToldTlvs *t)
{
	tagalong__told_tlvs__init(t);
	t->understood = f->understood;
	t->has_dscp_there = t->has_dscp_back = t->has_dscp_refused = f->has_class_of_service;
	t->dscp_there = f->dscp_there;
	t->dscp_back = f->dscp_back;
	t->dscp_refused = f->dscp_refused;
	t->has_clock_in = t->has_method_in = f->has_clocks;
	t->has_clock_out = t->has_method_out = f->has_clocks;
	t->clock_in = f->clock_in;
	t->method_in = f->method_in;
	t->clock_out = f->clock_out;
	t->method_out = f->method_out;
	t->has_lost_there = t->has_lost_back = f->has_losses;
	t->lost_there = f->lost_there;
	t->lost_back = f->lost_back;
	t->has_translated = f->has_location;
	t->translated = f->translated;
	t->has_wait_ns = f->has_wait;
	t->wait_ns = f->wait_ns;
}

static void add_sample(const struct prober_report *report, void *userdata)
{
	static const Tagalong__RttMethod methods[] = {
		[PROBER_STAMP] = TAGALONG__RTT_METHOD__RTT_STAMP,
		[PROBER_ECHO] = TAGALONG__RTT_METHOD__RTT_ICMP,
		[PROBER_TCP] = TAGALONG__RTT_METHOD__RTT_TCP,
	};
	struct reporter *r = userdata;
	Tagalong__RttSample *s = &r->samples[r->n];

	r->devices[r->n] = report->device;
	tagalong__rtt_sample__init(s);
	s->device = (ProtobufCBinaryData){ UUID_SIZE, r->devices[r->n].bytes };
	s->method = methods[report->method];
	s->last_sample_utc_ns = report->last_sample_utc_ns;
	s->srtt_ns = report->rtt.srtt_ns;
	s->rttvar_ns = report->rtt.rttvar_ns;
	s->min_ns = report->rtt.min_ns;
	s->sent = report->rtt.sent;
	s->lost = report->rtt.lost;
	s->confidence = report->rtt.confidence;
	s->has_p50_ns = s->has_p95_ns = s->has_p99_ns = s->has_p999_ns = true;
	s->p50_ns = report->quantiles_ns[PROBER_P50];
	s->p95_ns = report->quantiles_ns[PROBER_P95];
	s->p99_ns = report->quantiles_ns[PROBER_P99];
	s->p999_ns = report->quantiles_ns[PROBER_P999];
	s->has_level_utc_ns = report->level_utc_ns > 0;
	s->level_utc_ns = report->level_utc_ns;
	s->has_last_ns = true;
	s->last_ns = report->rtt.last_ns;
	if (report->tlvs) {
		fill_tlvs(report->tlvs, &r->tlvs[r->n]);
		s->tlvs = &r->tlvs[r->n];
	}
	r->pointers[r->n++] = s;
	if (r->n == REPORTER_BATCH)
		send_batch(r);
}

static int on_timer(sd_event_source *source, uint64_t due_us, void *userdata)
{
	struct reporter *r = userdata;
	uint64_t now = clock_mono_ns(), next = now;
	size_t told;

	(void)due_us;
	if (prober_report_some(r->prober, now, SLICE, add_sample, r, &told)) {
		send_batch(r);
		r->round_ns += r->interval_ns;
		if (r->round_ns < now)
			r->round_ns = now;
		next = r->round_ns;
	}
	return sd_event_source_set_time(source, next / NS_PER_US);
}

int reporter_new(sd_event *loop, struct bus *bus, const struct telemetry_controller *controllers,
		 size_t n_controllers, struct prober *prober, uint64_t interval_ns, struct reporter **ret,
		 struct mg_error *err)
{
	_cleanup_(reporter_free_p) struct reporter *reporter = calloc(1, sizeof(*reporter));
	int r = 0;

	if (!reporter)
		return mg_error_set(err, -ENOMEM, "out of memory");
	reporter->prober = prober;
	reporter->interval_ns = interval_ns;
	reporter->round_ns = clock_mono_ns() + interval_ns;
	for (size_t i = 0; i < n_controllers && r == 0; i++) {
		r = bus_connect(bus, BUS_PUB, controllers[i].reports, controllers[i].key, NULL, NULL,
				&reporter->pubs[i], err);
		if (r == 0)
			reporter->n_pubs++;
	}
	if (r < 0)
		return r;
	r = sd_event_add_time(loop, &reporter->timer, CLOCK_MONOTONIC,
			      reporter->round_ns / NS_PER_US, NS_PER_MS / NS_PER_US,
			      on_timer, reporter);
	if (r >= 0)
		r = sd_event_source_set_enabled(reporter->timer, SD_EVENT_ON);
	if (r < 0)
		return mg_error_set(err, r, "event loop: %s", strerror(-r));
	*ret = TAKE_PTR(reporter);
	return 0;
}

void reporter_set_interval(struct reporter *r, uint64_t interval_ns)
{
	r->interval_ns = interval_ns;
}

void reporter_free(struct reporter *r)
{
	if (!r)
		return;
	sd_event_source_disable_unref(r->timer);
	for (size_t i = 0; i < r->n_pubs; i++)
		bus_socket_free(r->pubs[i]);
	free(r);
}
