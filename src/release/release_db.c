#include "release/release_db_priv.h"

/* Columns of TARGET, in this order, for take_target(). */
#define TARGET                                                                                     \
    "SELECT t.path, t.product, t.version, t.sha256, b.chunks, b.attestation, b.size,"              \
    " t.admitted_index, t.published_index, t.published_at, t.hold_until, t.approve,"               \
    " t.approved_index, r.withheld, r.recalled"                                                    \
    " FROM target t JOIN blob b ON b.sha256 = t.sha256 LEFT JOIN barred r ON r.sha256 = t.sha256 "

#define BLOB                                                                                       \
    "SELECT b.sha256, b.chunks, b.rules, b.attestation, b.size, b.admitted_index,"                 \
    " r.withheld, r.recalled FROM blob b LEFT JOIN barred r ON r.sha256 = b.sha256 "

const char *release_state_name(enum release_state s)
{
    static const char *const names[] = {"none",      "held",     "waiting",
                                        "published", "withheld", "recalled"};
    return (size_t)s < ARRAY_LEN(names) ? names[s] : "none";
}

static int take_digest(struct db_rows *rows, int col, struct digest *out, struct err *e)
{
    return db_bytes(rows, col, out->b, sizeof out->b, e);
}

static int take_name(struct db_rows *rows, int col, char *out, size_t max, struct err *e)
{
    struct span s = db_text_span(rows, col);
    if (s.len > max) {
        return err_set(e, ERR_FORMAT, "cordon.db: a name of %zu bytes; run doctor --rebuild",
                       s.len);
    }
    memcpy(out, s.p, s.len);
    out[s.len] = '\0';
    return 0;
}

static enum release_state state_from(const struct release_target *t, bool withheld, bool recalled)
{
    if (recalled) {
        return RELEASE_RECALLED;
    }
    if (withheld) {
        return RELEASE_WITHHELD;
    }
    if (t->published) {
        return RELEASE_PUBLISHED;
    }
    return t->approve && !t->approved ? RELEASE_WAITING : RELEASE_HELD;
}

static int take_target(struct db_rows *rows, struct release_target *out, struct err *e)
{
    struct release_target t = {
        .size = (uint64_t)db_i64(rows, 6),
        .admitted_index = (uint64_t)db_i64(rows, 7),
        .published = !db_null(rows, 8),
        .published_index = (uint64_t)db_i64(rows, 8),
        .published_at = db_i64(rows, 9),
        .hold_until = db_i64(rows, 10),
        .approve = db_i64(rows, 11) != 0,
        .approved = !db_null(rows, 12),
    };
    int r = take_name(rows, 0, t.path, LIMIT_TARGET, e);
    r = r < 0 ? r : take_name(rows, 1, t.product, LIMIT_NAME, e);
    r = r < 0 ? r : take_name(rows, 2, t.version, LIMIT_NAME, e);
    r = r < 0 ? r : take_digest(rows, 3, &t.sha256, e);
    r = r < 0 ? r : take_digest(rows, 4, &t.chunk_root, e);
    r = r < 0 ? r : take_digest(rows, 5, &t.attestation, e);
    if (r < 0) {
        return err_wrap(e, r, "a target in cordon.db");
    }
    t.state = state_from(&t, !db_null(rows, 13), !db_null(rows, 14));
    *out = t;
    return 0;
}

int release_target(struct db *db, const char *path, struct release_target *out, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    int r = db_query(db, TARGET "WHERE t.path = $1", DB_ARGS(DB_TEXT(path)), &rows, e);
    r = r < 0 ? r : db_next(rows, e);
    if (r == 0) {
        return err_set(e, ERR_NOTFOUND, "no target %.300s", path);
    }
    return r < 0 ? r : take_target(rows, out, e);
}

int release_state_of(struct db *db, const struct digest *sha256, enum release_state *out,
                     struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    enum release_state best = RELEASE_NONE;
    int r = db_query(db, "SELECT recalled FROM barred WHERE sha256 = $1",
                     DB_ARGS(DB_BLOB(sha256->b, 32)), &rows, e);
    r = r < 0 ? r : db_next(rows, e);
    if (r == 1) {
        *out = db_null(rows, 0) ? RELEASE_WITHHELD : RELEASE_RECALLED;
        return 0;
    }
    db_rows_close(&rows);
    r = r < 0
            ? r
            : db_query(db, TARGET "WHERE t.sha256 = $1", DB_ARGS(DB_BLOB(sha256->b, 32)), &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        struct release_target t;
        r = take_target(rows, &t, e);
        best = r == 0 && t.state > best ? t.state : best;
    }
    if (r == 0 && best == RELEASE_NONE) {
        char hex[DIGEST_TEXT + 1];
        r = err_set(e, ERR_NOTFOUND, "no target has the digest %s", digest_text(sha256, hex));
    }
    if (r == 0) {
        *out = best;
    }
    return r;
}

