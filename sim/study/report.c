/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/study/report.h"

#include <math.h>
#include <string.h>

#include "common/cleanup.h"
#include "sim/reference/fidelity.h"
#include "sim/study/map.h"

#define CURVES_MAX 8
#define BARS_MAX 60
#define WIDTH 720
#define LEFT 60 /* of the plot's area */
#define RIGHT (WIDTH - 20)

/* Of CURVES_MAX lines; Okabe and Ito's colours, which colour-blind people tell apart. */
static const char *const colours[CURVES_MAX] = {
	"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000",
};

static const char style[] =
	"<style>body{font:15px/1.5 system-ui,sans-serif;max-width:760px;margin:2em auto;"
	"padding:0 1em;color:#222}h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}"
	"table{border-collapse:collapse;font-size:13px}td,th{padding:2px 9px;text-align:right;"
	"border-bottom:1px solid #ddd}td{white-space:nowrap}th{vertical-align:bottom;"
	"min-width:5em}td:first-child,th:first-child{text-align:left;position:sticky;left:0;"
	"background:#fff}h2::first-letter{text-transform:uppercase}"
	".wide{overflow-x:auto}svg{max-width:100%;height:auto}svg text{font-size:12px;fill:#444}"
	"small{color:#666}</style>\n";

/* ---- The distribution of round-trip times ------------------------------------------------- */

#define CDF_TOP 10
#define CDF_BOTTOM 300

struct axis {
	double min, max; /* ms; logarithmic */
};

static double x_of(const struct axis *a, double ms)
{
	double part = (log(ms) - log(a->min)) / (log(a->max) - log(a->min));

	return LEFT + (RIGHT - LEFT) * fmin(fmax(part, 0), 1);
}

static double y_of(double part)
{
	return CDF_BOTTOM - (CDF_BOTTOM - CDF_TOP) * part;
}

static double bucket_ms(unsigned bucket)
{
	return (double)histogram_end(bucket) / 1e6;
}

static uint64_t samples_of(const struct results *r, uint32_t c)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		n += r->rtt[c][i];
	return n;
}

/* From the least to the largest of all, a little wider. */
static struct axis find_axis(const struct results *r)
{
	unsigned first = HISTOGRAM_BUCKETS, last = 0;

	for (uint32_t c = 0; c < r->n_configurations && c < CURVES_MAX; c++)
		for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
			if (r->rtt[c][i] > 0) {
				first = i < first ? i : first;
				last = i > last ? i : last;
			}
	if (first == HISTOGRAM_BUCKETS)
		return (struct axis){ 1, 100 };
	return (struct axis){ bucket_ms(first) * 0.9, bucket_ms(last) * 1.1 };
}

static void draw_axes(FILE *f, const struct axis *a, double target_ms)
{
	static const double steps[] = { 1, 2, 5 };

	for (int i = 0; i <= 4; i++) {
		double y = y_of(i / 4.0);

		fprintf(f,
			"<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' stroke='#ddd'/>"
			"<text x='%d' y='%.1f' text-anchor='end'>%d %%</text>\n",
			LEFT, RIGHT, y, y, LEFT - 6, y + 4, 25 * i);
	}
	for (int decade = -3; decade < 8; decade++)
		for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
			double ms = steps[i] * pow(10, decade);

			if (ms < a->min || ms > a->max)
				continue;
			fprintf(f,
				"<line x1='%.1f' x2='%.1f' y1='%d' y2='%d' stroke='#ddd'/>"
				"<text x='%.1f' y='%d' text-anchor='middle'>%g ms</text>\n",
				x_of(a, ms), x_of(a, ms), CDF_TOP, CDF_BOTTOM, x_of(a, ms),
				CDF_BOTTOM + 18, ms);
		}
	if (target_ms > a->min && target_ms < a->max)
		fprintf(f,
			"<line x1='%.1f' x2='%.1f' y1='%d' y2='%d' stroke='#b00' "
			"stroke-dasharray='4 3'><title>the target</title></line>\n",
			x_of(a, target_ms), x_of(a, target_ms), CDF_TOP, CDF_BOTTOM);
}

