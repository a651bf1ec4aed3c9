/* Admission with real parts: what goes out, what is refused, and why. */
#include "harness.h"

static void a_clean_file_is_published_and_signed(void **state)
{
    (void)state;
    struct rig g;
    rig_new(&g);
    CLEANUP(js_free) json_t *j = admit_one(&g, "1.0", NULL, "bin/a.txt", "clean words");
    CHECK_STR(text_of(j, "target"), "tool/1.0/bin/a.txt");
    CHECK_STR(text_of(j, "verdict"), "clean");
    CHECK_STR(text_of(j, "path"), "bin/a.txt");
    CHECK(is_published(j) && json_is_array(json_object_get(j, "findings")));
    CHECK(signed_as(&g, "tool/1.0/bin/a.txt", "clean words"));
    CHECK(state_of(&g, "tool/1.0/bin/a.txt") == RELEASE_PUBLISHED);
    rig_end(&g);
}

static void a_bad_file_is_refused_and_its_neighbours_are_not(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    const struct given f[] = {{"good", "good"}, {"eicar.com", EICAR}, {"also good", "x"}};
    CLEANUP(js_free) json_t *results = NULL;
    rig_new(&g);
    CHECK_OK(admit(&g, "1.0", f, 3, &results, &e), e);
    const json_t *good = json_array_get(results, 0), *bad = json_array_get(results, 1);
    CHECK(is_published(good) && !is_published(bad));
    CHECK_STR(text_of(bad, "verdict"), "malicious");
    CHECK(strstr(text_of(bad, "reason"), "malicious") != NULL);
    CHECK(json_array_size(json_object_get(bad, "findings")) > 0);
    CHECK(in_quarantine(&g, EICAR) && !in_quarantine(&g, "good"));
    CHECK(!signed_as(&g, "tool/1.0/eicar.com", EICAR));
    CHECK(signed_as(&g, "tool/1.0/good", "good"));
    CHECK(strstr(text_of(json_array_get(results, 2), "reason"), "also_good") != NULL);
    CHECK(count_rows(&g, "SELECT count(*) FROM refused") == 2);
    rig_end(&g);
}

static void a_name_keeps_its_bytes(void **state)
{
    (void)state;
    struct rig g;
    rig_new(&g);
    CHECK(publishes(&g, "1.0", "a.txt", "first"));
    CLEANUP(js_free) json_t *other = admit_one(&g, "1.0", NULL, "a.txt", "second");
    CHECK(!is_published(other) && strstr(text_of(other, "reason"), "new version") != NULL);
    CLEANUP(js_free) json_t *cased = admit_one(&g, "1.0", NULL, "A.TXT", "third");
    CHECK(!is_published(cased) && strstr(text_of(cased, "reason"), "case") != NULL);
    CLEANUP(js_free) json_t *same = admit_one(&g, "1.0", NULL, "a.txt", "first");
    CHECK(is_published(same) && js_bool_or(same, "known", false));
    CHECK(publishes(&g, "1.0", "b.txt", "second"));
    CHECK(signed_as(&g, "tool/1.0/a.txt", "first"));
    rig_end(&g);
}

static void names_of_one_batch_do_not_meet(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    const struct given f[] = {{"a", "1"},     {"A", "2"},       {"a", "3"}, {"a", "1"},
                              {"../up", "4"}, {".hidden", "5"}, {"", "6"}};
    static const bool goes[] = {true, false, false, true, false, false, false};
    CLEANUP(js_free) json_t *results = NULL;
    rig_new(&g);
    CHECK_OK(admit(&g, "1.0", f, ARRAY_LEN(f), &results, &e), e);
    for (size_t i = 0; i < ARRAY_LEN(f); i++) {
        CHECK(is_published(json_array_get(results, i)) == goes[i]);
        CHECK(goes[i] || text_of(json_array_get(results, i), "reason")[0] != '\0');
    }
    rig_end(&g);
}

static void a_suggested_name_is_taken_when_asked(void **state)
{
    (void)state;
    struct rig g;
    rig_new(&g);
    CLEANUP(js_free) json_t *j = admit_one(&g, "1.0", ",\"rename\":true", "my file.txt", "words");
    CHECK(is_published(j));
    CHECK_STR(text_of(j, "target"), "tool/1.0/my_file.txt");
    rig_end(&g);
}

