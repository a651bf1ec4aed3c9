/* tile.c - tiles and entry bundles: names, bytes, and the folder they are read from. */
#include "tlog/tlog_priv.h"

#include "base/file.h"
#include "base/reader.h"
#include "base/text.h"

/* ---- paths ---- */

const char *tlog_tile_path(const struct tlog_tile *tile, char out[static TLOG_PATH])
{
    unsigned group[8];
    size_t groups = 0;
    uint64_t n = tile->n;
    do {
        group[groups++] = (unsigned)(n % 1000);
        n /= 1000;
    } while (n != 0 && groups < ARRAY_LEN(group));
    int at = tile->level == TLOG_ENTRIES ? snprintf(out, TLOG_PATH, "tile/entries")
                                         : snprintf(out, TLOG_PATH, "tile/%d", tile->level);
    while (groups-- > 0) {
        at += snprintf(out + at, TLOG_PATH - (size_t)at, "/%s%03u", groups > 0 ? "x" : "",
                       group[groups]);
    }
    if (tile->width < TLOG_WIDTH) {
        snprintf(out + at, TLOG_PATH - (size_t)at, ".p/%u", tile->width);
    }
    return out;
}

/* Three digits, with "x" in front while more follow. Only values are read here: whether this is
 * the one spelling is told by writing it again. */
static bool group_read(struct span part, uint64_t *n)
{
    if (part.len > 3 && part.p[0] == 'x') {
        part = span_of(part.p + 1, part.len - 1);
    }
    if (part.len < 3) {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        if (part.p[i] < '0' || part.p[i] > '9') {
            return false;
        }
        *n = *n * 10 + (unsigned)(part.p[i] - '0');
    }
    return true;
}

static bool tile_parts(struct span path, struct tlog_tile *t)
{
    struct span part;
    uint64_t v = 0;
    if (!span_cut(&path, '/', &part) || !span_is(part, "tile") || !span_cut(&path, '/', &part)) {
        return false;
    }
    if (span_is(part, "entries")) {
        t->level = TLOG_ENTRIES;
    } else if (text_u64(part, TLOG_LEVELS - 1, &v, NULL) == 0) {
        t->level = (int)v;
    } else {
        return false;
    }
    bool partial = false;
    for (unsigned i = 0; !partial && span_cut(&path, '/', &part); i++) {
        if (i == 6 || !group_read(part, &t->n)) { /* 6 groups: 2^62 / 256 has 17 digits */
            return false;
        }
        partial = part.len > 2 && memcmp(part.p + part.len - 2, ".p", 2) == 0;
    }
    t->width = TLOG_WIDTH;
    if (partial) {
        if (text_u64(path, TLOG_WIDTH - 1, &v, NULL) < 0 || v == 0) {
            return false;
        }
        t->width = (unsigned)v;
    }
    return true;
}

int tlog_tile_parse(struct span path, struct tlog_tile *out, struct err *e)
{
    struct tlog_tile t = {0};
    char again[TLOG_PATH];
    if (path.len >= TLOG_PATH || !tile_parts(path, &t) ||
        !span_is(path, tlog_tile_path(&t, again))) {
        return err_set(e, ERR_FORMAT, "not the path of a tile");
    }
    *out = t;
    return 0;
}

/* ---- bytes ---- */

void tree_grow(struct tile_tree *t, unsigned width)
{
    t->width = width;
    for (unsigned j = 1; j <= 8; j++) {
        const struct digest *below = &t->node[512u - (512u >> (j - 1))];
        struct digest *here = &t->node[512u - (512u >> j)];
        for (unsigned i = 0; i < width >> j; i++) {
            const struct digest *pair = below + (size_t)2 * i;
            here[i] = tlog_node_hash(&pair[0], &pair[1]);
        }
    }
}

