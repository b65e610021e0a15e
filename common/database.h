/* SPDX-License-Identifier: Apache-2.0
 *
 * What every SQLite database of ours has in common. SQL itself stays in the
 * file that owns the tables.
 */
#ifndef COMMON_DATABASE_H
#define COMMON_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "common/error.h"

/* Opens or creates `path` in WAL mode and brings its schema up to date:
 * `migrations[i]` takes it from version i to i+1 (PRAGMA user_version), each in
 * one transaction. A database of a newer version is refused (-EPROTONOSUPPORT).
 * Committed writes survive kill -9 at once; to survive a power loss too they
 * must be made durable, see below. */
int database_open(const char *path, const char *const *migrations, int n_migrations,
		  sqlite3 **ret, struct mg_error *err);
void database_close(sqlite3 *db);

/* Whether the transactions that follow are synced to the disk when they end.
 * Off at first. */
int database_set_durable(sqlite3 *db, bool durable);

/* Runs SQL without parameters or results. */
int database_exec(sqlite3 *db, const char *sql, struct mg_error *err);

/* Fills *err from the database's last error and returns a negative errno. */
int database_error(sqlite3 *db, struct mg_error *err, const char *what);

#endif
