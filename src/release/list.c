/* list.c - what there is, for people and programs. */
#include "release/release_priv.h"

#include "base/mem.h"

/* ---- list ---- */

struct listing {
    json_t *all, *now; /* the release being counted; owned by `all` */
    int64_t states[RELEASE_RECALLED + 1];
    int64_t files, size, at, hold;
};

static void finish(struct listing *l)
{
    if (l->now == NULL) {
        return;
    }
    static const enum release_state order[] = {RELEASE_RECALLED, RELEASE_WITHHELD, RELEASE_WAITING,
                                               RELEASE_HELD, RELEASE_PUBLISHED};
    json_t *states = js_new();
    const char *worst = "none";
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        if (l->states[order[i]] > 0) {
            const char *name = release_state_name(order[i]);
            js_set_int(states, name, l->states[order[i]]);
            worst = strcmp(worst, "none") == 0 ? name : worst;
        }
    }
    js_set_str(l->now, "state", worst);
    js_set_int(l->now, "files", l->files);
    js_set_int(l->now, "size", l->size);
    js_set(l->now, "states", states);
    if (l->at != 0) {
        js_set_time(l->now, "published_at", l->at);
    }
    if (l->hold != 0) {
        js_set_time(l->now, "hold_until", l->hold);
    }
    json_t *all = l->all;
    *l = (struct listing){.all = all};
}

/* Paths come in their byte order, so the files of one version come together. */
static int count(void *ctx, const struct release_target *t, struct err *e)
{
    (void)e;
    struct listing *l = ctx;
    if (l->now == NULL || strcmp(js_str_or(l->now, "product", ""), t->product) != 0 ||
        strcmp(js_str_or(l->now, "version", ""), t->version) != 0) {
        finish(l);
        l->now = js_new();
        js_set_str(l->now, "product", t->product);
        js_set_str(l->now, "version", t->version);
        js_add(l->all, l->now);
    }
    l->files++;
    l->size += (int64_t)t->size;
    l->states[t->state]++;
    if (t->published && (l->at == 0 || t->published_at < l->at)) {
        l->at = t->published_at;
    }
    if (t->state == RELEASE_HELD && t->hold_until > l->hold) {
        l->hold = t->hold_until;
    }
    return 0;
}

int release_list(struct release *r, json_t **out, struct err *e)
{
    struct listing l = {.all = js_list()};
    struct db *db = release_reader(r, e);
    int bad = db == NULL ? ERR_UNAVAIL : release_all(db, count, &l, e);
    if (bad < 0) {
        js_free(&l.all);
        return bad;
    }
    finish(&l);
    *out = l.all;
    return 0;
}

/* ---- show ---- */

struct showing {
    struct db *db;
    json_t *files;
    struct listing total;
};

static int show_one(void *ctx, const struct release_target *t, struct err *e)
{
    struct showing *s = ctx;
    CLEANUP(js_free) json_t *bar = NULL;
    json_t *findings = NULL, *j = js_new();
    js_set_str(j, "target", t->path);
    js_set_sha256(j, "sha256", &t->sha256);
    js_set_int(j, "size", (int64_t)t->size);
    js_set_str(j, "state", release_state_name(t->state));
    js_set_bool(j, "published", t->state == RELEASE_PUBLISHED);
    js_set_int(j, "admitted", (int64_t)t->admitted_index);
    js_set_sha256(j, "attestation", &t->attestation);
    if (t->published) {
        js_set_int(j, "log", (int64_t)t->published_index);
        js_set_time(j, "published_at", t->published_at);
    } else if (t->hold_until != 0) {
        js_set_time(j, "hold_until", t->hold_until);
    }
    if (t->approve) {
        js_set_bool(j, "approved", t->approved);
    }
    if (release_bar(s->db, &t->sha256, &bar, NULL) == 0) {
        js_set_str(j, "reason", js_str_or(bar, "reason", NULL));
        js_set_str(j, "replacement", js_str_or(bar, "replacement", NULL));
        js_set_str(j, "who", js_str_or(bar, "who", NULL));
        js_set_str(j, "by", js_str_or(bar, "by", NULL));
    }
    int r = release_findings(s->db, &t->sha256, &findings, e);
    js_set(j, "findings", r == 0 ? findings : js_list());
    js_add(s->files, j);
    return r < 0 ? r : count(&s->total, t, e);
}

