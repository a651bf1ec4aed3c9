/* bar.c - withheld, recalled, lifted: what is taken back, and given back (P5). */
#include "release/release_priv.h"

#include "base/mem.h"

#define REASON ((size_t)2000)      /* characters of a reason */
#define LEAF_PATHS ((size_t)32768) /* bytes of paths in a public entry; the metadata has all */

/* ---- of which bytes ---- */

struct what {
    struct digest sha256;
    enum release_state state;
    struct release_targets targets;
};

static void what_clear(struct what *w)
{
    release_targets_clear(&w->targets);
}

/* A digest may be one that never was here: bytes can be refused before anybody brings them. */
static int find_what(struct db *db, const char *text, struct what *w, struct err *e)
{
    struct release_target t;
    int r = 0;
    if (digest_parse(span_str(text), &w->sha256, NULL) < 0) {
        r = release_target(db, text, &t, e);
        w->sha256 = r < 0 ? w->sha256 : t.sha256;
    }
    if (r < 0) {
        return err_wrap(e, r, "give a target as PRODUCT/VERSION/FILE or 64 hex digits");
    }
    r = release_state_of(db, &w->sha256, &w->state, e);
    r = r == ERR_NOTFOUND ? 0 : r;
    return r < 0 ? r : release_targets_of(db, &w->sha256, &w->targets, e);
}

static int check_reason(const char *reason, struct err *e)
{
    if (reason == NULL || reason[0] == '\0') {
        return err_set(e, ERR_FORMAT, "a reason is needed");
    }
    return strlen(reason) > REASON
               ? err_set(e, ERR_LIMIT, "a reason of %zu bytes: at most %zu", strlen(reason), REASON)
               : 0;
}

/* {state, sha256, targets[], index} as it is now. */
static int tell(struct release *r, const struct digest *d, json_t **out, struct err *e)
{
    CLEANUP(what_clear) struct what w = {0};
    CLEANUP(js_free) json_t *bar = NULL;
    char hex[DIGEST_TEXT + 1];
    struct db *db = release_reader(r, e);
    int bad = db == NULL ? ERR_UNAVAIL : find_what(db, digest_text(d, hex), &w, e);
    if (bad < 0) {
        return bad;
    }
    json_t *j = js_new(), *targets = js_list();
    int64_t index = -1;
    for (size_t i = 0; i < w.targets.n; i++) {
        js_add_str(targets, w.targets.t[i].path);
        index = w.targets.t[i].published ? (int64_t)w.targets.t[i].published_index : index;
    }
    if (release_bar(db, d, &bar, NULL) == 0) {
        index = js_int_or(bar, "index", index);
        js_set_str(j, "reason", js_str_or(bar, "reason", NULL));
    }
    js_set_str(j, "state", release_state_name(w.state));
    js_set_sha256(j, "sha256", d);
    js_set(j, "targets", targets);
    js_set_int(j, "index", index);
    *out = j;
    return 0;
}

static int effective(int bad, const char *what, struct err *e)
{
    return bad < 0 ? err_wrap(e, bad,
                              "%s in the log and no longer handed out, but the metadata does not "
                              "say so yet (it is tried again by itself)",
                              what)
                   : 0;
}

/* ---- withhold ---- */

/* Those that are not barred yet, each once, into `fresh`. */
static int pick_fresh(struct db *db, const struct digest *d, size_t n, json_t *fresh, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        char hex[DIGEST_TEXT + 1];
        enum release_state state = RELEASE_NONE;
        int r = release_state_of(db, &d[i], &state, e);
        if (r < 0 && r != ERR_NOTFOUND) {
            return r;
        }
        if (state != RELEASE_WITHHELD && state != RELEASE_RECALLED) {
            js_set_bool(fresh, digest_text(&d[i], hex), true);
        }
    }
    return 0;
}

int release_enter_withheld(struct release *r, const struct digest *d, size_t n,
                           const struct release_why *why, struct err *e)
{
    CLEANUP(js_free) json_t *fresh = js_new();
    struct db *db = release_reader(r, e);
    int bad = db == NULL ? ERR_UNAVAIL : pick_fresh(db, d, n, fresh, e);
    size_t all = json_object_size(fresh), k = 0;
    CLEANUP(mem_free) struct event *ev = mem_array(struct event, all + 1);
    const char *hex;
    json_t *yes;
    json_object_foreach(fresh, hex, yes)
    {
        json_t *j = js_new();
        js_set_str(j, "sha256", hex);
        js_set_str(j, "reason", why->reason);
        js_set_str(j, "who", why->who);
        js_set_str(j, "by", why->by);
        ev[k++] = (struct event){.kind = "withheld", .site = j};
    }
    bad = bad < 0 ? bad : release_append(r, ev, k, e);
    while (k > 0) {
        event_clear(&ev[--k]);
    }
    return bad < 0 ? err_wrap(e, bad, "enter what is withheld") : 0;
}

