/* Withheld, recalled, lifted, and alarms: what is taken back stays so, everywhere. */
#include "harness.h"

#include <sys/stat.h>

#define PATH "tool/1.0/a"
#define BYTES "words that go out"

static json_t *withhold(struct rig *g, const char *what)
{
    struct err e;
    json_t *j = NULL;
    CHECK_OK(release_withhold(g->rel, what, "looks odd", "ann", &j, &e), e);
    return j;
}

static json_t *recall(struct rig *g, const char *what, const char *replace)
{
    struct err e;
    json_t *j = NULL;
    CHECK_OK(rig_recall(g, what, "it deletes files", replace, &j, &e), e);
    return j;
}

static json_t *lift(struct rig *g, const char *what)
{
    struct err e;
    json_t *j = NULL;
    CHECK_OK(release_lift(g->rel, what, "a false alarm", "ann", &j, &e), e);
    return j;
}

static const char *hex_of(const char *text, char hex[static DIGEST_TEXT + 1])
{
    struct digest d = digest_str(text);
    return digest_text(&d, hex);
}

static void what_is_withheld_leaves_the_metadata_and_can_come_back(void **state)
{
    (void)state;
    struct rig g;
    rig_new(&g);
    CHECK(publishes(&g, "1.0", "a", BYTES) && publishes(&g, "2.0", "b", BYTES));
    CLEANUP(js_free) json_t *j = withhold(&g, PATH);
    CHECK_STR(text_of(j, "state"), "withheld");
    CHECK(json_array_size(json_object_get(j, "targets")) == 2);
    CHECK(!signed_as(&g, PATH, BYTES) && !signed_as(&g, "tool/2.0/b", BYTES));
    CHECK(!signed_recall(&g, BYTES));
    CHECK(state_of(&g, "tool/2.0/b") == RELEASE_WITHHELD);
    CLEANUP(js_free) json_t *again = withhold(&g, PATH);
    CHECK(js_int_or(again, "index", -2) == js_int_or(j, "index", -1)); /* entered once */
    CLEANUP(js_free) json_t *back = lift(&g, PATH);
    CHECK_STR(text_of(back, "state"), "published");
    CHECK(signed_as(&g, PATH, BYTES) && signed_as(&g, "tool/2.0/b", BYTES));
    rig_end(&g);
}

static void a_recall_is_signed_and_the_bytes_stay_out_under_every_name(void **state)
{
    (void)state;
    struct rig g;
    char hex[DIGEST_TEXT + 1];
    rig_new(&g);
    CHECK(publishes(&g, "1.0", "a", BYTES) && publishes(&g, "1.1", "a", "better words"));
    CLEANUP(js_free) json_t *j = recall(&g, hex_of(BYTES, hex), "tool/1.1/a");
    CHECK_STR(text_of(j, "state"), "recalled");
    CHECK(signed_recall(&g, BYTES) && !signed_as(&g, PATH, BYTES));
    CLEANUP(js_free) json_t *again = admit_one(&g, "3.0", NULL, "other-name", BYTES);
    CHECK(!is_published(again) && strstr(text_of(again, "reason"), "it deletes files") != NULL);
    CHECK(strncmp(text_of(again, "reason"), "recalled on ", 12) == 0);
    CHECK(state_of(&g, "tool/3.0/other-name") == RELEASE_NONE);
    CLEANUP(js_free) json_t *twice = recall(&g, PATH, NULL);
    CHECK(js_int_or(twice, "index", -2) == js_int_or(j, "index", -1));
    CLEANUP(js_free) json_t *back = lift(&g, PATH);
    CHECK_STR(text_of(back, "state"), "published");
    CHECK(!signed_recall(&g, BYTES) && signed_as(&g, PATH, BYTES));
    CLEANUP(js_free) json_t *third = recall(&g, PATH, NULL);
    CHECK(js_int_or(third, "index", -2) > js_int_or(j, "index", -1));
    CHECK(signed_recall(&g, BYTES) && !signed_as(&g, PATH, BYTES));
    rig_end(&g);
}

static void bytes_can_be_recalled_before_anybody_brings_them(void **state)
{
    (void)state;
    struct rig g;
    char hex[DIGEST_TEXT + 1];
    rig_new(&g);
    CLEANUP(js_free) json_t *j = recall(&g, hex_of("not yet seen", hex), NULL);
    CHECK(json_array_size(json_object_get(j, "targets")) == 0 && signed_recall(&g, "not yet seen"));
    CHECK(!publishes(&g, "1.0", "a", "not yet seen"));
    CHECK(in_quarantine(&g, "not yet seen"));
    CLEANUP(js_free) json_t *back = lift(&g, hex_of("not yet seen", hex));
    CHECK_STR(text_of(back, "state"), "none");
    CHECK(!signed_recall(&g, "not yet seen"));
    CHECK(publishes(&g, "1.0", "a", "not yet seen"));
    rig_end(&g);
}

