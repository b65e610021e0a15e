/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/page.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/units.h"

#define WIDTH 1100
#define LEFT 62
#define RIGHT 16
#define TOP 58           /* room for the moves' labels */
#define RTT_HEIGHT 330
#define WAY_TOP (TOP + RTT_HEIGHT + 46)
#define WAY_HEIGHT 84
#define HEIGHT (WAY_TOP + WAY_HEIGHT + 62)
#define SILENCE_DRAWN_NS (40 * NS_PER_MS) /* shorter ones are a busy machine's */
#define STRIP_HEIGHT 10  /* which tower the phone is attached to */

struct plot {
	FILE *out;
	const struct story *s;
	double t_max, rtt_max, x_min, x_max; /* s, ms, m, m */
};

static void put_text(FILE *out, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			fputc(*text, out);
		}
}

static const char *tower_name(const struct story *s, int tower)
{
	return tower < 0 ? "?" : s->scenario->towers[tower].name;
}

/* ---- Scales -------------------------------------------------------------------- */

static double at_time(const struct plot *p, uint64_t t_ns)
{
	return LEFT + (WIDTH - LEFT - RIGHT) * fmin(1, (double)t_ns / 1e9 / p->t_max);
}

static double at_rtt(const struct plot *p, double rtt_ns)
{
	return TOP + RTT_HEIGHT * (1 - rtt_ns / 1e6 / p->rtt_max);
}

static double at_x(const struct plot *p, double metres)
{
	return WAY_TOP + WAY_HEIGHT * (1 - (metres - p->x_min) / (p->x_max - p->x_min));
}

/* A step of 1, 2 or 5 times a power of ten that makes about n of them. */
static double tick_step(double range, int n)
{
	double rough = range / n, power = pow(10, floor(log10(rough)));

	return power * (rough / power < 1.5 ? 1 : rough / power < 3.5 ? 2 : rough / power < 7.5 ? 5 : 10);
}

/* The towers' times always fit; a spike of the echo (a blackout) may leave the
 * chart at its top. */
static void choose_scales(struct plot *p)
{
	const struct story *s = p->s;
	double most = (double)s->scenario->policy.threshold_ns * 1.3;

	p->t_max = (double)s->scenario->duration_ns / 1e9;
	p->x_min = p->x_max = s->scenario->towers[0].at.x;
	for (int i = 0; i < s->scenario->n_towers; i++) {
		p->x_min = fmin(p->x_min, s->scenario->towers[i].at.x);
		p->x_max = fmax(p->x_max, s->scenario->towers[i].at.x);
	}
	for (size_t i = 0; i < s->n_samples; i++) {
		const struct story_sample *q = &s->samples[i];

		for (int j = 0; j < s->scenario->n_towers; j++)
			most = fmax(most, (double)q->tower_rtt_ns[j] * 1.12);
		p->t_max = fmax(p->t_max, (double)q->t_ns / 1e9);
		p->x_min = fmin(p->x_min, q->at.x);
		p->x_max = fmax(p->x_max, q->at.x);
	}
	if (p->x_max - p->x_min < 1)
		p->x_max = p->x_min + 1;
	p->rtt_max = most / 1e6;
}

/* ---- The chart -------------------------------------------------------------------- */

static void draw_axes(const struct plot *p)
{
	double step = tick_step(p->rtt_max, 6);

	for (double v = 0; v <= p->rtt_max; v += step)
		fprintf(p->out,
			"<line class=grid x1=%d x2=%d y1=%.1f y2=%.1f />"
			"<text class=tick text-anchor=end x=%d y=%.1f>%g</text>\n",
			LEFT, WIDTH - RIGHT, at_rtt(p, v * 1e6), at_rtt(p, v * 1e6), LEFT - 8,
			at_rtt(p, v * 1e6) + 4, v);
	step = tick_step(p->t_max, 14);
	for (double t = 0; t <= p->t_max + step / 1000; t += step) {
		double x = at_time(p, (uint64_t)(t * 1e9));

		fprintf(p->out,
			"<line class=grid x1=%.1f x2=%.1f y1=%d y2=%d />"
			"<text class=tick text-anchor=middle x=%.1f y=%d>%g</text>\n",
			x, x, TOP, WAY_TOP + WAY_HEIGHT, x, WAY_TOP + WAY_HEIGHT + 34, t);
	}
	fprintf(p->out,
		"<text class=axis text-anchor=middle transform='translate(16 %d) rotate(-90)'>"
		"round-trip time (ms)</text>\n"
		"<text class=axis text-anchor=middle x=%d y=%d>time since the walk began (s)</text>\n"
		"<text class=axis text-anchor=middle transform='translate(16 %d) rotate(-90)'>"
		"phone (m)</text>\n",
		TOP + RTT_HEIGHT / 2, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8,
		WAY_TOP + WAY_HEIGHT / 2);
}

