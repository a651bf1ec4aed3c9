/* history.c - when which bytes were last verified good, and which fault was told already. */
#include "blob/cache_priv.h"

#include "base/mem.h"

struct history {
    struct digest blob;
    int64_t whole;   /* all of it */
    int64_t list;    /* its chunk list */
    int64_t latest;  /* any part */
    int64_t *chunks; /* each chunk, once one was verified */
    size_t n_chunks;
    enum blob_fault fault; /* told last; 0: none since it was good */
    uint64_t first;
    struct blob_stamp stamp;
    struct history *next;
};

/* Lock held. */
static struct history *past_of(struct blob_cache *c, const struct digest *d, bool make)
{
    uint32_t h;
    memcpy(&h, d->b, sizeof h);
    struct history **at = &c->past[h % SLAB_BUCKETS];
    while (*at != NULL && !digest_eq(&(*at)->blob, d)) {
        at = &(*at)->next;
    }
    if (*at == NULL && make) {
        *at = mem_new(struct history);
        (*at)->blob = *d;
    }
    return *at;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t whole_of(const struct history *h)
{
    int64_t least = h->n_chunks > 0 ? INT64_MAX : 0;
    for (size_t i = 0; i < h->n_chunks; i++) {
        least = h->chunks[i] < least ? h->chunks[i] : least;
    }
    return later(h->whole, least);
}

void history_good(struct blob_cache *c, const struct want *w, int64_t when)
{
    pthread_mutex_lock(&c->lock);
    struct history *h = past_of(c, &w->blob, true);
    size_t n = blob_chunk_count(w->size);
    switch (w->kind) {
    case SLAB_WHOLE:
        h->whole = later(h->whole, when);
        h->fault = 0;
        break;
    case SLAB_LIST:
        h->list = later(h->list, when);
        break;
    case SLAB_CHUNK:
        if (h->chunks == NULL) {
            h->chunks = mem_array(int64_t, n);
            h->n_chunks = n;
        }
        if (w->index < h->n_chunks) {
            h->chunks[w->index] = later(h->chunks[w->index], when);
        }
        break;
    }
    if (w->kind != SLAB_LIST) {
        h->latest = later(h->latest, when);
    }
    pthread_mutex_unlock(&c->lock);
}

/* A wrong byte in a chunk says nothing of the other chunks; a wrong length or a missing file was
 * not so when any part of it was read. */
static int64_t last_good_for(const struct history *h, const struct want *w, enum blob_fault f)
{
    if (f == BLOB_FAULT_CHUNKS) {
        return later(h->list, h->whole);
    }
    if (f != BLOB_FAULT_CHANGED) {
        return later(h->latest, h->whole);
    }
    bool known = w->kind == SLAB_CHUNK && w->index < h->n_chunks;
    return known ? later(h->whole, h->chunks[w->index]) : h->whole;
}

void history_bad(struct blob_cache *c, const struct want *w, const struct blob_stamp *stamp,
                 struct blob_bad *bad)
{
    struct blob_stamp none = {0};
    stamp = stamp != NULL ? stamp : &none;
    pthread_mutex_lock(&c->lock);
    struct history *h = past_of(c, &w->blob, true);
    bad->last_good = last_good_for(h, w, bad->fault);
    bad->repeat =
        h->fault == bad->fault && h->first == bad->first && blob_stamp_eq(&h->stamp, stamp);
    h->fault = bad->fault;
    h->first = bad->first;
    h->stamp = *stamp;
    c->stats.faults++;
    pthread_mutex_unlock(&c->lock);
}

int64_t blob_last_good(struct blob_cache *c, const struct digest *d)
{
    pthread_mutex_lock(&c->lock);
    const struct history *h = past_of(c, d, false);
    int64_t t = h != NULL ? whole_of(h) : 0;
    pthread_mutex_unlock(&c->lock);
    return t;
}

void blob_cache_good(struct blob_cache *c, const struct digest *d, int64_t when)
{
    pthread_mutex_lock(&c->lock);
    struct history *h = past_of(c, d, true);
    h->whole = later(h->whole, when);
    pthread_mutex_unlock(&c->lock);
}

void history_free(struct blob_cache *c)
{
    for (unsigned i = 0; i < SLAB_BUCKETS; i++) {
        for (struct history *h = c->past[i], *next; h != NULL; h = next) {
            next = h->next;
            free(h->chunks);
            free(h);
        }
    }
}
