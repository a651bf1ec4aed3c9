#include "base/settings.h"

#include "base/clock.h"
#include "check.h"

static int parse(struct settings *s, const char *yaml, struct err *e)
{
    return settings_parse(s, span_str(yaml), e);
}

static void the_written_file_reads_back_to_the_defaults(void **state)
{
    (void)state;
    CLEANUP(settings_free) struct settings *s = settings_new(), *d = settings_new();
    CLEANUP(buf_clear) struct buf text = BUF(100000), again = BUF(100000);
    settings_write(&text);
    struct err e;
    CHECK_OK(settings_set(s, SETTING_SCAN_WORKERS, "7", &e), e);
    CHECK_OK(settings_parse(s, buf_view(&text), &e), e);
    for (enum setting_id i = 0; i < SETTING_COUNT; i++) {
        CHECK_STR(settings_text(s, i), settings_text(d, i));
        CHECK(strstr(buf_text(&text), strrchr(settings_name(i), '.')
                                          ? strrchr(settings_name(i), '.') + 1
                                          : settings_name(i)) != NULL);
    }
    settings_save(s, &again);
    CHECK_STR(buf_text(&again), buf_text(&text));
    struct span rest = buf_view(&text), line;
    while (span_cut(&rest, '\n', &line)) {
        CHECK(line.len <= 100);
    }
}

static void values_are_read_in_the_forms_people_write(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        enum setting_id id;
        int64_t want;
    } cases[] = {
        {"serve: {hot_bytes: 1G}", SETTING_HOT_BYTES, INT64_C(1) << 30},
        {"serve: {hot_bytes: 2097152}", SETTING_HOT_BYTES, 2097152},
        {"serve: {hot_bytes: 1T}", SETTING_HOT_BYTES, INT64_C(1) << 40},
        {"scrub: {interval: 90m}", SETTING_SCRUB_INTERVAL, 90 * 60 * CLOCK_SECOND},
        {"scrub: {interval: 1m}", SETTING_SCRUB_INTERVAL, 60 * CLOCK_SECOND},
        {"clamd: {max_age: none}", SETTING_CLAMD_MAX_AGE, -1},
        {"clamd: {max_age: 0s}", SETTING_CLAMD_MAX_AGE, 0},
        {"release: {approve: yes}", SETTING_APPROVE, 1},
        {"release: {approve: true}", SETTING_APPROVE, 1},
        {"release: {approve: off}", SETTING_APPROVE, 0},
        {"scan: {workers: 256}", SETTING_SCAN_WORKERS, 256},
        {"scan:\n", SETTING_SCAN_WORKERS, 2},
        {"", SETTING_SCAN_WORKERS, 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(settings_free) struct settings *s = settings_new();
        struct err e;
        CHECK_OK(parse(s, cases[i].yaml, &e), e);
        CHECK(settings_number(s, cases[i].id) == cases[i].want);
    }
}

static void lists_are_sequences_or_commas(void **state)
{
    (void)state;
    static const char *const forms[] = {"scan: {engines: [yara, pe]}",
                                        "scan: {engines: 'yara, pe'}",
                                        "scan:\n  engines:\n    - yara\n    - pe\n"};
    const char *const *item;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        CLEANUP(settings_free) struct settings *s = settings_new();
        struct err e;
        CHECK(settings_list(s, SETTING_ENGINES, &item) == 4);
        CHECK_OK(parse(s, forms[i], &e), e);
        CHECK(settings_list(s, SETTING_ENGINES, &item) == 2);
        CHECK_STR(item[0], "yara");
        CHECK_STR(item[1], "pe");
        CHECK_OK(parse(s, "scan: {engines: []}", &e), e);
        CHECK(settings_list(s, SETTING_ENGINES, &item) == 0);
    }
}

static void a_bad_file_says_why_and_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *says;
    } cases[] = {
        {"serve: {lisen: x}", "there is no setting \"serve.lisen\"; did you mean serve.listen?"},
        {"databse: x", "did you mean database?"},
        {"scan: {workers: 0}", "scan.workers: 0 is not within 1 and 256"},
        {"scan: {workers: 257}", "scan.workers: 257 is not within"},
        {"scan: {workers: many}", "\"many\" is no number"},
        {"scan: {workers: -1}", "\"-1\" is no number"},
        {"scan: {workers: ''}", "is no number"},
        {"scan: {memory: 1}", "scan.memory: 1 is not within"},
        {"scan: {memory: 1X}", "is no size such as"},
        {"scan: {memory: 99999999999999999999}", "is no size such as"},
        {"scan: {memory: 9999999999T}", "is no size such as"},
        {"scrub: {interval: 59s}", "59s is not within 60 and 31536000 seconds"},
        {"scrub: {interval: none}", "is no duration"},
        {"scrub: {interval: 7}", "is no duration"},
        {"release: {approve: maybe}", "\"maybe\" is neither yes nor no"},
        {"scan: {workers: [1]}", "scan.workers must be a plain value"},
        {"scan: {engines: [[a]]}", "scan.engines: an item"},
        {"scan: {engines: 'a,,b'}", "an empty item"},
        {"scan: 3", "scan must hold settings below it"},
        {"scan.workers: 3\nscan: {workers: 4}", "scan.workers is set twice"},
        {"serve: {listen: \"a\\nb\"}", "not a text of one line"},
        {"- a", "must hold settings"},
        {"a: [", "cordon.yaml: line 3, column 1: "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(settings_free) struct settings *s = settings_new();
        CLEANUP(buf_clear) struct buf yaml = BUF(1000);
        struct err e = {.text = ""};
        buf_fmt(&yaml, "%s%s", cases[i].yaml[0] == '-' ? "" : "clamd: {socket: /changed}\n",
                cases[i].yaml);
        int r = settings_parse(s, buf_view(&yaml), &e);
        if (r != ERR_FORMAT || strstr(e.text, cases[i].says) == NULL) {
            print_error("case %zu: %d %s\n", i, r, e.text);
        }
        CHECK(r == ERR_FORMAT && strstr(e.text, cases[i].says) != NULL);
        CHECK_STR(settings_text(s, SETTING_CLAMD_SOCKET), "/run/clamav/clamd.ctl");
    }
}

static void what_was_set_is_saved_and_shown(void **state)
{
    (void)state;
    CLEANUP(settings_free) struct settings *s = settings_new(), *back = settings_new();
    CLEANUP(buf_clear) struct buf text = BUF(100000);
    struct err e;
    CHECK_OK(settings_set(s, SETTING_REPOSITORY_NAME, "a \"b\" \\ c: #d", &e), e);
    CHECK_OK(settings_set(s, SETTING_ENGINES, "yara,clamd", &e), e);
    settings_save(s, &text);
    CHECK_OK(settings_parse(back, buf_view(&text), &e), e);
    CHECK_STR(settings_text(back, SETTING_REPOSITORY_NAME), "a \"b\" \\ c: #d");
    CHECK_STR(settings_text(back, SETTING_ENGINES), "yara,clamd");
    CLEANUP(js_free) json_t *list = settings_show(back);
    CHECK(json_array_size(list) == SETTING_COUNT);
    size_t i, changed = 0;
    json_t *o;
    json_array_foreach(list, i, o)
    {
        changed += js_bool_or(o, "changed", false);
    }
    CHECK(changed == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_written_file_reads_back_to_the_defaults),
        TEST(values_are_read_in_the_forms_people_write),
        TEST(lists_are_sequences_or_commas),
        TEST(a_bad_file_says_why_and_changes_nothing),
        TEST(what_was_set_is_saved_and_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
