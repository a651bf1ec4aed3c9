/* view.c - a tree read through its tiles, each checked against the one above it before use.
 *
 * The tiles at the right edge are checked together against the root, all others against the hash
 * that their parent holds. So a wrong byte is found by the first who reads it, with the name of
 * its file. */
#include "tlog/tlog_priv.h"

#include <assert.h>

#include "base/mem.h"

#define SLOTS 64u /* of 16 kB */

struct slot {
    bool used;
    unsigned level;
    uint64_t n, last;
    struct tile_tree tree;
};

struct tlog_view {
    struct tlog_tiles tiles;
    struct tlog_head head;
    struct tile_tree *edge[TLOG_LEVELS]; /* NULL where edge_width() is 0 */
    struct slot *slots[SLOTS];
    uint64_t clock;
    struct buf bundle; /* the last one read, checked */
    struct span entry[TLOG_WIDTH];
    uint64_t bundle_n;
};

const struct digest *view_edge(const struct tlog_view *v, unsigned level)
{
    return v->edge[level]->node;
}

static struct slot *slot_take(struct tlog_view *v)
{
    struct slot *oldest = NULL;
    for (unsigned i = 0; i < SLOTS; i++) {
        if (v->slots[i] == NULL) {
            v->slots[i] = mem_new(struct slot);
            return v->slots[i];
        }
        if (oldest == NULL || !v->slots[i]->used || v->slots[i]->last < oldest->last) {
            oldest = v->slots[i];
        }
    }
    oldest->used = false;
    return oldest;
}

static const struct tile_tree *tree_known(struct tlog_view *v, unsigned level, uint64_t n)
{
    if (n == level_count(v->head.size, level) / TLOG_WIDTH) {
        return v->edge[level];
    }
    for (unsigned i = 0; i < SLOTS && v->slots[i] != NULL; i++) {
        struct slot *s = v->slots[i];
        if (s->used && s->level == level && s->n == n) {
            s->last = ++v->clock;
            return &s->tree;
        }
    }
    return NULL;
}

static int tree_load(struct tlog_view *v, unsigned level, uint64_t n, const struct digest *want,
                     const struct tile_tree **out, struct err *e)
{
    struct tlog_tile tile = {(int)level, n, TLOG_WIDTH};
    struct slot *s = slot_take(v);
    int r = tile_read(&v->tiles, &tile, s->tree.node, e);
    if (r < 0) {
        return r;
    }
    tree_grow(&s->tree, TLOG_WIDTH);
    if (!digest_eq(tree_node(&s->tree, 8, 0), want)) {
        char path[TLOG_PATH];
        return err_set(e, ERR_TRUST, "%s was changed: the tile above it holds another hash",
                       tlog_tile_path(&tile, path));
    }
    s->used = true;
    s->level = level;
    s->n = n;
    s->last = ++v->clock;
    *out = &s->tree;
    return 0;
}

/* Tile `n` of `level`, checked up to the root. Walks up to the nearest tile in memory, then down
 * again. The result lives until the next call. */
static int view_tree(struct tlog_view *v, unsigned level, uint64_t n, const struct tile_tree **out,
                     struct err *e)
{
    const struct tile_tree *t = NULL;
    unsigned top = level;
    while ((t = tree_known(v, top, n >> (8 * (top - level)))) == NULL) {
        top++; /* ends: the tile above the last full one is at the edge */
        assert(top < TLOG_LEVELS);
    }
    while (top > level) {
        top--;
        uint64_t here = n >> (8 * (top - level));
        struct digest want = *tree_node(t, 0, (unsigned)(here % TLOG_WIDTH));
        int r = tree_load(v, top, here, &want, &t, e);
        if (r < 0) {
            return r;
        }
    }
    *out = t;
    return 0;
}

/* The root of the perfect subtree of 2^height entries that begins at entry i << height. */
static int perfect(struct tlog_view *v, unsigned height, uint64_t i, struct digest *out,
                   struct err *e)
{
    unsigned level = height / 8, in = height % 8;
    uint64_t first = i << in; /* among the hashes of this level */
    const struct tile_tree *t;
    int r = view_tree(v, level, first / TLOG_WIDTH, &t, e);
    if (r < 0) {
        return r;
    }
    *out = *tree_node(t, in, (unsigned)(first % TLOG_WIDTH) >> in);
    return 0;
}

