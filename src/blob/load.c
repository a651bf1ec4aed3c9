/* load.c - from the disk into memory that nobody can write, then hashed there.
 *
 * The file on the disk is never mapped: a truncated mapping would kill the process, and a mapped
 * page can change after it was hashed. */
#include "blob/cache_priv.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

/* Kernels stamp files with a clock that ticks every 1 to 10 ms: a write within the same tick as the
 * one before leaves no trace in mtime and ctime. */
#define FRESH_NS INT64_C(100000000)

static const char *const fault_names[] = {
    [BLOB_FAULT_CHANGED] = "changed",       [BLOB_FAULT_LENGTH] = "length",
    [BLOB_FAULT_MISSING] = "missing",       [BLOB_FAULT_UNREADABLE] = "unreadable",
    [BLOB_FAULT_CHUNKS] = "chunk list bad",
};

const char *blob_fault_name(enum blob_fault f)
{
    return (size_t)f < ARRAY_LEN(fault_names) && fault_names[f] != NULL ? fault_names[f] : "?";
}

static const char *suffix_of(const struct want *w)
{
    return w->kind == SLAB_LIST ? ".chunks" : "";
}

static size_t length_of(const struct want *w)
{
    if (w->kind == SLAB_LIST) {
        return blob_chunk_count(w->size) * sizeof(struct digest);
    }
    uint64_t left = w->size - w->index * BLOB_CHUNK;
    return w->kind == SLAB_CHUNK && left > BLOB_CHUNK ? BLOB_CHUNK : (size_t)left;
}

size_t slab_cost(const struct want *w)
{
    return (length_of(w) + 4095) / 4096 * 4096;
}

/* ---- telling what is wrong ---- */

/* Tells of bytes first..last and returns the error. `why` holds its code and text. */
static int bad(struct blob_cache *c, const struct want *w, enum blob_fault f,
               const struct blob_stamp *stamp, const uint64_t range[2], struct err *why)
{
    char path[BLOB_PATH];
    err_wrap(why, why->code, "blob %s, bytes %llu to %llu", blob_path(&w->blob, "", path),
             (unsigned long long)range[0], (unsigned long long)range[1]);
    struct blob_bad b = {.blob = w->blob,
                         .first = range[0],
                         .last = range[1],
                         .fault = f,
                         .seen = clock_now(),
                         .changed = stamp != NULL ? stamp->ctime / 1000 : 0,
                         .text = why->text};
    history_bad(c, w, stamp, &b);
    if (c->o.on_bad != NULL) {
        c->o.on_bad(c->o.ctx, &b);
    }
    return why->code;
}

static void range_of(const struct want *w, uint64_t range[2])
{
    bool all = w->kind == SLAB_LIST;
    size_t n = all ? 0 : length_of(w);
    range[0] = all ? 0 : w->index * BLOB_CHUNK;
    range[1] = all ? (w->size > 0 ? w->size - 1 : 0) : range[0] + (n > 0 ? n - 1 : 0);
}

/* open, stat or read failed. Want of descriptors or memory is our own trouble, not the blob's. */
static int cannot_read(struct blob_cache *c, const struct want *w, struct err *why)
{
    if (why->code == ERR_SYS && (why->sys == EMFILE || why->sys == ENFILE || why->sys == ENOMEM)) {
        return err_set(why, ERR_UNAVAIL, "short of descriptors or memory: try again later");
    }
    enum blob_fault f = w->kind == SLAB_LIST ? BLOB_FAULT_CHUNKS : BLOB_FAULT_UNREADABLE;
    if (f != BLOB_FAULT_CHUNKS && why->code == ERR_SYS && why->sys == ENOENT) {
        f = BLOB_FAULT_MISSING;
    }
    if (why->code == ERR_FORMAT) {
        why->code = ERR_TRUST;
    }
    uint64_t range[2];
    range_of(w, range);
    return bad(c, w, f, NULL, range, why);
}