static void draw_threshold(const struct plot *p)
{
	double y = at_rtt(p, (double)p->s->scenario->policy.threshold_ns);
	char text[UNITS_TEXT_SIZE];

	fprintf(p->out,
		"<line class=threshold x1=%d x2=%d y1=%.1f y2=%.1f />"
		"<text class=thresholdtext text-anchor=end x=%d y=%.1f>threshold %s</text>\n",
		LEFT, WIDTH - RIGHT, y, y, WIDTH - RIGHT - 4, y - 5,
		duration_format(p->s->scenario->policy.threshold_ns, text));
}

/* The band from order to end, its label above, and in it what the phone heard
 * of the guest: nothing, for as long as the dark bar is wide. */
static void draw_move(const struct plot *p, int i)
{
	const struct story_move *m = &p->s->moves[i];
	double from = at_time(p, m->begun_ns);
	double to = at_time(p, m->ended_ns ? m->ended_ns : p->s->scenario->duration_ns);
	bool right = from > WIDTH * 0.75;
	char text[UNITS_TEXT_SIZE];

	fprintf(p->out,
		"<rect class=move x=%.1f y=%d width=%.1f height=%d />"
		"<text class=movetext text-anchor=%s x=%.1f y=%d>%s → %s (%s)</text>"
		"<text class=movetext text-anchor=%s x=%.1f y=%d>",
		from, TOP, fmax(2, to - from), RTT_HEIGHT, right ? "end" : "start",
		right ? to : from, TOP - 26, tower_name(p->s, m->from), tower_name(p->s, m->to),
		m->reason, right ? "end" : "start", right ? to : from, TOP - 10);
	if (m->state == TAGALONG__MOVE_STATE__MOVE_DONE)
		fprintf(p->out, "blackout %s", duration_format(m->silence_ns, text));
	else
		fputs(move_state_name(m->state), p->out);
	fputs("</text>\n", p->out);
}

static void draw_silences(const struct plot *p)
{
	for (size_t i = 0; i < p->s->n_silences; i++) {
		const struct story_silence *q = &p->s->silences[i];
		double from = at_time(p, q->from_ns), to = at_time(p, q->to_ns);
		char text[UNITS_TEXT_SIZE];

		if (q->to_ns - q->from_ns < SILENCE_DRAWN_NS)
			continue;
		fprintf(p->out,
			"<rect class=silence x=%.1f y=%d width=%.1f height=%d>"
			"<title>no echo for %s</title></rect>\n",
			from, TOP + RTT_HEIGHT - 14, fmax(2, to - from), 14,
			duration_format(q->to_ns - q->from_ns, text));
	}
}

/* A line through the samples that are known; `tower` -1 is the VM's echo. */
static void draw_line(const struct plot *p, int tower)
{
	bool drawing = false;

	if (tower < 0)
		fputs("<path class=echo clip-path='url(#inside)' d='", p->out);
	else
		fprintf(p->out, "<path class='rtt tower%d' clip-path='url(#inside)' d='", tower);
	for (size_t i = 0; i < p->s->n_samples; i++) {
		const struct story_sample *q = &p->s->samples[i];
		uint64_t rtt = tower < 0 ? q->guest_rtt_ns : q->tower_rtt_ns[tower];

		if (rtt)
			fprintf(p->out, "%c%.1f %.1f", drawing ? 'L' : 'M', at_time(p, q->t_ns),
				at_rtt(p, (double)rtt));
		drawing = rtt != 0;
	}
	fputs("' />\n", p->out);
}

