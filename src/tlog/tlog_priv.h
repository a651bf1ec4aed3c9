/* tlog_priv.h - what the files of this module share. */
#pragma once
#include "tlog/tlog.h"

#define TLOG_BUNDLE_MAX (TLOG_WIDTH * (2 + LIMIT_ENTRY))
#define TLOG_TILE_BYTES (TLOG_WIDTH * sizeof(struct digest))

/* A tile and the perfect subtrees in it: height j begins at 512 - (512 >> j), holds width >> j. */
struct tile_tree {
    unsigned width;
    struct digest node[2 * TLOG_WIDTH - 1];
};
static inline const struct digest *tree_node(const struct tile_tree *t, unsigned height, unsigned i)
{
    return &t->node[512u - (512u >> height) + i];
}
void tree_grow(struct tile_tree *t, unsigned width); /* from the leaves in node[0 .. width) */

/* Hashes at `level` of a tree of `size` entries: the roots of its full tiles one level below. */
static inline uint64_t level_count(uint64_t size, unsigned level)
{
    return level < TLOG_LEVELS ? size >> (8 * level) : 0;
}
static inline unsigned edge_width(uint64_t size, unsigned level)
{
    return (unsigned)(level_count(size, level) % TLOG_WIDTH);
}
/* Width of tile `n` at `level` (entry bundles: level 0) in a tree of `size` entries. */
static inline unsigned width_at(uint64_t size, unsigned level, uint64_t n)
{
    return n < level_count(size, level) / TLOG_WIDTH ? TLOG_WIDTH : edge_width(size, level);
}

/* The spans of a bundle's entries; ERR_FORMAT unless it is whole entries only, 1 to 256. */
MUST_CHECK int bundle_split(struct span bundle, struct span entry[static TLOG_WIDTH],
                            unsigned *count, struct err *e);

/* Reads a hash tile of at least `tile->width`, or the full one where the partial is gone. */
MUST_CHECK int tile_read(const struct tlog_tiles *tiles, const struct tlog_tile *tile,
                         struct digest *out, struct err *e);
/* The same for a bundle: raw bytes in *raw, `tile->width` entries in entry[]. */
MUST_CHECK int bundle_read(const struct tlog_tiles *tiles, const struct tlog_tile *tile,
                           struct buf *raw, struct span entry[static TLOG_WIDTH], struct err *e);

/* One spelling: the 44 characters that a digest has in base64. */
void base64_digest(struct buf *out, const struct digest *d);
MUST_CHECK int base64_digest_parse(struct span text, struct digest *out, struct err *e);

/* The edge tile of a view at `level` (its width is edge_width()). */
const struct digest *view_edge(const struct tlog_view *v, unsigned level);
