/* publish.c - the way from staging into blobs/: by batch, whole, never over a good one. */
#include "blob/blob_priv.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"

#define BATCH_NAME (DIGEST_TEXT + 16)

static const char *batch_name(const struct digest *d, const char *suffix,
                              char out[static BATCH_NAME])
{
    char hex[DIGEST_TEXT + 1];
    snprintf(out, BATCH_NAME, "%s%.8s", digest_text(d, hex), suffix);
    return out;
}

enum found { FOUND_NONE, FOUND_GOOD, FOUND_ROTTEN };

/* What does blobs/ hold under this name? Errors that say nothing about it (no descriptors left)
 * are errors; a file that cannot be read, or that somebody writes to, is as good as rotten. */
static int look_for_blob(struct blobstore *s, const struct digest *d, struct err *e)
{
    struct err why = {0};
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    int r = blob_reopen(s, d, &b, &why);
    if (r == 0) {
        return FOUND_GOOD;
    }
    if (r == ERR_NOTFOUND) {
        return FOUND_NONE;
    }
    bool ours = r == ERR_SYS && (why.sys == EMFILE || why.sys == ENFILE || why.sys == ENOMEM);
    if (ours || r == ERR_NOMEM) {
        if (e != NULL) {
            *e = why;
        }
        return r;
    }
    return FOUND_ROTTEN;
}

static bool chunks_good(struct blobstore *s, const struct blob *b)
{
    CLEANUP(mem_free) struct digest *have = NULL;
    return blob_chunks_load(s->blobs, &b->d.sha256, b->size, &b->chunk_root, &have, NULL) == 0;
}

static int write_chunks(struct blobstore *s, const struct blob *b, struct err *e)
{
    char name[BATCH_NAME];
    CLEANUP(buf_clear) struct buf out = BUF(64 + b->n_chunks * sizeof *b->chunks);
    blob_chunks_write(b->size, b->chunks, &out);
    int r = buf_done(&out, "chunk list", e);
    if (r < 0) {
        return r;
    }
    batch_name(&b->d.sha256, ".chunks", name);
    CLEANUP(fd_close)
    int fd = openat(s->batch, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return err_sys(e, "make %s", name);
    }
    r = fd_write(fd, buf_view(&out), e);
    if (r == 0 && fchmod(fd, 0444) < 0) {
        r = err_sys(e, "set the mode of %s", name);
    }
    if (r < 0) {
        unlinkat(s->batch, name, 0);
    }
    return r;
}

/* Gives the sealed inode a name in the batch. */
static int link_blob(struct blobstore *s, struct blob *b, struct err *e)
{
    char name[BATCH_NAME], path[40];
    batch_name(&b->d.sha256, "", name);
    snprintf(path, sizeof path, "/proc/self/fd/%d", b->fd);
    int r = b->name[0] != 0 ? linkat(b->dir, b->name, s->batch, name, 0)
                            : linkat(AT_FDCWD, path, s->batch, name, AT_SYMLINK_FOLLOW);
    if (r < 0) {
        return err_sys(e, "enter blob %s", name);
    }
    struct stat st;
    if (fstat(b->fd, &st) == 0) {
        b->stamp = blob_stamp_of(&st); /* the link itself set a new ctime */
    }
    return 0;
}

static bool in_batch(const struct blobstore *s, const struct digest *d, const char *suffix)
{
    char name[BATCH_NAME];
    return file_exists(s->batch, batch_name(d, suffix, name));
}

static void note_pending(struct blobstore *s, const struct digest *d)
{
    if (s->n_pending == s->cap_pending) {
        s->cap_pending = s->cap_pending == 0 ? 64 : 2 * s->cap_pending;
        s->pending = mem_resize(s->pending, s->cap_pending, sizeof *s->pending);
    }
    s->pending[s->n_pending++] = *d;
}

/* Lock held. */
static int put_locked(struct blobstore *s, struct blob *b, bool with_blob, bool with_chunks,
                      struct err *e)
{
    int r = blob_may_put(s, e);
    if (r < 0) {
        return r;
    }
    const struct digest *d = &b->d.sha256;
    bool had = in_batch(s, d, "") || in_batch(s, d, ".chunks");
    if (with_chunks && !in_batch(s, d, ".chunks")) {
        r = write_chunks(s, b, e);
    }
    if (r == 0 && with_blob && !in_batch(s, d, "")) {
        r = link_blob(s, b, e);
    }
    if (r < 0) {
        return blob_disk_err(e, r, "publish a blob"); /* a lone .chunks is swept or used later */
    }
    if (!had) {
        note_pending(s, d);
    }
    return 0;
}