int release_withhold_all(struct release *r, const struct digest *d, size_t n,
                         const struct release_why *why, size_t *n_new, struct err *e)
{
    CLEANUP(release_targets_clear) struct release_targets gone = {0};
    CLEANUP(js_free) json_t *fresh = js_new();
    struct db *db = release_reader(r, e);
    int bad = db == NULL ? ERR_UNAVAIL : pick_fresh(db, d, n, fresh, e);
    *n_new = json_object_size(fresh);
    if (bad < 0 || *n_new == 0) {
        return bad;
    }
    bad = release_enter_withheld(r, d, n, why, e);
    const char *hex;
    json_t *yes;
    json_object_foreach(fresh, hex, yes)
    {
        struct digest one;
        bad = bad < 0 ? bad : digest_parse(span_str(hex), &one, e);
        bad = bad < 0 ? bad : release_targets_of(db, &one, &gone, e);
    }
    size_t n_paths = 0;
    bool refused = false;
    CLEANUP(mem_free) const char **paths = release_paths(&gone, &n_paths);
    struct release_change c = {.remove = paths, .n_remove = n_paths};
    return bad < 0 ? bad : effective(release_push(r, &c, &refused, e), "withheld", e);
}

int release_withhold(struct release *r, const char *what, const char *reason, const char *who,
                     json_t **out, struct err *e)
{
    CLEANUP(release_unlock) pthread_mutex_t *lock = release_locked(r);
    CLEANUP(what_clear) struct what w = {0};
    struct release_why why = {reason, who, "operator"};
    size_t fresh = 0;
    struct db *db = release_reader(r, e);
    int bad = check_reason(reason, e);
    bad = bad < 0 ? bad : db == NULL ? ERR_UNAVAIL : find_what(db, what, &w, e);
    bad = bad < 0 ? bad : release_withhold_all(r, &w.sha256, 1, &why, &fresh, e);
    return bad < 0 ? bad : tell(r, &w.sha256, out, e);
}

static int take_published(void *ctx, const struct release_target *t, struct err *e)
{
    (void)e;
    if (t->state == RELEASE_PUBLISHED) {
        release_digests_add(ctx, &t->sha256);
    }
    return 0;
}

int release_stop_all(struct release *r, const char *reason, const char *who, json_t **out,
                     struct err *e)
{
    CLEANUP(release_unlock) pthread_mutex_t *lock = release_locked(r);
    CLEANUP(release_digests_clear) struct release_digests all = {0};
    struct release_why why = {reason, who, "stop --all"};
    size_t fresh = 0;
    struct db *db = release_reader(r, e);
    int bad = check_reason(reason, e);
    bad = bad < 0 ? bad : db == NULL ? ERR_UNAVAIL : release_all(db, take_published, &all, e);
    bad = bad < 0 ? bad : release_withhold_all(r, all.d, all.n, &why, &fresh, e);
    if (bad == 0) {
        *out = js_new();
        js_set_int(*out, "withheld", (int64_t)fresh);
    }
    return bad;
}

/* ---- recall ---- */

/* Only names that were public: the others are nobody's business. */
static json_t *path_list(const struct release_targets *l, size_t room)
{
    json_t *list = js_list();
    for (size_t i = 0; i < l->n; i++) {
        size_t need = strlen(l->t[i].path) + 3;
        if (l->t[i].published && need <= room) {
            js_add_str(list, l->t[i].path);
            room -= need;
        }
    }
    return list;
}

int release_recall_entry(struct db *db, const struct digest *sha256, json_t **out, struct err *e)
{
    CLEANUP(release_targets_clear) struct release_targets l = {0};
    CLEANUP(js_free) json_t *bar = NULL;
    const char *when = NULL;
    int64_t index = 0, time = 0;
    int r = release_bar(db, sha256, &bar, e);
    r = r < 0 ? r : js_str(bar, "time", &when, e);
    r = r < 0 ? r : clock_parse(span_str(when), &time, e);
    r = r < 0 ? r : js_int(bar, "index", &index, e);
    r = r < 0 ? r : release_targets_of(db, sha256, &l, e);
    if (r < 0) {
        return r;
    }
    json_t *j = js_new();
    CLEANUP(mem_free) char *id = mem_printf("R%lld", (long long)index);
    js_set_str(j, "id", id);
    js_set_sha256(j, "sha256", sha256);
    js_set(j, "paths", path_list(&l, SIZE_MAX));
    js_set_str(j, "reason", js_str_or(bar, "reason", ""));
    js_set_str(j, "replacement", js_str_or(bar, "replacement", NULL));
    js_set_int(j, "time", time);
    js_set_int(j, "log", index);
    *out = j;
    return 0;
}

static int check_replacement(struct db *db, const struct what *w, const char *replace,
                             struct err *e)
{
    struct release_target t;
    if (replace == NULL) {
        return 0;
    }
    int r = release_target(db, replace, &t, e);
    if (r < 0) {
        return err_wrap(e, r, "the replacement");
    }
    if (t.state != RELEASE_PUBLISHED || digest_eq(&t.sha256, &w->sha256)) {
        return err_set(e, ERR_CONFLICT, "the replacement %.300s %s: publish another one first",
                       replace,
                       t.state != RELEASE_PUBLISHED ? "is not published" : "has the same bytes");
    }
    return 0;
}

