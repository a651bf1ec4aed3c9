/* write.c - the one writer of tiles: append, sync, publish.
 *
 * Everything that the next append needs is the right edge: one tile a level, one bundle, and the
 * roots of perfect subtrees. An append works on a copy of it, so a failure changes nothing. */
#include "tlog/tlog_priv.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/note.h"

#define SWEEP                                                                                      \
    256u /* full tiles behind the edge that are looked at for partials left by a crash             \
          */

struct state {
    struct tlog_edge edge;
    struct digest tile[TLOG_LEVELS][TLOG_WIDTH];
    struct buf bundle; /* the entries of the partial bundle */
};

/* A tile that has partial files, to be removed when the full one is published. */
struct partial {
    int level;
    uint64_t n;
};

struct tlog {
    int dir;
    struct state now, next;
    struct tlog_head synced;
    uint64_t published;      /* by this handle */
    int sync_failed;         /* the code of the failed syncfs; never tried again */
    char made[TLOG_PATH];    /* the folder that the last file went to */
    struct partial *partial; /* oldest first */
    size_t partials, room;
};

/* ---- partial tiles ---- */

static void partial_note(struct tlog *t, int level, uint64_t n)
{
    for (size_t i = t->partials; i-- > 0;) {
        if (t->partial[i].level == level && t->partial[i].n == n) {
            return;
        }
    }
    if (t->partials == t->room) {
        t->room = t->room == 0 ? 32 : 2 * t->room;
        t->partial = mem_resize(t->partial, t->room, sizeof *t->partial);
    }
    t->partial[t->partials++] = (struct partial){level, n};
}

/* "tile/0/067.p", where the partial files of a tile live. */
static void partial_folder(const struct partial *p, char out[static TLOG_PATH])
{
    struct tlog_tile tile = {p->level, p->n, 1};
    tlog_tile_path(&tile, out);
    *strrchr(out, '/') = 0;
}

static void partials_find(struct tlog *t)
{
    for (int level = TLOG_ENTRIES; level < (int)TLOG_LEVELS; level++) {
        unsigned of = level == TLOG_ENTRIES ? 0 : (unsigned)level;
        uint64_t edge = level_count(t->now.edge.size, of) / TLOG_WIDTH;
        for (uint64_t n = edge < SWEEP ? 0 : edge - SWEEP; n <= edge; n++) {
            struct partial p = {level, n};
            char folder[TLOG_PATH];
            partial_folder(&p, folder);
            if (file_exists(t->dir, folder)) {
                partial_note(t, level, n);
            }
        }
    }
}

struct folder {
    int dir;
    const char *path;
};

static int unlink_one(void *ctx, const char *name)
{
    const struct folder *f = ctx;
    char path[TLOG_PATH + 64];
    int n = snprintf(path, sizeof path, "%s/%s", f->path, name);
    if (n > 0 && (size_t)n < sizeof path) {
        unlinkat(f->dir, path, 0); /* a file that stays does no harm */
    }
    return 0;
}

static void partials_drop(struct tlog *t, uint64_t size)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->partials; i++) {
        const struct partial p = t->partial[i];
        char folder[TLOG_PATH];
        if (p.n >= level_count(size, p.level < 0 ? 0 : (unsigned)p.level) / TLOG_WIDTH) {
            t->partial[kept++] = p;
            continue;
        }
        partial_folder(&p, folder);
        struct folder f = {t->dir, folder};
        if (file_each(t->dir, folder, unlink_one, &f, NULL) == 0) {
            unlinkat(t->dir, folder, AT_REMOVEDIR);
        }
    }
    t->partials = kept;
    t->made[0] = 0;
}

/* ---- files ---- */

/* True if `got` is `want` as a power cut may leave a file that was not yet synced: cut short, or
 * with blocks of zeros. */
