/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <math.h>
#include <string.h>

#include "common/units.h"
#include "sim/commands.h"
#include "sim/trace/reader.h"
#include "sim/world/handovers.h"

static const char help[] =
	"usage: edgesim handovers --towers TOWERS [OPTION]... TRACE\n\n"
	"Prints when the devices of a recorded trace change towers, as CSV.\n\n"
	"  -t, --towers TOWERS   grid:COLUMNSxROWS:SPACING, hex:RINGS:SPACING, csv:FILE,\n"
	"                        cells:FILE or opencellid:FILE\n"
	"  -f, --format NAME     of TRACE (csv); 'list' shows all\n"
	"  -r, --range METRES    the nearest tower takes over at this distance, instead of by\n"
	"                        event A3\n"
	"  -H, --hysteresis DB   of event A3 (3)\n"
	"  -T, --time-to-trigger DURATION\n"
	"                        of event A3 (320ms)\n"
	"  -D, --delay DURATION  from the look around to the handover (0s)\n"
	"  -h, --help            this text\n";

struct options {
	const char *towers, *format;
	struct attachment_parameters attachment;
	uint64_t delay_ns;
};

static int list_formats(void)
{
	for (size_t i = 0; i < n_trace_readers; i++)
		printf("%-12s %s\n", trace_readers[i].name, trace_readers[i].what);
	return command_finish();
}

static void print(const struct handover *h, void *userdata)
{
	(void)userdata;
	printf("%s,%.3f,%.3f,%.3f,%u,%u\n", h->device, (double)h->t_ns / 1e9, h->at.x, h->at.y,
	       h->from, h->to);
}

static int handovers(const struct options *o, const char *path)
{
	const struct trace_reader *reader = trace_reader_find(o->format);
	_cleanup_(towers_clear) struct towers towers = { 0 };
	_cleanup_(trace_clear) struct trace trace = { 0 };
	const struct reader_options options = { 0 };
	struct mg_error err = { 0 };

	if (!reader)
		return command_usage("no format '%s' of traces", o->format);
	if (towers_make(o->towers, NULL, &towers, &err) < 0)
		return command_fail(&err);
	trace.projection = towers.projection;
	if (trace_load(reader, path, &options, &trace, &err) < 0)
		return command_fail(&err);
	puts("device,time_s,x_m,y_m,from,to");
	handovers_find(&trace, &towers, &o->attachment, o->delay_ns, print, NULL);
	return command_finish();
}

static bool number_parse(const char *text, double *ret)
{
	char *end;

	*ret = strtod(text, &end);
	return end != text && *end == '\0' && isfinite(*ret) && *ret >= 0;
}

/* False: `text` is no value of the option. */
static bool take_option(struct options *o, int c, const char *text)
{
	struct attachment_parameters *a = &o->attachment;

	switch (c) {
	case 't':
		o->towers = text;
		return true;
	case 'f':
		o->format = text;
		return true;
	case 'r':
		a->rule = ATTACHMENT_RANGE;
		return number_parse(text, &a->range_m);
	case 'H':
		return number_parse(text, &a->hysteresis_db);
	case 'T':
		return duration_parse(text, &a->time_to_trigger_ns) == 0;
	default:
		return duration_parse(text, &o->delay_ns) == 0;
	}
}

int command_handovers(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "delay", required_argument, NULL, 'D' },
		{ "format", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ "hysteresis", required_argument, NULL, 'H' },
		{ "range", required_argument, NULL, 'r' },
		{ "time-to-trigger", required_argument, NULL, 'T' },
		{ "towers", required_argument, NULL, 't' },
		{ 0 },
	};
	struct options o = {
		.format = "csv",
		.attachment = { .hysteresis_db = 3, .time_to_trigger_ns = 320000000 },
	};
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "D:f:hH:r:T:t:", longopts, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return command_finish();
		}
		if (c == '?')
			return EXIT_USAGE;
		if (!take_option(&o, c, optarg))
			return command_usage("'%s' is no value of -%c", optarg, c);
	}
	if (strcmp(o.format, "list") == 0 && optind == argc)
		return list_formats();
	if (optind + 1 != argc || !o.towers)
		return command_usage("'handovers' takes --towers and one TRACE");
	return handovers(&o, argv[optind]);
}
