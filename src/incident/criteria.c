#include "incident/incident_priv.h"

#include "base/mem.h"
#include "base/text.h"

void criteria_clear(struct criteria *c)
{
    mem_free(&c->blobs);
    mem_free(&c->orgs);
    mem_free(&c->nodes);
    js_free(&c->not_covered);
}

static void say(struct criteria *c, char *take)
{
    js_add_str(c->not_covered, take);
    free(take);
}

static int add_blob(void *ctx, const struct digest *d, struct err *e)
{
    (void)e;
    struct criteria *c = ctx;
    if (c->n_blobs == c->cap) {
        c->cap = c->cap * 2 + 64;
        c->blobs = mem_resize(c->blobs, c->cap, sizeof *c->blobs);
    }
    c->blobs[c->n_blobs++] = *d;
    return 0;
}

static int add_target(void *ctx, const struct release_target *t, struct err *e)
{
    return add_blob(ctx, &t->sha256, e);
}

/* ---- which files ---- */

static int by_target(struct db *db, struct criteria *c, const char *text, struct err *e)
{
    struct release_target t;
    int r = release_target(db, text, &t, e);
    return r < 0 ? r : add_blob(c, &t.sha256, e);
}

static int by_hash(struct db *db, struct criteria *c, const char *text, struct err *e)
{
    uint8_t raw[32];
    size_t n = strlen(text), before = c->n_blobs;
    int r =
        n == 64 || n == 40 || n == 32
            ? text_unhex(span_str(text), raw, n / 2, e)
            : err_set(e, ERR_FORMAT, "a hash has 32, 40 or 64 hex digits (MD5, SHA-1, SHA-256)");
    if (r < 0) {
        return err_wrap(e, r, "hash \"%.80s\"", text);
    }
    r = release_holding(db, span_of(raw, n / 2), add_blob, c, e);
    if (r == 0 && c->n_blobs == before) {
        say(c, mem_printf("hash %s is of nothing that was ever admitted here", text));
    }
    return r;
}

/* As it stands in a list of targets, or in an address: /d/PATH, /targets/PATH. */
static int by_path(struct db *db, struct criteria *c, const char *text, struct err *e)
{
    static const char *const fronts[] = {"", "/", "/d/", "/targets/"};
    size_t before = c->n_blobs;
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(fronts) && r == 0 && c->n_blobs == before; i++) {
        size_t n = strlen(fronts[i]);
        if (strncmp(text, fronts[i], n) == 0) {
            r = release_of_path(db, text + n, add_target, c, e);
        }
    }
    if (r == 0 && c->n_blobs == before) {
        say(c, mem_printf("path %.300s is of nothing that was ever admitted here", text));
    }
    return r;
}

static int by_rule(struct db *db, struct criteria *c, const char *text, struct err *e)
{
    size_t before = c->n_blobs;
    int r = release_found_by(db, text, add_blob, c, e);
    if (r == 0 && c->n_blobs == before) {
        say(c, mem_printf("rule %.200s has no recorded finding: run retro with it to look again at "
                          "everything ever published",
                          text));
    }
    return r;
}

static int by_state(struct db *db, struct criteria *c, const char *text, struct err *e)
{
    enum release_state s = strcmp(text, "recalled") == 0   ? RELEASE_RECALLED
                           : strcmp(text, "withheld") == 0 ? RELEASE_WITHHELD
                                                           : RELEASE_NONE;
    return s == RELEASE_NONE
               ? err_set(e, ERR_FORMAT, "state is recalled or withheld, not \"%.40s\"", text)
               : release_barred(db, s, add_blob, c, e);
}

/* ---- what narrows ---- */

static int by_org(struct db *db, struct criteria *c, const char *text, struct err *e)
{
    uint64_t org = 0;
    int r = account_org_find(db, text, &org, e);
    if (r == 0) {
        c->orgs = mem_resize(c->orgs, c->n_orgs + 1, sizeof *c->orgs);
        c->orgs[c->n_orgs++] = org;
    }
    return r;
}