static void reserved_and_bad_versions_are_refused_at_once(void **state)
{
    (void)state;
    static const char *const versions[] = {"latest", "recall", "LATEST", "a/b", "", ".1", "1 0"};
    struct rig g;
    struct err e;
    rig_new(&g);
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct release_batch *b = NULL;
        CLEANUP(js_free) json_t *q = version_request(versions[i], NULL);
        CHECK(release_begin(g.rel, q, &b, &e) < 0 && b == NULL && e.text[0] != '\0');
    }
    rig_end(&g);
}

static void known_bytes_cost_no_scan_unless_the_rules_changed(void **state)
{
    (void)state;
    struct rig g;
    rig_new(&g);
    CHECK(publishes(&g, "1.0", "a", "the same words"));
    int verdicts = g.verdicts;
    CHECK(publishes(&g, "2.0", "a", "the same words"));
    CHECK(g.verdicts == verdicts); /* the attestation is the old one, so nothing was inspected */
    CHECK(signed_as(&g, "tool/2.0/a", "the same words"));
    new_rule("other", "never in any file 1");
    CHECK(publishes(&g, "3.0", "a", "the same words"));
    CHECK(g.verdicts == verdicts + 1);
    new_rule("same", "the same words");
    CLEANUP(js_free) json_t *j = admit_one(&g, "4.0", NULL, "a", "the same words");
    CHECK(!is_published(j) && strcmp(text_of(j, "verdict"), "malicious") == 0);
    new_rule("other", NULL);
    new_rule("same", NULL);
    rig_end(&g);
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    int fds[2];
    struct release_batch *b = NULL;
    CLEANUP(js_free) json_t *q = version_request("1.0", NULL);
    CLEANUP(js_free) json_t *list = NULL;
    CLEANUP(js_free) json_t *results = NULL;
    CLEANUP(js_free) json_t *all = NULL;
    rig_new(&g);
    CHECK(pipe(fds) == 0);
    CHECK_OK(js_parse(span_str("[{\"path\":\"fifo\"}]"), 100, "files", &list, &e), e);
    CHECK_OK(release_begin(g.rel, q, &b, &e), e);
    CHECK_OK(release_files(b, list, fds, 1, &results, &e), e);
    CHECK(!is_published(json_array_get(results, 0)));
    CHECK_OK(release_end(&b, &all, &e), e);
    CHECK(text_of(json_array_get(all, 0), "reason")[0] != '\0');
    close(fds[0]);
    close(fds[1]);
    rig_end(&g);
}

static void of_two_batches_the_first_to_end_has_the_name(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    struct release_batch *b[2] = {NULL, NULL};
    const struct given f[2] = {{"a", "first"}, {"A", "second"}};
    CLEANUP(js_free) json_t *q = version_request("1.0", NULL);
    rig_new(&g);
    for (size_t i = 0; i < 2; i++) {
        CHECK_OK(release_begin(g.rel, q, &b[i], &e), e);
        CHECK_OK(put_files(b[i], &f[i], 1, &e), e);
    }
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(js_free) json_t *results = NULL;
        CHECK_OK(release_end(&b[i], &results, &e), e);
        CHECK(is_published(json_array_get(results, 0)) == (i == 0));
    }
    CHECK(signed_as(&g, "tool/1.0/a", "first") && !signed_as(&g, "tool/1.0/A", "second"));
    rig_end(&g);
}

static void room_is_kept_on_the_disk(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    CLEANUP(js_free) json_t *bar = NULL;
    rig_new(&g);
    CHECK(publishes(&g, "1.0", "a", "words"));
    CHECK_OK(settings_set(g.settings, SETTING_RESERVE, "1000G", &e), e);
    CLEANUP(js_free) json_t *j = admit_one(&g, "1.0", NULL, "b", "more words");
    CHECK(!is_published(j) && strstr(text_of(j, "reason"), "disk.reserve") != NULL);
    CHECK_OK(rig_recall(&g, "tool/1.0/a", "bad", NULL, &bar, &e), e);
    CHECK(signed_recall(&g, "words")); /* that still works */
    rig_end(&g);
}