/* Where the phone is, and below it the tower that it is attached to. */
static void draw_way(const struct plot *p)
{
	const struct story *s = p->s;

	for (int i = 0; i < s->scenario->n_towers; i++) {
		double y = at_x(p, s->scenario->towers[i].at.x);

		fprintf(p->out,
			"<line class='tower%d home' x1=%d x2=%d y1=%.1f y2=%.1f />"
			"<text class=tick text-anchor=end x=%d y=%.1f>%g</text>\n",
			i, LEFT, WIDTH - RIGHT, y, y, LEFT - 8, y + 4,
			s->scenario->towers[i].at.x);
	}
	fputs("<path class=way d='", p->out);
	for (size_t i = 0; i < s->n_samples; i++)
		fprintf(p->out, "%c%.1f %.1f", i ? 'L' : 'M', at_time(p, s->samples[i].t_ns),
			at_x(p, s->samples[i].at.x));
	fputs("' />\n", p->out);
	for (int i = 0; i < s->n_attachments; i++) {
		const struct story_attachment *a = &s->attachments[i];
		uint64_t until = i + 1 < s->n_attachments ? a[1].t_ns : s->scenario->duration_ns;

		fprintf(p->out,
			"<rect class='strip tower%d' x=%.1f y=%d width=%.1f height=%d>"
			"<title>attached to %s</title></rect>\n",
			a->tower, at_time(p, a->t_ns), WAY_TOP + WAY_HEIGHT + 6,
			at_time(p, until) - at_time(p, a->t_ns), STRIP_HEIGHT,
			tower_name(s, a->tower));
	}
}

static void draw_legend(const struct plot *p)
{
	fputs("<p class=legend>", p->out);
	for (int i = 0; i < p->s->scenario->n_towers; i++)
		fprintf(p->out, "<span><i class='swatch tower%d'></i>phone ↔ %s</span>", i,
			tower_name(p->s, i));
	fputs("<span><i class='swatch echo'></i>phone ↔ its VM (echo)</span>"
	      "<span><i class='swatch threshold'></i>threshold</span>"
	      "<span><i class='swatch move'></i>the VM moves</span>"
	      "<span><i class='swatch silence'></i>no echo for 40 ms or more</span>"
	      "<span>strip at the bottom: the tower that the phone is attached to</span></p>\n",
	      p->out);
}

static void draw_chart(const struct plot *p)
{
	fprintf(p->out,
		"<svg viewBox='0 0 %d %d' role=img aria-label='Round-trip times over the walk'>\n"
		"<clipPath id=inside><rect x=%d y=%d width=%d height=%d /></clipPath>\n",
		WIDTH, HEIGHT, LEFT, TOP, WIDTH - LEFT - RIGHT, RTT_HEIGHT);
	for (int i = 0; i < p->s->n_moves; i++)
		draw_move(p, i);
	draw_axes(p);
	draw_silences(p);
	draw_line(p, -1);
	for (int i = 0; i < p->s->scenario->n_towers; i++)
		draw_line(p, i);
	draw_threshold(p);
	draw_way(p);
	fputs("</svg>\n", p->out);
}

/* ---- Tables ------------------------------------------------------------------------ */

static void put_move_row(FILE *out, const struct story *s, const struct story_move *m)
{
	char took[UNITS_TEXT_SIZE], seen[UNITS_TEXT_SIZE], stopped[UNITS_TEXT_SIZE];
	char stall[UNITS_TEXT_SIZE];
	char wire[UNITS_TEXT_SIZE], before[UNITS_TEXT_SIZE], after[UNITS_TEXT_SIZE];
	uint64_t end = m->ended_ns ? m->ended_ns : m->begun_ns;
	uint64_t early = m->begun_ns > NS_PER_S ? m->begun_ns - NS_PER_S : 0;

	fprintf(out, "<tr><td class=n>%.1f s<td>%s → %s<td>", (double)m->begun_ns / 1e9,
		tower_name(s, m->from), tower_name(s, m->to));
	put_text(out, m->text[0] ? m->text : m->reason);
	fprintf(out, "<td>%s", move_state_name(m->state));
	if (m->failure[0]) {
		fputs(": ", out);
		put_text(out, m->failure);
	}
	fprintf(out, "<td class=n>%s<td class=n>%s<td class=n>%s<td class=n>%s<td class=n>%s<td class=n>%u"
		     "<td class=n>%s → %s</tr>\n",
		duration_format(end - m->begun_ns, took), duration_format(m->silence_ns, seen),
		duration_format(m->blackout_ns, stopped), duration_format(m->stall_ns, stall),
		size_format(m->wire_bytes, wire),
		m->rounds, duration_format(story_guest_rtt(s, early, m->begun_ns), before),
		duration_format(story_guest_rtt(s, end + NS_PER_S, end + 3 * NS_PER_S), after));
}

