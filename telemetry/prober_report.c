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

/* Whether there was something to tell. */
static bool tell(struct client *c, uint64_t now_ns, prober_report_fn fn, void *userdata)
{
	struct prober_report report = {
		.device = c->device,
		.last_sample_utc_ns = c->last_sample_utc_ns,
		.level_utc_ns = c->level_utc_ns,
		.method = c->method,
		.tlvs = c->tlvs && c->tlvs->is_heard ? &c->tlvs->figures : NULL,
	};

	if (!read_figures(c, now_ns, &report.rtt))
		return false;
	if (!c->changed && report.rtt.confidence == c->reported_confidence)
		return false;
	c->changed = false;
	c->reported_confidence = (uint8_t)report.rtt.confidence;
	histogram_quantiles(&c->histogram, parts, PROBER_QUANTILES, report.quantiles_ns);
	fn(&report, userdata);
	return true;
}

bool prober_report_some(struct prober *p, uint64_t now_ns, size_t most, prober_report_fn fn,
			void *userdata, size_t *ret_told)
{
	struct client *c = p->reporting ? p->next_reported : client_table_next(p->clients, NULL);

	*ret_told = 0;
	for (; c && most > 0; most--, c = client_table_next(p->clients, c))
		*ret_told += tell(c, now_ns, fn, userdata);
	p->next_reported = c;
	p->reporting = c != NULL;
	return !c;
}

size_t prober_report_changes(struct prober *p, uint64_t now_ns, prober_report_fn fn, void *userdata)
{
	size_t told;

	p->reporting = false;
	(void)prober_report_some(p, now_ns, SIZE_MAX, fn, userdata, &told);
	return told;
}

void prober_summarize(const struct prober *p, uint64_t now_ns, struct prober_summary *ret)
{
	*ret = (struct prober_summary){ 0 };
	for (struct client *c = client_table_next(p->clients, NULL); c;
	     c = client_table_next(p->clients, c)) {
		struct rtt_figures figures;

		ret->quiet += c->quiet;
		if (!read_figures(c, now_ns, &figures) || figures.confidence < MEASURED)
			continue;
		ret->measured++;
		(void)histogram_add(&ret->srtt, figures.srtt_ns);
	}
}

size_t prober_clients(const struct prober *p)
{
	return client_table_count(p->clients);
}

const struct prober_counters *prober_counters(const struct prober *p)
{
	return &p->counters;
}
