#include "incident/incident_priv.h"

#include "base/mem.h"

/* The answer while it grows. Organisations and holders are looked up by texts of their ids. */
struct scope {
    struct db *db;
    const struct criteria *c;
    struct err *e;
    json_t *targets, *deliveries, *orgs, *products;
    json_t *holders; /* {"ORG SHA256": enum delivery_holder} */
    json_t *by_org;  /* {"ORG": its object in orgs, borrowed twice} */
    json_t *seen;    /* {SHA256: size}: blobs whose targets are listed */
    uint64_t early;  /* deliveries that began before the window */
};

static void scope_clear(struct scope *s)
{
    js_free(&s->targets);
    js_free(&s->deliveries);
    js_free(&s->orgs);
    js_free(&s->products);
    js_free(&s->holders);
    js_free(&s->by_org);
    js_free(&s->seen);
}

static const char *org_key(uint64_t org, char out[static 24])
{
    snprintf(out, 24, "%llu", (unsigned long long)org);
    return out;
}

/* ---- targets ---- */

static int take_target(void *ctx, const struct release_target *t, struct err *e)
{
    (void)e;
    struct scope *s = ctx;
    char hex[DIGEST_TEXT + 1];
    json_t *j = js_new();
    js_set_str(j, "path", t->path);
    js_set_sha256(j, "sha256", &t->sha256);
    js_set_str(j, "state", release_state_name(t->state));
    js_add(s->targets, j);
    js_set_int(s->seen, digest_text(&t->sha256, hex), (int64_t)t->size);
    js_set_bool(s->products, t->product, true);
    return 0;
}

/* All names of a blob: it may have been fetched under any of them. */
static int see_blob(struct scope *s, const struct digest *d, struct err *e)
{
    char hex[DIGEST_TEXT + 1];
    return json_object_get(s->seen, digest_text(d, hex)) != NULL
               ? 0
               : release_of_digest(s->db, d, take_target, s, e);
}

static int by_path(const void *a, const void *b)
{
    json_t *const *x = a, *const *y = b;
    return strcmp(js_str_or(*x, "path", ""), js_str_or(*y, "path", ""));
}

static void sort_targets(struct scope *s)
{
    size_t n = json_array_size(s->targets);
    CLEANUP(mem_free) json_t **v = mem_array(json_t *, n);
    json_t *sorted = js_list();
    for (size_t i = 0; i < n; i++) {
        v[i] = json_array_get(s->targets, i);
    }
    qsort(v, n, sizeof *v, by_path);
    for (size_t i = 0; i < n; i++) {
        js_add(sorted, json_incref(v[i]));
    }
    js_free(&s->targets);
    s->targets = sorted;
}

/* ---- deliveries and organisations ---- */

static int take_holder(void *ctx, uint64_t org, const struct digest *blob, enum delivery_holder h)
{
    struct scope *s = ctx;
    char key[DIGEST_TEXT + 32], hex[DIGEST_TEXT + 1];
    snprintf(key, sizeof key, "%llu %s", (unsigned long long)org, digest_text(blob, hex));
    js_set_int(s->holders, key, h);
    return 0;
}

static enum delivery_holder holder_of(const struct scope *s, uint64_t org, const char *hex)
{
    char key[DIGEST_TEXT + 32];
    snprintf(key, sizeof key, "%llu %s", (unsigned long long)org, hex);
    return (enum delivery_holder)js_int_or(s->holders, key, DELIVERY_PARTIAL);
}

static int org_of(struct scope *s, const struct delivery *d, json_t **out)
{
    char key[24];
    json_t *o = json_object_get(s->by_org, org_key(d->org, key));
    if (o == NULL) {
        CLEANUP(buf_clear) struct buf name = BUF(LIMIT_NAME);
        int r = account_org_name(s->db, d->org, &name, s->e);
        if (r < 0 && r != ERR_NOTFOUND) {
            return r;
        }
        if (r == ERR_NOTFOUND) { /* its key was lost: still one organisation, and affected */
            buf_fmt(&name, "organisation %s (its name cannot be read)", key);
        }
        o = js_new();
        js_set_str(o, "name", buf_text(&name));
        js_set_str(o, "holder", delivery_holder_name(DELIVERY_PARTIAL));
        js_set(o, "targets", js_list());
        js_set_time(o, "first", d->from);
        js_add(s->orgs, o);
        js_set(s->by_org, key, json_incref(o));
    }
    *out = o;
    return 0;
}

static bool has_text(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (strcmp(json_string_value(json_array_get(list, i)), text) == 0) {
            return true;
        }
    }
    return false;
}

static void raise_holder(json_t *o, enum delivery_holder h)
{
    const char *was = js_str_or(o, "holder", "");
    for (enum delivery_holder k = DELIVERY_PARTIAL; k < h; k++) {
        if (strcmp(was, delivery_holder_name(k)) == 0) {
            js_set_str(o, "holder", delivery_holder_name(h));
            return;
        }
    }
}