int release_same_name(struct db *db, const char *path, struct buf *out, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    CLEANUP(buf_clear) struct buf folded = BUF(LIMIT_TARGET);
    release_fold_name(&folded, path);
    int r = buf_done(&folded, "a target path", e);
    r = r < 0 ? r
              : db_query(db, "SELECT path FROM target WHERE folded = $1",
                         DB_ARGS(DB_TEXT_SPAN(buf_view(&folded))), &rows, e);
    r = r < 0 ? r : db_next(rows, e);
    if (r == 0) {
        return err_set(e, ERR_NOTFOUND, "no target is named %.300s", path);
    }
    if (r == 1) {
        buf_span(out, db_text_span(rows, 0));
        r = buf_done(out, "a target path", e);
    }
    return r;
}

/* ---- walks ---- */

static int walk(struct db *db, const char *sql, struct db_args args, release_each each, void *ctx,
                struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    int r = db_query(db, sql, args, &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        struct release_target t;
        r = take_target(rows, &t, e);
        r = r < 0 ? r : each(ctx, &t, e);
        if (r != 0) {
            return r;
        }
    }
    return r;
}

int release_all(struct db *db, release_each each, void *ctx, struct err *e)
{
    return walk(db, TARGET "ORDER BY t.path", DB_NO_ARGS, each, ctx, e);
}

int release_of_product(struct db *db, const char *product, const char *version, release_each each,
                       void *ctx, struct err *e)
{
    if (version == NULL) {
        return walk(db, TARGET "WHERE t.product = $1 ORDER BY t.path", DB_ARGS(DB_TEXT(product)),
                    each, ctx, e);
    }
    return walk(db, TARGET "WHERE t.product = $1 AND t.version = $2 ORDER BY t.path",
                DB_ARGS(DB_TEXT(product), DB_TEXT(version)), each, ctx, e);
}

int release_of_digest(struct db *db, const struct digest *sha256, release_each each, void *ctx,
                      struct err *e)
{
    return walk(db, TARGET "WHERE t.sha256 = $1 ORDER BY t.path", DB_ARGS(DB_BLOB(sha256->b, 32)),
                each, ctx, e);
}

int release_of_path(struct db *db, const char *pattern, release_each each, void *ctx, struct err *e)
{
    size_t n = strlen(pattern);
    if (n == 0 || pattern[n - 1] != '*') {
        return walk(db, TARGET "WHERE t.path = $1", DB_ARGS(DB_TEXT(pattern)), each, ctx, e);
    }
    /* 0x7f sorts behind every byte that a path may have */
    struct span from = span_of(pattern, n - 1);
    CLEANUP(buf_clear) struct buf to = BUF(LIMIT_PATH);
    buf_span(&to, from);
    buf_char(&to, '\x7f');
    int r = buf_done(&to, "a pattern of paths", e);
    return r < 0 ? r
                 : walk(db, TARGET "WHERE t.path >= $1 AND t.path < $2 ORDER BY t.path",
                        DB_ARGS(DB_TEXT_SPAN(from), DB_TEXT_SPAN(buf_view(&to))), each, ctx, e);
}

int release_due(struct db *db, int64_t now, release_each each, void *ctx, struct err *e)
{
    return walk(db,
                TARGET "WHERE t.published_index IS NULL AND t.hold_until <= $1"
                       " AND (t.approve = 0 OR t.approved_index IS NOT NULL)"
                       " AND r.sha256 IS NULL ORDER BY t.path",
                DB_ARGS(DB_INT(now)), each, ctx, e);
}

int release_next_due(struct db *db, int64_t *out, struct err *e)
{
    return db_int(db,
                  "SELECT coalesce(min(t.hold_until), 9223372036854775807) FROM target t"
                  " LEFT JOIN barred r ON r.sha256 = t.sha256 WHERE t.published_index IS NULL"
                  " AND (t.approve = 0 OR t.approved_index IS NOT NULL) AND r.sha256 IS NULL",
                  DB_NO_ARGS, out, e);
}

int release_waiting(struct db *db, release_each each, void *ctx, struct err *e)
{
    return walk(db,
                TARGET "WHERE t.published_index IS NULL AND t.approve <> 0"
                       " AND t.approved_index IS NULL AND r.sha256 IS NULL ORDER BY t.path",
                DB_NO_ARGS, each, ctx, e);
}

/* ---- the latest version ---- */

