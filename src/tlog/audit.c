/* audit.c - everything read again, and the wrong file named.
 *
 * Two ways lead to each hash: down from the signed root through tile files, and up from the
 * entries. A tile reached from the root ("want" is known) tells right from wrong at once. Below a
 * wrong tile nothing is known until what the entries give is compared with the nearest right
 * hash above. */
#include "tlog/tlog_priv.h"

#include "base/mem.h"

struct audit {
    const struct tlog_tiles *tiles;
    const struct tlog_head *head;
    const struct tlog_progress *progress;
    struct tlog_report *rep;
    uint64_t seen;        /* entries looked at */
    uint64_t bad_bundles; /* entries can give the right root only while this is 0 */
    struct err *e;
};

/* One tile on the way: what its file says, and what the entries below it say. */
struct level {
    struct tlog_tile tile;
    int fault; /* 0 or why the file could not be used */
    bool low_ok;
    struct digest file[TLOG_WIDTH], low[TLOG_WIDTH];
};

static void fault_add(struct audit *a, int kind, const struct tlog_tile *tile, uint64_t first,
                      uint64_t count)
{
    struct tlog_report *r = a->rep;
    if (r->faults < TLOG_FAULTS) {
        if (r->fault == NULL) {
            r->fault = mem_array(struct tlog_fault, TLOG_FAULTS);
        }
        r->fault[r->faults] = (struct tlog_fault){(enum tlog_fault_kind)kind, *tile, first, count};
    }
    r->faults++;
}

/* The entries below a tile. */
static uint64_t covers_first(const struct tlog_tile *t)
{
    return t->n << (8 * (t->level < 0 ? 1 : t->level + 1));
}
static uint64_t covers_count(const struct tlog_tile *t)
{
    return (uint64_t)t->width << (8 * (t->level < 0 ? 0 : t->level));
}
static void fault_all(struct audit *a, int kind, const struct tlog_tile *t)
{
    fault_add(a, kind, t, covers_first(t), covers_count(t));
}

/* 0, or the kind of fault; negative if the audit has to stop. */
static int fault_of(struct audit *a, int r, const struct err *why)
{
    switch (r) {
    case 0:
        a->rep->files++;
        return 0;
    case ERR_NOTFOUND:
        return TLOG_MISSING;
    case ERR_FORMAT:
    case ERR_LIMIT:
        return TLOG_LENGTH;
    case ERR_UNAVAIL:
    case ERR_NOMEM:
    case ERR_BUG:
        if (a->e != NULL) {
            *a->e = *why;
        }
        return r;
    default:
        return TLOG_UNREADABLE;
    }
}

static bool hashes_eq(const struct digest *a, const struct digest *b, unsigned width)
{
    return memcmp(a, b, width * sizeof *a) == 0;
}

/* ---- bundles ---- */

static void bundle_compare(struct audit *a, const struct level *l, const struct digest *leaf)
{
    struct tlog_tile tile = {TLOG_ENTRIES, l->tile.n, l->tile.width};
    uint64_t base = covers_first(&tile);
    for (unsigned i = 0; i < tile.width; i++) {
        unsigned from = i;
        while (i < tile.width && !digest_eq(&leaf[i], &l->file[i])) {
            i++;
        }
        if (i > from) {
            fault_add(a, TLOG_DIFFERS, &tile, base + from, i - from);
            a->bad_bundles++;
        }
    }
}

/* Fills l->low with the leaf hashes of the bundle, or with those of the tile if the bundle is
 * not there. With `trusted` the tile is right and the bundle is judged by it. */
