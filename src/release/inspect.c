/* inspect.c - scans staged files and judges what may be entered (P1). */
#include "release/release_priv.h"

#include <assert.h>

#include "base/mem.h"

/* ---- verdicts ---- */

/* The same bytes were clean under the very same rules, engines and limits, and they are there. */
static bool known_clean(struct release_batch *b, struct db *db, struct release_staged *s,
                        const struct digest *rules)
{
    struct release_blob have;
    uint64_t size = 0;
    struct release_file *f = s->f;
    if (b->mode != MODE_ADMIT || release_blob(db, &f->d.sha256, &have, NULL) < 0 || have.withheld ||
        have.recalled || !digest_eq(&have.rules, rules) ||
        !digest_eq(&have.chunk_root, &f->chunk_root) ||
        !blobstore_has(b->r->o.blobs, &f->d.sha256, &size) || size != f->size ||
        !blobstore_has(b->r->o.blobs, &have.attestation, NULL)) {
        return false;
    }
    f->verdict = VERDICT_CLEAN;
    f->rules = have.rules;
    f->attestation = have.attestation;
    f->attested = true;
    return true;
}

static json_t *or_none(json_t *list)
{
    if (json_array_size(list) == 0) {
        js_free(&list);
    }
    return list;
}

/* The worst thing that was found, for a person. */
static void tell_verdict(struct release_file *f, const struct scan_result *res)
{
    const struct scan_finding *worst = NULL;
    for (size_t i = 0; i < res->n_findings; i++) {
        if (res->findings[i].severity != VERDICT_CLEAN &&
            (worst == NULL || res->findings[i].severity == VERDICT_MALICIOUS)) {
            worst = &res->findings[i];
        }
    }
    bool inside = worst != NULL && worst->member[0] != '\0';
    if (worst != NULL) {
        release_refuse(f, "%s: %.80s found %.120s%s%.200s", verdict_text(f->verdict), worst->engine,
                       worst->rule, inside ? " in " : "", inside ? worst->member : "");
    } else {
        release_refuse(f, "%s: %.400s", verdict_text(f->verdict),
                       res->reason != NULL && res->reason[0] != '\0' ? res->reason
                                                                     : "no engine cleared it");
    }
}

static void take_result(struct release_batch *b, struct release_file *f,
                        const struct scan_result *res)
{
    json_t *j = scan_result_json(res);
    f->verdict = res->verdict;
    f->rules = res->rules;
    f->scanned = true;
    js_free(&f->findings);
    js_free(&f->members);
    js_free(&f->engines);
    f->findings = or_none(json_incref(json_object_get(j, "findings")));
    f->members = or_none(json_incref(json_object_get(j, "members")));
    f->engines = json_incref(json_object_get(j, "engines"));
    pthread_mutex_lock(&b->lock);
    if (b->last_engines != NULL && json_equal(b->last_engines, f->engines)) {
        js_free(&f->engines);
        f->engines = json_incref(b->last_engines);
    } else {
        js_free(&b->last_engines);
        b->last_engines = json_incref(f->engines);
    }
    pthread_mutex_unlock(&b->lock);
    js_free(&j);
    if (f->verdict != VERDICT_CLEAN) {
        tell_verdict(f, res);
    }
}

static int scan(struct release_batch *b, struct release_staged *s, size_t n, struct err *e)
{
    struct scan_job jobs[RELEASE_FILES];
    struct scan_result results[RELEASE_FILES] = {{0}};
    struct release_file *of[RELEASE_FILES];
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i].wanted && !s[i].f->attested) {
            of[m] = s[i].f;
            jobs[m] = (struct scan_job){.fd = s[i].blob.fd,
                                        .name = s[i].f->path,
                                        .expect = &s[i].blob.d.sha256,
                                        .result = &results[m]};
            m++;
        }
    }
    int r = m == 0 ? 0 : scan_files(b->r->o.scan, jobs, m, e);
    for (size_t i = 0; i < m; i++) {
        if (r == 0) {
            take_result(b, of[i], &results[i]);
        } else {
            release_refuse(of[i], "it could not be inspected: %s", e != NULL ? e->text : "no scan");
        }
        scan_result_clear(&results[i]);
    }
    return r;
}

/* ---- what may be entered ---- */

