/* log_help.h - an independent tree to compare with (RFC 6962 as its text says it, by recursion),
 * logs of numbered entries, and folders as lists of files. */
#pragma once
#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "tlog/tlog.h"
#include "check.h"

/* ---- RFC 6962 section 2.1, literally, over leaf hashes ---- */

static inline struct digest naive_node(struct digest l, struct digest r)
{
    uint8_t b[65] = {1};
    struct digest d;
    memcpy(b + 1, l.b, 32);
    memcpy(b + 33, r.b, 32);
    crypto_hash_sha256(d.b, b, sizeof b); /* another library than the code under test */
    return d;
}

static inline size_t naive_split(size_t n)
{
    size_t k = 1;
    while (k * 2 < n) {
        k *= 2;
    }
    return k;
}

static inline struct digest naive_root(const struct digest *d, size_t n)
{
    if (n == 0) {
        struct digest none;
        crypto_hash_sha256(none.b, NULL, 0);
        return none;
    }
    if (n == 1) {
        return d[0];
    }
    size_t k = naive_split(n);
    return naive_node(naive_root(d, k), naive_root(d + k, n - k));
}

static inline void naive_path(size_t m, const struct digest *d, size_t n, struct tlog_hashes *out)
{
    if (n <= 1) {
        return;
    }
    size_t k = naive_split(n);
    if (m < k) {
        naive_path(m, d, k, out);
        out->h[out->n++] = naive_root(d + k, n - k);
    } else {
        naive_path(m - k, d + k, n - k, out);
        out->h[out->n++] = naive_root(d, k);
    }
}

static inline void naive_subproof(size_t m, const struct digest *d, size_t n, bool whole,
                                  struct tlog_hashes *out)
{
    if (m == n) {
        if (!whole) {
            out->h[out->n++] = naive_root(d, n);
        }
        return;
    }
    size_t k = naive_split(n);
    if (m <= k) {
        naive_subproof(m, d, k, whole, out);
        out->h[out->n++] = naive_root(d + k, n - k);
    } else {
        naive_subproof(m - k, d + k, n - k, false, out);
        out->h[out->n++] = naive_root(d, k);
    }
}

static inline bool hashes_same(const struct tlog_hashes *a, const struct tlog_hashes *b)
{
    return a->n == b->n && memcmp(a->h, b->h, a->n * sizeof a->h[0]) == 0;
}

/* ---- logs of numbered entries ---- */

#define ENTRY_MAX 300
/* In the form of one; who publishes is who checked it. */
#define SIGNATURE "\n\xE2\x80\x94 example.org/log AAAAAAAA\n"

/* Entry i: 34 to 300 bytes that i alone decides; entry 7 is empty. */
static inline struct span numbered(uint64_t i, uint8_t out[static ENTRY_MAX])
{
    size_t len = i == 7 ? 0 : 34 + i * 31 % 267;
    memset(out, (int)(i % 251), ENTRY_MAX);
    memcpy(out, &i, sizeof i);
    return span_of(out, len);
}

static inline struct digest *numbered_leaves(size_t n)
{
    struct digest *d = mem_array(struct digest, n + 1);
    for (size_t i = 0; i < n; i++) {
        uint8_t b[1 + ENTRY_MAX] = {0};
        struct span s = numbered(i, b + 1);
        crypto_hash_sha256(d[i].b, b, s.len + 1);
    }
    return d;
}

static inline int append_numbered(struct tlog *t, size_t n, struct err *e)
{
    uint8_t(*bytes)[ENTRY_MAX] = mem_zeroed(n + 1, sizeof *bytes);
    struct span *s = mem_array(struct span, n + 1);
    for (size_t i = 0; i < n; i++) {
        s[i] = numbered(tlog_size(t) + i, bytes[i]);
    }
    int r = tlog_append(t, s, n, e);
    free(bytes);
    free(s);
    return r;
}

/* Syncs and publishes under an unsigned note: the writer leaves signatures to its caller. */
static inline void publish(struct tlog *t)
{
    struct err e;
    struct tlog_checkpoint c = {.origin = "example.org/log", .head = tlog_head(t)};
    CLEANUP(buf_clear) struct buf note = BUF(LIMIT_NOTE);
    CHECK_OK(tlog_checkpoint_text(&c, &note, &e), e);
    buf_str(&note, SIGNATURE);
    CHECK_OK(tlog_sync(t, &e), e);
    CHECK_OK(tlog_publish(t, buf_view(&note), &e), e);
}

/* A folder with a log of n entries, appended at once. */
static inline struct tlog_head log_make(const struct check_dir *d, size_t n)
{
    struct err e;
    struct tlog_head none = tlog_head_empty();
    CLEANUP(tlog_close) struct tlog *t = NULL;
    CHECK_OK(tlog_open(d->fd, &none, &t, &e), e);
    CHECK_OK(append_numbered(t, n, &e), e);
    publish(t);
    return tlog_head(t);
}

/* ---- folders as lists of files ---- */

struct listed {
    char *path; /* relative */
    struct buf bytes;
};
struct listing {
    struct listed *file;
    size_t n;
};

static struct listing *listing_now;
static size_t listing_skip;

static int listing_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)at;
    struct listing *l = listing_now;
    if (type != FTW_F) {
        return 0;
    }
    l->file = mem_resize(l->file, l->n + 1, sizeof *l->file);
    struct listed *f = &l->file[l->n++];
    *f = (struct listed){mem_str(path + listing_skip), BUF((size_t)32 << 20)};
    return file_read(AT_FDCWD, path, f->bytes.max, &f->bytes, NULL);
}

static int listing_order(const void *a, const void *b)
{
    return strcmp(((const struct listed *)a)->path, ((const struct listed *)b)->path);
}

static inline struct listing listing_of(const struct check_dir *d)
{
    struct listing l = {NULL, 0};
    listing_now = &l;
    listing_skip = strlen(d->path) + 1;
    CHECK(nftw(d->path, listing_one, 16, FTW_PHYS) == 0);
    qsort(l.file, l.n, sizeof *l.file, listing_order);
    return l;
}

static inline void listing_clear(struct listing *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->file[i].path);
        buf_clear(&l->file[i].bytes);
    }
    free(l->file);
    *l = (struct listing){NULL, 0};
}

static inline const struct listed *listing_find(const struct listing *l, const char *path)
{
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->file[i].path, path) == 0) {
            return &l->file[i];
        }
    }
    return NULL;
}

static inline void place(const struct check_dir *d, const char *path, struct span bytes)
{
    struct err e;
    char folder[200];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL) {
        *slash = 0;
        CHECK_OK(file_mkdirs(d->fd, folder, 0755, &e), e);
    }
    CHECK_OK(file_write_lazy(d->fd, path, bytes, 0644, &e), e);
}