static int by_node(struct db *db, struct criteria *c, const char *text, struct err *e)
{
    (void)db;
    (void)e;
    c->nodes = mem_resize(c->nodes, c->n_nodes + 1, sizeof *c->nodes);
    c->nodes[c->n_nodes++] = text;
    return 0;
}

static int read_time(const json_t *q, const char *name, int64_t *out, struct err *e)
{
    const json_t *v = json_object_get(q, name);
    if (json_is_integer(v)) {
        *out = json_integer_value(v);
        return 0;
    }
    if (v == NULL || json_is_null(v)) {
        return 0;
    }
    const char *text = json_string_value(v);
    int r =
        text == NULL ? err_set(e, ERR_FORMAT, "not a time") : clock_parse(span_str(text), out, e);
    return r < 0 ? err_wrap(e, r, "%s", name) : 0;
}

static const struct criterion {
    const char *name;
    bool files;
    int (*take)(struct db *db, struct criteria *c, const char *text, struct err *e);
} all[] = {{"targets", true, by_target}, {"sha256", true, by_hash}, {"paths", true, by_path},
           {"rules", true, by_rule},     {"orgs", false, by_org},   {"nodes", false, by_node},
           {"state", true, by_state}};

static int take_one(struct db *db, const struct criterion *k, const json_t *v, struct criteria *c,
                    struct err *e)
{
    const char *text = json_string_value(v);
    c->files = c->files || k->files;
    return text != NULL ? k->take(db, c, text, e)
                        : err_set(e, ERR_FORMAT, "%s holds something that is no text", k->name);
}

static int by_digest(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

static void sort_blobs(struct criteria *c)
{
    size_t n = 0;
    if (c->n_blobs == 0) {
        return;
    }
    qsort(c->blobs, c->n_blobs, sizeof *c->blobs, by_digest);
    for (size_t i = 1; i < c->n_blobs; i++) {
        if (!digest_eq(&c->blobs[i], &c->blobs[n])) {
            c->blobs[++n] = c->blobs[i];
        }
    }
    c->n_blobs = n + 1;
}

static int read_all(struct db *db, const json_t *q, struct criteria *c, struct err *e)
{
    size_t given = 0;
    int r = read_time(q, "from", &c->from, e);
    r = r < 0 ? r : read_time(q, "to", &c->to, e);
    for (size_t k = 0; k < ARRAY_LEN(all) && r == 0; k++) {
        const json_t *v = json_object_get(q, all[k].name);
        given += json_is_array(v) ? json_array_size(v) : v != NULL && !json_is_null(v) ? 1 : 0;
        if (v != NULL && !json_is_array(v) && !json_is_null(v)) {
            r = take_one(db, &all[k], v, c, e);
        }
        for (size_t i = 0; i < json_array_size(v) && r == 0; i++) {
            r = take_one(db, &all[k], json_array_get(v, i), c, e);
        }
    }
    if (r == 0 && given == 0 && c->from == 0 && c->to == 0) {
        r = err_set(e, ERR_FORMAT,
                    "a scope needs a criterion: targets, sha256, paths, rules, state, "
                    "nodes, orgs, from or to");
    }
    if (r == 0 && c->from < 0) {
        r = err_set(e, ERR_FORMAT, "from lies before 1970");
    }
    if (r == 0 && c->to != 0 && c->to <= c->from) {
        r = err_set(e, ERR_FORMAT, "the window ends before it begins");
    }
    return r;
}

int criteria_read(struct db *db, const json_t *q, struct criteria *out, struct err *e)
{
    CLEANUP(criteria_clear) struct criteria c = {.not_covered = js_list()};
    int r = read_all(db, q, &c, e);
    if (r < 0) {
        return err_wrap(e, r, "scope");
    }
    sort_blobs(&c);
    *out = c;
    c = (struct criteria){0};
    return 0;
}
