/* open.c - the beginning and end of a release, and what all its parts use. */
#include "release/release_priv.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"

int release_open(const struct release_opts *o, struct release **out, struct err *e)
{
    CLEANUP(release_close) struct release *r = mem_new(struct release);
    struct tuf_repaired repaired = {0};
    *r = (struct release){.o = *o, .metadata = -1, .alarmed = js_new()};
    pthread_mutex_init(&r->lock, NULL);
    int bad = file_open_dir(o->site, "metadata", &r->metadata, e);
    bad = bad < 0 ? bad : tuf_repair(r->metadata, &repaired, e);
    bad = bad < 0 ? bad : release_complete(r, e);
    if (bad < 0) {
        return err_wrap(e, bad, "open the release");
    }
    *out = r;
    r = NULL;
    return 0;
}

void release_close(struct release **rp)
{
    struct release *r = *rp;
    *rp = NULL;
    if (r != NULL) {
        fd_close(&r->metadata);
        js_free(&r->alarmed);
        key_sub_clear(&r->o.quarantine);
        pthread_mutex_destroy(&r->lock);
        free(r);
    }
}

/* ---- helpers ---- */

pthread_mutex_t *release_locked(struct release *r)
{
    pthread_mutex_lock(&r->lock);
    return &r->lock;
}

void release_unlock(pthread_mutex_t **lock)
{
    if (*lock != NULL) {
        pthread_mutex_unlock(*lock);
        *lock = NULL;
    }
}

struct db *release_reader(struct release *r, struct err *e)
{
    return r->o.ports.db(r->o.ports.ctx, e);
}

void release_targets_clear(struct release_targets *l)
{
    mem_free(&l->t);
    l->n = l->cap = 0;
}

int release_targets_take(void *list, const struct release_target *t, struct err *e)
{
    (void)e;
    struct release_targets *l = list;
    if (l->n == l->cap) {
        l->cap = l->cap == 0 ? 8 : 2 * l->cap;
        l->t = mem_resize(l->t, l->cap, sizeof *l->t);
    }
    l->t[l->n++] = *t;
    return 0;
}

void release_digests_clear(struct release_digests *l)
{
    mem_free(&l->d);
    l->n = l->cap = 0;
}

void release_digests_add(struct release_digests *l, const struct digest *d)
{
    if (l->n == l->cap) {
        l->cap = l->cap == 0 ? 8 : 2 * l->cap;
        l->d = mem_resize(l->d, l->cap, sizeof *l->d);
    }
    l->d[l->n++] = *d;
}

int release_digests_take(void *list, const struct digest *d, struct err *e)
{
    (void)e;
    release_digests_add(list, d);
    return 0;
}

const char **release_paths(const struct release_targets *l, size_t *n)
{
    const char **paths = mem_array(const char *, l->n + 1);
    *n = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (l->t[i].published) {
            paths[(*n)++] = l->t[i].path;
        }
    }
    return paths;
}

int release_targets_of(struct db *db, const struct digest *d, struct release_targets *l,
                       struct err *e)
{
    return release_of_digest(db, d, release_targets_take, l, e);
}
