/* Holds, approvals and the clock: nothing goes out by time alone. */
#include "harness.h"

#define BYTES "words under a hold"
#define HOUR ",\"hold\":\"1h\""

/* Both clocks, moved by the tests. */
static int64_t wall_more, boot_more;

static int64_t real(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (int64_t)t.tv_sec * CLOCK_SECOND + t.tv_nsec / 1000;
}
static int64_t test_now(void)
{
    return real(CLOCK_REALTIME) + wall_more;
}
static int64_t test_boot(void)
{
    return real(CLOCK_BOOTTIME) + boot_more;
}
static void pass(int64_t time)
{
    wall_more += time;
    boot_more += time;
}

static int clocks(void **state)
{
    (void)state;
    wall_more = boot_more = 0;
    clock_replace(test_now, test_boot);
    return 0;
}

static void tick(struct rig *g)
{
    struct err e;
    int64_t next = 0;
    CHECK_OK(release_tick(g->rel, &next, &e), e);
    CHECK(next > clock_now() - CLOCK_SECOND && next <= clock_now() + CLOCK_MINUTE);
}

static void a_held_file_goes_out_after_its_hold(void **state)
{
    (void)state;
    struct rig g;
    rig_new(&g);
    tick(&g);
    CLEANUP(js_free) json_t *j = admit_one(&g, "1.0", HOUR, "a", BYTES);
    CHECK(!is_published(j));
    CHECK_STR(text_of(j, "state"), "held");
    tick(&g);
    CHECK(state_of(&g, "tool/1.0/a") == RELEASE_HELD && !signed_as(&g, "tool/1.0/a", BYTES));
    CLEANUP(js_free) json_t *again = admit_one(&g, "1.0", NULL, "a", BYTES);
    CHECK(!is_published(again)); /* a second admission does not end the first one's hold */
    pass(61 * CLOCK_MINUTE);
    tick(&g);
    CHECK(state_of(&g, "tool/1.0/a") == RELEASE_PUBLISHED && signed_as(&g, "tool/1.0/a", BYTES));
    rig_end(&g);
}

static void a_hold_does_not_end_by_time_alone(void **state)
{
    (void)state;
    struct rig g;
    rig_new(&g);
    tick(&g);
    CLEANUP(js_free) json_t *j = admit_one(&g, "1.0", HOUR, "a", BYTES);
    CLEANUP(js_free) json_t *k = admit_one(&g, "1.0", HOUR, "b", "other words");
    CHECK(!is_published(j) && !is_published(k));
    new_rule("late", BYTES);
    pass(61 * CLOCK_MINUTE);
    tick(&g);
    CHECK(state_of(&g, "tool/1.0/a") == RELEASE_WITHHELD && !signed_as(&g, "tool/1.0/a", BYTES));
    CHECK(signed_as(&g, "tool/1.0/b", "other words"));
    CHECK(count_rows(&g, "SELECT count(*) FROM finding WHERE rule = 'late'") == 1);
    new_rule("late", NULL);
    rig_end(&g);
}

static void an_emergency_waives_hold_and_approval_but_no_inspection(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    rig_new(&g);
    CHECK_OK(settings_set(g.settings, SETTING_APPROVE, "yes", &e), e);
    CHECK_OK(settings_set(g.settings, SETTING_HOLD, "1h", &e), e);
    CLEANUP(js_free) json_t *held = admit_one(&g, "1.0", NULL, "a", BYTES);
    CHECK(!is_published(held));
    CLEANUP(js_free) json_t *j = admit_one(&g, "1.0", ",\"emergency\":true", "a", BYTES);
    CHECK(is_published(j) && signed_as(&g, "tool/1.0/a", BYTES));
    CLEANUP(js_free) json_t *bad = admit_one(&g, "1.0", ",\"emergency\":true", "b", EICAR);
    CHECK(!is_published(bad) && strcmp(text_of(bad, "verdict"), "malicious") == 0);
    rig_end(&g);
}

