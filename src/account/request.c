#include "account/account_priv.h"

#include <inttypes.h>
#include <sodium.h>

#include "base/random.h"
#include "base/text.h"

int account_name_of(const json_t *q, const char *member, const char *what, const char **out,
                    struct err *e)
{
    const char *s = NULL;
    int r = js_str(q, member, &s, e);
    r = r < 0 ? r : text_check_name(span_str(s), what, e);
    if (r < 0) {
        return r;
    }
    *out = s;
    return 0;
}

/* ---- organisations ---- */

/* Not every address that mail knows, but none that it does not. */
static bool is_mail(const char *s)
{
    const char *at = strrchr(s, '@');
    return at != NULL && at != s && at[1] != '\0' && strlen(s) <= 254 &&
           strpbrk(s, " \t<>,;:\"()[]\\") == NULL;
}

static bool is_language(const char *s)
{
    size_t n = strlen(s);
    return n >= 2 && n <= 16 &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") == n;
}

static int optional_name(const json_t *q, const char *member, struct err *e)
{
    const char *s;
    return json_object_get(q, member) == NULL ? 0 : account_name_of(q, member, member, &s, e);
}

int account_check_org(const json_t *q, struct err *e)
{
    const char *name = NULL, *contact = NULL;
    int r = account_name_of(q, "name", "name of the organisation", &name, e);
    r = r < 0 ? r : account_name_of(q, "contact", "contact", &contact, e);
    r = r < 0 ? r : optional_name(q, "manager", e);
    r = r < 0 ? r : optional_name(q, "language", e);
    if (r < 0) {
        return r;
    }
    if (strcasecmp(name, ACCOUNT_ANONYMOUS) == 0) {
        return err_set(e, ERR_CONFLICT, "the name %s is reserved", ACCOUNT_ANONYMOUS);
    }
    if (strchr(name, '\\') != NULL) {
        return err_set(e, ERR_FORMAT,
                       "the name of an organisation holds a backslash, which parts "
                       "organisation and user when accounts are imported");
    }
    if (!is_mail(contact)) {
        return err_set(e, ERR_FORMAT, "contact \"%.60s\" is no mail address", contact);
    }
    const char *language = js_str_or(q, "language", "en");
    if (!is_language(language)) {
        return err_set(e, ERR_FORMAT, "language \"%.20s\" is no code such as en or de", language);
    }
    return 0;
}

int account_org_add(struct db *db, const json_t *q, struct event *ev, struct err *e)
{
    int r = account_check_org(q, e);
    if (r < 0) {
        return r;
    }
    const char *name = js_str_or(q, "name", "");
    int64_t n = 0;
    r = db_int(db, "SELECT count(*) FROM org WHERE name = $1", DB_ARGS(DB_TEXT(name)), &n, e);
    if (r < 0 || n > 0) {
        return r < 0 ? r : err_set(e, ERR_CONFLICT, "organisation %.200s exists", name);
    }
    json_t *org = js_new();
    js_set_str(org, "name", name);
    js_set_str(org, "contact", js_str_or(q, "contact", NULL));
    js_set_str(org, "manager", js_str_or(q, "manager", NULL));
    js_set_str(org, "language", js_str_or(q, "language", "en"));
    *ev = (struct event){.kind = "org.added", .org = org, .org_id = RECORD_SELF};
    return 0;
}

int account_org_grant(struct db *db, const json_t *q, struct event *ev, struct err *e)
{
    const char *name = NULL, *product = NULL;
    uint64_t org = 0;
    int64_t n = 0;
    bool revoke = js_bool_or(q, "revoke", false);
    int r = account_name_of(q, "name", "name of the organisation", &name, e);
    r = r < 0 ? r : account_name_of(q, "product", "name of the product", &product, e);
    r = r < 0 ? r : account_org_find(db, name, &org, e);
    r = r < 0 ? r
              : db_int(db, "SELECT count(*) FROM org_product WHERE org = $1 AND product = $2",
                       DB_ARGS(DB_INT(org), DB_TEXT(product)), &n, e);
    if (r < 0) {
        return r;
    }
    if ((n > 0) != revoke) {
        return err_set(e, ERR_CONFLICT, "%.200s %s %.200s", name,
                       revoke ? "does not have" : "has already", product);
    }
    json_t *site = js_new();
    js_set_int(site, "org", (int64_t)org);
    js_set_str(site, "product", product);
    if (revoke) {
        js_set_bool(site, "revoke", true);
    }
    *ev = (struct event){.kind = "org.granted", .site = site};
    return 0;
}

