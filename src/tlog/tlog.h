/* tlog.h - the append-only log: tiles, checkpoints, proofs (C2SP tlog-tiles, RFC 6962 hashes).
 *
 * One process writes (struct tlog); anybody reads, from a folder or over HTTP (struct tlog_view).
 * Whatever a view hands out was checked up to the root it was opened with. One handle belongs to
 * one thread; functions without a handle may be called by any. Keys are reached by struct sig_by.
 *
 * Order of one batch: tlog_append(), tlog_sync(), have the checkpoint signed, tlog_publish(). */
#pragma once
#include "base/buf.h"
#include "base/digest.h"
#include "base/limits.h"
#include "base/sig.h"

#define TLOG_WIDTH 256u              /* hashes of a full tile, entries of a full bundle */
#define TLOG_LEVELS 8u               /* enough for 2^63 entries */
#define TLOG_MAX ((uint64_t)1 << 62) /* entries, so that no sum overflows */
#define TLOG_HASHES 64u              /* a proof never has more */
#define TLOG_PATH ((size_t)64)       /* the longest tile path and its NUL */

/* ---- hashes (RFC 6962 2.1) ---- */

struct digest tlog_leaf_hash(struct span entry);
struct digest tlog_node_hash(const struct digest *left, const struct digest *right);
struct digest tlog_root_of(const struct digest *leaves, size_t n); /* n == 0: the empty tree */

/* A tree, as far as its size and root name it. */
struct tlog_head {
    uint64_t size;
    struct digest root;
};
struct tlog_head tlog_head_empty(void);

/* The roots of the perfect subtrees of a growing tree: all that a root needs, in 2 kB. A plain
 * value; zeroed it is the empty tree. perfect[i] counts while bit i of `size` is set. */
struct tlog_edge {
    uint64_t size;
    struct digest perfect[64];
};
void tlog_edge_add(struct tlog_edge *edge, const struct digest *leaf);
struct digest tlog_edge_root(const struct tlog_edge *edge);

/* ---- proofs: checking needs no I/O ---- */

struct tlog_hashes {
    size_t n;
    struct digest h[TLOG_HASHES];
};

/* 0, or ERR_TRUST if the proof does not show that `leaf` (a leaf hash) is entry `index`. */
MUST_CHECK int tlog_check_inclusion(const struct digest *leaf, uint64_t index,
                                    const struct tlog_head *head, const struct tlog_hashes *proof,
                                    struct err *e);

/* 0, or ERR_TRUST if the proof does not show that `new` only added entries to `old`. */
MUST_CHECK int tlog_check_consistency(const struct tlog_head *old, const struct tlog_head *new,
                                      const struct tlog_hashes *proof, struct err *e);

/* ---- checkpoints (C2SP tlog-checkpoint): origin = name of the key ---- */

struct tlog_checkpoint {
    char origin[LIMIT_NAME + 1];
    struct tlog_head head;
};

/* The three lines, appended. ERR_FORMAT for an origin that cannot be one (empty, blank, '+',
 * control characters, longer than LIMIT_NAME). */
MUST_CHECK int tlog_checkpoint_text(const struct tlog_checkpoint *c, struct buf *out,
                                    struct err *e);

/* Reads the text of a note. Extension lines are allowed and passed over. *out is kept on failure.
 */
MUST_CHECK int tlog_checkpoint_parse(struct span text, struct tlog_checkpoint *out, struct err *e);

/* Builds, signs and appends the note. For the signer: it alone decides what is signed. */
MUST_CHECK int tlog_checkpoint_sign(const struct tlog_checkpoint *c, const struct sig_by *by,
                                    struct buf *note, struct err *e);

/* Checks the log's signature (key name = origin), then the text: ERR_TRUST if another origin. */
MUST_CHECK int tlog_checkpoint_open(struct span note, const char *origin,
                                    const struct sig_public *key, struct tlog_checkpoint *out,
                                    struct err *e);

/* ---- proof files (c2sp.org/tlog-proof@v1), suffix .tlog-proof ---- */

