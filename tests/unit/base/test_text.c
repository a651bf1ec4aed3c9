#include "base/text.h"

#include "base/limits.h"
#include "check.h"

static void base64_follows_rfc_4648(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *text;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_clear) struct buf b = BUF(100);
        CLEANUP(buf_clear) struct buf back = BUF(100);
        text_base64(&b, span_str(cases[i].plain));
        CHECK_STR(buf_text(&b), cases[i].text);
        CHECK(text_unbase64(buf_view(&b), &back, NULL) == 0);
        CHECK_STR(buf_text(&back), cases[i].plain);
    }
    static const char *const bad[] = {"Z", "Zg=", "Zh==", "Zm9v\n", "Zm=v", "===="};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP(buf_clear) struct buf b = BUF(100);
        CHECK(text_unbase64(span_str(bad[i]), &b, NULL) == ERR_FORMAT);
    }
    CLEANUP(buf_clear) struct buf url = BUF(100);
    CHECK(text_unbase64(span_str("-_8"), &url, NULL) == 0 && url.p[0] == 0xfb);
}

static void only_well_formed_utf8_passes(void **state)
{
    (void)state;
    static const char *const good[] = {"", "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    static const char *const bad[] = {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\xe2\x82", "\xff",         "\x80"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        CHECK(text_is_utf8(span_str(good[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK(!text_is_utf8(span_str(bad[i])));
    }
    CHECK(!text_is_utf8(span_of("a\0b", 3)));
}

static void names_are_plain_text(void **state)
{
    (void)state;
    struct err e;
    CHECK(text_check_name(span_str("Müller & Söhne"), "organisation", NULL) == 0);
    CHECK(text_check_name(span_str(""), "organisation", NULL) == ERR_FORMAT);
    CHECK(text_check_name(span_str("a\nb"), "organisation", &e) == ERR_FORMAT);
    CHECK_STR(e.text, "the organisation holds a control character at byte 2");
    CHECK(text_check_name(span_str(" a"), "x", NULL) == ERR_FORMAT);
    CHECK(text_check_name(span_str("a\xc2\x85"), "x", NULL) == ERR_FORMAT);
    char lots[LIMIT_NAME + 2];
    memset(lots, 'a', sizeof lots - 1);
    lots[sizeof lots - 1] = 0;
    CHECK(text_check_name(span_str(lots), "x", NULL) == ERR_LIMIT);
}

static void escaping_shows_every_control(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf b = BUF(100);
    text_escape(&b, span_str("a\x1b[2J\xc2\x9b\xff\xc3\xa4"));
    CHECK_STR(buf_text(&b), "a\\x1b[2J\\xc2\\x9b\\xff\xc3\xa4");
}

static void numbers_have_one_spelling(void **state)
{
    (void)state;
    uint64_t v = 7;
    CHECK(text_u64(span_str("18446744073709551615"), UINT64_MAX, &v, NULL) == 0);
    CHECK(v == UINT64_MAX);
    CHECK(text_u64(span_str("18446744073709551616"), UINT64_MAX, &v, NULL) == ERR_FORMAT);
    CHECK(text_u64(span_str("01"), 9, &v, NULL) == ERR_FORMAT);
    CHECK(text_u64(span_str("-1"), 9, &v, NULL) == ERR_FORMAT);
    CHECK(text_u64(span_str(""), 9, &v, NULL) == ERR_FORMAT);
    CHECK(text_u64(span_str("10"), 9, &v, NULL) == ERR_FORMAT);
    CHECK(text_distance("serve.lisen", "serve.listen") == 1);
    CHECK(text_distance("", "abc") == 3 && text_distance("kitten", "sitting") == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(base64_follows_rfc_4648),   TEST(only_well_formed_utf8_passes),
        TEST(names_are_plain_text),      TEST(escaping_shows_every_control),
        TEST(numbers_have_one_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
