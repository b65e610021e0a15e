/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/testbed/timeline.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

#define BAR_WIDTH 24

static const char *const tones[] = {
	[TONE_PLAIN] = "",          [TONE_QUIET] = "\033[2m",   [TONE_NETWORK] = "\033[36m",
	[TONE_WARNING] = "\033[33m", [TONE_MOVE] = "\033[1;35m", [TONE_GOOD] = "\033[32m",
	[TONE_BAD] = "\033[1;31m",
};

void timeline_init(struct timeline *t, FILE *out, const struct scenario *s)
{
	const char *term = getenv("TERM");

	*t = (struct timeline){
		.out = out,
		.scenario = s,
		.colours = isatty(fileno(out)) && !getenv("NO_COLOR") &&
			   !(term && strcmp(term, "dumb") == 0),
		.header_due = true,
	};
}

static void begin(struct timeline *t, enum timeline_tone tone)
{
	if (t->colours)
		fputs(tones[tone], t->out);
}

static void end(struct timeline *t, enum timeline_tone tone)
{
	if (t->colours && tone != TONE_PLAIN)
		fputs("\033[0m", t->out);
	fputc('\n', t->out);
	fflush(t->out);
}

void timeline_say(struct timeline *t, enum timeline_tone tone, const char *fmt, ...)
{
	va_list args;

	begin(t, tone);
	va_start(args, fmt);
	vfprintf(t->out, fmt, args);
	va_end(args);
	end(t, tone);
}

void timeline_event(struct timeline *t, uint64_t t_ns, enum timeline_tone tone, const char *fmt,
		    ...)
{
	va_list args;

	begin(t, tone);
	fprintf(t->out, "%6.1fs  ", (double)t_ns / 1e9);
	va_start(args, fmt);
	vfprintf(t->out, fmt, args);
	va_end(args);
	end(t, tone);
}

static void header(struct timeline *t)
{
	begin(t, TONE_QUIET);
	fprintf(t->out, "%7s  %-*s", "time", BAR_WIDTH + 2, "phone");
	for (int i = 0; i < t->scenario->n_towers; i++)
		fprintf(t->out, " %12.12s", t->scenario->towers[i].name);
	fprintf(t->out, " %12s  %s", "VM's echo", "VM at");
	end(t, TONE_QUIET);
	t->header_due = false;
}

/* Where x lies between the outermost towers, as a column of the bar. */
static int column(const struct scenario *s, double x)
{
	double low = s->towers[0].at.x, high = low;

	for (int i = 1; i < s->n_towers; i++) {
		low = fmin(low, s->towers[i].at.x);
		high = fmax(high, s->towers[i].at.x);
	}
	if (high <= low)
		return 0;
	x = (x - low) / (high - low);
	return (int)lround(fmax(0, fmin(1, x)) * (BAR_WIDTH - 1));
}

/* A map on one line: each tower's initial, in capitals the one that the phone
 * is attached to, and the phone as an 'o'. */
static void bar(const struct timeline *t, const struct story_sample *p, char ret[BAR_WIDTH + 1])
{
	const struct scenario *s = t->scenario;

	memset(ret, '-', BAR_WIDTH);
	ret[BAR_WIDTH] = '\0';
	for (int i = 0; i < s->n_towers; i++)
		ret[column(s, s->towers[i].at.x)] = (char)((i == p->attached ? 'A' : 'a') + i);
	ret[column(s, p->at.x)] = 'o';
}

static void cell(struct timeline *t, uint64_t rtt_ns, bool matters)
{
	bool above = matters && rtt_ns > t->scenario->policy.threshold_ns;

	if (rtt_ns == 0) {
		fprintf(t->out, " %12s", "-");
		return;
	}
	if (above)
		begin(t, TONE_WARNING);
	fprintf(t->out, " %8.1f ms%c", (double)rtt_ns / 1e6, above ? '!' : ' ');
	if (above && t->colours)
		fputs("\033[0m", t->out);
}

void timeline_row(struct timeline *t, const struct story_sample *p)
{
	char map[BAR_WIDTH + 1];

	if (t->header_due)
		header(t);
	bar(t, p, map);
	fprintf(t->out, "%6.1fs  %s  ", (double)p->t_ns / 1e9, map);
	for (int i = 0; i < t->scenario->n_towers; i++)
		cell(t, p->tower_rtt_ns[i], i == p->vm);
	cell(t, p->guest_rtt_ns, false);
	fprintf(t->out, "  %s\n", p->vm < 0 ? "-" : t->scenario->towers[p->vm].name);
	fflush(t->out);
}

void timeline_verdict(struct timeline *t, const struct verdict *v)
{
	for (int i = 0; i < v->n_checks; i++)
		timeline_say(t, v->checks[i].passed ? TONE_GOOD : TONE_BAD, "%-5s %s: %s",
			     v->checks[i].passed ? "ok" : "FAIL", v->checks[i].what,
			     v->checks[i].text);
}
