#include "account/account_priv.h"

#include <sodium.h>

#include "base/text.h"

/* ---- names ---- */

static int suggest_org(struct db *db, const char *name, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    char near[LIMIT_NAME + 1] = "";
    size_t best = strlen(name) < 200 ? strlen(name) / 3 + 1 : 0;
    int r = db_query(db, "SELECT name FROM org WHERE name IS NOT NULL", DB_NO_ARGS, &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        const char *other = db_text(rows, 0);
        size_t d = text_distance(name, other);
        if (d < best && strlen(other) < sizeof near) {
            best = d;
            memcpy(near, other, strlen(other) + 1);
        }
    }
    if (r < 0) {
        return r;
    }
    return near[0] == '\0'
               ? err_set(e, ERR_NOTFOUND, "no organisation %.100s; org list shows all", name)
               : err_set(e, ERR_NOTFOUND, "no organisation %.100s; did you mean %.100s?", name,
                         near);
}

int account_org_find(struct db *db, const char *name, uint64_t *out, struct err *e)
{
    int64_t id = 0;
    int r = db_int(db, "SELECT id FROM org WHERE name = $1", DB_ARGS(DB_TEXT(name)), &id, e);
    if (r == 0) {
        *out = (uint64_t)id;
    }
    return r == ERR_NOTFOUND ? suggest_org(db, name, e) : r;
}

int account_find(struct db *db, uint64_t org, const char *user, uint64_t *out, struct err *e)
{
    int64_t id = 0;
    int r = db_int(db, "SELECT id FROM account WHERE org = $1 AND login = $2",
                   DB_ARGS(DB_INT(org), DB_TEXT(user)), &id, e);
    if (r == 0) {
        *out = (uint64_t)id;
    }
    return r == ERR_NOTFOUND ? err_set(e, r, "no account %.200s of this organisation", user) : r;
}

static int name_of_id(struct db *db, const char *sql, const char *what, uint64_t id,
                      struct buf *out, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    int r = db_query(db, sql, DB_ARGS(DB_INT(id)), &rows, e);
    r = r < 0 ? r : db_next(rows, e);
    if (r == 0 || (r == 1 && db_null(rows, 0))) {
        return err_set(e, ERR_NOTFOUND, "%s %llu %s", what, (unsigned long long)id,
                       r == 0 ? "does not exist" : "has no name any more");
    }
    if (r == 1) {
        buf_span(out, db_text_span(rows, 0));
        r = buf_done(out, "a name", e);
    }
    return r;
}

int account_org_name(struct db *db, uint64_t org, struct buf *out, struct err *e)
{
    return name_of_id(db, "SELECT name FROM org WHERE id = $1", "organisation", org, out, e);
}

int account_user(struct db *db, uint64_t account, struct buf *out, struct err *e)
{
    return name_of_id(db, "SELECT login FROM account WHERE id = $1", "account", account, out, e);
}

/* ---- who is it? ---- */

#define WHO                                                                                        \
    "SELECT a.id, a.org, a.disabled, o.anonymous, a.login, a.token, a.password, o.name"            \
    " FROM account a JOIN org o ON o.id = a.org "

static struct account_who take_who(struct db_rows *rows)
{
    return (struct account_who){.account = (uint64_t)db_i64(rows, 0),
                                .org = (uint64_t)db_i64(rows, 1),
                                .disabled = db_i64(rows, 2) != 0,
                                .anonymous = db_i64(rows, 3) != 0};
}

int account_anonymous(struct db *db, struct account_who *out, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    int r = db_query(db, WHO "WHERE o.anonymous <> 0", DB_NO_ARGS, &rows, e);
    r = r < 0 ? r : db_next(rows, e);
    if (r == 0) {
        return err_set(e, ERR_NOTFOUND, "no product is for anyone");
    }
    if (r < 0) {
        return r;
    }
    *out = take_who(rows);
    return 0;
}

static int wrong(struct err *e)
{
    return err_set(e, ERR_DENIED, "sign in: no such account, or a wrong password or token");
}

static bool same_text(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || sodium_memcmp(a.p, b.p, a.len) == 0);
}

/* 1 found, 0 not. What the index is searched for is a hash, so its timing tells nothing. */
static int by_token(struct db *db, const char *user, struct span secret, struct account_who *out,
                    struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    struct digest d = digest_of(secret), have;
    int r = db_query(db, WHO "WHERE a.token = $1", DB_ARGS(DB_BLOB(d.b, sizeof d.b)), &rows, e);
    r = r < 0 ? r : db_next(rows, e);
    if (r <= 0) {
        return r;
    }
    r = db_bytes(rows, 5, have.b, sizeof have.b, e);
    if (r < 0) {
        return r;
    }
    bool ok = sodium_memcmp(have.b, d.b, sizeof d.b) == 0;
    if (user != NULL && user[0] != '\0') {
        const char *bare = strchr(user, '\\');
        ok = ok && (same_text(db_text_span(rows, 4), span_str(user)) ||
                    (bare != NULL && same_text(db_text_span(rows, 4), span_str(bare + 1))));
    }
    struct account_who who = take_who(rows);
    if (!ok || who.disabled) {
        return wrong(e);
    }
    *out = who;
    return 1;
}

