/* complete.c - makes the metadata agree with the log: what a crash left between the two is gone on
 * with, or taken back (P9). */
#include "release/release_priv.h"

#include "base/mem.h"

struct gap {
    struct release *r;
    struct db *db;
    struct tuf_repo *repo;
    struct release_targets add, remove;
    json_t *entries;
    struct release_digests lifted; /* that already have an entry here */
};

static void gap_clear(struct gap *g)
{
    tuf_close(&g->repo);
    release_targets_clear(&g->add);
    release_targets_clear(&g->remove);
    release_digests_clear(&g->lifted);
    js_free(&g->entries);
}

/* The metadata as it is on the disk, which may be less than the signer has signed. */
static int read_metadata(struct gap *g, struct err *e)
{
    CLEANUP(js_free) json_t *state = NULL;
    int r = tuf_state_adopt(g->r->metadata, &state, e);
    return r < 0 ? r : tuf_open(g->r->metadata, state, &g->repo, e);
}

/* The log lifted it, the metadata still recalls it: the entry has no event of its own here. */
static void lift_again(struct gap *g, const struct digest *d)
{
    for (size_t i = 0; i < g->lifted.n; i++) {
        if (digest_eq(&g->lifted.d[i], d)) {
            return;
        }
    }
    json_t *j = js_new();
    int64_t now = clock_now();
    CLEANUP(mem_free) char *id = mem_printf("L%lld-%zu", (long long)now, g->lifted.n);
    js_set_str(j, "id", id);
    js_set_sha256(j, "sha256", d);
    js_set_bool(j, "lift", true);
    js_set_str(j, "reason", "lifted; see the log");
    js_set(j, "paths", js_list());
    js_set_int(j, "time", now);
    js_set_int(j, "log", -1);
    js_add(g->entries, j);
    release_digests_add(&g->lifted, d);
}

static int compare(void *ctx, const struct release_target *t, struct err *e)
{
    struct gap *g = ctx;
    const json_t *entry = NULL;
    struct digest have;
    struct err none;
    int r = tuf_find(g->repo, t->path, &entry, &none);
    if (r < 0 && r != ERR_NOTFOUND) {
        return err_set(e, r, "%s", none.text);
    }
    bool there = r == 0;
    bool same = there && js_sha256(json_object_get(entry, "hashes"), "sha256", &have, NULL) == 0 &&
                digest_eq(&have, &t->sha256);
    if (t->state == RELEASE_PUBLISHED && !same) {
        release_targets_take(&g->add, t, NULL);
    } else if (t->state != RELEASE_PUBLISHED && there) {
        release_targets_take(&g->remove, t, NULL);
    }
    if (t->state != RELEASE_RECALLED && tuf_is_recalled(g->repo, &t->sha256)) {
        lift_again(g, &t->sha256);
    }
    return 0;
}

static int recall_again(void *ctx, const struct digest *d, struct err *e)
{
    struct gap *g = ctx;
    json_t *entry = NULL;
    if (tuf_is_recalled(g->repo, d)) {
        return 0;
    }
    int r = release_recall_entry(g->db, d, &entry, e);
    if (r == 0) {
        js_add(g->entries, entry);
    }
    return r;
}

static int find_gap(struct gap *g, struct err *e)
{
    g->entries = js_list();
    g->db = release_reader(g->r, e);
    int r = g->db == NULL ? ERR_UNAVAIL : read_metadata(g, e);
    r = r < 0 ? r : release_all(g->db, compare, g, e);
    return r < 0 ? r : release_barred(g->db, RELEASE_RECALLED, recall_again, g, e);
}

static int withhold_one(struct release *r, const struct release_add *a, struct err *e)
{
    struct err why = e != NULL ? *e : (struct err){.text = "not signed"};
    struct release_why w = {why.text, "cordon", "signer"};
    size_t entered = 0;
    return release_withhold_all(r, &a->sha256, 1, &w, &entered, e);
}

/* A list that the signer refuses is halved until the one it refuses is alone. */
static int add_some(struct release *r, const struct release_add *add, size_t n, struct err *e)
{
    bool refused = false;
    struct release_change c = {.add = add, .n_add = n};
    int bad = n == 0 ? 0 : release_push(r, &c, &refused, e);
    if (bad == 0 || !refused) {
        return bad;
    }
    if (n == 1) {
        return withhold_one(r, add, e);
    }
    /* one that cannot be signed must not keep the others back */
    bad = add_some(r, add, n / 2, e);
    return bad < 0 ? bad : add_some(r, add + n / 2, n - n / 2, e);
}

static int close_gap(struct gap *g, struct err *e)
{
    size_t n = g->add.n, removes = 0;
    CLEANUP(mem_free) struct release_add *add = mem_array(struct release_add, n + 1);
    CLEANUP(mem_free) const char **gone = mem_array(const char *, g->remove.n + 1);
    bool refused = false;
    for (size_t i = 0; i < n; i++) {
        const struct release_target *t = &g->add.t[i];
        add[i] = (struct release_add){t->path,        t->sha256, t->chunk_root,
                                      t->attestation, t->size,   t->published_index};
    }
    for (; removes < g->remove.n; removes++) {
        gone[removes] = g->remove.t[removes].path;
    }
    struct release_change first = {.remove = gone, .n_remove = removes, .recalls = g->entries};
    int r = removes > 0 || json_array_size(g->entries) > 0 ? release_push(g->r, &first, &refused, e)
                                                           : 0;
    return r < 0 ? r : add_some(g->r, add, n, e);
}

int release_complete(struct release *r, struct err *e)
{
    CLEANUP(gap_clear) struct gap g = {.r = r};
    int bad = find_gap(&g, e);
    bad = bad < 0 ? bad : close_gap(&g, e);
    bad = bad < 0 ? bad : r->o.ports.show(r->o.ports.ctx, NULL, 0, e);
    if (bad == 0) {
        r->behind = false;
    }
    return bad < 0 ? err_wrap(e, bad, "make the metadata agree with the log") : 0;
}
