#include "account/account_priv.h"

#include "base/text.h"

/* Personal data stands only in org.name, contact, manager, language and account.user, token,
 * password; an erasure sets them NULL. Ids stay, so that a scope by organisation stays exact. */
const struct db_migration account_migrations[] = {
    {1,
     "CREATE TABLE org (id INTEGER PRIMARY KEY, name TEXT UNIQUE, contact TEXT, manager TEXT,"
     " language TEXT, since INTEGER NOT NULL, anonymous INTEGER NOT NULL, erased INTEGER NOT NULL)"
     " STRICT;"
     "CREATE TABLE account (id INTEGER PRIMARY KEY, org INTEGER NOT NULL, login TEXT, token BLOB,"
     " password TEXT, since INTEGER NOT NULL, disabled INTEGER NOT NULL, erased INTEGER NOT NULL,"
     " UNIQUE (org, login)) STRICT;"
     "CREATE UNIQUE INDEX account_token ON account (token);"
     "CREATE INDEX account_user ON account (login);"
     "CREATE TABLE org_product (org INTEGER NOT NULL, product TEXT NOT NULL,"
     " PRIMARY KEY (org, product)) STRICT;"
     "CREATE TABLE product (name TEXT PRIMARY KEY, access TEXT NOT NULL, channel TEXT NOT NULL)"
     " STRICT;"
     "CREATE TABLE operator (name TEXT PRIMARY KEY, role TEXT NOT NULL, public BLOB NOT NULL,"
     " since INTEGER NOT NULL) STRICT;"},
};
const size_t account_migrations_n = ARRAY_LEN(account_migrations);

/* A name that is there already is the only constraint these inserts can break. */
static int taken(struct err *e, int r, const char *what, const char *name)
{
    return r == ERR_CONFLICT ? err_set(e, r, "%s %.200s exists", what, name) : r;
}

static int fold_org_added(struct db *db, const struct event *ev, struct err *e)
{
    const char *name = NULL;
    int r = ev->org == NULL ? 0 : js_str(ev->org, "name", &name, e);
    r = r < 0 ? r
              : db_exec(db,
                        "INSERT INTO org (id, name, contact, manager, language, since, anonymous,"
                        " erased) VALUES ($1, $2, $3, $4, $5, $6, 0, 0)",
                        DB_ARGS(DB_INT(ev->org_id), DB_TEXT(name),
                                DB_TEXT(js_str_or(ev->org, "contact", NULL)),
                                DB_TEXT(js_str_or(ev->org, "manager", NULL)),
                                DB_TEXT(js_str_or(ev->org, "language", NULL)), DB_INT(ev->time)),
                        e);
    return taken(e, r, "organisation", name);
}

static int fold_org_granted(struct db *db, const struct event *ev, struct err *e)
{
    const char *product = NULL;
    int64_t org = 0;
    if (ev->site == NULL) {
        return 0;
    }
    int r = js_int(ev->site, "org", &org, e);
    r = r < 0 ? r : js_str(ev->site, "product", &product, e);
    if (r < 0) {
        return r;
    }
    return js_bool_or(ev->site, "revoke", false)
               ? db_exec(db, "DELETE FROM org_product WHERE org = $1 AND product = $2",
                         DB_ARGS(DB_INT(org), DB_TEXT(product)), e)
               : db_exec(db, "INSERT INTO org_product VALUES ($1, $2) ON CONFLICT DO NOTHING",
                         DB_ARGS(DB_INT(org), DB_TEXT(product)), e);
}

static int erase_account(struct db *db, int64_t id, struct err *e)
{
    return db_exec(db,
                   "UPDATE account SET login = NULL, token = NULL, password = NULL, disabled = 1,"
                   " erased = 1 WHERE id = $1",
                   DB_ARGS(DB_INT(id)), e);
}

