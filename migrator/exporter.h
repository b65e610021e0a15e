/* SPDX-License-Identifier: Apache-2.0
 *
 * A node's figures for Prometheus: GET /metrics. migratord(8) lists them.
 */
#ifndef MIGRATOR_EXPORTER_H
#define MIGRATOR_EXPORTER_H

#include "common/http.h"
#include "migrator/move.h"

struct exporter;

/* The node is borrowed, and must be open. */
int exporter_new(struct node *n, const struct address *listen, struct exporter **ret,
		 struct mg_error *err);
void exporter_free(struct exporter *x);

/* Where it listens. */
const struct address *exporter_local(const struct exporter *x);

/* A move is over. `x` NULL: nobody counts. */
void exporter_note_move(struct exporter *x, const MoveInfo *info, bool incoming);

#endif
