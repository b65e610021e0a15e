/* SPDX-License-Identifier: Apache-2.0
 *
 * The real `migrator` against a server that a test plays: what is asked, what
 * is printed, how it ends. test_cli_moves.c has what orders, watches and ends moves.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>

#include "cli_answers.h"
#include "migrator/cli/cli.h"

TestSuite(cli, .fini = fake_fini);

/* ---- Lists ---------------------------------------------------------------------- */

Test(cli, tables_are_aligned)
{
	struct fake f;

	fake_start(&f, answer_all);
	fake_run(&f, "vm", "list", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_str_eq(f.out, "VM    STATE    NODE      MEMORY  VCPUS  ACCEL\n"
				"web   running  tower-a  192 MiB      2  tcg\n"
				"desk  running  -        192 MiB      2  tcg\n");
	cr_assert_str_eq(f.err, "");
	fake_run(&f, "vm", NULL); /* a group alone lists */
	assert_has(f.out, "desk");
	fake_stop(&f);
}

Test(cli, json_of_every_list)
{
	static const struct {
		const char *command, *word, *path;
	} cases[] = {
		{ "node", "list", "nodes" }, { "vm", "list", "vms" },  { "pair", "list", "pairs" },
		{ "history", "--json", "moves" }, { "status", "--json", "moves" },
	};
	struct fake f;

	fake_start(&f, answer_all);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *v;

		fake_run(&f, "--json", cases[i].command, cases[i].word, NULL);
		assert_exit(f, CLI_OK);
		v = json_of(f.out);
		cr_assert_gt(json_array_size(json_object_get(v, cases[i].path)), 0, "%s", f.out);
		json_decref(v);
	}
	fake_stop(&f);
}

Test(cli, nodes_and_the_images_that_they_keep)
{
	json_t *v, *image;
	struct fake f;

	fake_start(&f, answer_all);
	fake_run(&f, "node", "list", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "IMAGES");
	fake_run(&f, "node", "list", "--json", NULL);
	v = json_of(f.out);
	image = json_array_get(json_object_get(json_array_get(json_object_get(v, "nodes"), 0),
					       "images"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(image, "vm")), "desk");
	json_decref(v);
	fake_stop(&f);
}

Test(cli, status_of_all_and_of_one_node)
{
	struct fake f;
	json_t *v;

	fake_start(&f, answer_all);
	fake_run(&f, "status", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "12.3 ms");
	assert_has(f.out, "3f2a1199");
	assert_has(f.out, "copying");
	fake_run(&f, "status", "--json", NULL);
	v = json_of(f.out);
	cr_assert_eq(json_integer_value(json_object_get(v, "epoch")), 7);
	cr_assert_eq(json_integer_value(json_object_get(
			     json_array_get(json_object_get(v, "pairs"), 0), "rtt_ns")), 12300000);
	json_decref(v);
	fake_run(&f, "status", "--node", "tower-a", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "desk");
	assert_lacks(f.out, "DEVICE");
	fake_stop(&f);
}

Test(cli, vm_show)
{
	struct fake f;
	json_t *v;

	fake_start(&f, answer_all);
	fake_run(&f, "vm", "show", "web", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "Machine      pc-q35-7.2\n");
	assert_lacks(f.out, "Kernel"); /* what there is not is not shown */
	fake_run(&f, "vm", "show", "web", "--json", NULL);
	v = json_of(f.out);
	cr_assert_eq(json_integer_value(json_object_get(v, "memory_bytes")), 192 << 20);
	cr_assert_str_eq(json_string_value(json_object_get(v, "incarnation")),
			 "3f2a1199-5c00-4001-8002-000000000000");
	json_decref(v);
	fake_run(&f, "vm", "show", "nothing", NULL);
	assert_exit(f, CLI_FAILED);
	cr_assert_str_eq(f.err, "migrator: no VM 'nothing'; 'migrator vm list' shows those there are\n");
	fake_stop(&f);
}