/* The root of entries [lo, hi), where lo is a multiple of a power of two >= hi - lo. */
static int range_root(struct tlog_view *v, uint64_t lo, uint64_t hi, struct digest *out,
                      struct err *e)
{
    bool any = false;
    struct digest root = {0};
    for (unsigned h = 0; h < 63; h++) { /* from the right: low bits are the last subtrees */
        if (((hi - lo) >> h & 1) == 0) {
            continue;
        }
        struct digest left;
        uint64_t first = lo + ((hi - lo) >> (h + 1) << (h + 1));
        int r = perfect(v, h, first >> h, &left, e);
        if (r < 0) {
            return r;
        }
        root = any ? tlog_node_hash(&left, &root) : left;
        any = true;
    }
    *out = any ? root : tlog_head_empty().root;
    return 0;
}

/* ---- opening ---- */

static int edges_load(struct tlog_view *v, struct err *e)
{
    for (unsigned level = 0; level < TLOG_LEVELS; level++) {
        unsigned width = edge_width(v->head.size, level);
        if (width == 0) {
            continue;
        }
        struct tlog_tile tile = {(int)level, level_count(v->head.size, level) / TLOG_WIDTH, width};
        v->edge[level] = mem_new(struct tile_tree);
        int r = tile_read(&v->tiles, &tile, v->edge[level]->node, e);
        if (r < 0) {
            return r;
        }
        tree_grow(v->edge[level], width);
    }
    return 0;
}

int tlog_view_open(const struct tlog_tiles *tiles, const struct tlog_head *head,
                   struct tlog_view **out, struct err *e)
{
    if (head->size > TLOG_MAX) {
        return err_set(e, ERR_LIMIT, "a log of %llu entries", (unsigned long long)head->size);
    }
    CLEANUP(tlog_view_close) struct tlog_view *v = mem_new(struct tlog_view);
    v->tiles = *tiles;
    v->head = *head;
    v->bundle.max = TLOG_BUNDLE_MAX;
    v->bundle_n = UINT64_MAX;
    struct digest root;
    int r = edges_load(v, e);
    if (r == 0) {
        r = range_root(v, 0, head->size, &root, e);
    }
    if (r < 0) {
        return err_wrap(e, r, "open the log at %llu entries", (unsigned long long)head->size);
    }
    if (!digest_eq(&root, &head->root)) {
        return err_set(e, ERR_TRUST,
                       "the newest tiles do not give the signed root of %llu entries; "
                       "an audit of the log names the file",
                       (unsigned long long)head->size);
    }
    *out = v;
    v = NULL;
    return 0;
}

void tlog_view_close(struct tlog_view **v)
{
    if (*v == NULL) {
        return;
    }
    for (unsigned i = 0; i < TLOG_LEVELS; i++) {
        free((*v)->edge[i]);
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        free((*v)->slots[i]);
    }
    buf_clear(&(*v)->bundle);
    free(*v);
    *v = NULL;
}

/* ---- asking ---- */

static int size_check(const struct tlog_view *v, uint64_t size, struct err *e)
{
    if (size <= v->head.size) {
        return 0;
    }
    return err_set(e, ERR_NOTFOUND, "the log has %llu entries, not %llu",
                   (unsigned long long)v->head.size, (unsigned long long)size);
}

int tlog_view_root(struct tlog_view *v, uint64_t size, struct digest *out, struct err *e)
{
    int r = size_check(v, size, e);
    return r < 0 ? r : range_root(v, 0, size, out, e);
}

/* By itself, because index + 1 wraps at the last number there is. */
static int index_check(uint64_t index, uint64_t size, struct err *e)
{
    if (index < size) {
        return 0;
    }
    return err_set(e, ERR_NOTFOUND, "no entry %llu in a log of %llu", (unsigned long long)index,
                   (unsigned long long)size);
}

