/* retro.c - new rules against everything that was ever admitted. */
#include "release/release_priv.h"

#include "base/mem.h"

struct hunt {
    struct release *r;
    struct scan_pool *pool;
    struct release_digests all; /* ever admitted */
    size_t published, matched;  /* of those that are out now */
    json_t *found, *entered;    /* for the answer, for the event */
    json_t *unread;             /* stored copies that are not good */
    struct release_digests bad; /* to be withheld */
    json_t *why;                /* digest -> first rule */
    uint64_t scanned;
};

static void hunt_clear(struct hunt *h)
{
    scan_pool_free(&h->pool);
    release_digests_clear(&h->all);
    release_digests_clear(&h->bad);
    js_free(&h->found);
    js_free(&h->entered);
    js_free(&h->unread);
    js_free(&h->why);
}

/* Only these rules, and what opens containers so that they see inside. */
static int open_pool(struct hunt *h, const char *const *rules, size_t n, struct err *e)
{
    static const char *const engines[] = {"yara", "hashes", "unpack"};
    struct scan_config c;
    scan_config_from(&c, h->r->o.settings);
    c.own_rules = false;
    c.rules = rules;
    c.n_rules = n;
    c.engines = engines;
    c.n_engines = ARRAY_LEN(engines);
    c.required = NULL;
    c.n_required = 0;
    c.clamd_socket = "";
    int r = scan_pool_new(&c, &h->pool, e);
    return r < 0 ? err_wrap(e, r, "the new rules") : 0;
}

/* Names of the rules, as the pool read them. */
static json_t *rule_names(struct hunt *h)
{
    CLEANUP(js_free) json_t *about = scan_pool_about(h->pool);
    json_t *names = js_list();
    const json_t *files = json_object_get(about, "files");
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *rules = json_object_get(json_array_get(files, i), "rules");
        for (size_t k = 0; k < json_array_size(rules); k++) {
            js_add_str(names, json_string_value(json_array_get(rules, k)));
        }
    }
    return names;
}

static int take_blob(void *ctx, const struct release_blob *b, struct err *e)
{
    (void)e;
    struct hunt *h = ctx;
    release_digests_add(&h->all, &b->sha256);
    return 0;
}

static int count_blob(void *ctx, const struct release_blob *b, struct err *e)
{
    (void)e;
    ((struct hunt *)ctx)->published += !b->withheld && !b->recalled;
    return 0;
}

/* ---- one match ---- */

static json_t *bad_findings(const struct scan_result *res)
{
    json_t *list = js_list(), *all = scan_findings_json(res);
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *f = json_array_get(all, i);
        if (strcmp(js_str_or(f, "engine", ""), "unpack") != 0 &&
            verdict_parse(js_str_or(f, "severity", "")) != VERDICT_CLEAN) {
            js_add(list, json_incref(f));
        }
    }
    js_free(&all);
    return list;
}

/* {sha256, targets[], rule, findings[]} in the answer; without targets in the event. */
static int take_match(struct hunt *h, struct db *db, const struct digest *d, json_t *findings,
                      struct err *e)
{
    CLEANUP(release_targets_clear) struct release_targets l = {0};
    int r = release_targets_of(db, d, &l, e);
    if (r < 0) {
        return r;
    }
    const json_t *first = json_array_get(findings, 0);
    const char *rule = js_str_or(first, "rule", "");
    char hex[DIGEST_TEXT + 1];
    bool out = false;
    json_t *shown = js_new(), *event = js_new(), *targets = js_list();
    for (size_t i = 0; i < l.n; i++) {
        js_add_str(targets, l.t[i].path);
        out = out || l.t[i].state == RELEASE_PUBLISHED;
    }
    js_set_sha256(shown, "sha256", d);
    js_set(shown, "targets", targets);
    js_set_str(shown, "rule", rule);
    js_set_str(shown, "severity", js_str_or(first, "severity", ""));
    js_set(shown, "findings", json_incref(findings));
    js_add(h->found, shown);
    js_set_sha256(event, "sha256", d);
    js_set(event, "findings", json_incref(findings));
    js_add(h->entered, event);
    js_set_str(h->why, digest_text(d, hex), rule);
    release_digests_add(&h->bad, d);
    h->matched += out;
    return 0;
}

/* ---- the walk ---- */

static int scan_some(struct hunt *h, struct db *db, const struct digest *d, size_t n, struct err *e)
{
    struct blob blobs[SCAN_BATCH];
    struct scan_result results[SCAN_BATCH] = {{0}};
    struct scan_job jobs[SCAN_BATCH];
    char names[SCAN_BATCH][DIGEST_TEXT + 1];
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        struct err why;
        blobs[m] = BLOB_NONE;
        digest_text(&d[i], names[m]);
        if (blob_reopen(h->r->o.blobs, &d[i], &blobs[m], &why) < 0) {
            js_add_str(h->unread, names[m]);
            continue;
        }
        jobs[m] = (struct scan_job){.fd = blobs[m].fd,
                                    .name = names[m],
                                    .expect = &blobs[m].d.sha256,
                                    .result = &results[m]};
        m++;
    }
    int r = m == 0 ? 0 : scan_files(h->pool, jobs, m, e);
    for (size_t i = 0; i < m; i++) {
        CLEANUP(js_free) json_t *findings = bad_findings(&results[i]);
        h->scanned += r == 0;
        if (r == 0 && json_array_size(findings) > 0) {
            r = take_match(h, db, &blobs[i].d.sha256, findings, e);
        } else if (r == 0 && results[i].n_engines == 0) {
            js_add_str(h->unread, names[i]); /* it kills the scanner, or is over a limit */
        }
        scan_result_clear(&results[i]);
        blob_discard(&blobs[i]);
    }
    return r;
}

