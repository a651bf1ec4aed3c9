#include "scan/scan_priv.h"
#include "check.h"

#include "base/clock.h"

static void settings_become_a_config_that_asks_clamd_only_if_it_must_answer(void **state)
{
    (void)state;
    struct settings *s = settings_new();
    struct scan_config c;
    struct err e = {0};
    scan_config_from(&c, s);
    CHECK(c.limits.time == 120 * CLOCK_SECOND && c.limits.depth == 8 && c.limits.ratio == 200);
    CHECK(c.limits.memory == (uint64_t)1 << 30 && c.limits.max_file == (uint64_t)4 << 30);
    CHECK(c.n_required == 4 && scan_listed(c.required, c.n_required, "unpack"));
    CHECK(c.own_rules && c.names == NULL && c.engines == NULL && !c.without_landlock);
    CHECK_STR(c.clamd_socket, "");
    CHECK_OK(settings_parse(s,
                            span_str("scan:\n  engines: [yara, clamd]\nclamd:\n"
                                     "  socket: /run/x\n  max_age: none\n"),
                            &e),
             e);
    scan_config_from(&c, s);
    CHECK(c.n_required == 2 && c.clamd_max_age == -1);
    CHECK_STR(c.clamd_socket, "/run/x");
    settings_free(&s);
}

static void a_copy_outlives_what_it_was_made_from(void **state)
{
    (void)state;
    char name[] = "yara";
    const char *const names[] = {name};
    struct scan_config from = {
        .required = names, .n_required = 1, .names = names, .n_names = 1, .batch = 99};
    struct scan_config c;
    scan_config_copy(&c, &from);
    name[0] = 'x';
    CHECK(scan_listed(c.required, c.n_required, "yara"));
    CHECK_STR(c.names[0], "yara");
    CHECK(c.engines == NULL); /* NULL is not the empty list: it asks all */
    CHECK(c.batch == SCAN_BATCH && c.workers == 1);
    CHECK_STR(c.clamd_socket, "");
    scan_config_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(settings_become_a_config_that_asks_clamd_only_if_it_must_answer),
        TEST(a_copy_outlives_what_it_was_made_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
