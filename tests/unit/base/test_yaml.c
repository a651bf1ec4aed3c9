#include "base/yaml.h"

#include "base/limits.h"
#include "check.h"

#define BIG ((size_t)1 << 20)

static void every_scalar_is_a_text(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        {"a: no\nb: 1\nc: 1.5\nd: ~\ne:\n",
         "{\"a\":\"no\",\"b\":\"1\",\"c\":\"1.5\",\"d\":\"~\",\"e\":\"\"}"},
        {"a:\n  b: [x, 'y z', \"\\u00e9\"]\n", "{\"a\":{\"b\":[\"x\",\"y z\",\"\xC3\xA9\"]}}"},
        {"- a\n- {b: c}\n", "[\"a\",{\"b\":\"c\"}]"},
        {"just text", "\"just text\""},
        {"a: |\n  one\n  two\n", "{\"a\":\"one\\ntwo\\n\"}"},
        {"a: ! 12\n", "{\"a\":\"12\"}"},
        {"---\na: b\n...\n", "{\"a\":\"b\"}"},
        {"# only a comment\n", "{}"},
        {"", "{}"},
        {"<<: x\n", "{\"<<\":\"x\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(js_free) json_t *doc = NULL;
        CLEANUP(buf_clear) struct buf text = BUF(1000);
        struct err e;
        CHECK_OK(yaml_parse(span_str(cases[i].yaml), BIG, "test", &doc, &e), e);
        if (json_is_string(doc)) {
            CHECK_STR(json_string_value(doc), "just text");
            continue;
        }
        js_write(&text, doc);
        CHECK_STR(buf_text(&text), cases[i].json);
    }
}

static void what_is_refused_is_named_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *says;
        int want;
    } cases[] = {
        {"a: 1\nb:\n  c: 2\n  c: 3\n", "test: line 4, column 3: twice the key \"c\"", ERR_FORMAT},
        {"a: &x 1\nb: *x\n", "test: line 1, column 4: anchors", ERR_FORMAT},
        {"b: *x\n", "test: line 1, column 4: aliases", ERR_FORMAT},
        {"a: &l [x]\n", "line 1, column 4: anchors", ERR_FORMAT},
        {"&k a: 1\n", "line 1, column 1: anchors", ERR_FORMAT},
        {"*k : 1\n", "line 1, column 1: a key must be a text", ERR_FORMAT},
        {"a: !!int 12\n", "line 1, column 4: tags", ERR_FORMAT},
        {"a: !!python/object:os {}\n", "line 1, column 4: tags", ERR_FORMAT},
        {"a: 1\n---\nb: 2\n", "line 2, column 1: a second document", ERR_FORMAT},
        {"[a]: 1\n", "line 1, column 1: a key must be a text", ERR_FORMAT},
        {"a: [1, 2\n", "test: line 2, column 1: ", ERR_FORMAT},
        {"a: b: c\n", "test: line 1, column 5: ", ERR_FORMAT},
        {"a:\n\tb: c\n", "test: line 2, column 1: ", ERR_FORMAT},
        {"a: \"x\\0y\"\n", "line 1, column 4: a text may not hold a NUL", ERR_FORMAT},
        {"a: \xFF\n", "test: byte 3: ", ERR_FORMAT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(js_free) json_t *doc = NULL;
        struct err e = {.text = ""};
        int r = yaml_parse(span_str(cases[i].yaml), BIG, "test", &doc, &e);
        if (r != cases[i].want || strstr(e.text, cases[i].says) == NULL) {
            print_error("case %zu: %d %s\n", i, r, e.text);
        }
        CHECK(r == cases[i].want && strstr(e.text, cases[i].says) != NULL && doc == NULL);
    }
}

static void bombs_do_not_go_off(void **state)
{
    (void)state;
    /* "billion laughs": refused at its first anchor */
    const char *laughs = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                         "c: [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n";
    CLEANUP(js_free) json_t *doc = NULL;
    struct err e;
    CHECK(yaml_parse(span_str(laughs), BIG, "test", &doc, &e) == ERR_FORMAT);
    for (int depth = LIMIT_JSON_DEPTH; depth <= LIMIT_JSON_DEPTH + 1; depth++) {
        CLEANUP(buf_clear) struct buf deep = BUF(1000);
        for (int i = 0; i < depth; i++) {
            buf_char(&deep, '[');
        }
        for (int i = 0; i < depth; i++) {
            buf_char(&deep, ']');
        }
        js_free(&doc);
        int r = yaml_parse(buf_view(&deep), BIG, "test", &doc, &e);
        CHECK(r == (depth > LIMIT_JSON_DEPTH ? ERR_LIMIT : 0));
    }
    js_free(&doc);
    CLEANUP(buf_clear) struct buf open = BUF(BIG);
    for (int i = 0; i < 200000; i++) {
        buf_str(&open, "{a: ");
    }
    CHECK(yaml_parse(buf_view(&open), BIG, "test", &doc, &e) < 0);
    CHECK(yaml_parse(span_str("a: b"), 3, "test", &doc, &e) == ERR_LIMIT);
    CHECK(doc == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_scalar_is_a_text),
        TEST(what_is_refused_is_named_with_its_place),
        TEST(bombs_do_not_go_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
