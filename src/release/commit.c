/* commit.c - enters a batch into the log, then has its targets signed: all of it, or nothing. */
#include "release/release_priv.h"

#include "base/mem.h"
#include "base/text.h"

/* What one append may weigh as JSON: well below LIMIT_FRAME. */
#define APPEND_BYTES ((size_t)48 << 20)

/* ---- events ---- */

struct events {
    struct event *ev;
    size_t n;
    size_t *file; /* which file it is of */
};

static void events_clear(struct events *l)
{
    for (size_t i = 0; i < l->n; i++) {
        event_clear(&l->ev[i]);
    }
    free(l->ev);
    free(l->file);
}

static struct event *add_event(struct events *l, const char *kind, size_t file)
{
    if ((l->n & (l->n - 1)) == 0) { /* full at each power of two */
        size_t cap = l->n == 0 ? 1 : 2 * l->n;
        l->ev = mem_resize(l->ev, cap, sizeof *l->ev);
        l->file = mem_resize(l->file, cap, sizeof *l->file);
    }
    l->file[l->n] = file;
    l->ev[l->n] = (struct event){.kind = kind};
    return &l->ev[l->n++];
}

static void set_hex(json_t *j, const char *name, const uint8_t *p, size_t n)
{
    CLEANUP(buf_clear) struct buf b = BUF(100);
    text_hex(&b, span_of(p, n));
    js_set_str(j, name, buf_text(&b));
}

/* Members that `admitted` and `refused` share. */
static json_t *site_part(const struct release_batch *b, const struct release_file *f)
{
    json_t *j = js_new();
    js_set_str(j, "who", b->who);
    js_set_str(j, "host", b->host);
    js_set_str(j, "source", f->source);
    if (b->provenance != NULL) {
        js_set(j, "provenance", json_incref(b->provenance));
    }
    js_set_str(j, "path", f->path);
    js_set_str(j, "verdict", verdict_text(f->verdict));
    if (f->hashed) {
        js_set_sha256(j, "sha256", &f->d.sha256);
        set_hex(j, "sha1", f->d.sha1, sizeof f->d.sha1);
        set_hex(j, "md5", f->d.md5, sizeof f->d.md5);
        js_set_int(j, "size", (int64_t)f->size);
    }
    if (f->scanned) {
        js_set_sha256(j, "rules", &f->rules);
    }
    if (f->findings != NULL) {
        js_set(j, "findings", json_incref(f->findings));
    }
    return j;
}

/* "PRODUCT/VERSION/REL" into its parts. */
static void set_names(json_t *j, const char *path)
{
    struct span rest = span_str(path), product, version;
    if (span_cut(&rest, '/', &product) && span_cut(&rest, '/', &version)) {
        js_set(j, "product", json_stringn((const char *)product.p, product.len));
        js_set(j, "version", json_stringn((const char *)version.p, version.len));
        js_set(j, "rel", json_stringn((const char *)rest.p, rest.len));
    }
}

static void add_admitted(struct events *l, const struct release_batch *b,
                         const struct release_file *f)
{
    json_t *j = add_event(l, "admitted", f->number)->site = site_part(b, f);
    set_names(j, f->path);
    js_set_sha256(j, "rules", &f->rules);
    js_set_sha256(j, "chunks", &f->chunk_root);
    js_set_sha256(j, "attestation", &f->attestation);
    if (f->members != NULL) {
        js_set(j, "members", json_incref(f->members));
    }
    if (f->hold_until != 0) {
        js_set_int(j, "hold_until", f->hold_until);
    }
    if (f->approve) {
        js_set_bool(j, "approve", true);
    }
    if (b->emergency) {
        js_set_bool(j, "emergency", true);
    }
}

static void add_refused(struct events *l, const struct release_batch *b,
                        const struct release_file *f)
{
    json_t *j = add_event(l, "refused", f->number)->site = site_part(b, f);
    js_set_str(j, "reason", f->reason != NULL ? f->reason : "refused");
    if (f->path == NULL) {
        js_set_str(j, "path", f->shown);
    }
}

