/* SPDX-License-Identifier: Apache-2.0 */
#include "migrator/cli/cli.h"

#include <jansson.h>
#include <stdarg.h>
#include <string.h>

#include "common/log.h"
#include "config.h"
#include "migrator/cli/commands.h"
#include "migrator/cli/output.h"

#define COMMON (OPTION_CONFIG | OPTION_JSON)
#define CHANGES (COMMON | OPTION_TIMEOUT | OPTION_DRY_PLAN)
#define ASKS (COMMON | OPTION_NODE | OPTION_TIMEOUT)
#define ACTS (ASKS | OPTION_DRY_PLAN)
#define OF_NODE (OPTION_NODE | NODE_NEEDED)
#define WRITES (OPTION_JSON | OPTION_DRY_PLAN)

static const struct command {
	const char *name; /* "vm start"; a group's first word alone means its "list" */
	command_fn *fn;
	const char *operands;
	int n_operands;
	uint64_t options;
	const char *help;
} commands[] = {
	{ "status", cmd_status, "", 0, ASKS, "what there is and what is going on" },
	{ "controllers", cmd_controllers, "", 0, COMMON, "controllers, and which one leads" },
	{ "node list", cmd_node_list, "", 0, COMMON | OPTION_TIMEOUT, "nodes, their load and contact" },
	{ "node drain", cmd_node_drain, "NODE", 1, CHANGES,
	  "let all VMs leave a node, and none come" },
	{ "node undrain", cmd_node_undrain, "NODE", 1, CHANGES, "let VMs come to it again" },
	{ "node evacuate", cmd_node_evacuate, "NODE", 1, CHANGES,
	  "drain a node that is failing: many VMs at once" },
	{ "node quarantine", cmd_node_quarantine, "NODE", 1, CHANGES,
	  "let no VM come to a node; those that are there stay" },
	{ "node release", cmd_node_release, "NODE", 1, CHANGES, "end a node's quarantine" },
	{ "node maintain", cmd_node_maintain, "NODE START END", 3, CHANGES,
	  "keep a node empty from START to END" },
	{ "node unmaintain", cmd_node_unmaintain, "NODE", 1, CHANGES,
	  "take a node's maintenance windows away" },
	{ "vm list", cmd_vm_list, "", 0, ASKS, "VMs and where they are" },
	{ "vm show", cmd_vm_show, "VM", 1, ASKS, "all about one VM" },
	{ "vm start", cmd_vm_start, "FILE", 1, ACTS | OPTION_ON | OPTION_FORCE,
	  "start the VM that FILE describes (tagalong-vm(5))" },
	{ "vm stop", cmd_vm_stop, "VM", 1, ACTS | OPTION_FORCE, "end a VM, as pulling its plug would" },
	{ "vm adopt", cmd_vm_adopt, "FILE", 1, ACTS | OF_NODE | OPTION_QMP | OPTION_FORCE,
	  "take up with the QEMU of another, which runs the VM that FILE describes" },
	{ "vm receive", cmd_vm_receive, "VM", 1, ACTS | OF_NODE | OPTION_QMP | OPTION_INCOMING,
	  "let a VM arrive in a QEMU that another has started" },
	{ "vm freeze", cmd_vm_freeze, "VM", 1, CHANGES, "let only operators move a VM, with --force" },
	{ "vm thaw", cmd_vm_thaw, "VM", 1, CHANGES, "let it be moved again" },
	{ "affinity list", cmd_affinity_list, "", 0, COMMON | OPTION_TIMEOUT,
	  "groups of VMs that are kept together or apart" },
	{ "affinity set", cmd_affinity_set, "GROUP VM", 2, CHANGES | OPTION_APART,
	  "keep a VM together with the others of a group, or with --apart away from them" },
	{ "affinity remove", cmd_affinity_remove, "GROUP VM", 2, CHANGES,
	  "take a VM out of a group" },
	{ "pair list", cmd_pair_list, "", 0, COMMON | OPTION_TIMEOUT, "devices, their VMs and RTTs" },
	{ "pair set", cmd_pair_set, "DEVICE VM", 2,
	  CHANGES | OPTION_ID | OPTION_BACKGROUND | OPTION_FOLLOW,
	  "let a VM follow a device" },
	{ "pair front", cmd_pair_front, "DEVICE VM", 2, CHANGES,
	  "bring a VM to the front, and to where its device is" },
	{ "pair replace", cmd_pair_replace, "DEVICE", 1, CHANGES | OPTION_ID,
	  "put another device in the place of a lost one" },
	{ "pair remove", cmd_pair_remove, "DEVICE VM", 2, CHANGES,
	  "let it follow no more" },
	{ "move", cmd_move, "VM TARGET", 2,
	  COMMON | OPTION_NODE | OPTION_BLACKOUT | OPTION_BLACKOUT_MAX | OPTION_BANDWIDTH |
		  OPTION_MOVE_TIMEOUT | OPTION_CONNECTIONS | OPTION_PATIENCE | OPTION_CONVERGENCE |
		  OPTION_FORCE | OPTION_DRY_RUN | OPTION_DETACH | OPTION_COPY_BASES |
		  OPTION_PRIORITY,
	  "move a running VM to the node TARGET" },
	{ "warm", cmd_warm, "VM TARGET", 2,
	  COMMON | OF_NODE | OPTION_BANDWIDTH | OPTION_MOVE_TIMEOUT | OPTION_PATIENCE |
		  OPTION_CONNECTIONS | OPTION_DRY_RUN,
	  "send most of a VM ahead of a move that may come" },
	{ "relay", cmd_relay, "VM TARGET", 2,
	  COMMON | OF_NODE | OPTION_BANDWIDTH | OPTION_PATIENCE | OPTION_DETACH |
		  OPTION_DRY_PLAN,
	  "carry a migration that libvirt, or whoever has started the QEMUs, steers" },
	{ "cancel", cmd_cancel, "MOVE", 1, ACTS, "call a move off (until it is decided)" },
	{ "priority", cmd_priority, "MOVE LEVEL", 2, ACTS,
	  "let a move go before others, or after: high, normal or low" },
	{ "pause", cmd_pause, "MOVE", 1, ACTS, "let a move send no more for a while" },
	{ "resume", cmd_resume, "MOVE", 1, ACTS, "let a paused move go on" },
	{ "resolve", cmd_resolve, "MOVE", 1,
	  ACTS | OPTION_ON | OPTION_VERDICT | OPTION_YES,
	  "settle a move that is in doubt: a node is gone, or both copies have run" },
	{ "rtt", cmd_rtt, "CLIENT", 1, COMMON | OPTION_TIMEOUT | OPTION_TOP,
	  "a device's round-trip times; live on a terminal" },
	{ "history", cmd_history, "", 0, ASKS | OPTION_VM | OPTION_LIMIT, "moves, newest first" },
	{ "why", cmd_why, "MOVE", 1, COMMON | OPTION_TIMEOUT,
	  "what a move was ordered for, and what came of it" },
	{ "summary", cmd_summary, "PERIOD", 1, COMMON | OPTION_TIMEOUT,
	  "what the moves of the last PERIOD (24h) have cost and bought" },
	{ "image add", cmd_image_add, "NAME", 1, ACTS | OF_NODE | OPTION_OF_VM | OPTION_FROM,
	  "give a node a base image that VMs take pages from" },
	{ "image list", cmd_image_list, "", 0, ASKS | OF_NODE, "the RAM of VMs that a node keeps" },
	{ "image remove", cmd_image_remove, "IMAGE", 1, ACTS | OF_NODE,
	  "let a node keep an image no longer" },
	{ "keys make", cmd_keys_make, "FILE", 1, WRITES, "make a secret key" },
	{ "keys show", cmd_keys_show, "FILE", 1, OPTION_JSON, "print a secret key's public half" },
	{ "keys allow", cmd_keys_allow, "ROLE NAME KEY", 3, WRITES | OPTION_TO,
	  "add a public key to an allow list" },
	{ "keys device", cmd_keys_device, "NAME FILE", 2, WRITES | OPTION_TO,
	  "make a device's identity and key, add it to a list of devices" },
	{ "keys token", cmd_keys_token, "ROLE NAME", 2, WRITES | OPTION_TO | OPTION_DAYS,
	  "make a token for placementd's HTTP, add its hash to a list of tokens" },
};