static void put_moves(FILE *out, const struct story *s)
{
	fputs("<h2>Moves</h2>\n<div class=wide><table><tr><th>at<th>from → to<th>reason<th>outcome"
	      "<th>took<th>blackout (the phone's view)<th>guest stopped<th>longest stall before<th>on the wire<th>rounds"
	      "<th>RTT to the VM</tr>\n",
	      out);
	for (int i = 0; i < s->n_moves; i++)
		put_move_row(out, s, &s->moves[i]);
	fputs("</table></div>\n", out);
}

static void put_checks(FILE *out, const struct verdict *v)
{
	fputs("<h2>What was checked</h2>\n<table>\n", out);
	for (int i = 0; i < v->n_checks; i++) {
		const struct check *c = &v->checks[i];

		fprintf(out, "<tr><td class=%s>%s<td>%s<td>", c->passed ? "good" : "bad",
			c->passed ? "✓ ok" : "✗ failed", c->what);
		put_text(out, c->text);
		fputs("</tr>\n", out);
	}
	fputs("</table>\n", out);
}

static void put_network(FILE *out, const struct story *s)
{
	const struct scenario *c = s->scenario;
	char threshold[UNITS_TEXT_SIZE], hold[UNITS_TEXT_SIZE], margin[UNITS_TEXT_SIZE];
	char delay[UNITS_TEXT_SIZE], jitter[UNITS_TEXT_SIZE], rate[UNITS_TEXT_SIZE];
	char memory[UNITS_TEXT_SIZE], dirty[UNITS_TEXT_SIZE];
	char carried[UNITS_TEXT_SIZE], late[UNITS_TEXT_SIZE];

	fprintf(out,
		"<h2>Setting</h2>\n<p>The policy moves the VM when the RTT to its tower stays above %s "
		"for %s and another tower is better by %s. ",
		duration_format(c->policy.threshold_ns, threshold),
		duration_format(c->policy.hold_ns, hold),
		duration_format(c->policy.margin_ns, margin));
	fprintf(out, "Between two towers lie %s each way (jitter %s) at %s. ",
		duration_format(c->backhaul.delay_ns, delay),
		duration_format(c->backhaul.jitter_ns, jitter),
		c->backhaul.rate_bps ? rate_format(c->backhaul.rate_bps, rate) : "full speed");
	fprintf(out, "The guest has %s of memory and rewrites %s of it a second. ",
		size_format(c->guest.memory, memory), size_format(c->guest.dirty_rate, dirty));
	fprintf(out,
		"The link emulator carried %s in %" PRIu64 " frames, on average %s later than it "
		"should have; %" PRIu64 " frames were lost by chance, %" PRIu64
		" dropped by full queues.</p>\n",
		size_format(s->network.bytes, carried), s->network.frames,
		duration_format(s->network.late_mean_ns, late), s->network.lost,
		s->network.dropped);
}

/* ---- The page ------------------------------------------------------------------------ */