/* Two connections on one batch; scans run beside each other, the order of arrival stays. */
struct half {
    struct release_batch *b;
    char names[60][20], texts[60][20];
};

static void *put_half(void *ctx)
{
    struct half *h = ctx;
    struct err e;
    struct given f[60];
    for (size_t i = 0; i < 60; i++) {
        f[i] = (struct given){h->names[i], h->texts[i]};
    }
    for (size_t i = 0; i < 60; i += 10) {
        CHECK_OK(put_files(h->b, &f[i], 10, &e), e);
    }
    db_close(&rig_reader);
    return NULL;
}

static void two_threads_share_a_batch(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    pthread_t t;
    struct half *h = mem_array(struct half, 2);
    struct release_batch *b = NULL;
    CLEANUP(js_free) json_t *q = version_request("1.0", NULL);
    CLEANUP(js_free) json_t *results = NULL;
    rig_new(&g);
    CHECK_OK(release_begin(g.rel, q, &b, &e), e);
    for (size_t k = 0; k < 2; k++) {
        h[k].b = b;
        for (size_t i = 0; i < 60; i++) {
            snprintf(h[k].names[i], sizeof h[k].names[i], "f%zu-%zu", k, i);
            snprintf(h[k].texts[i], sizeof h[k].texts[i], "t%zu-%zu", k, i);
        }
    }
    CHECK(pthread_create(&t, NULL, put_half, &h[0]) == 0);
    put_half(&h[1]);
    CHECK(pthread_join(t, NULL) == 0);
    CHECK_OK(release_end(&b, &results, &e), e);
    CHECK(json_array_size(results) == 120);
    for (size_t i = 0; i < 120; i++) {
        CHECK(is_published(json_array_get(results, i)));
    }
    free(h);
    rig_end(&g);
}

static void two_thousand_files_are_one_publish(void **state)
{
    (void)state;
    enum { N = 2000 };
    struct rig g;
    struct err e;
    struct given *f = mem_array(struct given, N);
    CLEANUP(js_free) json_t *results = NULL;
    rig_new(&g);
    for (size_t i = 0; i < N; i++) {
        f[i] = (struct given){mem_printf("f%zu", i), mem_printf("words %zu", i)};
    }
    int appends = g.appends, shows = g.shows;
    int64_t began = clock_boot();
    CHECK_OK(admit(&g, "1.0", f, N, &results, &e), e);
    int64_t took = clock_boot() - began;
    print_message("%d files in %lld ms\n", N, (long long)(took / 1000));
    CHECK(g.appends == appends + 1 && g.shows == shows + 1);
    CHECK(took < 100 * CLOCK_SECOND);
    for (size_t i = 0; i < N; i++) {
        CHECK(is_published(json_array_get(results, i)));
    }
    CHECK(signed_as(&g, "tool/1.0/f1999", "words 1999"));
    CLEANUP(tuf_close) struct tuf_repo *repo = metadata(&g);
    CHECK(tuf_count(repo) == N && tuf_version(repo, "timestamp") == 2);
    for (size_t i = 0; i < N; i++) {
        free((void *)(uintptr_t)f[i].rel);
        free((void *)(uintptr_t)f[i].text);
    }
    free(f);
    rig_end(&g);
}

int main(int argc, char **argv)
{
    int child = dispatch(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(a_clean_file_is_published_and_signed),
        TEST(a_bad_file_is_refused_and_its_neighbours_are_not),
        TEST(a_name_keeps_its_bytes),
        TEST(names_of_one_batch_do_not_meet),
        TEST(a_suggested_name_is_taken_when_asked),
        TEST(reserved_and_bad_versions_are_refused_at_once),
        TEST(known_bytes_cost_no_scan_unless_the_rules_changed),
        TEST(what_is_no_file_is_refused),
        TEST(of_two_batches_the_first_to_end_has_the_name),
        TEST(room_is_kept_on_the_disk),
        TEST(two_threads_share_a_batch),
        TEST(two_thousand_files_are_one_publish),
    };
    return child >= 0 ? child : cmocka_run_group_tests(tests, pool_start, pool_stop);
}
