#include "scan/scan_priv.h"
#include "check.h"

#define SHA256 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define SHA1 "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"
#define MD5 "5d41402abc4b2a76b9719d911017c592"
#define HASHES "\"size\":5,\"sha256\":\"" SHA256 "\",\"sha1\":\"" SHA1 "\",\"md5\":\"" MD5 "\""
#define FINDING(severity)                                                                          \
    "{\"engine\":\"yara\",\"rule\":\"r\",\"severity\":\"" severity                                 \
    "\",\"offset\":-1,\"text\":\"\",\"member\":\"\"}"
#define FAILED "{\"engine\":\"pe\",\"reason\":\"x\"}"
#define ANSWER(verdict, engines, failed, findings, members)                                        \
    "{\"verdict\":\"" verdict "\"," HASHES ",\"engines\":[" engines "],\"failed\":[" failed        \
    "],\"findings\":[" findings "],\"members\":[" members "]}"

static int parse(const char *text, struct scan_result *out, struct err *e)
{
    CLEANUP(js_free) json_t *j = NULL;
    CHECK_OK(js_parse(span_str(text), 100000, "answer", &j, e), *e);
    return scan_answer_parse(j, out, e);
}

static void the_verdict_follows_from_the_findings(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum verdict want;
    } cases[] = {
        {ANSWER("clean", "\"yara\"", "", "", ""), VERDICT_CLEAN},
        {ANSWER("clean", "\"pe\"", "", FINDING("clean"), ""), VERDICT_CLEAN}, /* a note */
        {ANSWER("none", "\"yara\"", FAILED, "", ""), VERDICT_NONE},
        {ANSWER("malicious", "", "", FINDING("malicious"), ""), VERDICT_MALICIOUS},
        {ANSWER("suspicious", "", FAILED, FINDING("suspicious"), ""), VERDICT_SUSPICIOUS},
        {ANSWER("malicious", "", "", FINDING("malicious") "," FINDING("uninspectable"), ""),
         VERDICT_MALICIOUS},
        {ANSWER("uninspectable", "", "", FINDING("uninspectable"), "{\"path\":\"a\"," HASHES "}"),
         VERDICT_UNINSPECTABLE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scan_result r = {0};
        struct err e = {0};
        CHECK_OK(parse(cases[i].text, &r, &e), e);
        CHECK(r.verdict == cases[i].want && r.size == 5);
        scan_result_clear(&r);
    }
}

static void an_answer_that_is_not_well_formed_is_refused_whole(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[]", "no JSON object"},
        {"{}", "verdict"},
        {ANSWER("fine", "", "", "", ""), "no verdict"},
        {ANSWER("clean", "", "", FINDING("malicious"), ""), "its findings say malicious"},
        {ANSWER("clean", "", FAILED, "", ""), "its findings say none"},
        {ANSWER("malicious", "", "", "", ""), "its findings say clean"},
        {ANSWER("clean", "", "", FINDING("none"), ""), "finding of severity none"},
        {ANSWER("clean", "\"a\",\"a\"", "", "", ""), "engine 1"},
        {ANSWER("clean", "7", "", "", ""), "engine 0"},
        {ANSWER("clean", "", "", "7", ""), "finding 0"},
        {ANSWER("clean", "", "", "", "{\"path\":\"a\"}"), "member 0"},
        {"{\"verdict\":\"clean\",\"size\":-1}", "size"},
        {"{\"verdict\":\"clean\",\"size\":5,\"sha256\":\"00\"}", "sha256"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scan_result r = {.size = 77};
        struct err e = {0};
        CHECK(parse(cases[i].text, &r, &e) == ERR_FORMAT);
        if (strstr(e.text, cases[i].says) == NULL) {
            print_error("%zu: %s\n", i, e.text);
        }
        CHECK(strstr(e.text, cases[i].says) != NULL);
        CHECK(r.size == 77 && r.verdict == VERDICT_NONE); /* untouched */
    }
}

static void what_the_pool_says_itself_never_makes_it_better(void **state)
{
    (void)state;
    struct scan_result r = {.verdict = VERDICT_MALICIOUS};
    scan_result_refuse(&r, VERDICT_NONE, "first");
    scan_result_refuse(&r, VERDICT_UNINSPECTABLE, "second");
    CHECK(r.verdict == VERDICT_MALICIOUS);
    CHECK_STR(r.reason, "first");
    scan_result_clear(&r);
    scan_result_refuse(&r, VERDICT_CLEAN, "x"); /* zero stays closed */
    CHECK(r.verdict == VERDICT_NONE);
    scan_result_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_verdict_follows_from_the_findings),
        TEST(an_answer_that_is_not_well_formed_is_refused_whole),
        TEST(what_the_pool_says_itself_never_makes_it_better),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