int account_org_erase(struct db *db, const json_t *q, struct event *ev, struct err *e)
{
    const char *name = NULL;
    uint64_t org = 0;
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    CLEANUP(js_free) json_t *accounts = js_list();
    int r = account_name_of(q, "name", "name of the organisation", &name, e);
    r = r < 0 ? r : account_org_find(db, name, &org, e);
    if (r == 0 && strcmp(name, ACCOUNT_ANONYMOUS) == 0) {
        return err_set(e, ERR_DENIED,
                       "%s cannot be erased: give its products another access with "
                       "product set",
                       name);
    }
    r = r < 0 ? r
              : db_query(db, "SELECT id FROM account WHERE org = $1 AND erased = 0 ORDER BY id",
                         DB_ARGS(DB_INT(org)), &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        js_add(accounts, json_integer(db_i64(rows, 0)));
    }
    if (r < 0) {
        return r;
    }
    json_t *site = js_new();
    js_set_int(site, "org", (int64_t)org);
    js_set(site, "accounts", json_incref(accounts));
    *ev = (struct event){.kind = "org.erased", .site = site};
    return 0;
}

/* ---- accounts ---- */

static int new_token(json_t *part, char token[static ACCOUNT_TOKEN + 1])
{
    uint8_t raw[ACCOUNT_TOKEN / 2];
    random_bytes(raw, sizeof raw);
    sodium_bin2hex(token, ACCOUNT_TOKEN + 1, raw, sizeof raw);
    sodium_memzero(raw, sizeof raw);
    struct digest d = digest_of(span_of(token, ACCOUNT_TOKEN));
    js_set_sha256(part, "token", &d);
    return 0;
}

/* An account that is there gets another token only if it has none, or the caller said so. */
static int check_renewal(struct db *db, uint64_t id, const json_t *q, struct err *e)
{
    int64_t has_token = 0;
    int r = db_int(db, "SELECT token IS NOT NULL FROM account WHERE id = $1", DB_ARGS(DB_INT(id)),
                   &has_token, e);
    if (r < 0) {
        return r;
    }
    if (json_object_get(q, "password_hash") != NULL ||
        (has_token != 0 && !js_bool_or(q, "renew", false))) {
        return err_set(e, ERR_CONFLICT,
                       "account %.200s of %.200s exists; ask for a new token with "
                       "renew",
                       js_str_or(q, "user", ""), js_str_or(q, "org", ""));
    }
    return 0;
}

int account_add(struct db *db, const json_t *q, struct event *ev,
                char token[static ACCOUNT_TOKEN + 1], struct err *e)
{
    const char *name = NULL, *user = NULL, *hash = js_str_or(q, "password_hash", NULL);
    uint64_t org = 0, id = 0;
    int r = account_name_of(q, "org", "name of the organisation", &name, e);
    r = r < 0 ? r : account_name_of(q, "user", "user name", &user, e);
    r = r < 0 || hash == NULL ? r : password_supported(hash, e);
    r = r < 0 ? r : account_org_find(db, name, &org, e);
    if (r < 0) {
        return r;
    }
    if (strcmp(name, ACCOUNT_ANONYMOUS) == 0) {
        return err_set(e, ERR_DENIED, "%s has one account and gets no other", name);
    }
    if (strchr(user, ':') != NULL) {
        return err_set(e, ERR_FORMAT, "user name %.200s holds a colon, which HTTP cannot send",
                       user);
    }
    r = account_find(db, org, user, &id, e);
    bool there = r == 0;
    r = there ? check_renewal(db, id, q, e) : r == ERR_NOTFOUND ? 0 : r;
    if (r < 0) {
        return r;
    }
    json_t *part = js_new();
    if (there) {
        *ev = (struct event){
            .kind = "account.token", .account = part, .org_id = org, .account_id = id};
        return new_token(part, token);
    }
    js_set_str(part, "user", user);
    *ev = (struct event){
        .kind = "account.added", .account = part, .org_id = org, .account_id = RECORD_SELF};
    token[0] = '\0';
    if (hash != NULL) {
        js_set_str(part, "password", hash);
        return 0;
    }
    return new_token(part, token);
}

