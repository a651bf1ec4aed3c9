/* show.c - the gate's writer of web.db.
 *
 * Derived from cordon.db and the public keys, so it may be thrown away and made anew. A target is
 * shown from its `published` event on, also when it is withheld or recalled later, so that web can
 * say so; what is held or waits is not in here. */
#include "serve/show.h"

#include "base/fd.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/note.h"
#include "base/text.h"
#include "serve/gate.h"

const struct db_migration show_migrations[] = {
    {1, "CREATE TABLE target ("
        " path TEXT PRIMARY KEY, product TEXT NOT NULL, version TEXT NOT NULL, file TEXT NOT NULL,"
        " sha256 BLOB NOT NULL, size INTEGER NOT NULL, chunk_root BLOB NOT NULL,"
        " attestation BLOB NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,"
        " replacement TEXT NOT NULL, published_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
        "CREATE INDEX target_sha256 ON target (sha256);"
        "CREATE INDEX target_attestation ON target (attestation);"
        "CREATE INDEX target_release ON target (product, version);"
        "CREATE TABLE product (name TEXT PRIMARY KEY, access TEXT NOT NULL,"
        " channel TEXT NOT NULL) STRICT, WITHOUT ROWID;"
        "CREATE TABLE latest (product TEXT PRIMARY KEY, version TEXT NOT NULL)"
        " STRICT, WITHOUT ROWID;"
        "CREATE TABLE text (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"},
};
const size_t show_migrations_n = ARRAY_LEN(show_migrations);

static int open_to_write(const char *site_path, struct db **out, struct err *e)
{
    CLEANUP(mem_free) char *path = mem_printf("%s/" SHOW_FILE, site_path);
    CLEANUP(db_close) struct db *db = NULL;
    int r = db_open(path, DB_CREATE, &db, e);
    r = r < 0 ? r : db_migrate(db, SHOW_GROUP, show_migrations, show_migrations_n, e);
    if (r == 0) {
        *out = db;
        db = NULL;
    }
    return r;
}

int show_create(const char *site_path, struct err *e)
{
    CLEANUP(db_close) struct db *db = NULL;
    return open_to_write(site_path, &db, e);
}

/* Walks cordon.db (`from`) and writes web.db (`to`). */
struct showing {
    struct db *from, *to;
};

/* The reason of a recall is public; that of a withholding is the operators' until it becomes one.
 */
static int why_barred(struct showing *s, const struct release_target *t, struct buf *reason,
                      struct buf *replacement, struct err *e)
{
    CLEANUP(js_free) json_t *bar = NULL;
    if (t->state != RELEASE_RECALLED) {
        return 0;
    }
    int r = release_bar(s->from, &t->sha256, &bar, e);
    if (r == 0) {
        buf_str(reason, js_str_or(bar, "reason", ""));
        buf_str(replacement, js_str_or(bar, "replacement", ""));
        r = buf_done(reason, "the reason of a recall", e);
        r = r < 0 ? r : buf_done(replacement, "the replacement of a recall", e);
    }
    return r == ERR_NOTFOUND ? 0 : r;
}

static int put_target(void *ctx, const struct release_target *t, struct err *e)
{
    struct showing *s = ctx;
    CLEANUP(buf_clear) struct buf reason = BUF(LIMIT_LINE);
    CLEANUP(buf_clear) struct buf replacement = BUF(LIMIT_LINE);
    size_t before = strlen(t->product) + strlen(t->version) + 2;
    if (!t->published || strlen(t->path) <= before) {
        return 0;
    }
    int r = why_barred(s, t, &reason, &replacement, e);
    return r < 0 ? r
                 : db_exec(
                       s->to,
                       "INSERT INTO target VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
                       "$11, $12)",
                       DB_ARGS(DB_TEXT(t->path), DB_TEXT(t->product), DB_TEXT(t->version),
                               DB_TEXT(t->path + before), DB_BLOB(t->sha256.b, 32), DB_INT(t->size),
                               DB_BLOB(t->chunk_root.b, 32), DB_BLOB(t->attestation.b, 32),
                               DB_TEXT(release_state_name(t->state)), DB_TEXT(buf_text(&reason)),
                               DB_TEXT(buf_text(&replacement)), DB_INT(t->published_at)),
                       e);
}

