#include "release/release_db_priv.h"

#include "base/text.h"

const struct db_migration release_migrations[] = {
    {1,
     "CREATE TABLE blob (sha256 BLOB PRIMARY KEY, size INTEGER NOT NULL, sha1 BLOB, md5 BLOB,"
     " chunks BLOB NOT NULL, verdict TEXT NOT NULL, rules BLOB NOT NULL,"
     " attestation BLOB NOT NULL, admitted_index INTEGER NOT NULL) STRICT;"
     "CREATE INDEX blob_sha1 ON blob (sha1);"
     "CREATE INDEX blob_md5 ON blob (md5);"
     "CREATE TABLE member (blob BLOB NOT NULL, path TEXT NOT NULL, sha256 BLOB NOT NULL,"
     " sha1 BLOB, md5 BLOB, size INTEGER NOT NULL, PRIMARY KEY (blob, path, sha256)) STRICT;"
     "CREATE INDEX member_sha256 ON member (sha256);"
     "CREATE INDEX member_sha1 ON member (sha1);"
     "CREATE INDEX member_md5 ON member (md5);"
     "CREATE TABLE finding (blob BLOB NOT NULL, event INTEGER NOT NULL, number INTEGER NOT NULL,"
     " engine TEXT NOT NULL, rule TEXT NOT NULL, severity TEXT NOT NULL, member TEXT NOT NULL,"
     " text TEXT NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (blob, event, number)) STRICT;"
     "CREATE INDEX finding_rule ON finding (rule);"
     "CREATE TABLE target (path TEXT PRIMARY KEY, folded TEXT NOT NULL UNIQUE,"
     " product TEXT NOT NULL, version TEXT NOT NULL, rel TEXT NOT NULL, sha256 BLOB NOT NULL,"
     " who TEXT NOT NULL, admitted_index INTEGER NOT NULL, admitted_at INTEGER NOT NULL,"
     " published_index INTEGER, published_at INTEGER, hold_until INTEGER NOT NULL,"
     " approve INTEGER NOT NULL, approved_index INTEGER, approved_by TEXT) STRICT;"
     "CREATE INDEX target_sha256 ON target (sha256);"
     "CREATE INDEX target_version ON target (product, version);"
     "CREATE INDEX target_unpublished ON target (hold_until) WHERE published_index IS NULL;"
     /* digests, admitted or not, that may not go out */
     "CREATE TABLE barred (sha256 BLOB PRIMARY KEY, withheld INTEGER, recalled INTEGER,"
     " time INTEGER NOT NULL, reason TEXT NOT NULL, who TEXT, cause TEXT, replacement TEXT)"
     " STRICT;"
     "CREATE TABLE refused (idx INTEGER PRIMARY KEY, time INTEGER NOT NULL, path TEXT,"
     " sha256 BLOB, verdict TEXT, reason TEXT NOT NULL, who TEXT) STRICT;"
     "CREATE INDEX refused_sha256 ON refused (sha256);"
     "CREATE TABLE alarm (idx INTEGER PRIMARY KEY, time INTEGER NOT NULL, sha256 BLOB,"
     " fault TEXT NOT NULL, body TEXT NOT NULL) STRICT;"
     "CREATE TABLE retro (idx INTEGER PRIMARY KEY, time INTEGER NOT NULL, scanned INTEGER NOT NULL,"
     " withheld INTEGER NOT NULL, who TEXT) STRICT;"
     /* admissions whose part could not be read in a rebuild, because the site's key was lost */
     "CREATE TABLE admission_lost (idx INTEGER PRIMARY KEY) STRICT;"},
};
const size_t release_migrations_n = ARRAY_LEN(release_migrations);

void release_fold_name(struct buf *out, const char *path)
{
    for (; *path != '\0'; path++) {
        buf_char(out, *path >= 'A' && *path <= 'Z' ? (char)(*path - 'A' + 'a') : *path);
    }
}

/* ---- admitted ---- */

struct admitted {
    const char *who, *product, *version, *path, *rel, *verdict;
    struct digest sha256, chunks, rules, attestation;
    uint8_t sha1[20], md5[16];
    uint64_t size;
    int64_t hold_until;
    bool approve, emergency;
};

static int hex_member(const json_t *j, const char *name, uint8_t *out, size_t n, struct err *e)
{
    const char *text = NULL;
    int r = js_str(j, name, &text, e);
    r = r < 0 ? r : text_unhex(span_str(text), out, n, e);
    return r < 0 ? err_wrap(e, r, "%s", name) : 0;
}

