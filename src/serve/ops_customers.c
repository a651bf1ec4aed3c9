/* ops_customers.c - organisations, accounts, operators, products, and who has it. */
#include "serve/gate.h"

#include "base/mem.h"
#include "incident/incident.h"

typedef int (*builder)(struct db *db, const json_t *q, struct event *ev, struct err *e);

/* Builds one event against the database, has it entered, answers its index. */
static int enter(struct gate_call *c, builder build, json_t **answer, struct err *e)
{
    CLEANUP(event_clear) struct event ev = {0};
    struct db *db = gate_db(c->g, e);
    int r = db == NULL ? e->code : build(db, c->m->body, &ev, e);
    r = r < 0 ? r : gate_append(c->g, &ev, 1, e);
    if (r == 0) {
        *answer = js_new();
        js_set_int(*answer, "index", (int64_t)ev.index);
    }
    return r;
}

static int on_org_add(struct gate_call *c, json_t **a, struct err *e)
{
    return enter(c, account_org_add, a, e);
}

static int on_org_grant(struct gate_call *c, json_t **a, struct err *e)
{
    return enter(c, account_org_grant, a, e);
}

static int on_org_erase(struct gate_call *c, json_t **a, struct err *e)
{
    return enter(c, account_org_erase, a, e);
}

static int on_disable(struct gate_call *c, json_t **a, struct err *e)
{
    return enter(c, account_disable, a, e);
}

static int on_erase(struct gate_call *c, json_t **a, struct err *e)
{
    return enter(c, account_erase, a, e);
}

static int on_operator_add(struct gate_call *c, json_t **a, struct err *e)
{
    return enter(c, account_operator_add, a, e);
}

static int on_account_add(struct gate_call *c, json_t **answer, struct err *e)
{
    char token[ACCOUNT_TOKEN + 1];
    CLEANUP(event_clear) struct event ev = {0};
    struct db *db = gate_db(c->g, e);
    int r = db == NULL ? e->code : account_add(db, c->m->body, &ev, token, e);
    r = r < 0 ? r : gate_append(c->g, &ev, 1, e);
    if (r == 0) {
        *answer = js_new();
        js_set_str(*answer, "account", js_str_or(c->m->body, "user", ""));
        js_set_str(*answer, "organisation", js_str_or(c->m->body, "org", ""));
        if (json_object_get(c->m->body, "password_hash") == NULL) {
            js_set_str(*answer, "token", token);
        }
    }
    return r;
}

/* A product that anyone may fetch is granted to the account `anonymous`, made when first needed. */
static int on_product_set(struct gate_call *c, json_t **answer, struct err *e)
{
    int r = 0;
    struct db *db = gate_db(c->g, e);
    if (db == NULL) {
        return e->code;
    }
    if (strcmp(js_str_or(c->m->body, "access", ""), "anyone") == 0) {
        CLEANUP(event_clear) struct event ev = {0};
        r = account_anonymous_event(db, &ev, e);
        r = r == 1 ? gate_append(c->g, &ev, 1, e) : r;
    }
    r = r < 0 ? r : enter(c, account_product_set, answer, e);
    return r < 0 ? r : show_update(c->g, NULL, 0, e);
}

static int list_of(struct gate_call *c, const char *name, json_t *take, json_t **answer)
{
    (void)c;
    *answer = js_new();
    js_set(*answer, name, take);
    return 0;
}

static int on_org_list(struct gate_call *c, json_t **answer, struct err *e)
{
    json_t *list = NULL;
    struct db *db = gate_db(c->g, e);
    int r = db == NULL ? e->code : account_org_list(db, &list, e);
    return r < 0 ? r : list_of(c, "organisations", list, answer);
}

static int on_account_list(struct gate_call *c, json_t **answer, struct err *e)
{
    json_t *list = NULL;
    struct db *db = gate_db(c->g, e);
    int r = db == NULL ? e->code : account_list(db, js_str_or(c->m->body, "org", NULL), &list, e);
    return r < 0 ? r : list_of(c, "accounts", list, answer);
}

static int on_product_list(struct gate_call *c, json_t **answer, struct err *e)
{
    json_t *list = NULL;
    struct db *db = gate_db(c->g, e);
    int r = db == NULL ? e->code : account_product_list(db, &list, e);
    return r < 0 ? r : list_of(c, "products", list, answer);
}

/* ---- imports ---- */

#define IMPORT_BATCH ((size_t)500)

/* Enters a list of requests in batches. Grants name organisations of the same list, so everything
 * that makes something comes before what refers to it. */
