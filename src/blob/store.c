/* store.c - opening a store, its folders and its names. */
#include "blob/blob_priv.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"

const char *blob_path(const struct digest *d, const char *suffix, char out[static BLOB_PATH])
{
    char hex[DIGEST_TEXT + 1];
    digest_text(d, hex);
    snprintf(out, BLOB_PATH, "%.2s/%s%.8s", hex, hex + 2, suffix);
    return out;
}

static int64_t nanoseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct blob_stamp blob_stamp_of(const struct stat *st)
{
    return (struct blob_stamp){.dev = st->st_dev,
                               .ino = st->st_ino,
                               .size = (uint64_t)st->st_size,
                               .mtime = nanoseconds(st->st_mtim),
                               .ctime = nanoseconds(st->st_ctim)};
}

bool blob_stamp_eq(const struct blob_stamp *a, const struct blob_stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime == b->mtime &&
           a->ctime == b->ctime;
}

int blob_file(int dir, const char *name, int *fd, struct stat *st, struct err *e)
{
    /* O_NONBLOCK: a FIFO in the place of a file must not stop us */
    CLEANUP(fd_close)
    int f = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (f < 0) {
        return err_sys(e, "open %s", name);
    }
    if (fstat(f, st) < 0) {
        return err_sys(e, "look at %s", name);
    }
    if (!S_ISREG(st->st_mode)) {
        return err_set(e, ERR_FORMAT, "%s is not a regular file", name);
    }
    *fd = f;
    f = -1;
    return 0;
}

int blob_disk_err(struct err *e, int r, const char *what)
{
    if (r == ERR_SYS && e != NULL && (e->sys == ENOSPC || e->sys == EDQUOT)) {
        return err_wrap(e, r, "%s: the disk of the site is full, free some space and repeat", what);
    }
    return err_wrap(e, r, "%s", what);
}

void blobstore_keep(struct blobstore *s, uint64_t bytes)
{
    s->keep = bytes;
}

int blob_may_put(const struct blobstore *s, struct err *e)
{
    if (s->staging < 0) {
        return err_set(e, ERR_DENIED, "the store is open for reading only");
    }
    if (s->broken) {
        return err_set(e, ERR_UNAVAIL,
                       "an earlier sync of the store failed: look at the disk, then start again");
    }
    return 0;
}

bool blobstore_has(const struct blobstore *s, const struct digest *d, uint64_t *size)
{
    char path[BLOB_PATH];
    struct stat st;
    if (fstatat(s->blobs, blob_path(d, "", path), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(st.st_mode)) {
        return false;
    }
    if (size != NULL) {
        *size = (uint64_t)st.st_size;
    }
    return true;
}

int blob_chunks_load(int blobs, const struct digest *d, uint64_t size, const struct digest *root,
                     struct digest **out, struct err *e)
{
    char path[BLOB_PATH];
    CLEANUP(fd_close) int fd = -1;
    struct stat st;
    int r = blob_file(blobs, blob_path(d, ".chunks", path), &fd, &st, e);
    if (r < 0) {
        return r == ERR_FORMAT ? err_set(e, ERR_TRUST, "%s is not a regular file", path) : r;
    }
    size_t want = 56 + blob_chunk_count(size) * sizeof **out;
    if (size > BLOB_MAX || (uint64_t)st.st_size != want) {
        return err_set(e, ERR_TRUST, "%s has %lld bytes, not %zu", path, (long long)st.st_size,
                       want);
    }
    CLEANUP(mem_free) uint8_t *bytes = mem_resize(NULL, want, 1);
    ssize_t n = fd_pread(fd, bytes, want, 0);
    if (n < 0) {
        return err_sys(e, "read %s", path);
    }
    struct blob_chunks c;
    r = blob_chunks_parse(span_of(bytes, (size_t)n), &c, e);
    if (r < 0 || c.size != size || (root != NULL && !digest_eq(&c.root, root))) {
        return err_set(e, ERR_TRUST, "%s is not the chunk list that was published", path);
    }
    *out = mem_resize(NULL, c.hashes.len / sizeof **out + 1, sizeof **out);
    memcpy(*out, c.hashes.p, c.hashes.len);
    return 0;
}

/* ---- opening ---- */

struct sweep {
    int dir;
    const char *prefix, *suffix;
};

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);
    return n >= k && strcmp(name + n - k, end) == 0;
}

