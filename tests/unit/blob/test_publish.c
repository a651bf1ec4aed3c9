#include "blob/blob.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "site.h"

static void a_blob_appears_whole_with_the_batch(void **state)
{
    (void)state;
    struct site t = site_new();
    struct err e;
    CLEANUP(mem_free) uint8_t *p = filler(BLOB_CHUNK + 9, 3);
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    enum blob_put put = 0;
    CHECK_OK(blob_stage_span(t.s, span_of(p, BLOB_CHUNK + 9), &b, &e), e);
    CHECK_OK(blob_publish(t.s, &b, &put, &e), e);
    CHECK(put == BLOB_PUT_NEW && !blobstore_has(t.s, &b.d.sha256, NULL));
    CHECK_OK(blob_publish(t.s, &b, &put, &e), e);
    CHECK(put == BLOB_PUT_KNOWN); /* twice in one batch */
    CHECK_OK(blobstore_sync(t.s, &e), e);
    uint64_t size = 0;
    CHECK(blobstore_has(t.s, &b.d.sha256, &size) && size == BLOB_CHUNK + 9);
    CHECK(names_in(&t, "staging/batch") == 0);

    char hex[DIGEST_TEXT + 1], path[100];
    digest_text(&b.d.sha256, hex);
    snprintf(path, sizeof path, "blobs/%.2s/%s.chunks", hex, hex + 2);
    CLEANUP(buf_clear) struct buf list = BUF(1000);
    struct blob_chunks c;
    CHECK_OK(file_read(t.dir.fd, path, 1000, &list, &e), e);
    CHECK_OK(blob_chunks_parse(buf_view(&list), &c, &e), e);
    CHECK(digest_eq(&c.root, &b.chunk_root) && c.size == size);
    struct stat st;
    CHECK(fstatat(t.dir.fd, path, &st, 0) == 0 && (st.st_mode & 07777) == 0444);
    path[strlen(path) - 7] = 0;
    CHECK(fstatat(t.dir.fd, path, &st, 0) == 0 && (st.st_mode & 07777) == 0444);
    CHECK(st.st_nlink == 1);
    site_clear(&t);
}

static void the_same_bytes_again_are_known_and_rot_is_repaired(void **state)
{
    (void)state;
    struct site t = site_new();
    struct err e;
    struct entry a = put_filler(&t, 5000, 1);
    CLEANUP(mem_free) uint8_t *p = filler(5000, 1);
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    CLEANUP(blob_discard) struct blob back = BLOB_NONE;
    enum blob_put put = 0;
    struct stat before, after;
    CHECK(fstatat(t.dir.fd, a.path, &before, 0) == 0);
    CHECK_OK(blob_stage_span(t.s, span_of(p, 5000), &b, &e), e);
    CHECK_OK(blob_publish(t.s, &b, &put, &e), e);
    CHECK_OK(blobstore_sync(t.s, &e), e);
    CHECK(fstatat(t.dir.fd, a.path, &after, 0) == 0);
    CHECK(put == BLOB_PUT_KNOWN && before.st_ino == after.st_ino);

    poke(&t, a.path, 4999, 0x20);
    CHECK(blob_reopen(t.s, &a.d, &back, &e) == ERR_TRUST);
    CHECK_OK(blob_publish(t.s, &b, &put, &e), e);
    CHECK_OK(blobstore_sync(t.s, &e), e);
    CHECK(put == BLOB_PUT_REPAIRED);
    CHECK_OK(blob_reopen(t.s, &a.d, &back, &e), e);
    CHECK(back.size == 5000 && digest_eq(&back.chunk_root, &a.root));
    site_clear(&t);
}

static void a_lost_chunk_list_is_made_anew(void **state)
{
    (void)state;
    struct site t = site_new();
    struct err e;
    struct entry a = put_filler(&t, BLOB_CHUNK * 2, 1);
    char path[110];
    snprintf(path, sizeof path, "%s.chunks", a.path);
    CLEANUP(buf_clear) struct buf one = BUF(1000);
    CLEANUP(buf_clear) struct buf two = BUF(1000);
    CHECK_OK(file_read(t.dir.fd, path, 1000, &one, &e), e);
    CHECK(unlinkat(t.dir.fd, path, 0) == 0);
    CHECK_OK(blob_rechunk(t.s, &a.d, &e), e);
    CHECK_OK(blobstore_sync(t.s, &e), e);
    CHECK_OK(file_read(t.dir.fd, path, 1000, &two, &e), e);
    CHECK(span_eq(buf_view(&one), buf_view(&two)));
    poke(&t, a.path, 1, 1);
    CHECK(blob_rechunk(t.s, &a.d, &e) == ERR_TRUST); /* never of bytes that are wrong */
    site_clear(&t);
}

