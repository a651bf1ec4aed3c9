/* stage.c - one private copy of a file, hashed on the way and sealed. */
#include "blob/blob_priv.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/random.h"

#define LOOK (8 * BLOB_CHUNK)

/* Where bytes come from. fill() reads n bytes, fewer only at the end. */
struct source {
    ssize_t (*fill)(struct source *src, uint8_t *p, size_t n, struct err *e);
    int fd;
    uint64_t at;
    int64_t idle;
    struct span left;
    uint64_t keep; /* bytes to leave free where the copy goes; 0: do not look */
};

static ssize_t fill_file(struct source *src, uint8_t *p, size_t n, struct err *e)
{
    ssize_t got = fd_pread(src->fd, p, n, src->at);
    if (got < 0) {
        return err_sys(e, "read the source");
    }
    src->at += (uint64_t)got;
    return got;
}

static ssize_t fill_span(struct source *src, uint8_t *p, size_t n, struct err *e)
{
    (void)e;
    n = n < src->left.len ? n : src->left.len;
    if (n > 0) {
        memcpy(p, src->left.p, n);
        src->left = span_of(src->left.p + n, src->left.len - n);
    }
    return (ssize_t)n;
}

/* Waits for a byte. The deadline is on the boot clock: a signal must not prolong it. */
static int wait_for_byte(const struct source *src, struct err *e)
{
    int64_t until = src->idle < 0 ? INT64_MAX : clock_boot() + src->idle;
    for (;;) {
        int64_t left = src->idle < 0 ? CLOCK_SECOND : until - clock_boot();
        if (left < 0) {
            return err_set(e, ERR_UNAVAIL, "the sender was silent for %lld s",
                           (long long)(src->idle / CLOCK_SECOND));
        }
        left = left > CLOCK_SECOND ? CLOCK_SECOND : left;
        struct pollfd p = {.fd = src->fd, .events = POLLIN};
        int n = poll(&p, 1, (int)(left / 1000 + 1));
        if (n > 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR) {
            return err_sys(e, "wait for the sender");
        }
    }
}