static int put_path(struct showing *s, const char *path, struct err *e)
{
    struct release_target t;
    int r = db_exec(s->to, "DELETE FROM target WHERE path = $1", DB_ARGS(DB_TEXT(path)), e);
    r = r < 0 ? r : release_target(s->from, path, &t, e);
    return r == ERR_NOTFOUND ? 0 : r < 0 ? r : put_target(s, &t, e);
}

static int put_latest(void *ctx, const char *product, const char *version, struct err *e)
{
    struct showing *s = ctx;
    return db_exec(s->to, "INSERT INTO latest VALUES ($1, $2)",
                   DB_ARGS(DB_TEXT(product), DB_TEXT(version)), e);
}

static int put_products(struct showing *s, struct err *e)
{
    CLEANUP(js_free) json_t *list = NULL;
    int r = account_product_list(s->from, &list, e);
    r = r < 0 ? r : db_exec(s->to, "DELETE FROM product", DB_NO_ARGS, e);
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i);
        const char *name = js_str_or(p, "name", js_str_or(p, "product", NULL));
        if (name != NULL) {
            r = db_exec(s->to, "INSERT OR REPLACE INTO product VALUES ($1, $2, $3)",
                        DB_ARGS(DB_TEXT(name), DB_TEXT(js_str_or(p, "access", "customers")),
                                DB_TEXT(js_str_or(p, "channel", "recorded"))),
                        e);
        }
    }
    return r;
}

static int put_text(struct showing *s, const char *name, const char *value, struct err *e)
{
    return db_exec(s->to, "INSERT OR REPLACE INTO text VALUES ($1, $2)",
                   DB_ARGS(DB_TEXT(name), DB_TEXT(value)), e);
}

/* What a visitor needs to check us with. */
static int put_texts(struct gate *g, struct showing *s, struct err *e)
{
    const char *name = settings_text(g->settings, SETTING_REPOSITORY_NAME);
    CLEANUP(fd_close) int keys = -1;
    CLEANUP(buf_clear) struct buf vkey = BUF(1024);
    struct sig_public key;
    int r = put_text(s, "name", name, e);
    r = r < 0 ? r : file_open_dir(g->boot.site, "keys", &keys, e);
    r = r < 0 ? r : key_public(keys, "log", &key, e);
    if (r < 0) {
        return r;
    }
    note_vkey(&vkey, name, &key);
    r = buf_done(&vkey, "the log's key", e);
    return r < 0 ? r : put_text(s, "log_key", buf_text(&vkey), e);
}

static int put_all(struct showing *s, const char *const *paths, size_t n, struct err *e)
{
    int r = 0;
    if (n == 0) {
        r = db_exec(s->to, "DELETE FROM target", DB_NO_ARGS, e);
        r = r < 0 ? r : release_all(s->from, put_target, s, e);
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = put_path(s, paths[i], e);
    }
    return r;
}

int show_update(struct gate *g, const char *const *paths, size_t n, struct err *e)
{
    /* two threads may finish at once: each opens its own, and the database puts them in order; the
     * second writes what it then reads, so nothing older wins */
    CLEANUP(db_close) struct db *to = NULL;
    CLEANUP(db_rollback) struct db_tx tx = DB_TX_NONE;
    struct showing s = {.from = gate_db(g, e)};
    if (s.from == NULL) {
        return e->code;
    }
    int r = open_to_write(js_str_or(g->boot.args, "path", "."), &to, e);
    s.to = to;
    r = r < 0 ? r : db_begin(to, &tx, e);
    r = r < 0 ? r : put_all(&s, paths, n, e);
    r = r < 0 ? r : put_products(&s, e);
    r = r < 0 ? r : db_exec(to, "DELETE FROM latest", DB_NO_ARGS, e);
    r = r < 0 ? r : release_each_latest(s.from, put_latest, &s, e);
    r = r < 0 ? r : put_texts(g, &s, e);
    r = r < 0 ? r : db_commit(&tx, e);
    return r < 0 ? err_wrap(e, r, "write " SHOW_FILE) : 0;
}
