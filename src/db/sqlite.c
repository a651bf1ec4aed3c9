#include "db/sqlite_priv.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"

#include <fcntl.h>
#include <unistd.h>

/* ---- statements ---- */

static void sq_patience(void *conn, int milliseconds)
{
    struct db_sqlite_conn *c = conn;
    c->patience = milliseconds;
    sqlite3_busy_timeout(c->h, milliseconds);
}

static int sq_prepare(void *conn, const char *sql, void **out, struct err *e)
{
    struct db_sqlite_conn *c = conn;
    CLEANUP(buf_clear) struct buf text = BUF(1 << 20);
    int r = db_number_placeholders(sql, &text, e);
    if (r < 0) {
        return r;
    }
    sqlite3_stmt *s = NULL;
    const char *tail = NULL;
    int rc = sqlite3_prepare_v3(c->h, buf_text(&text), -1, SQLITE_PREPARE_PERSISTENT, &s, &tail);
    if (rc != SQLITE_OK) {
        return db_sqlite_fail(c, rc, sql, e);
    }
    if (s == NULL || tail[strspn(tail, " \t\n;")] != '\0') {
        sqlite3_finalize(s);
        return err_set(e, ERR_BUG, "SQL: not exactly one statement: \"%.80s\"", sql);
    }
    *out = s;
    return 0;
}

static void sq_reset(void *stmt)
{
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
}

static void sq_drop(void *stmt)
{
    sqlite3_finalize(stmt);
}

static int bind(sqlite3_stmt *s, int at, const struct db_value *v)
{
    const char *p = v->s.len > 0 ? (const char *)v->s.p : ""; /* NULL would bind an SQL NULL */
    switch (v->kind) {
    case DB_KIND_INT:
        return sqlite3_bind_int64(s, at, v->i);
    case DB_KIND_TEXT:
        return sqlite3_bind_text64(s, at, p, v->s.len, SQLITE_TRANSIENT, SQLITE_UTF8);
    case DB_KIND_BLOB:
        return sqlite3_bind_blob64(s, at, p, v->s.len, SQLITE_TRANSIENT);
    case DB_KIND_NULL:
        break;
    }
    return sqlite3_bind_null(s, at);
}

static int sq_run(void *conn, void *stmt, struct db_args args, struct err *e)
{
    int want = sqlite3_bind_parameter_count(stmt);
    if (args.n != (size_t)want) {
        return err_set(e, ERR_BUG, "SQL: %d values wanted, %zu given: \"%.80s\"", want, args.n,
                       sqlite3_sql(stmt));
    }
    for (int i = 0; i < want; i++) {
        int rc = bind(stmt, i + 1, &args.v[i]);
        if (rc != SQLITE_OK) {
            return db_sqlite_fail(conn, rc, sqlite3_sql(stmt), e);
        }
    }
    return 0;
}

static int sq_step(void *conn, void *stmt, struct err *e)
{
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        return rc == SQLITE_ROW;
    }
    return db_sqlite_fail(conn, rc, sqlite3_sql(stmt), e);
}

static struct db_value sq_column(void *stmt, int col)
{
    struct db_value v = DB_NULL;
    switch (sqlite3_column_type(stmt, col)) {
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
        return DB_INT(sqlite3_column_int64(stmt, col));
    case SQLITE_TEXT:
        v.kind = DB_KIND_TEXT;
        v.s.p = sqlite3_column_text(stmt, col);
        break;
    case SQLITE_BLOB:
        v.kind = DB_KIND_BLOB;
        v.s.p = sqlite3_column_blob(stmt, col);
        break;
    default:
        return v;
    }
    v.s.len = (size_t)sqlite3_column_bytes(stmt, col);
    if (v.s.p == NULL) {
        v.s = span_str(""); /* an empty blob */
    }
    return v;
}

static int64_t sq_changes(void *conn)
{
    struct db_sqlite_conn *c = conn;
    return sqlite3_changes64(c->h);
}

/* ---- transactions ---- */

static int sq_begin(void *conn, enum db_begin how, struct err *e)
{
    struct db_sqlite_conn *c = conn;
    sqlite3_busy_timeout(c->h, 0); /* the caller waits */
    int r = db_sqlite_exec(c, how == DB_BEGIN_WRITE ? "BEGIN IMMEDIATE" : "BEGIN", e);
    sqlite3_busy_timeout(c->h, c->patience);
    return r;
}