/* ---- What the commands share ------------------------------------------------ */

enum cli_exit cli_fail(struct mg_error *err, enum cli_exit code, const char *fmt, ...)
{
	char text[sizeof(err->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	mg_error_set(err, -EIO, "%s", text);
	return code;
}

uint64_t cli_timeout(const struct cli *cli, uint64_t fallback_ns)
{
	return cli->options.timeout_ns ? cli->options.timeout_ns : fallback_ns;
}

static void report(const struct cli *cli, json_t *document, const char *before, const char *fmt,
		   va_list ap) __attribute__((format(printf, 4, 0)));

static void report(const struct cli *cli, json_t *document, const char *before, const char *fmt,
		   va_list ap)
{
	if (cli->options.json) {
		output_json(stdout, document, false);
	} else {
		fputs(before, stdout);
		vprintf(fmt, ap);
		putchar('\n');
	}
	json_decref(document);
}

void cli_report(const struct cli *cli, json_t *document, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(cli, document, "", fmt, ap);
	va_end(ap);
}

void cli_report_change(const struct cli *cli, json_t *document, const char *fmt, ...)
{
	va_list ap;

	json_object_set_new(document, "dry_run", json_boolean(cli->options.dry_run));
	va_start(ap, fmt);
	report(cli, document, cli->options.dry_run ? "would be " : "", fmt, ap);
	va_end(ap);
}

/* ---- Help --------------------------------------------------------------------- */

static void print_overview(FILE *out)
{
	fprintf(out, "usage: migrator COMMAND [OPTION]... [OPERAND]...\n\n"
		"Moves VMs between nodes and lets them follow devices.\n\ncommands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s %s", commands[i].name, commands[i].operands);
		fprintf(out, "  %-26s  %s%s\n", name, commands[i].help,
			(commands[i].options & NODE_NEEDED) ? NEEDS_NODE : "");
	}
	fprintf(out, "\nThey speak to placementd, or with --node NAME to that node's migratord alone.\n"
		"'migrator help COMMAND' tells a command's options; migrator(1) tells all.\n");
	options_help(out, 0);
}

static void print_command_help(const struct command *c)
{
	printf("usage: migrator %s [OPTION]...%s%s\n\n%c%s%s.\n", c->name, c->operands[0] ? " " : "",
	       c->operands, c->help[0] & ~0x20, c->help + 1,
	       (c->options & NODE_NEEDED) ? NEEDS_NODE : "");
	options_help(stdout, c->options);
}

/* ---- Finding the command ---------------------------------------------------------- */

/* Edits (insert, delete, replace) from a to b, Wagner and Fischer's table. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[64];
	size_t n = strlen(b);

	if (n >= ARRAY_SIZE(row))
		return 1000;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; *a; a++, i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			unsigned best = diagonal + (*a != b[j - 1]);

			diagonal = row[j];
			best = row[j] + 1 < best ? row[j] + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			row[j] = best;
		}
	}
	return row[n];
}

/* NULL: none is near. */
static const char *nearest(const char *words)
{
	unsigned best = (unsigned)strlen(words) / 2 + 1;
	const char *name = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		unsigned d = distance(words, commands[i].name);

		if (d < best) {
			best = d;
			name = commands[i].name;
		}
	}
	return name;
}

