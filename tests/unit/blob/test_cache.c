#include "blob/blob.h"

#include <pthread.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/text.h"
#include "site.h"

#define MIB ((size_t)1 << 20)
#define LARGE (3 * MIB + 100)

/* Small is up to 64 KiB here, so that a blob of 3 MiB goes chunk by chunk. */
struct web {
    struct site t;
    struct blobstore *s;
    struct blob_cache *c;
    unsigned n_bad;
    struct blob_bad bad; /* the last one */
};

static void note_bad(void *ctx, const struct blob_bad *bad)
{
    struct web *w = ctx;
    w->bad = *bad;
    w->bad.text = "";
    w->n_bad++;
}

static void web_init(struct web *w, uint64_t bytes)
{
    struct err e;
    *w = (struct web){.t = site_new()};
    CHECK_OK(blobstore_open_read(w->t.dir.fd, &w->s, &e), e);
    w->c =
        blob_cache_new(w->s, &(struct blob_cache_opts){
                                 .bytes = bytes, .small = 64 * 1024, .on_bad = note_bad, .ctx = w});
}

static void web_clear(struct web *w)
{
    blob_cache_free(&w->c);
    blobstore_close(&w->s);
    site_clear(&w->t);
}

/* Files that were not just written: only then may memory be used again by their stamps. */
static void settle(void)
{
    usleep(150000);
}

/* Reads all of it as a server would: 0 with the right bytes, or the first error. */
static int read_all(struct web *w, const struct entry *a, uint32_t seed, struct err *e)
{
    CLEANUP(blob_close) struct blob_reader *r = NULL;
    CLEANUP(mem_free) uint8_t *want = filler(a->size, seed);
    int got = blob_open(w->c, &a->d, a->size, &a->root, &r, e);
    uint64_t at = 0;
    while (got == 0 && at < a->size) {
        struct span v;
        got = blob_read(r, at, &v, e);
        CHECK(got < 0 || (v.len > 0 && memcmp(v.p, want + at, v.len) == 0));
        at += v.len;
    }
    struct span end;
    CHECK(got < 0 || (blob_read(r, at, &end, e) == 0 && end.len == 0));
    return got;
}

static void blobs_of_every_size_are_read_right(void **state)
{
    (void)state;
    struct web w;
    web_init(&w, 16 * MIB);
    const size_t sizes[] = {0, 1, 4096, 64 * 1024, 64 * 1024 + 1, MIB, MIB + 1, LARGE};
    for (uint32_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct err e;
        struct entry a = put_filler(&w.t, sizes[i], i);
        CHECK_OK(read_all(&w, &a, i, &e), e);
        CHECK(sizes[i] == 0 || blob_last_good(w.c, &a.d) > 0);
    }
    CHECK(w.n_bad == 0);
    web_clear(&w);
}

static void memory_is_used_again_while_the_file_is_as_it_was(void **state)
{
    (void)state;
    struct web w;
    struct err e;
    web_init(&w, 16 * MIB);
    struct entry a = put_filler(&w.t, 1000, 1), b = put_filler(&w.t, LARGE, 2);
    settle();
    CHECK_OK(read_all(&w, &a, 1, &e), e);
    CHECK_OK(read_all(&w, &b, 2, &e), e);
    CHECK(blob_cache_stats(w.c).verified == 1 + 1 + 4 && blob_cache_stats(w.c).hits == 0);
    CHECK_OK(read_all(&w, &a, 1, &e), e);
    CHECK_OK(read_all(&w, &b, 2, &e), e);
    CHECK(blob_cache_stats(w.c).verified == 6 && blob_cache_stats(w.c).hits == 6);
    CHECK(fchmodat(w.t.dir.fd, a.path, 0400, 0) == 0); /* a new ctime: hashed again, still good */
    settle();
    CHECK_OK(read_all(&w, &a, 1, &e), e);
    CHECK(blob_cache_stats(w.c).verified == 7);
    blob_cache_drop(w.c, &b.d);
    CHECK(blob_cache_stats(w.c).bytes == 4096 && blob_cache_stats(w.c).pinned == 0);
    web_clear(&w);
}

