/* SPDX-License-Identifier: Apache-2.0
 *
 * Round-trip times as placementd knows them: once, or live where there is a terminal.
 */
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "migrator/cli/commands.h"
#include "migrator/cli/output.h"
#include "migrator/cli/sparkline.h"
#include "migrator/cli/view.h"

#define PAUSE_NS (500 * NS_PER_MS)
#define TRAILS_MAX 64 /* nodes of a client whose times are drawn */

static const struct column client_columns[] = {
	{ "FROM", "node", COLUMN_TEXT },
	{ "LAST", "last_ns", COLUMN_DURATION },
	{ "SMOOTHED", "srtt_ns", COLUMN_DURATION },
	{ "MINIMUM", "min_ns", COLUMN_DURATION },
	{ "P50", "p50_ns", COLUMN_DURATION },
	{ "P95", "p95_ns", COLUMN_DURATION },
	{ "P99", "p99_ns", COLUMN_DURATION },
	{ "P99.9", "p999_ns", COLUMN_DURATION },
	{ "LOST", "lost", COLUMN_COUNT },
	{ "CONFIDENCE", "confidence", COLUMN_COUNT },
	{ "TREND", "trend", COLUMN_TEXT },
	{ NULL },
};

static const struct column top_columns[] = {
	{ "DEVICE", "device", COLUMN_TEXT },
	{ "VM", "vm", COLUMN_TEXT },
	{ "FROM", "node", COLUMN_TEXT },
	{ "AT", "device_node", COLUMN_TEXT },
	{ "ASLEEP", "asleep", COLUMN_FLAG },
	{ "SMOOTHED", "srtt_ns", COLUMN_DURATION },
	{ "P50", "p50_ns", COLUMN_DURATION },
	{ "P99", "p99_ns", COLUMN_DURATION },
	{ "LOST", "lost", COLUMN_COUNT },
	{ "CONFIDENCE", "confidence", COLUMN_COUNT },
	{ NULL },
};

/* What was seen of one node's round-trip time while we looked. */
struct trail {
	char node[64];
	int64_t last_utc_ns; /* of the newest sample drawn */
	struct sparkline line;
};

struct watcher {
	const struct cli *cli;
	struct session session;
	bool utf8;
	struct trail trails[TRAILS_MAX];
	size_t n_trails;
};

static enum cli_exit ask_pairs(struct watcher *w, json_t **ret, struct mg_error *err)
{
	_cleanup_envelope_ Envelope *answer = NULL;
	Tagalong__PairQuery query = TAGALONG__PAIR_QUERY__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	enum cli_exit code;

	request.body_case = TAGALONG__ENVELOPE__BODY_PAIR_QUERY;
	request.pair_query = &query;
	if (!w->cli->options.top)
		query.device = (char *)w->cli->operands[0];
	code = client_call(w->session.client, REQUEST_REPEATABLE, &request,
			   TAGALONG__ENVELOPE__BODY_PAIR_LIST, cli_timeout(w->cli, CLI_TIMEOUT_NS),
			   &answer, err);
	if (code == CLI_OK)
		*ret = document_pair_list(answer->pair_list);
	return code;
}

/* ---- One client ---------------------------------------------------------------------- */

static struct trail *trail_of(struct watcher *w, const char *node)
{
	for (size_t i = 0; i < w->n_trails; i++)
		if (strcmp(w->trails[i].node, node) == 0)
			return &w->trails[i];
	if (w->n_trails == TRAILS_MAX)
		return NULL;
	snprintf(w->trails[w->n_trails].node, sizeof(w->trails[0].node), "%s", node);
	return &w->trails[w->n_trails++];
}

/* Without a new sample there is a gap. */
static void draw_trend(struct watcher *w, json_t *rtt)
{
	struct trail *t = trail_of(w, json_string_value(json_object_get(rtt, "node")));
	int64_t utc = json_integer_value(json_object_get(rtt, "last_sample_utc_ns"));
	json_int_t last = json_integer_value(json_object_get(rtt, "last_ns"));
	char text[SPARKLINE_TEXT_SIZE];

	if (!t)
		return;
	sparkline_add(&t->line, utc != t->last_utc_ns ? (uint64_t)last : 0);
	t->last_utc_ns = utc;
	sparkline_format(&t->line, w->utf8, text);
	json_object_set_new(rtt, "trend", json_string(text));
}

static void print_client(struct watcher *w, const json_t *client)
{
	json_t *rtts = json_object_get(client, "rtts"), *rtt;
	const char *at = json_string_value(json_object_get(client, "device_node"));
	size_t i;

	json_array_foreach(rtts, i, rtt) draw_trend(w, rtt);
	printf("%s is %s%s\n\n", json_string_value(json_object_get(client, "device")),
	       at ? "at " : "nowhere", at ? at : "");
	if (json_is_true(json_object_get(client, "asleep")))
		printf("It sleeps and is not measured.\n\n");
	output_table(stdout, rtts, client_columns, "it was not measured yet");
}