struct tlog_proof {
    uint64_t index;
    struct tlog_hashes path;
    struct span extra; /* base64 as it stands in the file, not authenticated; p == NULL: none */
    struct span note;  /* the signed checkpoint, verbatim */
};

/* Appends the file. `extra` here is raw bytes (p == NULL: no such line). */
void tlog_proof_write(struct buf *out, uint64_t index, const struct tlog_hashes *path,
                      struct span extra, struct span note);
/* The spans of *out point into `file`. Nothing is trusted yet. */
MUST_CHECK int tlog_proof_parse(struct span file, struct tlog_proof *out, struct err *e);
/* Parses, opens the checkpoint, checks the inclusion of `leaf`. *out (may be NULL) only if all
 * holds. */
MUST_CHECK int tlog_proof_check(struct span file, const struct digest *leaf, const char *origin,
                                const struct sig_public *key, struct tlog_checkpoint *out,
                                struct err *e);

/* ---- files of a log ---- */

#define TLOG_ENTRIES (-1) /* the level of entry bundles */

struct tlog_tile {
    int level; /* 0 to 7, or TLOG_ENTRIES */
    uint64_t n;
    unsigned width; /* 1 to 256; below 256 the path ends in .p/WIDTH */
};

/* "tile/0/x001/x234/067.p/8", without leading slash. */
const char *tlog_tile_path(const struct tlog_tile *tile, char out[static TLOG_PATH]);
/* The reverse, for paths that peers ask for: one tile has one spelling. */
MUST_CHECK int tlog_tile_parse(struct span path, struct tlog_tile *out, struct err *e);

/* Entry `i` of a bundle that holds `width` entries; the span points into it. The whole bundle
 * is checked: exactly `width` or more entries and nothing cut short, else ERR_FORMAT. */
MUST_CHECK int tlog_bundle_entry(struct span bundle, unsigned width, unsigned i, struct span *out,
                                 struct err *e);

/* Where tiles come from. read() appends the file at `path` ("checkpoint" or a tile path) to
 * `out`, whose ceiling is set, or returns ERR_NOTFOUND, ERR_UNAVAIL (try later: stops an audit),
 * or another code (this file cannot be read). */
struct tlog_tiles {
    int (*read)(void *ctx, const char *path, struct buf *out, struct err *e);
    void *ctx;
};

/* Tiles of the folder *dir (an open log/); `dir` must live as long as the result. */
struct tlog_tiles tlog_tiles_dir(const int *dir);

/* Reads and opens the checkpoint; the note's bytes are appended to `note` (may be NULL). */
MUST_CHECK int tlog_checkpoint_read(const struct tlog_tiles *tiles, const char *origin,
                                    const struct sig_public *key, struct buf *note,
                                    struct tlog_checkpoint *out, struct err *e);

/* ---- reading ---- */

struct tlog_view;

/* Opens the tree `head` and checks that the tiles at its right edge give its root: ERR_TRUST if
 * not, ERR_NOTFOUND naming a missing tile. Keeps some tiles in memory, so many proofs are cheap. */
MUST_CHECK int tlog_view_open(const struct tlog_tiles *tiles, const struct tlog_head *head,
                              struct tlog_view **out, struct err *e);
void tlog_view_close(struct tlog_view **v);

/* That entry `index` is in the tree of the first `size` entries; index < size <= the view's. */
MUST_CHECK int tlog_prove_inclusion(struct tlog_view *v, uint64_t index, uint64_t size,
                                    struct tlog_hashes *out, struct err *e);
/* That the tree of `n` entries began as that of `m`; m <= n <= the view's size. */
MUST_CHECK int tlog_prove_consistency(struct tlog_view *v, uint64_t m, uint64_t n,
                                      struct tlog_hashes *out, struct err *e);
/* The root of the first `size` entries. */
MUST_CHECK int tlog_view_root(struct tlog_view *v, uint64_t size, struct digest *out,
                              struct err *e);
MUST_CHECK int tlog_view_leaf(struct tlog_view *v, uint64_t index, struct digest *out,
                              struct err *e);