static int bundle_audit(struct audit *a, struct level *l, bool trusted)
{
    struct tlog_tile tile = {TLOG_ENTRIES, l->tile.n, l->tile.width};
    CLEANUP(buf_clear) struct buf raw = BUF(TLOG_BUNDLE_MAX);
    struct span entry[TLOG_WIDTH];
    struct err why = {0};
    uint64_t bad = a->bad_bundles;
    int r = bundle_read(a->tiles, &tile, &raw, entry, &why);
    int fault = fault_of(a, r, &why);
    if (fault < 0) {
        return fault;
    }
    if (fault > 0) {
        fault_all(a, fault, &tile);
        a->bad_bundles++;
        l->low_ok = l->fault == 0;
        memcpy(l->low, l->file, sizeof l->low);
    } else {
        l->low_ok = true;
        for (unsigned i = 0; i < tile.width; i++) {
            l->low[i] = tlog_leaf_hash(entry[i]);
        }
        if (trusted) {
            bundle_compare(a, l, l->low);
        }
    }
    a->rep->entries += bad == a->bad_bundles ? tile.width : 0;
    a->seen += tile.width;
    if (a->progress != NULL) {
        a->progress->step(a->progress->ctx, a->seen, a->head->size);
    }
    return 0;
}

/* ---- tiles ---- */

static int file_load(struct audit *a, struct level *l)
{
    struct err why = {0};
    int fault = fault_of(a, tile_read(a->tiles, &l->tile, l->file, &why), &why);
    l->fault = fault < 0 ? 0 : fault;
    return fault < 0 ? fault : 0;
}

static int full_audit(struct audit *a, unsigned level, uint64_t n, const struct digest *want,
                      struct digest *low, bool *low_ok);

/* All that is below a tile, into l->low. */
static int below_audit(struct audit *a, struct level *l, bool trusted)
{
    if (l->tile.level == 0) {
        return bundle_audit(a, l, trusted);
    }
    l->low_ok = true;
    int r = 0;
    for (unsigned i = 0; r == 0 && i < l->tile.width; i++) {
        bool ok = false;
        r = full_audit(a, (unsigned)l->tile.level - 1, l->tile.n * TLOG_WIDTH + i,
                       trusted ? &l->file[i] : NULL, &l->low[i], &ok);
        l->low_ok = l->low_ok && ok;
    }
    return r;
}

/* The file is wrong or nothing vouches for it: what do the entries say? `right`: they give what
 * is wanted; `known`: it is known what is wanted. */
static void tile_judge(struct audit *a, const struct level *l, bool known, bool right)
{
    bool differs = l->fault == 0 && !hashes_eq(l->file, l->low, l->tile.width);
    struct tlog_tile bundle = {TLOG_ENTRIES, l->tile.n, l->tile.width};
    if (right) { /* the entries are fine, only this file is not */
        if (l->fault != 0 || differs) {
            fault_add(a, l->fault != 0 ? l->fault : TLOG_DIFFERS, &l->tile, covers_first(&l->tile),
                      0);
        }
        return;
    }
    if (l->fault != 0 || known) {
        fault_all(a, l->fault != 0 ? l->fault : TLOG_DIFFERS, &l->tile);
    } else if (differs) {
        fault_all(a, TLOG_DISPUTED, &l->tile);
    }
    if (l->tile.level == 0 && l->low_ok && (known || differs)) {
        fault_all(a, known ? TLOG_DIFFERS : TLOG_DISPUTED, &bundle);
        a->bad_bundles++;
        a->rep->entries -= l->tile.width;
    }
}

/* A full tile whose root should be `want` (NULL: not known). *low becomes what the entries give. */
static int full_audit(struct audit *a, unsigned level, uint64_t n, const struct digest *want,
                      struct digest *low, bool *low_ok)
{
    CLEANUP(mem_free) struct level *l = mem_new(struct level);
    l->tile = (struct tlog_tile){(int)level, n, TLOG_WIDTH};
    int r = file_load(a, l);
    if (r < 0) {
        return r;
    }
    struct digest root = tlog_root_of(l->file, TLOG_WIDTH);
    bool trusted = l->fault == 0 && want != NULL && digest_eq(&root, want);
    r = below_audit(a, l, trusted);
    if (r < 0) {
        return r;
    }
    if (trusted) {
        *low = root;
        *low_ok = true;
        return 0;
    }
    *low = tlog_root_of(l->low, TLOG_WIDTH);
    *low_ok = l->low_ok;
    tile_judge(a, l, want != NULL, want != NULL && l->low_ok && digest_eq(low, want));
    return 0;
}

/* ---- the right edge: all its tiles together give the root ---- */

