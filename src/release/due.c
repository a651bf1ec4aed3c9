/* due.c - the end of a hold, an approval: inspected again with today's rules, then published. */
#include "release/release_priv.h"

#include "base/log.h"
#include "base/mem.h"

#define AGAIN (5 * CLOCK_MINUTE) /* until what nobody could judge is tried again */

/* ---- stored bytes, inspected again ---- */

static void stored_file(struct release_batch *b, const struct release_target *t,
                        struct release_staged *s)
{
    struct err e;
    struct release_file *f = release_batch_add(b);
    s->f = f;
    f->path = mem_str(t->path);
    f->shown = mem_str(t->path);
    f->there = true;
    release_refuse(f, "it was not inspected");
    if (blob_reopen(b->r->o.blobs, &t->sha256, &s->blob, &e) < 0) {
        release_refuse(f, "its stored copy is not good (%.300s): admit the same bytes again",
                       e.text);
        return;
    }
    f->hashed = true;
    f->d = s->blob.d;
    f->size = s->blob.size;
    f->chunk_root = s->blob.chunk_root;
    s->wanted = true;
}

int release_rescan(struct release_batch *b, const struct release_target *t, size_t n, struct err *e)
{
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i += RELEASE_FILES) {
        struct release_staged s[RELEASE_FILES];
        size_t m = n - i < RELEASE_FILES ? n - i : RELEASE_FILES;
        for (size_t k = 0; k < m; k++) {
            s[k] = STAGED_NONE;
            stored_file(b, &t[i + k], &s[k]);
        }
        r = release_inspect(b, s, m, e);
        for (size_t k = 0; k < m; k++) {
            blob_discard(&s[k].blob);
        }
    }
    return r;
}

/* ---- publishing what is due ---- */

struct due {
    const char *product, *version;
    struct release_targets targets;
};

static int take_due(void *ctx, const struct release_target *t, struct err *e)
{
    struct due *d = ctx;
    bool wanted = d->product == NULL ||
                  (strcmp(d->product, t->product) == 0 && strcmp(d->version, t->version) == 0);
    return wanted ? release_targets_take(&d->targets, t, e) : 0;
}

int release_publish_due(struct release *r, const char *product, const char *version,
                        const char *who, json_t **results, struct err *e)
{
    struct due d = {.product = product, .version = version};
    struct db *db = release_reader(r, e);
    CLEANUP(release_drop) struct release_batch *b = release_batch_new(r, MODE_DUE, who);
    int bad = db == NULL ? ERR_UNAVAIL : release_due(db, clock_now(), take_due, &d, e);
    bad = bad < 0 ? bad : release_rescan(b, d.targets.t, d.targets.n, e);
    release_targets_clear(&d.targets);
    if (bad == 0 && b->n > 0) {
        bad = release_attest(b, e);
        bad = bad < 0 ? bad : release_commit(b, e);
    }
    bool refused = false;
    for (size_t i = 0; i < b->n && bad == 0; i++) {
        const struct release_file *f = b->file[i];
        if (f->fate == FATE_REFUSED) {
            log_warn("release.due", "target=%s not published: %s", f->path, f->reason);
            refused = true;
        }
    }
    if (refused) {
        CLEANUP(release_unlock) pthread_mutex_t *lock = release_locked(r);
        r->due_again = clock_boot() + AGAIN;
    }
    if (bad == 0 && results != NULL) {
        *results = release_batch_json(b);
    }
    return bad;
}

/* ---- approval ---- */

static int enter_approved(struct release *r, const char *product, const char *version,
                          const char *who, struct err *e)
{
    CLEANUP(release_unlock) pthread_mutex_t *lock = release_locked(r);
    CLEANUP(event_clear) struct event ev = {.kind = "approved", .site = js_new()};
    js_set_str(ev.site, "product", product);
    js_set_str(ev.site, "version", version);
    js_set_str(ev.site, "who", who);
    return release_append(r, &ev, 1, e);
}

int release_approve(struct release *r, const char *product, const char *version, const char *who,
                    json_t **out, struct err *e)
{
    json_t *results = NULL, *shown = NULL;
    int bad = enter_approved(r, product, version, who, e);
    if (bad < 0) {
        return bad;
    }
    bad = release_publish_due(r, product, version, who, &results, e);
    bad = bad < 0 ? err_wrap(e, bad, "approved, but not published yet (it is tried again)")
                  : release_show(r, product, version, &shown, e);
    if (bad == 0) {
        js_set(shown, "results", results);
        *out = shown;
        return 0;
    }
    js_free(&results);
    return bad;
}