/* Appends entry `index` to `out`, checked against its leaf hash. */
MUST_CHECK int tlog_entry(struct tlog_view *v, uint64_t index, struct buf *out, struct err *e);

/* ---- writing ---- */

struct tlog;

/* Opens log/ (`dir` is borrowed) to go on after `trusted`: the last signed tree, or an earlier
 * one whose later entries come again. Reads the right edge only. ERR_TRUST or ERR_NOTFOUND as
 * with a view. Files beyond `trusted` may lie there from before a crash: append compares them. */
MUST_CHECK int tlog_open(int dir, const struct tlog_head *trusted, struct tlog **out,
                         struct err *e);
void tlog_close(struct tlog **t);
uint64_t tlog_size(const struct tlog *t);
struct tlog_head tlog_head(const struct tlog *t); /* size and root, appended entries included */
void tlog_edge(const struct tlog *t, struct tlog_edge *out); /* to count on without tiles */

/* Writes bundles and tiles of `n` more entries (each at most LIMIT_ENTRY bytes), with no fsync.
 * All or nothing: after a failure the log is as before and may take the same entries again.
 * A file already there must hold the same bytes; one cut short by a power cut is written anew;
 * any other difference is ERR_TRUST naming it. */
MUST_CHECK int tlog_append(struct tlog *t, const struct span *entries, size_t n, struct err *e);

/* One syncfs(); needless calls cost nothing. A failure stays: close, open, append again. */
MUST_CHECK int tlog_sync(struct tlog *t, struct err *e);

/* Writes `checkpoint` atomically, then removes the partial tiles that full ones replaced. The
 * note must speak of the synced tree (ERR_BUG if not); its signature is the caller's business. */
MUST_CHECK int tlog_publish(struct tlog *t, struct span note, struct err *e);

/* ---- audit: everything read again ---- */

enum tlog_fault_kind {
    TLOG_MISSING = 1, /* no such file */
    TLOG_UNREADABLE,  /* the system or server refused */
    TLOG_LENGTH,      /* shorter or longer than its name says, or cut inside an entry */
    TLOG_DIFFERS,     /* other bytes than the signed root commits to */
    TLOG_DISPUTED,    /* two files contradict and nothing tells which is wrong */
};

struct tlog_fault {
    enum tlog_fault_kind kind;
    struct tlog_tile tile;
    uint64_t first, count; /* the entries that this file holds, or covers, and that are in doubt */
};

enum tlog_growth {
    TLOG_GROWTH_UNKNOWN = 0, /* not asked, or too much is missing to tell */
    TLOG_GREW,               /* the older tree is a prefix */
    TLOG_REWRITTEN,          /* it is not: history was changed */
};

#define TLOG_FAULTS 1000u /* faults kept in a report; all are counted */

struct tlog_report {
    uint64_t entries, files;  /* read and found right / read */
    uint64_t faults;          /* found */
    struct tlog_fault *fault; /* the first TLOG_FAULTS of them, in order of finding */
    bool root_ok;             /* the entries give the checkpoint's root */
    enum tlog_growth growth;
};

/* Told after each bundle how far an audit is. */
struct tlog_progress {
    void (*step)(void *ctx, uint64_t done, uint64_t all);
    void *ctx;
};

/* Reads every bundle and tile of the tree `head`, recomputes all hashes, and says which file is
 * wrong. `older` (may be NULL) is a tree seen before; `progress` may be NULL. 0 even if faults
 * were found: see tlog_report_good(). Negative if it could not finish. */
MUST_CHECK int tlog_audit(const struct tlog_tiles *tiles, const struct tlog_head *head,
                          const struct tlog_head *older, const struct tlog_progress *progress,
                          struct tlog_report *out, struct err *e);
bool tlog_report_good(const struct tlog_report *r); /* no fault, root right, not rewritten */
void tlog_report_clear(struct tlog_report *r);

/* "tile/entries/000 is missing (entries 0 to 255)", appended. */
void tlog_fault_text(const struct tlog_fault *f, struct buf *out);
