#include "base/digest.h"

#include "base/text.h"
#include "check.h"

/* FIPS 180-4 gives this as SHA-256("abc"). */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void a_digest_has_one_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        {ABC, 0},
        {"", ERR_FORMAT},
        {ABC "0", ERR_FORMAT},
        {"BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", ERR_FORMAT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct digest d = {.b = {7}};
        CHECK(digest_parse(span_str(cases[i].text), &d, NULL) == cases[i].want);
        CHECK(cases[i].want == 0 || d.b[0] == 7); /* kept on failure */
    }
}

static void one_pass_gives_all_three_hashes(void **state)
{
    (void)state;
    struct hasher3 h;
    char text[DIGEST_TEXT + 1];
    hasher3_init(&h);
    hasher3_add(&h, span_str("ab"));
    hasher3_add(&h, span_str("c"));
    struct digests d = hasher3_end(&h);
    CLEANUP(buf_clear) struct buf b = BUF(200);
    text_hex(&b, span_of(d.sha1, sizeof d.sha1));
    buf_char(&b, ' ');
    text_hex(&b, span_of(d.md5, sizeof d.md5));
    CHECK_STR(digest_text(&d.sha256, text), ABC);
    CHECK_STR(buf_text(&b),
              "a9993e364706816aba3e25717850c26c9cd0d89d 900150983cd24fb0d6963f7d28e17f72");
    struct digest once = digest_of(span_str("abc"));
    CHECK(digest_eq(&once, &d.sha256));
    hasher3_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_digest_has_one_spelling),
        TEST(one_pass_gives_all_three_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
