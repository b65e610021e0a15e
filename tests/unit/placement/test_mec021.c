/* SPDX-License-Identifier: Apache-2.0
 *
 * Application mobility from the JSON that is asked to the JSON that is told, with a controller
 * between.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "placement/mec021.h"
#include "placement/mec021_json.h"
#include "tests/unit/placement/mec_client.h"

#define BODY(name) TAGALONG__ENVELOPE__BODY_##name

/* ---- Registrations ------------------------------------------------------------------------- */

Test(mec021, a_service_is_registered_changed_and_kept)
{
	struct harness h;
	struct answer a, b;
	char path[256], body[512], id[64];

	mec_setup(&h);
	snprintf(path, sizeof(path), "%s",
		 mec_add(&h, SERVICES,
			 WEB
			 "\"expiryTime\": 0, \"deviceInformation\": [{\"associateId\": " PHONE
			 ", \"appMobilityServiceLevel\": \"APP_MOBILITY_WITHOUT_CONFIRMATION\", "
			 "\"contextTransferState\": \"NOT_TRANSFERRED\"}]}"));
	snprintf(id, sizeof(id), "%s", strrchr(path, '/') + 1);
	cr_assert_eq(mec_http(&h, &a, "GET", path, NULL, NULL), 200);
	snprintf(body, sizeof(body),
		 "{\"appMobilityServiceId\":\"%s\",\"serviceConsumerId\":{\"appInstanceId\":"
		 "\"web\"},"
		 "\"deviceInformation\":[{\"associateId\":{\"type\":\"UE_IPv4_ADDRESS\",\"value\":"
		 "\"10.0.0.7\"},\"appMobilityServiceLevel\":\"APP_MOBILITY_WITHOUT_CONFIRMATION\","
		 "\"contextTransferState\":\"NOT_TRANSFERRED\"}],\"expiryTime\":0}",
		 id);
	cr_assert_str_eq(a.text, body);
	/* What was shown can be put. */
	cr_assert_eq(mec_http(&h, &b, "PUT", path, a.text, "\"2\""), 412, "%s", b.text);
	cr_assert_eq(mec_http(&h, &b, "PUT", path, a.text, "W/\"1\""), 412);
	cr_assert_eq(mec_http(&h, &b, "PUT", path, a.text, "\"7\", \"1\""), 200, "%s", b.text);
	cr_assert_str_eq(b.headers.etag, "\"2\"");
	cr_assert_eq(mec_http(&h, &b, "PUT", path, a.text, "*"), 200);
	cr_assert_eq(mec_http(&h, &b, "PUT", path, a.text, NULL), 200);
	harness_kill(&h);
	harness_start(&h);
	cr_assert_eq(mec_http(&h, &b, "GET", path, NULL, NULL), 200);
	cr_assert_str_eq(a.text, b.text);
	cr_assert_str_eq(b.headers.etag, "\"4\"");
	cr_assert_eq(mec_http(&h, &b, "GET", SERVICES, NULL, NULL), 200);
	cr_assert_eq(b.text[0], '[');
	snprintf(body, sizeof(body), "%s/deregister_task", path);
	cr_assert_eq(mec_http(&h, &b, "POST", body, NULL, NULL), 204);
	cr_assert_eq(mec_http(&h, &b, "GET", path, NULL, NULL), 404);
	cr_assert_eq(mec_http(&h, &b, "DELETE", path, NULL, NULL), 404);
	cr_assert_eq(mec_http(&h, &b, "PUT", path, a.text, NULL), 404);
	harness_kill(&h);
	harness_start(&h);
	cr_assert_eq(mec_http(&h, &b, "GET", SERVICES, NULL, NULL), 200);
	cr_assert_str_eq(b.text, "[]");
	harness_replay(&h);
	harness_close(&h);
}

