/* blob.h - the content-addressed store: bytes by their SHA-256.
 *
 * The put side (gate) makes one private copy of a file, seals it, and enters it under its digest
 * once somebody has inspected it. The read side (web) hands out only memory that was hashed after
 * its last possible write. The scrub re-hashes everything on the disk.
 *
 * On disk, below a site: blobs/ab/cdef... (mode 0444) and blobs/ab/cdef....chunks beside it;
 * staging/ for private copies; quarantine/ for refused ones, encrypted.
 *
 * Every call may be made from any thread. A struct blob, a reader, a walk and a scrub belong to one
 * thread at a time. */
#pragma once
#include "base/digest.h"

#define BLOB_CHUNK ((size_t)1 << 20) /* a chunk; the last one of a blob may be shorter */
#define BLOB_MAX (UINT64_C(1) << 40) /* no blob is longer */
#define BLOB_KEY ((size_t)32)        /* of the quarantine */

/* ---- the store ---- */

struct blobstore;

/* Opens the put side below the folder `site`: makes blobs/, staging/ and quarantine/ where they are
 * missing and removes what a crash left in staging. One process at a time (the site's lock). */
MUST_CHECK int blobstore_open(int site, struct blobstore **out, struct err *e);

/* From now on a private copy ends with ERR_UNAVAIL where it would leave less free on the disk; it
 * is looked at on the way, since the length of a stream is not known before. */
void blobstore_keep(struct blobstore *s, uint64_t bytes);

/* Opens blobs/ only, for reading. Put calls on it are ERR_DENIED. */
MUST_CHECK int blobstore_open_read(int site, struct blobstore **out, struct err *e);
void blobstore_close(struct blobstore **s); /* batch entries that were not synced are dropped */

/* Is there a blob of this name (its bytes are not looked at)? *size may be NULL. */
bool blobstore_has(const struct blobstore *s, const struct digest *d, uint64_t *size);

/* ---- put: a private, sealed copy ---- */

/* What tells one state of a file from another without reading it. Times in nanoseconds. */
struct blob_stamp {
    uint64_t dev, ino, size;
    int64_t mtime, ctime;
};

/* A copy under inspection, or a published blob opened again. Zero is not closed: BLOB_NONE is. */
struct blob {
    int fd; /* read-only; when staged, nobody holds a writable descriptor of it */
    uint64_t size;
    struct digests d;         /* d.sha256 is its name */
    struct digest chunk_root; /* goes to the target's published leaf; see blob_chunk_root() */
    struct digest *chunks;    /* SHA-256 of each chunk */
    size_t n_chunks;
    struct blob_stamp stamp; /* of the sealed file: a later write shows against it */
    int dir;                 /* borrowed: the folder of `name` */
    char name[40];           /* in staging, where the file system knows no nameless files */
};
#define BLOB_NONE ((struct blob){.fd = -1, .dir = -1})

void blob_discard(struct blob *b); /* for CLEANUP: closes, and removes a staged copy */

/* Copies the regular file behind `src` from its first byte, hashing as it goes. The file position
 * of `src` is not used. ERR_CONFLICT if the source changed meanwhile (size, mtime, ctime, inode),
 * ERR_LIMIT above `max` or if it is nearly all holes, ERR_FORMAT if it is no regular file.
 * What is in *out is what everybody may scan and what blob_publish() publishes: the same inode. */
MUST_CHECK int blob_stage(struct blobstore *s, int src, uint64_t max, struct blob *out,
                          struct err *e);

/* The same from a pipe or socket until its end. ERR_UNAVAIL if `idle` microseconds pass without a
 * byte (negative: wait for ever). A peer that stops early looks like an end: compare out->size with
 * the length it announced. */
MUST_CHECK int blob_stage_stream(struct blobstore *s, int src, uint64_t max, int64_t idle,
                                 struct blob *out, struct err *e);
MUST_CHECK int blob_stage_span(struct blobstore *s, struct span bytes, struct blob *out,
                               struct err *e);

/* Opens a published blob read-only and hashes it: *out is filled as by blob_stage(), but the file
 * is the one that is served. ERR_TRUST if it is not what its name says. For a scan that must not
 * see a later change, either call blob_unchanged() after it or stage out->fd. */
MUST_CHECK int blob_reopen(struct blobstore *s, const struct digest *d, struct blob *out,
                           struct err *e);

/* ERR_CONFLICT if the file behind b->fd was touched since it was staged, reopened or put into the
 * batch (entering it under its name, in blobstore_sync(), counts as touched). */
