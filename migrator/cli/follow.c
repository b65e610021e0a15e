/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/cli/follow.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/clock.h"
#include "common/move_state.h"
#include "common/units.h"
#include "migrator/cli/output.h"
#include "migrator/cli/view.h"

#define SILENCE_NS NS_PER_S            /* then ask */
#define LINE_INTERVAL_NS NS_PER_S      /* between lines, where there is no terminal */
#define CONTACT_PATIENCE_NS (30 * NS_PER_S)
#define DOUBT_PATIENCE_NS (10 * NS_PER_S)
#define BAR_MIN 10
#define BAR_MAX 40

struct follower {
	const struct cli *cli;
	struct session *session;
	struct uuid move;
	json_t *last;   /* what is known, as document_move() has it */
	MoveState state;
	bool ended;     /* by MoveResult, or found in a final state */
	bool terminal;
	bool unknown;   /* the server has forgotten the move */
	uint64_t heard_ns, line_ns, doubt_ns;
};

/* ---- Showing ------------------------------------------------------------------- */

static uint64_t number(const json_t *move, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(move, key));
}

/* How much of what there is to send has gone; 0 to 1. */
static double share_done(const json_t *move)
{
	double gone = (double)(number(move, "guest_bytes") + number(move, "disk_bytes"));
	double left = (double)(number(move, "remaining_bytes") +
			       number(move, "disk_remaining_bytes"));

	return gone + left > 0 ? gone / (gone + left) : 0;
}

/* "round 2, 98.1 MiB sent, 12 MiB to go, 180 Mbit/s, 1.2 s left, then 24 ms of blackout" */
static void describe(const json_t *move, char *text, size_t size)
{
	static const struct {
		const char *format;
		struct column column;
	} parts[] = {
		{ "round %s", { "", "round", COLUMN_COUNT } },
		{ "%s sent", { "", "wire_bytes", COLUMN_SIZE } },
		{ "%s to go", { "", "remaining_bytes", COLUMN_SIZE } },
		{ "%s of disks to go", { "", "disk_remaining_bytes", COLUMN_SIZE } },
		{ "%s", { "", "link_bytes_per_s", COLUMN_BYTE_RATE } },
		{ "%s left", { "", "left_ns", COLUMN_DURATION } },
		{ "then %s of blackout", { "", "blackout_expected_ns", COLUMN_DURATION } },
		{ "%s", { "", "warning", COLUMN_TEXT } },
		{ "throttled by %s %", { "", "throttle_percent", COLUMN_COUNT } },
		{ "attempt %s", { "", "attempt", COLUMN_COUNT } },
	};
	size_t used = 0;

	text[0] = '\0';
	if (json_is_true(json_object_get(move, "link_down")))
		used = (size_t)snprintf(text, size, "the link is lost, waiting for it");
	for (size_t i = 0; i < ARRAY_SIZE(parts) && used < size; i++) {
		const char *mark = strstr(parts[i].format, "%s");
		char value[64];

		if (!json_object_get(move, parts[i].column.key))
			continue;
		output_value(move, &parts[i].column, value, sizeof(value));
		used += (size_t)snprintf(text + used, size - used, "%s%.*s%s%s", used ? ", " : "",
					 (int)(mark - parts[i].format), parts[i].format, value,
					 mark + 2);
	}
}

static int terminal_width(void)
{
	struct winsize w;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
}

static void show_bar(const struct follower *f)
{
	char bar[BAR_MAX + 1], text[256];
	double share = share_done(f->last);
	int total = terminal_width() - 1, width, full;

	describe(f->last, text, sizeof(text));
	width = total - (int)strlen(text) - 22; /* state, brackets, percentage */
	width = width > BAR_MAX ? BAR_MAX : (width < BAR_MIN ? BAR_MIN : width);
	full = (int)(share * width);
	memset(bar, ' ', sizeof(bar));
	memset(bar, '=', (size_t)full);
	if (full < width)
		bar[full] = '>';
	bar[width] = '\0';
	printf("\r\033[K%-9s [%s] %3d %%  %.*s", move_state_name(f->state), bar, (int)(share * 100),
	       total > width + 22 ? total - width - 22 : 0, text);
	fflush(stdout);
}

