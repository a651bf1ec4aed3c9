#include "db/sqlite_priv.h"

static int sys_of(const struct db_sqlite_conn *c, int rc)
{
    int sys = sqlite3_system_errno(c->h);
    return rc == SQLITE_FULL ? ENOSPC : sys != 0 ? sys : EIO;
}

static int code_of(int rc)
{
    static const struct {
        int rc, code;
    } table[] = {
        {SQLITE_BUSY, ERR_UNAVAIL},      {SQLITE_LOCKED, ERR_UNAVAIL},
        {SQLITE_INTERRUPT, ERR_UNAVAIL}, {SQLITE_PROTOCOL, ERR_UNAVAIL},
        {SQLITE_ABORT, ERR_UNAVAIL},     {SQLITE_CONSTRAINT, ERR_CONFLICT},
        {SQLITE_CORRUPT, ERR_FORMAT},    {SQLITE_NOTADB, ERR_FORMAT},
        {SQLITE_FULL, ERR_SYS},          {SQLITE_IOERR, ERR_SYS},
        {SQLITE_CANTOPEN, ERR_SYS},      {SQLITE_READONLY, ERR_DENIED},
        {SQLITE_PERM, ERR_DENIED},       {SQLITE_AUTH, ERR_DENIED},
        {SQLITE_NOMEM, ERR_NOMEM},       {SQLITE_TOOBIG, ERR_LIMIT},
    };
    if (rc == SQLITE_CONSTRAINT_DATATYPE) {
        return ERR_BUG; /* a text in an INTEGER column: our mistake, not the data's */
    }
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].rc == (rc & 0xff)) {
            return table[i].code;
        }
    }
    return ERR_BUG;
}

int db_sqlite_fail(const struct db_sqlite_conn *c, int rc, const char *what, struct err *e)
{
    int code = code_of(rc);
    const char *why = sqlite3_errmsg(c->h);
    switch (code) {
    case ERR_UNAVAIL:
        return err_set(e, code, "database %s: %.80s: %s; another process holds it, try again",
                       c->path, what, why);
    case ERR_FORMAT:
        return err_set(e, code, "database %s: %s: run `cordon doctor`, which can rebuild it",
                       c->path, why);
    case ERR_SYS:
        return err_at(e, code, sys_of(c, rc), __FILE__, __LINE__, "database %s: %.80s: %s", c->path,
                      what, why);
    default:
        return err_set(e, code, "database %s: %.80s: %s", c->path, what, why);
    }
}

int db_sqlite_exec(struct db_sqlite_conn *c, const char *sql, struct err *e)
{
    int rc = sqlite3_exec(c->h, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : db_sqlite_fail(c, rc, sql, e);
}

void db_sqlite_finalize(sqlite3_stmt **s)
{
    sqlite3_finalize(*s);
    *s = NULL;
}

/* The first column of the first row as a text of ours; "" without a row. */
int db_sqlite_one_text(struct db_sqlite_conn *c, const char *sql, struct buf *out, struct err *e)
{
    CLEANUP(db_sqlite_finalize) sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(c->h, sql, -1, &s, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(s);
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return db_sqlite_fail(c, rc, sql, e);
    }
    if (rc == SQLITE_ROW && sqlite3_column_text(s, 0) != NULL) {
        buf_str(out, (const char *)sqlite3_column_text(s, 0));
    }
    return buf_done(out, sql, e);
}

int db_sqlite_one_int(struct db_sqlite_conn *c, const char *sql, int64_t *out, struct err *e)
{
    CLEANUP(db_sqlite_finalize) sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(c->h, sql, -1, &s, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(s);
    }
    if (rc != SQLITE_ROW) {
        return db_sqlite_fail(c, rc, sql, e);
    }
    *out = sqlite3_column_int64(s, 0);
    return 0;
}
