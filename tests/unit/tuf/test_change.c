#include "site.h"

#include <sys/stat.h>

static size_t count_docs(const struct tuf_docs *docs, const char *part)
{
    size_t n = 0;
    for (size_t i = 0; i < docs->n; i++) {
        n += strstr(docs->doc[i].name, part) != NULL;
    }
    return n;
}

static void a_new_repository_has_sixteen_bins(void **state)
{
    (void)state;
    struct site s;
    site_new(&s);
    CHECK(tuf_bits(s.repo) == 4 && tuf_count(s.repo) == 0);
    CHECK(tuf_version(s.repo, "bin-f") == 1 && tuf_version(s.repo, "bin-10") == 0);
    CHECK(file_exists(s.d.fd, "1.root.json") && file_exists(s.d.fd, "1.bin-0.json"));
    CHECK(!file_exists(s.d.fd, "pending") && !file_exists(s.d.fd, "timestamp.json.next"));
    site_clear(&s);
}

static void one_target_signs_one_bin_and_the_top(void **state)
{
    (void)state;
    struct site s;
    struct tuf_docs docs;
    site_new(&s);
    site_publish(&s, "p/1/a.exe", &docs);
    CHECK(docs.n == 3);
    CHECK(strncmp(docs.doc[0].name, "2.bin-", 6) == 0);
    CHECK_STR(docs.doc[1].name, "2.snapshot.json");
    CHECK_STR(docs.doc[2].name, "timestamp.json");
    site_store(&s, &docs);
    CHECK(site_has(&s, "p/1/a.exe") && !site_has(&s, "p/1/b.exe"));
    site_open(&s); /* all of it verifies from the folder */
    CHECK(site_has(&s, "p/1/a.exe") && tuf_count(s.repo) == 1);

    site_publish(&s, "p/1/a.exe", &docs); /* the same again changes nothing */
    CHECK(docs.n == 0);
    const char *gone[] = {"p/1/a.exe", "p/1/never.exe"};
    struct tuf_change c = {.remove = gone, .n_remove = 2};
    struct err e;
    CHECK_OK(tuf_publish(s.repo, &s.sign, &c, &docs, &e), e);
    CHECK(docs.n == 3);
    site_store(&s, &docs);
    CHECK(!site_has(&s, "p/1/a.exe") && tuf_count(s.repo) == 0);
    site_clear(&s);
}

