/* scrub.c - everything on the disk hashed again, in small steps.
 *
 * What it looks at is read past the page cache as far as the kernel lets us: clean cached pages are
 * dropped first, so that what comes back is what the disk holds. */
#include "blob/blob_priv.h"

#include <fcntl.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

struct scrub {
    const struct blobstore *s;
    struct scrub_opts o;
    struct blob_walk *walk; /* when the source is the disk */
    bool begun, has_after;
    struct digest after;
    uint64_t bytes;
    uint8_t *piece;
    /* the blob in hand; fd is -1 between blobs */
    struct scrub_item item;
    int fd;
    uint64_t at;
    struct hasher whole;
    struct digest *listed; /* its .chunks, NULL when that is no good */
    size_t n_listed;
    struct digest *found; /* hashes of the chunks read so far */
    size_t n_found, cap_found;
    bool any_bad;
    uint64_t first, last;
};

struct scrub *blob_scrub_new(const struct blobstore *s, const struct scrub_opts *o,
                             const struct digest *after)
{
    struct scrub *x = mem_new(struct scrub);
    x->s = s;
    x->o = *o;
    x->fd = -1;
    x->piece = mem_resize(NULL, BLOB_CHUNK, 1);
    if (after != NULL) {
        x->has_after = true;
        x->after = *after;
    }
    return x;
}

static void put_down(struct scrub *x)
{
    fd_close(&x->fd);
    hasher_clear(&x->whole);
    mem_free(&x->listed);
    x->n_listed = x->n_found = 0;
    x->any_bad = false;
}

void blob_scrub_free(struct scrub **xp)
{
    struct scrub *x = *xp;
    if (x == NULL) {
        return;
    }
    put_down(x);
    blob_walk_free(&x->walk);
    free(x->found);
    free(x->piece);
    free(x);
    *xp = NULL;
}

bool blob_scrub_after(const struct scrub *x, struct digest *after)
{
    if (x->has_after) {
        *after = x->after;
    }
    return x->has_after;
}

uint64_t blob_scrub_bytes(const struct scrub *x)
{
    return x->bytes;
}

/* ---- one blob ---- */

static void done(struct scrub *x, enum scrub_result result, const char *text)
{
    struct scrub_report r = {.blob = x->item.blob,
                             .result = result,
                             .size = x->item.size,
                             .first = x->any_bad ? x->first : 0,
                             .last = x->any_bad         ? x->last
                                     : x->item.size > 0 ? x->item.size - 1
                                                        : 0,
                             .at = clock_now(),
                             .text = text};
    x->after = x->item.blob;
    x->has_after = true;
    put_down(x);
    x->o.report(x->o.ctx, &r);
}

static void bad_range(struct scrub *x, uint64_t first, uint64_t last)
{
    x->first = x->any_bad ? x->first : first;
    x->last = last;
    x->any_bad = true;
}

