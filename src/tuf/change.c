#include "tuf/tuf_priv.h"

#include "base/limits.h"
#include "base/mem.h"

/* ---- one change: a copy to work on ---- */

static json_t *state_share(const json_t *state)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)state);
    js_set(copy, "roles", json_copy(json_object_get(state, "roles")));
    return copy;
}

static void share(struct tuf_repo *next, const struct tuf_repo *r)
{
    *next = *r;
    for (int i = 0; i < TUF_ROLES; i++) {
        json_incref(next->doc[i]);
    }
    size_t bins = (size_t)1 << r->bits;
    next->bin = mem_array(struct bin, bins);
    for (size_t i = 0; i < bins; i++) {
        next->bin[i] = r->bin[i];
        json_incref(next->bin[i].targets);
    }
    json_incref(next->index);
    json_incref(next->recalled);
    next->state = state_share(r->state);
}

/* The number of a bin that exists now. */
static bool current_bin(const struct tuf_repo *r, const char *name, uint32_t *out)
{
    if (strncmp(name, "bin-", 4) != 0) {
        return false;
    }
    char *end = NULL, again[TUF_BIN_NAME];
    unsigned long i = strtoul(name + 4, &end, 16);
    if (*end != 0 || i >= 1ul << r->bits ||
        strcmp(tuf_bin_name((uint32_t)i, r->bits, again), name) != 0) {
        return false;
    }
    *out = (uint32_t)i;
    return true;
}

static int catch_up(struct change *c, const char *name, struct err *e)
{
    enum tuf_role role;
    uint32_t i;
    json_t *targets;
    if (!tuf_is_behind(&c->next, name)) {
        return 0;
    }
    if (tuf_role_of(name, &role, NULL) == 0) {
        /* targets is signed by people: tuf_behind() tells them */
        c->dirty[role] = c->dirty[role] || role > TUF_TARGETS;
        return 0;
    }
    if (current_bin(&c->next, name, &i)) {
        return tuf_change_bin(c, i, &targets, e);
    }
    js_add_str(c->empty, name);
    return 0;
}

int tuf_change_begin(struct change *c, struct tuf_repo *r, const struct tuf_sign *sign,
                     struct err *e)
{
    int rc = tuf_sync(r, e);
    if (rc < 0) {
        return rc;
    }
    *c = (struct change){.sign = sign, .empty = js_list()};
    share(&c->next, r);
    c->meta = tuf_meta(r) != NULL ? json_copy(tuf_meta(r)) : js_new();
    c->dirty[TUF_TARGETS] = r->targets_stale;
    c->dirty[TUF_SNAPSHOT] = r->root_lost; /* it may still carry the keys of the root before */
    const char *name;
    json_t *rec;
    json_object_foreach(json_object_get(r->state, "roles"), name, rec)
    {
        (void)rec;
        rc = catch_up(c, name, e);
        if (rc < 0) {
            return err_wrap(e, rc, "sign %s again, above what was signed before", name);
        }
    }
    return 0;
}

void tuf_change_clear(struct change *c)
{
    tuf_repo_clear(&c->next);
    tuf_docs_clear(&c->docs);
    js_free(&c->meta);
    js_free(&c->snapshot);
    js_free(&c->advised);
    js_free(&c->empty);
}

int tuf_change_bin(struct change *c, uint32_t i, json_t **targets, struct err *e)
{
    struct bin *b = &c->next.bin[i];
    int rc = tuf_load_bin(&c->next, i, e);
    if (rc < 0) {
        return rc;
    }
    if (!b->dirty) { /* the original keeps its own */
        json_t *own = json_copy(b->targets);
        json_decref(b->targets);
        b->targets = own;
        b->dirty = true;
    }
    *targets = b->targets;
    return 0;
}