/* What is public is the entry; who ordered it is the operators'. */
static int enter_recalled(struct release *r, const struct what *w, const struct release_order *o,
                          struct err *e)
{
    CLEANUP(event_clear) struct event ev = {.kind = "recalled", .open = js_new(), .site = js_new()};
    js_set_str(ev.site, "who", o->who);
    js_set_sha256(ev.open, "sha256", &w->sha256);
    js_set(ev.open, "paths", path_list(&w->targets, LEAF_PATHS));
    js_set_str(ev.open, "reason", o->reason);
    js_set_str(ev.open, "replacement", o->replace);
    int bad = release_append(r, &ev, 1, e);
    return bad < 0 ? err_wrap(e, bad, "enter the recall; nothing is changed") : 0;
}

static int push_recall(struct release *r, struct db *db, const struct what *w, struct err *e)
{
    size_t n = 0;
    bool refused = false;
    json_t *entry = NULL;
    CLEANUP(js_free) json_t *entries = js_list();
    CLEANUP(mem_free) const char **paths = release_paths(&w->targets, &n);
    struct release_change c = {.remove = paths, .n_remove = n, .recalls = entries};
    int bad = release_recall_entry(db, &w->sha256, &entry, e);
    if (bad == 0) {
        js_add(entries, entry);
        bad = release_push(r, &c, &refused, e);
    }
    return effective(bad, "recalled", e);
}

int release_recall(struct release *r, const struct release_order *o, json_t **out, struct err *e)
{
    CLEANUP(release_unlock) pthread_mutex_t *lock = release_locked(r);
    CLEANUP(what_clear) struct what w = {0};
    struct db *db = release_reader(r, e);
    int bad = check_reason(o->reason, e);
    bad = bad < 0 ? bad : db == NULL ? ERR_UNAVAIL : find_what(db, o->what, &w, e);
    if (bad == 0 && w.state != RELEASE_RECALLED) {
        bad = check_replacement(db, &w, o->replace, e);
        bad = bad < 0 ? bad : enter_recalled(r, &w, o, e);
        bad = bad < 0 ? bad : push_recall(r, db, &w, e);
    }
    return bad < 0 ? bad : tell(r, &w.sha256, out, e);
}

/* ---- lift ---- */

json_t *release_lift_entry(const struct release_batch *b, const struct event *lifted)
{
    if (!b->was_recalled) {
        return NULL;
    }
    json_t *list = js_list(), *j = js_new(), *paths = js_list();
    CLEANUP(mem_free) char *id = mem_printf("L%llu", (unsigned long long)lifted->index);
    for (size_t i = 0; i < b->n; i++) {
        js_add_str(paths, b->file[i]->path);
    }
    js_set_str(j, "id", id);
    js_set_sha256(j, "sha256", &b->lifted);
    js_set(j, "paths", paths);
    js_set_str(j, "reason", b->lift_reason);
    js_set_bool(j, "lift", true);
    js_set_int(j, "time", lifted->time);
    js_set_int(j, "log", (int64_t)lifted->index);
    js_add(list, j);
    return list;
}

/* What had been published goes out again, if the rules of today find nothing. */
static int rescan_all(struct release_batch *b, const struct what *w, struct err *e)
{
    CLEANUP(release_targets_clear) struct release_targets back = {0};
    for (size_t i = 0; i < w->targets.n; i++) {
        if (w->targets.t[i].published) {
            release_targets_take(&back, &w->targets.t[i], NULL);
        }
    }
    int r = release_rescan(b, back.t, back.n, e);
    for (size_t i = 0; i < b->n && r == 0; i++) {
        if (b->file[i]->fate != FATE_CLEAN) {
            r = err_set(e, ERR_DENIED, "%.300s is not given back: %.150s", b->file[i]->path,
                        b->file[i]->reason);
        }
    }
    return r;
}

int release_lift(struct release *r, const char *what, const char *reason, const char *who,
                 json_t **out, struct err *e)
{
    CLEANUP(what_clear) struct what w = {0};
    struct db *db = release_reader(r, e);
    int bad = check_reason(reason, e);
    bad = bad < 0 ? bad : db == NULL ? ERR_UNAVAIL : find_what(db, what, &w, e);
    if (bad == 0 && w.state != RELEASE_WITHHELD && w.state != RELEASE_RECALLED) {
        bad = err_set(e, ERR_CONFLICT, "%.300s is neither withheld nor recalled", what);
    }
    if (bad < 0) {
        return bad;
    }
    CLEANUP(release_drop) struct release_batch *b = release_batch_new(r, MODE_LIFT, who);
    b->lifted = w.sha256;
    b->lift_reason = reason;
    b->was_recalled = w.state == RELEASE_RECALLED;
    bad = rescan_all(b, &w, e);
    bad = bad < 0 ? bad : release_attest(b, e);
    bad = bad < 0 ? bad : release_commit(b, e);
    return bad < 0 ? bad : tell(r, &w.sha256, out, e);
}