static int sq_commit(void *conn, struct err *e)
{
    return db_sqlite_exec(conn, "COMMIT", e);
}

static bool sq_in_tx(void *conn)
{
    struct db_sqlite_conn *c = conn;
    return sqlite3_get_autocommit(c->h) == 0;
}

static void sq_rollback(void *conn)
{
    struct db_sqlite_conn *c = conn;
    if (sq_in_tx(c)) {
        sqlite3_exec(c->h, "ROLLBACK", NULL, NULL, NULL);
    }
}

/* ---- schema and care ---- */

static int sq_script(void *conn, const char *sql, struct err *e)
{
    struct db_sqlite_conn *c = conn;
    int r = db_sqlite_exec(c, sql, e);
    if (r == 0 && !sq_in_tx(c)) {
        return err_set(e, ERR_BUG, "SQL: a migration may not end its transaction");
    }
    return r;
}

static int sq_vet(void *conn, struct err *e)
{
    CLEANUP(buf_clear) struct buf name = BUF(1024);
    int r = db_sqlite_one_text(
        conn,
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
        " AND strict = 0 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' LIMIT 1",
        &name, e);
    if (r == 0 && name.len > 0) {
        return err_set(e, ERR_BUG, "table %s is not STRICT", buf_text(&name));
    }
    return r;
}

static int sq_check(void *conn, struct err *e)
{
    struct db_sqlite_conn *c = conn;
    CLEANUP(buf_clear) struct buf said = BUF(1 << 16);
    int r = db_sqlite_one_text(c, "PRAGMA quick_check(1)", &said, e);
    if (r == 0 && strcmp(buf_text(&said), "ok") != 0) {
        return err_set(e, ERR_FORMAT,
                       "database %s is damaged: %.200s: run `cordon doctor`, which can rebuild it",
                       c->path, buf_text(&said));
    }
    return r;
}

static int sq_checkpoint(void *conn, struct err *e)
{
    struct db_sqlite_conn *c = conn;
    int rc = sqlite3_wal_checkpoint_v2(c->h, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return rc == SQLITE_OK ? 0 : db_sqlite_fail(c, rc, "checkpoint", e);
}

static int copy_into(struct db_sqlite_conn *c, const char *path, struct err *e)
{
    CLEANUP(db_sqlite_finalize) sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(c->h, "VACUUM INTO ?1", -1, &s, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_text(s, 1, path, -1, SQLITE_STATIC);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(s);
    }
    return rc == SQLITE_DONE ? 0 : db_sqlite_fail(c, rc, "copy", e);
}

static int sync_folder_of(const char *path, struct err *e)
{
    CLEANUP(fd_close) int fd = -1;
    const char *slash = strrchr(path, '/');
    CLEANUP(mem_free)
    char *folder = slash == NULL ? mem_str(".") : mem_text(path, (size_t)(slash - path) + 1);
    int r = file_open_dir(AT_FDCWD, folder, &fd, e);
    return r < 0 ? r : file_sync_dir(fd, e);
}

static int sq_copy(void *conn, const char *path, struct err *e)
{
    CLEANUP(fd_close) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0) {
        return errno == EEXIST ? err_set(e, ERR_CONFLICT, "copy to %s: it exists", path)
                               : err_sys(e, "copy to %s", path);
    }
    int r = copy_into(conn, path, e);
    if (r == 0 && fsync(fd) != 0) {
        r = err_sys(e, "copy to %s", path);
    }
    r = r < 0 ? r : sync_folder_of(path, e);
    if (r < 0) {
        unlink(path);
    }
    return r;
}

const struct db_ops db_sqlite = {
    .name = "sqlite",
    .open = db_sqlite_open,
    .close = db_sqlite_close,
    .patience = sq_patience,
    .prepare = sq_prepare,
    .run = sq_run,
    .step = sq_step,
    .reset = sq_reset,
    .drop = sq_drop,
    .column = sq_column,
    .changes = sq_changes,
    .begin = sq_begin,
    .commit = sq_commit,
    .rollback = sq_rollback,
    .in_tx = sq_in_tx,
    .script = sq_script,
    .vet = sq_vet,
    .check = sq_check,
    .checkpoint = sq_checkpoint,
    .copy = sq_copy,
};