/* Bytes that were taken back stay out under every name. */
static int check_barred(struct db *db, struct release_file *f, enum release_state *state,
                        struct err *e)
{
    CLEANUP(js_free) json_t *bar = NULL;
    char hex[DIGEST_TEXT + 1];
    int r = release_bar(db, &f->d.sha256, &bar, e);
    *state = RELEASE_NONE;
    if (r < 0) {
        return r == ERR_NOTFOUND ? 0 : r;
    }
    const char *when = js_str_or(bar, "time", "?"), *why = js_str_or(bar, "reason", "");
    if (strcmp(js_str_or(bar, "state", ""), "recalled") == 0) {
        *state = RELEASE_RECALLED;
        release_refuse(f, "recalled on %s: %.400s", when, why);
    } else {
        *state = RELEASE_WITHHELD;
        release_refuse(f, "withheld on %s: %.400s; when that is settled, lift %s", when, why,
                       digest_text(&f->d.sha256, hex));
    }
    return 0;
}

static void put(struct release_batch *b, struct release_staged *s)
{
    struct err e;
    enum blob_put how = BLOB_PUT_NEW;
    struct release_file *f = s->f;
    if (f->attested) {
        return; /* known: one hash is enough, the scrub sees to the rest */
    }
    if (blob_publish(b->r->o.blobs, &s->blob, &how, &e) < 0) {
        release_refuse(f, "%s", e.text);
        return;
    }
    f->repaired = how == BLOB_PUT_REPAIRED;
    if (f->repaired && f->fate == FATE_REFUSED) {
        CLEANUP(mem_free) char *was = mem_str(f->reason);
        release_refuse(f, "its stored copy was damaged and is good again; it stays %s", was);
    }
}

static void quarantine(struct release_batch *b, struct release_staged *s)
{
    struct err e;
    if (blob_quarantine(b->r->o.blobs, &s->blob, b->r->o.quarantine.b, &e) < 0) {
        CLEANUP(mem_free) char *was = mem_str(s->f->reason);
        release_refuse(s->f, "%s (and it could not be put into quarantine: %s)", was, e.text);
    }
}

static int judge(struct release_batch *b, struct db *db, struct release_staged *s, struct err *e)
{
    struct release_file *f = s->f;
    struct release_target t;
    if (f->verdict != VERDICT_CLEAN) {
        if (release_target(db, f->path, &t, NULL) == 0 && digest_eq(&t.sha256, &f->d.sha256) &&
            t.state == RELEASE_PUBLISHED) {
            CLEANUP(mem_free) char *was = mem_str(f->reason);
            release_refuse(f, "%s; the same bytes ARE PUBLISHED under this name: withhold them",
                           was);
        }
        if (f->verdict != VERDICT_NONE) { /* else nobody found anything yet: it may come again */
            quarantine(b, s);
        }
        return 0;
    }
    enum release_state state = RELEASE_NONE;
    int r = check_barred(db, f, &state, e);
    if (r < 0) {
        return r;
    }
    if (state == RELEASE_WITHHELD) {
        put(b, s); /* after an alarm: good bytes replace rotten ones */
        return 0;
    }
    if (state == RELEASE_RECALLED) {
        quarantine(b, s);
        return 0;
    }
    mem_free(&f->reason);
    pthread_mutex_lock(&b->lock);
    r = release_claim(b, db, f, e);
    pthread_mutex_unlock(&b->lock);
    if (r == 0 && f->fate != FATE_REFUSED && f->fate != FATE_TWIN) {
        put(b, s);
    }
    return r;
}

/* Stored bytes, looked at again: nothing touched them while they were inspected. */
static void judge_again(struct release_staged *s)
{
    struct err e;
    struct release_file *f = s->f;
    if (f->verdict != VERDICT_CLEAN) {
        return;
    }
    if (blob_unchanged(&s->blob, &e) < 0) {
        f->verdict = VERDICT_NONE;
        release_refuse(f, "%s", e.text);
        return;
    }
    mem_free(&f->reason);
    f->fate = FATE_CLEAN;
}

int release_inspect(struct release_batch *b, struct release_staged *s, size_t n, struct err *e)
{
    assert(n <= RELEASE_FILES);
    struct digest rules = scan_pool_rules(b->r->o.scan);
    struct db *db = release_reader(b->r, e);
    int r = db == NULL ? ERR_UNAVAIL : 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        if (s[i].wanted) {
            known_clean(b, db, &s[i], &rules);
        }
    }
    r = r < 0 ? r : scan(b, s, n, e);
    for (size_t i = 0; i < n && r == 0; i++) {
        if (s[i].wanted && b->mode != MODE_ADMIT) {
            judge_again(&s[i]);
        } else if (s[i].wanted) {
            r = judge(b, db, &s[i], e);
        }
    }
    return r < 0 ? err_wrap(e, r, "inspect files") : 0;
}
