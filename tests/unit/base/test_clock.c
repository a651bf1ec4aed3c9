#include "base/clock.h"

#include "check.h"

static void times_are_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* out NULL: refused */
    } cases[] = {
        {"2001-04-19T09:12:00Z", "2001-04-19T09:12:00.000000Z"},
        {"2001-04-19", "2001-04-19T00:00:00.000000Z"},
        {"2001-04-19 09:12", "2001-04-19T09:12:00.000000Z"},
        {"2001-04-19T09:12:00.5+02:00", "2001-04-19T07:12:00.500000Z"},
        {"1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"},
        {"0001-01-01", "0001-01-01T00:00:00.000000Z"},
        {"2000-02-29", "2000-02-29T00:00:00.000000Z"},
        {"2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"}, /* a leap second */
        {"9999-12-31T23:59:59-00:01", NULL}, /* year 10000: its text could not be read again */
        {"0000-01-01T00:00+00:01", NULL},
        {"2001-02-29", NULL},
        {"2001-04-31", NULL},
        {"2001-13-01", NULL},
        {"2001-04-19T24:00:00Z", NULL},
        {"2001-04-19T09:12:00.1234567Z", NULL},
        {"2001-04-19x", NULL},
        {"yesterday", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t t = 0;
        char text[CLOCK_TEXT];
        int r = clock_parse(span_str(cases[i].in), &t, NULL);
        CHECK(r == (cases[i].out != NULL ? 0 : ERR_FORMAT));
        if (r == 0) {
            CHECK_STR(clock_text(t, false, text), cases[i].out);
        }
    }
}

static void durations_have_a_unit(void **state)
{
    (void)state;
    int64_t us = 0;
    CHECK(clock_duration(span_str("72h"), &us, NULL) == 0 && us == 3 * CLOCK_DAY);
    CHECK(clock_duration(span_str("500ms"), &us, NULL) == 0 && us == CLOCK_SECOND / 2);
    CHECK(clock_duration(span_str("5"), &us, NULL) == ERR_FORMAT);
    CHECK(clock_duration(span_str("-5s"), &us, NULL) == ERR_FORMAT);
    CHECK(clock_duration(span_str("h"), &us, NULL) == ERR_FORMAT);
    CHECK(clock_duration(span_str("99999999999999999999d"), &us, NULL) == ERR_FORMAT);
}

static int64_t fixed(void)
{
    return 42;
}

static void tests_can_replace_the_clock(void **state)
{
    (void)state;
    clock_replace(fixed, NULL);
    CHECK(clock_now() == 42);
    clock_replace(NULL, NULL);
    CHECK(clock_now() > 42 && clock_boot() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(times_are_read_and_written),
        TEST(durations_have_a_unit),
        TEST(tests_can_replace_the_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