static void add_withheld(struct events *l, const struct release_file *f)
{
    json_t *j = add_event(l, "withheld", f->number)->site = js_new();
    js_set_sha256(j, "sha256", &f->d.sha256);
    js_set_str(j, "reason", f->reason);
    js_set_str(j, "who", "cordon");
    js_set_str(j, "by", "inspection at the end of its hold");
}

static void add_published(struct events *l, const struct release_file *f)
{
    json_t *j = add_event(l, "published", f->number)->open = js_new();
    js_set_str(j, "path", f->path);
    js_set_sha256(j, "sha256", &f->d.sha256);
    js_set_int(j, "length", (int64_t)f->size);
    js_set_sha256(j, "chunks", &f->chunk_root);
    js_set_sha256(j, "verdict", &f->attestation);
}

static void add_lifted(struct events *l, const struct release_batch *b)
{
    struct event *ev = add_event(l, "lifted", SIZE_MAX);
    json_t *j = ev->open = js_new();
    ev->site = js_new();
    js_set_str(ev->site, "who", b->who);
    js_set_sha256(j, "sha256", &b->lifted);
    js_set_str(j, "reason", b->lift_reason);
}

/* ---- who goes out ---- */

/* What is lifted must still be what was looked at: a recall since then stands. */
static int still_barred(const struct release_batch *b, struct db *db, struct err *e)
{
    enum release_state state = RELEASE_NONE;
    int r = release_state_of(db, &b->lifted, &state, e);
    r = r == ERR_NOTFOUND ? 0 : r;
    if (r == 0 && state != (b->was_recalled ? RELEASE_RECALLED : RELEASE_WITHHELD)) {
        r = err_set(e, ERR_CONFLICT, "it is %s meanwhile: look again", release_state_name(state));
    }
    return r;
}

/* What others entered since these files were judged counts too. */
static int look_again(struct release_batch *b, struct db *db, struct err *e)
{
    int r = 0;
    if (b->r->changes == b->seen) {
        return 0;
    }
    if (b->mode == MODE_LIFT) {
        return still_barred(b, db, e);
    }
    for (size_t i = 0; i < b->n && r == 0; i++) {
        struct release_file *f = b->file[i];
        enum release_state state = RELEASE_NONE;
        struct release_target t;
        if (f->fate != FATE_CLEAN) {
            continue;
        }
        r = release_state_of(db, &f->d.sha256, &state, e);
        r = r == ERR_NOTFOUND ? 0 : r;
        if (r == 0 && (state == RELEASE_WITHHELD || state == RELEASE_RECALLED)) {
            release_refuse(f, "it was %s meanwhile", release_state_name(state));
        } else if (r == 0 && b->mode == MODE_ADMIT) {
            r = release_claim(b, db, f, e);
        } else if (r == 0 && release_target(db, f->path, &t, NULL) == 0 && t.published) {
            f->fate = FATE_THERE;
        }
    }
    return r;
}

static void decide(struct release_batch *b)
{
    int64_t now = clock_now();
    for (size_t i = 0; i < b->n; i++) {
        struct release_file *f = b->file[i];
        f->goes = f->fate == FATE_CLEAN && f->attested &&
                  (b->mode != MODE_ADMIT || (f->hold_until <= now && !f->approve));
        if (f->fate == FATE_CLEAN && !f->goes) {
            char when[CLOCK_TEXT];
            free(f->reason);
            f->reason = f->approve
                            ? mem_str("it waits for approval by a second person: release approve")
                            : mem_printf("it is held until %s, then inspected again and published",
                                         clock_text(f->hold_until, true, when));
        }
    }
}

/* A held file that turns out bad is kept back; one that nobody could judge is tried again. */
static void add_first(struct events *l, const struct release_batch *b)
{
    if (b->mode == MODE_LIFT) {
        add_lifted(l, b);
    }
    for (size_t i = 0; i < b->n; i++) {
        const struct release_file *f = b->file[i];
        bool fresh = !f->there || f->goes || f->scanned; /* else nothing new is known of it */
        if ((f->fate == FATE_CLEAN || f->fate == FATE_THERE) && f->attested && fresh) {
            add_admitted(l, b, f);
        } else if (f->fate == FATE_REFUSED && b->mode == MODE_ADMIT) {
            add_refused(l, b, f);
        } else if (f->fate == FATE_REFUSED && b->mode == MODE_DUE && f->verdict != VERDICT_NONE &&
                   f->verdict != VERDICT_CLEAN) {
            add_refused(l, b, f);
            add_withheld(l, f);
        }
    }
}

