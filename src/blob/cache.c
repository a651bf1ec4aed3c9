/* cache.c - open verified: readers over verified memory. */
#include "blob/cache_priv.h"

#include "base/mem.h"

#define DEFAULT_BYTES (UINT64_C(256) << 20)
#define DEFAULT_SMALL (UINT64_C(4) << 20)

struct blob_reader {
    struct blob_cache *c;
    struct want want; /* of the piece that `now` is */
    bool whole;
    struct slab *list; /* a larger blob's chunk hashes, pinned while it is open */
    struct slab *now;  /* what the last view points into */
};

struct blob_cache *blob_cache_new(const struct blobstore *s, const struct blob_cache_opts *o)
{
    struct blob_cache *c = mem_new(struct blob_cache);
    c->store = s;
    c->o = *o;
    c->o.bytes = o->bytes != 0 ? o->bytes : DEFAULT_BYTES;
    c->o.small = o->small != 0 ? o->small : DEFAULT_SMALL;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->loaded, NULL);
    return c;
}

void blob_cache_free(struct blob_cache **cp)
{
    struct blob_cache *c = *cp;
    if (c == NULL) {
        return;
    }
    slab_drop(c, NULL);
    history_free(c);
    pthread_cond_destroy(&c->loaded);
    pthread_mutex_destroy(&c->lock);
    free(c);
    *cp = NULL;
}

void blob_cache_drop(struct blob_cache *c, const struct digest *d)
{
    slab_drop(c, d);
}

struct blob_cache_stats blob_cache_stats(struct blob_cache *c)
{
    pthread_mutex_lock(&c->lock);
    struct blob_cache_stats s = c->stats;
    s.pinned = s.bytes - c->idle;
    pthread_mutex_unlock(&c->lock);
    return s;
}

void blob_close(struct blob_reader **rp)
{
    struct blob_reader *r = *rp;
    if (r == NULL) {
        return;
    }
    slab_put(r->c, &r->now);
    slab_put(r->c, &r->list);
    free(r);
    *rp = NULL;
}

int blob_open(struct blob_cache *c, const struct digest *d, uint64_t size,
              const struct digest *root, struct blob_reader **out, struct err *e)
{
    if (size > BLOB_MAX) {
        return err_set(e, ERR_LIMIT, "a blob of %llu bytes", (unsigned long long)size);
    }
    CLEANUP(blob_close) struct blob_reader *r = mem_new(struct blob_reader);
    r->c = c;
    r->whole = size <= c->o.small;
    r->want = (struct want){.blob = *d, .size = size, .kind = SLAB_WHOLE, .right = *d};
    if (!r->whole) {
        r->want.kind = SLAB_LIST;
        r->want.right = *root;
    }
    int got = slab_get(c, &r->want, r->whole ? &r->now : &r->list, e);
    if (got < 0) {
        return got;
    }
    r->want.kind = r->whole ? SLAB_WHOLE : SLAB_CHUNK;
    *out = r;
    r = NULL;
    return 0;
}

/* Is what the reader holds the piece it needs, and the disk as when that was loaded? */
static bool still_good(struct blob_reader *r, uint64_t index)
{
    return r->now != NULL && r->now->want.index == index && slab_current(r->c, r->now);
}

int blob_read(struct blob_reader *r, uint64_t at, struct span *view, struct err *e)
{
    *view = SPAN_NONE;
    if (at >= r->want.size) {
        return 0;
    }
    uint64_t index = r->whole ? 0 : at / BLOB_CHUNK;
    if (!still_good(r, index)) {
        slab_put(r->c, &r->now);
        r->want.index = index;
        if (!r->whole) {
            memcpy(r->want.right.b, r->list->p + index * sizeof r->want.right,
                   sizeof r->want.right);
        }
        int got = slab_get(r->c, &r->want, &r->now, e);
        if (got < 0) {
            return got;
        }
    }
    size_t skip = (size_t)(at - index * BLOB_CHUNK);
    *view = span_of(r->now->p + skip, r->now->len - skip);
    return 0;
}