Test(mec021, registrations_that_make_no_sense)
{
	struct harness h;
	char path[256], large[MEC021_RESOURCE_MAX + 200];
	int n;

	mec_setup(&h);
	mec_refused(&h, "POST", SERVICES, NULL, 400, "'serviceConsumerId' is missing");
	mec_refused(&h, "POST", SERVICES, "[]", 400, "an object");
	mec_refused(&h, "POST", SERVICES, "{\"serviceConsumerId\": {}}", 400, "one of");
	mec_refused(&h, "POST", SERVICES,
		    "{\"serviceConsumerId\": {\"appInstanceId\": \"a\", \"mepId\": \"b\"}}", 400,
		    "one of");
	mec_refused(&h, "POST", SERVICES, "{\"serviceConsumerId\": {\"appInstanceId\": 1}}", 400,
		    "a text");
	mec_refused(&h, "POST", SERVICES, "{\"serviceConsumerId\": {\"vm\": \"web\"}}", 400,
		    "no member 'vm'");
	mec_refused(&h, "POST", SERVICES, WEB "\"appMobilityServiceId\": \"x\"}", 400, "no member");
	mec_refused(&h, "POST", SERVICES, WEB "\"expiryTime\": -1}", 400, "whole number");
	mec_refused(&h, "POST", SERVICES, WEB "\"expiryTime\": 4294967296}", 400, "at most");
	mec_refused(&h, "POST", SERVICES, WEB "\"deviceInformation\": {}}", 400, "an array");
	mec_refused(&h, "POST", SERVICES, WEB "\"deviceInformation\": [{}]}", 400,
		    "'associateId' is missing");
	mec_refused(&h, "POST", SERVICES,
		    WEB "\"deviceInformation\": [{\"associateId\": {\"type\": \"UE_IPV4_ADDRESS\", "
			"\"value\": \"x\"}}]}",
		    400, "none of the choices");
	mec_refused(&h, "POST", SERVICES,
		    WEB
		    "\"deviceInformation\": [{\"associateId\": {\"type\": 1, \"value\": \"x\"}}]}",
		    400, "a text");
	n = snprintf(large, sizeof(large), "{\"serviceConsumerId\": {\"appInstanceId\": \"");
	memset(large + n, 'x', MEC021_RESOURCE_MAX);
	strcpy(large + n + MEC021_RESOURCE_MAX, "\"}}");
	mec_refused(&h, "POST", SERVICES, large, 400, "longer than");
	snprintf(path, sizeof(path), "%s",
		 mec_add(&h, SERVICES, "{\"serviceConsumerId\": {\"mepId\": \"m\"}}"));
	mec_refused(&h, "PUT", path, WEB "\"appMobilityServiceId\": \"another\"}", 400, "another");
	mec_refused(&h, "PUT", path, "{\"serviceConsumerId\": {\"mepId\": \"m\"}}", 400,
		    "is missing");
	mec_refused(&h, "GET", SERVICES "?filter=(eq,a,b)", NULL, 400, "no parameter 'filter'");
	mec_refused(&h, "GET", SERVICES "/nobody", NULL, 404, "there is no");
	harness_close(&h);
}

Test(mec021, no_more_than_so_many)
{
	static const char body[] = PROCEDURE CALLBACK "\"filterCriteria\": {}}";
	struct harness h;

	mec_setup(&h);
	for (int i = 0; i < MEC021_SUBSCRIPTIONS_MAX; i++)
		mec_add(&h, SUBSCRIPTIONS, body);
	mec_refused(&h, "POST", SUBSCRIPTIONS, body, 403, "no more are kept");
	harness_close(&h);
}

Test(mec021, registrations_expire)
{
	struct harness h;
	struct answer a;
	char path[256];

	mec_setup(&h);
	snprintf(path, sizeof(path), "%s", mec_add(&h, SERVICES, WEB "\"expiryTime\": 20}"));
	mec_add(&h, SERVICES, WEB "\"expiryTime\": 0}");
	harness_run(&h, 10 * SECOND);
	harness_kill(&h);
	harness_start(&h);
	cr_assert_eq(mec_http(&h, &a, "GET", path, NULL, NULL), 200);
	harness_run(&h, 12 * SECOND);
	cr_assert_eq(mec_http(&h, &a, "GET", path, NULL, NULL), 404);
	cr_assert_eq(harness_decided(&h, "deregister"), 1);
	harness_replay(&h);
	harness_close(&h);
}

