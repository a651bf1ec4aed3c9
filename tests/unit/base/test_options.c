#include "base/options.h"

#include "check.h"

struct got {
    bool json;
    const char *site;
    int64_t n;
    struct option_list rules;
};

static struct got got;
static const struct option_def defs[] = {
    {"json", 'j', OPTION_FLAG, NULL, "one object a line", &got.json},
    {"site", 'C', OPTION_TEXT, "DIR", "the site's folder", &got.site},
    {"count", 0, OPTION_NUMBER, "N",
     "a sentence that is so long that it cannot stand in one line of eighty columns, whatever "
     "comes",
     &got.n},
    {"rules", 0, OPTION_LIST, "DIR", "more rules", &got.rules},
};

static int run(char **argv, struct err *e)
{
    int argc = 0;
    while (argv[argc] != NULL) {
        argc++;
    }
    free(got.rules.item);
    got = (struct got){.n = -7};
    return options_parse(argc, argv, defs, ARRAY_LEN(defs), e);
}
#define RUN(e, ...) run((char *[]){(char[]){"prog"}, __VA_ARGS__, NULL}, (e))
#define A(s) ((char[]){s})

static void options_stand_anywhere(void **state)
{
    (void)state;
    struct err e;
    char *argv[] = {A("prog"),    A("one"), A("--json"),  A("-C"),     A("dir"),
                    A("two"),     A("-"),   A("--rules"), A("a"),      A("--rules=b"),
                    A("--count"), A("-5"),  A("--"),      A("--json"), NULL};
    CHECK(run(argv, &e) == 4);
    CHECK_STR(argv[1], "one");
    CHECK_STR(argv[2], "two");
    CHECK_STR(argv[3], "-");
    CHECK_STR(argv[4], "--json");
    CHECK(got.json && got.n == -5 && got.rules.n == 2);
    CHECK_STR(got.site, "dir");
    CHECK_STR(got.rules.item[0], "a");
    CHECK_STR(got.rules.item[1], "b");
}

static void letters_join(void **state)
{
    (void)state;
    struct err e;
    CHECK(RUN(&e, A("-jCdir")) == 0);
    CHECK(got.json);
    CHECK_STR(got.site, "dir");
    CHECK(RUN(&e, A("-C"), A("a"), A("-C"), A("b")) == 0);
    CHECK_STR(got.site, "b");
    CHECK(RUN(&e, A("--site=")) == 0);
    CHECK_STR(got.site, "");
}

static void a_wrong_option_is_named(void **state)
{
    (void)state;
    struct err e;
    CHECK(RUN(&e, A("--jsno")) == ERR_FORMAT);
    CHECK_STR(e.text, "there is no option --jsno; did you mean --json?");
    CHECK(RUN(&e, A("--zzzzzzzzzz")) == ERR_FORMAT);
    CHECK_STR(e.text, "there is no option --zzzzzzzzzz; see --help");
    CHECK(RUN(&e, A("--json=1")) == ERR_FORMAT);
    CHECK_STR(e.text, "--json takes no value");
    CHECK(RUN(&e, A("--site")) == ERR_FORMAT);
    CHECK_STR(e.text, "--site needs DIR after it");
    CHECK(RUN(&e, A("--count"), A("12x")) == ERR_FORMAT);
    CHECK_STR(e.text, "--count takes a number, not \"12x\"");
    CHECK(RUN(&e, A("--count=99999999999999999999")) == ERR_FORMAT);
    CHECK(RUN(&e, A("-x")) == ERR_FORMAT);
    CHECK_STR(e.text, "there is no option -x; see --help");
}

static void help_keeps_to_eighty_columns(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf out = BUF(10000);
    options_help(&out, defs, ARRAY_LEN(defs));
    CHECK_STR(buf_text(&out),
              "  -j, --json       one object a line\n"
              "  -C, --site DIR   the site's folder\n"
              "      --count N    a sentence that is so long that it cannot stand in one line\n"
              "                   of eighty columns, whatever comes\n"
              "      --rules DIR  more rules\n");
}

static int end(void **state)
{
    (void)state;
    free(got.rules.item);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(options_stand_anywhere),
        TEST(letters_join),
        TEST(a_wrong_option_is_named),
        TEST(help_keeps_to_eighty_columns),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
