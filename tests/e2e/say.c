/* SPDX-License-Identifier: Apache-2.0
 *
 * Says one thing to a migratord and prints the answer: what the migrator command
 * cannot be made to say (a stale epoch, a repeated move, another's words).
 *
 *     say KEYFILE NAME SERVER_KEY ENDPOINT order MOVE VM TARGET TARGET_ENDPOINT TARGET_KEY [EPOCH]
 *     say … commit|abort|query MOVE
 *     say … garbage | huge
 *
 * Prints "done", "failure ERRNO TEXT", "state N", or "silence" after two seconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "common/envelope.h"
#include "common/keys.h"
#include "common/uuid.h"

#define PATIENCE_MS 2000

static void die(const char *what)
{
	fprintf(stderr, "say: %s\n", what);
	exit(1);
}

static void *connect_to(char **argv)
{
	struct keypair keys;
	struct mg_error err = { 0 };
	void *socket = zmq_socket(zmq_ctx_new(), ZMQ_DEALER);
	int patience = PATIENCE_MS, linger = 0;

	if (keypair_load(argv[1], &keys, &err) < 0)
		die(err.text);
	zmq_setsockopt(socket, ZMQ_RCVTIMEO, &patience, sizeof(patience));
	zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof(linger));
	zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, argv[3], KEY_TEXT_SIZE);
	zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys.public_key, KEY_TEXT_SIZE);
	zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys.secret_key, KEY_TEXT_SIZE);
	if (zmq_connect(socket, argv[4]) < 0)
		die("cannot connect");
	return socket;
}

static void send_envelope(void *socket, Envelope *e, char *name)
{
	static struct uuid boot = { { 1 } };
	uint8_t *data;
	size_t len;

	e->version = ENVELOPE_VERSION;
	e->sender = name;
	e->boot_id = (ProtobufCBinaryData){ UUID_SIZE, boot.bytes };
	e->seq = 1;
	if (envelope_pack(e, &data, &len) < 0 || zmq_send(socket, data, len, 0) < 0)
		die("cannot send");
	free(data);
}

static void say_order(void *socket, char *name, int n, char **word)
{
	Tagalong__MoveOrder order = TAGALONG__MOVE_ORDER__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	struct uuid move;

	if (n < 6 || uuid_parse(word[1], &move) < 0)
		die("order MOVE VM TARGET TARGET_ENDPOINT TARGET_KEY [EPOCH]");
	order.move = (ProtobufCBinaryData){ UUID_SIZE, move.bytes };
	order.vm = word[2];
	order.target = word[3];
	order.target_endpoint = word[4];
	order.target_public_key = word[5];
	if (n > 6) {
		e.has_epoch = true;
		e.epoch = strtoull(word[6], NULL, 10);
	}
	e.body_case = TAGALONG__ENVELOPE__BODY_MOVE_ORDER;
	e.move_order = &order;
	send_envelope(socket, &e, name);
}

static void say_word(void *socket, char *name, char **word)
{
	Tagalong__PeerCommit commit = TAGALONG__PEER_COMMIT__INIT;
	Tagalong__PeerAbort abort = TAGALONG__PEER_ABORT__INIT;
	Tagalong__PeerQuery query = TAGALONG__PEER_QUERY__INIT;
	Envelope e = TAGALONG__ENVELOPE__INIT;
	struct uuid move;

	if (!word[1] || uuid_parse(word[1], &move) < 0)
		die("commit|abort|query MOVE");
	commit.move = (ProtobufCBinaryData){ UUID_SIZE, move.bytes };
	abort.move = query.move = commit.move;
	if (strcmp(word[0], "commit") == 0) {
		e.body_case = TAGALONG__ENVELOPE__BODY_PEER_COMMIT;
		e.peer_commit = &commit;
	} else if (strcmp(word[0], "abort") == 0) {
		e.body_case = TAGALONG__ENVELOPE__BODY_PEER_ABORT;
		e.peer_abort = &abort;
	} else {
		e.body_case = TAGALONG__ENVELOPE__BODY_PEER_QUERY;
		e.peer_query = &query;
	}
	send_envelope(socket, &e, name);
}

static void say_bytes(void *socket, size_t len)
{
	char *bytes = malloc(len);

	if (!bytes)
		die("out of memory");
	memset(bytes, 0xa5, len);
	zmq_send(socket, bytes, len, 0);
	free(bytes);
}

static void print_answer(void *socket)
{
	struct mg_error err = { 0 };
	zmq_msg_t msg;
	Envelope *e;

	zmq_msg_init(&msg);
	if (zmq_msg_recv(&msg, socket, 0) < 0) {
		puts("silence");
		return;
	}
	e = envelope_unpack(zmq_msg_data(&msg), zmq_msg_size(&msg), &err);
	if (!e)
		die(err.text);
	if (e->body_case == TAGALONG__ENVELOPE__BODY_FAILURE)
		printf("failure %d %s\n", e->failure->code, e->failure->text);
	else if (e->body_case == TAGALONG__ENVELOPE__BODY_PEER_STATE)
		printf("state %d\n", (int)e->peer_state->stage);
	else
		puts(envelope_body_name(e));
	envelope_free(e);
	zmq_msg_close(&msg);
}

int main(int argc, char **argv)
{
	void *socket;

	if (argc < 6)
		die("usage: say KEYFILE NAME SERVER_KEY ENDPOINT WORD...");
	socket = connect_to(argv);
	if (strcmp(argv[5], "order") == 0)
		say_order(socket, argv[2], argc - 5, argv + 5);
	else if (strcmp(argv[5], "garbage") == 0)
		say_bytes(socket, 100);
	else if (strcmp(argv[5], "huge") == 0)
		say_bytes(socket, ENVELOPE_MAX + 1);
	else
		say_word(socket, argv[2], argv + 5);
	print_answer(socket);
	return 0;
}