/* ---- Subscriptions ------------------------------------------------------------------------- */

Test(mec021, a_subscription_is_made_changed_and_kept)
{
	struct harness h;
	struct answer a, b;
	char path[256], body[1024];

	mec_setup(&h);
	snprintf(path, sizeof(path), "%s",
		 mec_add(&h, SUBSCRIPTIONS,
			 PROCEDURE CALLBACK
			 "\"filterCriteria\": {\"appInstanceId\": \"web\", \"associateId\": [" PHONE
			 "]}, "
			 "\"expiryDeadline\": {\"seconds\": 1977836800, \"nanoSeconds\": 5}}"));
	cr_assert_eq(mec_http(&h, &a, "GET", path, NULL, NULL), 200);
	snprintf(body, sizeof(body),
		 "{\"_links\":{\"self\":{\"href\":\"https://main:7280%s\"}},\"subscriptionType\":"
		 "\"MobilityProcedureSubscription\",\"callbackReference\":\"http://app:81/cb\","
		 "\"filterCriteria\":{\"appInstanceId\":\"web\",\"associateId\":[{\"type\":"
		 "\"UE_IPv4_ADDRESS\",\"value\":\"10.0.0.7\"}],\"mobilityStatus\":"
		 "[\"INTERHOST_MOVEOUT_TRIGGERED\"]},\"expiryDeadline\":{\"seconds\":1977836800,"
		 "\"nanoSeconds\":5}}",
		 path);
	cr_assert_str_eq(a.text, body);
	cr_assert_eq(mec_http(&h, &b, "PUT", path, a.text, "\"9\""), 412);
	cr_assert_eq(mec_http(&h, &b, "PUT", path, a.text, "\"1\""), 200, "%s", b.text);
	harness_kill(&h);
	harness_start(&h);
	cr_assert_eq(mec_http(&h, &b, "GET", path, NULL, NULL), 200);
	cr_assert_str_eq(a.text, b.text);
	cr_assert_eq(
		mec_http(&h, &b, "GET", SUBSCRIPTIONS "?subscriptionType=adj_app_info", NULL, NULL),
		200);
	cr_assert_str_eq(b.text, "{\"_links\":{\"self\":{\"href\":\"https://main:7280" SUBSCRIPTIONS
				 "\"},\"subscription\":[]}}");
	cr_assert_eq(mec_http(&h, &b, "GET", SUBSCRIPTIONS "?subscriptionType=mobility_proc", NULL,
			      NULL),
		     200);
	cr_assert_not_null(strstr(b.text, path), "%s", b.text);
	mec_refused(&h, "GET", SUBSCRIPTIONS, NULL, 400, "'subscriptionType' is missing");
	mec_refused(&h, "GET", SUBSCRIPTIONS "?subscriptionType=all", NULL, 400,
		    "none of the choices");
	mec_refused(&h, "PUT", path,
		    PROCEDURE CALLBACK "\"filterCriteria\": {}, \"_links\": {\"self\": "
				       "{\"href\": \"/amsi/v1/subscriptions/x\"}}}",
		    400, "another one's");
	mec_refused(&h, "PUT", path,
		    "{\"subscriptionType\": \"AdjacentAppInfoSubscription\", " CALLBACK
		    "\"filterCriteria\": {}}",
		    400, "cannot change");
	cr_assert_eq(mec_http(&h, &b, "DELETE", path, NULL, NULL), 204);
	cr_assert_eq(mec_http(&h, &b, "GET", path, NULL, NULL), 404);
	harness_replay(&h);
	harness_close(&h);
}

