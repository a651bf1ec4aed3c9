#include "cli/print.h"

#include "base/mem.h"
#include "check.h"

static void a_cell_shows_any_value(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum print_kind kind;
        const char *want;
    } cases[] = {
        {"\"text\"", PRINT_PLAIN, "text"},
        {"null", PRINT_PLAIN, ""},
        {"-3", PRINT_PLAIN, "-3"},
        {"true", PRINT_PLAIN, "yes"},
        {"1500", PRINT_BYTES, "1.5 kB"},
        {"-1", PRINT_BYTES, "-1"},
        {"987671520000000", PRINT_TIME, "2001-04-19T09:12:00Z"},
        {"0", PRINT_TIME, ""},
        {"\"2001-04-19T09:12:00.654321Z\"", PRINT_TIME, "2001-04-19T09:12:00Z"},
        {"\"never\"", PRINT_TIME, "never"},
        {"\"0123456789abcdef\"", PRINT_SHORT, "0123456789ab"},
        {"[\"a\",2,false]", PRINT_PLAIN, "a, 2, no"},
        {"{\"held\":1,\"published\":2}", PRINT_PLAIN, "held 1, published 2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(js_free) json_t *j = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
        CLEANUP(mem_free) char *cell = print_cell(j, cases[i].kind);
        CHECK_STR(cell, cases[i].want);
    }
    CLEANUP(mem_free) char *missing = print_cell(NULL, PRINT_PLAIN);
    CHECK_STR(missing, "");
}

static void one_and_many_are_told_apart(void **state)
{
    (void)state;
    char text[64];
    CHECK_STR(print_count(1, "file", "files", text), "1 file");
    CHECK_STR(print_count(0, "file", "files", text), "0 files");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_cell_shows_any_value),
        TEST(one_and_many_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