MUST_CHECK int blob_unchanged(const struct blob *b, struct err *e);

enum blob_put {
    BLOB_PUT_NEW = 1,  /* was not there */
    BLOB_PUT_KNOWN,    /* the store has the same bytes already (hashed to make sure) */
    BLOB_PUT_REPAIRED, /* what the store had under this name was rotten and is replaced */
};

/* Puts a staged blob into the batch. Checks first that nobody touched it since it was sealed. It is
 * visible in blobs/ after blobstore_sync(), with its .chunks; `b` stays open until blob_discard().
 * *put may be NULL. */
MUST_CHECK int blob_publish(struct blobstore *s, struct blob *b, enum blob_put *put, struct err *e);

/* Makes the batch durable and visible: bytes to the disk, then the names, then the names to the
 * disk (two syncfs for the whole batch, none per file). Call before anything that tells of these
 * blobs is written. After a failed sync every further put is refused until the store is opened
 * again: what a failed sync lost cannot be synced by a second one. */
MUST_CHECK int blobstore_sync(struct blobstore *s, struct err *e);

/* Writes the .chunks of a published blob again from the blob, whose hash is checked; into the batch
 * like blob_publish(). */
MUST_CHECK int blob_rechunk(struct blobstore *s, const struct digest *d, struct err *e);

/* ---- quarantine ---- */

/* Writes a refused blob encrypted to quarantine/HEX.sealed (mode 0400) under a 32-byte key. There
 * already: kept. Durable with the next blobstore_sync(). */
MUST_CHECK int blob_quarantine(struct blobstore *s, const struct blob *b,
                               const uint8_t key[static BLOB_KEY], struct err *e);
/* Decrypts it into a fresh staged blob for a responder; its hash is checked against `d`. */
MUST_CHECK int blob_unquarantine(struct blobstore *s, const struct digest *d,
                                 const uint8_t key[static BLOB_KEY], struct blob *out,
                                 struct err *e);

/* ---- chunk hashes ---- */

size_t blob_chunk_count(uint64_t size);

/* RFC 6962 Merkle tree hash whose leaf inputs are the 32-byte SHA-256 of the chunks in order:
 * leaf SHA-256(0x00 || chunk hash), node SHA-256(0x01 || left || right); SHA-256("") for none. */
struct digest blob_chunk_root(const struct digest *chunks, size_t n);

/* A .chunks file: "CDNCHUNK", then big-endian version u32 = 1, chunk size u32, blob length u64,
 * then root[32] and the chunk hashes. Parsing checks every field and the root; what is accepted is
 * exactly what blob_chunks_write() would write. `hashes` points into `file`. */
struct blob_chunks {
    uint64_t size;
    struct digest root;
    struct span hashes; /* 32 bytes each */
};
struct buf;
MUST_CHECK int blob_chunks_parse(struct span file, struct blob_chunks *out, struct err *e);
void blob_chunks_write(uint64_t size, const struct digest *chunks, struct buf *out);

/* ---- open verified ---- */

enum blob_fault {
    BLOB_FAULT_CHANGED = 1, /* the bytes are not those of the name */
    BLOB_FAULT_LENGTH,      /* shorter or longer than published */
    BLOB_FAULT_MISSING,
    BLOB_FAULT_UNREADABLE, /* permissions, read errors, not a regular file */
    BLOB_FAULT_CHUNKS, /* the .chunks file is missing or wrong; the blob itself was not judged */
};
const char *blob_fault_name(enum blob_fault f); /* "changed", "length", ... */

/* Bytes on the disk that are not what was published. */
struct blob_bad {
    struct digest blob;
    uint64_t first, last; /* offsets of the first and last byte that could not be verified */
    enum blob_fault fault;
    int64_t last_good; /* when these bytes were last verified good; 0: not by this process */
    int64_t seen;      /* now: the first bad moment that is known for sure */
    int64_t changed;   /* ctime of the file, a hint that an intruder can forge; 0 unknown */
    bool repeat;       /* the same fault of the same file was told before */
    const char *text;  /* for a person */
};

struct blob_cache;
struct blob_cache_opts {
    uint64_t bytes; /* ceiling of verified memory; only memory in use goes above it. 0: 256 MiB */
    uint64_t small; /* a blob of up to this length is one sealed copy. 0: 4 MiB */
    void (*on_bad)(void *ctx, const struct blob_bad *bad); /* any thread, no lock held; or NULL */
    void *ctx;
};