int bundle_split(struct span bundle, struct span entry[static TLOG_WIDTH], unsigned *count,
                 struct err *e)
{
    struct reader in = reader_of(bundle);
    unsigned n = 0;
    while (reader_left(&in) > 0) {
        if (n == TLOG_WIDTH) {
            return err_set(e, ERR_FORMAT, "entry bundle: more than %u entries", TLOG_WIDTH);
        }
        size_t len = reader_be16(&in);
        entry[n] = reader_take(&in, len);
        int r = reader_done(&in, "entry bundle", e);
        if (r < 0) {
            return r;
        }
        n++;
    }
    if (n == 0) {
        return err_set(e, ERR_FORMAT, "entry bundle: empty");
    }
    *count = n;
    return 0;
}

int tlog_bundle_entry(struct span bundle, unsigned width, unsigned i, struct span *out,
                      struct err *e)
{
    struct span entry[TLOG_WIDTH];
    unsigned n = 0;
    int r = bundle_split(bundle, entry, &n, e);
    if (r < 0) {
        return r;
    }
    if (n < width || i >= n) {
        return err_set(e, ERR_FORMAT, "entry bundle: %u entries, not %u", n, width);
    }
    *out = entry[i];
    return 0;
}

/* ---- reading, with the full tile where a partial one was replaced ---- */

static int read_either(const struct tlog_tiles *tiles, const struct tlog_tile *tile,
                       struct buf *out, unsigned *width, struct err *e)
{
    char path[TLOG_PATH];
    struct err full;
    int r = tiles->read(tiles->ctx, tlog_tile_path(tile, path), out, e);
    *width = tile->width;
    if (r != ERR_NOTFOUND || tile->width == TLOG_WIDTH) {
        return r;
    }
    struct tlog_tile whole = {tile->level, tile->n, TLOG_WIDTH};
    buf_reset(out);
    *width = TLOG_WIDTH;
    r = tiles->read(tiles->ctx, tlog_tile_path(&whole, path), out, &full);
    if (r < 0 && r != ERR_NOTFOUND && e != NULL) {
        *e = full; /* else *e names the partial tile, the one that should be there */
    }
    return r;
}

int tile_read(const struct tlog_tiles *tiles, const struct tlog_tile *tile, struct digest *out,
              struct err *e)
{
    CLEANUP(buf_clear) struct buf raw = BUF(TLOG_TILE_BYTES);
    unsigned width;
    int r = read_either(tiles, tile, &raw, &width, e);
    if (r < 0) {
        return r;
    }
    if (raw.len != width * sizeof *out) {
        char path[TLOG_PATH];
        return err_set(e, ERR_FORMAT, "%s holds %zu bytes, not %zu", tlog_tile_path(tile, path),
                       raw.len, width * sizeof *out);
    }
    memcpy(out, raw.p, tile->width * sizeof *out);
    return 0;
}

int bundle_read(const struct tlog_tiles *tiles, const struct tlog_tile *tile, struct buf *raw,
                struct span entry[static TLOG_WIDTH], struct err *e)
{
    unsigned width, n = 0;
    char path[TLOG_PATH];
    int r = read_either(tiles, tile, raw, &width, e);
    if (r < 0) {
        return r;
    }
    r = bundle_split(buf_view(raw), entry, &n, e);
    if (r < 0) {
        return err_wrap(e, r, "%s", tlog_tile_path(tile, path));
    }
    if (n != width) {
        return err_set(e, ERR_FORMAT, "%s holds %u entries, not %u", tlog_tile_path(tile, path), n,
                       width);
    }
    return 0;
}

static int dir_read(void *ctx, const char *path, struct buf *out, struct err *e)
{
    const int *dir = ctx;
    struct err why = {0};
    int r = file_read(*dir, path, out->max, out, &why);
    if (r == ERR_NOTFOUND || (r == ERR_SYS && (why.sys == ENOENT || why.sys == ENOTDIR))) {
        return err_set(e, ERR_NOTFOUND, "%s is missing", path);
    }
    if (r < 0 && e != NULL) {
        *e = why;
    }
    return r;
}

struct tlog_tiles tlog_tiles_dir(const int *dir)
{
    union { /* the interface's ctx is not const, what we do with it is */
        const int *in;
        void *out;
    } ctx = {.in = dir};
    return (struct tlog_tiles){dir_read, ctx.out};
}
