#include "log_help.h"

#define ROOT "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"

static void a_checkpoint_has_one_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        {"example.org/log\n0\n" ROOT, 0},
        {"example.org/log\n4611686018427387904\n" ROOT, 0},
        {"example.org/log\n5\n" ROOT "an extension\n", 0},
        {"example.org/log\n4611686018427387905\n" ROOT, ERR_FORMAT},
        {"example.org/log\n18446744073709551616\n" ROOT, ERR_FORMAT},
        {"example.org/log\n05\n" ROOT, ERR_FORMAT},
        {"example.org/log\n+5\n" ROOT, ERR_FORMAT},
        {"example.org/log\n\n" ROOT, ERR_FORMAT},
        {"\n5\n" ROOT, ERR_FORMAT},
        {"example log\n5\n" ROOT, ERR_FORMAT},
        {"example+log\n5\n" ROOT, ERR_FORMAT},
        {"example\x01\n5\n" ROOT, ERR_FORMAT},
        {"example.org/log\n5\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", ERR_FORMAT},
        {"example.org/log\n5\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU\n", ERR_FORMAT},
        {"example.org/log\n5\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n", ERR_FORMAT},
        {"example.org/log\n5\n" ROOT "\n", ERR_FORMAT},
        {"example.org/log\n5\n" ROOT "no newline", ERR_FORMAT},
        {"example.org/log\n5\n" ROOT "tab\there\n", ERR_FORMAT},
        {"example.org/log\r\n5\r\n" ROOT, ERR_FORMAT},
        {"example.org/log\n5", ERR_FORMAT},
        {"", ERR_FORMAT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tlog_checkpoint c = {.head.size = 77};
        int r = tlog_checkpoint_parse(span_str(cases[i].text), &c, NULL);
        if ((r == 0) != (cases[i].want == 0)) {
            print_error("case %zu: %d\n", i, r);
        }
        CHECK((r == 0) == (cases[i].want == 0));
        CHECK(r == 0 || c.head.size == 77);
    }
}

static void what_is_written_is_what_is_read(void **state)
{
    (void)state;
    struct tlog_checkpoint c = {.origin = "example.org/log", .head = tlog_head_empty()}, got;
    c.head.size = 123456789;
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_NOTE);
    struct err e;
    CHECK_OK(tlog_checkpoint_text(&c, &text, &e), e);
    CHECK_STR(buf_text(&text), "example.org/log\n123456789\n" ROOT);
    CHECK_OK(tlog_checkpoint_parse(buf_view(&text), &got, &e), e);
    CHECK(got.head.size == c.head.size && digest_eq(&got.head.root, &c.head.root));
    CHECK_STR(got.origin, c.origin);
    c.origin[0] = 0;
    CHECK(tlog_checkpoint_text(&c, &text, NULL) == ERR_FORMAT);
    memset(c.origin, 'a', sizeof c.origin); /* not even a NUL */
    CHECK(tlog_checkpoint_text(&c, &text, NULL) == ERR_FORMAT);
}

static int sign(void *ctx, struct span message, uint8_t out[SIG_LEN], struct err *e)
{
    (void)e;
    return crypto_sign_detached(out, NULL, message.p, message.len, ctx);
}

static int sign_refused(void *ctx, struct span message, uint8_t out[SIG_LEN], struct err *e)
{
    (void)ctx;
    (void)message;
    memset(out, 0, SIG_LEN);
    return err_set(e, ERR_DENIED, "no");
}

static void only_the_key_and_origin_asked_for_open_it(void **state)
{
    (void)state;
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    struct sig_by by = {.sign = sign, .ctx = secret};
    CHECK(crypto_sign_keypair(by.key.b, secret) == 0);
    struct tlog_checkpoint c = {.origin = "example.org/log", .head = tlog_head_empty()}, got;
    CLEANUP(buf_clear) struct buf note = BUF(LIMIT_NOTE);
    struct err e;
    CHECK_OK(tlog_checkpoint_sign(&c, &by, &note, &e), e);
    CHECK_OK(tlog_checkpoint_open(buf_view(&note), c.origin, &by.key, &got, &e), e);
    CHECK(tlog_checkpoint_open(buf_view(&note), "example.org/lo", &by.key, &got, NULL) ==
          ERR_TRUST);
    note.p[0] ^= 1; /* an origin in the text that is not the key's name */
    CHECK(tlog_checkpoint_open(buf_view(&note), c.origin, &by.key, &got, NULL) == ERR_TRUST);
    buf_reset(&note);
    by.sign = sign_refused;
    CHECK(tlog_checkpoint_sign(&c, &by, &note, NULL) == ERR_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_checkpoint_has_one_spelling),
        TEST(what_is_written_is_what_is_read),
        TEST(only_the_key_and_origin_asked_for_open_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
