/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/cli/options.h"

#include <getopt.h>
#include <stddef.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/units.h"
#include "migrator/link.h"

enum option_kind { KIND_FLAG, KIND_TEXT, KIND_COUNT, KIND_DURATION, KIND_RATE };

#define ALWAYS 0 /* of every command */
#define FIRST_VALUE 256 /* getopt's codes of options without a letter */
#define MOVES_MAX 1000  /* in one answer, a node's and a controller's */
#define DAYS_MAX 36500

static const struct option_row {
	uint64_t bit;
	const char *name;
	char letter; /* or 0 */
	const char *argument;
	enum option_kind kind;
	size_t offset;
	const char *help;
	uint64_t most;   /* of a count; 0: any */
	bool needs_node; /* it is between us and a migratord: there is nothing like it in a controller */
} rows[] = {
#define ROW(bit, name, letter, argument, kind, member, help) \
	{ bit, name, letter, argument, kind, offsetof(struct options, member), help, 0, false }
#define ROW_TO(last, bit, name, member, help) \
	{ bit, name, 0, "N", KIND_COUNT, offsetof(struct options, member), help, last, false }
#define ROW_OF_NODE(bit, name, member, help) \
	{ bit, name, 0, NULL, KIND_FLAG, offsetof(struct options, member), help, 0, true }
	ROW(OPTION_BLACKOUT, "blackout", 0, "DURATION", KIND_DURATION, blackout_ns,
	    "the silence that the move promises (default: 20ms)"),
	ROW(OPTION_BLACKOUT_MAX, "blackout-max", 0, "DURATION", KIND_DURATION, blackout_max_ns,
	    "a longer one is undone (default: 2s, or the promise; see --if-not-converging)"),
	ROW(OPTION_BANDWIDTH, "bandwidth", 0, "RATE", KIND_RATE, bandwidth_bps,
	    "cap for the pages, such as 200Mbit (default: none)"),
	ROW_TO(LINK_LANES_MAX, OPTION_CONNECTIONS, "connections", connections,
	    "data connections side by side (default: the source's data_connections)"),
	ROW(OPTION_MOVE_TIMEOUT, "timeout", 0, "DURATION", KIND_DURATION, move_timeout_ns,
	    "give the move up after so long (default: 10m)"),
	ROW(OPTION_PATIENCE, "patience", 0, "DURATION", KIND_DURATION, patience_ns,
	    "how long a lost data connection may be away before it is given up (default: 60s)"),
	ROW(OPTION_CONVERGENCE, "if-not-converging", 0, "HOW", KIND_TEXT, if_not_converging,
	    "the guest writes too fast: longer (a blackout), wait, give-up, throttle, post-copy (default: longer)"),
	ROW(OPTION_CONVERGENCE, "stall-timeout", 0, "DURATION", KIND_DURATION, stall_timeout_ns,
	    "give the move up when for so long there was not less to go (default: never)"),
	ROW(OPTION_CONVERGENCE, "attempts", 0, "N", KIND_COUNT, attempts,
	    "how often in all, when a stop has to be undone (default: 3)"),
	ROW(OPTION_PRIORITY, "priority", 0, "LEVEL", KIND_TEXT, priority,
	    "before other moves or after them: high, normal, low (default: normal)"),
	ROW(OPTION_FORCE, "force", 'f', NULL, KIND_FLAG, force,
	    "also when a controller has charge of the VM, and past checks that may be forced"),
	ROW_OF_NODE(OPTION_COPY_BASES, "copy-bases", copy_bases,
	    "of disks whose base TARGET lacks: send that along"),
	ROW(OPTION_DRY_RUN, "dry-run", 'n', NULL, KIND_FLAG, dry_run,
	    "check both sides, say what would block it or how long it would take; move nothing"),
	ROW(OPTION_DRY_PLAN, "dry-run", 'n', NULL, KIND_FLAG, dry_run,
	    "say what would be done; change nothing"),
	ROW(OPTION_DETACH, "detach", 'd', NULL, KIND_FLAG, detach,
	    "return once the order is accepted"),
	ROW(OPTION_VERDICT, "run-here", 0, NULL, KIND_FLAG, run_here,
	    "the VM shall run on this node: the other copy is gone for good"),
	ROW(OPTION_VERDICT, "discard", 0, NULL, KIND_FLAG, discard,
	    "drop this node's copy: the VM runs on the other node"),
	ROW(OPTION_YES, "yes", 'y', NULL, KIND_FLAG, yes, "do not ask"),
	ROW(OPTION_ON, "on", 0, "NODE", KIND_TEXT, on,
	    "the node that carries it out (through placementd)"),
	ROW(OPTION_ID, "id", 0, "UUID", KIND_TEXT, id, "the device's identity"),
	ROW(OPTION_BACKGROUND, "background", 0, NULL, KIND_FLAG, background,
	    "a background VM of the device: it stays where it is"),
	ROW(OPTION_FOLLOW, "follow", 0, NULL, KIND_FLAG, follow,
	    "with --background: it goes where the foreground VM has settled"),
	ROW(OPTION_APART, "apart", 0, NULL, KIND_FLAG, apart,
	    "each VM of the group on a node of its own"),
	ROW(OPTION_VM, "vm", 0, "VM", KIND_TEXT, vm, "only moves of this VM"),
	ROW(OPTION_OF_VM, "vm", 0, "VM", KIND_TEXT, vm, "make it of the memory of this VM, which goes on running"),
	ROW(OPTION_FROM, "from", 0, "NODE", KIND_TEXT, from, "fetch it from this node"),
	ROW(OPTION_QMP, "qmp", 0, "SOCKET", KIND_TEXT, qmp,
	    "the socket of QEMU's monitor, on the node"),
	ROW(OPTION_INCOMING, "incoming", 0, "ADDRESS", KIND_TEXT, incoming,
	    "of its -incoming: unix:PATH or tcp:ADDRESS:PORT (default: it has -incoming defer)"),
	ROW(OPTION_TOP, "top", 0, NULL, KIND_FLAG, top,
	    "all clients, those that are served worst first; stands for CLIENT"),
	ROW_TO(MOVES_MAX, OPTION_LIMIT, "limit", limit, "only the newest N"),
	ROW(OPTION_TO, "to", 0, "FILE", KIND_TEXT, to, "the file that the line is added to"),
	ROW_TO(DAYS_MAX, OPTION_DAYS, "days", days, "it is good for so long (default: for ever)"),
	ROW(OPTION_NODE, "node", 0, "NODE", KIND_TEXT, node,
	    "speak to this migratord (a name of nodes: or an endpoint), not to placementd"),
	ROW(OPTION_TIMEOUT, "timeout", 0, "DURATION", KIND_DURATION, timeout_ns,
	    "how long to wait for an answer (default: 5s; vm start, stop, adopt, resolve: 30s; image add: 10min)"),
	ROW(OPTION_CONFIG, "config", 'c', "FILE", KIND_TEXT, config,
	    "configuration (default: $TAGALONG_CONFIG, ~/.config/tagalong/migrator.yaml)"),
	ROW(OPTION_JSON, "json", 'j', NULL, KIND_FLAG, json, "print JSON"),
	ROW(ALWAYS, "help", 'h', NULL, KIND_FLAG, help, "print this help"),
	ROW(ALWAYS, "version", 'V', NULL, KIND_FLAG, version, "print the version"),
#undef ROW
#undef ROW_TO
#undef ROW_OF_NODE
};

