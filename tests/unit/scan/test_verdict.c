#include "scan/scan.h"
#include "check.h"

static void zero_is_closed_and_every_verdict_has_one_spelling(void **state)
{
    (void)state;
    CHECK(VERDICT_NONE == 0);
    for (int v = VERDICT_NONE; v <= VERDICT_UNINSPECTABLE; v++) {
        CHECK(verdict_parse(verdict_text((enum verdict)v)) == (enum verdict)v);
    }
    CHECK_STR(verdict_text((enum verdict)77), "none");
    static const char *const wrong[] = {"", "Clean", "clean ", "ok", "malicious\n"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        CHECK(verdict_parse(wrong[i]) == VERDICT_NONE);
    }
    CHECK(verdict_parse(NULL) == VERDICT_NONE);
}

static void the_worst_answer_wins_and_clean_hides_nothing(void **state)
{
    (void)state;
    static const enum verdict up[] = {VERDICT_CLEAN, VERDICT_NONE, VERDICT_UNINSPECTABLE,
                                      VERDICT_SUSPICIOUS, VERDICT_MALICIOUS};
    for (size_t i = 0; i < ARRAY_LEN(up); i++) {
        for (size_t k = 0; k < ARRAY_LEN(up); k++) {
            CHECK(verdict_worst(up[i], up[k]) == up[i > k ? i : k]);
        }
    }
    CHECK(verdict_worst((enum verdict)99, VERDICT_CLEAN) == VERDICT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(zero_is_closed_and_every_verdict_has_one_spelling),
        TEST(the_worst_answer_wins_and_clean_hides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
