#include "blob/blob.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/text.h"
#include "site.h"

#define MAX ((uint64_t)64 << 20)

static void a_copy_knows_its_three_digests_and_its_chunks(void **state)
{
    (void)state;
    struct site t = site_new();
    struct err e;
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    char hex[DIGEST_TEXT + 1];
    CHECK_OK(blob_stage_span(t.s, span_str("abc"), &b, &e), e);
    CHECK_STR(digest_text(&b.d.sha256, hex),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(b.size == 3 && b.n_chunks == 1 && digest_eq(&b.chunks[0], &b.d.sha256));
    CHECK(b.d.md5[0] == 0x90 && b.d.md5[15] == 0x72 && b.d.sha1[0] == 0xa9);
    blob_discard(&b);

    size_t n = 2 * BLOB_CHUNK + 5;
    CLEANUP(mem_free) uint8_t *p = filler(n, 1);
    int src = file_of(&t, "src", n, 1);
    CHECK_OK(blob_stage(t.s, src, MAX, &b, &e), e);
    struct digest whole = digest_of(span_of(p, n)), last = digest_of(span_of(p + n - 5, 5));
    struct digest root = blob_chunk_root(b.chunks, b.n_chunks);
    CHECK(b.n_chunks == 3 && digest_eq(&b.d.sha256, &whole) && digest_eq(&b.chunks[2], &last));
    CHECK(digest_eq(&b.chunk_root, &root));
    close(src);
    site_clear(&t);
}

static void sizes_at_the_edges_of_a_chunk(void **state)
{
    (void)state;
    struct site t = site_new();
    const size_t sizes[] = {0, 1, BLOB_CHUNK - 1, BLOB_CHUNK, BLOB_CHUNK + 1, 2 * BLOB_CHUNK};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        CLEANUP(mem_free) uint8_t *p = filler(sizes[i], 7);
        CLEANUP(blob_discard) struct blob b = BLOB_NONE;
        struct err e;
        CHECK_OK(blob_stage_span(t.s, span_of(p, sizes[i]), &b, &e), e);
        struct digest d = digest_of(span_of(p, sizes[i]));
        CHECK(b.size == sizes[i] && b.n_chunks == blob_chunk_count(sizes[i]));
        CHECK(digest_eq(&d, &b.d.sha256));
        for (size_t k = 0; k < b.n_chunks; k++) {
            size_t left = sizes[i] - k * BLOB_CHUNK;
            d = digest_of(span_of(p + k * BLOB_CHUNK, left < BLOB_CHUNK ? left : BLOB_CHUNK));
            CHECK(digest_eq(&d, &b.chunks[k]));
        }
    }
    site_clear(&t);
}

static void a_sealed_copy_cannot_be_written(void **state)
{
    (void)state;
    struct site t = site_new();
    struct err e;
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    CHECK_OK(blob_stage_span(t.s, span_str("x"), &b, &e), e);
    CHECK(pwrite(b.fd, "y", 1, 0) < 0 && errno == EBADF);
    CHECK(ftruncate(b.fd, 0) < 0);
    CHECK(mmap(NULL, 1, PROT_WRITE, MAP_SHARED, b.fd, 0) == MAP_FAILED && errno == EACCES);
    struct stat st;
    CHECK(fstat(b.fd, &st) == 0 && (st.st_mode & 07777) == 0444);
    CHECK_OK(blob_unchanged(&b, &e), e);
    site_clear(&t);
}

static void a_copy_that_root_wrote_to_is_not_published(void **state)
{
    (void)state;
    struct site t = site_new();
    struct err e;
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    char path[40];
    CHECK_OK(blob_stage_span(t.s, span_str("x"), &b, &e), e);
    snprintf(path, sizeof path, "/proc/self/fd/%d", b.fd);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        skip(); /* only root can */
    }
    CHECK(blob_publish(t.s, &b, NULL, &e) == ERR_CONFLICT); /* a writer is there */
    usleep(20000);
    CHECK(pwrite(fd, "y", 1, 0) == 1);
    close(fd);
    CHECK(blob_publish(t.s, &b, NULL, &e) == ERR_CONFLICT); /* it wrote */
    CHECK_OK(blobstore_sync(t.s, &e), e);
    CHECK(!blobstore_has(t.s, &b.d.sha256, NULL));
    site_clear(&t);
}