/* A file that joins an old version must not make it the latest: its first file counts. */
#define LATEST                                                                                     \
    "SELECT t.product, t.version FROM target t LEFT JOIN barred r ON r.sha256 = t.sha256"          \
    " WHERE t.published_index IS NOT NULL"
#define LATEST_GROUP                                                                               \
    " GROUP BY t.product, t.version HAVING count(*) > count(r.sha256)"                             \
    " ORDER BY t.product, min(t.published_index) DESC"

int release_latest(struct db *db, const char *product, char out[static LIMIT_NAME + 1],
                   struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    int r = db_query(db, LATEST " AND t.product = $1" LATEST_GROUP, DB_ARGS(DB_TEXT(product)),
                     &rows, e);
    r = r < 0 ? r : db_next(rows, e);
    if (r == 0) {
        return err_set(e, ERR_NOTFOUND, "nothing of product %.200s is published", product);
    }
    return r < 0 ? r : take_name(rows, 1, out, LIMIT_NAME, e);
}

int release_each_latest(struct db *db,
                        int (*each)(void *ctx, const char *product, const char *version,
                                    struct err *e),
                        void *ctx, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    char product[LIMIT_NAME + 1] = "", version[LIMIT_NAME + 1], last[LIMIT_NAME + 1] = "";
    int r = db_query(db, LATEST LATEST_GROUP, DB_NO_ARGS, &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        r = take_name(rows, 0, product, LIMIT_NAME, e);
        r = r < 0 ? r : take_name(rows, 1, version, LIMIT_NAME, e);
        if (r == 0 && strcmp(product, last) != 0) {
            memcpy(last, product, sizeof last);
            r = each(ctx, product, version, e);
        }
        if (r != 0) {
            return r;
        }
    }
    return r;
}

/* ---- blobs ---- */

static int take_blob(struct db_rows *rows, struct release_blob *out, struct err *e)
{
    struct release_blob b = {.size = (uint64_t)db_i64(rows, 4),
                             .admitted_index = (uint64_t)db_i64(rows, 5),
                             .withheld = !db_null(rows, 6),
                             .recalled = !db_null(rows, 7)};
    int r = take_digest(rows, 0, &b.sha256, e);
    r = r < 0 ? r : take_digest(rows, 1, &b.chunk_root, e);
    r = r < 0 ? r : take_digest(rows, 2, &b.rules, e);
    r = r < 0 ? r : take_digest(rows, 3, &b.attestation, e);
    if (r < 0) {
        return err_wrap(e, r, "a blob in cordon.db");
    }
    *out = b;
    return 0;
}

int release_blob(struct db *db, const struct digest *sha256, struct release_blob *out,
                 struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    char hex[DIGEST_TEXT + 1];
    int r = db_query(db, BLOB "WHERE b.sha256 = $1", DB_ARGS(DB_BLOB(sha256->b, 32)), &rows, e);
    r = r < 0 ? r : db_next(rows, e);
    if (r == 0) {
        return err_set(e, ERR_NOTFOUND, "no blob %s was admitted", digest_text(sha256, hex));
    }
    return r < 0 ? r : take_blob(rows, out, e);
}

int release_blobs(struct db *db, bool published, const struct digest *after, release_blob_each each,
                  void *ctx, struct err *e)
{
    static const struct digest none;
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    struct db_args args =
        after == NULL ? DB_ARGS(DB_BLOB(none.b, 0)) : DB_ARGS(DB_BLOB(after->b, sizeof after->b));
    int r = published ? db_query(db,
                                 BLOB "WHERE b.sha256 > $1 AND EXISTS (SELECT 1 FROM target t WHERE"
                                      " t.sha256 = b.sha256 AND t.published_index IS NOT NULL)"
                                      " ORDER BY b.sha256",
                                 args, &rows, e)
                      : db_query(db, BLOB "WHERE b.sha256 > $1 ORDER BY b.sha256", args, &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        struct release_blob b;
        r = take_blob(rows, &b, e);
        r = r < 0 ? r : each(ctx, &b, e);
        if (r != 0) {
            return r;
        }
    }
    return r;
}

static int walk_digests(struct db *db, const char *sql, struct db_args args,
                        release_digest_each each, void *ctx, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    int r = db_query(db, sql, args, &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        struct digest d;
        r = take_digest(rows, 0, &d, e);
        r = r < 0 ? r : each(ctx, &d, e);
        if (r != 0) {
            return r;
        }
    }
    return r;
}