static int check_path(const struct admitted *a, struct err *e)
{
    char want[LIMIT_TARGET + 1];
    int n = snprintf(want, sizeof want, "%s/%s/%s", a->product, a->version, a->rel);
    if (strlen(a->product) > LIMIT_NAME || strlen(a->version) > LIMIT_NAME ||
        (size_t)n >= sizeof want) {
        return err_set(e, ERR_LIMIT, "target %.300s: the name is too long", a->path);
    }
    if (strcmp(want, a->path) != 0) {
        return err_set(e, ERR_FORMAT, "target %.300s is not product/version/rel", a->path);
    }
    return 0;
}

static int read_admitted(const json_t *s, struct admitted *a, struct err *e)
{
    *a = (struct admitted){.hold_until = js_int_or(s, "hold_until", 0),
                           .approve = js_bool_or(s, "approve", false),
                           .emergency = js_bool_or(s, "emergency", false)};
    const struct {
        const char *name, **out;
    } texts[] = {{"who", &a->who},   {"product", &a->product}, {"version", &a->version},
                 {"path", &a->path}, {"rel", &a->rel},         {"verdict", &a->verdict}};
    const struct {
        const char *name;
        struct digest *out;
    } digests[] = {{"sha256", &a->sha256},
                   {"chunks", &a->chunks},
                   {"rules", &a->rules},
                   {"attestation", &a->attestation}};
    int r = js_u64(s, "size", &a->size, e);
    for (size_t i = 0; i < ARRAY_LEN(texts) && r == 0; i++) {
        r = js_str(s, texts[i].name, texts[i].out, e);
    }
    for (size_t i = 0; i < ARRAY_LEN(digests) && r == 0; i++) {
        r = js_sha256(s, digests[i].name, digests[i].out, e);
    }
    r = r < 0 ? r : hex_member(s, "sha1", a->sha1, sizeof a->sha1, e);
    r = r < 0 ? r : hex_member(s, "md5", a->md5, sizeof a->md5, e);
    r = r < 0 ? r : check_path(a, e);
    if (r == 0 && strcmp(a->verdict, "clean") != 0) {
        r = err_set(e, ERR_DENIED, "%.300s is %.20s: only what is clean is admitted", a->path,
                    a->verdict);
    }
    return r;
}

static int fold_member(struct db *db, const struct digest *blob, const json_t *m, struct err *e)
{
    const char *path = NULL;
    struct digest sha256;
    uint8_t sha1[20], md5[16];
    uint64_t size = 0;
    int r = js_str(m, "path", &path, e);
    r = r < 0 ? r : js_sha256(m, "sha256", &sha256, e);
    r = r < 0 ? r : hex_member(m, "sha1", sha1, sizeof sha1, e);
    r = r < 0 ? r : hex_member(m, "md5", md5, sizeof md5, e);
    r = r < 0 ? r : js_u64(m, "size", &size, e);
    return r < 0 ? err_wrap(e, r, "a member")
                 : db_exec(db,
                           "INSERT INTO member (blob, path, sha256, sha1, md5, size)"
                           " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
                           DB_ARGS(DB_BLOB(blob->b, 32), DB_TEXT(path), DIGEST(sha256),
                                   DB_BLOB(sha1, sizeof sha1), DB_BLOB(md5, sizeof md5),
                                   DB_INT(size)),
                           e);
}

