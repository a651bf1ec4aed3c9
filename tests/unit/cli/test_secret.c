#include "cli/secret.h"

#include "base/digest.h"
#include "base/text.h"
#include "cli/remote.h"
#include "check.h"

static void a_secret_survives_its_text(void **state)
{
    (void)state;
    struct err e;
    struct secret a, b;
    char text[SECRET_TEXT];
    CHECK_OK(secret_new("build: nightly", &a, &e), e); /* a name may hold the separator */
    secret_text(&a, text);
    CHECK(strncmp(text, "cordon-operator:build: nightly:", 31) == 0);
    size_t len = strlen(text);
    text[len] = '\n';
    text[len + 1] = 0;
    CHECK_OK(secret_parse(span_str(text), &b, &e), e);
    CHECK_STR(b.name, "build: nightly");
    CHECK(memcmp(&a.public, &b.public, sizeof a.public) == 0);
}

static void what_is_no_secret_is_refused(void **state)
{
    (void)state;
#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
    static const char *const bad[] = {
        "",
        "cordon-operator:",
        "cordon-operator::" HEX,
        "cordon-operator:x" HEX,
        "cordon-operator:x:" HEX "0",
        "cordon-operator:x:0011",
        "cordon-token:x:" HEX,
        "cordon-operator:a\nb:" HEX,
        "cordon-operator:x:0Z112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    };
    struct secret s = {.name = "kept"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK(secret_parse(span_str(bad[i]), &s, NULL) < 0);
    }
    CHECK_STR(s.name, "kept");
}

/* The text that the server checks, written out once by hand. */
static void a_request_is_signed_as_the_gate_checks_it(void **state)
{
    (void)state;
    struct err e;
    struct secret s;
    struct digest body = digest_of(span_str("{}"));
    char hex[DIGEST_TEXT + 1], want[512];
    CLEANUP(buf_clear) struct buf headers = BUF(4096);
    CLEANUP(buf_clear) struct buf sig = BUF(SIG_LEN);
    CHECK_OK(secret_parse(span_str("cordon-operator:ci:" HEX), &s, &e), e);
    struct remote_request q = {.method = "POST",
                               .path = "/api/v1/admit.begin",
                               .query = "a=b",
                               .time = "2001-04-19T09:12:00Z",
                               .nonce = "00000000000000000000000000000001",
                               .body = body};
    remote_sign(&s, &q, &headers);
    snprintf(want, sizeof want,
             "cordon-request/v1\nPOST\n/api/v1/admit.begin?a=b\n2001-04-19T09:12:00Z\n"
             "00000000000000000000000000000001\n%s\n",
             digest_text(&body, hex));
    const char *line = strstr(buf_text(&headers), "X-Cordon-Signature: ");
    CHECK(line != NULL && strstr(buf_text(&headers), "X-Cordon-Operator: ci\n") != NULL);
    line += strlen("X-Cordon-Signature: ");
    CHECK_OK(text_unbase64(span_of(line, strcspn(line, "\n")), &sig, &e), e);
    CHECK(sig.len == SIG_LEN && sig_ok(&s.public, span_str(want), sig.p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_secret_survives_its_text),
        TEST(what_is_no_secret_is_refused),
        TEST(a_request_is_signed_as_the_gate_checks_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
