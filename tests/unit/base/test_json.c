#include "base/json.h"

#include "base/limits.h"
#include "check.h"

static int parse(const char *text, json_t **out)
{
    return js_parse(span_str(text), LIMIT_JSON, "it", out, NULL);
}

static void canonical_form_is_sorted_and_bare(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* out NULL: no canonical form */
    } cases[] = {
        {"{\"b\": [1, -2 ], \"a\":\"x\\n\\\"\\\\\\u00e4\"}",
         "{\"a\":\"x\n\\\"\\\\\xc3\xa4\",\"b\":[1,-2]}"},
        {"{\"B\":true,\"a\":false,\"Z\":{}}", "{\"B\":true,\"Z\":{},\"a\":false}"},
        {"[9007199254740991]", "[9007199254740991]"},
        {"[9007199254740992]", NULL},
        {"[1.0]", NULL},
        {"[null]", NULL},
        {"{\"\xc3\xa4\":1}", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(js_free) json_t *j = NULL;
        CLEANUP(buf_clear) struct buf b = BUF(1000);
        CHECK(parse(cases[i].in, &j) == 0);
        CHECK(js_canon(&b, j, NULL) == (cases[i].out != NULL ? 0 : ERR_FORMAT));
        if (cases[i].out != NULL) {
            CHECK_STR(buf_text(&b), cases[i].out);
        }
    }
}

static void the_stable_form_can_be_read_again(void **state)
{
    (void)state;
    CLEANUP(js_free) json_t *j = NULL, *again = NULL;
    CLEANUP(buf_clear) struct buf b = BUF(1000);
    CHECK(parse("{\"b\":\"a\\nb\\u001b\\u007f\", \"a\":\"x\\\"\\\\\"}", &j) == 0);
    CHECK(js_stable(&b, j, NULL) == 0);
    CHECK_STR(buf_text(&b), "{\"a\":\"x\\\"\\\\\",\"b\":\"a\\u000ab\\u001b\x7f\"}");
    CHECK(parse(buf_text(&b), &again) == 0 && json_equal(j, again));
}

static void hostile_documents_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"{\"a\":1,\"a\":2}", "{} x", "", "{",
                                      "[\"\\ud800\"]",     "[01]"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        json_t *j = NULL;
        CHECK(parse(bad[i], &j) == ERR_FORMAT && j == NULL);
    }
    CLEANUP(buf_clear) struct buf deep = BUF(1000);
    for (int i = 0; i <= LIMIT_JSON_DEPTH; i++) {
        buf_char(&deep, '[');
    }
    json_t *j = NULL;
    CHECK(js_parse(buf_view(&deep), LIMIT_JSON, "it", &j, NULL) == ERR_LIMIT);
    CHECK(js_parse(span_str("[1,2,3]"), 3, "it", &j, NULL) == ERR_LIMIT);
    CLEANUP(js_free) json_t *fine = NULL;
    CHECK(parse("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}  \n", &fine) == 0);
}

static void getters_name_what_they_miss(void **state)
{
    (void)state;
    struct err e;
    CLEANUP(js_free) json_t *j = NULL;
    const char *s = NULL;
    uint64_t n = 0;
    CHECK(parse("{\"name\":5,\"n\":-1,\"nul\":\"a\\u0000b\"}", &j) != 0 ||
          js_str(j, "nul", &s, NULL) == ERR_FORMAT);
    CLEANUP(js_free) json_t *k = NULL;
    CHECK(parse("{\"name\":5,\"n\":-1}", &k) == 0);
    CHECK(js_str(k, "name", &s, &e) == ERR_FORMAT);
    CHECK_STR(e.text, "member \"name\" is not a text");
    CHECK(js_str(k, "path", &s, &e) == ERR_FORMAT);
    CHECK_STR(e.text, "member \"path\" is missing");
    CHECK(js_u64(k, "n", &n, NULL) == ERR_FORMAT);
    CHECK_STR(js_str_or(k, "path", "none"), "none");
}

static void invalid_text_is_escaped_when_set(void **state)
{
    (void)state;
    CLEANUP(js_free) json_t *j = js_new();
    CLEANUP(buf_clear) struct buf b = BUF(1000);
    js_set_str(j, "name", "a\xff");
    js_write(&b, j);
    CHECK_STR(buf_text(&b), "{\"name\":\"a\\\\xff\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(canonical_form_is_sorted_and_bare), TEST(the_stable_form_can_be_read_again),
        TEST(hostile_documents_are_refused),     TEST(getters_name_what_they_miss),
        TEST(invalid_text_is_escaped_when_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