static bool is_torn(struct span got, struct span want)
{
    if (got.len > want.len) {
        return false;
    }
    static const uint8_t zeros[512];
    for (size_t at = 0; at < got.len; at += sizeof zeros) {
        size_t n = got.len - at < sizeof zeros ? got.len - at : sizeof zeros;
        if (memcmp(got.p + at, want.p + at, n) != 0 && memcmp(got.p + at, zeros, n) != 0) {
            return false;
        }
    }
    return true;
}

static int folder_make(struct tlog *t, const char *path, struct err *e)
{
    char folder[TLOG_PATH];
    size_t n = (size_t)(strrchr(path, '/') - path);
    memcpy(folder, path, n);
    folder[n] = 0;
    if (strcmp(folder, t->made) == 0) {
        return 0;
    }
    int r = file_mkdirs(t->dir, folder, 0755, e);
    if (r == 0) {
        memcpy(t->made, folder, n + 1);
    }
    return r;
}

/* 1 if the file is there with these bytes, 0 if it has to be written, negative if it is wrong. */
static int already_there(const struct tlog *t, const char *path, struct span data, struct err *e)
{
    if (!file_exists(t->dir, path)) {
        return 0;
    }
    CLEANUP(buf_clear) struct buf old = BUF(TLOG_BUNDLE_MAX);
    int r = file_read(t->dir, path, TLOG_BUNDLE_MAX, &old, e);
    if (r < 0) {
        return r;
    }
    if (span_eq(buf_view(&old), data)) {
        return 1;
    }
    if (is_torn(buf_view(&old), data)) {
        return 0;
    }
    return err_set(e, ERR_TRUST,
                   "log/%s holds other bytes than the entries give: it was changed after it was "
                   "written; find out by whom, then move it away and start again",
                   path);
}

static int put(struct tlog *t, const struct tlog_tile *tile, struct span data, struct err *e)
{
    char path[TLOG_PATH];
    int r = already_there(t, tlog_tile_path(tile, path), data, e);
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    r = folder_make(t, path, e);
    return r < 0 ? r : file_write_lazy(t->dir, path, data, 0644, e);
}

static int put_tile(struct tlog *t, const struct state *s, unsigned level, uint64_t n,
                    unsigned width, struct err *e)
{
    struct tlog_tile tile = {(int)level, n, width};
    return put(t, &tile, span_of(s->tile[level], width * sizeof s->tile[level][0]), e);
}

static int put_bundle(struct tlog *t, const struct state *s, uint64_t n, unsigned width,
                      struct err *e)
{
    struct tlog_tile tile = {TLOG_ENTRIES, n, width};
    return put(t, &tile, buf_view(&s->bundle), e);
}

/* ---- append ---- */

static void state_copy(struct state *to, const struct state *from)
{
    struct buf keep = to->bundle;
    *to = *from;
    to->bundle = keep;
    buf_reset(&to->bundle);
    buf_span(&to->bundle, buf_view(&from->bundle));
}

/* Puts the hash in its tile and merges perfect subtrees as tlog_edge_add() does. Whenever one of
 * 256^k entries is complete, the tile below is full: written, and its root goes one level up. */
static int state_add(struct tlog *t, struct state *s, const struct digest *leaf, struct err *e)
{
    struct tlog_edge *edge = &s->edge;
    struct digest carry = *leaf;
    unsigned i = 0;
    s->tile[0][edge->size % TLOG_WIDTH] = carry;
    while ((edge->size >> i & 1) != 0) {
        carry = tlog_node_hash(&edge->perfect[i], &carry);
        i++;
        if (i % 8 != 0) {
            continue;
        }
        unsigned level = i / 8;
        int r = put_tile(t, s, level - 1, edge->size >> i, TLOG_WIDTH, e);
        if (r < 0) {
            return r;
        }
        s->tile[level][(edge->size >> i) % TLOG_WIDTH] = carry;
    }
    edge->perfect[i] = carry;
    edge->size++;
    return 0;
}

