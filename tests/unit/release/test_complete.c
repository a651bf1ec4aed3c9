/* A crash between any two steps: afterwards log and metadata agree, and nothing is half out. */
#include "harness.h"

#define STEPS 12

/* The site is killed at step `at`, and starts again. */
static void crash(struct rig *g, enum stop_how how, int at)
{
    g->how = how;
    g->stop_at = at;
    g->calls = 0;
}

static void start_again(struct rig *g)
{
    rig_close(g);
    rig_open(g);
}

static const struct given three[] = {{"a", "one"}, {"b", "two"}, {"c", "three"}};

static int out(struct rig *g)
{
    int n = 0;
    for (size_t i = 0; i < ARRAY_LEN(three); i++) {
        CLEANUP(mem_free) char *path = mem_printf("tool/1.0/%s", three[i].rel);
        bool is_signed = signed_as(g, path, three[i].text);
        CHECK(is_signed == (state_of(g, path) == RELEASE_PUBLISHED)); /* log and metadata agree */
        n += is_signed;
    }
    return n;
}

static void a_publish_that_was_cut_off_is_all_or_nothing(void **state)
{
    (void)state;
    bool none = false, all = false;
    for (int how = STOP_BEFORE; how <= STOP_AFTER; how++) {
        bool ended = false;
        for (int at = 1; at <= STEPS && !ended; at++) {
            struct rig g;
            struct err e;
            CLEANUP(js_free) json_t *results = NULL;
            rig_new(&g);
            crash(&g, (enum stop_how)how, at);
            int r = admit(&g, "1.0", three, ARRAY_LEN(three), &results, &e);
            ended = r == 0; /* no step left to stop at */
            start_again(&g);
            int n = out(&g);
            CHECK(n == 0 || n == (int)ARRAY_LEN(three));
            CHECK(!ended || n == (int)ARRAY_LEN(three));
            none = none || n == 0;
            all = all || (n > 0 && !ended);
            /* whatever it was, the same admission then succeeds */
            js_free(&results);
            CHECK_OK(admit(&g, "1.0", three, ARRAY_LEN(three), &results, &e), e);
            CHECK(out(&g) == (int)ARRAY_LEN(three));
            rig_end(&g);
        }
        CHECK(ended);
    }
    CHECK(none && all); /* both kinds of crash were met */
}

static void a_recall_that_was_cut_off_is_completed(void **state)
{
    (void)state;
    for (int how = STOP_BEFORE; how <= STOP_AFTER; how++) {
        for (int at = 1; at <= 3; at++) {
            struct rig g;
            struct err e;
            json_t *j = NULL;
            rig_new(&g);
            CHECK(publishes(&g, "1.0", "a", "one"));
            crash(&g, (enum stop_how)how, at);
            int r = rig_recall(&g, "tool/1.0/a", "bad", NULL, &j, &e);
            CHECK(r < 0 || at == 3);
            js_free(&j);
            start_again(&g);
            bool entered = state_of(&g, "tool/1.0/a") == RELEASE_RECALLED;
            CHECK(entered == (at > 1 || how == STOP_AFTER));
            CHECK(signed_recall(&g, "one") == entered);
            CHECK(signed_as(&g, "tool/1.0/a", "one") == !entered);
            rig_end(&g);
        }
    }
}

static void a_lift_that_was_cut_off_is_completed(void **state)
{
    (void)state;
    for (int how = STOP_BEFORE; how <= STOP_AFTER; how++) {
        for (int at = 1; at <= 5; at++) {
            struct rig g;
            struct err e;
            json_t *j = NULL;
            rig_new(&g);
            CHECK(publishes(&g, "1.0", "a", "one"));
            CHECK_OK(rig_recall(&g, "tool/1.0/a", "bad", NULL, &j, &e), e);
            js_free(&j);
            crash(&g, (enum stop_how)how, at);
            int r = release_lift(g.rel, "tool/1.0/a", "fine", "ann", &j, &e);
            js_free(&j);
            CHECK(r < 0 || how == STOP_AFTER);
            start_again(&g);
            bool back = state_of(&g, "tool/1.0/a") == RELEASE_PUBLISHED;
            CHECK(back || at <= 2);
            CHECK(signed_recall(&g, "one") == !back);
            CHECK(signed_as(&g, "tool/1.0/a", "one") == back);
            rig_end(&g);
        }
    }
}

/* The gate goes on without a restart when the signer was away for a moment. */
static void a_tick_completes_what_the_signer_did_not(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    json_t *j = NULL;
    int64_t next = 0;
    rig_new(&g);
    CHECK(publishes(&g, "1.0", "a", "one"));
    crash(&g, STOP_BEFORE, 2); /* the first call is the append */
    CHECK(release_withhold(g.rel, "tool/1.0/a", "odd", "ann", &j, &e) < 0);
    CHECK(state_of(&g, "tool/1.0/a") == RELEASE_WITHHELD && signed_as(&g, "tool/1.0/a", "one"));
    g.gone = false;
    CHECK_OK(release_tick(g.rel, &next, &e), e);
    CHECK(!signed_as(&g, "tool/1.0/a", "one"));
    rig_end(&g);
}

static void a_tick_shows_what_was_not_shown(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    json_t *j = NULL;
    int64_t next = 0;
    rig_new(&g);
    CHECK(publishes(&g, "1.0", "a", "one"));
    int all = g.shows_all;
    crash(&g, STOP_BEFORE, 3); /* append, docs, show */
    CHECK(release_withhold(g.rel, "tool/1.0/a", "odd", "ann", &j, &e) < 0);
    g.gone = false;
    CHECK_OK(release_tick(g.rel, &next, &e), e);
    CHECK(g.shows_all == all + 1);
    CHECK_OK(release_tick(g.rel, &next, &e), e);
    CHECK(g.shows_all == all + 1);
    rig_end(&g);
}

/* An attestation that is lost: the target cannot be signed again, so the log must not say it is. */
static void what_cannot_be_signed_is_withheld(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    CLEANUP(js_free) json_t *results = NULL;
    struct release_target t;
    char hex[DIGEST_TEXT + 1];
    rig_new(&g);
    crash(&g, STOP_AFTER, 2); /* verdict, then the append */
    CHECK(admit(&g, "1.0", three, ARRAY_LEN(three), &results, &e) < 0);
    CHECK_OK(release_target(port_db(&g, &e), "tool/1.0/a", &t, &e), e);
    CHECK(t.state == RELEASE_PUBLISHED && !signed_as(&g, "tool/1.0/a", "one"));
    digest_text(&t.attestation, hex);
    CLEANUP(mem_free) char *name = mem_printf("blobs/%.2s/%s", hex, hex + 2);
    CHECK(unlinkat(g.d.fd, name, 0) == 0);
    start_again(&g);
    CHECK(state_of(&g, "tool/1.0/a") == RELEASE_WITHHELD && out(&g) == 0);
    CHECK(publishes(&g, "1.0", "d", "four")); /* and the site goes on */
    rig_end(&g);
}

int main(int argc, char **argv)
{
    int child = dispatch(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(a_publish_that_was_cut_off_is_all_or_nothing),
        TEST(a_recall_that_was_cut_off_is_completed),
        TEST(a_lift_that_was_cut_off_is_completed),
        TEST(a_tick_completes_what_the_signer_did_not),
        TEST(a_tick_shows_what_was_not_shown),
        TEST(what_cannot_be_signed_is_withheld),
    };
    return child >= 0 ? child : cmocka_run_group_tests(tests, pool_start, pool_stop);
}
