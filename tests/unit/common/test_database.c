/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/database.h"

static const char *const migrations[] = {
	"CREATE TABLE t (a INTEGER)",
	"ALTER TABLE t ADD COLUMN b TEXT",
};

Test(database, schema_goes_up_and_never_down)
{
	char dir[] = "/tmp/test-database-XXXXXX", path[64];
	struct mg_error err = { 0 };
	sqlite3 *db;

	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/db", dir);
	cr_assert_eq(database_open(path, migrations, 1, &db, &err), 0, "%s", err.text);
	cr_assert_eq(database_exec(db, "INSERT INTO t VALUES (1)", &err), 0);
	database_close(db);
	cr_assert_eq(database_open(path, migrations, 2, &db, &err), 0, "%s", err.text);
	cr_assert_eq(database_exec(db, "UPDATE t SET b = 'x' WHERE a = 1", &err), 0, "%s", err.text);
	database_close(db);
	cr_assert_eq(database_open(path, migrations, 1, &db, &err), -EPROTONOSUPPORT);
	cr_assert_neq(database_open("/nonexistent/db", migrations, 2, &db, &err), 0);
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	cr_assert_eq(system(path), 0);
}