static int entry_add(struct tlog *t, struct state *s, struct span entry, struct err *e)
{
    struct digest leaf = tlog_leaf_hash(entry);
    uint64_t n = s->edge.size / TLOG_WIDTH;
    buf_be16(&s->bundle, (uint16_t)entry.len);
    buf_span(&s->bundle, entry);
    int r = buf_done(&s->bundle, "entry bundle", e);
    if (r == 0) {
        r = state_add(t, s, &leaf, e);
    }
    if (r == 0 && s->edge.size % TLOG_WIDTH == 0) {
        r = put_bundle(t, s, n, TLOG_WIDTH, e);
        buf_reset(&s->bundle);
    }
    return r;
}

static int partials_put(struct tlog *t, const struct state *s, uint64_t old, struct err *e)
{
    uint64_t size = s->edge.size;
    int r = 0;
    for (unsigned level = 0; r == 0 && level < TLOG_LEVELS; level++) {
        unsigned width = edge_width(size, level);
        uint64_t n = level_count(size, level) / TLOG_WIDTH;
        if (width == 0 || level_count(size, level) == level_count(old, level)) {
            continue;
        }
        r = put_tile(t, s, level, n, width, e);
        partial_note(t, (int)level, n);
        if (r == 0 && level == 0) {
            r = put_bundle(t, s, n, width, e);
            partial_note(t, TLOG_ENTRIES, n);
        }
    }
    return r;
}

int tlog_append(struct tlog *t, const struct span *entries, size_t n, struct err *e)
{
    uint64_t old = t->now.edge.size;
    if (n > TLOG_MAX - old) {
        return err_set(e, ERR_LIMIT, "the log is full");
    }
    for (size_t i = 0; i < n; i++) {
        if (entries[i].len > LIMIT_ENTRY) {
            return err_set(e, ERR_LIMIT, "log entry of %zu bytes, allowed are %zu", entries[i].len,
                           (size_t)LIMIT_ENTRY);
        }
    }
    state_copy(&t->next, &t->now);
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = entry_add(t, &t->next, entries[i], e);
    }
    if (r == 0) {
        r = partials_put(t, &t->next, old, e);
    }
    if (r < 0) {
        t->made[0] = 0;
        return err_wrap(e, r, "append to the log after entry %llu", (unsigned long long)old);
    }
    state_copy(&t->now, &t->next);
    return 0;
}

/* ---- open, sync, publish ---- */

static int bundle_resume(struct tlog *t, const struct tlog_tiles *tiles, struct err *e)
{
    uint64_t size = t->now.edge.size;
    unsigned width = edge_width(size, 0);
    if (width == 0) {
        return 0;
    }
    struct tlog_tile tile = {TLOG_ENTRIES, size / TLOG_WIDTH, width};
    CLEANUP(buf_clear) struct buf raw = BUF(TLOG_BUNDLE_MAX);
    struct span entry[TLOG_WIDTH];
    char path[TLOG_PATH];
    int r = bundle_read(tiles, &tile, &raw, entry, e);
    for (unsigned i = 0; r == 0 && i < width; i++) {
        struct digest leaf = tlog_leaf_hash(entry[i]);
        if (!digest_eq(&leaf, &t->now.tile[0][i])) {
            r = err_set(e, ERR_TRUST, "log/%s was changed: entry %llu is not the one in the tree",
                        tlog_tile_path(&tile, path), (unsigned long long)(tile.n * TLOG_WIDTH + i));
        }
        buf_be16(&t->now.bundle, (uint16_t)entry[i].len);
        buf_span(&t->now.bundle, entry[i]);
    }
    return r;
}

/* Fills tiles and perfect subtrees from a checked view. */
static void edge_resume(struct tlog *t, const struct tlog_view *v, uint64_t size)
{
    for (unsigned level = 0; level < TLOG_LEVELS; level++) {
        unsigned width = edge_width(size, level), at = 0;
        if (width == 0) {
            continue;
        }
        memcpy(t->now.tile[level], view_edge(v, level), width * sizeof t->now.tile[level][0]);
        for (unsigned j = 8; j-- > 0;) {
            if ((width >> j & 1) != 0) {
                t->now.edge.perfect[8 * level + j] =
                    tlog_root_of(&t->now.tile[level][at], (size_t)1 << j);
                at += 1u << j;
            }
        }
    }
    t->now.edge.size = size;
}