static int end_account(struct db *db, const json_t *q, const char *kind, struct event *ev,
                       struct err *e)
{
    const char *name = NULL, *user = NULL;
    uint64_t org = 0, id = 0;
    int r = account_name_of(q, "org", "name of the organisation", &name, e);
    r = r < 0 ? r : account_name_of(q, "user", "user name", &user, e);
    r = r < 0 ? r : account_org_find(db, name, &org, e);
    r = r < 0 ? r : account_find(db, org, user, &id, e);
    if (r == 0 && strcmp(name, ACCOUNT_ANONYMOUS) == 0) {
        r = err_set(e, ERR_DENIED, "%s stays: give its products another access with product set",
                    name);
    }
    if (r < 0) {
        return r;
    }
    json_t *site = js_new();
    js_set_int(site, "account", (int64_t)id);
    *ev = (struct event){.kind = kind, .site = site};
    return 0;
}

int account_disable(struct db *db, const json_t *q, struct event *ev, struct err *e)
{
    return end_account(db, q, "account.disabled", ev, e);
}

int account_erase(struct db *db, const json_t *q, struct event *ev, struct err *e)
{
    return end_account(db, q, "account.erased", ev, e);
}

int account_anonymous_event(struct db *db, struct event *ev, struct err *e)
{
    struct account_who who;
    int r = account_anonymous(db, &who, e);
    if (r != ERR_NOTFOUND) {
        return r;
    }
    json_t *org = js_new(), *account = js_new();
    js_set_str(org, "name", ACCOUNT_ANONYMOUS);
    js_set_str(account, "user", ACCOUNT_ANONYMOUS);
    *ev = (struct event){.kind = "anonymous.added",
                         .org = org,
                         .account = account,
                         .org_id = RECORD_SELF,
                         .account_id = RECORD_SELF};
    return 1;
}

/* ---- operators and products ---- */

static int one_of(const char *given, const char *what, const char *const *words, size_t n,
                  struct err *e)
{
    CLEANUP(buf_clear) struct buf all = BUF(200);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(given, words[i]) == 0) {
            return 0;
        }
        buf_fmt(&all, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", words[i]);
    }
    return err_set(e, ERR_FORMAT, "%s is %s, not \"%.40s\"", what, buf_text(&all), given);
}

int account_operator_add(struct db *db, const json_t *q, struct event *ev, struct err *e)
{
    static const char *const roles[] = {"build", "release", "responder"};
    const char *name = NULL, *role = NULL, *hex = NULL;
    uint8_t key[SIG_PUBLIC];
    struct account_operator have;
    int r = account_name_of(q, "name", "name of the operator", &name, e);
    r = r < 0 ? r : js_str(q, "role", &role, e);
    r = r < 0 ? r : one_of(role, "a role", roles, ARRAY_LEN(roles), e);
    r = r < 0 ? r : js_str(q, "public", &hex, e);
    r = r < 0 ? r : text_unhex(span_str(hex), key, sizeof key, e);
    if (r < 0) {
        return r;
    }
    if (strpbrk(name, ": ") != NULL) {
        return err_set(e, ERR_FORMAT, "the name of an operator holds a colon or blank");
    }
    r = account_operator(db, name, &have, e);
    if (r != ERR_NOTFOUND) {
        return r < 0 ? r : err_set(e, ERR_CONFLICT, "operator %.200s exists", name);
    }
    json_t *site = js_new();
    js_set_str(site, "name", name);
    js_set_str(site, "role", role);
    js_set_str(site, "public", hex);
    *ev = (struct event){.kind = "operator.added", .site = site};
    return 0;
}

int account_product_set(struct db *db, const json_t *q, struct event *ev, struct err *e)
{
    static const char *const accesses[] = {"customers", "private", "anyone"};
    static const char *const channels[] = {"recorded", "public"};
    const char *product = NULL, *access = js_str_or(q, "access", NULL),
               *channel = js_str_or(q, "channel", NULL);
    enum account_access was = ACCOUNT_CUSTOMERS;
    bool recorded = true;
    int r = account_name_of(q, "product", "name of the product", &product, e);
    /* what is not named stays as it is */
    r = r < 0 ? r : account_product(db, product, &was, &recorded, e);
    if (r < 0) {
        return r;
    }
    access = access == NULL ? accesses[was] : access;
    channel = channel == NULL ? channels[recorded ? 0 : 1] : channel;
    r = one_of(access, "access", accesses, ARRAY_LEN(accesses), e);
    r = r < 0 ? r : one_of(channel, "a channel", channels, ARRAY_LEN(channels), e);
    if (r < 0) {
        return r;
    }
    json_t *site = js_new();
    js_set_str(site, "product", product);
    js_set_str(site, "access", access);
    js_set_str(site, "channel", channel);
    *ev = (struct event){.kind = "product.set", .site = site};
    return 0;
}