static void a_second_person_approves(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    json_t *none = NULL;
    CLEANUP(js_free) json_t *yes = NULL;
    rig_new(&g);
    CHECK_OK(settings_set(g.settings, SETTING_APPROVE, "yes", &e), e);
    CLEANUP(js_free) json_t *j = admit_one(&g, "1.0", NULL, "a", BYTES);
    CHECK_STR(text_of(j, "state"), "waiting");
    tick(&g);
    CHECK(!signed_as(&g, "tool/1.0/a", BYTES));
    CHECK(release_approve(g.rel, "tool", "1.0", "ann", &none, &e) == ERR_DENIED);
    CHECK(release_approve(g.rel, "tool", "2.0", "bob", &none, &e) == ERR_NOTFOUND);
    CHECK_OK(release_approve(g.rel, "tool", "1.0", "bob", &yes, &e), e);
    CHECK_STR(text_of(yes, "state"), "published");
    CHECK(signed_as(&g, "tool/1.0/a", BYTES));
    rig_end(&g);
}

static void a_clock_that_was_moved_ends_no_hold(void **state)
{
    (void)state;
    struct rig g;
    rig_new(&g);
    tick(&g);
    CLEANUP(js_free) json_t *j = admit_one(&g, "1.0", HOUR, "a", BYTES);
    CHECK_STR(text_of(j, "state"), "held");
    wall_more += 61 * CLOCK_MINUTE; /* the boot clock did not see that hour */
    tick(&g);
    tick(&g);
    CHECK(state_of(&g, "tool/1.0/a") == RELEASE_HELD && !signed_as(&g, "tool/1.0/a", BYTES));
    CHECK(count_rows(&g, "SELECT count(*) FROM alarm WHERE fault = 'clock'") == 1);
    boot_more += 61 * CLOCK_MINUTE; /* now both agree again */
    tick(&g);
    CHECK(signed_as(&g, "tool/1.0/a", BYTES));
    rig_end(&g);
}

static void a_recalled_file_does_not_go_out_when_its_hold_ends(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    CLEANUP(js_free) json_t *out = NULL;
    rig_new(&g);
    tick(&g);
    CLEANUP(js_free) json_t *j = admit_one(&g, "1.0", HOUR, "a", BYTES);
    CHECK_STR(text_of(j, "state"), "held");
    CHECK_OK(rig_recall(&g, "tool/1.0/a", "bad", NULL, &out, &e), e);
    pass(2 * CLOCK_HOUR);
    tick(&g);
    CHECK(state_of(&g, "tool/1.0/a") == RELEASE_RECALLED && !signed_as(&g, "tool/1.0/a", BYTES));
    rig_end(&g);
}

/* The signers have clocks of their own, so this one waits. */
static void metadata_is_signed_again_before_it_expires(void **state)
{
    (void)state;
    struct rig g;
    timestamp_life = "4s";
    rig_new(&g);
    timestamp_life = "1d";
    CHECK(publishes(&g, "1.0", "a", BYTES));
    CLEANUP(tuf_close) struct tuf_repo *before = metadata(&g);
    int64_t version = tuf_version(before, "timestamp"),
            expires = tuf_expires(before, TUF_TIMESTAMP);
    tick(&g);
    CLEANUP(tuf_close) struct tuf_repo *same = metadata(&g);
    CHECK(tuf_version(same, "timestamp") == version);
    CHECK(usleep(2500000) == 0);
    tick(&g);
    CLEANUP(tuf_close) struct tuf_repo *after = metadata(&g);
    CHECK(tuf_version(after, "timestamp") == version + 1);
    CHECK(tuf_expires(after, TUF_TIMESTAMP) > expires);
    CHECK(tuf_version(after, "snapshot") == tuf_version(before, "snapshot"));
    rig_end(&g);
}

int main(int argc, char **argv)
{
    int child = dispatch(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_held_file_goes_out_after_its_hold, clocks),
        cmocka_unit_test_setup(a_hold_does_not_end_by_time_alone, clocks),
        cmocka_unit_test_setup(an_emergency_waives_hold_and_approval_but_no_inspection, clocks),
        cmocka_unit_test_setup(a_second_person_approves, clocks),
        cmocka_unit_test_setup(a_clock_that_was_moved_ends_no_hold, clocks),
        cmocka_unit_test_setup(a_recalled_file_does_not_go_out_when_its_hold_ends, clocks),
        cmocka_unit_test_setup(metadata_is_signed_again_before_it_expires, clocks),
    };
    return child >= 0 ? child : cmocka_run_group_tests(tests, pool_start, pool_stop);
}
