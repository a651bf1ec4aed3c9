#include "serve/web.h"

#include "base/mem.h"
#include "serve/show.h"

/* One connection for all threads: a look-up takes some ten microseconds. */
struct web_db {
    struct db *db;
    pthread_mutex_t lock;
};

int web_db_open(const char *site, struct web_db **out, struct err *e)
{
    CLEANUP(mem_free) char *path = mem_printf("%s/" SHOW_FILE, site);
    CLEANUP(db_close) struct db *db = NULL;
    int r = db_open(path, DB_READ, &db, e);
    r = r < 0 ? r : db_migrate(db, SHOW_GROUP, show_migrations, show_migrations_n, e);
    if (r < 0) {
        return r;
    }
    struct web_db *w = mem_new(struct web_db);
    w->db = db;
    db = NULL;
    db_patience(w->db, 2000);
    pthread_mutex_init(&w->lock, NULL);
    *out = w;
    return 0;
}

void web_db_close(struct web_db **at)
{
    if (*at != NULL) {
        db_close(&(*at)->db);
        pthread_mutex_destroy(&(*at)->lock);
        free(*at);
        *at = NULL;
    }
}

#define COLUMNS                                                                                    \
    "SELECT path, product, version, file, sha256, size, chunk_root, state, reason, replacement,"   \
    " published_at FROM target "

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
}

static int read_target(struct db_rows *rows, struct web_target *t, struct err *e)
{
    copy(t->path, sizeof t->path, db_text(rows, 0));
    copy(t->product, sizeof t->product, db_text(rows, 1));
    copy(t->version, sizeof t->version, db_text(rows, 2));
    copy(t->file, sizeof t->file, db_text(rows, 3));
    int r = db_bytes(rows, 4, t->sha256.b, sizeof t->sha256.b, e);
    t->size = (uint64_t)db_i64(rows, 5);
    r = r < 0 ? r : db_bytes(rows, 6, t->chunk_root.b, sizeof t->chunk_root.b, e);
    copy(t->state, sizeof t->state, db_text(rows, 7));
    copy(t->reason, sizeof t->reason, db_text(rows, 8));
    copy(t->replacement, sizeof t->replacement, db_text(rows, 9));
    t->published_at = db_i64(rows, 10);
    return r;
}

static int each_target(struct web_db *w, const char *sql, struct db_args args, web_target_each each,
                       void *ctx, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    struct web_target t;
    pthread_mutex_lock(&w->lock);
    int r = db_query(w->db, sql, args, &rows, e);
    while (r == 0 && (r = db_next(rows, e)) > 0) {
        r = read_target(rows, &t, e);
        r = r < 0 ? r : each(ctx, &t);
    }
    db_rows_close(&rows);
    pthread_mutex_unlock(&w->lock);
    return r;
}

static int keep(void *ctx, const struct web_target *t)
{
    struct web_target *out = ctx;
    *out = *t;
    return 0;
}

int web_db_target(struct web_db *w, const char *path, struct web_target *out, struct err *e)
{
    out->path[0] = 0;
    int r = each_target(w, COLUMNS "WHERE path = $1", DB_ARGS(DB_TEXT(path)), keep, out, e);
    return r == 0 && out->path[0] == 0 ? err_set(e, ERR_NOTFOUND, "%.200s is not published", path)
                                       : r;
}

int web_db_digest(struct web_db *w, const struct digest *d, web_target_each each, void *ctx,
                  struct err *e)
{
    return each_target(w, COLUMNS "WHERE sha256 = $1 ORDER BY path LIMIT 100",
                       DB_ARGS(DB_BLOB(d->b, sizeof d->b)), each, ctx, e);
}

int web_db_version(struct web_db *w, const char *product, const char *version, web_target_each each,
                   void *ctx, struct err *e)
{
    return each_target(w, COLUMNS "WHERE product = $1 AND version = $2 ORDER BY path LIMIT $3",
                       DB_ARGS(DB_TEXT(product), DB_TEXT(version), DB_INT(WEB_DB_FILES)), each, ctx,
                       e);
}

/* Where the columns of a row go, each with room for `size` bytes; b may be NULL. */
struct texts {
    char *a, *b;
    size_t size;
};

static int one_row(struct web_db *w, const char *sql, struct db_args args, struct texts to,
                   struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    pthread_mutex_lock(&w->lock);
    int r = db_query(w->db, sql, args, &rows, e);
    r = r < 0 ? r : db_next(rows, e);
    if (r > 0) {
        copy(to.a, to.size, db_text(rows, 0));
        if (to.b != NULL) {
            copy(to.b, to.size, db_text(rows, 1));
        }
    }
    db_rows_close(&rows);
    pthread_mutex_unlock(&w->lock);
    return r > 0 ? 0 : r == 0 ? err_set(e, ERR_NOTFOUND, "no such row") : r;
}

int web_db_latest(struct web_db *w, const char *product, char *version, struct err *e)
{
    return one_row(w, "SELECT version FROM latest WHERE product = $1", DB_ARGS(DB_TEXT(product)),
                   (struct texts){version, NULL, LIMIT_NAME + 1}, e);
}

int web_db_product(struct web_db *w, const char *product, char access[static 16], bool *public,
                   struct err *e)
{
    char channel[16] = "recorded";
    copy(access, 16, "customers");
    int r = one_row(w, "SELECT access, channel FROM product WHERE name = $1",
                    DB_ARGS(DB_TEXT(product)), (struct texts){access, channel, 16}, e);
    *public = strcmp(channel, "public") == 0;
    return r == ERR_NOTFOUND ? 0 : r;
}

int web_db_attestation(struct web_db *w, const struct digest *d, struct err *e)
{
    char yes[8] = "";
    return one_row(w,
                   "SELECT 'yes' FROM target WHERE attestation = $1 AND NOT EXISTS (SELECT 1 FROM "
                   "target WHERE sha256 = $1) LIMIT 1",
                   DB_ARGS(DB_BLOB(d->b, sizeof d->b)), (struct texts){yes, NULL, sizeof yes}, e);
}

int web_db_text(struct web_db *w, const char *name, struct buf *out, struct err *e)
{
    char value[2048];
    int r = one_row(w, "SELECT value FROM text WHERE name = $1", DB_ARGS(DB_TEXT(name)),
                    (struct texts){value, NULL, sizeof value}, e);
    if (r == 0) {
        buf_str(out, value);
    }
    return r;
}

int web_db_products(struct web_db *w, json_t **out, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    json_t *list = js_list();
    pthread_mutex_lock(&w->lock);
    int r = db_query(w->db,
                     "SELECT latest.product, latest.version, coalesce(product.access, 'customers') "
                     "FROM latest LEFT JOIN product ON product.name = latest.product WHERE "
                     "coalesce(product.access, 'customers') <> 'private' ORDER BY latest.product "
                     "LIMIT 500",
                     DB_NO_ARGS, &rows, e);
    while (r == 0 && (r = db_next(rows, e)) > 0) {
        json_t *p = js_new();
        js_set_str(p, "name", db_text(rows, 0));
        js_set_str(p, "version", db_text(rows, 1));
        js_set_str(p, "access", db_text(rows, 2));
        js_add(list, p);
        r = 0;
    }
    db_rows_close(&rows);
    pthread_mutex_unlock(&w->lock);
    if (r < 0) {
        js_free(&list);
        return r;
    }
    *out = list;
    return 0;
}