/* A hash for accounts that are not there, as costly as those that are. */
static int spend_time(struct db *db, struct span secret, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    int r = db_query(db, "SELECT password FROM account WHERE password IS NOT NULL LIMIT 1",
                     DB_NO_ARGS, &rows, e);
    r = r < 0 ? r : db_next(rows, e);
    if (r == 1) {
        r = password_check(UINT64_MAX, db_text(rows, 0), secret, e);
        return r == ERR_UNAVAIL ? r : wrong(e);
    }
    return r < 0 ? r : wrong(e);
}

/* Users of one name may be in several organisations; ORG\user tells which. */
static int by_password(struct db *db, const char *user, struct span secret, struct account_who *out,
                       struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    const char *slash = strchr(user, '\\');
    const char *login = user;
    struct span org = SPAN_NONE;
    bool tried = false;
    if (slash != NULL) {
        org = span_of(user, (size_t)(slash - user));
        login = slash + 1;
    }
    int r = db_query(db, WHO "WHERE a.login = $1 AND a.password IS NOT NULL AND a.disabled = 0",
                     DB_ARGS(DB_TEXT(login)), &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        if (slash != NULL && !span_eq(db_text_span(rows, 7), org)) {
            continue;
        }
        struct account_who who = take_who(rows);
        tried = true;
        r = password_check(who.account, db_text(rows, 6), secret, e);
        if (r == 0) {
            *out = who;
            return 0;
        }
        r = r == ERR_DENIED ? 0 : r;
    }
    if (r < 0) {
        return r;
    }
    return tried ? wrong(e) : spend_time(db, secret, e);
}

int account_authenticate(struct db *db, const char *user, struct span secret,
                         struct account_who *out, struct err *e)
{
    if (secret.len == 0 || secret.len > ACCOUNT_PASSWORD ||
        (user != NULL && !text_is_utf8(span_str(user)))) {
        return wrong(e);
    }
    if (secret.len == ACCOUNT_TOKEN) {
        int r = by_token(db, user, secret, out, e);
        if (r != 0) {
            return r < 0 ? r : 0;
        }
    }
    return user == NULL || user[0] == '\0' ? wrong(e) : by_password(db, user, secret, out, e);
}

/* ---- what may they have? ---- */

int account_product(struct db *db, const char *product, enum account_access *access, bool *recorded,
                    struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    int r = db_query(db, "SELECT access, channel FROM product WHERE name = $1",
                     DB_ARGS(DB_TEXT(product)), &rows, e);
    r = r < 0 ? r : db_next(rows, e);
    if (r < 0) {
        return r;
    }
    *access = ACCOUNT_CUSTOMERS;
    *recorded = true;
    if (r == 1) {
        const char *a = db_text(rows, 0);
        *access = strcmp(a, "anyone") == 0    ? ACCOUNT_ANYONE
                  : strcmp(a, "private") == 0 ? ACCOUNT_PRIVATE
                                              : ACCOUNT_CUSTOMERS;
        *recorded = strcmp(db_text(rows, 1), "public") != 0;
    }
    return 0;
}

int account_may(struct db *db, const struct account_who *who, const char *product, struct err *e)
{
    enum account_access access;
    bool recorded;
    int64_t n = 0;
    int r = account_product(db, product, &access, &recorded, e);
    if (r < 0 || access == ACCOUNT_ANYONE) {
        return r;
    }
    if (who->anonymous) {
        return err_set(e, ERR_DENIED, "sign in: product %.200s is for customers", product);
    }
    r = db_int(db, "SELECT count(*) FROM org_product WHERE org = $1 AND product = $2",
               DB_ARGS(DB_INT(who->org), DB_TEXT(product)), &n, e);
    return r < 0 || n > 0 ? r
                          : err_set(e, ERR_DENIED,
                                    "this organisation was not granted product %.200s", product);
}

int account_operator(struct db *db, const char *name, struct account_operator *out, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    struct account_operator o = {.name = ""};
    int r = db_query(db, "SELECT name, role, public FROM operator WHERE name = $1",
                     DB_ARGS(DB_TEXT(name)), &rows, e);
    r = r < 0 ? r : db_next(rows, e);
    if (r == 0) {
        return err_set(e, ERR_NOTFOUND, "no operator %.200s", name);
    }
    r = r < 0 ? r : db_bytes(rows, 2, o.key.b, sizeof o.key.b, e);
    if (r < 0) {
        return r;
    }
    snprintf(o.name, sizeof o.name, "%s", db_text(rows, 0));
    snprintf(o.role, sizeof o.role, "%s", db_text(rows, 1));
    *out = o;
    return 0;
}
