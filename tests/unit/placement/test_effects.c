/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "placement/effects.h"

struct world {
	char text[4096]; /* what left, in order */
};

static void on_send(void *userdata, const struct bus_peer *to, uint64_t request, Envelope *e)
{
	struct world *w = userdata;

	sprintf(w->text + strlen(w->text), "%s:%s:%u:%u ", to->name, envelope_body_name(e),
		(unsigned)request, (unsigned)e->epoch);
	e->sender = (char *)"not from the heap";
}

static void on_decision(void *userdata, const char *line)
{
	struct world *w = userdata;

	sprintf(w->text + strlen(w->text), "[%s] ", line);
}

static const struct bus_peer alice = { .name = "alice", .route = "x", .route_len = 1 };

static uint64_t now(void *userdata)
{
	(void)userdata;
	return 1;
}

static int nothing(const struct store_entry *e, void *userdata)
{
	(void)e, (void)userdata;
	return 0;
}

Test(effects, leave_only_after_they_are_stored)
{
	struct world w = { 0 };
	const struct environment env = { .userdata = &w, .send = on_send, .decision = on_decision };
	Tagalong__Placement__EpochEntry entry = TAGALONG__PLACEMENT__EPOCH_ENTRY__INIT;
	struct store_compare fence = { "epoch", 7 };
	struct effects fx;
	struct store *s;
	struct mg_error err;

	cr_assert_eq(store_sqlite_open(":memory:", now, NULL, &s, &err), 0);
	effects_init(&fx);
	fx.epoch = 3;
	fx.now_utc_ns = UINT64_C(1763698928123456789);
	effects_put(&fx, "a", &entry.base);
	effects_reply_done(&fx, &alice, 9);
	effects_decide(&fx, "order", "vm=%s text=%s", "web", "two\nlines");
	effects_reply_failure(&fx, &alice, 9, -ENOENT, "no %s", "luck");
	cr_assert_eq(effects_commit(&fx, s, &fence, &err), -ESTALE);
	cr_assert_eq(store_get(s, "a", nothing, NULL, NULL), -ENOENT);
	cr_assert_str_eq(w.text, "");
	fence.mod_revision = 0;
	cr_assert_eq(effects_commit(&fx, s, &fence, &err), 0);
	cr_assert_eq(store_get(s, "a", nothing, NULL, NULL), 0);
	effects_release(&fx, &env);
	cr_assert_str_eq(w.text, "[2025-11-21T04:22:08.123456789Z order vm=web text=two lines] "
				 "alice:done:0:3 alice:failure:0:3 ");
	w.text[0] = 0;
	effects_release(&fx, &env);
	cr_assert_str_eq(w.text, "", "once");
	effects_clear(&fx);
	store_free(s);
}

Test(effects, who_has_no_route_gets_nothing)
{
	const struct bus_peer nowhere = { .name = "bob" };
	struct world w = { 0 };
	const struct environment env = { .userdata = &w, .send = on_send, .decision = on_decision };
	struct effects fx;

	effects_init(&fx);
	effects_reply_done(&fx, &nowhere, 1);
	effects_release(&fx, &env);
	cr_assert_str_eq(w.text, "");
	cr_assert_eq(effects_request(&fx), 1);
	cr_assert_eq(effects_request(&fx), 2);
	effects_clear(&fx);
}

Test(effects, a_decision_is_one_line_however_long)
{
	struct world w = { 0 };
	const struct environment env = { .userdata = &w, .send = on_send, .decision = on_decision };
	char text[3000];
	struct effects fx;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	effects_init(&fx);
	effects_decide(&fx, "result", "failure=%s", text);
	effects_release(&fx, &env);
	cr_assert_eq(strlen(w.text), 1023 + 3);
	effects_clear(&fx);
}