static void only_regular_files_of_an_agreed_size_are_taken(void **state)
{
    (void)state;
    struct site t = site_new();
    struct err e;
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    CHECK(mkfifoat(t.dir.fd, "fifo", 0600) == 0);
    int fifo = openat(t.dir.fd, "fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int null = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    CHECK(blob_stage(t.s, fifo, MAX, &b, &e) == ERR_FORMAT);
    CHECK(blob_stage(t.s, null, MAX, &b, &e) == ERR_FORMAT);
    CHECK(blob_stage(t.s, t.dir.fd, MAX, &b, &e) == ERR_FORMAT);
    int src = file_of(&t, "src", 1000, 1);
    CHECK(blob_stage(t.s, src, 999, &b, &e) == ERR_LIMIT);
    CHECK_OK(blob_stage(t.s, src, 1000, &b, &e), e);
    CHECK(ftruncate(src, 100 << 20) == 0);
    blob_discard(&b);
    CHECK(blob_stage(t.s, src, 1 << 30, &b, &e) == ERR_LIMIT); /* holes */
    CHECK(b.fd == -1 && names_in(&t, "staging") == 1);
    close(fifo);
    close(null);
    close(src);
    site_clear(&t);
}

struct writer {
    int fd;
    int stop;
};

static void *keep_writing(void *arg)
{
    struct writer *w = arg;
    for (off_t at = 0; !__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE); at = (at + 4096) % (8 << 20)) {
        if (pwrite(w->fd, "!", 1, at) != 1) {
            return NULL;
        }
    }
    return NULL;
}

static void a_source_that_changes_meanwhile_is_refused(void **state)
{
    (void)state;
    struct site t = site_new();
    struct err e;
    int src = file_of(&t, "src", 8 << 20, 1);
    struct writer w = {.fd = src};
    pthread_t th;
    usleep(20000); /* so that the first write has another mtime */
    CHECK(pthread_create(&th, NULL, keep_writing, &w) == 0);
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    int r = blob_stage(t.s, src, MAX, &b, &e);
    __atomic_store_n(&w.stop, 1, __ATOMIC_RELEASE);
    pthread_join(th, NULL);
    CHECK(r == ERR_CONFLICT && b.fd == -1);
    close(src);
    site_clear(&t);
}

static void a_stream_is_taken_to_its_end(void **state)
{
    (void)state;
    struct site t = site_new();
    struct err e;
    int pair[2];
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    CHECK(write(pair[0], "ab", 2) == 2 && write(pair[0], "c", 1) == 1);
    CHECK(shutdown(pair[0], SHUT_WR) == 0);
    CHECK_OK(blob_stage_stream(t.s, pair[1], 3, CLOCK_SECOND, &b, &e), e);
    struct digest d = digest_of(span_str("abc"));
    CHECK(digest_eq(&d, &b.d.sha256));
    blob_discard(&b);
    close(pair[0]);
    close(pair[1]);

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    CHECK(write(pair[0], "abcd", 4) == 4);
    CHECK(blob_stage_stream(t.s, pair[1], 3, 30000, &b, &e) == ERR_UNAVAIL); /* silent */
    CHECK(write(pair[0], "abcd", 4) == 4);
    close(pair[0]);
    CHECK(blob_stage_stream(t.s, pair[1], 3, -1, &b, &e) == ERR_LIMIT);
    close(pair[1]);
    site_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_copy_knows_its_three_digests_and_its_chunks),
        TEST(sizes_at_the_edges_of_a_chunk),
        TEST(a_sealed_copy_cannot_be_written),
        TEST(a_copy_that_root_wrote_to_is_not_published),
        TEST(only_regular_files_of_an_agreed_size_are_taken),
        TEST(a_source_that_changes_meanwhile_is_refused),
        TEST(a_stream_is_taken_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