int release_fold_findings(struct db *db, const struct digest *blob, uint64_t event,
                          const json_t *list, struct err *e)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *f = json_array_get(list, i);
        const char *rule = NULL;
        int r = js_str(f, "rule", &rule, e);
        r = r < 0 ? err_wrap(e, r, "a finding")
                  : db_exec(db,
                            "INSERT INTO finding (blob, event, number, engine, rule, severity,"
                            " member, text, place) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
                            " ON CONFLICT DO NOTHING",
                            DB_ARGS(DB_BLOB(blob->b, 32), DB_INT(event), DB_INT(i),
                                    DB_TEXT(js_str_or(f, "engine", "")), DB_TEXT(rule),
                                    DB_TEXT(js_str_or(f, "severity", "")),
                                    DB_TEXT(js_str_or(f, "member", "")),
                                    DB_TEXT(js_str_or(f, "text", "")),
                                    DB_INT(js_int_or(f, "offset", -1))),
                            e);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int fold_blob(struct db *db, const struct event *ev, const struct admitted *a, struct err *e)
{
    int r = db_exec(db,
                    "INSERT INTO blob (sha256, size, sha1, md5, chunks, verdict, rules,"
                    " attestation, admitted_index) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
                    " ON CONFLICT (sha256) DO UPDATE SET verdict = excluded.verdict,"
                    " rules = excluded.rules, attestation = excluded.attestation,"
                    " sha1 = excluded.sha1, md5 = excluded.md5,"
                    " admitted_index = excluded.admitted_index",
                    DB_ARGS(DIGEST(a->sha256), DB_INT(a->size), DB_BLOB(a->sha1, sizeof a->sha1),
                            DB_BLOB(a->md5, sizeof a->md5), DIGEST(a->chunks), DB_TEXT(a->verdict),
                            DIGEST(a->rules), DIGEST(a->attestation), DB_INT(ev->index)),
                    e);
    const json_t *members = json_object_get(ev->site, "members");
    for (size_t i = 0; i < json_array_size(members) && r == 0; i++) {
        r = fold_member(db, &a->sha256, json_array_get(members, i), e);
    }
    return r < 0 ? r
                 : release_fold_findings(db, &a->sha256, ev->index,
                                         json_object_get(ev->site, "findings"), e);
}

/* 1 if the same bytes are there under this path, 0 if the name is free. */
static int same_target(struct db *db, const struct admitted *a, const char *folded, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    struct digest have;
    int r = db_query(db, "SELECT path, sha256 FROM target WHERE folded = $1",
                     DB_ARGS(DB_TEXT(folded)), &rows, e);
    r = r < 0 ? r : db_next(rows, e);
    if (r <= 0) {
        return r;
    }
    if (strcmp(db_text(rows, 0), a->path) != 0) {
        return err_set(e, ERR_CONFLICT,
                       "%.200s differs only by case from %.200s, which exists: choose another name",
                       a->path, db_text(rows, 0));
    }
    r = db_bytes(rows, 1, have.b, sizeof have.b, e);
    if (r == 0 && !digest_eq(&have, &a->sha256)) {
        char was[DIGEST_TEXT + 1], is[DIGEST_TEXT + 1];
        r = err_set(e, ERR_CONFLICT,
                    "%.200s exists with other bytes (%.16s..., now %.16s...): a name keeps its "
                    "bytes; choose a new version",
                    a->path, digest_text(&have, was), digest_text(&a->sha256, is));
    }
    return r < 0 ? r : 1;
}

static int fold_target(struct db *db, const struct event *ev, const struct admitted *a,
                       struct err *e)
{
    CLEANUP(buf_clear) struct buf folded = BUF(LIMIT_TARGET);
    release_fold_name(&folded, a->path);
    int r = same_target(db, a, buf_text(&folded), e);
    if (r == 1) {
        return a->emergency ? db_exec(db,
                                      "UPDATE target SET hold_until = 0, approve = 0"
                                      " WHERE path = $1 AND published_index IS NULL",
                                      DB_ARGS(DB_TEXT(a->path)), e)
                            : 0;
    }
    return r < 0 ? r
                 : db_exec(db,
                           "INSERT INTO target (path, folded, product, version, rel, sha256, who,"
                           " admitted_index, admitted_at, hold_until, approve)"
                           " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                           DB_ARGS(DB_TEXT(a->path), DB_TEXT(buf_text(&folded)),
                                   DB_TEXT(a->product), DB_TEXT(a->version), DB_TEXT(a->rel),
                                   DIGEST(a->sha256), DB_TEXT(a->who), DB_INT(ev->index),
                                   DB_INT(ev->time), DB_INT(a->emergency ? 0 : a->hold_until),
                                   DB_INT(a->approve && !a->emergency)),
                           e);
}

/* 1 withheld, 2 recalled, 0 neither. */
static int barred(struct db *db, const struct digest *d, struct err *e)
{
    int64_t n = 0;
    int r = db_int(db,
                   "SELECT coalesce((SELECT CASE WHEN recalled IS NULL THEN 1 ELSE 2 END"
                   " FROM barred WHERE sha256 = $1), 0)",
                   DB_ARGS(DB_BLOB(d->b, 32)), &n, e);
    return r < 0 ? r : (int)n;
}