static void draw_curve(FILE *f, const struct results *r, uint32_t c, const struct axis *a)
{
	uint64_t n = samples_of(r, c), seen = 0;

	if (n == 0)
		return;
	fprintf(f, "<polyline fill='none' stroke='%s' stroke-width='1.8' points='", colours[c]);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (r->rtt[c][i] == 0)
			continue;
		seen += r->rtt[c][i];
		fprintf(f, "%.1f,%.1f ", x_of(a, bucket_ms(i)), y_of((double)seen / (double)n));
	}
	fprintf(f, "'><title>%s</title></polyline>\n", r->labels[c]);
}

static void write_cdf(FILE *f, const struct results *r)
{
	uint32_t n = r->n_configurations < CURVES_MAX ? r->n_configurations : CURVES_MAX;
	struct axis a = find_axis(r);
	int y = CDF_BOTTOM + 46;

	fputs("<h2>Round-trip time from the device to its VM</h2>\n", f);
	fprintf(f, "<svg viewBox='0 0 %d %u' role='img'>\n", WIDTH, (unsigned)y + 20 * n - 10);
	draw_axes(f, &a, r->target_ms);
	for (uint32_t c = 0; c < n; c++, y += 20) {
		draw_curve(f, r, c, &a);
		fprintf(f,
			"<line x1='%d' x2='%d' y1='%d' y2='%d' stroke='%s' stroke-width='3'/>"
			"<text x='%d' y='%d'>%s</text>\n",
			LEFT, LEFT + 24, y - 4, y - 4, colours[c], LEFT + 32, y, r->labels[c]);
	}
	fputs("</svg>\n<p><small>Part of the answers that took at most so long, over all "
	      "replications.",
	      f);
	if (r->n_configurations > n)
		fprintf(f, " The first %u of %u.", n, r->n_configurations);
	fputs(" The dashed line is the target.</small></p>\n", f);
}

/* ---- Bars with intervals ------------------------------------------------------------------------
 */

#define BAR_LEFT 260
#define BAR_HEIGHT 20

static void write_bar(FILE *f, const struct results *r, uint32_t c, size_t metric, double max,
		      int y)
{
	struct estimate e = results_estimate(r, c, metric);
	double scale = (RIGHT - 70 - BAR_LEFT) / max;
	double low = BAR_LEFT + fmax(e.mean - e.half, 0) * scale;
	double high = BAR_LEFT + (e.mean + e.half) * scale;

	fprintf(f, "<text x='%d' y='%d' text-anchor='end'>%.42s</text>", BAR_LEFT - 8, y + 14,
		r->labels[c]);
	if (e.n == 0) {
		fputc('\n', f);
		return;
	}
	fprintf(f, "<rect x='%d' y='%d' width='%.1f' height='%d' fill='#8ab6d6'/>", BAR_LEFT, y + 3,
		e.mean * scale, BAR_HEIGHT - 6);
	if (!isnan(e.half))
		fprintf(f, "<path d='M%.1f %dv8m0 -4H%.1fm0 -4v8' stroke='#222' fill='none'/>", low,
			y + 6, high);
	fprintf(f, "<text x='%.1f' y='%d'>%.4g</text>\n",
		(isnan(e.half) ? BAR_LEFT + e.mean * scale : high) + 6, y + 14, e.mean);
}

/* How many runs have a metric that is not 0. */
static uint32_t count_runs(const struct results *r, const char *metric)
{
	uint32_t n = 0;

	for (size_t m = 0; m < n_metrics; m++)
		for (uint32_t i = 0; strcmp(metrics[m].name, metric) == 0 && i < r->runs; i++)
			n += r->results[i] && r->results[i]->metrics[m] != 0;
	return n;
}

static void explain_optimum(FILE *f, const struct results *r)
{
	uint32_t unlimited = count_runs(r, "optimum_unlimited");

	fputs("<p><small>Cost: the detour to the VM's host for the time that a device is there, "
	      "and a price for each move. The optimum is the least that the same movement could "
	      "have cost with all of the future known and moves that take no time; where hosts "
	      "are full, a bound below that. 1 is out of reach of policies that cannot look "
	      "ahead.</small></p>\n",
	      f);
	if (unlimited > 0)
		fprintf(f,
			"<p><small><b>In %u of %u runs not all VMs had room.</b> Their optimum is "
			"one without limits, as if each host held all VMs: nearer to it than here "
			"may be impossible.</small></p>\n",
			unlimited, r->n);
}

