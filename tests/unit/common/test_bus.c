/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <zmq.h>

#include "common/bus.h"
#include "common/clock.h"

struct fixture {
	sd_event *loop;
	struct keypair server_keys, client_keys;
	struct allow_list *allow;
	struct bus *server, *client;
	struct bus_socket *router, *dealer;
	unsigned requests, dones, failures;
	enum peer_role role;
	char name[PEER_NAME_SIZE], failure[256];
};

static void on_request(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
		       void *userdata)
{
	struct fixture *f = userdata;

	f->requests++;
	f->role = from->role;
	strcpy(f->name, from->name);
	bus_reply_done(s, from, e);
}

static void on_reply(struct bus_socket *s, const struct bus_peer *from, const Envelope *e,
		     void *userdata)
{
	struct fixture *f = userdata;

	(void)s;
	cr_assert_null(from);
	if (e->body_case == TAGALONG__ENVELOPE__BODY_DONE)
		f->dones++;
	if (e->body_case == TAGALONG__ENVELOPE__BODY_FAILURE) {
		f->failures++;
		snprintf(f->failure, sizeof(f->failure), "%s", e->failure->text);
	}
}

static void setup(struct fixture *f, const char *client_name, bool admitted)
{
	struct mg_error err = { 0 };
	struct keypair stranger;
	char list[256];

	*f = (struct fixture){ 0 };
	cr_assert_eq(sd_event_new(&f->loop), 0);
	cr_assert_eq(keypair_generate(&f->server_keys), 0);
	cr_assert_eq(keypair_generate(&f->client_keys), 0);
	cr_assert_eq(keypair_generate(&stranger), 0);
	snprintf(list, sizeof(list), "node tower-a %s",
		 admitted ? f->client_keys.public_key : stranger.public_key);
	cr_assert_eq(allow_list_parse(list, strlen(list), &f->allow, &err), 0);
	cr_assert_eq(bus_new(f->loop, &(struct bus_config){ "main", &f->server_keys, f->allow },
			     &f->server, &err), 0);
	cr_assert_eq(bus_new(f->loop, &(struct bus_config){ client_name, &f->client_keys },
			     &f->client, &err), 0);
	cr_assert_eq(bus_listen(f->server, BUS_ROUTER, "tcp://127.0.0.1:*", on_request, f,
				&f->router, &err), 0, "%s", err.text);
	cr_assert_eq(bus_connect(f->client, BUS_DEALER, bus_endpoint(f->router),
				 f->server_keys.public_key, on_reply, f, &f->dealer, &err), 0);
}

static void teardown(struct fixture *f)
{
	bus_free(f->client);
	bus_free(f->server);
	allow_list_free(f->allow);
	sd_event_unref(f->loop);
}

/* Runs the loop until *counter reaches n, or for a while. */
static bool run_until(struct fixture *f, const unsigned *counter, unsigned n, uint64_t timeout_ms)
{
	uint64_t end = clock_mono_ns() + timeout_ms * NS_PER_MS;

	while (*counter < n && clock_mono_ns() < end)
		sd_event_run(f->loop, 10000);
	return *counter >= n;
}

static bool send_when_connected(struct fixture *f)
{
	for (int i = 0; i < 300; i++) {
		Tagalong__NodeQuery query = TAGALONG__NODE_QUERY__INIT;
		Envelope e = TAGALONG__ENVELOPE__INIT;

		e.body_case = TAGALONG__ENVELOPE__BODY_NODE_QUERY;
		e.node_query = &query;
		if (bus_send(f->dealer, NULL, &e) > 0)
			return true;
		sd_event_run(f->loop, 10000);
	}
	return false;
}

Test(bus, request_and_reply_with_the_authenticated_name)
{
	struct fixture f;

	setup(&f, "tower-a", true);
	for (unsigned i = 1; i <= 1000; i++) {
		cr_assert(send_when_connected(&f));
		if (i % 100 == 0)
			cr_assert(run_until(&f, &f.dones, i, 5000), "%u of %u", f.dones, i);
	}
	cr_assert_eq(f.requests, 1000);
	cr_assert_eq(f.role, PEER_ROLE_NODE);
	cr_assert_str_eq(f.name, "tower-a");
	teardown(&f);
}