static void a_change_before_a_read_is_refused_and_told(void **state)
{
    (void)state;
    struct web w;
    struct err e;
    web_init(&w, 16 * MIB);
    struct entry a = put_filler(&w.t, 1000, 1), b = put_filler(&w.t, LARGE, 2);
    poke(&w.t, a.path, 999, 4);
    poke(&w.t, b.path, 2 * (off_t)MIB + 7, 4);
    CHECK(read_all(&w, &a, 1, &e) == ERR_TRUST && w.n_bad == 1);
    CHECK(w.bad.fault == BLOB_FAULT_CHANGED && w.bad.first == 0 && w.bad.last == 999);
    CHECK(w.bad.last_good == 0 && w.bad.seen > 0 && !w.bad.repeat && w.bad.changed > 0);
    CHECK(read_all(&w, &a, 1, &e) == ERR_TRUST && w.n_bad == 2 && w.bad.repeat);
    CHECK(read_all(&w, &b, 2, &e) == ERR_TRUST && w.n_bad == 3);
    CHECK(w.bad.first == 2 * MIB && w.bad.last == 3 * MIB - 1 && digest_eq(&w.bad.blob, &b.d));
    char hex[DIGEST_TEXT + 1];
    CHECK(strstr(e.text, digest_text(&b.d, hex) + 2) != NULL);
    CHECK(blob_last_good(w.c, &b.d) == 0);     /* one chunk never was */
    poke(&w.t, b.path, 2 * (off_t)MIB + 7, 4); /* repaired */
    CHECK_OK(read_all(&w, &b, 2, &e), e);
    web_clear(&w);
}

static void a_change_during_a_download_stops_it_with_right_bytes(void **state)
{
    (void)state;
    struct web w;
    struct err e;
    web_init(&w, 16 * MIB);
    struct entry a = put_filler(&w.t, 1000, 1), b = put_filler(&w.t, LARGE, 2);
    CLEANUP(mem_free) uint8_t *bytes = filler(LARGE, 2);
    settle();
    CHECK_OK(read_all(&w, &b, 2, &e), e); /* all of it is hot */
    struct blob_reader *ra = NULL, *rb = NULL;
    struct span v;
    CHECK_OK(blob_open(w.c, &a.d, a.size, &a.root, &ra, &e), e);
    CHECK_OK(blob_open(w.c, &b.d, b.size, &b.root, &rb, &e), e);
    CHECK_OK(blob_read(rb, MIB + 5, &v, &e), e);
    int64_t good = blob_last_good(w.c, &b.d);
    poke(&w.t, a.path, 0, 1);
    poke(&w.t, b.path, 2 * (off_t)MIB, 1);
    CHECK(v.len == MIB - 5 && memcmp(v.p, bytes + MIB + 5, v.len) == 0); /* pinned: as it was */
    CHECK_OK(blob_read(rb, 0, &v, &e), e); /* that chunk is still right, read anew */
    CHECK(memcmp(v.p, bytes, MIB) == 0);
    CHECK(blob_read(rb, 2 * MIB, &v, &e) == ERR_TRUST && v.len == 0);
    CHECK(w.bad.last_good >= good - 1 && w.bad.last_good <= w.bad.seen && w.bad.last_good > 0);
    CHECK(blob_read(ra, 10, &v, &e) == ERR_TRUST && w.n_bad == 2);
    CHECK_OK(blob_read(rb, 3 * MIB, &v, &e), e); /* the reader goes on after an error */
    CHECK(v.len == 100);
    blob_close(&ra);
    blob_close(&rb);
    web_clear(&w);
}

static void a_change_after_a_download_is_found_by_the_next(void **state)
{
    (void)state;
    struct web w;
    struct err e;
    web_init(&w, 16 * MIB);
    struct entry a = put_filler(&w.t, 1000, 1);
    for (int i = 0; i < 20; i++) { /* at once, within one tick of the file system's clock */
        CHECK_OK(read_all(&w, &a, 1, &e), e);
        poke(&w.t, a.path, 10, 1);
        CHECK(read_all(&w, &a, 1, &e) == ERR_TRUST);
        poke(&w.t, a.path, 10, 1);
    }
    web_clear(&w);
}

static void a_truncated_or_longer_file_is_named(void **state)
{
    (void)state;
    struct web w;
    struct err e;
    web_init(&w, 16 * MIB);
    struct entry a = put_filler(&w.t, 1000, 1), b = put_filler(&w.t, LARGE, 2);
    struct blob_reader *r = NULL;
    struct span v;
    CHECK_OK(blob_open(w.c, &b.d, b.size, &b.root, &r, &e), e);
    CHECK_OK(blob_read(r, 0, &v, &e), e);
    struct digest before = digest_of(v);
    CHECK(truncateat_ok(&w.t, b.path, 10));
    struct digest after = digest_of(v); /* touching what was handed out kills nobody */
    CHECK(digest_eq(&before, &after) && blob_read(r, MIB, &v, &e) == ERR_TRUST);
    CHECK(w.bad.fault == BLOB_FAULT_LENGTH && w.bad.first == 10 && w.bad.last == LARGE - 1);
    CHECK(w.bad.last_good > 0);
    blob_close(&r);
    CHECK(truncateat_ok(&w.t, a.path, 1001));
    CHECK(read_all(&w, &a, 1, &e) == ERR_TRUST && w.bad.fault == BLOB_FAULT_LENGTH);
    CHECK(w.bad.first == 1000 && w.bad.last == 1000);
    web_clear(&w);
}