int tlog_view_leaf(struct tlog_view *v, uint64_t index, struct digest *out, struct err *e)
{
    int r = index_check(index, v->head.size, e);
    return r < 0 ? r : perfect(v, 0, index, out, e);
}

/* The largest power of two below n; n >= 2. */
static uint64_t split(uint64_t n)
{
    return (uint64_t)1 << (63 - __builtin_clzll(n - 1));
}

struct range {
    uint64_t lo, hi;
};

/* The siblings on the way down are the proof in reverse. */
static int ranges_prove(struct tlog_view *v, const struct range *down, size_t n,
                        struct tlog_hashes *out, struct err *e)
{
    struct tlog_hashes p = {.n = n};
    for (size_t i = 0; i < n; i++) {
        const struct range *s = &down[n - 1 - i];
        int r = range_root(v, s->lo, s->hi, &p.h[i], e);
        if (r < 0) {
            return r;
        }
    }
    *out = p;
    return 0;
}

int tlog_prove_inclusion(struct tlog_view *v, uint64_t index, uint64_t size,
                         struct tlog_hashes *out, struct err *e)
{
    int r = size_check(v, size, e);
    if (r == 0) {
        r = index_check(index, size, e);
    }
    if (r < 0) {
        return r;
    }
    struct range down[TLOG_HASHES];
    size_t n = 0;
    uint64_t lo = 0, hi = size;
    while (hi - lo > 1) {
        uint64_t mid = lo + split(hi - lo);
        down[n++] = index < mid ? (struct range){mid, hi} : (struct range){lo, mid};
        *(index < mid ? &hi : &lo) = mid;
    }
    return ranges_prove(v, down, n, out, e);
}

int tlog_prove_consistency(struct tlog_view *v, uint64_t m, uint64_t n, struct tlog_hashes *out,
                           struct err *e)
{
    int r = size_check(v, n, e);
    if (r < 0) {
        return r;
    }
    if (m > n) {
        return err_set(e, ERR_NOTFOUND, "a log of %llu entries did not grow from %llu",
                       (unsigned long long)n, (unsigned long long)m);
    }
    struct range down[TLOG_HASHES];
    size_t k = 0;
    uint64_t lo = 0, hi = n;
    while (m > 0 && m < hi) {
        uint64_t mid = lo + split(hi - lo);
        down[k++] = m <= mid ? (struct range){mid, hi} : (struct range){lo, mid};
        *(m <= mid ? &hi : &lo) = mid;
    }
    if (lo > 0) { /* else the verifier has this root: it is the old one */
        down[k++] = (struct range){lo, hi};
    }
    return ranges_prove(v, down, k, out, e);
}

static int bundle_load(struct tlog_view *v, uint64_t n, struct err *e)
{
    if (v->bundle_n == n) {
        return 0;
    }
    v->bundle_n = UINT64_MAX;
    buf_reset(&v->bundle);
    struct tlog_tile tile = {TLOG_ENTRIES, n, width_at(v->head.size, 0, n)};
    int r = bundle_read(&v->tiles, &tile, &v->bundle, v->entry, e);
    if (r == 0) {
        v->bundle_n = n;
    }
    return r;
}

int tlog_entry(struct tlog_view *v, uint64_t index, struct buf *out, struct err *e)
{
    struct digest want;
    int r = tlog_view_leaf(v, index, &want, e);
    if (r == 0) {
        r = bundle_load(v, index / TLOG_WIDTH, e);
    }
    if (r < 0) {
        return r;
    }
    struct span entry = v->entry[index % TLOG_WIDTH];
    struct digest got = tlog_leaf_hash(entry);
    if (!digest_eq(&got, &want)) {
        struct tlog_tile tile = {TLOG_ENTRIES, index / TLOG_WIDTH,
                                 width_at(v->head.size, 0, index / TLOG_WIDTH)};
        char path[TLOG_PATH];
        return err_set(e, ERR_TRUST, "%s was changed: entry %llu has another hash than in the tree",
                       tlog_tile_path(&tile, path), (unsigned long long)index);
    }
    buf_span(out, entry);
    return buf_done(out, "log entry", e);
}