static bool is_group_of(const char *word, const struct command *c)
{
	size_t n = strlen(word);

	return strncmp(c->name, word, n) == 0 && c->name[n] == ' ';
}

/* The command that the operands begin with; *ret_words says how many it took. */
static const struct command *find_by_words(int n, char **operands, int *ret_words,
					   struct mg_error *err)
{
	char words[64];
	const char *near;
	bool group = false;

	*ret_words = 1;
	snprintf(words, sizeof(words), "%s", operands[0]);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, operands[0]) == 0)
			return &commands[i];
		group |= is_group_of(operands[0], &commands[i]);
	}
	if (group) {
		*ret_words = n > 1 ? 2 : 1;
		snprintf(words, sizeof(words), "%.30s %.30s", operands[0],
			 n > 1 ? operands[1] : "list");
		for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
			if (strcmp(commands[i].name, words) == 0)
				return &commands[i];
	}
	near = nearest(words);
	if (group && n == 1)
		mg_error_set(err, -EINVAL, "'%s' needs a second word; 'migrator --help' lists them",
			     operands[0]);
	else if (near)
		mg_error_set(err, -EINVAL, "unknown command '%s'; did you mean '%s'?", words, near);
	else
		mg_error_set(err, -EINVAL, "unknown command '%s'; 'migrator --help' lists them",
			     words);
	return NULL;
}

