#include "account/account_priv.h"

#include "base/mem.h"

static int products_of(struct db *db, int64_t org, json_t **out, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    CLEANUP(js_free) json_t *list = js_list();
    int r = db_query(db, "SELECT product FROM org_product WHERE org = $1 ORDER BY product",
                     DB_ARGS(DB_INT(org)), &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        js_add_str(list, db_text(rows, 0));
    }
    if (r == 0) {
        *out = json_incref(list);
    }
    return r;
}

static void set_text(json_t *j, const char *name, struct db_rows *rows, int col)
{
    js_set_str(j, name, db_null(rows, col) ? NULL : db_text(rows, col));
}

int account_org_list(struct db *db, json_t **out, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    CLEANUP(js_free) json_t *list = js_list();
    int r = db_query(db,
                     "SELECT id, name, contact, manager, language, since, anonymous, erased,"
                     " (SELECT count(*) FROM account a WHERE a.org = o.id AND a.erased = 0)"
                     " FROM org o ORDER BY name, id",
                     DB_NO_ARGS, &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        json_t *o = js_new(), *products = NULL;
        js_add(list, o);
        js_set_int(o, "organisation", db_i64(rows, 0));
        set_text(o, "name", rows, 1);
        set_text(o, "contact", rows, 2);
        set_text(o, "manager", rows, 3);
        set_text(o, "language", rows, 4);
        js_set_int(o, "accounts", db_i64(rows, 8));
        js_set_bool(o, "anonymous", db_i64(rows, 6) != 0);
        js_set_bool(o, "erased", db_i64(rows, 7) != 0);
        js_set_time(o, "since", db_i64(rows, 5));
        r = products_of(db, db_i64(rows, 0), &products, e);
        if (r < 0) {
            return r;
        }
        js_set(o, "products", products);
    }
    if (r == 0) {
        *out = json_incref(list);
    }
    return r;
}

int account_list(struct db *db, const char *org, json_t **out, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    CLEANUP(js_free) json_t *list = js_list();
    uint64_t id = 0;
    int r = org == NULL ? 0 : account_org_find(db, org, &id, e);
    r = r < 0 ? r
              : db_query(db,
                         "SELECT a.id, o.name, a.login, a.token IS NOT NULL,"
                         " a.password IS NOT NULL, a.disabled, a.erased, a.since"
                         " FROM account a JOIN org o ON o.id = a.org"
                         " WHERE $1 < 0 OR a.org = $1 ORDER BY o.name, a.login, a.id",
                         DB_ARGS(DB_INT(org == NULL ? -1 : (int64_t)id)), &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        json_t *a = js_new();
        js_set_int(a, "account", db_i64(rows, 0));
        set_text(a, "organisation", rows, 1);
        set_text(a, "user", rows, 2);
        js_set_str(a, "signs_in",
                   db_i64(rows, 3) != 0   ? "token"
                   : db_i64(rows, 4) != 0 ? "password"
                                          : "nothing");
        js_set_bool(a, "disabled", db_i64(rows, 5) != 0);
        js_set_bool(a, "erased", db_i64(rows, 6) != 0);
        js_set_time(a, "since", db_i64(rows, 7));
        js_add(list, a);
    }
    if (r == 0) {
        *out = json_incref(list);
    }
    return r;
}

int account_product_list(struct db *db, json_t **out, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    CLEANUP(js_free) json_t *list = js_list();
    int r = db_query(db, "SELECT name, access, channel FROM product ORDER BY name", DB_NO_ARGS,
                     &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        json_t *p = js_new();
        js_set_str(p, "product", db_text(rows, 0));
        js_set_str(p, "access", db_text(rows, 1));
        js_set_str(p, "channel", db_text(rows, 2));
        js_add(list, p);
    }
    if (r == 0) {
        *out = json_incref(list);
    }
    return r;
}

static int ids_of(struct db *db, const char *sql, struct db_args args, uint64_t **out, size_t *n,
                  struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    CLEANUP(mem_free) uint64_t *ids = NULL;
    size_t have = 0, cap = 0;
    int r = db_query(db, sql, args, &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        if (have == cap) {
            cap = cap * 2 + 16;
            ids = mem_resize(ids, cap, sizeof *ids);
        }
        ids[have++] = (uint64_t)db_i64(rows, 0);
    }
    if (r == 0) {
        *out = ids;
        *n = have;
        ids = NULL;
    }
    return r;
}

int account_orgs_erased(struct db *db, uint64_t **out, size_t *n, struct err *e)
{
    return ids_of(db, "SELECT id FROM org WHERE erased <> 0 ORDER BY id", DB_NO_ARGS, out, n, e);
}

int account_orgs_of(struct db *db, const char *product, uint64_t **out, size_t *n, struct err *e)
{
    return ids_of(db, "SELECT org FROM org_product WHERE product = $1 ORDER BY org",
                  DB_ARGS(DB_TEXT(product)), out, n, e);
}
