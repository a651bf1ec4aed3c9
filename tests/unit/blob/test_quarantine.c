#include "blob/blob.h"

#include "site.h"

static void a_refused_blob_comes_back_only_with_the_key(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 5, BLOB_CHUNK, 2 * BLOB_CHUNK + 3};
    const uint8_t key[BLOB_KEY] = {1}, other[BLOB_KEY] = {2};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct site t = site_new();
        struct err e;
        CLEANUP(mem_free) uint8_t *p = filler(sizes[i], 5);
        CLEANUP(blob_discard) struct blob b = BLOB_NONE;
        CLEANUP(blob_discard) struct blob back = BLOB_NONE;
        CHECK_OK(blob_stage_span(t.s, span_of(p, sizes[i]), &b, &e), e);
        CHECK_OK(blob_quarantine(t.s, &b, key, &e), e);
        CHECK_OK(blob_quarantine(t.s, &b, key, &e), e); /* again: kept */
        CHECK(names_in(&t, "quarantine") == 1);
        CHECK(blob_unquarantine(t.s, &b.d.sha256, other, &back, &e) == ERR_TRUST);
        CHECK_OK(blob_unquarantine(t.s, &b.d.sha256, key, &back, &e), e);
        CHECK(back.size == sizes[i] && digest_eq(&back.d.sha256, &b.d.sha256));
        struct digest none = {{9}};
        blob_discard(&back);
        CHECK(blob_unquarantine(t.s, &none, key, &back, &e) == ERR_NOTFOUND);
        site_clear(&t);
    }
}

static void nothing_of_it_can_be_read_run_or_changed(void **state)
{
    (void)state;
    struct site t = site_new();
    struct err e;
    const uint8_t key[BLOB_KEY] = {1};
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    CLEANUP(blob_discard) struct blob back = BLOB_NONE;
    CLEANUP(buf_clear) struct buf file = BUF(1000);
    char hex[DIGEST_TEXT + 1], path[100];
    CHECK_OK(blob_stage_span(t.s, span_str("an inert marker, repeated: marker marker"), &b, &e), e);
    CHECK_OK(blob_quarantine(t.s, &b, key, &e), e);
    snprintf(path, sizeof path, "quarantine/%s.sealed", digest_text(&b.d.sha256, hex));
    CHECK_OK(file_read(t.dir.fd, path, 1000, &file, &e), e);
    CHECK(memmem(file.p, file.len, "marker", 6) == NULL);
    struct stat st;
    CHECK(fstatat(t.dir.fd, path, &st, 0) == 0 && (st.st_mode & 07777) == 0400);
    for (off_t at = 0; at < (off_t)file.len; at++) {
        poke(&t, path, at, 1);
        CHECK(blob_unquarantine(t.s, &b.d.sha256, key, &back, &e) < 0);
        poke(&t, path, at, 1);
    }
    CHECK(truncateat_ok(&t, path, (off_t)file.len - 1));
    CHECK(blob_unquarantine(t.s, &b.d.sha256, key, &back, &e) == ERR_TRUST);
    site_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_refused_blob_comes_back_only_with_the_key),
        TEST(nothing_of_it_can_be_read_run_or_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