int blob_publish(struct blobstore *s, struct blob *b, enum blob_put *put, struct err *e)
{
    int r = blob_unchanged(b, e);
    if (r < 0) {
        return r;
    }
    int found = look_for_blob(s, &b->d.sha256, e);
    if (found < 0) {
        return err_wrap(e, found, "look whether the blob is there already");
    }
    bool chunks = found == FOUND_NONE || !chunks_good(s, b);
    pthread_mutex_lock(&s->lock);
    bool twice = s->batch >= 0 && in_batch(s, &b->d.sha256, "");
    r = put_locked(s, b, found != FOUND_GOOD, chunks, e);
    pthread_mutex_unlock(&s->lock);
    if (r == 0 && put != NULL) {
        *put = found == FOUND_GOOD || twice ? BLOB_PUT_KNOWN
               : found == FOUND_ROTTEN      ? BLOB_PUT_REPAIRED
                                            : BLOB_PUT_NEW;
    }
    return r;
}

int blob_rechunk(struct blobstore *s, const struct digest *d, struct err *e)
{
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    int r = blob_reopen(s, d, &b, e);
    if (r < 0) {
        return err_wrap(e, r, "make the chunk list anew");
    }
    pthread_mutex_lock(&s->lock);
    r = put_locked(s, &b, false, true, e);
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* ---- the batch becomes visible ---- */

static int sync_all(struct blobstore *s, struct err *e)
{
    int r = file_sync_fs(s->blobs, e);
    if (r < 0) {
        s->broken = true;
        return err_wrap(e, r, "sync the blob store");
    }
    return 0;
}

static int rename_in(struct blobstore *s, const char *from, const char *to, bool over)
{
    if (over) {
        return renameat(s->batch, from, s->blobs, to);
    }
    int r = renameat2(s->batch, from, s->blobs, to, RENAME_NOREPLACE);
    if (r == 0 || errno != EINVAL) {
        return r;
    }
    /* a file system that cannot refuse to replace: a link always does */
    return linkat(s->batch, from, s->blobs, to, 0) < 0 ? -1 : unlinkat(s->batch, from, 0);
}

static int move_in(struct blobstore *s, const struct digest *d, const char *suffix, bool over,
                   struct err *e)
{
    char from[BATCH_NAME], to[BLOB_PATH];
    batch_name(d, suffix, from);
    blob_path(d, suffix, to);
    if (rename_in(s, from, to, over) == 0) {
        return 0;
    }
    if (errno == ENOENT && file_exists(s->batch, from)) {
        const char shard[3] = {to[0], to[1], 0};
        if (mkdirat(s->blobs, shard, 0755) < 0 && errno != EEXIST) {
            return err_sys(e, "make the folder blobs/%s", shard);
        }
        if (rename_in(s, from, to, over) == 0) {
            return 0;
        }
    }
    return errno == EEXIST ? 1 : err_sys(e, "enter blob %s", to);
}

/* The list first: a blob that is there has its list. */
static int enter(struct blobstore *s, const struct digest *d, struct err *e)
{
    if (in_batch(s, d, ".chunks")) {
        int r = move_in(s, d, ".chunks", true, e);
        if (r < 0) {
            return r;
        }
    }
    if (!in_batch(s, d, "")) {
        return 0;
    }
    int r = move_in(s, d, "", false, e);
    if (r <= 0) {
        return r;
    }
    int found = look_for_blob(s, d, e); /* the name is taken: by the same bytes, or by rot */
    if (found < 0) {
        return found;
    }
    if (found == FOUND_GOOD) {
        char name[BATCH_NAME];
        unlinkat(s->batch, batch_name(d, "", name), 0);
        return 0;
    }
    return move_in(s, d, "", true, e);
}

static int enter_all(struct blobstore *s, struct err *e)
{
    while (s->n_pending > 0) {
        int r = enter(s, &s->pending[s->n_pending - 1], e);
        if (r < 0) {
            return blob_disk_err(e, r, "publish the batch");
        }
        s->n_pending--;
    }
    return 0;
}

int blobstore_sync(struct blobstore *s, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    int r = blob_may_put(s, e);
    bool any = s->n_pending > 0;
    if (r == 0) {
        r = sync_all(s, e);
    }
    if (r == 0 && any) {
        r = enter_all(s, e);
    }
    if (r == 0 && any) {
        r = sync_all(s, e);
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}