static void edge_root(struct level *const *edge, bool file, struct digest *out)
{
    bool any = false;
    for (unsigned level = 0; level < TLOG_LEVELS; level++) {
        const struct level *l = edge[level];
        if (l == NULL) {
            continue;
        }
        const struct digest *h = file ? l->file : l->low;
        unsigned at = l->tile.width;
        for (unsigned j = 0; j < 8; j++) { /* from the right, smallest subtree first */
            if ((l->tile.width >> j & 1) != 0) {
                at -= 1u << j;
                struct digest left = tlog_root_of(&h[at], (size_t)1 << j);
                *out = any ? tlog_node_hash(&left, out) : left;
                any = true;
            }
        }
    }
    if (!any) {
        *out = tlog_head_empty().root;
    }
}

static int edge_load(struct audit *a, struct level **edge, bool *ok)
{
    for (unsigned level = 0; level < TLOG_LEVELS; level++) {
        unsigned width = edge_width(a->head->size, level);
        if (width == 0) {
            continue;
        }
        edge[level] = mem_new(struct level);
        edge[level]->tile =
            (struct tlog_tile){(int)level, level_count(a->head->size, level) / TLOG_WIDTH, width};
        int r = file_load(a, edge[level]);
        if (r < 0) {
            return r;
        }
        *ok = *ok && edge[level]->fault == 0;
    }
    return 0;
}

static int edge_audit(struct audit *a, struct level **edge)
{
    bool files_ok = true, low_ok = true;
    struct digest root;
    int r = edge_load(a, edge, &files_ok);
    if (r < 0) {
        return r;
    }
    edge_root(edge, true, &root);
    bool trusted = files_ok && digest_eq(&root, &a->head->root);
    for (unsigned level = TLOG_LEVELS; level-- > 0;) { /* in the order of the entries */
        if (edge[level] == NULL) {
            continue;
        }
        r = below_audit(a, edge[level], trusted);
        if (r < 0) {
            return r;
        }
        low_ok = low_ok && edge[level]->low_ok;
    }
    if (!trusted) {
        edge_root(edge, false, &root);
    }
    bool right = low_ok && digest_eq(&root, &a->head->root);
    for (unsigned level = 0; !trusted && level < TLOG_LEVELS; level++) {
        if (edge[level] != NULL) {
            tile_judge(a, edge[level], false, right);
        }
    }
    a->rep->root_ok = right && a->bad_bundles == 0;
    return 0;
}

static int growth_audit(struct audit *a, const struct tlog_head *older)
{
    CLEANUP(tlog_view_close) struct tlog_view *v = NULL;
    struct digest root;
    struct err why = {0};
    if (older == NULL) {
        return 0;
    }
    if (older->size > a->head->size) {
        a->rep->growth = TLOG_REWRITTEN;
        return 0;
    }
    int r = tlog_view_open(a->tiles, a->head, &v, &why);
    if (r == 0) {
        r = tlog_view_root(v, older->size, &root, &why);
    }
    if (r == 0) {
        a->rep->growth = digest_eq(&root, &older->root) ? TLOG_GREW : TLOG_REWRITTEN;
    }
    if (r == ERR_UNAVAIL && a->e != NULL) {
        *a->e = why;
    }
    return r == ERR_UNAVAIL ? r : 0; /* other faults are in the report already */
}

int tlog_audit(const struct tlog_tiles *tiles, const struct tlog_head *head,
               const struct tlog_head *older, const struct tlog_progress *progress,
               struct tlog_report *out, struct err *e)
{
    if (head->size > TLOG_MAX) {
        return err_set(e, ERR_LIMIT, "a log of %llu entries", (unsigned long long)head->size);
    }
    struct tlog_report rep = {0};
    struct audit a = {.tiles = tiles, .head = head, .progress = progress, .rep = &rep, .e = e};
    struct level *edge[TLOG_LEVELS] = {NULL};
    int r = edge_audit(&a, edge);
    for (unsigned i = 0; i < TLOG_LEVELS; i++) {
        free(edge[i]);
    }
    if (r == 0) {
        r = growth_audit(&a, older);
    }
    if (r < 0) {
        tlog_report_clear(&rep);
        return err_wrap(e, r, "audit of the log");
    }
    *out = rep;
    return 0;
}