Test(mec021, subscriptions_that_make_no_sense)
{
	static const struct {
		const char *url;
		bool good;
	} urls[] = {
		{ "https://host", true },
		{ "http://[2001:db8::1]:80/x?y=z", true },
		{ "ftp://host/", false },
		{ "http://", false },
		{ "http:///path", false },
		{ "http://:80/", false },
		{ "http://user:password@host/", false },
		{ "http://host/a b", false },
		{ "http://host/\\u00fc", false },
		{ "HTTP", false },
	};
	struct harness h;
	char body[512];

	mec_setup(&h);
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		snprintf(body, sizeof(body),
			 PROCEDURE "\"filterCriteria\": {}, \"callbackReference\": \"%s\"}",
			 urls[i].url);
		if (urls[i].good)
			mec_add(&h, SUBSCRIPTIONS, body);
		else
			mec_refused(&h, "POST", SUBSCRIPTIONS, body, 400,
				    "'callbackReference' is to be");
	}
	mec_refused(&h, "POST", SUBSCRIPTIONS, PROCEDURE "\"filterCriteria\": {}}", 400,
		    "'callbackReference' is missing");
	mec_refused(&h, "POST", SUBSCRIPTIONS, PROCEDURE CALLBACK "\"x\": 1}", 400,
		    "no member 'x'");
	mec_refused(&h, "POST", SUBSCRIPTIONS, PROCEDURE "\"callbackReference\": \"http://a/\"}",
		    400, "'filterCriteria' is missing");
	mec_refused(&h, "POST", SUBSCRIPTIONS,
		    PROCEDURE CALLBACK "\"filterCriteria\": {\"mobilityStatus\": [1]}}", 400,
		    "texts");
	mec_refused(&h, "POST", SUBSCRIPTIONS,
		    PROCEDURE CALLBACK "\"filterCriteria\": {\"mobilityStatus\": [\"MOVED\"]}}",
		    400, "none of the choices");
	mec_refused(&h, "POST", SUBSCRIPTIONS,
		    PROCEDURE CALLBACK "\"filterCriteria\": {}, \"_links\": {}}", 400, "no member");
	mec_refused(
		&h, "POST", SUBSCRIPTIONS,
		PROCEDURE CALLBACK
		"\"filterCriteria\": {}, \"expiryDeadline\": {\"seconds\": 1, \"nanoSeconds\": 0}}",
		422, "has passed");
	mec_refused(&h, "POST", SUBSCRIPTIONS,
		    PROCEDURE CALLBACK "\"filterCriteria\": {}, \"expiryDeadline\": {\"seconds\": "
				       "9223372036854775807, \"nanoSeconds\": 0}}",
		    400, "no instant");
	mec_refused(&h, "POST", SUBSCRIPTIONS,
		    PROCEDURE CALLBACK "\"filterCriteria\": {}, \"expiryDeadline\": {\"seconds\": "
				       "1977836800, \"nanoSeconds\": 1000000000}}",
		    400, "at most");
	mec_refused(
		&h, "POST", SUBSCRIPTIONS,
		PROCEDURE CALLBACK
		"\"filterCriteria\": {}, \"websockNotifConfig\": {\"requestWebsocketUri\": true}}",
		422, "websockets");
	mec_refused(&h, "POST", SUBSCRIPTIONS,
		    "{\"subscriptionType\": \"AdjacentAppInfoSubscription\", " CALLBACK
		    "\"filterCriteria\": {\"associateId\": [" PHONE "]}}",
		    400, "alone");
	harness_close(&h);
}