int release_show(struct release *r, const char *product, const char *version, json_t **out,
                 struct err *e)
{
    CLEANUP(js_free) json_t *files = js_list();
    CLEANUP(js_free) json_t *total = js_list();
    struct showing s = {.db = release_reader(r, e), .files = files, .total.all = total};
    int bad =
        s.db == NULL ? ERR_UNAVAIL : release_of_product(s.db, product, version, show_one, &s, e);
    if (bad == 0 && json_array_size(files) == 0) {
        bad = err_set(e, ERR_NOTFOUND, "no release %.200s %.200s: see release list", product,
                      version);
    }
    if (bad < 0) {
        return bad;
    }
    finish(&s.total);
    *out = json_incref(json_array_get(total, 0));
    js_set(*out, "targets", json_incref(files));
    return 0;
}

/* ---- what the signer makes of it ---- */

static int take_sum(void *ctx, const struct release_target *t, struct err *e)
{
    (void)e;
    if (t->state == RELEASE_PUBLISHED) {
        js_add_str(ctx, t->path + strlen(t->product) + strlen(t->version) + 2);
    }
    return 0;
}

int release_sums(struct release *r, const char *product, const char *version, json_t **out,
                 struct err *e)
{
    CLEANUP(js_free) json_t *files = js_list();
    CLEANUP(js_free) json_t *q = js_new();
    struct db *db = release_reader(r, e);
    int bad =
        db == NULL ? ERR_UNAVAIL : release_of_product(db, product, version, take_sum, files, e);
    if (bad == 0 && json_array_size(files) == 0) {
        bad = err_set(e, ERR_NOTFOUND, "nothing of %.200s %.200s is published", product, version);
    }
    if (bad < 0) {
        return bad;
    }
    js_set_str(q, "op", "sums");
    js_set_str(q, "product", product);
    js_set_str(q, "version", version);
    js_set(q, "files", json_incref(files));
    return r->o.ports.ask(r->o.ports.ctx, q, out, e);
}

static int role_version(struct release *r, const char *role, json_t **out, struct err *e)
{
    CLEANUP(js_free) json_t *q = js_new();
    CLEANUP(js_free) json_t *state = NULL;
    js_set_str(q, "op", "state");
    int bad = r->o.ports.ask(r->o.ports.ctx, q, &state, e);
    if (bad == 0) {
        const json_t *one = json_object_get(json_object_get(state, "roles"), role);
        *out = js_new();
        js_set_str(*out, "role", role);
        js_set_int(*out, "version", js_int_or(one, "version", 0));
    }
    return bad;
}

int release_rotate(struct release *r, const json_t *q, json_t **out, struct err *e)
{
    CLEANUP(release_unlock) pthread_mutex_t *lock = release_locked(r);
    CLEANUP(js_free) json_t *ask = js_new();
    const char *role = NULL;
    struct tuf_docs docs = {0};
    int bad = js_str(q, "role", &role, e);
    if (bad < 0) {
        return bad;
    }
    js_set_str(ask, "op", "rotate");
    js_set_str(ask, "role", role);
    bad = r->o.ports.docs(r->o.ports.ctx, ask, &docs, e);
    bad = bad < 0 || docs.n == 0 ? bad : tuf_write(r->metadata, &docs, e);
    tuf_docs_clear(&docs);
    return bad < 0 ? err_wrap(e, bad, "new keys for %s", role) : role_version(r, role, out, e);
}
