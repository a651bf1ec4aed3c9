#include "key/key.h"

#include "check.h"

static const struct key_sub sub = {.b = {1, 2, 3}}, other = {.b = {1, 2, 4}};

static void a_sealed_text_opens_with_its_key_and_ad(void **state)
{
    (void)state;
    struct err e;
    for (size_t len = 0; len < 100; len += 33) {
        uint8_t plain[100] = {9};
        CLEANUP(buf_clear) struct buf sealed = BUF(1000);
        CLEANUP(key_wipe) struct buf out = BUF(1000);
        buf_str(&sealed, "front");
        CHECK_OK(key_seal(&sub, span_str("ad"), span_of(plain, len), &sealed, &e), e);
        CHECK(sealed.len == 5 + len + KEY_SEAL_MORE);
        struct span s = span_of(sealed.p + 5, sealed.len - 5);
        CHECK(key_unseal(&other, span_str("ad"), s, &out, &e) == ERR_TRUST);
        CHECK(key_unseal(&sub, span_str("aD"), s, &out, &e) == ERR_TRUST);
        CHECK(key_unseal(&sub, SPAN_NONE, s, &out, &e) == ERR_TRUST);
        CHECK(out.len == 0);
        CHECK_OK(key_unseal(&sub, span_str("ad"), s, &out, &e), e);
        CHECK(span_eq(buf_view(&out), span_of(plain, len)));
    }
}

static void every_changed_byte_and_length_is_noticed(void **state)
{
    (void)state;
    struct err e;
    CLEANUP(buf_clear) struct buf sealed = BUF(1000);
    CLEANUP(key_wipe) struct buf out = BUF(1000);
    CHECK_OK(key_seal(&sub, SPAN_NONE, span_str("plain"), &sealed, &e), e);
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.p[i] ^= 1;
        CHECK(key_unseal(&sub, SPAN_NONE, buf_view(&sealed), &out, &e) == ERR_TRUST);
        sealed.p[i] ^= 1;
        CHECK(key_unseal(&sub, SPAN_NONE, span_of(sealed.p, i), &out, &e) == ERR_TRUST);
    }
    CHECK(out.len == 0);
}

static void two_seals_of_one_text_differ(void **state)
{
    (void)state;
    struct err e;
    CLEANUP(buf_clear) struct buf a = BUF(1000);
    CLEANUP(buf_clear) struct buf b = BUF(1000);
    CHECK_OK(key_seal(&sub, SPAN_NONE, span_str("plain"), &a, &e), e);
    CHECK_OK(key_seal(&sub, SPAN_NONE, span_str("plain"), &b, &e), e);
    CHECK(!span_eq(buf_view(&a), buf_view(&b)));
    CLEANUP(buf_clear) struct buf small = BUF(20);
    CHECK(key_seal(&sub, SPAN_NONE, span_str("plain"), &small, &e) == ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sealed_text_opens_with_its_key_and_ad),
        TEST(every_changed_byte_and_length_is_noticed),
        TEST(two_seals_of_one_text_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