Test(mec021, a_subscription_expires_and_says_so)
{
	struct harness h;
	struct answer a;
	char path[256], body[512];

	mec_setup(&h);
	snprintf(body, sizeof(body),
		 PROCEDURE CALLBACK "\"filterCriteria\": {}, \"requestTestNotification\": true, "
				    "\"expiryDeadline\": {\"seconds\": %llu, \"nanoSeconds\": 0}}",
		 (unsigned long long)(h.utc_ns / SECOND + 5));
	snprintf(path, sizeof(path), "%s", mec_add(&h, SUBSCRIPTIONS, body));
	snprintf(
		body, sizeof(body),
		"{\"notificationType\":\"TestNotification\",\"_links\":{\"subscription\":{\"href\":"
		"\"https://main:7280%s\"}}}\n",
		path);
	cr_assert_str_eq(mec_told, body);
	mec_forget();
	harness_run(&h, 4 * SECOND);
	cr_assert_str_eq(mec_told, "");
	harness_run(&h, 3 * SECOND);
	cr_assert_eq(mec_n_told, 1);
	mec_saw("\"notificationType\":\"ExpiryNotification\",\"expiryDeadline\":{\"seconds\":");
	mec_saw("\"timeStamp\":{");
	cr_assert_eq(mec_http(&h, &a, "GET", path, NULL, NULL), 404);
	harness_run(&h, 3 * SECOND);
	cr_assert_eq(mec_n_told, 1);
	harness_replay(&h);
	harness_close(&h);
}

/* ---- Moves --------------------------------------------------------------------------------- */

#define ALL_STATUSES                                                                               \
	"\"mobilityStatus\": [\"INTERHOST_MOVEOUT_TRIGGERED\", \"INTERHOST_MOVEOUT_COMPLETED\", "  \
	"\"INTERHOST_MOVEOUT_FAILED\"]"

Test(mec021, a_move_is_told_from_order_to_end)
{
	const struct sent *s;
	struct harness h;

	mec_setup(&h);
	mec_subscribe(&h, ALL_STATUSES);
	s = mec_order(&h, "tower-b");
	cr_assert_eq(mec_n_told, 1);
	mec_saw("\"notificationType\":\"MobilityProcedureNotification\",\"associateId\":[{"
		"\"value\":"
		"\"phone\"}],"
		"\"mobilityStatus\":\"INTERHOST_MOVEOUT_TRIGGERED\",\"targetAppInfo\":{"
		"\"appInstanceId\":\"web\"}");
	move_progress(&h, "tower-a", s->e->move_order, TAGALONG__MOVE_STATE__MOVE_COPYING);
	cr_assert_eq(mec_n_told, 1);
	move_result(&h, "tower-a", s->e->move_order, TAGALONG__MOVE_STATE__MOVE_DONE);
	cr_assert_eq(mec_n_told, 2);
	mec_saw("INTERHOST_MOVEOUT_COMPLETED");
	move_result(&h, "tower-a", s->e->move_order, TAGALONG__MOVE_STATE__MOVE_DONE);
	cr_assert_eq(mec_n_told, 2);
	mec_forget();
	mec_see_client(&h, "tower-b", "10.0.0.7:862");
	s = mec_order(&h, "tower-a");
	mec_saw("\"associateId\":[{\"type\":\"UE_IPv4_ADDRESS\",\"value\":\"10.0.0.7\"}]");
	move_result(&h, "tower-b", s->e->move_order, TAGALONG__MOVE_STATE__MOVE_ABORTED);
	mec_saw("INTERHOST_MOVEOUT_FAILED");
	mec_forget();
	s = mec_order(&h, "tower-a");
	move_lost(&h, "tower-b", s->e->move_order);
	mec_saw("INTERHOST_MOVEOUT_FAILED");
	harness_replay(&h);
	harness_close(&h);
}