static void show_line(struct follower *f, MoveState before)
{
	uint64_t now = clock_mono_ns();
	char text[256];

	if (f->state == before && now - f->line_ns < LINE_INTERVAL_NS)
		return;
	f->line_ns = now;
	describe(f->last, text, sizeof(text));
	printf("%s%s%s\n", move_state_name(f->state), text[0] ? ": " : "", text);
	fflush(stdout);
}

static void show_json(const struct follower *f)
{
	json_t *event = json_pack("{s:s}", "event", f->ended ? "result" : "progress");

	json_object_update(event, f->last);
	output_json(stdout, event, true);
	json_decref(event);
}

static void bar_clear(const struct follower *f)
{
	if (f->terminal) {
		printf("\r\033[K");
		fflush(stdout);
	}
}

/* ---- Hearing --------------------------------------------------------------------- */

static void learn(struct follower *f, const Tagalong__MoveInfo *info, bool final)
{
	MoveState before = f->state;

	if (f->ended || memcmp(info->move.data, f->move.bytes, UUID_SIZE) != 0)
		return;
	f->heard_ns = clock_mono_ns();
	json_decref(f->last);
	f->last = document_move(info);
	f->state = info->state;
	f->ended = final || move_state_is_final(info->state);
	if (f->state != TAGALONG__MOVE_STATE__MOVE_IN_DOUBT)
		f->doubt_ns = f->heard_ns;
	if (f->cli->options.json)
		show_json(f);
	else if (f->ended)
		bar_clear(f);
	else if (f->terminal)
		show_bar(f);
	else
		show_line(f, before);
}

static void on_event(const Envelope *e, void *userdata)
{
	struct follower *f = userdata;

	if (e->body_case == TAGALONG__ENVELOPE__BODY_MOVE_PROGRESS)
		learn(f, e->move_progress->info, false);
	if (e->body_case == TAGALONG__ENVELOPE__BODY_MOVE_RESULT) {
		learn(f, e->move_result->info, true);
		client_answer_done(f->session->client, e);
	}
}

static enum cli_exit ask(struct follower *f, struct mg_error *err)
{
	_cleanup_envelope_ Envelope *answer = NULL;
	Tagalong__MoveQuery query = TAGALONG__MOVE_QUERY__INIT;
	Envelope request = TAGALONG__ENVELOPE__INIT;
	enum cli_exit code;

	query.has_move = true;
	query.move = (ProtobufCBinaryData){ .len = UUID_SIZE, .data = f->move.bytes };
	request.body_case = TAGALONG__ENVELOPE__BODY_MOVE_QUERY;
	request.move_query = &query;
	code = client_call(f->session->client, REQUEST_ONCE, &request,
			   TAGALONG__ENVELOPE__BODY_MOVE_LIST, SILENCE_NS, &answer, err);
	if (code != CLI_OK)
		return code;
	f->unknown = answer->move_list->n_moves == 0;
	for (size_t i = 0; i < answer->move_list->n_moves; i++)
		learn(f, answer->move_list->moves[i], false);
	return CLI_OK;
}

/* ---- The whole ------------------------------------------------------------------- */

enum cli_exit follower_new(const struct cli *cli, struct session *s, const struct uuid *move,
			   struct follower **ret, struct mg_error *err)
{
	_cleanup_(follower_free_p) struct follower *f = calloc(1, sizeof(*f));

	if (!f)
		return cli_fail(err, CLI_FAILED, "out of memory");
	*f = (struct follower){ .cli = cli, .session = s, .move = *move, .last = json_object() };
	f->heard_ns = f->doubt_ns = clock_mono_ns();
	f->terminal = !cli->options.json && isatty(STDOUT_FILENO);
	client_on_event(s->client, on_event, f);
	*ret = TAKE_PTR(f);
	return client_catch_signals(s->client, err);
}

void follower_free(struct follower *f)
{
	if (!f)
		return;
	client_on_event(f->session->client, NULL, NULL);
	json_decref(f->last);
	free(f);
}

