/* db_priv.h - the boundary between the common part and one database.
 *
 * db.c keeps statements by their text, checks values, counts transactions and retries; a back end
 * does only what differs. A second one is one file with one const struct db_ops, named in the table
 * of db_open(). */
#pragma once
#include "base/buf.h"
#include "db/db.h"

enum db_begin { DB_BEGIN_WRITE, DB_BEGIN_READ };

struct db_ops {
    const char *name, *prefix; /* of what db_open() is given; NULL takes all that is left */

    int (*open)(const char *where, unsigned flags, void **conn, struct err *e);
    void (*close)(void *conn);
    void (*patience)(void *conn, int milliseconds);

    /* `sql` is one statement with $n. run() copies the values and starts it; step() is 1 for a row,
     * 0 at the end; reset() makes it ready for another run. */
    int (*prepare)(void *conn, const char *sql, void **stmt, struct err *e);
    int (*run)(void *conn, void *stmt, struct db_args args, struct err *e);
    int (*step)(void *conn, void *stmt, struct err *e);
    void (*reset)(void *stmt);
    void (*drop)(void *stmt);
    /* A text is followed by a NUL. Borrowed until the next step, reset or drop. */
    struct db_value (*column)(void *stmt, int col);
    int64_t (*changes)(void *conn);

    /* begin() does not wait: ERR_UNAVAIL while another holds the lock. */
    int (*begin)(void *conn, enum db_begin how, struct err *e);
    int (*commit)(void *conn, struct err *e);
    void (*rollback)(void *conn);
    bool (*in_tx)(void *conn); /* false too once the database gave the transaction up itself */

    int (*script)(void *conn, const char *sql, struct err *e); /* several statements, no values */
    int (*vet)(void *conn, struct err *e); /* after a migration: is every table as we want it? */
    int (*check)(void *conn, struct err *e);
    int (*checkpoint)(void *conn, struct err *e);
    int (*copy)(void *conn, const char *path, struct err *e);
};

extern const struct db_ops db_sqlite;

bool db_read_only(const struct db *db);
int db_script(struct db *db, const char *sql, struct err *e);
int db_vet(struct db *db, struct err *e);

/* Appends `sql` with every $n outside of literals, quoted names and comments written as ?n. Other
 * kinds of placeholder are ERR_BUG: no other database would understand them. */
int db_number_placeholders(const char *sql, struct buf *out, struct err *e);
