/* sqlite_priv.h - what the files of the SQLite back end share. */
#pragma once
#include "db/db_priv.h"

#include <sqlite3.h>

struct db_sqlite_conn {
    sqlite3 *h;
    char *path;
    int patience;
};

int db_sqlite_open(const char *where, unsigned flags, void **out, struct err *e);
void db_sqlite_close(void *conn);

/* Turns a result code of SQLite into ours, with the path, what was done and why it failed. */
int db_sqlite_fail(const struct db_sqlite_conn *c, int rc, const char *what, struct err *e);

int db_sqlite_exec(struct db_sqlite_conn *c, const char *sql, struct err *e);
void db_sqlite_finalize(sqlite3_stmt **s);
/* The first column of the first row; a text is "" without a row or for NULL. */
int db_sqlite_one_text(struct db_sqlite_conn *c, const char *sql, struct buf *out, struct err *e);
int db_sqlite_one_int(struct db_sqlite_conn *c, const char *sql, int64_t *out, struct err *e);