static int fold_org_erased(struct db *db, const struct event *ev, struct err *e)
{
    int64_t org = 0, left = 0;
    json_t *accounts = NULL;
    if (ev->site == NULL) {
        return 0;
    }
    int r = js_int(ev->site, "org", &org, e);
    r = r < 0 ? r : js_arr(ev->site, "accounts", &accounts, e);
    for (size_t i = 0; i < json_array_size(accounts) && r == 0; i++) {
        r = erase_account(db, json_integer_value(json_array_get(accounts, i)), e);
    }
    r = r < 0 ? r
              : db_int(db, "SELECT count(*) FROM account WHERE org = $1 AND erased = 0",
                       DB_ARGS(DB_INT(org)), &left, e);
    if (r == 0 && left > 0) { /* its key would stay */
        return err_set(e, ERR_CONFLICT, "an account was added meanwhile: erase once more");
    }
    r = r < 0 ? r : db_exec(db, "DELETE FROM org_product WHERE org = $1", DB_ARGS(DB_INT(org)), e);
    return r < 0 ? r
                 : db_exec(db,
                           "UPDATE org SET name = NULL, contact = NULL, manager = NULL,"
                           " language = NULL, erased = 1 WHERE id = $1",
                           DB_ARGS(DB_INT(org)), e);
}

static void keys_of_org(const struct event *ev, void (*add)(void *ctx, struct keyring_id id),
                        void *ctx)
{
    const json_t *accounts = json_object_get(ev->site, "accounts");
    if (ev->site == NULL) {
        return;
    }
    add(ctx, (struct keyring_id){KEYRING_ORG, (uint64_t)js_int_or(ev->site, "org", 0)});
    for (size_t i = 0; i < json_array_size(accounts); i++) {
        uint64_t id = (uint64_t)json_integer_value(json_array_get(accounts, i));
        add(ctx, (struct keyring_id){KEYRING_ACCOUNT, id});
    }
}

static int secrets_of(const json_t *part, uint8_t token[32], bool *has_token, struct err *e)
{
    const char *hex = js_str_or(part, "token", NULL);
    *has_token = hex != NULL;
    return hex == NULL ? 0 : text_unhex(span_str(hex), token, 32, e);
}

static int fold_account_added(struct db *db, const struct event *ev, struct err *e)
{
    uint8_t token[32];
    bool has_token = false;
    const char *user = NULL;
    int r = ev->account == NULL ? 0 : js_str(ev->account, "user", &user, e);
    r = r < 0 ? r : secrets_of(ev->account, token, &has_token, e);
    r = r < 0
            ? r
            : db_exec(db,
                      "INSERT INTO account (id, org, login, token, password, since, disabled,"
                      " erased) VALUES ($1, $2, $3, $4, $5, $6, 0, 0)",
                      DB_ARGS(DB_INT(ev->account_id), DB_INT(ev->org_id), DB_TEXT(user),
                              has_token ? DB_BLOB(token, sizeof token) : DB_NULL,
                              DB_TEXT(js_str_or(ev->account, "password", NULL)), DB_INT(ev->time)),
                      e);
    return taken(e, r, "account", user);
}

static int fold_account_token(struct db *db, const struct event *ev, struct err *e)
{
    uint8_t token[32];
    bool has_token = false;
    int r = secrets_of(ev->account, token, &has_token, e);
    return r < 0 ? r
                 : db_exec(db,
                           "UPDATE account SET token = $2, password = NULL"
                           " WHERE id = $1 AND erased = 0",
                           DB_ARGS(DB_INT(ev->account_id),
                                   has_token ? DB_BLOB(token, sizeof token) : DB_NULL),
                           e);
}

static int fold_account_disabled(struct db *db, const struct event *ev, struct err *e)
{
    int64_t id = 0;
    int r = ev->site == NULL ? 0 : js_int(ev->site, "account", &id, e);
    return r < 0 || ev->site == NULL ? r
                                     : db_exec(db, "UPDATE account SET disabled = 1 WHERE id = $1",
                                               DB_ARGS(DB_INT(id)), e);
}