static const char *text_of(const struct follower *f, const char *key)
{
	const char *text = json_string_value(json_object_get(f->last, key));

	return text ? text : "?";
}

static enum cli_exit report_done(const struct follower *f)
{
	if (f->cli->options.json)
		return CLI_OK;
	printf("moved %s from %s to %s\n", text_of(f, "vm"), text_of(f, "source"),
	       text_of(f, "target"));
	output_fields(stdout, f->last, view_move_fields);
	return CLI_OK;
}

static enum cli_exit report_end(const struct follower *f, struct mg_error *err)
{
	const json_t *failure = json_object_get(f->last, "failure");
	const char *why = failure ? json_string_value(failure) : "no reason was given";
	const char *id = text_of(f, "move");

	if (json_is_true(json_object_get(f->last, "lost")))
		return cli_fail(err, CLI_LOST, "%s", why);
	switch (f->state) {
	case TAGALONG__MOVE_STATE__MOVE_DONE:
		return report_done(f);
	case TAGALONG__MOVE_STATE__MOVE_ABORTED:
	case TAGALONG__MOVE_STATE__MOVE_REVOKED:
		return cli_fail(err, CLI_ABORTED, "the move was aborted, %s stays on %s: %s",
				text_of(f, "vm"), text_of(f, "source"), why);
	default:
		return cli_fail(err, CLI_IN_DOUBT, "the move is in doubt: %s; it settles itself once "
				"the nodes meet again; if one is gone for good, or both copies "
				"have run: 'migrator resolve %.8s'", why, id);
	}
}

static enum cli_exit report_dry_run(const struct follower *f, struct mg_error *err)
{
	const json_t *failure = json_object_get(f->last, "failure");

	if (failure)
		return cli_fail(err, CLI_FAILED, "it would be refused: %s",
				json_string_value(failure));
	if (!f->cli->options.json) {
		printf("nothing blocks the move of %s to %s\n", f->cli->operands[0],
		       f->cli->operands[1]);
		output_fields(stdout, f->last, view_forecast_fields);
	}
	return CLI_OK;
}

static enum cli_exit report_warm(const struct follower *f, struct mg_error *err)
{
	const json_t *failure = json_object_get(f->last, "failure");

	if (failure)
		return cli_fail(err, CLI_FAILED, "%s was not sent ahead: %s", f->cli->operands[0],
				json_string_value(failure));
	if (!f->cli->options.json)
		printf("%s has most of %s now\n", text_of(f, "target"), text_of(f, "vm"));
	return CLI_OK;
}

/* Nothing was heard for a while. Returns CLI_OK to go on. */
static enum cli_exit after_silence(struct follower *f, struct mg_error *err)
{
	enum cli_exit code = ask(f, err);

	if (code == CLI_OK && f->unknown)
		return cli_fail(err, CLI_ABORTED, "%s knows nothing of the move any more: it was "
				"restarted before the move began; the VM stays where it is",
				client_server(f->session->client));
	if (code != CLI_UNREACHABLE)
		return code;
	if (clock_mono_ns() - f->heard_ns < CONTACT_PATIENCE_NS)
		return CLI_OK;
	mg_error_prefix(err, "the move may go on, unwatched");
	return CLI_UNREACHABLE;
}

enum cli_exit follower_run(struct follower *f, struct mg_error *err)
{
	while (!f->ended) {
		uint64_t now = clock_mono_ns();
		enum cli_exit code = CLI_OK;

		if (now - f->doubt_ns > DOUBT_PATIENCE_NS &&
		    f->state == TAGALONG__MOVE_STATE__MOVE_IN_DOUBT)
			break;
		if (now - f->heard_ns >= SILENCE_NS)
			code = after_silence(f, err);
		else if (!client_wait(f->session->client, SILENCE_NS - (now - f->heard_ns)))
			code = CLI_DETACHED;
		if (code != CLI_OK) {
			bar_clear(f);
			return code;
		}
	}
	bar_clear(f);
	if (f->cli->options.dry_run)
		return report_dry_run(f, err);
	return f->cli->options.warm ? report_warm(f, err) : report_end(f, err);
}