static void what_cannot_be_meant_is_refused(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    json_t *j = NULL;
    rig_new(&g);
    CHECK(publishes(&g, "1.0", "a", BYTES));
    CHECK(rig_recall(&g, "tool/9/none", "r", NULL, &j, &e) == ERR_NOTFOUND);
    CHECK(rig_recall(&g, PATH, "", NULL, &j, &e) == ERR_FORMAT);
    CHECK(rig_recall(&g, PATH, "r", "tool/9/none", &j, &e) == ERR_NOTFOUND);
    CHECK(rig_recall(&g, PATH, "r", PATH, &j, &e) == ERR_CONFLICT);
    CHECK(release_lift(g.rel, PATH, "r", "ann", &j, &e) == ERR_CONFLICT);
    CHECK(signed_as(&g, PATH, BYTES) && j == NULL);
    rig_end(&g);
}

static void nothing_is_given_back_that_the_rules_of_today_refuse(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    json_t *j = NULL;
    rig_new(&g);
    CHECK(publishes(&g, "1.0", "a", BYTES));
    CLEANUP(js_free) json_t *gone = withhold(&g, PATH);
    CHECK_STR(text_of(gone, "state"), "withheld");
    new_rule("found", "words that go");
    CHECK(release_lift(g.rel, PATH, "r", "ann", &j, &e) == ERR_DENIED && j == NULL);
    CHECK(strstr(e.text, "found") != NULL);
    CHECK(state_of(&g, PATH) == RELEASE_WITHHELD && !signed_as(&g, PATH, BYTES));
    new_rule("found", NULL);
    rig_end(&g);
}

static void the_big_switch_withholds_everything(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    CLEANUP(js_free) json_t *j = NULL;
    rig_new(&g);
    CHECK(publishes(&g, "1.0", "a", BYTES) && publishes(&g, "1.0", "b", "more") &&
          publishes(&g, "1.0", "c", BYTES));
    CHECK_OK(release_stop_all(g.rel, "under attack", "ann", &j, &e), e);
    CHECK(js_int_or(j, "withheld", -1) == 2);
    CHECK(!signed_as(&g, PATH, BYTES) && !signed_as(&g, "tool/1.0/b", "more"));
    CHECK(!signed_as(&g, "tool/1.0/c", BYTES));
    rig_end(&g);
}

/* ---- alarms ---- */

static void spoil(struct rig *g, const char *text)
{
    char hex[DIGEST_TEXT + 1];
    hex_of(text, hex);
    CLEANUP(mem_free) char *name = mem_printf("blobs/%.2s/%s", hex, hex + 2);
    CHECK(fchmodat(g->d.fd, name, 0600, 0) == 0);
    CLEANUP(fd_close) int fd = openat(g->d.fd, name, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && pwrite(fd, "X", 1, 3) == 1);
}

static int alarm_of(struct rig *g, const char *text, const char *by, struct err *e)
{
    CLEANUP(js_free) json_t *j = js_new();
    struct digest d = digest_str(text);
    js_set_sha256(j, "blob", &d);
    js_set_str(j, "fault", "changed");
    js_set_str(j, "by", by);
    return release_alarm(g->rel, j, e);
}

static void an_alarm_withholds_once_and_good_bytes_mend_it(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    rig_new(&g);
    CHECK(publishes(&g, "1.0", "a", BYTES));
    spoil(&g, BYTES);
    CHECK_OK(alarm_of(&g, BYTES, "scrub", &e), e);
    CHECK(state_of(&g, PATH) == RELEASE_WITHHELD && !signed_as(&g, PATH, BYTES));
    int appends = g.appends;
    CHECK_OK(alarm_of(&g, BYTES, "scrub", &e), e);
    CHECK_OK(alarm_of(&g, BYTES, NULL, &e), e);
    CHECK(g.appends == appends && count_rows(&g, "SELECT count(*) FROM alarm") == 1);
    json_t *none = NULL;
    CHECK(release_lift(g.rel, PATH, "r", "ann", &none, &e) == ERR_DENIED); /* still spoilt */
    CLEANUP(js_free) json_t *j = admit_one(&g, "1.0", NULL, "a", BYTES);
    CHECK(!is_published(j) && js_bool_or(j, "repaired", false));
    CHECK(strstr(text_of(j, "reason"), "good again") != NULL);
    CLEANUP(js_free) json_t *back = lift(&g, PATH);
    CHECK_STR(text_of(back, "state"), "published");
    CHECK(signed_as(&g, PATH, BYTES));
    rig_end(&g);
}

static void an_alarm_about_an_attestation_is_told_once(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    rig_new(&g);
    CHECK_OK(alarm_of(&g, "bytes that no target names", "scrub", &e), e);
    CHECK_OK(alarm_of(&g, "bytes that no target names", "scrub", &e), e);
    CHECK(count_rows(&g, "SELECT count(*) FROM alarm") == 1);
    CHECK(count_rows(&g, "SELECT count(*) FROM barred") == 0);
    rig_end(&g);
}

int main(int argc, char **argv)
{
    int child = dispatch(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(what_is_withheld_leaves_the_metadata_and_can_come_back),
        TEST(a_recall_is_signed_and_the_bytes_stay_out_under_every_name),
        TEST(bytes_can_be_recalled_before_anybody_brings_them),
        TEST(what_cannot_be_meant_is_refused),
        TEST(nothing_is_given_back_that_the_rules_of_today_refuse),
        TEST(the_big_switch_withholds_everything),
        TEST(an_alarm_withholds_once_and_good_bytes_mend_it),
        TEST(an_alarm_about_an_attestation_is_told_once),
    };
    return child >= 0 ? child : cmocka_run_group_tests(tests, pool_start, pool_stop);
}