static ssize_t fill_stream(struct source *src, uint8_t *p, size_t n, struct err *e)
{
    size_t done = 0;
    while (done < n) {
        int r = wait_for_byte(src, e);
        if (r < 0) {
            return r;
        }
        ssize_t got = fd_read(src->fd, p + done, n - done);
        if (got < 0 && errno == EAGAIN) {
            continue;
        }
        if (got < 0) {
            return err_sys(e, "read from the sender");
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* ---- copying ---- */

static void add_chunk(struct blob *b, struct digest d)
{
    if ((b->n_chunks & (b->n_chunks - 1)) == 0) { /* full at each power of two */
        b->chunks = mem_resize(b->chunks, b->n_chunks == 0 ? 1 : 2 * b->n_chunks, sizeof d);
    }
    b->chunks[b->n_chunks++] = d;
}

/* Looked at once for each LOOK of bytes. */
static int check_room(const struct source *src, int to, uint64_t done, struct err *e)
{
    struct statvfs fs;
    if (src->keep == 0 || to < 0 || done % LOOK != 0 || fstatvfs(to, &fs) < 0) {
        return 0;
    }
    uint64_t free = (uint64_t)fs.f_bavail * fs.f_frsize;
    return free >= src->keep
               ? 0
               : err_set(e, ERR_UNAVAIL,
                         "the site's disk is full: %llu MiB are free, disk.reserve "
                         "keeps %llu MiB",
                         (unsigned long long)(free >> 20), (unsigned long long)(src->keep >> 20));
}

static int copy_pieces(struct source *src, int to, uint64_t max, struct hasher3 *h, struct blob *b,
                       struct err *e)
{
    CLEANUP(mem_free) uint8_t *piece = mem_resize(NULL, BLOB_CHUNK, 1);
    for (;;) {
        ssize_t n = src->fill(src, piece, BLOB_CHUNK, e);
        if (n < 0) {
            return (int)n;
        }
        struct span s = span_of(piece, (size_t)n);
        if (s.len > max - b->size) {
            return err_set(e, ERR_LIMIT, "it is longer than the %llu bytes that are allowed",
                           (unsigned long long)max);
        }
        int r = check_room(src, to, b->size, e);
        if (r < 0) {
            return r;
        }
        r = to < 0 ? 0 : fd_write(to, s, e);
        if (r < 0) {
            return blob_disk_err(e, r, "keep a private copy");
        }
        hasher3_add(h, s);
        bool last = s.len < BLOB_CHUNK;
        if (s.len > 0 && !(last && b->size == 0)) { /* an only chunk's hash is the blob's */
            add_chunk(b, digest_of(s));
        }
        b->size += s.len;
        if (last) {
            return 0;
        }
    }
}

/* Fills b->size, digests and chunks; `to` < 0 only hashes. */
static int copy(struct source *src, int to, uint64_t max, struct blob *b, struct err *e)
{
    CLEANUP(hasher3_clear) struct hasher3 h;
    hasher3_init(&h);
    int r = copy_pieces(src, to, max < BLOB_MAX ? max : BLOB_MAX, &h, b, e);
    if (r < 0) {
        return r;
    }
    b->d = hasher3_end(&h);
    if (b->n_chunks == 0 && b->size > 0) {
        add_chunk(b, b->d.sha256);
    }
    b->chunk_root = blob_chunk_root(b->chunks, b->n_chunks);
    return 0;
}

/* ---- sealing ---- */

/* A nameless file needs no cleaning after a crash. Its mode is the final one from the start. */
static int staging_file(struct blobstore *s, struct blob *b, struct err *e)
{
    int fd = openat(s->staging, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0444);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        uint64_t salt[2];
        random_bytes(salt, sizeof salt);
        snprintf(b->name, sizeof b->name, "put-%016llx%016llx", (unsigned long long)salt[0],
                 (unsigned long long)salt[1]);
        b->dir = s->staging;
        fd = openat(s->staging, b->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    }
    if (fd < 0) {
        b->name[0] = 0;
        return blob_disk_err(e, err_sys(e, "make a file in staging/"), "keep a private copy");
    }
    if (fchmod(fd, 0444) < 0) { /* whatever the umask */
        int r = err_sys(e, "set the mode of a staged file");
        fd_close(&fd);
        return r;
    }
    return fd;
}

/* The kernel grants a read lease only while no description anywhere is open for writing. A child
 * between fork and exec may hold ours for a moment. File systems without leases answer EINVAL. */
static int no_writer_left(int fd, struct err *e)
{
    fcntl(fd, F_SETSIG, SIGURG); /* ignored by default, where SIGIO would end us */
    for (int i = 0; i < 100; i++) {
        if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
            fcntl(fd, F_SETLEASE, F_UNLCK);
            return 0;
        }
        if (errno != EAGAIN) {
            return 0;
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return err_set(e, ERR_CONFLICT, "somebody holds it open for writing");
}

/* Swaps the writable descriptor for a read-only one and takes the stamp. */
static int seal(struct blob *b, int *writable, struct err *e)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", *writable);
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_sys(e, "open the private copy again (is /proc mounted?)");
    }
    fd_close(writable);
    int r = no_writer_left(fd, e);
    if (r < 0) {
        return r;
    }
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return err_sys(e, "look at the private copy");
    }
    b->stamp = blob_stamp_of(&st);
    if (b->stamp.size != b->size) {
        return err_set(e, ERR_CONFLICT, "the private copy changed its length");
    }
    b->fd = fd;
    fd = -1;
    return 0;
}

static int stage(struct blobstore *s, struct source *src, uint64_t max, struct blob *b,
                 struct err *e)
{
    pthread_mutex_lock(&s->lock);
    int r = blob_may_put(s, e);
    pthread_mutex_unlock(&s->lock);
    if (r < 0) {
        return r;
    }
    CLEANUP(fd_close) int fd = staging_file(s, b, e);
    if (fd < 0) {
        return fd;
    }
    src->keep = s->keep;
    r = copy(src, fd, max, b, e);
    return r < 0 ? r : seal(b, &fd, e);
}

/* ---- what others call ---- */

/* A file of nearly nothing but holes costs its sender nothing and us all of it. Small ones and what
 * a compressing file system stores densely pass. */
static bool mostly_holes(const struct stat *st)
{
    return st->st_size > (off_t)64 << 20 && (off_t)st->st_blocks * 512 < st->st_size / 16;
}

static int judge_source(const struct stat *st, uint64_t max, struct err *e)
{
    if (!S_ISREG(st->st_mode)) {
        return err_set(e, ERR_FORMAT, "it is not a regular file");
    }
    if ((uint64_t)st->st_size > max) {
        return err_set(e, ERR_LIMIT, "%lld bytes are more than the %llu that are allowed",
                       (long long)st->st_size, (unsigned long long)max);
    }
    if (mostly_holes(st)) {
        return err_set(e, ERR_LIMIT,
                       "%lld bytes that are nearly all holes: write them out first "
                       "(cp --sparse=never)",
                       (long long)st->st_size);
    }
    return 0;
}

static int look(int fd, struct stat *st, struct err *e)
{
    return fstat(fd, st) < 0 ? err_sys(e, "look at the source") : 0;
}

static void give(struct blob *b, struct blob *out)
{
    *out = *b;
    *b = BLOB_NONE;
}

int blob_stage(struct blobstore *s, int src, uint64_t max, struct blob *out, struct err *e)
{
    struct stat before, after;
    int r = look(src, &before, e);
    if (r == 0) {
        r = judge_source(&before, max, e);
    }
    if (r < 0) {
        return r;
    }
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    struct source from = {.fill = fill_file, .fd = src};
    r = stage(s, &from, max, &b, e);
    if (r == 0) {
        r = look(src, &after, e);
    }
    if (r < 0) {
        return r;
    }
    struct blob_stamp was = blob_stamp_of(&before), is = blob_stamp_of(&after);
    if (!blob_stamp_eq(&was, &is) || b.size != was.size) {
        return err_set(e, ERR_CONFLICT,
                       "it was changed while it was copied: wait until it is finished and repeat");
    }
    give(&b, out);
    return 0;
}

int blob_stage_stream(struct blobstore *s, int src, uint64_t max, int64_t idle, struct blob *out,
                      struct err *e)
{
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    struct source from = {.fill = fill_stream, .fd = src, .idle = idle};
    int r = stage(s, &from, max, &b, e);
    if (r == 0) {
        give(&b, out);
    }
    return r;
}

int blob_stage_span(struct blobstore *s, struct span bytes, struct blob *out, struct err *e)
{
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    struct source from = {.fill = fill_span, .left = bytes};
    int r = stage(s, &from, BLOB_MAX, &b, e);
    if (r == 0) {
        give(&b, out);
    }
    return r;
}

int blob_unchanged(const struct blob *b, struct err *e)
{
    struct stat st;
    if (fstat(b->fd, &st) < 0) {
        return err_sys(e, "look at a sealed copy");
    }
    struct blob_stamp now = blob_stamp_of(&st);
    if (!blob_stamp_eq(&now, &b->stamp)) {
        return err_set(e, ERR_CONFLICT, "it was touched after it was sealed: inspect it again");
    }
    return no_writer_left(b->fd, e);
}

int blob_reopen(struct blobstore *s, const struct digest *d, struct blob *out, struct err *e)
{
    char path[BLOB_PATH];
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    struct stat st;
    int r = blob_file(s->blobs, blob_path(d, "", path), &b.fd, &st, e);
    if (r < 0) {
        return r == ERR_SYS && e != NULL && e->sys == ENOENT
                   ? err_set(e, ERR_NOTFOUND, "blob %s is not in the store", path)
                   : r;
    }
    b.stamp = blob_stamp_of(&st);
    struct source from = {.fill = fill_file, .fd = b.fd};
    r = copy(&from, -1, BLOB_MAX, &b, e);
    if (r < 0) {
        return err_wrap(e, r, "blob %s", path);
    }
    if (!digest_eq(&b.d.sha256, d)) {
        return err_set(e, ERR_TRUST, "blob %s does not hold the bytes of its name", path);
    }
    r = blob_unchanged(&b, e);
    if (r < 0) {
        return err_wrap(e, r, "blob %s", path);
    }
    give(&b, out);
    return 0;
}

void blob_discard(struct blob *b)
{
    if (b->name[0] != 0) {
        unlinkat(b->dir, b->name, 0);
    }
    fd_close(&b->fd);
    free(b->chunks);
    *b = BLOB_NONE;
}