int tuf_change_all_bins(struct change *c, struct err *e)
{
    json_t *targets;
    for (uint32_t i = 0; i < 1u << c->next.bits; i++) {
        int rc = tuf_change_bin(c, i, &targets, e);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static void move_targets(json_t *from, struct bin *bins, unsigned bits)
{
    const char *path;
    json_t *entry;
    json_object_foreach(from, path, entry)
    {
        struct bin *b = &bins[tuf_bin_of(path, bits)];
        js_set(b->targets, path, json_incref(entry));
        b->n++;
    }
}

/* Names with the same number of digits go on as bins of the new division; others stay, empty. */
void tuf_rebin(struct change *c, unsigned bits)
{
    struct tuf_repo *r = &c->next;
    struct bin *bins = mem_array(struct bin, (size_t)1 << bits);
    for (uint32_t i = 0; i < 1u << bits; i++) {
        bins[i] = (struct bin){.targets = js_new(), .dirty = true};
    }
    for (uint32_t i = 0; i < 1u << r->bits; i++) {
        char name[TUF_BIN_NAME], again[TUF_BIN_NAME];
        move_targets(r->bin[i].targets, bins, bits);
        js_free(&r->bin[i].targets);
        tuf_bin_name(i, r->bits, name);
        if (strcmp(name, tuf_bin_name(i, bits, again)) != 0) {
            js_add_str(c->empty, name);
        }
    }
    free(r->bin);
    r->bin = bins;
    r->bits = bits;
    c->dirty[TUF_RELEASES] = true;
}

static bool anything(const struct change *c)
{
    bool any = c->next.root_lost || json_array_size(c->empty) > 0;
    for (int i = 0; i < TUF_ROLES; i++) {
        any = any || c->dirty[i];
    }
    for (size_t i = 0; i < (size_t)1 << c->next.bits; i++) {
        any = any || c->next.bin[i].dirty;
    }
    return any;
}

/* Bins are read again when they are needed; a large publish must not keep them all. */
static void drop_bins(struct tuf_repo *r)
{
    for (size_t i = 0; i < (size_t)1 << r->bits; i++) {
        r->bin[i].dirty = false;
        if (r->dir >= 0) {
            js_free(&r->bin[i].targets);
        }
    }
}

int tuf_change_commit(struct change *c, struct tuf_repo *r, struct tuf_docs *docs, struct err *e)
{
    *docs = (struct tuf_docs){NULL, 0, 0};
    if (!anything(c)) {
        return 0;
    }
    int rc = tuf_emit(c, e);
    if (rc < 0) {
        return rc;
    }
    drop_bins(&c->next);
    c->next.root_lost = false;
    c->next.targets_stale = false;
    tuf_repo_clear(r);
    *r = c->next;
    c->next = (struct tuf_repo){.dir = -1};
    *docs = c->docs;
    c->docs = (struct tuf_docs){NULL, 0, 0};
    return 0;
}

/* ---- publish ---- */

static int change_remove(struct change *c, const char *path, struct err *e)
{
    uint32_t i = tuf_bin_of(path, c->next.bits);
    json_t *targets;
    int rc = tuf_load_bin(&c->next, i, e);
    if (rc < 0 || json_object_get(c->next.bin[i].targets, path) == NULL) {
        return rc;
    }
    rc = tuf_change_bin(c, i, &targets, e);
    if (rc == 0) {
        json_object_del(targets, path);
        c->next.bin[i].n--;
    }
    return rc;
}

static int check_custom(const struct tuf_target *t, struct err *e)
{
    if (t->custom == NULL) {
        return 0;
    }
    if (!json_is_object(t->custom)) {
        return err_set(e, ERR_FORMAT, "custom of %.200s is not an object", t->path);
    }
    CLEANUP(buf_clear) struct buf b = BUF(TUF_CUSTOM_MAX);
    int rc = js_canon(&b, t->custom, e);
    return rc < 0 ? err_wrap(e, rc, "custom of %.200s", t->path) : 0;
}

static int check_target(const struct change *c, const struct tuf_target *t, struct err *e)
{
    int rc = tuf_check_name(span_str(t->path), NULL, e);
    if (rc == 0 && t->length >= (uint64_t)TUF_VERSION_MAX) {
        rc = err_set(e, ERR_LIMIT, "%.200s is longer than clients can count", t->path);
    }
    rc = rc < 0 ? rc : check_custom(t, e);
    if (rc == 0 && tuf_is_recalled(&c->next, &t->sha256)) {
        rc = err_set(e, ERR_DENIED,
                     "the content of %.200s is recalled and is not published under any name; lift "
                     "the recall first if it was a false alarm",
                     t->path);
    }
    return rc;
}

static int change_add(struct change *c, const struct tuf_target *t, struct err *e)
{
    int rc = check_target(c, t, e);
    uint32_t i = tuf_bin_of(t->path, c->next.bits);
    rc = rc < 0 ? rc : tuf_load_bin(&c->next, i, e);
    if (rc < 0) {
        return rc;
    }
    CLEANUP(js_free) json_t *entry = js_new();
    json_t *hashes = js_new(), *targets;
    js_set_sha256(hashes, "sha256", &t->sha256); /* one: clients fetch by the first */
    js_set_int(entry, "length", (int64_t)t->length);
    js_set(entry, "hashes", hashes);
    if (t->custom != NULL) {
        js_set(entry, "custom", json_deep_copy(t->custom));
    }
    const json_t *was = json_object_get(c->next.bin[i].targets, t->path);
    if (was != NULL && json_equal(was, entry)) {
        return 0;
    }
    c->next.bin[i].n += was == NULL;
    rc = tuf_change_bin(c, i, &targets, e);
    if (rc == 0) {
        js_set(targets, t->path, json_incref(entry));
    }
    return rc;
}

static int grow(struct change *c, struct err *e)
{
    unsigned bits = c->next.bits;
    while (bits < TUF_BITS_MAX && tuf_count(&c->next) > TUF_BIN_TARGETS << bits) {
        bits++;
    }
    if (bits == c->next.bits) {
        return 0;
    }
    int rc = tuf_change_all_bins(c, e);
    if (rc == 0) {
        tuf_rebin(c, bits);
    }
    return rc;
}

static int apply(struct change *c, const struct tuf_change *what, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < what->n_remove && rc == 0; i++) {
        rc = change_remove(c, what->remove[i], e);
    }
    for (size_t i = 0; i < what->n_recall && rc == 0; i++) {
        rc = tuf_recall_add(c, &what->recall[i], e);
    }
    for (size_t i = 0; i < what->n_add && rc == 0; i++) {
        rc = change_add(c, &what->add[i], e);
    }
    return rc < 0 ? rc : grow(c, e);
}

int tuf_publish(struct tuf_repo *repo, const struct tuf_sign *sign, const struct tuf_change *change,
                struct tuf_docs *docs, struct err *e)
{
    CLEANUP(tuf_change_clear) struct change c = {.next = {.dir = -1}};
    int rc = tuf_change_begin(&c, repo, sign, e);
    rc = rc < 0 ? rc : apply(&c, change, e);
    return rc < 0 ? rc : tuf_change_commit(&c, repo, docs, e);
}
