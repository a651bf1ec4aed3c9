/* site.h - a store in a fresh folder for the tests of the blob module. */
#pragma once
#include "blob/blob.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "check.h"

struct site {
    struct check_dir dir;
    struct blobstore *s;
};

static inline struct site site_new(void)
{
    struct site t = {.dir = check_dir()};
    struct err e;
    CHECK_OK(blobstore_open(t.dir.fd, &t.s, &e), e);
    return t;
}

static inline void site_clear(struct site *t)
{
    blobstore_close(&t->s);
    check_dir_clear(&t->dir);
}

/* n bytes that differ in every place and with `seed`; free() them. */
static inline uint8_t *filler(size_t n, uint32_t seed)
{
    uint8_t *p = mem_array(uint8_t, n + 1);
    uint32_t x = seed * 2654435761U + 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525U + 1013904223U;
        p[i] = (uint8_t)(x >> 24);
    }
    return p;
}

/* Writes a file of that filler and returns it open for reading and writing. */
static inline int file_of(const struct site *t, const char *name, size_t n, uint32_t seed)
{
    uint8_t *p = filler(n, seed);
    struct err e;
    int fd = openat(t->dir.fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    CHECK_OK(fd_write(fd, span_of(p, n), &e), e);
    free(p);
    return fd;
}

/* Stages and publishes n bytes of filler; gives what a leaf would bind. */
struct entry {
    struct digest d, root;
    uint64_t size;
    char path[96]; /* below the site */
};

static inline struct entry put_filler(struct site *t, size_t n, uint32_t seed)
{
    uint8_t *p = filler(n, seed);
    struct blob b = BLOB_NONE;
    struct err e;
    CHECK_OK(blob_stage_span(t->s, span_of(p, n), &b, &e), e);
    CHECK_OK(blob_publish(t->s, &b, NULL, &e), e);
    CHECK_OK(blobstore_sync(t->s, &e), e);
    struct entry r = {.d = b.d.sha256, .root = b.chunk_root, .size = n};
    char hex[DIGEST_TEXT + 1];
    digest_text(&r.d, hex);
    snprintf(r.path, sizeof r.path, "blobs/%.2s/%s", hex, hex + 2);
    blob_discard(&b);
    free(p);
    return r;
}

/* Changes one byte in place (mode 0444 does not stop root, nor an owner who sets it aside). */
static inline void poke(const struct site *t, const char *path, off_t at, uint8_t mask)
{
    CHECK(fchmodat(t->dir.fd, path, 0644, 0) == 0);
    int fd = openat(t->dir.fd, path, O_RDWR | O_CLOEXEC);
    uint8_t c = 0;
    CHECK(fd >= 0 && pread(fd, &c, 1, at) == 1);
    c ^= mask;
    CHECK(pwrite(fd, &c, 1, at) == 1);
    close(fd);
    CHECK(fchmodat(t->dir.fd, path, 0444, 0) == 0);
}

static inline int count_name(void *ctx, const char *name)
{
    (void)name;
    ++*(size_t *)ctx;
    return 0;
}
static inline size_t names_in(const struct site *t, const char *path)
{
    size_t n = 0;
    struct err e;
    CHECK_OK(file_each(t->dir.fd, path, count_name, &n, &e), e);
    return n;
}

static inline bool truncateat_ok(const struct site *t, const char *path, off_t size)
{
    CHECK(fchmodat(t->dir.fd, path, 0644, 0) == 0);
    int fd = openat(t->dir.fd, path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && ftruncate(fd, size) == 0;
    close(fd);
    return ok;
}