static int set_user(struct scope *s, json_t *j, uint64_t account)
{
    CLEANUP(buf_clear) struct buf user = BUF(LIMIT_NAME);
    int r = account_user(s->db, account, &user, s->e);
    if (r == 0) {
        js_set_str(j, "account", buf_text(&user));
    } else if (r == ERR_NOTFOUND) {
        js_set(j, "account", json_null());
    }
    return r == ERR_NOTFOUND ? 0 : r;
}

static int take_delivery(void *ctx, const struct delivery *d)
{
    struct scope *s = ctx;
    char hex[DIGEST_TEXT + 1], last[CLOCK_TEXT];
    json_t *org = NULL, *j = js_new();
    js_add(s->deliveries, j);
    digest_text(&d->blob, hex);
    int r = see_blob(s, &d->blob, s->e);
    r = r < 0 ? r : org_of(s, d, &org);
    if (r < 0) {
        return r;
    }
    enum delivery_holder h = holder_of(s, d->org, hex);
    js_set_int(j, "grant", (int64_t)d->grant);
    js_set_time(j, "from", d->from);
    js_set_time(j, "to", d->to);
    js_set_str(j, "organisation", js_str_or(org, "name", ""));
    r = set_user(s, j, d->account);
    js_set_str(j, "target", d->target);
    js_set_str(j, "sha256", hex);
    js_set_int(j, "granted", (int64_t)d->granted);
    js_set_int(j, "acked", (int64_t)d->acked);
    js_set_int(j, "size", js_int_or(s->seen, hex, 0));
    js_set_str(j, "holder", delivery_holder_name(h));
    raise_holder(org, h);
    json_t *targets = json_object_get(org, "targets");
    if (!has_text(targets, d->target)) {
        js_add_str(targets, d->target);
    }
    clock_text(d->to, false, last);
    if (strcmp(last, js_str_or(org, "last", "")) > 0) {
        js_set_time(org, "last", d->to);
    }
    s->early += d->from < s->c->from ? 1 : 0;
    return r;
}

/* ---- who was looked at and has none ---- */

static int rule_out(struct scope *s, json_t *list, json_t *done, uint64_t org, const char *product)
{
    char key[24];
    CLEANUP(buf_clear) struct buf name = BUF(LIMIT_NAME);
    org_key(org, key);
    if (json_object_get(s->by_org, key) != NULL || json_object_get(done, key) != NULL) {
        return 0;
    }
    int r = account_org_name(s->db, org, &name, s->e);
    if (r < 0) {
        return r == ERR_NOTFOUND ? 0 : r;
    }
    CLEANUP(mem_free)
    char *reason = mem_printf("may have %s, and was sent none of these files%s", product,
                              s->c->from != 0 || s->c->to != 0 ? " in the window" : "");
    json_t *o = js_new();
    js_set_str(o, "name", buf_text(&name));
    js_set_str(o, "reason", reason);
    js_add(list, o);
    js_set_bool(done, key, true);
    return 0;
}

static bool asked_for(const struct criteria *c, uint64_t org)
{
    for (size_t i = 0; i < c->n_orgs; i++) {
        if (c->orgs[i] == org) {
            return true;
        }
    }
    return c->n_orgs == 0;
}

