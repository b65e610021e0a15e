/* SPDX-License-Identifier: Apache-2.0
 *
 * What application mobility does to decisions, and what other services of the standard say.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/placement/mec_client.h"

/* ---- What it does to decisions ------------------------------------------------------------- */

static void walk_away(struct harness *h)
{
	for (int i = 0; i < 60; i++) {
		node_rtt(h, "tower-a", &mec_phone, 40);
		node_rtt(h, "tower-b", &mec_phone, 5);
		harness_run(h, SECOND / 10);
	}
}

Test(mec012, a_service_may_want_to_be_asked_first)
{
	static const struct {
		const char *level;
		bool moves;
	} cases[] = {
		{ "APP_MOBILITY_NOT_ALLOWED", false },
		{ "APP_MOBILITY_WITH_CONFIRMATION", false },
		{ "APP_MOBILITY_WITHOUT_CONFIRMATION", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct harness h;
		char body[256];

		mec_setup(&h);
		snprintf(body, sizeof(body),
			 WEB "\"deviceInformation\": [{\"associateId\": {\"value\": \"phone\"}, "
			     "\"appMobilityServiceLevel\": \"%s\"}]}",
			 cases[i].level);
		mec_add(&h, SERVICES, body);
		walk_away(&h);
		cr_assert_eq(harness_decided(&h, " order "), cases[i].moves, "%s", h.decisions);
		cr_assert_eq(harness_decided(&h, " recommend "), !cases[i].moves);
		harness_replay(&h);
		harness_close(&h);
	}
}

#define CHANGE_PATH "/amsi/v1/notifications/mec012/cellChange"
#define CELL(id) "{\"plmn\": {\"mcc\": \"001\", \"mnc\": \"01\"}, \"cellId\": \"" id "\"}"
#define CHANGE(id, status, cell)                                                                   \
	"{\"notificationType\": \"CellChangeNotification\", \"associateId\": [{\"type\": 1, "      \
	"\"value\": \"" id "\"}], \"hoStatus\": " status                                           \
	", \"srcEcgi\": " CELL("A") ", \"trgEcgi\": [" CELL(cell) "]}"

Test(mec012, a_cell_change_calls_the_vm)
{
	static const char *const unheard[] = {
		CHANGE("phone", "2", "B"),  /* it has not happened yet */
		CHANGE("tablet", "3", "B"), /* who is that? */
		CHANGE("phone", "3", "C"),  /* where is that? */
	};
	struct harness h;
	struct answer a;

	mec_setup(&h);
	mec_see_client(&h, "tower-a", "10.0.0.7:862");
	harness_run(&h, 10 * SECOND);
	for (size_t i = 0; i < ARRAY_SIZE(unheard); i++)
		cr_assert_eq(mec_http(&h, &a, "POST", CHANGE_PATH, unheard[i], NULL), 204, "%s",
			     a.text);
	harness_run(&h, 2 * SECOND);
	cr_assert_eq(harness_decided(&h, " order "), 0);
	cr_assert_eq(mec_http(&h, &a, "POST", CHANGE_PATH, CHANGE("10.0.0.7", "3", "B"), NULL),
		     204);
	harness_run(&h, SECOND);
	cr_assert_eq(
		harness_decided(&h, "to=tower-b code=cell its device is in the cell of tower-b"), 1,
		"%s", h.decisions);
	harness_replay(&h);
	harness_close(&h);
}

/* It goes through the planner, which may say no; and a call is not for ever, but outlives a
 * restart. */
Test(mec012, a_call_is_heard_within_the_limits)
{
	struct harness h;
	struct answer a;

	mec_setup(&h);
	node_hello(&h, "tower-b", GIB / 2, NULL);
	cr_assert_eq(mec_http(&h, &a, "POST", CHANGE_PATH, CHANGE("phone", "3", "B"), NULL), 204);
	harness_run(&h, 3 * SECOND);
	cr_assert_eq(harness_decided(&h, " order "), 0);
	cr_assert_eq(harness_decided(&h, " refuse "), 1, "%s", h.decisions);
	harness_kill(&h);
	harness_start(&h);
	node_hello(&h, "tower-a", 8 * GIB, "web");
	node_hello(&h, "tower-b", 8 * GIB, NULL);
	harness_run(&h, 3 * SECOND);
	cr_assert_eq(harness_decided(&h, " order "), 1, "%s", h.decisions);
	harness_replay(&h);
	harness_close(&h);

	mec_setup(&h);
	node_hello(&h, "tower-b", GIB / 2, NULL);
	cr_assert_eq(mec_http(&h, &a, "POST", CHANGE_PATH, CHANGE("phone", "3", "B"), NULL), 204);
	harness_run(&h, 12 * SECOND);
	node_hello(&h, "tower-b", 8 * GIB, NULL);
	harness_run(&h, 3 * SECOND);
	cr_assert_eq(harness_decided(&h, " order "), 0, "%s", h.decisions);
	harness_close(&h);
}

Test(mec012, cell_changes_that_make_no_sense)
{
	struct harness h;

	mec_setup(&h);
	mec_refused(&h, "POST", CHANGE_PATH, "{}", 400, "is missing");
	mec_refused(&h, "POST", CHANGE_PATH, CHANGE("phone", "6", "B"), 400, "at most 5");
	mec_refused(&h, "POST", CHANGE_PATH, CHANGE("phone", "0", "B"), 400, "from 1 to 5");
	mec_refused(&h, "POST", CHANGE_PATH, CHANGE("phone", "\"3\"", "B"), 400, "whole number");
	mec_refused(&h, "POST", CHANGE_PATH,
		    "{\"notificationType\": \"RabEstNotification\", \"hoStatus\": 3, "
		    "\"srcEcgi\": " CELL("A") ", \"trgEcgi\": [" CELL("B") "]}",
		    400, "none of the choices");
	mec_refused(&h, "POST", CHANGE_PATH,
		    "{\"notificationType\": \"CellChangeNotification\", \"hoStatus\": 3, "
		    "\"srcEcgi\": " CELL("A") ", \"trgEcgi\": []}",
		    400, "to have a cell");
	mec_refused(&h, "POST", CHANGE_PATH,
		    "{\"notificationType\": \"CellChangeNotification\", \"hoStatus\": 3, "
		    "\"srcEcgi\": " CELL("A") ", \"trgEcgi\": [" CELL("B") "," CELL("C") "]}",
		    400, "one target");
	harness_close(&h);
}

#define TERMINATION_PATH "/amsi/v1/notifications/mec011/appTermination"
#define TERMINATION(action, href)                                                                  \
	"{\"notificationType\": \"AppTerminationNotification\", \"operationAction\": \"" action    \
	"\", \"maxGracefulTimeout\": 10, \"_links\": {\"subscription\": {\"href\": \"" href        \
	"\"}}}"

Test(mec012, what_belongs_to_an_instance_goes_with_it)
{
	struct harness h;
	struct answer a;

	mec_setup(&h);
	mec_add(&h, SERVICES, WEB "\"expiryTime\": 0}");
	mec_subscribe(&h, "\"appInstanceId\": \"web\"");
	mec_refused(&h, "POST", TERMINATION_PATH, TERMINATION("TERMINATING", "http://p/x"), 400,
		    "no application");
	mec_refused(&h, "POST", TERMINATION_PATH, TERMINATION("TERMINATING", "/applications/"), 400,
		    "no application");
	mec_refused(&h, "POST", TERMINATION_PATH, TERMINATION("ENDING", "/applications/web"), 400,
		    "none of the choices");
	cr_assert_eq(
		mec_http(&h, &a, "POST", TERMINATION_PATH,
			 TERMINATION("TERMINATING", "http://p/v1/applications/we/subscriptions/1"),
			 NULL),
		204);
	cr_assert_eq(
		mec_http(&h, &a, "POST", TERMINATION_PATH,
			 TERMINATION("STOPPING", "http://p/v1/applications/web/subscriptions/1"),
			 NULL),
		204);
	mec_order(&h, "tower-b");
	cr_assert_eq(mec_n_told, 1);
	cr_assert_eq(
		mec_http(&h, &a, "POST", TERMINATION_PATH,
			 TERMINATION("TERMINATING", "http://p/v1/applications/web/subscriptions/1"),
			 NULL),
		204);
	cr_assert_eq(mec_http(&h, &a, "GET", SERVICES, NULL, NULL), 200);
	cr_assert_str_eq(a.text, "[]");
	cr_assert_eq(mec_http(&h, &a, "GET", SUBSCRIPTIONS "?subscriptionType=mobility_proc", NULL,
			      NULL),
		     200);
	cr_assert_not_null(strstr(a.text, "\"subscription\":[]"));
	harness_replay(&h);
	harness_close(&h);
}