static const char style[] =
	":root{color-scheme:light dark;--back:#fff;--ink:#1b1f24;--soft:#57606a;--grid:#e4e7eb;"
	"--c0:#0969da;--c1:#bc4c00;--c2:#1a7f37;--c3:#8250df;--c4:#0e7490;--c5:#bf3989;--c6:#7d6608;"
	"--c7:#57606a;--echo:#8c959f;--move:#8250df;--bad:#cf222e;--good:#1a7f37}\n"
	"@media(prefers-color-scheme:dark){:root{--back:#0d1117;--ink:#e6edf3;--soft:#9198a1;"
	"--grid:#262c34;--c0:#4493f8;--c1:#f0883e;--c2:#3fb950;--c3:#ab7df8;--c4:#39c5cf;--c5:#f778ba;"
	"--c6:#d4a72c;--c7:#9198a1;--echo:#6e7681;--move:#ab7df8;--bad:#ff7b72;--good:#3fb950}}\n"
	"body{background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif;"
	"max-width:1100px;margin:2em auto;padding:0 1em}h1{font-size:1.6em;margin:0}"
	"h2{font-size:1.15em;margin:1.6em 0 .4em}svg{width:100%;height:auto;display:block}\n"
	".tower0{--c:var(--c0)}.tower1{--c:var(--c1)}.tower2{--c:var(--c2)}.tower3{--c:var(--c3)}"
	".tower4{--c:var(--c4)}.tower5{--c:var(--c5)}.tower6{--c:var(--c6)}.tower7{--c:var(--c7)}\n"
	"path{fill:none}.rtt{stroke:var(--c);stroke-width:2}path.echo{stroke:var(--echo);"
	"stroke-width:1.3}.way{stroke:var(--ink);stroke-width:1.5}.grid{stroke:var(--grid)}"
	".home{stroke:var(--c);stroke-dasharray:2 4}.threshold{stroke:var(--bad);stroke-dasharray:7 5;"
	"stroke-width:1.5}.strip{fill:var(--c)}rect.move{fill:var(--move);opacity:.16}"
	"rect.silence{fill:var(--bad)}\n"
	"text{fill:var(--soft);font-size:13px}.axis{font-size:14px}.movetext{fill:var(--move)}"
	".thresholdtext{fill:var(--bad)}\n"
	".legend span{margin-right:1.4em;white-space:nowrap}.swatch{display:inline-block;width:1.6em;"
	"height:.25em;margin-right:.4em;vertical-align:middle;background:var(--c)}"
	".swatch.echo{background:var(--echo)}.swatch.threshold{background:repeating-linear-gradient(90deg,"
	"var(--bad) 0 5px,transparent 5px 8px)}.swatch.move{background:var(--move);opacity:.3;height:1em}"
	".swatch.silence{background:var(--bad);width:.4em;height:1em}\n"
	".wide{overflow-x:auto}table{border-collapse:collapse}td,th{text-align:left;vertical-align:top;"
	"padding:.25em .8em .25em 0;border-bottom:1px solid var(--grid)}th{color:var(--soft);"
	"font-weight:500}.n{text-align:right;white-space:nowrap}.good{color:var(--good);white-space:nowrap}"
	".bad{color:var(--bad);white-space:nowrap}.sub{color:var(--soft);margin-top:0}\n";

static void put_page(const struct plot *p, const struct verdict *v)
{
	const struct scenario *c = p->s->scenario;

	fprintf(p->out,
		"<!DOCTYPE html>\n<html lang=en><meta charset=utf-8>"
		"<meta name=viewport content='width=device-width'>"
		"<title>tagalong: %s</title>\n<style>\n%s</style>\n<h1>The VM follows the phone</h1>\n"
		"<p class=sub>Scenario <b>%s</b>: %s walks, its VM <b>%s</b> moves after it. "
		"<b class=%s>%s</b></p>\n",
		c->name, style, c->name, c->phone.name, c->guest.name, v->passed ? "good" : "bad",
		v->passed ? "All checks passed." : "Some checks failed.");
	draw_legend(p);
	draw_chart(p);
	put_moves(p->out, p->s);
	put_checks(p->out, v);
	put_network(p->out, p->s);
}

int page_write(const char *path, const struct story *s, const struct verdict *v,
	       struct mg_error *err)
{
	struct plot p = { .out = fopen(path, "we"), .s = s };
	int r = 0;

	if (!p.out)
		return mg_error_set(err, -errno, "%s: %s", path, strerror(errno));
	choose_scales(&p);
	put_page(&p, v);
	if (ferror(p.out))
		r = -EIO;
	if (fclose(p.out) < 0)
		r = -errno;
	return r < 0 ? mg_error_set(err, r, "%s: %s", path, strerror(-r)) : 0;
}