static int walk(struct hunt *h, struct db *db, const struct release_hunt *q, struct err *e)
{
    int r = release_blobs(db, false, NULL, take_blob, h, e);
    r = r < 0 ? r : release_blobs(db, true, NULL, count_blob, h, e);
    for (size_t i = 0; i < h->all.n && r == 0; i += SCAN_BATCH) {
        size_t n = h->all.n - i < SCAN_BATCH ? h->all.n - i : SCAN_BATCH;
        r = scan_some(h, db, &h->all.d[i], n, e);
        if (r == 0 && q->step != NULL) {
            q->step(q->ctx, i + n, h->all.n);
        }
    }
    return r;
}

/* ---- what follows ---- */

static int enter_retro(struct hunt *h, const json_t *rules, size_t withheld, const char *who,
                       struct err *e)
{
    CLEANUP(event_clear) struct event ev = {.kind = "retro", .site = js_new()};
    js_set(ev.site, "rules", json_deep_copy(rules));
    js_set_int(ev.site, "scanned", (int64_t)h->scanned);
    js_set_int(ev.site, "withheld", (int64_t)withheld);
    js_set_str(ev.site, "who", who);
    js_set(ev.site, "found", json_incref(h->entered));
    return release_append(h->r, &ev, 1, e);
}

static int by_rule(const void *a, const void *b, void *ctx)
{
    const struct hunt *h = ctx;
    char one[DIGEST_TEXT + 1], two[DIGEST_TEXT + 1];
    return strcmp(js_str_or(h->why, digest_text(a, one), ""),
                  js_str_or(h->why, digest_text(b, two), ""));
}

/* By rule, so that each `withheld` names the one that did it. */
static int withhold_found(struct hunt *h, const char *who, size_t *withheld, struct err *e)
{
    int r = 0;
    size_t i = 0;
    if (h->bad.n > 0) {
        qsort_r(h->bad.d, h->bad.n, sizeof *h->bad.d, by_rule, h);
    }
    while (i < h->bad.n && r == 0) {
        char hex[DIGEST_TEXT + 1];
        const char *rule = js_str_or(h->why, digest_text(&h->bad.d[i], hex), "");
        size_t k = i + 1, fresh = 0;
        while (k < h->bad.n &&
               strcmp(rule, js_str_or(h->why, digest_text(&h->bad.d[k], hex), "")) == 0) {
            k++;
        }
        CLEANUP(mem_free) char *reason = mem_printf("the rule %s finds it (retro-hunt)", rule);
        CLEANUP(mem_free) char *by = mem_printf("rule %s", rule);
        struct release_why why = {reason, who, by};
        r = release_withhold_all(h->r, &h->bad.d[i], k - i, &why, &fresh, e);
        *withheld += fresh;
        i = k;
    }
    return r;
}

int release_retro(struct release *r, const struct release_hunt *q, json_t **out, struct err *e)
{
    CLEANUP(hunt_clear)
    struct hunt h = {
        .r = r, .found = js_list(), .entered = js_list(), .unread = js_list(), .why = js_new()};
    struct db *db = release_reader(r, e);
    int bad = db == NULL ? ERR_UNAVAIL : open_pool(&h, q->rules, q->n, e);
    bad = bad < 0 ? bad : walk(&h, db, q, e);
    if (bad < 0) {
        return bad;
    }
    CLEANUP(js_free) json_t *names = rule_names(&h);
    uint64_t share = (uint64_t)settings_number(r->o.settings, SETTING_RETRO_SHARE);
    bool ask = !q->force && (uint64_t)h.matched * 100 > share * (uint64_t)h.published;
    size_t withheld = 0;
    CLEANUP(release_unlock) pthread_mutex_t *lock = release_locked(r);
    bad = enter_retro(&h, names, ask ? 0 : h.bad.n, q->who, e);
    bad = bad < 0 || ask ? bad : withhold_found(&h, q->who, &withheld, e);
    if (bad == 0) {
        *out = js_new();
        js_set(*out, "rules", json_incref(names));
        js_set_int(*out, "scanned", (int64_t)h.scanned);
        js_set_int(*out, "published", (int64_t)h.published);
        js_set(*out, "found", json_incref(h.found));
        js_set(*out, "unread", json_incref(h.unread));
        js_set_int(*out, "withheld", (int64_t)withheld);
        js_set_bool(*out, "asked", ask);
    }
    return bad;
}