static bool is_one_of(const char *word, char **words, int n)
{
	for (int i = 0; i < n; i++)
		if (words[i] == word)
			return true;
	return false;
}

/* Takes the command's words out of argv, wherever options stand around them.
 * *ret is NULL when there are none. */
static int take_command(int *argc, char **argv, const struct command **ret, struct mg_error *err)
{
	_cleanup_free_ char **sorted = calloc((size_t)*argc + 1, sizeof(*sorted));
	int first, words = 0, n = 0;

	if (!sorted)
		return mg_error_set(err, -ENOMEM, "out of memory");
	memcpy(sorted, argv, (size_t)*argc * sizeof(*sorted));
	first = options_skip(*argc, sorted);
	*ret = NULL;
	if (first >= *argc)
		return 0;
	*ret = find_by_words(*argc - first, sorted + first, &words, err);
	for (int i = 0; i < *argc; i++)
		if (!is_one_of(argv[i], sorted + first, words))
			argv[n++] = argv[i];
	argv[n] = NULL;
	*argc = n;
	return *ret ? 0 : -EINVAL;
}

/* ---- Running it ------------------------------------------------------------------- */

/* `c` is NULL when no command was given. */
static enum cli_exit run(const struct command *c, int argc, char **argv, struct mg_error *err)
{
	struct cli cli = { 0 };
	int first;

	if (options_parse(argc, argv, c ? c->options : 0, &cli.options, &first, err) < 0) {
		if (c)
			mg_error_prefix(err, "%s", c->name);
		return CLI_USAGE;
	}
	if (cli.options.version)
		printf("migrator (tagalong) %s\n", PACKAGE_VERSION);
	else if (cli.options.help && c)
		print_command_help(c);
	else if (cli.options.help)
		print_overview(stdout);
	if (cli.options.version || cli.options.help)
		return CLI_OK;
	if (!c)
		return cli_fail(err, CLI_USAGE, "a command is needed; 'migrator --help' lists them");
	if (cli.options.node && cli.options.on)
		return cli_fail(err, CLI_USAGE, "%s: --on goes through placementd and --node past it: "
				"give one of them", c->name);
	cli.operands = argv + first;
	cli.n_operands = argc - first;
	/* --top stands for an operand. */
	if (cli.n_operands != c->n_operands - cli.options.top)
		return cli_fail(err, CLI_USAGE, "usage: migrator %s [OPTION]...%s%s", c->name,
				c->operands[0] ? " " : "", c->operands);
	if ((c->options & NODE_NEEDED) && !cli.options.node)
		return cli_fail(err, CLI_USAGE, "%s: on which node? Name it with --node", c->name);
	return c->fn(&cli, err);
}

/* What others have written may have lines; what we say has one. */
static void print_error(struct mg_error *err)
{
	for (char *p = err->text; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	fprintf(stderr, "migrator: %s\n", err->text);
}

/* "help COMMAND" is "COMMAND --help". */
static void take_help_word(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "help") != 0)
		return;
	memmove(argv + 1, argv + 2, (size_t)(argc - 2) * sizeof(*argv));
	argv[argc - 1] = (char *)"--help";
}

int cli_main(int argc, char **argv)
{
	struct mg_error err = { 0 };
	const struct command *c = NULL;
	enum cli_exit code = CLI_USAGE;

	log_init("migrator", LOG_LEVEL_ERROR);
	take_help_word(argc, argv);
	if (take_command(&argc, argv, &c, &err) == 0)
		code = run(c, argc, argv, &err);
	if (code != CLI_OK && err.text[0])
		print_error(&err);
	if (fflush(stdout) != 0 && code == CLI_OK) {
		fprintf(stderr, "migrator: cannot write the output: %s\n", strerror(errno));
		code = CLI_FAILED;
	}
	return (int)code;
}
