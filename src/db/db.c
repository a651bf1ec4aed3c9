#include "db/db_priv.h"

#include "base/mem.h"
#include "base/text.h"

#include <assert.h>

#define MOST_KEPT 256   /* prepared statements */
#define PATIENCE 10000  /* milliseconds */
#define LONGEST_NAP 100 /* milliseconds between two tries for the lock */

struct stmt {
    char *sql;
    uint64_t hash, used;
    void *at; /* the back end's */
    bool busy, kept;
};

struct db {
    const struct db_ops *ops;
    void *conn;
    struct stmt *kept[MOST_KEPT];
    size_t n_kept;
    uint64_t tick;
    int64_t changes;
    int patience;
    bool read_only, in_tx;
};

struct db_rows {
    struct db *db;
    struct stmt *stmt;
    bool ended;
};

static const struct db_ops *const backends[] = {&db_sqlite};

/* ---- opening ---- */

static int find_backend(const char *where, const struct db_ops **out, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
        const char *prefix = backends[i]->prefix;
        if (prefix != NULL && strncmp(where, prefix, strlen(prefix)) == 0) {
            *out = backends[i];
            return 0;
        }
    }
    if (strstr(where, "://") != NULL) {
        /* the address may hold a password: only its scheme is shown */
        return err_set(e, ERR_UNAVAIL,
                       "database %.*s://...: this build has no such database; leave `database` out "
                       "of cordon.yaml to use SQLite",
                       (int)(strstr(where, "://") - where), where);
    }
    *out = &db_sqlite;
    return 0;
}

int db_open(const char *where, unsigned flags, struct db **out, struct err *e)
{
    const struct db_ops *ops;
    void *conn;
    int r = find_backend(where, &ops, e);
    if (r < 0) {
        return r;
    }
    assert((flags & DB_READ) == 0 || (flags & DB_CREATE) == 0);
    r = ops->open(where, flags, &conn, e);
    if (r < 0) {
        return r;
    }
    struct db *db = mem_new(struct db);
    db->ops = ops;
    db->conn = conn;
    db->read_only = (flags & DB_READ) != 0;
    *out = db;
    db_patience(db, PATIENCE);
    return 0;
}

static void stmt_free(struct db *db, struct stmt *s)
{
    db->ops->drop(s->at);
    free(s->sql);
    free(s);
}

void db_close(struct db **dbp)
{
    struct db *db = *dbp;
    if (db == NULL) {
        return;
    }
    for (size_t i = 0; i < db->n_kept; i++) {
        stmt_free(db, db->kept[i]);
    }
    if (db->in_tx) {
        db->ops->rollback(db->conn);
    }
    db->ops->close(db->conn);
    free(db);
    *dbp = NULL;
}

void db_patience(struct db *db, int milliseconds)
{
    db->patience = milliseconds;
    db->ops->patience(db->conn, milliseconds);
}

bool db_read_only(const struct db *db)
{
    return db->read_only;
}

/* ---- prepared statements, kept by their text ---- */

static uint64_t hash_of(const char *s)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (; *s != '\0'; s++) {
        h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
    }
    return h;
}

/* A place for one more, if need be that of the statement unused for longest. */
static struct stmt **room(struct db *db)
{
    if (db->n_kept < MOST_KEPT) {
        return &db->kept[db->n_kept++];
    }
    struct stmt **oldest = NULL;
    for (size_t i = 0; i < db->n_kept; i++) {
        struct stmt **s = &db->kept[i];
        if (!(*s)->busy && (oldest == NULL || (*s)->used < (*oldest)->used)) {
            oldest = s;
        }
    }
    if (oldest != NULL) {
        stmt_free(db, *oldest);
    }
    return oldest;
}