Test(cli, history_is_newest_first)
{
	struct fake f;
	json_t *v;

	fake_start(&f, answer_all);
	fake_run(&f, "history", "--json", "--vm", "web", "--limit", "12", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_str_eq(f.request->move_query->vm, "web");
	cr_assert_eq(f.request->move_query->limit, 12);
	v = json_of(f.out);
	cr_assert_str_eq(json_string_value(json_object_get(
				 json_array_get(json_object_get(v, "moves"), 0), "move")),
			 "3f2a1199-5c00-4001-8002-000000000000");
	json_decref(v);
	fake_stop(&f);
}

Test(cli, round_trip_times_of_one_and_of_all)
{
	struct fake f;
	json_t *v, *row;

	fake_start(&f, answer_all);
	fake_run(&f, "rtt", "phone", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "phone is nowhere\n");
	assert_has(f.out, "12.3 ms");
	fake_run(&f, "rtt", "phone", "--json", NULL);
	v = json_of(f.out);
	cr_assert_str_eq(json_string_value(json_object_get(v, "device")), "phone");
	cr_assert_null(json_object_get(v, "vm"));
	row = json_array_get(json_object_get(v, "rtts"), 0);
	cr_assert_eq(json_integer_value(json_object_get(row, "srtt_ns")), 12300000);
	row = json_object_get(row, "tlvs");
	cr_assert(json_is_true(json_object_get(row, "understood")));
	cr_assert_eq(json_integer_value(json_object_get(row, "dscp_there")), 46);
	cr_assert_str_eq(json_string_value(json_object_get(row, "clock_in")), "gnss");
	cr_assert_str_eq(json_string_value(json_object_get(row, "method_in")), "unknown");
	cr_assert_null(json_object_get(row, "wait_ns"));
	json_decref(v);
	fake_run(&f, "rtt", "--top", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "DEVICE");
	fake_run(&f, "rtt", "--top", "--json", NULL);
	v = json_of(f.out);
	row = json_array_get(json_object_get(v, "clients"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(row, "node")), "tower-a");
	cr_assert_str_eq(json_string_value(json_object_get(row, "vm")), "web");
	json_decref(v);
	fake_run(&f, "rtt", "nobody", NULL);
	assert_exit(f, CLI_FAILED);
	assert_has(f.err, "no device 'nobody' is paired");
	fake_run(&f, "rtt", NULL);
	assert_exit(f, CLI_USAGE);
	fake_run(&f, "rtt", "phone", "--top", NULL);
	assert_exit(f, CLI_USAGE);
	fake_stop(&f);
}

/* ---- Orders ---------------------------------------------------------------------- */

Test(cli, vm_start_sends_the_description)
{
	struct fake f;

	fake_start(&f, answer_all);
	fake_write(&f, "vm.yaml", "name: web\nmemory: 192M\nvcpus: 2\nkernel: vmlinuz\n");
	fake_run(&f, "vm", "start", fake_path(&f, "vm.yaml"), "--on", "tower-a", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_str_eq(f.out, "started: web\n");
	cr_assert_str_eq(f.request->vm_start->spec->name, "web");
	cr_assert_str_eq(f.request->vm_start->spec->kernel, fake_path(&f, "vmlinuz"));
	cr_assert_str_eq(f.request->vm_start->node, "tower-a");
	fake_write(&f, "vm.yaml", "name: web\nmemory: plenty\n");
	fake_run(&f, "vm", "start", fake_path(&f, "vm.yaml"), NULL);
	assert_exit(f, CLI_FAILED);
	assert_has(f.err, "vm.yaml");
	cr_assert_eq(f.requests, 1);
	fake_stop(&f);
}

Test(cli, vm_stop_may_be_forced)
{
	struct fake f;

	fake_start(&f, answer_all);
	fake_run(&f, "vm", "stop", "web", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_not(f.request->vm_stop->force);
	fake_run(&f, "vm", "stop", "web", "--force", "--node", "tower-a", "--json", NULL);
	assert_exit(f, CLI_OK);
	cr_assert(f.request->vm_stop->force);
	assert_has(f.out, "\"result\": \"stopped\"");
	fake_stop(&f);
}

Test(cli, pairs)
{
	struct fake f;
	static const char id[] = "3f2a1199-5c00-4001-8002-000000000000";

	fake_start(&f, answer_all);
	fake_run(&f, "pair", "set", "phone", "web", "--id", id, NULL);
	assert_exit(f, CLI_OK);
	cr_assert_str_eq(f.out, "paired: web follows phone\n");
	cr_assert(f.request->pair_set->foreground);
	cr_assert_eq(memcmp(f.request->pair_set->device.data, ID_A, UUID_SIZE), 0);
	fake_run(&f, "pair", "set", "phone", "web", "--background", "--id", id, NULL);
	cr_assert_not(f.request->pair_set->foreground);
	cr_assert_not(f.request->pair_set->follows);
	cr_assert_str_eq(f.out, "paired: web belongs to phone\n");
	fake_run(&f, "pair", "remove", "phone", "web", "--dry-run", NULL);
	cr_assert_str_eq(f.out, "would be removed: web follows phone no more\n");
	cr_assert(f.request->pair_remove->dry_run);
	fake_run(&f, "pair", "set", "phone", "web", "--background", "--follow", "--id", id, NULL);
	cr_assert(f.request->pair_set->follows);
	fake_run(&f, "pair", "set", "phone", "web", "--follow", "--id", id, NULL);
	assert_exit(f, CLI_USAGE);
	fake_run(&f, "pair", "front", "phone", "web", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_str_eq(f.request->pair_front->device_name, "phone");
	cr_assert_str_eq(f.request->pair_front->vm, "web");
	fake_run(&f, "pair", "replace", "phone", "--id", id, NULL);
	assert_exit(f, CLI_OK);
	cr_assert_str_eq(f.request->pair_replace->device_name, "phone");
	cr_assert_eq(memcmp(f.request->pair_replace->device.data, ID_A, UUID_SIZE), 0);
	fake_run(&f, "pair", "replace", "phone", NULL);
	assert_exit(f, CLI_USAGE);
	fake_run(&f, "pair", "remove", "phone", "web", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_str_eq(f.request->pair_remove->vm, "web");
	fake_run(&f, "pair", "set", "phone", "web", NULL);
	assert_exit(f, CLI_USAGE);
	fake_run(&f, "pair", "set", "phone", "web", "--id", "phone", NULL);
	assert_exit(f, CLI_USAGE);
	fake_stop(&f);
}

Test(cli, nodes_are_emptied)
{
	struct fake f;
	json_t *v;

	fake_start(&f, answer_all);
	fake_run(&f, "node", "drain", "tower-a", "--dry-run", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_str_eq(f.out, "VM   TO\nweb  tower-b\n");
	cr_assert_str_eq(f.request->node_drain->node, "tower-a");
	cr_assert(f.request->node_drain->drained);
	cr_assert(f.request->node_drain->dry_run);
	fake_run(&f, "node", "drain", "tower-a", "--json", NULL);
	cr_assert_not(f.request->node_drain->dry_run);
	v = json_of(f.out);
	cr_assert_str_eq(json_string_value(json_object_get(
				 json_array_get(json_object_get(v, "steps"), 0), "target")),
			 "tower-b");
	json_decref(v);
	fake_run(&f, "node", "undrain", "tower-a", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "undrained");
	cr_assert_not(f.request->node_drain->drained);
	fake_run(&f, "node", "evacuate", "tower-a", "-n", NULL);
	assert_exit(f, CLI_OK);
	cr_assert(f.request->node_drain->drained && f.request->node_drain->evacuate);
	cr_assert(f.request->node_drain->dry_run);
	fake_stop(&f);
}

Test(cli, nodes_are_spared)
{
	struct fake f;

	fake_start(&f, answer_all);
	fake_run(&f, "node", "quarantine", "tower-a", "--dry-run", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_str_eq(f.out, "would be quarantined: tower-a gets no more VMs\n");
	cr_assert(f.request->node_quarantine->dry_run);
	fake_run(&f, "node", "release", "tower-a", NULL);
	cr_assert_str_eq(f.out, "released: tower-a may get VMs again\n");
	cr_assert_str_eq(f.request->node_quarantine->node, "tower-a");
	cr_assert_not(f.request->node_quarantine->quarantined);
	fake_run(&f, "node", "maintain", "tower-a", "2026-12-01T02:00Z", "2026-12-01T04:00Z", NULL);
	cr_assert_str_eq(f.out, "planned: tower-a is empty in that time\n");
	cr_assert_eq(f.request->node_maintain->window->end_utc_ns -
			     f.request->node_maintain->window->start_utc_ns,
		     UINT64_C(7200000000000));
	fake_run(&f, "node", "maintain", "tower-a", "tonight", "2026-12-01T04:00Z", NULL);
	assert_exit(f, CLI_USAGE);
	fake_run(&f, "node", "unmaintain", "tower-a", "-n", NULL);
	cr_assert_null(f.request->node_maintain->window);
	cr_assert(f.request->node_maintain->dry_run);
	fake_stop(&f);
}

Test(cli, why_a_move)
{
	struct fake f;
	json_t *v;

	fake_start(&f, answer_all);
	fake_run(&f, "why", "3f2a1199-5c00-4001-8002-000000000000", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "Policy       threshold\n");
	assert_has(f.out, "20.0 ms");
	assert_has(f.out, "tower-b  yes");
	cr_assert_eq(memcmp(f.request->why_query->move.data, ID_A, UUID_SIZE), 0);
	fake_run(&f, "why", "3f2a1199-5c00-4001-8002-000000000000", "--json", NULL);
	v = json_of(f.out);
	cr_assert_eq(json_integer_value(json_object_get(json_object_get(v, "parameters"),
							"threshold_ns")), 20000000);
	cr_assert_str_eq(json_string_value(json_object_get(v, "vm")), "web");
	json_decref(v);
	fake_stop(&f);
}

Test(cli, vms_are_kept_together_or_apart)
{
	struct fake f;

	fake_start(&f, answer_all);
	fake_run(&f, "affinity", "set", "spread", "web", "--apart", "-n", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_str_eq(f.out, "would be kept apart: web with group spread\n");
	cr_assert(f.request->affinity_set->apart && f.request->affinity_set->dry_run);
	fake_run(&f, "affinity", "set", "office", "web", "--json", NULL);
	assert_has(f.out, "\"result\": \"kept together\"");
	cr_assert_not(f.request->affinity_set->apart);
	fake_run(&f, "affinity", "remove", "office", "web", NULL);
	cr_assert_str_eq(f.out, "no longer tied: web with group office\n");
	fake_run(&f, "affinity", "list", NULL);
	cr_assert_str_eq(f.out, "GROUP   KEPT   VMS\nspread  apart  mail, web\n");
	fake_stop(&f);
}

Test(cli, what_moves_bought)
{
	struct fake f;
	json_t *v;

	fake_start(&f, answer_all);
	fake_run(&f, "summary", "24h", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "threshold     3       1");
	assert_has(f.out, "40.0 ms");
	fake_run(&f, "summary", "24h", "--json", NULL);
	v = json_of(f.out);
	cr_assert_eq(json_integer_value(json_object_get(
			     json_array_get(json_object_get(v, "rows"), 0), "saved_ns")), -5);
	json_decref(v);
	fake_run(&f, "summary", "yesterday", NULL);
	assert_exit(f, CLI_USAGE);
	fake_stop(&f);
}

Test(cli, vms_are_left_alone)
{
	struct fake f;

	fake_start(&f, answer_all);
	fake_run(&f, "vm", "freeze", "web", NULL);
	assert_exit(f, CLI_OK);
	cr_assert_str_eq(f.out, "frozen: web stays where it is\n");
	cr_assert(f.request->vm_freeze->frozen);
	fake_run(&f, "vm", "thaw", "web", "--json", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "\"result\": \"thawed\"");
	cr_assert_not(f.request->vm_freeze->frozen);
	fake_stop(&f);
}

/* ---- What goes wrong ---------------------------------------------------------------- */

static void answer_failure(struct fake *f, const Envelope *request)
{
	fake_reply_failure(f, request, "no VM named 'web' on this node\nor elsewhere");
}

static void answer_nothing(struct fake *f, const Envelope *request)
{
	(void)f;
	(void)request;
}

static void answer_garbage(struct fake *f, const Envelope *request)
{
	(void)request;
	fake_send_garbage(f);
}

Test(cli, a_refusal_is_one_line)
{
	struct fake f;

	fake_start(&f, answer_failure);
	fake_run(&f, "vm", "stop", "web", NULL);
	assert_exit(f, CLI_FAILED);
	cr_assert_str_eq(f.err, "migrator: no VM named 'web' on this node or elsewhere\n");
	cr_assert_str_eq(f.out, "");
	fake_stop(&f);
}

Test(cli, silence_is_told_from_absence)
{
	struct fake f;

	fake_start(&f, answer_nothing);
	fake_run(&f, "vm", "list", "--timeout", "1500ms", NULL);
	assert_exit(f, CLI_UNREACHABLE);
	assert_has(f.err, "did not answer within 1.50 s");
	fake_run(&f, "vm", "list", "--node", "tower-b", "--timeout", "300ms", NULL);
	assert_exit(f, CLI_UNREACHABLE);
	assert_has(f.err, "cannot reach tower-b at tcp://127.0.0.1:1: Connection refused");
	fake_stop(&f);
}

Test(cli, a_question_is_repeated_and_an_order_to_start_is_not)
{
	struct fake f;

	fake_start(&f, answer_nothing);
	fake_run(&f, "vm", "list", "--timeout", "3500ms", NULL);
	cr_assert(f.requests >= 2 && f.requests <= 4, "%u", f.requests);
	f.requests = 0;
	fake_write(&f, "vm.yaml", "name: web\nmemory: 192M\nvcpus: 2\nkernel: vmlinuz\n");
	fake_run(&f, "vm", "start", fake_path(&f, "vm.yaml"), "--timeout", "2500ms", NULL);
	assert_exit(f, CLI_UNREACHABLE);
	cr_assert_eq(f.requests, 1);
	fake_stop(&f);
}

Test(cli, an_unknown_key_is_named)
{
	struct keypair stranger;
	struct fake f;

	fake_start(&f, answer_all);
	cr_assert_eq(keypair_generate(&stranger), 0);
	unlink(fake_path(&f, "alice.key"));
	cr_assert_eq(keypair_save(fake_path(&f, "alice.key"), &stranger, NULL), 0);
	fake_run(&f, "vm", "list", "--timeout", "500ms", NULL);
	assert_exit(f, CLI_UNREACHABLE);
	assert_has(f.err, "does not speak to us within");
	assert_has(f.err, stranger.public_key);
	cr_assert_eq(f.requests, 0);
	fake_stop(&f);
}

Test(cli, garbage_and_wrong_answers_are_failures)
{
	struct fake f;

	fake_start(&f, answer_garbage);
	fake_run(&f, "vm", "list", NULL);
	assert_exit(f, CLI_FAILED);
	assert_has(f.err, "does not speak our language");
	f.answer = fake_reply_done; /* which is no list */
	fake_run(&f, "vm", "list", NULL);
	assert_exit(f, CLI_FAILED);
	assert_has(f.err, "answered with 'done'");
	fake_stop(&f);
}

Test(cli, wrong_configurations)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "name: alice\nkey: alice.key\n", "has no 'controller:'" },
		{ "name: alice\n", "'key' is missing" },
		{ "name: alice\nkey: other.key\ncontroller: {endpoint: 'tcp://127.0.0.1:1', "
		  "key: 'rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7'}\n", "migrator keys make" },
		{ "name: alice\nkey: alice.key\ncontroller: {endpoint: 'tcp://127.0.0.1:1'}\n",
		  "placementd's public key" },
		{ "name: alice\nkey: alice.key\nnodes: [{name: n, endpoint: 'tcp://127.0.0.1:1'}]\n",
		  "node 'n': 'key' is missing" },
		{ "name: alice\ncolour: red\n", "colour" },
	};
	struct fake f;

	fake_start(&f, answer_all);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_write(&f, "migrator.yaml", cases[i].text);
		fake_run(&f, "vm", "list", NULL);
		assert_exit(f, CLI_USAGE);
		assert_has(f.err, cases[i].says);
	}
	fake_run(&f, "vm", "list", "--config", fake_path(&f, "nothing.yaml"), NULL);
	assert_exit(f, CLI_USAGE);
	assert_has(f.err, "no configuration at");
	fake_stop(&f);
}

Test(cli, wrong_command_lines)
{
	static const struct {
		const char *words[8];
		const char *says;
	} cases[] = {
		{ { NULL }, "a command is needed" },
		{ { "mvoe" }, "did you mean 'move'?" },
		{ { "foo" }, "unknown command 'foo'; 'migrator --help' lists them" },
		{ { "keys" }, "'keys' needs a second word" },
		{ { "vm", "start", "f", "--on", "b", "--node", "a" }, "give one of them" },
		{ { "resolve", "m", "--run-here", "--yes", "--on=b", "--node=a" }, "give one of them" },
		{ { "vm", "strat", "x" }, "did you mean 'vm start'?" },
		{ { "vm", "show" }, "usage: migrator vm show [OPTION]... VM" },
		{ { "move", "web" }, "usage: migrator move [OPTION]... VM TARGET" },
		{ { "status", "--limit", "3" }, "status: unknown option --limit" },
		{ { "history", "--limit", "0" }, "--limit: '0' is not a number from 1" },
		{ { "history", "--limit", "1001" }, "--limit: '1001' is not a number from 1 to 1000" },
		{ { "move", "web", "b", "--connections", "99" },
		  "--connections: '99' is not a number from 1 to 8" },
		{ { "move", "web", "b", "--attempts", "0" }, "--attempts: '0' is not a number from 1" },
		{ { "keys", "token", "read", "me", "--days", "999999999" },
		  "--days: '999999999' is not a number from 1 to 36500" },
		{ { "move", "web", "b", "--copy-bases" }, "move: --copy-bases needs --node" },
		{ { "warm", "web", "b" }, "warm: on which node? Name it with --node" },
		{ { "image", "remove", "web" }, "image remove: on which node? Name it with --node" },
		{ { "history", "--limit" }, "--limit needs an argument" },
		{ { "vm", "list", "--timeout", "5" }, "is not a duration" },
		{ { "--wrong" }, "unknown option --wrong" },
	};
	struct fake f;

	fake_start(&f, answer_all);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *const *w = cases[i].words;

		fake_run(&f, w[0], w[1], w[2], w[3], w[4], w[5], w[6], NULL);
		assert_exit(f, CLI_USAGE);
		assert_has(f.err, cases[i].says);
		assert_has(f.err, "migrator: ");
		cr_assert_eq(strchr(f.err, '\n'), f.err + strlen(f.err) - 1, "one line: %s", f.err);
	}
	cr_assert_eq(f.requests, 0);
	fake_stop(&f);
}

/* What is said of all of them is made of their rows. */
Test(cli, help_tells_what_needs_a_node_and_how_much_is_too_much)
{
	struct fake f;

	fake_start(&f, answer_all);
	fake_run(&f, "--help", NULL);
	assert_has(f.out, "the RAM of VMs that a node keeps (needs --node)\n");
	assert_has(f.out, "call a move off (until it is decided)\n");
	assert_has(f.out, "or both copies have run\n");
	fake_run(&f, "help", "warm", NULL);
	assert_has(f.out, "ahead of a move that may come (needs --node).\n");
	fake_run(&f, "help", "move", NULL);
	assert_has(f.out, "Move a running VM to the node TARGET.\n");
	assert_has(f.out, "send that along (needs --node)\n");
	assert_has(f.out, "data_connections), from 1 to 8\n");
	fake_stop(&f);
}

/* ---- Dry runs --------------------------------------------------------------------- */

/* What only looks; all else takes --dry-run. */
static const char *const looks[] = {
	"status", "controllers", "node list", "vm list", "vm show",    "affinity list", "pair list",
	"rtt",    "history",     "why",       "summary", "image list", "keys show",
};

static bool only_looks(const char *command)
{
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++)
		if (strcmp(looks[i], command) == 0)
			return true;
	return false;
}

/* "  vm start FILE   start the VM ..." is "vm start". */
static void command_of(const char *line, char ret[64])
{
	size_t n = 2 + strspn(line + 2, "abcdefghijklmnopqrstuvwxyz");

	if (line[n] == ' ' && line[n + 1] >= 'a' && line[n + 1] <= 'z')
		n += 1 + strspn(line + n + 1, "abcdefghijklmnopqrstuvwxyz");
	snprintf(ret, 64, "%.*s", (int)n - 2, line + 2);
}

Test(cli, every_command_that_changes_something_has_a_dry_run)
{
	char commands[64][64], *second;
	struct fake f;
	size_t n = 0;

	fake_start(&f, answer_nothing);
	fake_run(&f, "--help", NULL);
	for (const char *at = strstr(f.out, "commands:\n") + 10; at[0] == ' ';
	     at = strchr(at, '\n') + 1)
		command_of(at, commands[n++]);
	cr_assert_gt(n, 40);
	for (size_t i = 0; i < n; i++) {
		bool changes = !only_looks(commands[i]);
		char word[64];

		snprintf(word, sizeof(word), "%s", commands[i]);
		second = strchr(word, ' ');
		if (second)
			*second++ = '\0';
		fake_run(&f, "help", word, second, NULL);
		assert_exit(f, CLI_OK);
		cr_expect_eq(strstr(f.out, "-n, --dry-run") != NULL, changes, "%s", commands[i]);
	}
	fake_stop(&f);
}

/* The member that every such message has. */
static bool is_dry(const Envelope *e)
{
	const ProtobufCFieldDescriptor *body = protobuf_c_message_descriptor_get_field(
		&tagalong__envelope__descriptor, (unsigned)e->body_case);
	const ProtobufCFieldDescriptor *dry =
		protobuf_c_message_descriptor_get_field_by_name(body->descriptor, "dry_run");

	cr_assert_not_null(dry, "%s", body->name);
	return *(const protobuf_c_boolean *)((const char *)e->done + dry->offset);
}

static void runs_dry(struct fake *f, const char *word[7], const char *says)
{
	json_t *v;

	fake_run(f, word[0], word[1], word[2], word[3], word[4], word[5], word[6], NULL);
	assert_exit(*f, CLI_OK);
	cr_assert_not(is_dry(f->request), "%s %s", word[0], word[1]);
	fake_run(f, "--dry-run", word[0], word[1], word[2], word[3], word[4], word[5], word[6],
		 NULL);
	assert_exit(*f, CLI_OK);
	cr_assert(is_dry(f->request), "%s %s", word[0], word[1]);
	cr_assert_eq(strncmp(f->out, says, strlen(says)), 0, "%s", f->out);
	fake_run(f, "-nj", word[0], word[1], word[2], word[3], word[4], word[5], word[6], NULL);
	v = json_of(f->out);
	cr_assert(json_is_true(json_object_get(v, "dry_run")), "%s", f->out);
	json_decref(v);
}

Test(cli, a_dry_run_is_asked_for_and_told)
{
	struct fake f;
	char file[256];

	fake_start(&f, answer_all);
	fake_write(&f, "vm.yaml", "name: web\nmemory: 192M\nvcpus: 2\nkernel: vmlinuz\n");
	snprintf(file, sizeof(file), "%s", fake_path(&f, "vm.yaml"));
#define DRY(says, ...) runs_dry(&f, (const char *[7]){ __VA_ARGS__ }, "would be " says)
	DRY("started: web\n", "vm", "start", file);
	DRY("stopped: web\n", "vm", "stop", "web");
	DRY("adopted: web\n", "vm", "adopt", file, "--qmp=/q", "--node=tower-a");
	DRY("awaited: web\n", "vm", "receive", "web", "--qmp=/q", "--node=tower-a");
	DRY("frozen: web ", "vm", "freeze", "web");
	DRY("called off: move 3f2a1199", "cancel", "3f2a1199");
	DRY("low priority: move 3f2a1199", "priority", "3f2a1199", "low");
	DRY("paused: move 3f2a1199", "pause", "3f2a1199");
	DRY("resumed: move 3f2a1199", "resume", "3f2a1199");
	DRY("added: base image common\n", "image", "add", "common", "--vm=web", "--node=tower-a");
#undef DRY
	/* Without a question, as nothing can be lost. */
	fake_run(&f, "resolve", "3f2a1199", "--discard", "--on", "tower-a", "-n", NULL);
	assert_exit(f, CLI_OK);
	cr_assert(f.request->move_resolve->dry_run);
	assert_has(f.out, "would be settled: move 3f2a1199");
	fake_stop(&f);
}

static void is_not_there(struct fake *f, const char *file)
{
	struct stat st;

	cr_assert_eq(stat(fake_path(f, file), &st), -1, "%s", file);
}

Test(cli, a_dry_run_writes_no_keys)
{
	static const char key[] = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
	struct fake f;

	fake_start(&f, answer_nothing);
	fake_run(&f, "keys", "make", fake_path(&f, "k"), "-n", NULL);
	assert_exit(f, CLI_OK);
	assert_has(f.out, "would be made: a key in ");
	fake_run(&f, "keys", "device", "phone", fake_path(&f, "k"), "--to", fake_path(&f, "l"),
		 "-n", NULL);
	cr_assert_eq(strncmp(f.out, "would be made: a key of phone in ", 33), 0, "%s", f.out);
	fake_run(&f, "--days", "3", "keys", "token", "read", "me", "--to", fake_path(&f, "l"), "-n",
		 NULL);
	cr_assert_str_eq(f.out, "would be made: a token of me to read\n");
	fake_run(&f, "keys", "allow", "node", "b", key, "--to", fake_path(&f, "l"), "-n", NULL);
	cr_assert_str_eq(f.out, "would be allowed: b may speak as node\n");
	is_not_there(&f, "k");
	is_not_there(&f, "l");
	/* What would be refused is. */
	fake_write(&f, "k", "x");
	fake_run(&f, "keys", "make", fake_path(&f, "k"), "-n", NULL);
	assert_exit(f, CLI_FAILED);
	fake_run(&f, "keys", "device", "phone", fake_path(&f, "k"), "--to", fake_path(&f, "l"),
		 "-n", NULL);
	assert_exit(f, CLI_FAILED);
	fake_run(&f, "keys", "allow", "king", "b", key, "--to", fake_path(&f, "l"), "-n", NULL);
	assert_exit(f, CLI_FAILED);
	fake_stop(&f);
}

/* ---- Keys ------------------------------------------------------------------------- */

Test(cli, keys_are_made_shown_and_allowed)
{
	struct fake f;
	struct stat st;
	char key[KEY_TEXT_SIZE + 1];

	fake_start(&f, answer_nothing);
	fake_run(&f, "keys", "make", fake_path(&f, "new.key"), NULL);
	assert_exit(f, CLI_OK);
	cr_assert_eq(strlen(f.out), KEY_TEXT_SIZE); /* and a newline */
	snprintf(key, sizeof(key), "%.40s", f.out);
	cr_assert_eq(stat(fake_path(&f, "new.key"), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	fake_run(&f, "keys", "make", fake_path(&f, "new.key"), NULL);
	assert_exit(f, CLI_FAILED);
	fake_run(&f, "keys", "show", fake_path(&f, "new.key"), NULL);
	cr_assert_eq(strncmp(f.out, key, KEY_TEXT_SIZE - 1), 0);
	fake_write(&f, "allow", "# a list without a newline at its end");
	fake_run(&f, "keys", "allow", "node", "tower-c", key, "--to", fake_path(&f, "allow"), NULL);
	assert_exit(f, CLI_OK);
	{
		_cleanup_(allow_list_free_p) struct allow_list *list = NULL;

		cr_assert_eq(allow_list_load(fake_path(&f, "allow"), &list, NULL), 0);
		cr_assert_str_eq(allow_list_key_of(list, PEER_ROLE_NODE, "tower-c"), key);
	}
	fake_run(&f, "keys", "allow", "node", "tower-d", key, "--to", fake_path(&f, "allow"), NULL);
	assert_exit(f, CLI_FAILED);
	assert_has(f.err, "on the list already");
	fake_run(&f, "keys", "allow", "king", "tower-d", key, "--to", fake_path(&f, "allow"), NULL);
	assert_exit(f, CLI_FAILED);
	fake_run(&f, "keys", "allow", "node", "tower-d", key, NULL);
	assert_exit(f, CLI_USAGE);
	fake_stop(&f);
}

Test(cli, device_keys)
{
	struct fake f;
	struct stat st;
	char id[40];

	fake_start(&f, answer_nothing);
	fake_run(&f, "keys", "device", "phone", fake_path(&f, "phone.key"), "--to",
		 fake_path(&f, "devices"), NULL);
	assert_exit(f, CLI_OK);
	snprintf(id, sizeof(id), "%.36s", f.out);
	cr_assert_eq(uuid_parse(id, &(struct uuid){ 0 }), 0);
	cr_assert_eq(stat(fake_path(&f, "devices"), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(st.st_size, 36 + 1 + 5 + 1 + 64 + 1);
	cr_assert_eq(stat(fake_path(&f, "phone.key"), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(st.st_size, 64 + 1);
	fake_run(&f, "keys", "device", "phone", fake_path(&f, "phone.key"), "--to",
		 fake_path(&f, "devices"), NULL);
	assert_exit(f, CLI_FAILED);
	assert_has(f.err, "File exists");
	fake_run(&f, "keys", "device", "a b", "x", "--to", fake_path(&f, "devices"), NULL);
	assert_exit(f, CLI_USAGE);
	cr_assert_eq(stat(fake_path(&f, "devices"), &st), 0);
	cr_assert_eq(st.st_size, 36 + 1 + 5 + 1 + 64 + 1, "refused, and nothing was added");
	fake_stop(&f);
}