int release_holding(struct db *db, struct span hash, release_digest_each each, void *ctx,
                    struct err *e)
{
    struct db_args args = DB_ARGS(DB_BLOB_SPAN(hash));
    if (hash.len == 32) {
        return walk_digests(db,
                            "SELECT sha256 FROM blob WHERE sha256 = $1"
                            " UNION SELECT blob FROM member WHERE sha256 = $1",
                            args, each, ctx, e);
    }
    if (hash.len == 20) {
        return walk_digests(db,
                            "SELECT sha256 FROM blob WHERE sha1 = $1"
                            " UNION SELECT blob FROM member WHERE sha1 = $1",
                            args, each, ctx, e);
    }
    if (hash.len == 16) {
        return walk_digests(db,
                            "SELECT sha256 FROM blob WHERE md5 = $1"
                            " UNION SELECT blob FROM member WHERE md5 = $1",
                            args, each, ctx, e);
    }
    return err_set(e, ERR_FORMAT, "a hash of %zu bytes: MD5 has 16, SHA-1 20, SHA-256 32",
                   hash.len);
}

int release_found_by(struct db *db, const char *rule, release_digest_each each, void *ctx,
                     struct err *e)
{
    return walk_digests(db, "SELECT DISTINCT blob FROM finding WHERE rule = $1 ORDER BY blob",
                        DB_ARGS(DB_TEXT(rule)), each, ctx, e);
}

int release_barred(struct db *db, enum release_state state, release_digest_each each, void *ctx,
                   struct err *e)
{
    return state == RELEASE_RECALLED
               ? walk_digests(db,
                              "SELECT sha256 FROM barred WHERE recalled IS NOT NULL"
                              " ORDER BY sha256",
                              DB_NO_ARGS, each, ctx, e)
               : walk_digests(db,
                              "SELECT sha256 FROM barred WHERE recalled IS NULL ORDER BY sha256",
                              DB_NO_ARGS, each, ctx, e);
}

int release_findings(struct db *db, const struct digest *sha256, json_t **out, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    CLEANUP(js_free) json_t *list = js_list();
    int r = db_query(db,
                     "SELECT engine, rule, severity, member, text, place FROM finding"
                     " WHERE blob = $1 ORDER BY event, number",
                     DB_ARGS(DB_BLOB(sha256->b, 32)), &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        json_t *f = js_new();
        js_set_str(f, "engine", db_text(rows, 0));
        js_set_str(f, "rule", db_text(rows, 1));
        js_set_str(f, "severity", db_text(rows, 2));
        js_set_int(f, "offset", db_i64(rows, 5));
        js_set_str(f, "text", db_text(rows, 4));
        if (db_text_span(rows, 3).len > 0) {
            js_set_str(f, "member", db_text(rows, 3));
        }
        js_add(list, f);
    }
    if (r == 0) {
        *out = json_incref(list);
    }
    return r;
}

int release_bar(struct db *db, const struct digest *sha256, json_t **out, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    int r = db_query(db,
                     "SELECT recalled, coalesce(recalled, withheld), time, reason, who, cause,"
                     " replacement FROM barred WHERE sha256 = $1",
                     DB_ARGS(DB_BLOB(sha256->b, 32)), &rows, e);
    r = r < 0 ? r : db_next(rows, e);
    if (r <= 0) {
        return r < 0 ? r : err_set(e, ERR_NOTFOUND, "neither withheld nor recalled");
    }
    json_t *j = js_new();
    js_set_str(j, "state",
               release_state_name(db_null(rows, 0) ? RELEASE_WITHHELD : RELEASE_RECALLED));
    js_set_int(j, "index", db_i64(rows, 1));
    js_set_time(j, "time", db_i64(rows, 2));
    js_set_str(j, "reason", db_text(rows, 3));
    js_set_str(j, "who", db_text(rows, 4));
    js_set_str(j, "by", db_text(rows, 5));
    js_set_str(j, "replacement", db_text(rows, 6));
    *out = j;
    return 0;
}

int release_known_good(struct db *db, const struct digest *sha256, int64_t *out, struct err *e)
{
    return db_int(db, "SELECT COALESCE(MIN(admitted_at), 0) FROM target WHERE sha256 = $1",
                  DB_ARGS(DB_BLOB(sha256->b, sizeof sha256->b)), out, e);
}

int release_alarms(struct db *db, size_t max, json_t **out, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    CLEANUP(js_free) json_t *list = js_list();
    int r = db_query(db, "SELECT idx, body FROM alarm ORDER BY idx DESC LIMIT $1",
                     DB_ARGS(DB_INT(max)), &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        json_t *a = NULL;
        r = js_parse(db_text_span(rows, 1), LIMIT_JSON, "an alarm in cordon.db", &a, e);
        if (r < 0) {
            return r;
        }
        js_set_int(a, "index", db_i64(rows, 0));
        js_add(list, a);
    }
    if (r == 0) {
        *out = json_incref(list);
    }
    return r;
}