static int fold_admitted(struct db *db, const struct event *ev, struct err *e)
{
    if (ev->site == NULL) { /* the site's key is lost: its public entry may say the most of it */
        return db_exec(db, "INSERT INTO admission_lost VALUES ($1)", DB_ARGS(DB_INT(ev->index)), e);
    }
    struct admitted a;
    int r = read_admitted(ev->site, &a, e);
    r = r < 0 ? r : barred(db, &a.sha256, e);
    if (r == 2) {
        return err_set(e, ERR_DENIED, "%.300s: these bytes were recalled", a.path);
    }
    r = r < 0 ? r : fold_target(db, ev, &a, e);
    return r < 0 ? r : fold_blob(db, ev, &a, e);
}

/* ---- refused, approved ---- */

static int fold_refused(struct db *db, const struct event *ev, struct err *e)
{
    if (ev->site == NULL) {
        return 0;
    }
    struct digest d;
    const char *reason = NULL;
    bool known = js_sha256(ev->site, "sha256", &d, NULL) == 0;
    int r = js_str(ev->site, "reason", &reason, e);
    r = r < 0 ? r
              : db_exec(db,
                        "INSERT INTO refused (idx, time, path, sha256, verdict, reason, who)"
                        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
                        DB_ARGS(DB_INT(ev->index), DB_INT(ev->time),
                                DB_TEXT(js_str_or(ev->site, "path", NULL)),
                                known ? DIGEST(d) : DB_NULL,
                                DB_TEXT(js_str_or(ev->site, "verdict", NULL)), DB_TEXT(reason),
                                DB_TEXT(js_str_or(ev->site, "who", NULL))),
                        e);
    return r < 0 || !known
               ? r
               : release_fold_findings(db, &d, ev->index, json_object_get(ev->site, "findings"), e);
}

static int fold_approved(struct db *db, const struct event *ev, struct err *e)
{
    const char *product = NULL, *version = NULL, *who = NULL;
    int64_t waits = 0, own = 0;
    if (ev->site == NULL) {
        return 0;
    }
    int r = js_str(ev->site, "product", &product, e);
    r = r < 0 ? r : js_str(ev->site, "version", &version, e);
    r = r < 0 ? r : js_str(ev->site, "who", &who, e);
    if (r < 0) {
        return r;
    }
    struct db_args args =
        DB_ARGS(DB_TEXT(product), DB_TEXT(version), DB_TEXT(who), DB_INT(ev->index));
    r = db_int(db,
               "SELECT count(*) FROM target WHERE product = $1 AND version = $2 AND approve <> 0"
               " AND approved_index IS NULL AND published_index IS NULL",
               (struct db_args){args.v, 2}, &waits, e);
    r = r < 0 ? r
              : db_int(db,
                       "SELECT count(*) FROM target WHERE product = $1 AND version = $2 AND"
                       " who = $3 AND approve <> 0 AND approved_index IS NULL"
                       " AND published_index IS NULL",
                       (struct db_args){args.v, 3}, &own, e);
    if (r == 0 && waits == 0) {
        return err_set(e, ERR_NOTFOUND, "nothing of %.200s %.200s waits for approval", product,
                       version);
    }
    if (r == 0 && own > 0) {
        return err_set(e, ERR_DENIED,
                       "%.200s admitted files of %.200s %.200s: a second person must approve them",
                       who, product, version);
    }
    return r < 0 ? r
                 : db_exec(db,
                           "UPDATE target SET approved_by = $3, approved_index = $4"
                           " WHERE product = $1 AND version = $2 AND approve <> 0"
                           " AND approved_index IS NULL AND published_index IS NULL",
                           args, e);
}

/* ---- published ---- */