static int enter_list(struct gate_call *c, const json_t *list, builder build,
                      bool (*mine)(const json_t *), int64_t *done, struct err *e)
{
    struct event *ev = mem_array(struct event, IMPORT_BATCH);
    size_t n = 0, all = json_array_size(list);
    int r = 0;
    for (size_t i = 0; i <= all && r == 0; i++) {
        const json_t *q = json_array_get(list, i);
        struct db *db = gate_db(c->g, e);
        r = db == NULL ? e->code : 0;
        if (r == 0 && q != NULL && mine(q)) {
            r = build(db, q, &ev[n], e);
            n += r == 0;
        }
        if (r == 0 && n > 0 && (n == IMPORT_BATCH || i == all)) {
            r = gate_append(c->g, ev, n, e);
            *done += r == 0 ? (int64_t)n : 0;
            for (size_t k = 0; k < n; k++) {
                event_clear(&ev[k]);
                ev[k] = (struct event){0};
            }
            n = 0;
        }
    }
    for (size_t k = 0; k < n; k++) {
        event_clear(&ev[k]);
    }
    free(ev);
    return r < 0 ? err_wrap(e, r, "after %lld entries", (long long)*done) : 0;
}

static bool is_grant(const json_t *q)
{
    return json_object_get(q, "product") != NULL;
}

static bool is_org(const json_t *q)
{
    return !is_grant(q);
}

static bool is_any(const json_t *q)
{
    (void)q;
    return true;
}

static int imported(int r, int64_t done, json_t **answer)
{
    if (r == 0) {
        *answer = js_new();
        js_set_int(*answer, "entered", done);
    }
    return r;
}

static int on_org_import(struct gate_call *c, json_t **answer, struct err *e)
{
    const char *csv = NULL;
    int64_t done = 0;
    CLEANUP(js_free) json_t *list = NULL;
    int r = js_str(c->m->body, "csv", &csv, e);
    r = r < 0 ? r : account_org_csv(span_str(csv), &list, e);
    r = r < 0 ? r : enter_list(c, list, account_org_add, is_org, &done, e);
    r = r < 0 ? r : enter_list(c, list, account_org_grant, is_grant, &done, e);
    return imported(r, done, answer);
}

static int add_with_hash(struct db *db, const json_t *q, struct event *ev, struct err *e)
{
    char unused[ACCOUNT_TOKEN + 1];
    return account_add(db, q, ev, unused, e);
}

static int on_account_import(struct gate_call *c, json_t **answer, struct err *e)
{
    const char *text = NULL;
    int64_t done = 0;
    CLEANUP(js_free) json_t *list = NULL;
    int r = js_str(c->m->body, "htpasswd", &text, e);
    r = r < 0 ? r : account_htpasswd(span_str(text), js_str_or(c->m->body, "org", NULL), &list, e);
    r = r < 0 ? r : enter_list(c, list, add_with_hash, is_any, &done, e);
    return imported(r, done, answer);
}

/* ---- who has it ---- */

static int on_scope(struct gate_call *c, json_t **answer, struct err *e)
{
    CLEANUP(js_free) json_t *head = NULL;
    int r = gate_head(c->g, &head, e);
    struct db *db = r < 0 ? NULL : gate_db(c->g, e);
    r = r < 0 ? r : db == NULL ? e->code : 0;
    return r < 0 ? r : incident_scope(db, c->m->body, head, answer, e);
}

const struct gate_op gate_ops_customers[] = {
    {"org.add", GATE_RELEASE, on_org_add},
    {"org.grant", GATE_RELEASE, on_org_grant},
    {"org.erase", GATE_RELEASE, on_org_erase},
    {"org.list", GATE_RELEASE | GATE_RESPONDER, on_org_list},
    {"org.import", GATE_RELEASE, on_org_import},
    {"account.add", GATE_RELEASE, on_account_add},
    {"account.disable", GATE_RELEASE | GATE_RESPONDER, on_disable},
    {"account.erase", GATE_RELEASE, on_erase},
    {"account.list", GATE_RELEASE | GATE_RESPONDER, on_account_list},
    {"account.import", GATE_RELEASE, on_account_import},
    {"operator.add", GATE_LOCAL, on_operator_add},
    {"product.set", GATE_RELEASE, on_product_set},
    {"product.list", GATE_RELEASE | GATE_RESPONDER, on_product_list},
    {"incident.scope", GATE_RESPONDER, on_scope},
    {0}};
