/* slab.c - verified pieces: found, shared, made once, dropped when room is short. */
#include "blob/cache_priv.h"

#include "base/mem.h"

static unsigned bucket_of(const struct want *w)
{
    uint64_t h;
    memcpy(&h, w->blob.b, sizeof h);
    h += (w->index * 4 + (uint64_t)w->kind) * UINT64_C(0x9e3779b97f4a7c15);
    return (unsigned)(h >> 32) % SLAB_BUCKETS;
}

static bool same_piece(const struct want *a, const struct want *b)
{
    return a->kind == b->kind && a->index == b->index && digest_eq(&a->blob, &b->blob);
}

static struct slab *find(struct blob_cache *c, const struct want *w)
{
    struct slab *s = c->buckets[bucket_of(w)];
    while (s != NULL && !same_piece(&s->want, w)) {
        s = s->next;
    }
    return s;
}

static void idle_add(struct blob_cache *c, struct slab *s)
{
    s->older = c->newest;
    s->newer = NULL;
    *(c->newest != NULL ? &c->newest->newer : &c->oldest) = s;
    c->newest = s;
    c->idle += s->cost;
}

static void idle_remove(struct blob_cache *c, struct slab *s)
{
    *(s->newer != NULL ? &s->newer->older : &c->newest) = s->older;
    *(s->older != NULL ? &s->older->newer : &c->oldest) = s->newer;
    c->idle -= s->cost;
}

static void destroy(struct blob_cache *c, struct slab *s)
{
    c->stats.bytes -= s->cost;
    slab_unload(s);
    free(s);
}

/* Nobody finds it any more; it goes with its last reference. */
static void unlist(struct blob_cache *c, struct slab *s)
{
    struct slab **at = &c->buckets[bucket_of(&s->want)];
    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
    s->listed = false;
    if (s->refs == 0) {
        idle_remove(c, s);
        destroy(c, s);
    }
}

static void make_room(struct blob_cache *c)
{
    while (c->stats.bytes > c->o.bytes && c->oldest != NULL) {
        c->stats.evicted++;
        unlist(c, c->oldest);
    }
}

static void unpin(struct blob_cache *c, struct slab *s)
{
    if (--s->refs > 0) {
        return;
    }
    if (!s->listed) {
        destroy(c, s);
        return;
    }
    idle_add(c, s);
    make_room(c);
}

static void pin(struct blob_cache *c, struct slab *s)
{
    if (s->refs++ == 0) {
        idle_remove(c, s);
    }
}

/* A new loading slab, pinned by its maker; its room is taken before its memory is. */
static struct slab *begin(struct blob_cache *c, const struct want *w)
{
    struct slab *s = mem_new(struct slab);
    s->want = *w;
    s->refs = 1;
    s->listed = true;
    s->cost = slab_cost(w);
    struct slab **at = &c->buckets[bucket_of(w)];
    s->next = *at;
    *at = s;
    c->stats.bytes += s->cost;
    make_room(c);
    return s;
}

static int make(struct blob_cache *c, struct slab *s, struct err *e)
{
    int r = slab_load(c, s, &s->err);
    pthread_mutex_lock(&c->lock);
    s->state = r < 0 ? SLAB_FAILED : SLAB_READY;
    if (r < 0 && e != NULL) {
        *e = s->err;
    }
    if (r < 0) {
        if (s->listed) {
            unlist(c, s); /* the next reader tries again */
        }
        unpin(c, s);
    } else {
        c->stats.verified++;
        c->stats.verified_bytes += s->len;
    }
    pthread_cond_broadcast(&c->loaded);
    pthread_mutex_unlock(&c->lock);
    return r;
}

/* Lock held. Waits for whoever is making it: 1 take it, 0 look again, or their error. */
static int join(struct blob_cache *c, struct slab *s, const struct blob_stamp *now, struct err *e)
{
    s->refs++;
    while (s->state == SLAB_LOADING) {
        pthread_cond_wait(&c->loaded, &c->lock);
    }
    int r = s->state == SLAB_FAILED ? s->err.code : blob_stamp_eq(&s->stamp, now);
    if (r < 0 && e != NULL) {
        *e = s->err;
    }
    if (r <= 0) {
        unpin(c, s);
    }
    return r;
}

/* Lock held. 1: *out is pinned and ready. 0 with *out: the caller makes it. 0 without: look again.
 */
static int take(struct blob_cache *c, const struct want *w, const struct blob_stamp *now,
                struct slab **out, struct err *e)
{
    struct slab *s = find(c, w);
    bool right = s != NULL && digest_eq(&s->want.right, &w->right) && s->want.size == w->size;
    int r = 0;
    *out = NULL;
    if (right && s->state == SLAB_LOADING) {
        r = join(c, s, now, e);
    } else if (right && !s->fresh && blob_stamp_eq(&s->stamp, now)) {
        pin(c, s);
        r = 1;
    } else {
        if (s != NULL) {
            unlist(c, s);
        }
        *out = begin(c, w);
        return 0;
    }
    if (r == 1) {
        c->stats.hits++;
        *out = s;
    }
    return r;
}

int slab_get(struct blob_cache *c, const struct want *w, struct slab **out, struct err *e)
{
    for (;;) {
        struct blob_stamp now;
        int r = slab_stat(c, w, &now, e);
        if (r < 0) {
            return r;
        }
        struct slab *s = NULL;
        pthread_mutex_lock(&c->lock);
        r = take(c, w, &now, &s, e);
        pthread_mutex_unlock(&c->lock);
        if (r < 0) {
            return r;
        }
        if (s != NULL) {
            r = r == 1 ? 0 : make(c, s, e);
            *out = r < 0 ? NULL : s;
            return r;
        }
    }
}

void slab_put(struct blob_cache *c, struct slab **sp)
{
    if (*sp != NULL) {
        pthread_mutex_lock(&c->lock);
        unpin(c, *sp);
        pthread_mutex_unlock(&c->lock);
        *sp = NULL;
    }
}

void slab_drop(struct blob_cache *c, const struct digest *blob)
{
    pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < SLAB_BUCKETS; i++) {
        for (struct slab *s = c->buckets[i], *next; s != NULL; s = next) {
            next = s->next;
            if (blob == NULL || digest_eq(&s->want.blob, blob)) {
                unlist(c, s);
            }
        }
    }
    pthread_mutex_unlock(&c->lock);
}