static int acquire(struct db *db, const char *sql, struct stmt **out, struct err *e)
{
    uint64_t hash = hash_of(sql);
    bool twin = false; /* the same text is being walked: this one is for once */
    for (size_t i = 0; i < db->n_kept; i++) {
        struct stmt *s = db->kept[i];
        if (s->hash != hash || strcmp(s->sql, sql) != 0) {
            continue;
        }
        if (!s->busy) {
            s->busy = true;
            s->used = ++db->tick;
            *out = s;
            return 0;
        }
        twin = true;
    }
    void *at;
    int r = db->ops->prepare(db->conn, sql, &at, e);
    if (r < 0) {
        return r;
    }
    struct stmt *s = mem_new(struct stmt);
    *s = (struct stmt){mem_str(sql), hash, ++db->tick, at, true, false};
    struct stmt **place = twin ? NULL : room(db);
    if (place != NULL) {
        s->kept = true;
        *place = s;
    }
    *out = s;
    return 0;
}

static void release(struct db *db, struct stmt *s)
{
    db->ops->reset(s->at);
    s->busy = false;
    if (!s->kept) {
        stmt_free(db, s);
    }
}

static int check_args(struct db_args args, const char *sql, struct err *e)
{
    for (size_t i = 0; i < args.n; i++) {
        if (args.v[i].kind == DB_KIND_TEXT && !text_is_utf8(args.v[i].s)) {
            return err_set(e, ERR_FORMAT, "value $%zu of \"%.60s\": not UTF-8, or has a NUL in it",
                           i + 1, sql);
        }
    }
    return 0;
}

static int start(struct db *db, const char *sql, struct db_args args, struct stmt **out,
                 struct err *e)
{
    int r = check_args(args, sql, e);
    if (r < 0) {
        return r;
    }
    if (db->in_tx && !db->ops->in_tx(db->conn)) {
        return err_set(e, ERR_UNAVAIL,
                       "the transaction was rolled back by the database after an earlier failure; "
                       "nothing of it was stored");
    }
    struct stmt *s;
    r = acquire(db, sql, &s, e);
    if (r < 0) {
        return r;
    }
    r = db->ops->run(db->conn, s->at, args, e);
    if (r < 0) {
        release(db, s);
        return r;
    }
    *out = s;
    return 0;
}

int db_exec(struct db *db, const char *sql, struct db_args args, struct err *e)
{
    struct stmt *s;
    int r = start(db, sql, args, &s, e);
    if (r < 0) {
        return r;
    }
    do {
        r = db->ops->step(db->conn, s->at, e);
    } while (r > 0);
    db->changes = r < 0 ? 0 : db->ops->changes(db->conn);
    release(db, s);
    return r;
}

int64_t db_changes(const struct db *db)
{
    return db->changes;
}

/* ---- rows ---- */

int db_query(struct db *db, const char *sql, struct db_args args, struct db_rows **rows,
             struct err *e)
{
    struct stmt *s;
    int r = start(db, sql, args, &s, e);
    if (r < 0) {
        return r;
    }
    *rows = mem_new(struct db_rows);
    **rows = (struct db_rows){db, s, false};
    return 0;
}

int db_next(struct db_rows *rows, struct err *e)
{
    if (rows->ended) {
        return 0; /* SQLite would begin anew */
    }
    int r = rows->db->ops->step(rows->db->conn, rows->stmt->at, e);
    rows->ended = r <= 0;
    return r;
}

void db_rows_close(struct db_rows **rows)
{
    if (*rows != NULL) {
        release((*rows)->db, (*rows)->stmt);
        free(*rows);
        *rows = NULL;
    }
}

static struct db_value column(struct db_rows *rows, int col)
{
    assert(!rows->ended);
    return rows->db->ops->column(rows->stmt->at, col);
}

int64_t db_i64(struct db_rows *rows, int col)
{
    return column(rows, col).i;
}

const char *db_text(struct db_rows *rows, int col)
{
    struct db_value v = column(rows, col);
    return v.kind == DB_KIND_TEXT ? (const char *)v.s.p : "";
}

struct span db_text_span(struct db_rows *rows, int col)
{
    struct db_value v = column(rows, col);
    return v.kind == DB_KIND_TEXT ? v.s : SPAN_NONE;
}