/* The store must outlive the cache, the cache its readers. */
struct blob_cache *blob_cache_new(const struct blobstore *s, const struct blob_cache_opts *o);
void blob_cache_free(struct blob_cache **c);

struct blob_reader;

/* Opens a blob for sending. `size` and `root` are what the published leaf says. A small blob is
 * verified here, of a larger one the chunk hashes are (against `root`). ERR_TRUST if the disk does
 * not hold it, ERR_SYS if it cannot be read (on_bad was called), ERR_UNAVAIL if this process is
 * short of descriptors or memory. */
MUST_CHECK int blob_open(struct blob_cache *c, const struct digest *d, uint64_t size,
                         const struct digest *root, struct blob_reader **out, struct err *e);
void blob_close(struct blob_reader **r);

/* The longest verified piece from offset `at` on, at most a chunk for a larger blob; empty at the
 * end. Valid until the next call with this reader. The name on the disk is looked at on every call:
 * memory is used again only while device, inode, size, mtime and ctime are as when it was loaded,
 * else it is read and hashed anew. Errors as blob_open(); the reader may be used again after one.
 */
MUST_CHECK int blob_read(struct blob_reader *r, uint64_t at, struct span *view, struct err *e);

/* When the whole blob was last verified good by this process, or told by blob_cache_good(); 0:
 * never. */
int64_t blob_last_good(struct blob_cache *c, const struct digest *d);
void blob_cache_good(struct blob_cache *c, const struct digest *d, int64_t when); /* by the scrub */
void blob_cache_drop(struct blob_cache *c, const struct digest *d); /* forget its memory */

struct blob_cache_stats {
    uint64_t bytes, pinned;           /* now; pinned is part of bytes */
    uint64_t hits, verified, evicted; /* pieces: used again, hashed, dropped for room */
    uint64_t verified_bytes, faults;
};
struct blob_cache_stats blob_cache_stats(struct blob_cache *c);

/* ---- walking and scrubbing ---- */

/* Every blob in blobs/, in the order of the digests. */
struct blob_walk;
struct blob_walk *blob_walk_new(const struct blobstore *s,
                                const struct digest *after); /* or NULL */
void blob_walk_free(struct blob_walk **w);
MUST_CHECK int blob_walk_next(struct blob_walk *w, struct digest *out, struct err *e); /* 1 or 0 */

enum scrub_result {
    SCRUB_GOOD = 1,
    SCRUB_BAD,        /* changed, or of another length: bad bytes in first..last */
    SCRUB_MISSING,    /* the source names it, the disk has it not */
    SCRUB_UNREADABLE, /* open or read failed */
    SCRUB_CHUNKS,     /* the blob is good, its .chunks is not: blob_rechunk() */
};
struct scrub_report {
    struct digest blob;
    enum scrub_result result;
    uint64_t size, first, last;
    int64_t at;       /* when it was found so */
    const char *text; /* for a person; "" when good */
};

/* What should be there. `next` gives the item after `after` (NULL: the first) and answers 1, 0 at
 * the end, or negative. An item with .bound carries what the leaf says. */
struct scrub_item {
    struct digest blob;
    bool bound; /* size and root below are known */
    uint64_t size;
    struct digest root;
};
struct scrub_opts {
    int (*next)(void *ctx, const struct digest *after, struct scrub_item *out, struct err *e);
    /* NULL: every blob that is on the disk */
    void (*report)(void *ctx, const struct scrub_report *r);
    void *ctx;
};
struct scrub;
/* Starts behind *after (NULL: at the beginning), so that a pass goes on after a restart. */
struct scrub *blob_scrub_new(const struct blobstore *s, const struct scrub_opts *o,
                             const struct digest *after);
void blob_scrub_free(struct scrub **xp);

/* Hashes up to `bytes` more (at least one chunk). 1: there is more; 0: the pass is over, and the
 * next call starts another. A blob that is bad is a report, not an error. */
MUST_CHECK int blob_scrub_step(struct scrub *s, uint64_t bytes, struct err *e);
bool blob_scrub_after(const struct scrub *s, struct digest *after); /* last one done in this pass */
uint64_t blob_scrub_bytes(const struct scrub *x);                   /* hashed in this pass */

/* Microseconds to sleep now so that `total` bytes take about `interval` in all, when `done` of them
 * took `spent`; never above a minute. */
int64_t blob_scrub_pause(uint64_t done, uint64_t total, int64_t spent, int64_t interval);