static void what_a_crash_leaves_is_swept(void **state)
{
    (void)state;
    struct site t = site_new();
    struct err e;
    struct entry a = put_filler(&t, 10, 1);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) { /* dies with one blob staged and one in the batch */
        struct blob b = BLOB_NONE, c = BLOB_NONE;
        if (blob_stage_span(t.s, span_str("one"), &b, &e) < 0 ||
            blob_publish(t.s, &b, NULL, &e) < 0 ||
            blob_stage_span(t.s, span_str("two"), &c, &e) < 0) {
            _exit(1);
        }
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(names_in(&t, "staging/batch") == 2);
    CHECK_OK(file_write(t.dir.fd, "staging/put-0123", span_str("x"), 0444, &e), e);
    CHECK_OK(file_write(t.dir.fd, "quarantine/aa.part", span_str("x"), 0444, &e), e);
    blobstore_close(&t.s);
    CHECK_OK(blobstore_open(t.dir.fd, &t.s, &e), e);
    CHECK(names_in(&t, "staging/batch") == 0 && names_in(&t, "quarantine") == 0);
    CHECK(names_in(&t, "staging") == 1 && names_in(&t, "blobs") == 1);
    struct digest one = digest_of(span_str("one"));
    CHECK(!blobstore_has(t.s, &one, NULL) && blobstore_has(t.s, &a.d, NULL));
    site_clear(&t);
}

static void a_store_for_reading_takes_nothing(void **state)
{
    (void)state;
    struct site t = site_new();
    struct err e;
    struct blobstore *web = NULL;
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    CHECK_OK(blobstore_open_read(t.dir.fd, &web, &e), e);
    CHECK(blob_stage_span(web, span_str("x"), &b, &e) == ERR_DENIED);
    CHECK(blobstore_sync(web, &e) == ERR_DENIED);
    CHECK_OK(blob_stage_span(t.s, span_str("x"), &b, &e), e);
    CHECK(blob_publish(web, &b, NULL, &e) == ERR_DENIED);
    CHECK(blob_quarantine(web, &b, b.d.sha256.b, &e) == ERR_DENIED);
    CHECK(blob_unquarantine(web, &b.d.sha256, b.d.sha256.b, &b, &e) == ERR_DENIED);
    blobstore_close(&web);
    blobstore_close(&web);
    site_clear(&t);
}

/* In a child with a mount namespace of its own, so that nothing outside sees the little disk. */
static int on_a_full_disk(const struct site *t)
{
    struct err e = {0};
    char path[300];
    snprintf(path, sizeof path, "%s/disk", t->dir.path);
    if (mkdir(path, 0700) < 0 || unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", path, "tmpfs", 0, "size=2m") < 0) {
        return 77;
    }
    struct blobstore *s = NULL;
    struct blob big = BLOB_NONE, fits = BLOB_NONE;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint8_t *p = filler(4 << 20, 1);
    if (blobstore_open(dir, &s, &e) < 0) {
        return 1;
    }
    if (blob_stage_span(s, span_of(p, 4 << 20), &big, &e) != ERR_SYS || e.sys != ENOSPC ||
        strstr(e.text, "free some space") == NULL) {
        return 2;
    }
    if (blob_stage_span(s, span_of(p, 1 << 20), &fits, &e) < 0 ||
        blob_publish(s, &fits, NULL, &e) < 0 || blobstore_sync(s, &e) < 0) {
        return 3; /* what failed gave its room back */
    }
    return blobstore_has(s, &fits.d.sha256, NULL) ? 0 : 4;
}

static void a_full_disk_is_a_clean_refusal(void **state)
{
    (void)state;
    struct site t = site_new();
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        _exit(on_a_full_disk(&t));
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    site_clear(&t);
    if (WEXITSTATUS(status) == 77) {
        skip(); /* may not mount here */
    }
    CHECK(WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_blob_appears_whole_with_the_batch),
        TEST(the_same_bytes_again_are_known_and_rot_is_repaired),
        TEST(a_lost_chunk_list_is_made_anew),
        TEST(what_a_crash_leaves_is_swept),
        TEST(a_store_for_reading_takes_nothing),
        TEST(a_full_disk_is_a_clean_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