/* Opens the next blob, or reports at once why it cannot. */
static void pick_up(struct scrub *x)
{
    char path[BLOB_PATH];
    struct stat st;
    struct err why = {0};
    int r = blob_file(x->s->blobs, blob_path(&x->item.blob, "", path), &x->fd, &st, &why);
    if (r < 0) {
        bool missing = r == ERR_SYS && why.sys == ENOENT;
        done(x, missing ? SCRUB_MISSING : SCRUB_UNREADABLE, why.text);
        return;
    }
    uint64_t size = (uint64_t)st.st_size;
    if (x->item.bound && size != x->item.size) {
        uint64_t few = size < x->item.size ? size : x->item.size;
        bad_range(x, few, (size < x->item.size ? x->item.size : size) - 1);
        err_set(&why, ERR_TRUST, "%s has %llu bytes, published were %llu", path,
                (unsigned long long)size, (unsigned long long)x->item.size);
        done(x, SCRUB_BAD, why.text);
        return;
    }
    x->item.size = size;
    x->at = 0;
    hasher_init(&x->whole);
    if (blob_chunks_load(x->s->blobs, &x->item.blob, size, x->item.bound ? &x->item.root : NULL,
                         &x->listed, NULL) == 0) {
        x->n_listed = blob_chunk_count(size);
    }
    (void)posix_fadvise(x->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void keep_hash(struct scrub *x, struct digest d)
{
    if (x->n_found == x->cap_found) {
        x->cap_found = x->cap_found == 0 ? 16 : 2 * x->cap_found;
        x->found = mem_resize(x->found, x->cap_found, sizeof *x->found);
    }
    x->found[x->n_found++] = d;
}

static void judge(struct scrub *x)
{
    char path[BLOB_PATH];
    struct err why;
    struct digest is = hasher_end(&x->whole);
    blob_path(&x->item.blob, "", path);
    if (!digest_eq(&is, &x->item.blob)) {
        err_set(&why, ERR_TRUST, "%s does not hold the bytes of its name", path);
        done(x, SCRUB_BAD, why.text);
        return;
    }
    size_t n = x->n_found;
    bool same = x->listed != NULL && x->n_listed == n &&
                (n == 0 || memcmp(x->listed, x->found, n * sizeof *x->found) == 0);
    if (!same) {
        err_set(&why, ERR_TRUST, "%s.chunks is missing or wrong, the blob is good", path);
        x->any_bad = false;
        done(x, SCRUB_CHUNKS, why.text);
        return;
    }
    done(x, SCRUB_GOOD, "");
}

/* One chunk of the blob in hand. */
static void read_on(struct scrub *x)
{
    uint64_t left = x->item.size - x->at;
    size_t want = left < BLOB_CHUNK ? (size_t)left : BLOB_CHUNK;
    struct err why;
    ssize_t n = want == 0 ? 0 : fd_pread(x->fd, x->piece, want, x->at);
    if (n < 0 || (size_t)n != want) {
        bad_range(x, x->at, x->item.size - 1);
        if (n < 0) {
            err_sys(&why, "read from byte %llu on", (unsigned long long)x->at);
        } else {
            err_set(&why, ERR_TRUST, "it became shorter while it was read");
        }
        done(x, n < 0 ? SCRUB_UNREADABLE : SCRUB_BAD, why.text);
        return;
    }
    if (want > 0) {
        struct span s = span_of(x->piece, want);
        struct digest d = digest_of(s);
        hasher_add(&x->whole, s);
        if (x->n_found < x->n_listed && !digest_eq(&d, &x->listed[x->n_found])) {
            bad_range(x, x->at, x->at + want - 1);
        }
        keep_hash(x, d);
        x->at += want;
        x->bytes += want;
    }
    if (x->at == x->item.size) {
        judge(x);
    }
}

/* ---- the pass ---- */

/* 1: x->item is the next blob. 0: the pass is over. */
static int next_item(struct scrub *x, struct err *e)
{
    const struct digest *after = x->has_after ? &x->after : NULL;
    x->item = (struct scrub_item){.bound = false};
    if (x->o.next != NULL) {
        return x->o.next(x->o.ctx, after, &x->item, e);
    }
    if (x->walk == NULL) {
        x->walk = blob_walk_new(x->s, after);
    }
    return blob_walk_next(x->walk, &x->item.blob, e);
}

int blob_scrub_step(struct scrub *x, uint64_t bytes, struct err *e)
{
    if (!x->begun) {
        x->bytes = 0;
        x->begun = true;
    }
    uint64_t end = x->bytes + bytes;
    unsigned blobs = 0; /* small and missing ones cost time too */
    do {
        if (x->fd < 0) {
            int r = next_item(x, e);
            if (r < 0) {
                return err_wrap(e, r, "scrub");
            }
            if (r == 0) {
                blob_walk_free(&x->walk);
                x->has_after = x->begun = false;
                return 0;
            }
            pick_up(x);
            blobs++;
        }
        if (x->fd >= 0) {
            read_on(x);
        }
    } while (x->bytes < end && blobs < 100);
    return 1;
}

int64_t blob_scrub_pause(uint64_t done_bytes, uint64_t total, int64_t spent, int64_t interval)
{
    if (total == 0 || done_bytes >= total) {
        return 0;
    }
    double due = (double)interval * ((double)done_bytes / (double)total) - (double)spent;
    const double most = 60.0 * (double)CLOCK_SECOND;
    return due <= 0 ? 0 : (int64_t)(due < most ? due : most);
}