static int ruled_out(struct scope *s, json_t *list)
{
    const char *product;
    json_t *yes;
    CLEANUP(js_free) json_t *done = js_new();
    json_object_foreach(s->products, product, yes)
    {
        CLEANUP(mem_free) uint64_t *orgs = NULL;
        size_t n = 0;
        int r = account_orgs_of(s->db, product, &orgs, &n, s->e);
        for (size_t i = 0; i < n && r == 0; i++) {
            r = asked_for(s->c, orgs[i]) ? rule_out(s, list, done, orgs[i], product) : 0;
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* ---- what the answer does not say ---- */

static void say(const struct scope *s, char *take)
{
    js_add_str(s->c->not_covered, take);
    free(take);
}

static int say_public(struct scope *s)
{
    const char *product;
    json_t *yes;
    json_object_foreach(s->products, product, yes)
    {
        enum account_access access;
        bool recorded = true;
        int r = account_product(s->db, product, &access, &recorded, s->e);
        if (r < 0) {
            return r;
        }
        if (!recorded) {
            say(s, mem_printf("product %s is public: other servers may send its files, and their "
                              "downloads are not recorded here",
                              product));
        }
    }
    return 0;
}

static const char *deliveries(uint64_t n, char out[static 40])
{
    snprintf(out, 40, "%llu deliver%s", (unsigned long long)n, n == 1 ? "y" : "ies");
    return out;
}

static void say_people(struct scope *s)
{
    size_t partial = 0, anonymous = 0;
    for (size_t i = 0; i < json_array_size(s->orgs); i++) {
        const char *holder = js_str_or(json_array_get(s->orgs, i), "holder", "");
        partial += strcmp(holder, delivery_holder_name(DELIVERY_PARTIAL)) == 0 ? 1 : 0;
    }
    for (size_t i = 0; i < json_array_size(s->deliveries); i++) {
        const json_t *d = json_array_get(s->deliveries, i);
        anonymous += strcmp(js_str_or(d, "organisation", ""), ACCOUNT_ANONYMOUS) == 0 ? 1 : 0;
    }
    if (partial > 0) {
        say(s, mem_printf("%zu organisation%s sent parts that do not make a whole file", partial,
                          partial == 1 ? " was" : "s were"));
    }
    if (anonymous > 0) {
        say(s, mem_printf("%s to people who did not sign in: only their addresses are known, in "
                          "the events of these grants",
                          deliveries(anonymous, (char[40]){0})));
    }
    if (s->early > 0) {
        say(s, mem_printf("%s began up to an hour before the window: a range that is sent again "
                          "within the hour has no entry of its own",
                          deliveries(s->early, (char[40]){0})));
    }
}

static int say_limits(struct scope *s)
{
    uint64_t erased = 0;
    int64_t begun = 0;
    char when[CLOCK_TEXT];
    int r = say_public(s);
    r = r < 0 ? r : delivery_erased(s->db, s->c->from, s->c->to, &erased, s->e);
    r = r < 0 ? r : delivery_begun(s->db, &begun, s->e);
    if (r < 0) {
        return r;
    }
    say_people(s);
    if (erased > 0) {
        say(s, mem_printf("%s of erased organisations, of files that are no longer said",
                          deliveries(erased, (char[40]){0})));
    }
    if (begun == INT64_MAX) {
        say(s, mem_str("no delivery was ever recorded here"));
    } else if (s->c->from != 0 && s->c->from < begun) {
        say(s, mem_printf("the first recorded delivery is of %s; what was sent before is unknown",
                          clock_text(begun, true, when)));
    }
    return 0;
}

/* ---- all of it ---- */

static void set_time_or_null(json_t *j, const char *name, int64_t t)
{
    if (t == 0) {
        js_set(j, name, json_null());
    } else {
        js_set_time(j, name, t);
    }
}

static int ask(struct scope *s)
{
    const struct criteria *c = s->c;
    struct delivery_scope d = {.blobs = c->blobs,
                               .n_blobs = c->n_blobs,
                               .from = c->from,
                               .to = c->to,
                               .orgs = c->orgs,
                               .n_orgs = c->n_orgs,
                               .nodes = c->nodes,
                               .n_nodes = c->n_nodes};
    if (c->files && c->n_blobs == 0) {
        return 0; /* nothing here is meant, not everything */
    }
    int r = 0;
    for (size_t i = 0; i < c->n_blobs && r == 0; i++) {
        r = see_blob(s, &c->blobs[i], s->e);
    }
    r = r < 0 ? r : delivery_holders(s->db, &d, take_holder, s, s->e);
    return r < 0 ? r : delivery_each(s->db, &d, take_delivery, s, s->e);
}

static json_t *answer(struct scope *s, json_t *ruled, const json_t *log)
{
    json_t *out = js_new(), *window = js_new();
    set_time_or_null(window, "from", s->c->from);
    set_time_or_null(window, "to", s->c->to);
    js_set(out, "incident", json_null());
    js_set(out, "window", window);
    js_set(out, "targets", json_incref(s->targets));
    js_set(out, "deliveries", json_incref(s->deliveries));
    js_set(out, "organisations", json_incref(s->orgs));
    js_set(out, "ruled_out", json_incref(ruled));
    js_set(out, "not_covered", json_incref(s->c->not_covered));
    js_set(out, "log", log == NULL ? json_null() : json_deep_copy(log));
    return out;
}

int incident_scope(struct db *db, const json_t *criteria, const json_t *log, json_t **out,
                   struct err *e)
{
    CLEANUP(criteria_clear) struct criteria c = {0};
    CLEANUP(db_rollback) struct db_tx tx = DB_TX_NONE; /* one snapshot for all questions */
    CLEANUP(js_free) json_t *ruled = js_list();
    struct err why = {.text = ""};
    int r = db_begin_read(db, &tx, e);
    r = r < 0 ? r : criteria_read(db, criteria, &c, e);
    if (r < 0) {
        return r;
    }
    CLEANUP(scope_clear)
    struct scope s = {.db = db,
                      .c = &c,
                      .e = &why,
                      .targets = js_list(),
                      .deliveries = js_list(),
                      .orgs = js_list(),
                      .products = js_new(),
                      .holders = js_new(),
                      .by_org = js_new(),
                      .seen = js_new()};
    r = ask(&s);
    sort_targets(&s);
    r = r < 0 ? r : ruled_out(&s, ruled);
    r = r < 0 ? r : say_limits(&s);
    if (r < 0) {
        if (e != NULL) {
            *e = why;
        }
        return err_wrap(e, r, "scope");
    }
    *out = answer(&s, ruled, log);
    return 0;
}