/* What a rebuild still knows of a target when the site's key is lost. */
static int fold_from_leaf(struct db *db, const struct event *ev, const char *path,
                          const struct digest *sha256, struct err *e)
{
    const char *first = strchr(path, '/'), *second = first == NULL ? NULL : strchr(first + 1, '/');
    struct digest chunks, attestation;
    static const struct digest none;
    uint64_t size = 0;
    int64_t lost = 0;
    int r = db_int(db, "SELECT count(*) FROM admission_lost", DB_NO_ARGS, &lost, e);
    if (r < 0 || lost == 0 || second == NULL || strlen(path) > LIMIT_TARGET) {
        return r < 0 ? r : err_set(e, ERR_NOTFOUND, "%.300s was never admitted", path);
    }
    r = js_sha256(ev->open, "chunks", &chunks, e);
    r = r < 0 ? r : js_sha256(ev->open, "verdict", &attestation, e);
    r = r < 0 ? r : js_u64(ev->open, "length", &size, e);
    r = r < 0 ? r
              : db_exec(db,
                        "INSERT INTO blob (sha256, size, chunks, verdict, rules, attestation,"
                        " admitted_index) VALUES ($1, $2, $3, 'clean', $4, $5, $6)"
                        " ON CONFLICT DO NOTHING",
                        DB_ARGS(DB_BLOB(sha256->b, 32), DB_INT(size), DIGEST(chunks), DIGEST(none),
                                DIGEST(attestation), DB_INT(ev->index)),
                        e);
    CLEANUP(buf_clear) struct buf folded = BUF(LIMIT_TARGET);
    release_fold_name(&folded, path);
    return r < 0 ? r
                 : db_exec(db,
                           "INSERT INTO target (path, folded, product, version, rel, sha256, who,"
                           " admitted_index, admitted_at, hold_until, approve)"
                           " VALUES ($1, $2, $3, $4, $5, $6, '', $7, $8, 0, 0)",
                           DB_ARGS(DB_TEXT(path), DB_TEXT_SPAN(buf_view(&folded)),
                                   DB_TEXT_SPAN(span_of(path, (size_t)(first - path))),
                                   DB_TEXT_SPAN(span_of(first + 1, (size_t)(second - first - 1))),
                                   DB_TEXT(second + 1), DB_BLOB(sha256->b, 32), DB_INT(ev->index),
                                   DB_INT(ev->time)),
                           e);
}

static int may_publish(const struct release_target *t, const struct event *ev, struct err *e)
{
    struct digest sha256, chunks;
    uint64_t length = 0;
    int r = js_sha256(ev->open, "sha256", &sha256, e);
    r = r < 0 ? r : js_sha256(ev->open, "chunks", &chunks, e);
    r = r < 0 ? r : js_u64(ev->open, "length", &length, e);
    if (r < 0) {
        return r;
    }
    if (!digest_eq(&sha256, &t->sha256) || !digest_eq(&chunks, &t->chunk_root) ||
        length != t->size) {
        return err_set(e, ERR_CONFLICT, "%.300s was admitted with other bytes", t->path);
    }
    if (t->state == RELEASE_WITHHELD || t->state == RELEASE_RECALLED) {
        return err_set(e, ERR_DENIED, "%.300s is %s", t->path, release_state_name(t->state));
    }
    if (t->state == RELEASE_WAITING) {
        return err_set(e, ERR_DENIED, "%.300s waits for a second person's approval", t->path);
    }
    if (!t->published && t->hold_until > ev->time) {
        char when[CLOCK_TEXT];
        return err_set(e, ERR_DENIED, "%.300s is held until %s", t->path,
                       clock_text(t->hold_until, true, when));
    }
    return 0;
}

static int fold_published(struct db *db, const struct event *ev, struct err *e)
{
    const char *path = NULL;
    struct digest sha256;
    struct release_target t;
    int r = js_str(ev->open, "path", &path, e);
    r = r < 0 ? r : js_sha256(ev->open, "sha256", &sha256, e);
    if (r < 0) {
        return r;
    }
    r = release_target(db, path, &t, e);
    if (r == ERR_NOTFOUND) {
        r = fold_from_leaf(db, ev, path, &sha256, e);
        r = r < 0 ? r : release_target(db, path, &t, e);
    }
    r = r < 0 ? r : may_publish(&t, ev, e);
    return r < 0 ? r
                 : db_exec(db,
                           "UPDATE target SET published_index = $2, published_at = $3"
                           " WHERE path = $1 AND published_index IS NULL",
                           DB_ARGS(DB_TEXT(path), DB_INT(ev->index), DB_INT(ev->time)), e);
}

const struct record_kind release_kinds[] = {
    {"admitted", 0x0201, false, fold_admitted, NULL},
    {"refused", 0x0202, false, fold_refused, NULL},
    {"approved", 0x0203, false, fold_approved, NULL},
    {"published", 0, true, fold_published, NULL},
    {"withheld", 0x0204, false, release_fold_withheld, NULL},
    {"recalled", 0, true, release_fold_recalled, NULL},
    {"lifted", 0, true, release_fold_lifted, NULL},
    {"alarm", 0x0205, false, release_fold_alarm, NULL},
    {"retro", 0x0206, false, release_fold_retro, NULL},
    {0},
};