static int sweep_one(void *ctx, const char *name)
{
    const struct sweep *s = ctx;
    if (strncmp(name, s->prefix, strlen(s->prefix)) == 0 && ends_with(name, s->suffix)) {
        unlinkat(s->dir, name, 0); /* what cannot be removed only takes room */
    }
    return 0;
}

/* What a crash left behind was never told to anybody. */
static int sweep(struct blobstore *s, struct err *e)
{
    struct sweep of_staging = {s->staging, "put-", ""};
    struct sweep of_batch = {s->batch, "", ""};
    struct sweep of_quarantine = {s->quarantine, "", ".part"};
    int r = file_each(s->staging, ".", sweep_one, &of_staging, e);
    if (r == 0) {
        r = file_each(s->batch, ".", sweep_one, &of_batch, e);
    }
    if (r == 0) {
        r = file_each(s->quarantine, ".", sweep_one, &of_quarantine, e);
    }
    return r;
}

static int make_and_open(int site, const char *path, mode_t mode, int *out, struct err *e)
{
    int r = file_mkdirs(site, path, mode, e);
    return r < 0 ? r : file_open_dir(site, path, out, e);
}

static struct blobstore *store_new(void)
{
    struct blobstore *s = mem_new(struct blobstore);
    s->blobs = s->staging = s->batch = s->quarantine = -1;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

int blobstore_open(int site, struct blobstore **out, struct err *e)
{
    CLEANUP(blobstore_close) struct blobstore *s = store_new();
    int r = make_and_open(site, "blobs", 0755, &s->blobs, e);
    if (r == 0) {
        r = make_and_open(site, "staging", 0700, &s->staging, e);
    }
    if (r == 0) {
        r = make_and_open(site, "staging/batch", 0700, &s->batch, e);
    }
    if (r == 0) {
        r = make_and_open(site, "quarantine", 0700, &s->quarantine, e);
    }
    if (r == 0) {
        r = sweep(s, e);
    }
    if (r < 0) {
        return err_wrap(e, r, "open the blob store");
    }
    struct stat a, b;
    if (fstat(s->blobs, &a) < 0 || fstat(s->batch, &b) < 0) {
        return err_sys(e, "look at the blob store");
    }
    if (a.st_dev != b.st_dev) {
        return err_set(e, ERR_FORMAT,
                       "blobs/ and staging/ are on different file systems, so that a blob cannot "
                       "be moved in one step: put both on one");
    }
    *out = s;
    s = NULL;
    return 0;
}

int blobstore_open_read(int site, struct blobstore **out, struct err *e)
{
    CLEANUP(blobstore_close) struct blobstore *s = store_new();
    int r = file_open_dir(site, "blobs", &s->blobs, e);
    if (r < 0) {
        return err_wrap(e, r, "open the blob store");
    }
    *out = s;
    s = NULL;
    return 0;
}

void blobstore_close(struct blobstore **sp)
{
    struct blobstore *s = *sp;
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->n_pending; i++) {
        char name[DIGEST_TEXT + 16];
        digest_text(&s->pending[i], name);
        unlinkat(s->batch, name, 0);
        memcpy(name + DIGEST_TEXT, ".chunks", sizeof ".chunks");
        unlinkat(s->batch, name, 0);
    }
    fd_close(&s->blobs);
    fd_close(&s->staging);
    fd_close(&s->batch);
    fd_close(&s->quarantine);
    pthread_mutex_destroy(&s->lock);
    free(s->pending);
    free(s);
    *sp = NULL;
}