static bool is_in(const struct option_row *row, uint64_t set)
{
	return row->bit == ALWAYS || (row->bit & set);
}

static int value_of(const struct option_row *row)
{
	return FIRST_VALUE + (int)(row - rows);
}

static const struct option_row *row_of(int value)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (value == value_of(&rows[i]))
			return &rows[i];
	return NULL;
}

static int count_parse(const char *text, uint64_t most, uint64_t *ret)
{
	char *end;

	if (text[0] < '1' || text[0] > '9' || strlen(text) > 9)
		return -EINVAL;
	*ret = strtoul(text, &end, 10);
	return *end || (most && *ret > most) ? -EINVAL : 0;
}

/* Stores one option's argument. */
static int row_set(const struct option_row *row, const char *argument, struct options *o,
		   struct mg_error *err)
{
	void *member = (char *)o + row->offset;
	const char *expected;
	char range[32] = "a number from 1";
	int r = 0;

	switch (row->kind) {
	case KIND_FLAG:
		*(bool *)member = true;
		return 0;
	case KIND_TEXT:
		*(const char **)member = argument;
		expected = "a word";
		r = argument[0] ? 0 : -EINVAL;
		break;
	case KIND_COUNT:
		if (row->most)
			snprintf(range, sizeof(range), "a number from 1 to %u", (unsigned)row->most);
		expected = range;
		r = count_parse(argument, row->most, member);
		break;
	case KIND_DURATION:
		expected = "a duration above 0, such as 20ms or 1.5s";
		r = duration_parse(argument, member);
		if (r == 0 && *(uint64_t *)member == 0)
			r = -EINVAL;
		break;
	default:
		expected = "a rate above 0, such as 200Mbit";
		r = rate_parse(argument, member);
		if (r == 0 && *(uint64_t *)member == 0)
			r = -EINVAL;
	}
	return r < 0 ? mg_error_set(err, -EINVAL, "--%s: '%.40s' is not %s", row->name, argument,
				    expected) : 0;
}

