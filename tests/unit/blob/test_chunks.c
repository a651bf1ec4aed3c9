#include "blob/blob.h"

#include "base/buf.h"
#include "check.h"

static struct digest hash_of(const char *text)
{
    return digest_of(span_str(text));
}

static struct digest parent(struct digest l, struct digest r)
{
    uint8_t in[65] = {1};
    memcpy(in + 1, l.b, 32);
    memcpy(in + 33, r.b, 32);
    return digest_of(span_of(in, 65));
}

static struct digest leaf(struct digest d)
{
    uint8_t in[33] = {0};
    memcpy(in + 1, d.b, 32);
    return digest_of(span_of(in, 33));
}

/* RFC 6962 2.1 word for word: split at the largest power of two below n. */
static struct digest by_the_book(const struct digest *c, size_t n)
{
    if (n == 1) {
        return leaf(c[0]);
    }
    size_t k = 1;
    while (k * 2 < n) {
        k *= 2;
    }
    return parent(by_the_book(c, k), by_the_book(c + k, n - k));
}

static void the_root_is_that_of_rfc_6962(void **state)
{
    (void)state;
    struct digest c[40], got, want;
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        c[i] = digest_of(span_of(&i, sizeof i));
    }
    got = blob_chunk_root(NULL, 0);
    want = hash_of("");
    CHECK(digest_eq(&got, &want));
    for (size_t n = 1; n <= ARRAY_LEN(c); n++) {
        got = blob_chunk_root(c, n);
        want = by_the_book(c, n);
        CHECK(digest_eq(&got, &want));
    }
}

static void a_list_is_read_back_and_every_changed_byte_is_refused(void **state)
{
    (void)state;
    struct digest c[3] = {hash_of("a"), hash_of("b"), hash_of("c")};
    CLEANUP(buf_clear) struct buf b = BUF(1000);
    blob_chunks_write(2 * BLOB_CHUNK + 1, c, &b);
    struct blob_chunks got;
    struct err e;
    CHECK_OK(blob_chunks_parse(buf_view(&b), &got, &e), e);
    CHECK(got.size == 2 * BLOB_CHUNK + 1 && span_eq(got.hashes, span_of(c, sizeof c)));
    for (size_t i = 0; i < b.len; i++) {
        if (i >= 21 && i < 24) {
            continue; /* the low bytes of the length: other lengths have three chunks too */
        }
        b.p[i] ^= 1;
        CHECK(blob_chunks_parse(buf_view(&b), &got, NULL) == ERR_FORMAT);
        b.p[i] ^= 1;
    }
    for (size_t n = 0; n < b.len; n++) {
        CHECK(blob_chunks_parse(span_of(b.p, n), &got, NULL) == ERR_FORMAT);
    }
    buf_char(&b, 0);
    CHECK(blob_chunks_parse(buf_view(&b), &got, NULL) == ERR_FORMAT);
}

static void chunks_are_counted(void **state)
{
    (void)state;
    CHECK(blob_chunk_count(0) == 0);
    CHECK(blob_chunk_count(1) == 1);
    CHECK(blob_chunk_count(BLOB_CHUNK) == 1);
    CHECK(blob_chunk_count(BLOB_CHUNK + 1) == 2);
    CHECK(blob_chunk_count(BLOB_MAX) == BLOB_MAX / BLOB_CHUNK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_root_is_that_of_rfc_6962),
        TEST(a_list_is_read_back_and_every_changed_byte_is_refused),
        TEST(chunks_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
