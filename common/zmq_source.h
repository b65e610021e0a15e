/* SPDX-License-Identifier: Apache-2.0
 *
 * A ZeroMQ socket as an sd-event source.
 *
 * ZMQ_FD is a hint with the semantics of an edge: it becomes readable when the
 * socket's state *may* have changed, and a send or receive may consume that
 * edge. So readiness is asked with ZMQ_EVENTS, after every call on the socket;
 * here that is done before the loop sleeps (a prepare callback), which covers
 * sends made anywhere else in the same iteration.
 */
#ifndef COMMON_ZMQ_SOURCE_H
#define COMMON_ZMQ_SOURCE_H

#include <systemd/sd-event.h>

struct zmq_source;

/* Called while the socket is readable; receives what there is with
 * ZMQ_DONTWAIT, one message or many. */
typedef void (*zmq_ready_fn)(void *zmq_socket, void *userdata);

int zmq_source_new(sd_event *loop, void *zmq_socket, zmq_ready_fn fn, void *userdata,
		   struct zmq_source **ret);
void zmq_source_free(struct zmq_source *s);

#endif
