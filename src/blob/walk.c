/* walk.c - every blob on the disk, in the order of the digests. */
#include "blob/blob_priv.h"

#include "base/file.h"
#include "base/mem.h"

struct blob_walk {
    const struct blobstore *s;
    unsigned shard;       /* the next folder to list, 0 to 256 */
    struct digest *names; /* of the folder before it */
    size_t n, cap, at;
    bool bounded; /* only what comes behind `after` */
    struct digest after;
};

struct blob_walk *blob_walk_new(const struct blobstore *s, const struct digest *after)
{
    struct blob_walk *w = mem_new(struct blob_walk);
    w->s = s;
    if (after != NULL) {
        w->bounded = true;
        w->after = *after;
        w->shard = after->b[0];
    }
    return w;
}

void blob_walk_free(struct blob_walk **wp)
{
    if (*wp != NULL) {
        free((*wp)->names);
        free(*wp);
        *wp = NULL;
    }
}

/* What has no name of ours is passed over: it cannot be asked for either. */
static int add_name(void *ctx, const char *name)
{
    struct blob_walk *w = ctx;
    char hex[DIGEST_TEXT + 1];
    struct digest d;
    if (strlen(name) != DIGEST_TEXT - 2) {
        return 0;
    }
    snprintf(hex, sizeof hex, "%02x%s", w->shard, name);
    if (digest_parse(span_of(hex, DIGEST_TEXT), &d, NULL) < 0 ||
        (w->bounded && memcmp(d.b, w->after.b, sizeof d.b) <= 0)) {
        return 0;
    }
    if (w->n == w->cap) {
        w->cap = w->cap == 0 ? 256 : 2 * w->cap;
        w->names = mem_resize(w->names, w->cap, sizeof *w->names);
    }
    w->names[w->n++] = d;
    return 0;
}

int blob_walk_next(struct blob_walk *w, struct digest *out, struct err *e)
{
    while (w->at == w->n) {
        if (w->shard == 256) {
            return 0;
        }
        char folder[4];
        w->at = w->n = 0;
        snprintf(folder, sizeof folder, "%02x", w->shard & 255U);
        int r = file_exists(w->s->blobs, folder)
                    ? file_each(w->s->blobs, folder, add_name, w, e) /* sorts */
                    : 0;
        if (r < 0) {
            return err_wrap(e, r, "list blobs/%s", folder);
        }
        w->shard++;
    }
    *out = w->names[w->at++];
    return 1;
}