Test(mec021, only_who_asked_is_told)
{
	static const struct {
		const char *filter;
		bool told;
	} cases[] = {
		{ "", true },
		{ "\"mobilityStatus\": [\"INTERHOST_MOVEOUT_FAILED\"]", false },
		{ "\"appInstanceId\": \"web\"", true },
		{ "\"appInstanceId\": \"game\"", false },
		{ "\"appInstanceId\": \"server\"", true }, /* has registered for the phone */
		{ "\"associateId\": [{\"value\": \"phone\"}]", true },
		{ "\"associateId\": [{\"value\": \"tablet\"}]", false },
		{ "\"associateId\": [" PHONE "]", true },
		{ "\"associateId\": [{\"type\": \"GTP_TEID\", \"value\": \"10.0.0.7\"}]", false },
		{ "\"associateId\": [{\"type\": \"UE_IPV6_ADDRESS\", \"value\": \"::1\"}]", false },
		{ "\"associateId\": [{\"value\": \"tablet\"}, {\"value\": \"phone\"}]", true },
		{ "\"appInstanceId\": \"game\", \"associateId\": [{\"value\": \"phone\"}]", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct harness h;

		mec_setup(&h);
		mec_see_client(&h, "tower-a", "10.0.0.7:862");
		mec_add(&h, SERVICES,
			"{\"serviceConsumerId\": {\"appInstanceId\": \"server\"}, "
			"\"deviceInformation\": [{\"associateId\": " PHONE "}]}");
		mec_subscribe(&h, cases[i].filter);
		mec_order(&h, "tower-b");
		cr_assert_eq(mec_n_told, cases[i].told, "%s", cases[i].filter);
		harness_close(&h);
	}
}

Test(mec021, an_ipv6_address_in_any_form)
{
	struct harness h;

	mec_setup(&h);
	mec_see_client(&h, "tower-a", "[2001:db8::7]:862");
	mec_subscribe(&h, "\"associateId\": [{\"type\": \"UE_IPV6_ADDRESS\", \"value\": "
			  "\"2001:0db8:0::7\"}]");
	mec_subscribe(&h, "");
	mec_order(&h, "tower-b");
	cr_assert_eq(mec_n_told, 2);
	mec_saw("\"value\":\"2001:0db8:0::7\"");
	mec_saw("{\"type\":\"UE_IPV6_ADDRESS\",\"value\":\"2001:db8::7\"}");
	harness_close(&h);
}

Test(mec021, what_was_not_taken_is_told_again)
{
	const struct sent *s;
	struct harness h;
	char before[sizeof(mec_told)];

	mec_setup(&h);
	mec_subscribe(&h, ALL_STATUSES);
	s = mec_order(&h, "tower-b");
	strcpy(before, mec_told);
	mec_forget();
	harness_kill(&h);
	harness_start(&h);
	cr_assert_str_eq(mec_told, before);
	mec_deliver(&h, mec_last);
	mec_deliver(&h, mec_last); /* twice is once */
	mec_forget();
	node_hello(&h, "tower-a", 8 * GIB, "web");
	node_hello(&h, "tower-b", 8 * GIB, NULL);
	move_result(&h, "tower-a", s->e->move_order, TAGALONG__MOVE_STATE__MOVE_DONE);
	cr_assert_eq(mec_n_told, 1);
	mec_saw("INTERHOST_MOVEOUT_COMPLETED");
	mec_deliver(&h, mec_last);
	mec_forget();
	harness_kill(&h);
	harness_start(&h);
	cr_assert_str_eq(mec_told, "");
	harness_replay(&h);
	harness_close(&h);
}

/* Whoever takes nothing does not fill the store. */
Test(mec021, notices_that_nobody_takes)
{
	struct harness h;
	const struct sent *s;

	mec_setup(&h);
	mec_subscribe(&h, "");
	for (unsigned i = 0; i < MEC021_WAITING_MAX + 3; i++) {
		s = mec_order(&h, "tower-b");
		move_result(&h, "tower-a", s->e->move_order, TAGALONG__MOVE_STATE__MOVE_ABORTED);
	}
	cr_assert_eq(mec_n_told, MEC021_WAITING_MAX);
	cr_assert_eq(harness_decided(&h, "untold"), 3);
	harness_close(&h);
}

/* ---- Instances nearby ---------------------------------------------------------------------- */

static void hello_with(struct harness *h, const char *node, const char *const *vms, size_t n)
{
	Tagalong__NodeStatus status = TAGALONG__NODE_STATUS__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	Tagalong__VmInfo infos[4], *pointers[4];
	Tagalong__VmSpec specs[4];
	uint8_t incarnation[UUID_SIZE] = { 0 };

	for (size_t i = 0; i < n; i++) {
		tagalong__vm_spec__init(&specs[i]);
		tagalong__vm_info__init(&infos[i]);
		specs[i].name = (char *)vms[i];
		specs[i].machine = specs[i].cpu = specs[i].accelerator = (char *)"x";
		specs[i].base_image = (char *)(strcmp(vms[i], "other") == 0 ? "db" : "shop");
		specs[i].memory_bytes = GIB;
		specs[i].vcpus = 1;
		infos[i].spec = &specs[i];
		infos[i].state = TAGALONG__VM_STATE__VM_RUNNING;
		infos[i].incarnation = (ProtobufCBinaryData){ UUID_SIZE, incarnation };
		pointers[i] = &infos[i];
	}
	status.vms = pointers;
	status.n_vms = n;
	e.body_case = BODY(NODE_STATUS);
	e.node_status = &status;
	harness_receive(h, PEER_ROLE_NODE, node, 0, &e);
}

Test(mec021, instances_of_the_same_application_nearby)
{
	static const char *const at_a[] = { "web", "here" }, *const at_b[] = { "other", "shop-b" };
	struct harness h;
	struct answer a;
	const struct sent *s;

	mec_setup(&h);
	hello_with(&h, "tower-a", at_a, 2);
	hello_with(&h, "tower-b", at_b, 2);
	cr_assert_eq(mec_http(&h, &a, "GET", "/amsi/v1/queries/adjacent_app_instances", NULL, NULL),
		     200);
	cr_assert_str_eq(a.text, "[]");
	mec_add(&h, SERVICES,
		WEB "\"deviceInformation\": [{\"associateId\": {\"value\": \"phone\"}}]}");
	cr_assert_eq(mec_http(&h, &a, "GET", "/amsi/v1/queries/adjacent_app_instances", NULL, NULL),
		     200);
	cr_assert_str_eq(
		a.text,
		"[{\"appDId\":\"shop\",\"appInstanceId\":\"shop-b\",\"appInstanceCommLink\":[],"
		"\"mecHostInformation\":{\"hostName\":\"tower-b\",\"hostId\":{\"node\":"
		"{\"name\":\"tower-b\"}}},\"registeredInstanceId\":\"web\"}]");
	mec_add(&h, SUBSCRIPTIONS,
		"{\"subscriptionType\": \"AdjacentAppInfoSubscription\", " CALLBACK
		"\"filterCriteria\": {\"appInstanceId\": \"web\"}}");
	s = mec_order(&h, "tower-b");
	cr_assert_eq(mec_n_told, 0);
	hello_with(&h, "tower-b", (const char *const[]){ "other", "shop-b", "web" }, 3);
	move_result(&h, "tower-a", s->e->move_order, TAGALONG__MOVE_STATE__MOVE_DONE);
	cr_assert_eq(mec_n_told, 1);
	mec_saw("{\"notificationType\":\"AdjacentAppInfoNotification\",\"associateId\":[{\"value\":"
		"\"phone\"}],"
		"\"adjacentAppInfo\":[{\"appInstanceId\":\"here\",\"commInterface\":[]}]");
	harness_close(&h);
}

/* ---- Words --------------------------------------------------------------------------------- */

/* Each value has one, which rest_request.c counts on. */
Test(mec021, every_value_has_its_word)
{
	static const struct {
		const ProtobufCEnumDescriptor *e;
		const char *const *words;
	} tables[] = {
		{ &tagalong__associate_id__type__descriptor, mec021_identities },
		{ &tagalong__served_device__level__descriptor, mec021_levels },
		{ &tagalong__served_device__context__descriptor, mec021_contexts },
		{ &tagalong__mobility_status__descriptor, mec021_statuses },
		{ &tagalong__mobility_subscription__type__descriptor, mec021_subscription_types },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		unsigned n = 0;

		while (tables[i].words[n])
			n++;
		cr_assert_eq(n, tables[i].e->n_values, "%s", tables[i].e->name);
		for (n = 0; n < tables[i].e->n_values; n++)
			cr_assert_eq(tables[i].e->values[n].value, (int)n + 1);
	}
}