static void write_bars(FILE *f, const struct results *r, size_t metric)
{
	uint32_t n = r->n_configurations < BARS_MAX ? r->n_configurations : BARS_MAX;
	double max = 1e-12;

	for (uint32_t c = 0; c < n; c++) {
		struct estimate e = results_estimate(r, c, metric);

		if (e.n > 0)
			max = fmax(max, e.mean + (isnan(e.half) ? 0 : e.half));
	}
	fprintf(f, "<h2>%s</h2>\n<svg viewBox='0 0 %d %u' role='img'>\n", metrics[metric].what,
		WIDTH, n * BAR_HEIGHT + 4);
	for (uint32_t c = 0; c < n; c++)
		write_bar(f, r, c, metric, max, (int)c * BAR_HEIGHT);
	fputs("</svg>\n", f);
	if (strcmp(metrics[metric].name, "cost_over_optimum") == 0)
		explain_optimum(f, r);
}

/* ---- What the model of moves is worth ----------------------------------------------------- */

static void write_error(FILE *f, const char *what, const struct error_figures *e)
{
	fprintf(f, "<tr><td>%s</td><td>%.1f %%</td><td>%.1f %%</td><td>%.1f %%</td></tr>\n", what,
		100 * e->median, 100 * e->p90, 100 * e->mean);
}

static void write_fidelity(FILE *f)
{
	struct fidelity fidelity;

	fidelity_score(measured_moves, n_measured_moves, &fidelity);
	fprintf(f,
		"<h2>What the model of moves is worth</h2>\n<p>The time and the blackout of moves "
		"are "
		"computed by the model with which migratord predicts. So far from it were %zu "
		"measured "
		"moves of its own, of guests of many sizes and dirty rates over many links, with "
		"what a start and a stop take fitted to all others:</p>\n"
		"<table><tr><th>error of the</th><th>median</th><th>90 %% quantile</th>"
		"<th>mean</th></tr>\n",
		fidelity.moves);
	write_error(f, "total time", &fidelity.total);
	write_error(f, "blackout", &fidelity.blackout);
	write_error(f, "blackout, were it 0.15 of the total time", &fidelity.rule);
	fputs("</table>\n", f);
}

/* ---- All of it
 * --------------------------------------------------------------------------------------- */

/* What is left of rounding is no scatter. */
static double half_shown(const struct estimate *e)
{
	return e->half > 1e-9 * fabs(e->mean) ? e->half : 0;
}

static void write_table(FILE *f, const struct results *r)
{
	fputs("<h2>All figures</h2>\n<p>Means over replications, and the half of their 95 % "
	      "confidence intervals (Student).</p>\n<div class='wide'><table><tr><th>policy</th>",
	      f);
	for (size_t m = 0; m < n_metrics; m++)
		fprintf(f, "<th>%s</th>", metrics[m].what);
	fputs("</tr>\n", f);
	for (uint32_t c = 0; c < r->n_configurations; c++) {
		fprintf(f, "<tr><td>%s</td>", r->labels[c]);
		for (size_t m = 0; m < n_metrics; m++) {
			struct estimate e = results_estimate(r, c, m);

			if (e.n == 0)
				fputs("<td></td>", f);
			else if (isnan(e.half))
				fprintf(f, "<td>%.4g</td>", e.mean);
			else
				fprintf(f, "<td>%.4g ± %.2g</td>", e.mean, half_shown(&e));
		}
		fputs("</tr>\n", f);
	}
	fputs("</table></div>\n", f);
}

void report_write(FILE *f, const void *userdata)
{
	const struct results *r = userdata;

	fprintf(f,
		"<!doctype html>\n<html lang='en'><meta charset='utf-8'>"
		"<meta name='viewport' content='width=device-width'><title>%s</title>\n%s"
		"<h1>%s</h1>\n<p>%u of %u runs, %u replications of each policy. The target is a "
		"round-trip time of %g ms. edgesim %s, inputs %.16s.</p>\n",
		r->name, style, r->name, r->n, r->runs, r->replications, r->target_ms, r->version,
		r->fingerprint);
	write_cdf(f, r);
	for (size_t m = 0; m < n_metrics; m++)
		if (r->shown & metric_bit(m))
			write_bars(f, r, m);
	write_table(f, r);
	if (r->n_towers > 0)
		map_write(f, r);
	write_fidelity(f);
	fputs("</html>\n", f);
}