/* A device has the same times in all its pairs. */
static enum cli_exit find_client(struct watcher *w, const json_t *pairs, json_t **ret,
				 struct mg_error *err)
{
	static const char *const own[] = { "vm", "foreground", "follows", "vm_node", "rtt_ns" };
	const char *name = w->cli->operands[0];
	json_t *pair;
	size_t i;

	json_array_foreach(pairs, i, pair)
	{
		if (strcmp(json_string_value(json_object_get(pair, "device")), name) != 0)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(own); k++)
			json_object_del(pair, own[k]);
		*ret = json_incref(pair);
		return CLI_OK;
	}
	return cli_fail(err, CLI_FAILED,
			"no device '%.64s' is paired; 'migrator pair list' shows "
			"those that are",
			name);
}

/* ---- All clients ---------------------------------------------------------------------- */

static json_int_t srtt_of(const json_t *row)
{
	return json_integer_value(json_object_get(row, "srtt_ns"));
}

static int by_srtt_longest_first(const void *a, const void *b)
{
	json_int_t x = srtt_of(*(json_t *const *)a), y = srtt_of(*(json_t *const *)b);

	return (x < y) - (x > y);
}

/* The device's time to where its VM is, as a row; NULL: there is none. */
static json_t *row_of(json_t *pair)
{
	const char *vm_node = json_string_value(json_object_get(pair, "vm_node"));
	json_t *rtt, *row = NULL;
	size_t i;

	if (!vm_node || !json_is_true(json_object_get(pair, "foreground")))
		return NULL;
	json_array_foreach(json_object_get(pair, "rtts"), i,
			   rtt) if (strcmp(json_string_value(json_object_get(rtt, "node")),
					   vm_node) == 0) row = json_copy(rtt);
	if (!row)
		return NULL;
	json_object_set(row, "device", json_object_get(pair, "device"));
	json_object_set(row, "vm", json_object_get(pair, "vm"));
	json_object_set(row, "asleep", json_object_get(pair, "asleep"));
	if (json_object_get(pair, "device_node"))
		json_object_set(row, "device_node", json_object_get(pair, "device_node"));
	return row;
}

/* {"clients": [...]}, those that are served worst first. */
static json_t *top_of(const json_t *pairs)
{
	json_t **rows = calloc(json_array_size(pairs) + 1, sizeof(json_t *));
	json_t *list = json_array(), *pair;
	size_t i, n = 0;

	json_array_foreach(pairs, i, pair) if (rows && (rows[n] = row_of(pair))) n++;
	if (n)
		qsort(rows, n, sizeof(json_t *), by_srtt_longest_first);
	for (i = 0; i < n; i++)
		json_array_append_new(list, rows[i]);
	free(rows);
	return json_pack("{s:o}", "clients", list);
}

/* As many as the terminal has lines for. */
static void print_top(const json_t *top, bool live)
{
	json_t *rows = json_object_get(top, "clients");
	struct winsize size;

	if (live && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 3)
		while (json_array_size(rows) > size.ws_row - 3u)
			json_array_remove(rows, json_array_size(rows) - 1);
	output_table(stdout, rows, top_columns, "nobody was measured yet");
}

/* ---- Showing --------------------------------------------------------------------------- */

static enum cli_exit show(struct watcher *w, bool live, struct mg_error *err)
{
	json_t *list = NULL, *document = NULL;
	enum cli_exit code = ask_pairs(w, &list, err);

	if (code == CLI_OK && w->cli->options.top)
		document = top_of(json_object_get(list, "pairs"));
	else if (code == CLI_OK)
		code = find_client(w, json_object_get(list, "pairs"), &document, err);
	json_decref(list);
	if (code != CLI_OK)
		return code;
	if (live)
		printf("\033[H\033[J");
	if (w->cli->options.json)
		output_json(stdout, document, false);
	else if (w->cli->options.top)
		print_top(document, live);
	else
		print_client(w, document);
	fflush(stdout);
	json_decref(document);
	return CLI_OK;
}

enum cli_exit cmd_rtt(const struct cli *cli, struct mg_error *err)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	bool live = !cli->options.json && isatty(STDOUT_FILENO);
	struct watcher w = { .cli = cli };
	enum cli_exit code = session_open(cli, &w.session, err);

	setlocale(LC_CTYPE, "");
	w.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	if (code == CLI_OK)
		code = show(&w, live, err);
	/* Until ^C. */
	while (code == CLI_OK && live) {
		nanosleep(&pause, NULL);
		code = show(&w, live, err);
	}
	session_close(&w.session);
	return code;
}