static int wrong_length(struct blob_cache *c, const struct want *w, const struct blob_stamp *is)
{
    struct err why;
    uint64_t few = is->size < w->size ? is->size : w->size;
    uint64_t many = is->size < w->size ? w->size : is->size;
    err_set(&why, ERR_TRUST, "the file has %llu bytes, published were %llu",
            (unsigned long long)is->size, (unsigned long long)w->size);
    return bad(c, w, BLOB_FAULT_LENGTH, is, (uint64_t[2]){few, many - 1}, &why);
}

static int wrong_bytes(struct blob_cache *c, const struct want *w, const struct blob_stamp *is)
{
    struct err why;
    uint64_t range[2];
    range_of(w, range);
    err_set(&why, ERR_TRUST, "these are not the bytes that were published");
    return bad(c, w, BLOB_FAULT_CHANGED, is, range, &why);
}

static int give(const struct err *why, struct err *e)
{
    if (e != NULL) {
        *e = *why;
    }
    return why->code;
}

static int look(struct blob_cache *c, const struct want *w, struct blob_stamp *out, struct err *e)
{
    char path[BLOB_PATH];
    struct stat st;
    blob_path(&w->blob, suffix_of(w), path);
    if (fstatat(c->store->blobs, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return err_sys(e, "look at %s", path);
    }
    *out = blob_stamp_of(&st);
    return 0;
}

bool slab_current(struct blob_cache *c, const struct slab *s)
{
    struct blob_stamp now;
    return look(c, &s->want, &now, NULL) == 0 && blob_stamp_eq(&s->stamp, &now);
}

int slab_stat(struct blob_cache *c, const struct want *w, struct blob_stamp *out, struct err *e)
{
    struct err why;
    if (look(c, w, out, &why) < 0) {
        cannot_read(c, w, &why);
        return give(&why, e);
    }
    return 0;
}

/* ---- memory ---- */

static void *map(size_t len, int prot, int flags, int fd, struct err *e)
{
    void *p = mmap(NULL, len, prot, flags, fd, 0);
    if (p == MAP_FAILED) {
        err_set(e, ERR_UNAVAIL, "short of memory: try again later");
        return NULL;
    }
    return p;
}

static const uint8_t no_bytes[1];

void slab_unload(struct slab *s)
{
    if (s->p != NULL && s->p != no_bytes) {
        munmap((void *)(uintptr_t)s->p, s->cost);
    }
    s->p = NULL;
}

/* Reads `len` bytes at `at` into writable memory; *got is less where the file is too short. */
static int pull(int fd, void *p, size_t len, uint64_t at, size_t *got, struct err *e)
{
    ssize_t n = fd_pread(fd, p, len, at);
    if (n < 0) {
        return err_sys(e, "read");
    }
    *got = (size_t)n;
    return 0;
}

/* The memfd's pages are the ones that are hashed and sent. MAP_PRIVATE, because older kernels
 * refuse to map a write-sealed file shared; nothing writes, so no page is ever copied. */
static int load_sealed(struct slab *s, int fd, size_t *got, struct err *e)
{
    CLEANUP(fd_close) int mem = memfd_create("blob", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (mem < 0 || ftruncate(mem, (off_t)s->len) < 0) {
        return err_set(e, ERR_UNAVAIL, "short of descriptors or memory: try again later");
    }
    void *w = map(s->cost, PROT_READ | PROT_WRITE, MAP_SHARED, mem, e);
    if (w == NULL) {
        return ERR_UNAVAIL;
    }
    int r = pull(fd, w, s->len, 0, got, e);
    munmap(w, s->cost);
    if (r < 0) {
        return r;
    }
    if (fcntl(mem, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        return err_set(e, ERR_UNAVAIL, "cannot seal a memory file: %s", strerror(errno));
    }
    s->p = map(s->cost, PROT_READ, MAP_PRIVATE, mem, e);
    return s->p == NULL ? ERR_UNAVAIL : 0;
}

static int load_private(struct slab *s, int fd, const void *from, size_t *got, struct err *e)
{
    void *p = map(s->cost, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, e);
    if (p == NULL) {
        return ERR_UNAVAIL;
    }
    s->p = p;
    int r = 0;
    if (from != NULL) {
        memcpy(p, from, s->len);
        *got = s->len;
    } else {
        r = pull(fd, p, s->len, s->want.index * BLOB_CHUNK, got, e);
    }
    if (r == 0 && mprotect(p, s->cost, PROT_READ) < 0) {
        r = err_set(e, ERR_UNAVAIL, "cannot protect memory: %s", strerror(errno));
    }
    return r;
}

/* ---- loading ---- */

static void take_stamp(struct slab *s, const struct stat *st)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t); /* the clock of the file system, which tests don't replace */
    s->stamp = blob_stamp_of(st);
    int64_t age = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec - s->stamp.ctime;
    s->fresh = age < FRESH_NS && age > -FRESH_NS;
}

static int load_list(struct blob_cache *c, struct slab *s, struct err *e)
{
    char path[BLOB_PATH];
    struct stat st;
    struct err why = {0};
    CLEANUP(mem_free) struct digest *list = NULL;
    int r = 0;
    if (fstatat(c->store->blobs, blob_path(&s->want.blob, ".chunks", path), &st,
                AT_SYMLINK_NOFOLLOW) < 0) {
        r = err_sys(&why, "look at %s", path);
    } else {
        take_stamp(s, &st);
        r = blob_chunks_load(c->store->blobs, &s->want.blob, s->want.size, &s->want.right, &list,
                             &why);
    }
    if (r < 0) {
        cannot_read(c, &s->want, &why);
        return give(&why, e);
    }
    size_t got = 0;
    r = s->len == 0 ? 0 : load_private(s, -1, list, &got, e);
    if (r < 0) {
        return r;
    }
    struct digest root =
        blob_chunk_root((const struct digest *)(const void *)s->p, s->len / sizeof root);
    return digest_eq(&root, &s->want.right) ? 0 : err_set(e, ERR_BUG, "a chunk list changed");
}

static int load_bytes(struct blob_cache *c, struct slab *s, struct err *e)
{
    char path[BLOB_PATH];
    struct stat st;
    struct err why = {0};
    CLEANUP(fd_close) int fd = -1;
    const struct want *w = &s->want;
    int r = blob_file(c->store->blobs, blob_path(&w->blob, "", path), &fd, &st, &why);
    if (r < 0) {
        cannot_read(c, w, &why);
        return give(&why, e);
    }
    take_stamp(s, &st);
    if (s->stamp.size != w->size) {
        return err_set(e, wrong_length(c, w, &s->stamp), "blob %s has another length", path);
    }
    size_t got = 0;
    if (s->len == 0) {
        s->p = no_bytes;
    } else {
        r = w->kind == SLAB_WHOLE ? load_sealed(s, fd, &got, &why)
                                  : load_private(s, fd, NULL, &got, &why);
    }
    if (r < 0) {
        if (r != ERR_UNAVAIL) {
            cannot_read(c, w, &why);
        }
        return give(&why, e);
    }
    struct digest is = digest_of(span_of(s->p, s->len)); /* after its last possible write */
    if (got != s->len || !digest_eq(&is, &w->right)) {
        return err_set(e, wrong_bytes(c, w, &s->stamp),
                       "blob %s: bytes from %llu on are not those that were published", path,
                       (unsigned long long)(w->index * BLOB_CHUNK));
    }
    return 0;
}

int slab_load(struct blob_cache *c, struct slab *s, struct err *e)
{
    s->len = length_of(&s->want);
    int r = s->want.kind == SLAB_LIST ? load_list(c, s, e) : load_bytes(c, s, e);
    if (r == 0) {
        history_good(c, &s->want, clock_now());
    }
    return r;
}