static void a_file_replaced_by_rename_is_read_anew(void **state)
{
    (void)state;
    struct web w;
    struct err e;
    web_init(&w, 16 * MIB);
    struct entry a = put_filler(&w.t, 1000, 1);
    settle();
    CHECK_OK(read_all(&w, &a, 1, &e), e);
    close(file_of(&w.t, "same", 1000, 1));
    CHECK(renameat(w.t.dir.fd, "same", w.t.dir.fd, a.path) == 0);
    CHECK_OK(read_all(&w, &a, 1, &e), e); /* the same bytes are no fault */
    CHECK(blob_cache_stats(w.c).verified == 2);
    close(file_of(&w.t, "other", 1000, 2));
    CHECK(renameat(w.t.dir.fd, "other", w.t.dir.fd, a.path) == 0);
    CHECK(read_all(&w, &a, 1, &e) == ERR_TRUST && w.bad.fault == BLOB_FAULT_CHANGED);
    CHECK(unlinkat(w.t.dir.fd, a.path, 0) == 0);
    CHECK(read_all(&w, &a, 1, &e) == ERR_SYS && e.sys == ENOENT);
    CHECK(w.bad.fault == BLOB_FAULT_MISSING);
    CHECK(mkdirat(w.t.dir.fd, a.path, 0700) == 0);
    CHECK(read_all(&w, &a, 1, &e) == ERR_TRUST && w.bad.fault == BLOB_FAULT_UNREADABLE);
    CHECK(unlinkat(w.t.dir.fd, a.path, AT_REMOVEDIR) == 0);
    CHECK(symlinkat("/etc/passwd", w.t.dir.fd, a.path) == 0);
    CHECK(read_all(&w, &a, 1, &e) < 0 && w.bad.fault == BLOB_FAULT_UNREADABLE);
    CHECK(unlinkat(w.t.dir.fd, a.path, 0) == 0);
    CHECK(mkfifoat(w.t.dir.fd, a.path, 0600) == 0);
    CHECK(read_all(&w, &a, 1, &e) == ERR_TRUST && w.bad.fault == BLOB_FAULT_UNREADABLE);
    web_clear(&w);
}

/* What P2 says of writes through mmap: what is sent stays right; the disk is the scrub's. */
static void a_write_through_mmap_never_reaches_a_reader(void **state)
{
    (void)state;
    struct web w;
    struct err e;
    web_init(&w, 16 * MIB);
    struct entry a = put_filler(&w.t, 1000, 1);
    CHECK(fchmodat(w.t.dir.fd, a.path, 0644, 0) == 0);
    int fd = openat(w.t.dir.fd, a.path, O_RDWR | O_CLOEXEC);
    uint8_t *p = mmap(NULL, 1000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    p[0] ^= 1; /* dirty already: later writes set no time */
    p[0] ^= 1;
    settle();
    CHECK_OK(read_all(&w, &a, 1, &e), e);
    p[500] ^= 1;
    int r = read_all(&w, &a, 1, &e); /* compares every byte */
    CHECK(r == 0 || r == ERR_TRUST);
    blob_cache_drop(w.c, &a.d);
    CHECK(read_all(&w, &a, 1, &e) == ERR_TRUST);
    munmap(p, 1000);
    close(fd);
    web_clear(&w);
}

static void a_chunk_list_must_be_the_published_one(void **state)
{
    (void)state;
    struct web w;
    struct err e;
    web_init(&w, 16 * MIB);
    struct entry a = put_filler(&w.t, LARGE, 1), b = put_filler(&w.t, LARGE, 2);
    char pa[110], pb[110];
    snprintf(pa, sizeof pa, "%s.chunks", a.path);
    snprintf(pb, sizeof pb, "%s.chunks", b.path);
    struct entry wrong = a;
    wrong.root = b.root;
    CHECK(read_all(&w, &wrong, 1, &e) == ERR_TRUST && w.bad.fault == BLOB_FAULT_CHUNKS);
    CHECK_OK(read_all(&w, &a, 1, &e), e);
    CHECK(read_all(&w, &wrong, 1, &e) == ERR_TRUST);      /* what is hot has another root */
    CHECK(renameat(w.t.dir.fd, pb, w.t.dir.fd, pa) == 0); /* another blob's list and bytes */
    CHECK(renameat(w.t.dir.fd, b.path, w.t.dir.fd, a.path) == 0);
    CHECK(read_all(&w, &a, 1, &e) == ERR_TRUST && w.bad.fault == BLOB_FAULT_CHUNKS);
    CHECK(unlinkat(w.t.dir.fd, pa, 0) == 0);
    CHECK(read_all(&w, &a, 1, &e) == ERR_SYS && w.bad.fault == BLOB_FAULT_CHUNKS);
    web_clear(&w);
}

struct racer {
    struct web *w;
    const struct entry *a;
    pthread_barrier_t *start;
    int r;
};

static void *race(void *arg)
{
    struct racer *x = arg;
    struct err e;
    pthread_barrier_wait(x->start);
    x->r = read_all(x->w, x->a, 9, &e);
    return NULL;
}

static void readers_of_a_cold_blob_verify_it_once(void **state)
{
    (void)state;
    const size_t sizes[] = {60000, LARGE};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct web w;
        web_init(&w, 16 * MIB);
        struct entry a = put_filler(&w.t, sizes[i], 9);
        settle();
        pthread_barrier_t start;
        pthread_barrier_init(&start, NULL, 8);
        pthread_t th[8];
        struct racer x[8];
        for (size_t k = 0; k < 8; k++) {
            x[k] = (struct racer){.w = &w, .a = &a, .start = &start};
            CHECK(pthread_create(&th[k], NULL, race, &x[k]) == 0);
        }
        for (size_t k = 0; k < 8; k++) {
            pthread_join(th[k], NULL);
            CHECK(x[k].r == 0);
        }
        CHECK(blob_cache_stats(w.c).verified == (i == 0 ? 1 : 5));
        CHECK(blob_cache_stats(w.c).pinned == 0);
        pthread_barrier_destroy(&start);
        web_clear(&w);
    }
}