int tlog_open(int dir, const struct tlog_head *trusted, struct tlog **out, struct err *e)
{
    CLEANUP(tlog_view_close) struct tlog_view *v = NULL;
    CLEANUP(tlog_close) struct tlog *t = mem_new(struct tlog);
    t->dir = dir;
    t->now.bundle.max = TLOG_BUNDLE_MAX;
    t->next.bundle.max = TLOG_BUNDLE_MAX;
    t->synced = *trusted;
    struct tlog_tiles tiles = tlog_tiles_dir(&t->dir);
    int r = tlog_view_open(&tiles, trusted, &v, e);
    if (r < 0) {
        return r;
    }
    edge_resume(t, v, trusted->size);
    r = bundle_resume(t, &tiles, e);
    if (r < 0) {
        return r;
    }
    partials_find(t);
    *out = t;
    t = NULL;
    return 0;
}

void tlog_close(struct tlog **t)
{
    if (*t == NULL) {
        return;
    }
    buf_clear(&(*t)->now.bundle);
    buf_clear(&(*t)->next.bundle);
    free((*t)->partial);
    free(*t);
    *t = NULL;
}

uint64_t tlog_size(const struct tlog *t)
{
    return t->now.edge.size;
}

struct tlog_head tlog_head(const struct tlog *t)
{
    return (struct tlog_head){t->now.edge.size, tlog_edge_root(&t->now.edge)};
}

void tlog_edge(const struct tlog *t, struct tlog_edge *out)
{
    *out = t->now.edge;
}

int tlog_sync(struct tlog *t, struct err *e)
{
    if (t->sync_failed != 0) {
        return err_set(e, t->sync_failed, "the log could not be made durable before; start again");
    }
    if (t->synced.size == t->now.edge.size) {
        return 0;
    }
    int r = file_sync_fs(t->dir, e);
    if (r < 0) {
        t->sync_failed = r;
        return err_wrap(e, r, "make the log durable");
    }
    t->synced = tlog_head(t);
    return 0;
}

/* That the checkpoint speaks of this log, perhaps as it was a few appends ago. */
static int synced_check(const struct tlog *t, const struct tlog_head *head, struct err *e)
{
    struct digest root = t->synced.root;
    int r = 0;
    if (head->size < t->synced.size) {
        CLEANUP(tlog_view_close) struct tlog_view *v = NULL;
        struct tlog_tiles tiles = tlog_tiles_dir(&t->dir);
        r = tlog_view_open(&tiles, &t->synced, &v, e);
        if (r == 0) {
            r = tlog_view_root(v, head->size, &root, e);
        }
    }
    if (r == 0 && (head->size > t->synced.size || !digest_eq(&root, &head->root))) {
        r = err_set(e, ERR_BUG, "the checkpoint of %llu entries is not of this log, synced to %llu",
                    (unsigned long long)head->size, (unsigned long long)t->synced.size);
    }
    return r;
}

int tlog_publish(struct tlog *t, struct span note, struct err *e)
{
    struct span text, lines;
    struct tlog_checkpoint c = {.head = tlog_head_empty()};
    int r = note_split(note, &text, &lines, e);
    if (r == 0) {
        r = tlog_checkpoint_parse(text, &c, e);
    }
    if (r == 0) {
        r = synced_check(t, &c.head, e);
    }
    if (r == 0 && c.head.size < t->published) {
        r = err_set(e, ERR_BUG, "%llu entries after %llu", (unsigned long long)c.head.size,
                    (unsigned long long)t->published);
    }
    if (r == 0) {
        r = file_write(t->dir, "checkpoint", note, 0644, e);
    }
    if (r < 0) {
        return err_wrap(e, r, "publish the checkpoint");
    }
    t->published = c.head.size;
    partials_drop(t, c.head.size);
    return 0;
}