struct getopt_tables {
	char letters[2 * ARRAY_SIZE(rows) + 2];
	struct option names[ARRAY_SIZE(rows) + 1];
};

static void tables_fill(struct getopt_tables *t, uint64_t set)
{
	size_t letters = 0, names = 0;

	t->letters[letters++] = ':'; /* tell a missing argument from an unknown option */
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!is_in(&rows[i], set))
			continue;
		t->names[names++] = (struct option){
			.name = rows[i].name,
			.has_arg = rows[i].argument ? required_argument : no_argument,
			.val = value_of(&rows[i]),
		};
		if (rows[i].letter) {
			t->letters[letters++] = rows[i].letter;
			if (rows[i].argument)
				t->letters[letters++] = ':';
		}
	}
	t->letters[letters] = '\0';
	t->names[names] = (struct option){ 0 };
}

static const struct option_row *row_of_letter(int letter, uint64_t set)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].letter && rows[i].letter == letter && is_in(&rows[i], set))
			return &rows[i];
	return NULL;
}

int options_parse(int argc, char **argv, uint64_t set, struct options *ret, int *ret_first,
		  struct mg_error *err)
{
	struct getopt_tables tables;
	const struct option_row *of_node = NULL;
	struct options o = { 0 };
	int value;

	tables_fill(&tables, set);
	opterr = 0;
	optind = 0; /* glibc: start over, also after an earlier parse */
	while ((value = getopt_long(argc, argv, tables.letters, tables.names, NULL)) != -1) {
		const struct option_row *row = row_of(value);
		int r;

		if (!row)
			row = row_of_letter(value, set);
		if (value == ':')
			return mg_error_set(err, -EINVAL, "%s needs an argument",
					    argv[optind - 1]);
		if (!row)
			return mg_error_set(err, -EINVAL, "unknown option %.80s", argv[optind - 1]);
		r = row_set(row, optarg, &o, err);
		if (r < 0)
			return r;
		if (row->needs_node)
			of_node = row;
	}
	if (of_node && !o.node)
		return mg_error_set(err, -EINVAL, "--%s needs --node", of_node->name);
	*ret = o;
	*ret_first = optind;
	return 0;
}

int options_skip(int argc, char **argv)
{
	struct getopt_tables tables;

	tables_fill(&tables, UINT64_MAX);
	opterr = 0;
	optind = 0;
	while (getopt_long(argc, argv, tables.letters, tables.names, NULL) != -1)
		; /* what is wrong is found once the command is known */
	return optind;
}

void options_help(FILE *out, uint64_t set)
{
	fprintf(out, "\noptions:\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char name[64], also[32] = "";

		if (!is_in(&rows[i], set))
			continue;
		if (rows[i].most)
			snprintf(also, sizeof(also), ", from 1 to %u", (unsigned)rows[i].most);
		else if (rows[i].needs_node)
			snprintf(also, sizeof(also), NEEDS_NODE);
		snprintf(name, sizeof(name), "--%s%s%s", rows[i].name, rows[i].argument ? " " : "",
			 rows[i].argument ? rows[i].argument : "");
		if (rows[i].letter)
			fprintf(out, "  -%c, %-24s %s%s\n", rows[i].letter, name, rows[i].help, also);
		else
			fprintf(out, "      %-24s %s%s\n", name, rows[i].help, also);
	}
}