struct span db_blob(struct db_rows *rows, int col)
{
    struct db_value v = column(rows, col);
    return v.kind == DB_KIND_BLOB ? v.s : SPAN_NONE;
}

bool db_null(struct db_rows *rows, int col)
{
    return column(rows, col).kind == DB_KIND_NULL;
}

int db_bytes(struct db_rows *rows, int col, void *out, size_t n, struct err *e)
{
    struct db_value v = column(rows, col);
    if (v.kind != DB_KIND_BLOB || v.s.len != n) {
        return err_set(e, ERR_FORMAT, "column %d of \"%.60s\" should hold %zu bytes, not %zu", col,
                       rows->stmt->sql, n, v.s.len);
    }
    memcpy(out, v.s.p, n);
    return 0;
}

int db_int(struct db *db, const char *sql, struct db_args args, int64_t *out, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    int r = db_query(db, sql, args, &rows, e);
    if (r < 0) {
        return r;
    }
    r = db_next(rows, e);
    if (r < 0) {
        return r;
    }
    if (r == 0) {
        return err_set(e, ERR_NOTFOUND, "no row for \"%.60s\"", sql);
    }
    *out = db_i64(rows, 0);
    return 0;
}

/* ---- transactions ---- */

static int begin(struct db *db, enum db_begin how, struct db_tx *tx, struct err *e)
{
    if (db->in_tx) {
        return err_set(e, ERR_BUG, "a transaction inside a transaction");
    }
    if (how == DB_BEGIN_WRITE && db->read_only) { /* SQLite would begin to read */
        return err_set(e, ERR_DENIED, "the database was opened to read only");
    }
    int waited = 0, nap = 1;
    int r;
    while ((r = db->ops->begin(db->conn, how, e)) == ERR_UNAVAIL && waited < db->patience) {
        struct timespec t = {.tv_nsec = nap * 1000000L};
        nanosleep(&t, NULL);
        waited += nap;
        nap = nap * 2 < LONGEST_NAP ? nap * 2 : LONGEST_NAP;
    }
    if (r < 0) {
        return r;
    }
    db->in_tx = true;
    tx->db = db;
    return 0;
}

int db_begin(struct db *db, struct db_tx *tx, struct err *e)
{
    return begin(db, DB_BEGIN_WRITE, tx, e);
}

int db_begin_read(struct db *db, struct db_tx *tx, struct err *e)
{
    return begin(db, DB_BEGIN_READ, tx, e);
}

int db_commit(struct db_tx *tx, struct err *e)
{
    struct db *db = tx->db;
    if (db == NULL) {
        return err_set(e, ERR_BUG, "commit of a transaction that has ended");
    }
    if (!db->ops->in_tx(db->conn)) {
        db_rollback(tx);
        return err_set(e, ERR_UNAVAIL,
                       "the transaction was rolled back by the database after an earlier failure; "
                       "nothing of it was stored");
    }
    int r = db->ops->commit(db->conn, e);
    if (r < 0) {
        db_rollback(tx);
        return r;
    }
    db->in_tx = false;
    tx->db = NULL;
    return 0;
}

void db_rollback(struct db_tx *tx)
{
    if (tx->db != NULL) {
        tx->db->ops->rollback(tx->db->conn);
        tx->db->in_tx = false;
        tx->db = NULL;
    }
}

/* ---- care ---- */

int db_script(struct db *db, const char *sql, struct err *e)
{
    return db->ops->script(db->conn, sql, e);
}

int db_vet(struct db *db, struct err *e)
{
    return db->ops->vet(db->conn, e);
}

int db_check(struct db *db, struct err *e)
{
    return db->ops->check(db->conn, e);
}

int db_checkpoint(struct db *db, struct err *e)
{
    return db->ops->checkpoint(db->conn, e);
}

int db_copy(struct db *db, const char *path, struct err *e)
{
    return db->ops->copy(db->conn, path, e);
}