Test(bus, an_unknown_key_never_gets_through)
{
	struct fixture f;

	setup(&f, "tower-a", false);
	cr_assert_not(send_when_connected(&f));
	cr_assert_eq(f.requests, 0);
	teardown(&f);
}

/* One more key on the list, or only that one. */
static void other_list(struct fixture *f, bool with_the_client)
{
	struct allow_list *allow;
	struct keypair other;
	struct mg_error err;
	char list[256];

	cr_assert_eq(keypair_generate(&other), 0);
	snprintf(list, sizeof(list), "node tower-b %s\nnode tower-a %s\n", other.public_key,
		 f->client_keys.public_key);
	if (!with_the_client)
		*(strchr(list, '\n') + 1) = '#';
	cr_assert_eq(allow_list_parse(list, strlen(list), &allow, &err), 0);
	bus_set_allow(f->server, allow);
	allow_list_free(f->allow);
	f->allow = allow;
}

Test(bus, a_key_that_is_taken_off_the_list_is_heard_no_longer)
{
	struct fixture f;

	setup(&f, "tower-a", true);
	cr_assert(send_when_connected(&f));
	cr_assert(run_until(&f, &f.dones, 1, 30000));
	other_list(&f, true);
	cr_assert(send_when_connected(&f));
	cr_assert(run_until(&f, &f.dones, 2, 30000));
	other_list(&f, false);
	cr_assert(send_when_connected(&f));
	cr_assert(run_until(&f, &f.failures, 1, 30000));
	cr_assert_str_eq(f.failure, "this key may not speak here any more");
	cr_assert_eq(f.requests, 2);
	/* And it may again. */
	other_list(&f, true);
	cr_assert(send_when_connected(&f));
	cr_assert(run_until(&f, &f.dones, 3, 30000));
	teardown(&f);
}

Test(bus, a_key_that_is_put_on_the_list_gets_through)
{
	struct fixture f;

	setup(&f, "tower-a", false);
	other_list(&f, true);
	cr_assert(send_when_connected(&f));
	cr_assert(run_until(&f, &f.dones, 1, 30000));
	teardown(&f);
}

Test(bus, a_name_that_is_not_the_keys_is_refused)
{
	struct fixture f;

	setup(&f, "tower-b", true);
	cr_assert(send_when_connected(&f));
	cr_assert(run_until(&f, &f.failures, 1, 5000));
	cr_assert_str_eq(f.failure, "sender 'tower-b' is not the owner of this key (tower-a)");
	cr_assert_eq(f.requests, 0);
	teardown(&f);
}

Test(bus, bytes_that_are_no_message_get_a_clear_answer)
{
	struct fixture f;

	setup(&f, "tower-a", true);
	cr_assert(send_when_connected(&f));
	cr_assert(run_until(&f, &f.dones, 1, 5000));
	/* Past our own packing: a raw socket with the same keys. */
	{
		void *ctx = zmq_ctx_new(), *raw = zmq_socket(ctx, ZMQ_DEALER);
		char reply[512];
		int timeout = 100, n = -1;

		zmq_setsockopt(raw, ZMQ_CURVE_SERVERKEY, f.server_keys.public_key, KEY_TEXT_SIZE);
		zmq_setsockopt(raw, ZMQ_CURVE_PUBLICKEY, f.client_keys.public_key, KEY_TEXT_SIZE);
		zmq_setsockopt(raw, ZMQ_CURVE_SECRETKEY, f.client_keys.secret_key, KEY_TEXT_SIZE);
		zmq_setsockopt(raw, ZMQ_RCVTIMEO, &timeout, sizeof(timeout));
		zmq_connect(raw, bus_endpoint(f.router));
		zmq_send(raw, "garbage", 7, 0);
		for (int i = 0; i < 50 && n < 0; i++) {
			sd_event_run(f.loop, 10000);
			n = zmq_recv(raw, reply, sizeof(reply), 0);
		}
		cr_assert_gt(n, 0);
		_cleanup_envelope_ Envelope *e = envelope_unpack(reply, (size_t)n, NULL);
		cr_assert_not_null(e);
		cr_assert_str_eq(e->failure->text, "7 bytes that are no control message");
		zmq_close(raw);
		zmq_ctx_term(ctx);
	}
	cr_assert_eq(f.requests, 1);
	teardown(&f);
}