static void a_refused_target_leaves_all_as_it_was(void **state)
{
    (void)state;
    struct site s;
    struct tuf_docs docs;
    struct err e;
    site_new(&s);
    CLEANUP(js_free) json_t *before = tuf_state(s.repo), *big = js_new(), *list = js_list();
    char text[2000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    js_set_str(big, "x", text);
    struct tuf_target bad[4] = {site_target("p/1/a.exe"), site_target("p/1/a.exe"),
                                site_target("p/1/../a"), site_target("p/1/c")};
    bad[0].custom = big;
    bad[1].custom = list;
    bad[3].length = UINT64_MAX;
    const int want[4] = {ERR_LIMIT, ERR_FORMAT, ERR_FORMAT, ERR_LIMIT};
    for (size_t i = 0; i < 4; i++) {
        struct tuf_target both[2] = {site_target("p/1/good.exe"), bad[i]};
        struct tuf_change c = {.add = both, .n_add = 2};
        CHECK(tuf_publish(s.repo, &s.sign, &c, &docs, &e) == want[i]);
    }
    CLEANUP(js_free) json_t *after = tuf_state(s.repo);
    CHECK(json_equal(before, after) && !site_has(&s, "p/1/good.exe"));
    s.sign.role[TUF_BINS].n = 0;
    struct tuf_target good = site_target("p/1/good.exe");
    struct tuf_change c = {.add = &good, .n_add = 1};
    CHECK(tuf_publish(s.repo, &s.sign, &c, &docs, &e) == ERR_DENIED);
    CHECK(!site_has(&s, "p/1/good.exe"));
    site_clear(&s);
}

/* A signer that answers with something else than a signature. */
static int lie(void *ctx, struct span m, uint8_t out[SIG_LEN], struct err *e)
{
    (void)ctx;
    (void)m;
    (void)e;
    memset(out, 7, SIG_LEN);
    return 0;
}

static void a_signature_that_does_not_hold_never_leaves(void **state)
{
    (void)state;
    struct site s;
    struct tuf_docs docs;
    struct err e;
    site_new(&s);
    s.by[TUF_TIMESTAMP * 3].sign = lie;
    CHECK(tuf_refresh(s.repo, &s.sign, &docs, &e) == ERR_TRUST);
    site_clear(&s);
}

static bool hide_bins(struct site *s, const char *but)
{
    for (unsigned i = 0; i < 512; i++) {
        char name[TUF_BIN_NAME], file[40];
        tuf_bin_name(i, 9, name);
        snprintf(file, sizeof file, "1.%s.json", name);
        if (strcmp(name, but) != 0 && unlinkat(s->d.fd, file, 0) < 0) {
            return false;
        }
    }
    return true;
}

static void thirty_thousand_are_one_publish_in_512_bins(void **state)
{
    (void)state;
    struct site s;
    struct tuf_docs docs;
    site_new(&s);
    int64_t from = clock_boot();
    site_publish_many(&s, 30000, &docs);
    int64_t took = clock_boot() - from;
    print_message("30,000 targets built and signed in %lld ms\n", (long long)(took / 1000));
    CHECK(tuf_bits(s.repo) == 9 && tuf_count(s.repo) == 30000);
    CHECK(docs.n == 512 + 16 + 3); /* new bins, emptied ones, releases, snapshot, timestamp */
    CHECK(count_docs(&docs, "2.releases.json") == 1 && count_docs(&docs, "targets") == 0);
    site_store(&s, &docs);
    CHECK(tuf_version(s.repo, "bin-0") == 2 && tuf_version(s.repo, "bin-1ff") == 1);
    site_open(&s);
    CHECK(site_has(&s, "hotfix/7.9/update-29999.exe") && tuf_count(s.repo) == 30000);

    char name[TUF_BIN_NAME]; /* one more needs its own bin, and no other */
    CHECK(hide_bins(&s, tuf_bin_name(tuf_bin_of("p/1/one.exe", 9), 9, name)));
    site_open(&s);
    from = clock_boot();
    site_publish(&s, "p/1/one.exe", &docs);
    print_message("one more in %lld ms\n", (long long)((clock_boot() - from) / 1000));
    CHECK(docs.n == 3 && tuf_count(s.repo) == 30001);
    site_store(&s, &docs);
    site_clear(&s);
}

static void bins_whose_name_goes_on_get_a_higher_version(void **state)
{
    (void)state;
    struct site s;
    struct tuf_docs docs;
    site_new(&s);
    site_publish_many(&s, 20000, &docs);
    site_store(&s, &docs);
    CHECK(tuf_bits(s.repo) == 9 && tuf_version(s.repo, "bin-000") == 1);
    site_publish_many(&s, 40000, &docs); /* 20,000 of them known */
    CHECK(tuf_bits(s.repo) == 10 && tuf_count(s.repo) == 40000);
    CHECK(count_docs(&docs, ".bin-") == 1024);
    site_store(&s, &docs);
    CHECK(tuf_version(s.repo, "bin-000") == 2 && tuf_version(s.repo, "bin-3ff") == 1);
    site_open(&s);
    CHECK(site_has(&s, "hotfix/7.9/update-39999.exe") && site_has(&s, "hotfix/7.0/update-0.exe"));
    site_clear(&s);
}

static struct tuf_recall recall_of(const char *id, const struct digest *d)
{
    return (struct tuf_recall){
        .id = id, .sha256 = d, .n = 1, .reason = "FunLove", .time = SITE_T0, .log = 12};
}

static void recall_one(struct site *s, const struct tuf_recall *r, size_t docs_want)
{
    struct err e;
    struct tuf_docs docs;
    const char *gone[] = {"p/1/a.exe"};
    struct tuf_change c = {.recall = r, .n_recall = 1, .remove = gone, .n_remove = 1};
    CHECK_OK(tuf_publish(s->repo, &s->sign, &c, &docs, &e), e);
    CHECK(docs.n == docs_want);
    site_store(s, &docs);
}

static void a_recalled_digest_is_out_under_every_name(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    struct tuf_docs docs;
    site_new(&s);
    site_publish_now(&s, "p/1/a.exe");
    struct tuf_target again = site_target("p/1/a.exe");
    struct tuf_recall r = recall_of("2026-1", &again.sha256);
    recall_one(&s, &r, 6); /* advisory, index, bin, recalls, snapshot, timestamp */
    CHECK(tuf_is_recalled(s.repo, &again.sha256) && !site_has(&s, "p/1/a.exe"));
    recall_one(&s, &r, 0); /* repeated after a crash: nothing new */
    site_open(&s);
    CHECK(tuf_is_recalled(s.repo, &again.sha256));

    again.path = "p/2/other-name.exe";
    struct tuf_change c = {.add = &again, .n_add = 1};
    CHECK(tuf_publish(s.repo, &s.sign, &c, &docs, &e) == ERR_DENIED);
    r.reason = "something else";
    struct tuf_change changed = {.recall = &r, .n_recall = 1};
    CHECK(tuf_publish(s.repo, &s.sign, &changed, &docs, &e) == ERR_CONFLICT);

    struct tuf_recall lift = recall_of("2026-1-lift", &again.sha256);
    lift.lift = true;
    recall_one(&s, &lift, 5);
    CHECK(!tuf_is_recalled(s.repo, &again.sha256));
    CHECK_OK(tuf_publish(s.repo, &s.sign, &c, &docs, &e), e);
    site_store(&s, &docs);
    CHECK(site_has(&s, "p/2/other-name.exe"));
    site_clear(&s);
}

static void a_recall_id_is_a_name_of_one_part(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "index", "Index", "a/b", "../x", ".a", "a b"};
    struct site s;
    struct err e;
    struct tuf_docs docs;
    struct digest d = digest_of(span_str("x"));
    site_new(&s);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct tuf_recall r = recall_of(bad[i], &d);
        struct tuf_change c = {.recall = &r, .n_recall = 1};
        CHECK(tuf_publish(s.repo, &s.sign, &c, &docs, &e) == ERR_FORMAT);
    }
    site_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_repository_has_sixteen_bins),
        TEST(one_target_signs_one_bin_and_the_top),
        TEST(a_refused_target_leaves_all_as_it_was),
        TEST(a_signature_that_does_not_hold_never_leaves),
        TEST(thirty_thousand_are_one_publish_in_512_bins),
        TEST(bins_whose_name_goes_on_get_a_higher_version),
        TEST(a_recalled_digest_is_out_under_every_name),
        TEST(a_recall_id_is_a_name_of_one_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
