/* cache_priv.h - verified memory: pieces, who uses them, and what was good when.
 *
 *   blob_reader --pins--> slab <--looked up by (blob, kind, index)-- blob_cache
 *
 * A slab is made by one thread while others wait for it; once ready it never changes. Its memory is
 * read-only before it is hashed. Ready slabs that nobody pins wait in a list, oldest out first. */
#pragma once
#include "blob/blob_priv.h"

enum slab_kind {
    SLAB_WHOLE, /* a small blob, in a sealed memfd */
    SLAB_CHUNK, /* a chunk of a larger one, in private memory */
    SLAB_LIST,  /* the chunk hashes of a larger one */
};

/* A piece that a reader needs, and what makes it right. */
struct want {
    struct digest blob;
    uint64_t size; /* of the blob */
    enum slab_kind kind;
    uint64_t index;      /* of the chunk */
    struct digest right; /* name of the blob, hash of the chunk, or root of the list */
};

enum slab_state { SLAB_LOADING, SLAB_READY, SLAB_FAILED };

struct slab {
    struct want want;
    enum slab_state state;
    struct blob_stamp stamp; /* of the file, from before it was read */
    bool fresh;              /* so young then that a later write may leave the stamp as it is */
    const uint8_t *p;
    size_t len, cost;
    unsigned refs;
    bool listed; /* can be found; else freed with its last reference */
    struct slab *next, *newer, *older;
    struct err err; /* when failed */
};

struct history; /* per blob: history.c */

#define SLAB_BUCKETS 4096U

struct blob_cache {
    const struct blobstore *store;
    struct blob_cache_opts o;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t loaded;
    struct slab *buckets[SLAB_BUCKETS];
    struct slab *newest, *oldest; /* ready and not pinned */
    uint64_t idle;                /* bytes of those */
    struct blob_cache_stats stats;
    struct history *past[SLAB_BUCKETS];
};

/* slab.c: a pinned, verified slab for `w`, made if need be. */
MUST_CHECK int slab_get(struct blob_cache *c, const struct want *w, struct slab **out,
                        struct err *e);
void slab_put(struct blob_cache *c, struct slab **s);            /* NULL is fine */
void slab_drop(struct blob_cache *c, const struct digest *blob); /* NULL: all */

/* load.c: fills a loading slab; on failure on_bad was called where the disk is to blame. */
MUST_CHECK int slab_load(struct blob_cache *c, struct slab *s, struct err *e);
void slab_unload(struct slab *s);
size_t slab_cost(const struct want *w);
bool slab_current(struct blob_cache *c, const struct slab *s); /* disk as when it was loaded? */
/* The name as it is on the disk now. */
MUST_CHECK int slab_stat(struct blob_cache *c, const struct want *w, struct blob_stamp *out,
                         struct err *e);

/* history.c; all lock by themselves but history_free(). */
void history_good(struct blob_cache *c, const struct want *w, int64_t when);
/* Completes *bad (last_good, repeat) and remembers the fault. */
void history_bad(struct blob_cache *c, const struct want *w, const struct blob_stamp *stamp,
                 struct blob_bad *bad);
void history_free(struct blob_cache *c);