static void memory_stays_below_its_ceiling_but_for_what_is_in_use(void **state)
{
    (void)state;
    struct web w;
    struct err e;
    web_init(&w, 2 * MIB);
    struct entry a[3];
    struct blob_reader *r[3] = {NULL};
    struct span v[3];
    for (uint32_t i = 0; i < 3; i++) {
        a[i] = put_filler(&w.t, LARGE, i);
    }
    settle();
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_OK(read_all(&w, &a[i], i, &e), e);
        CHECK(blob_cache_stats(w.c).bytes <= 2 * MIB);
    }
    CHECK(blob_cache_stats(w.c).evicted > 0);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_OK(blob_open(w.c, &a[i].d, a[i].size, &a[i].root, &r[i], &e), e);
        CHECK_OK(blob_read(r[i], 0, &v[i], &e), e);
    }
    struct blob_cache_stats s = blob_cache_stats(w.c);
    CHECK(s.bytes == s.pinned && s.pinned > 3 * MIB);
    for (uint32_t i = 0; i < 3; i++) {
        CLEANUP(mem_free) uint8_t *want = filler(LARGE, i);
        CHECK(memcmp(v[i].p, want, v[i].len) == 0); /* nothing in use was thrown away */
        blob_close(&r[i]);
    }
    s = blob_cache_stats(w.c);
    CHECK(s.bytes <= 2 * MIB && s.pinned == 0);
    web_clear(&w);
}

static void what_is_handed_out_cannot_be_written(void **state)
{
    (void)state;
    struct web w;
    struct err e;
    web_init(&w, 16 * MIB);
    const size_t sizes[] = {5000, LARGE};
    for (uint32_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct entry a = put_filler(&w.t, sizes[i], i);
        struct blob_reader *r = NULL;
        struct span v;
        CHECK_OK(blob_open(w.c, &a.d, a.size, &a.root, &r, &e), e);
        CHECK_OK(blob_read(r, 0, &v, &e), e);
        int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        CHECK(read(zero, (void *)(uintptr_t)v.p, 1) < 0 && errno == EFAULT); /* the page is r-- */
        close(zero);
        blob_close(&r);
    }
    web_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blobs_of_every_size_are_read_right),
        TEST(memory_is_used_again_while_the_file_is_as_it_was),
        TEST(a_change_before_a_read_is_refused_and_told),
        TEST(a_change_during_a_download_stops_it_with_right_bytes),
        TEST(a_change_after_a_download_is_found_by_the_next),
        TEST(a_truncated_or_longer_file_is_named),
        TEST(a_file_replaced_by_rename_is_read_anew),
        TEST(a_write_through_mmap_never_reaches_a_reader),
        TEST(a_chunk_list_must_be_the_published_one),
        TEST(readers_of_a_cold_blob_verify_it_once),
        TEST(memory_stays_below_its_ceiling_but_for_what_is_in_use),
        TEST(what_is_handed_out_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
