#include "site.h"

/* What a client would do with the chain of roots. */
static bool chain_holds(struct site *s, int64_t newest)
{
    CLEANUP(js_free) json_t *trusted = NULL;
    for (int64_t n = 1; n <= newest; n++) {
        char name[40];
        snprintf(name, sizeof name, "%lld.root.json", (long long)n);
        CLEANUP(buf_clear) struct buf b = BUF(1 << 18);
        struct err e;
        json_t *doc = NULL;
        CHECK_OK(file_read(s->d.fd, name, 1 << 17, &b, &e), e);
        CHECK_OK(tuf_parse(buf_view(&b), "root", &doc, &e), e);
        for (int by = 0; by < 2; by++) {
            const json_t *body = json_object_get(by == 0 && trusted ? trusted : doc, "signed");
            const json_t *role = json_object_get(json_object_get(body, "roles"), "root");
            CHECK_OK(tuf_verify(doc, json_object_get(body, "keys"), role, &e), e);
        }
        js_free(&trusted);
        trusted = doc;
    }
    return tuf_doc_version(trusted) == newest;
}

/* One new key for the role, held beside the old one. */
static void rotate(struct site *s, enum tuf_role role, int seed, size_t docs_want)
{
    struct err e;
    struct tuf_docs docs;
    size_t at = (size_t)role * 3;
    s->by[at + 1] = s->by[at];
    s->key[at + 1] = s->key[at];
    s->by[at + 1].ctx = &s->key[at + 1];
    s->by[at] = site_key_of(&s->key[at], seed);
    struct tuf_keyset set = {.key = {s->by[at].key}, .n = 1, .threshold = 1};
    s->sign.role[role].n = 2;
    CHECK_OK(tuf_rotate(s->repo, &s->sign, role, &set, &docs, &e), e);
    CHECK(docs.n == docs_want);
    site_store(s, &docs);
    s->sign.role[role].n = 1; /* from now on the new one alone */
    site_open(s);
    CHECK(memcmp(tuf_keys(s->repo, role)->key[0].b, s->by[at].key.b, SIG_PUBLIC) == 0);
    char path[40];
    snprintf(path, sizeof path, "p/after/%d.exe", seed);
    site_publish_now(s, path);
    site_open(s);
    CHECK(site_has(s, path) && site_has(s, "p/1/a.exe"));
}

static void every_role_but_root_takes_a_new_key(void **state)
{
    (void)state;
    struct site s;
    site_new(&s);
    site_publish_now(&s, "p/1/a.exe");
    rotate(&s, TUF_TIMESTAMP, 101, 2); /* root, timestamp */
    rotate(&s, TUF_SNAPSHOT, 102, 3);  /* and snapshot */
    rotate(&s, TUF_TARGETS, 103, 4);   /* and targets */
    rotate(&s, TUF_RECALLS, 104, 4);   /* targets, recalls, snapshot, timestamp */
    rotate(&s, TUF_RELEASES, 105, 4);
    rotate(&s, TUF_BINS, 106, 16 + 3); /* all bins, releases, snapshot, timestamp */
    CHECK(chain_holds(&s, 4));
    site_clear(&s);
}

static void a_new_root_needs_the_old_threshold_and_its_own(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    struct tuf_docs docs;
    struct site_key key[2];
    site_new(&s);
    struct sig_by all[5] = {s.by[0], s.by[1], s.by[2], site_key_of(&key[0], 61),
                            site_key_of(&key[1], 62)};
    struct tuf_keyset set = {.key = {all[3].key, all[4].key}, .n = 2, .threshold = 2};
    static const struct {
        size_t from, n;
        int want;
    } cases[] = {
        {0, 3, ERR_DENIED}, /* old only */
        {3, 2, ERR_DENIED}, /* new only */
        {2, 3, ERR_DENIED}, /* one of the two old ones that it needs */
        {0, 4, ERR_DENIED}, /* one of the two new ones */
        {1, 4, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        s.sign.role[TUF_ROOT].by = &all[cases[i].from];
        s.sign.role[TUF_ROOT].n = cases[i].n;
        CHECK(tuf_rotate(s.repo, &s.sign, TUF_ROOT, &set, &docs, &e) == cases[i].want);
    }
    site_store(&s, &docs);
    CHECK(chain_holds(&s, 2));
    site_open(&s);
    s.sign.now += 300 * CLOCK_DAY;
    CHECK_OK(tuf_rotate(s.repo, &s.sign, TUF_ROOT, NULL, &docs, &e), e); /* a renewal */
    site_store(&s, &docs);
    CHECK(chain_holds(&s, 3) && tuf_expires(s.repo, TUF_ROOT) == s.sign.now + 365 * CLOCK_DAY);
    site_clear(&s);
}

static void keys_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    struct tuf_docs docs;
    site_new(&s);
    struct sig_public k = s.by[0].key;
    const struct tuf_keyset bad[] = {
        {.n = 0, .threshold = 1},
        {.key = {k}, .n = 1, .threshold = 0},
        {.key = {k}, .n = 1, .threshold = 2},
        {.key = {k, k}, .n = 2, .threshold = 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK(tuf_rotate(s.repo, &s.sign, TUF_BINS, &bad[i], &docs, &e) == ERR_FORMAT);
    }
    site_clear(&s);
}

static void a_gap_in_the_roots_is_named(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    struct tuf_docs docs;
    struct tuf_repo *r = NULL;
    site_new(&s);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(tuf_rotate(s.repo, &s.sign, TUF_ROOT, NULL, &docs, &e), e);
        site_store(&s, &docs);
    }
    CHECK(unlinkat(s.d.fd, "3.root.json", 0) == 0 && unlinkat(s.d.fd, "2.root.json", 0) == 0);
    CHECK(tuf_open(s.d.fd, s.state, &r, &e) == ERR_NOTFOUND);
    CHECK(strstr(e.text, "2.root.json") != NULL);
    site_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_role_but_root_takes_a_new_key),
        TEST(a_new_root_needs_the_old_threshold_and_its_own),
        TEST(keys_that_make_no_sense_are_refused),
        TEST(a_gap_in_the_roots_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