static int fold_account_erased(struct db *db, const struct event *ev, struct err *e)
{
    int64_t id = 0;
    int r = ev->site == NULL ? 0 : js_int(ev->site, "account", &id, e);
    return r < 0 || ev->site == NULL ? r : erase_account(db, id, e);
}

static void key_of_account(const struct event *ev, void (*add)(void *ctx, struct keyring_id id),
                           void *ctx)
{
    if (ev->site != NULL) {
        uint64_t id = (uint64_t)js_int_or(ev->site, "account", 0);
        add(ctx, (struct keyring_id){KEYRING_ACCOUNT, id});
    }
}

static int fold_anonymous(struct db *db, const struct event *ev, struct err *e)
{
    int r = db_exec(db,
                    "INSERT INTO org (id, name, since, anonymous, erased)"
                    " VALUES ($1, $2, $3, 1, 0)",
                    DB_ARGS(DB_INT(ev->org_id), DB_TEXT(ACCOUNT_ANONYMOUS), DB_INT(ev->time)), e);
    r = r < 0 ? r
              : db_exec(db,
                        "INSERT INTO account (id, org, login, since, disabled, erased)"
                        " VALUES ($1, $2, $3, $4, 0, 0)",
                        DB_ARGS(DB_INT(ev->account_id), DB_INT(ev->org_id),
                                DB_TEXT(ACCOUNT_ANONYMOUS), DB_INT(ev->time)),
                        e);
    return taken(e, r, "account", ACCOUNT_ANONYMOUS);
}

static int fold_operator_added(struct db *db, const struct event *ev, struct err *e)
{
    const char *name = NULL, *role = NULL, *hex = NULL;
    uint8_t key[SIG_PUBLIC];
    if (ev->site == NULL) {
        return 0;
    }
    int r = js_str(ev->site, "name", &name, e);
    r = r < 0 ? r : js_str(ev->site, "role", &role, e);
    r = r < 0 ? r : js_str(ev->site, "public", &hex, e);
    r = r < 0 ? r : text_unhex(span_str(hex), key, sizeof key, e);
    r = r < 0 ? r
              : db_exec(db, "INSERT INTO operator VALUES ($1, $2, $3, $4)",
                        DB_ARGS(DB_TEXT(name), DB_TEXT(role), DB_BLOB(key, sizeof key),
                                DB_INT(ev->time)),
                        e);
    return taken(e, r, "operator", name);
}

static int fold_product_set(struct db *db, const struct event *ev, struct err *e)
{
    const char *product = NULL, *access = NULL, *channel = NULL;
    if (ev->site == NULL) {
        return 0;
    }
    int r = js_str(ev->site, "product", &product, e);
    r = r < 0 ? r : js_str(ev->site, "access", &access, e);
    r = r < 0 ? r : js_str(ev->site, "channel", &channel, e);
    return r < 0 ? r
                 : db_exec(db,
                           "INSERT INTO product VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE"
                           " SET access = excluded.access, channel = excluded.channel",
                           DB_ARGS(DB_TEXT(product), DB_TEXT(access), DB_TEXT(channel)), e);
}

const struct record_kind account_kinds[] = {
    {"org.added", 0x0101, false, fold_org_added, NULL},
    {"org.granted", 0x0102, false, fold_org_granted, NULL},
    {"org.erased", 0x0103, false, fold_org_erased, keys_of_org},
    {"account.added", 0x0104, false, fold_account_added, NULL},
    {"account.disabled", 0x0105, false, fold_account_disabled, NULL},
    {"account.erased", 0x0106, false, fold_account_erased, key_of_account},
    {"account.token", 0x0107, false, fold_account_token, NULL},
    {"operator.added", 0x0108, false, fold_operator_added, NULL},
    {"product.set", 0x0109, false, fold_product_set, NULL},
    {"anonymous.added", 0x010a, false, fold_anonymous, NULL},
    {0},
};