/* ---- into the log ---- */

static size_t weight(const struct event *ev)
{
    size_t n = ev->site == NULL ? 0 : json_dumpb(ev->site, NULL, 0, JSON_COMPACT);
    return 100 + n + (ev->open == NULL ? 0 : json_dumpb(ev->open, NULL, 0, JSON_COMPACT));
}

/* Everything in one append; what is too much for one goes before, so that all that becomes public
 * is still in the last one. A crash before that leaves files which the next tick publishes. */
static int append_all(struct release *r, struct events *l, size_t first_published, struct err *e)
{
    size_t from = 0, held = 0, tail = 0;
    for (size_t i = first_published; i < l->n; i++) {
        tail += weight(&l->ev[i]);
    }
    int bad = 0;
    for (size_t i = 0; i < first_published && bad == 0; i++) {
        size_t w = weight(&l->ev[i]);
        if (held + w + tail > APPEND_BYTES && i > from) {
            bad = release_append(r, &l->ev[from], i - from, e);
            from = i;
            held = 0;
        }
        held += w;
    }
    return bad < 0 ? bad : release_append(r, &l->ev[from], l->n - from, e);
}

/* The log says published, the signer says no: it must not stay so. */
static int take_back(struct release *r, const struct release_add *add, size_t n, struct err *e)
{
    struct err why = e != NULL ? *e : (struct err){.code = ERR_DENIED, .text = "not signed"};
    CLEANUP(release_digests_clear) struct release_digests d = {0};
    for (size_t i = 0; i < n; i++) {
        release_digests_add(&d, &add[i].sha256);
    }
    struct release_why w = {why.text, "cordon", "signer"};
    int bad = release_enter_withheld(r, d.d, d.n, &w, e);
    if (bad == 0) {
        bad = err_set(e, why.code, "%s", why.text);
    }
    return err_wrap(e, bad, "published nothing, and withheld what the log had as published");
}

static int publish(struct release_batch *b, struct events *l, size_t first, struct err *e)
{
    size_t n = l->n - first;
    CLEANUP(mem_free) struct release_add *add = mem_array(struct release_add, n + 1);
    CLEANUP(js_free) json_t *lifts = NULL;
    bool refused = false;
    for (size_t i = 0; i < n; i++) {
        const struct release_file *f = b->file[l->file[first + i]];
        add[i] = (struct release_add){f->path,        f->d.sha256, f->chunk_root,
                                      f->attestation, f->size,     l->ev[first + i].index};
    }
    struct release_change c = {.add = add, .n_add = n};
    if (b->mode == MODE_LIFT) {
        lifts = release_lift_entry(b, &l->ev[0]);
        c.recalls = lifts;
    }
    int r = n == 0 && lifts == NULL ? 0 : release_push(b->r, &c, &refused, e);
    if (r < 0 && refused && n > 0) {
        return take_back(b->r, add, n, e);
    }
    for (size_t i = 0; i < n && r == 0; i++) {
        struct release_file *f = b->file[l->file[first + i]];
        f->published = true;
        f->log = l->ev[first + i].index;
    }
    return r;
}

int release_commit(struct release_batch *b, struct err *e)
{
    CLEANUP(release_unlock) pthread_mutex_t *lock = release_locked(b->r);
    CLEANUP(events_clear) struct events l = {0};
    struct db *db = release_reader(b->r, e);
    int r = db == NULL ? ERR_UNAVAIL : look_again(b, db, e);
    if (r < 0) {
        return r;
    }
    decide(b);
    add_first(&l, b);
    size_t first = l.n;
    for (size_t i = 0; i < b->n; i++) {
        if (b->file[i]->goes) {
            add_published(&l, b->file[i]);
        }
    }
    r = append_all(b->r, &l, first, e);
    if (r < 0) {
        return err_wrap(e, r, "enter the release into the log; nothing of it is published");
    }
    return publish(b, &l, first, e);
}
