/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/prober_internal.h"

/* A level that is wholly in doubt takes away that part of the confidence. */
#define DOUBT_WEIGHT 0.25

/* The confidence from which on a client counts as measured. */
#define MEASURED 50

static const unsigned parts[PROBER_QUANTILES] = { 5000, 9500, 9900, 9990 };

static bool read_figures(const struct client *c, uint64_t now_ns, struct rtt_figures *ret)
{
	double worth = 1 - DOUBT_WEIGHT * level_doubt(&c->level);

	if (!rtt_read(&c->rtt, now_ns, ret))
		return false;
	ret->confidence = (unsigned)(ret->confidence * worth + 0.5);
	return true;
}

static void count(struct prober_summary *s, const struct client *c, const struct rtt_figures *figures)
{
	s->quiet += c->quiet;
	if (!figures || figures->confidence < MEASURED)
		return;
	s->measured++;
	(void)histogram_add(&s->srtt, figures->srtt_ns);
}

/* Whether there was something to tell. */
static bool tell(struct prober *p, struct client *c, uint64_t now_ns, prober_report_fn fn,
		 void *userdata)
{
	struct prober_report report = {
		.device = c->device,
		.last_sample_utc_ns = c->last_sample_utc_ns,
		.level_utc_ns = c->level_utc_ns,
		.method = c->method,
		.tlvs = c->tlvs && c->tlvs->is_heard ? &c->tlvs->figures : NULL,
	};
	bool known = read_figures(c, now_ns, &report.rtt);

	count(&p->counted, c, known ? &report.rtt : NULL);
	if (!known || (!c->changed && report.rtt.confidence == c->reported_confidence))
		return false;
	c->changed = false;
	c->reported_confidence = (uint8_t)report.rtt.confidence;
	histogram_quantiles(&c->histogram, parts, PROBER_QUANTILES, report.quantiles_ns);
	fn(&report, userdata);
	return true;
}

static void begin_round(struct prober *p)
{
	histogram_clear(&p->counted.srtt);
	p->counted = (struct prober_summary){ 0 };
	p->next_reported = client_table_next(p->clients, NULL);
}

static void end_round(struct prober *p)
{
	histogram_clear(&p->summary.srtt);
	p->summary = p->counted;
	p->counted = (struct prober_summary){ 0 };
}

bool prober_report_some(struct prober *p, uint64_t now_ns, size_t most, prober_report_fn fn,
			void *userdata, size_t *ret_told)
{
	struct client *c;

	if (!p->reporting)
		begin_round(p);
	*ret_told = 0;
	for (c = p->next_reported; c && most > 0; most--, c = client_table_next(p->clients, c))
		*ret_told += tell(p, c, now_ns, fn, userdata);
	p->next_reported = c;
	p->reporting = c != NULL;
	if (!c)
		end_round(p);
	return !c;
}

size_t prober_report_changes(struct prober *p, uint64_t now_ns, prober_report_fn fn, void *userdata)
{
	size_t told;

	p->reporting = false;
	(void)prober_report_some(p, now_ns, SIZE_MAX, fn, userdata, &told);
	return told;
}

const struct prober_summary *prober_summary(const struct prober *p)
{
	return &p->summary;
}

size_t prober_clients(const struct prober *p)
{
	return client_table_count(p->clients);
}

const struct prober_counters *prober_counters(const struct prober *p)
{
	return &p->counters;
}
