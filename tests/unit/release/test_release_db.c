#include "release/release_db.h"

#include "base/mem.h"
#include "record_site.h"

static const struct record_kind *const kinds[] = {release_kinds, NULL};
static struct record_group groups[2];

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define SHA1 "1111111111111111111111111111111111111111"
#define MD5 "22222222222222222222222222222222"

static void start(struct record_site *s)
{
    groups[0] = (struct record_group){"release", release_migrations, release_migrations_n};
    site_new(s, kinds, groups);
}

/* `path` is PRODUCT/VERSION/NAME; `more`, a JSON object, is laid over the usual members. */
static int admit(struct record_site *s, const char *path, const char *sha256, const char *more,
                 struct err *e)
{
    size_t product = strcspn(path, "/"), version = strcspn(path + product + 1, "/");
    CLEANUP(mem_free)
    char *text =
        mem_printf("{\"who\":\"ann\",\"host\":\"build\",\"product\":\"%.*s\",\"version\":\"%.*s\","
                   "\"rel\":\"%s\",\"path\":\"%s\",\"sha256\":\"%s\",\"sha1\":\"" SHA1 "\","
                   "\"md5\":\"" MD5 "\",\"size\":7,\"chunks\":\"" C "\",\"verdict\":\"clean\","
                   "\"rules\":\"" C "\",\"attestation\":\"" B "\"}",
                   (int)product, path, (int)version, path + product + 1,
                   path + product + version + 2, path, sha256);
    CLEANUP(js_free) json_t *over = NULL;
    struct event ev = {.kind = "admitted"};
    CHECK_OK(js_parse(span_str(text), LIMIT_JSON, "an admission", &ev.site, e), *e);
    CHECK_OK(js_parse(span_str(more), LIMIT_JSON, "more of it", &over, e), *e);
    json_object_update(ev.site, over);
    return site_add(s, &ev, e);
}

static int publish(struct record_site *s, const char *path, const char *sha256, struct err *e)
{
    CLEANUP(mem_free)
    char *text = mem_printf("{\"path\":\"%s\",\"sha256\":\"%s\",\"length\":7,\"chunks\":\"" C
                            "\",\"verdict\":\"" B "\"}",
                            path, sha256);
    return site_event(s, "published", "open", text, e);
}

static enum release_state state_of(struct record_site *s, const char *path)
{
    struct err e;
    struct release_target t;
    CHECK_OK(release_target(s->db, path, &t, &e), e);
    return t.state;
}

static int count_target(void *ctx, const struct release_target *t, struct err *e)
{
    (void)t;
    (void)e;
    ++*(int *)ctx;
    return 0;
}

static int count_digest(void *ctx, const struct digest *d, struct err *e)
{
    (void)d;
    (void)e;
    ++*(int *)ctx;
    return 0;
}

static int count_blob(void *ctx, const struct release_blob *b, struct err *e)
{
    (void)b;
    (void)e;
    ++*(int *)ctx;
    return 0;
}

static void a_name_keeps_its_bytes(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    start(&s);
    CHECK_OK(admit(&s, "p/1/a.exe", A, "{}", &e), e);
    CHECK_OK(admit(&s, "p/1/a.exe", A, "{}", &e), e);
    CHECK(admit(&s, "p/1/a.exe", B, "{}", &e) == ERR_CONFLICT);
    CHECK(strstr(e.text, "p/1/a.exe exists with other bytes") != NULL);
    CHECK(admit(&s, "p/1/A.exe", A, "{}", &e) == ERR_CONFLICT);
    CHECK(strstr(e.text, "differs only by case from p/1/a.exe") != NULL);
    CHECK(admit(&s, "P/2/x", A, "{}", &e) == 0);
    int n = 0;
    CHECK_OK(release_all(s.db, count_target, &n, &e), e);
    CHECK(n == 2);
    CLEANUP(buf_clear) struct buf same = BUF(LIMIT_TARGET);
    CHECK_OK(release_same_name(s.db, "p/1/A.EXE", &same, &e), e);
    CHECK_STR(buf_text(&same), "p/1/a.exe");
    site_end(&s);
}

static void only_what_is_clean_whole_and_named_right_is_admitted(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    start(&s);
    CHECK(admit(&s, "p/1/a", A, "{\"verdict\":\"suspicious\"}", &e) == ERR_DENIED);
    CHECK(admit(&s, "p/1/a", A, "{\"path\":\"p/2/a\"}", &e) == ERR_FORMAT);
    CHECK(admit(&s, "p/1/a", A, "{\"md5\":\"xyz\"}", &e) == ERR_FORMAT);
    CHECK(admit(&s, "p/1/a", A, "{\"members\":[{\"path\":\"x\"}]}", &e) == ERR_FORMAT);
    CHECK(site_event(&s, "admitted", "site", "{\"path\":\"p/1/a\"}", &e) == ERR_FORMAT);
    CHECK(publish(&s, "p/1/a", A, &e) == ERR_NOTFOUND);
    CHECK_OK(admit(&s, "p/1/a", A, "{}", &e), e);
    CHECK(publish(&s, "p/1/a", B, &e) == ERR_CONFLICT);
    CHECK(state_of(&s, "p/1/a") == RELEASE_HELD);
    CHECK_OK(publish(&s, "p/1/a", A, &e), e);
    CHECK(state_of(&s, "p/1/a") == RELEASE_PUBLISHED);
    site_end(&s);
}

static void a_hold_and_an_approval_are_waited_for(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    int n = 0;
    int64_t when = 0;
    start(&s);
    CHECK_OK(release_next_due(s.db, &when, &e), e);
    CHECK(when == INT64_MAX);
    CHECK_OK(admit(&s, "p/1/held", A, "{\"hold_until\":4000000000000000}", &e), e);
    CHECK_OK(admit(&s, "p/1/asks", B, "{\"approve\":true}", &e), e);
    CHECK(state_of(&s, "p/1/held") == RELEASE_HELD && state_of(&s, "p/1/asks") == RELEASE_WAITING);
    CHECK(publish(&s, "p/1/held", A, &e) == ERR_DENIED);
    CHECK(strstr(e.text, "is held until 2096-10-02") != NULL);
    CHECK(publish(&s, "p/1/asks", B, &e) == ERR_DENIED);
    CHECK_OK(release_next_due(s.db, &when, &e), e);
    CHECK(when == INT64_C(4000000000000000));
    CHECK_OK(release_due(s.db, when - 1, count_target, &n, &e), e);
    CHECK(n == 0);
    CHECK_OK(release_due(s.db, when, count_target, &n, &e), e);
    CHECK(n == 1);
    CHECK_OK(release_waiting(s.db, count_target, &n, &e), e);
    CHECK(n == 2);
    CHECK(site_event(&s, "approved", "site",
                     "{\"product\":\"p\",\"version\":\"1\",\"who\":\"ann\"}", &e) == ERR_DENIED);
    CHECK(strstr(e.text, "a second person must approve") != NULL);
    CHECK_OK(site_event(&s, "approved", "site",
                        "{\"product\":\"p\",\"version\":\"1\",\"who\":\"bob\"}", &e),
             e);
    CHECK(site_event(&s, "approved", "site",
                     "{\"product\":\"p\",\"version\":\"1\",\"who\":\"bob\"}", &e) == ERR_NOTFOUND);
    CHECK_OK(publish(&s, "p/1/asks", B, &e), e);
    CHECK_OK(admit(&s, "p/1/held", A, "{\"emergency\":true}", &e), e);
    CHECK_OK(publish(&s, "p/1/held", A, &e), e);
    site_end(&s);
}

static void a_bar_is_of_the_bytes(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    enum release_state st;
    struct digest a;
    start(&s);
    CHECK_OK(digest_parse(span_str(A), &a, &e), e);
    CHECK(release_state_of(s.db, &a, &st, &e) == ERR_NOTFOUND);
    CHECK_OK(admit(&s, "p/1/a", A, "{}", &e), e);
    CHECK_OK(admit(&s, "q/1/b", A, "{}", &e), e);
    CHECK_OK(publish(&s, "p/1/a", A, &e), e);
    CHECK_OK(release_state_of(s.db, &a, &st, &e), e);
    CHECK(st == RELEASE_PUBLISHED);
    const char *hold = "{\"sha256\":\"" A "\",\"reason\":\"why\",\"who\":\"r\",\"by\":\"rule x\"}";
    CHECK_OK(site_event(&s, "withheld", "site", hold, &e), e);
    CHECK(state_of(&s, "p/1/a") == RELEASE_WITHHELD && state_of(&s, "q/1/b") == RELEASE_WITHHELD);
    CHECK(publish(&s, "q/1/b", A, &e) == ERR_DENIED);
    const char *lift = "{\"sha256\":\"" A "\",\"reason\":\"false alarm\"}";
    CHECK_OK(site_event(&s, "lifted", "open", lift, &e), e);
    CHECK(site_event(&s, "lifted", "open", lift, &e) == ERR_CONFLICT);
    CHECK(state_of(&s, "p/1/a") == RELEASE_PUBLISHED && state_of(&s, "q/1/b") == RELEASE_HELD);
    CHECK_OK(site_event(&s, "withheld", "site", hold, &e), e);
    CHECK_OK(site_event(&s, "recalled", "open",
                        "{\"sha256\":\"" A "\",\"paths\":[\"p/1/a\"],\"reason\":\"bad\","
                        "\"replacement\":\"p/2/a\"}",
                        &e),
             e);
    CHECK(admit(&s, "z/9/other", A, "{}", &e) == ERR_DENIED);
    CHECK(state_of(&s, "q/1/b") == RELEASE_RECALLED);
    CLEANUP(js_free) json_t *bar = NULL;
    CHECK_OK(release_bar(s.db, &a, &bar, &e), e);
    CHECK_STR(js_str_or(bar, "state", ""), "recalled");
    CHECK_STR(js_str_or(bar, "replacement", ""), "p/2/a");
    int n = 0;
    CHECK_OK(release_barred(s.db, RELEASE_RECALLED, count_digest, &n, &e), e);
    CHECK_OK(release_barred(s.db, RELEASE_WITHHELD, count_digest, &n, &e), e);
    CHECK(n == 1);
    uint64_t lost = 0;
    site_rebuild(&s, &lost);
    CHECK(lost == 0 && state_of(&s, "q/1/b") == RELEASE_RECALLED);
    site_end(&s);
}

static int copy_latest(void *ctx, const char *product, const char *version, struct err *e)
{
    (void)e;
    struct buf *b = ctx;
    buf_fmt(b, "%s=%s ", product, version);
    return 0;
}

static void the_latest_version_is_the_one_begun_last(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    char v[LIMIT_NAME + 1];
    CLEANUP(buf_clear) struct buf all = BUF(1000);
    start(&s);
    CHECK(release_latest(s.db, "p", v, &e) == ERR_NOTFOUND);
    CHECK_OK(admit(&s, "p/1/a", A, "{}", &e), e);
    CHECK_OK(admit(&s, "p/2/a", B, "{}", &e), e);
    CHECK_OK(admit(&s, "p/1/late", C, "{}", &e), e);
    CHECK_OK(publish(&s, "p/1/a", A, &e), e);
    CHECK_OK(publish(&s, "p/2/a", B, &e), e);
    CHECK_OK(publish(&s, "p/1/late", C, &e), e);
    CHECK_OK(release_latest(s.db, "p", v, &e), e);
    CHECK_STR(v, "2");
    CHECK_OK(site_event(&s, "withheld", "site", "{\"sha256\":\"" B "\",\"reason\":\"why\"}", &e),
             e);
    CHECK_OK(release_latest(s.db, "p", v, &e), e);
    CHECK_STR(v, "1");
    CHECK_OK(admit(&s, "q/7/late", C, "{}", &e), e);
    CHECK_OK(publish(&s, "q/7/late", C, &e), e);
    CHECK_OK(release_each_latest(s.db, copy_latest, &all, &e), e);
    CHECK_STR(buf_text(&all), "p=1 q=7 ");
    site_end(&s);
}

static void hashes_and_rules_lead_to_blobs(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    int n = 0;
    uint8_t md5[16];
    struct digest a, b;
    start(&s);
    memset(md5, 0x22, sizeof md5);
    CHECK_OK(digest_parse(span_str(A), &a, &e), e);
    CHECK_OK(digest_parse(span_str(B), &b, &e), e);
    CHECK_OK(admit(&s, "p/1/a", A,
                   "{\"members\":[{\"path\":\"in//er\",\"size\":3,\"sha256\":\"" B
                   "\",\"sha1\":\"" SHA1 "\",\"md5\":\"" MD5
                   "\"}],\"findings\":[{\"engine\":\"yara\",\"rule\":\"Note\","
                   "\"severity\":\"clean\",\"text\":\"t\",\"offset\":9}]}",
                   &e),
             e);
    CHECK_OK(release_holding(s.db, span_of(b.b, 32), count_digest, &n, &e), e);
    CHECK_OK(release_holding(s.db, span_of(a.b, 32), count_digest, &n, &e), e);
    CHECK_OK(release_holding(s.db, span_of(md5, 16), count_digest, &n, &e), e);
    CHECK(n == 3);
    CHECK(release_holding(s.db, span_of(md5, 15), count_digest, &n, &e) == ERR_FORMAT);
    CHECK_OK(
        site_event(&s, "retro", "site",
                   "{\"rules\":[\"New\"],\"scanned\":1,\"withheld\":1,\"who\":\"r\",\"found\":[{"
                   "\"sha256\":\"" A "\",\"findings\":[{\"engine\":\"yara\",\"rule\":\"New\"}]}]}",
                   &e),
        e);
    n = 0;
    CHECK_OK(release_found_by(s.db, "New", count_digest, &n, &e), e);
    CHECK_OK(release_found_by(s.db, "Note", count_digest, &n, &e), e);
    CHECK_OK(release_found_by(s.db, "new", count_digest, &n, &e), e);
    CHECK(n == 2);
    CLEANUP(js_free) json_t *f = NULL;
    CHECK_OK(release_findings(s.db, &a, &f, &e), e);
    CHECK(json_array_size(f) == 2 && js_int_or(json_array_get(f, 0), "offset", 0) == 9);
    n = 0;
    CHECK_OK(release_blobs(s.db, true, NULL, count_blob, &n, &e), e);
    CHECK(n == 0);
    CHECK_OK(publish(&s, "p/1/a", A, &e), e);
    CHECK_OK(release_blobs(s.db, true, NULL, count_blob, &n, &e), e);
    CHECK_OK(release_blobs(s.db, false, &a, count_blob, &n, &e), e);
    CHECK(n == 1);
    n = 0;
    CHECK_OK(release_of_path(s.db, "p/1/*", count_target, &n, &e), e);
    CHECK_OK(release_of_path(s.db, "p/1/a", count_target, &n, &e), e);
    CHECK_OK(release_of_path(s.db, "p/2*", count_target, &n, &e), e);
    CHECK_OK(release_of_product(s.db, "p", NULL, count_target, &n, &e), e);
    CHECK_OK(release_of_product(s.db, "p", "1", count_target, &n, &e), e);
    CHECK_OK(release_of_digest(s.db, &a, count_target, &n, &e), e);
    CHECK(n == 5);
    site_end(&s);
}

static void alarms_and_refusals_are_kept(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    int64_t n = 0;
    start(&s);
    CHECK_OK(site_event(&s, "alarm", "site",
                        "{\"blob\":\"" A "\",\"kind\":\"changed\",\"last_good\":5,\"seen\":9,"
                        "\"text\":\"x\"}",
                        &e),
             e);
    CLEANUP(js_free) json_t *list = NULL;
    CHECK_OK(release_alarms(s.db, 10, &list, &e), e);
    const json_t *a = json_array_get(list, 0);
    CHECK(json_array_size(list) == 1 && js_int_or(a, "last_good", 0) == 5);
    CHECK_STR(js_str_or(a, "sha256", ""), A);
    CHECK_STR(js_str_or(a, "fault", ""), "changed");
    CHECK_OK(site_event(&s, "refused", "site",
                        "{\"path\":\"p/1/a\",\"sha256\":\"" A
                        "\",\"reason\":\"malicious\",\"who\":\"w\"}",
                        &e),
             e);
    CHECK(site_event(&s, "refused", "site", "{\"who\":\"w\"}", &e) == ERR_FORMAT);
    CHECK_OK(db_int(s.db, "SELECT count(*) FROM refused", DB_NO_ARGS, &n, &e), e);
    CHECK(n == 1);
    struct digest a_bytes;
    int64_t first = -1, good = 0, before = clock_now();
    CHECK_OK(digest_parse(span_str(A), &a_bytes, &e), e);
    CHECK_OK(release_known_good(s.db, &a_bytes, &first, &e), e);
    CHECK(first == 0);
    CHECK_OK(admit(&s, "p/1/a.exe", A, "{}", &e), e);
    CHECK_OK(release_known_good(s.db, &a_bytes, &first, &e), e);
    CHECK(first >= before && first <= clock_now());
    CHECK_OK(admit(&s, "q/1/a.exe", A, "{}", &e), e); /* its copy was not read again */
    CHECK_OK(release_known_good(s.db, &a_bytes, &good, &e), e);
    CHECK(good == first);
    site_end(&s);
}

static int fold(struct record_site *s, const struct event *ev, struct err *e)
{
    const struct record_kind *k = release_kinds;
    while (strcmp(k->name, ev->kind) != 0) {
        k++;
    }
    return k->fold(s->db, ev, e);
}

/* As in a rebuild after the keyring was lost: private parts are NULL, and the public entries still
 * tell what is published. */
static void without_private_parts_what_was_public_remains(void **state)
{
    (void)state;
    static const char *const private[] = {"refused", "approved", "withheld", "alarm", "retro"};
    struct record_site s;
    struct err e;
    struct release_target t;
    start(&s);
    CHECK_OK(fold(&s, &(struct event){.kind = "admitted", .index = 3}, &e), e);
    for (size_t i = 0; i < ARRAY_LEN(private); i++) {
        CHECK_OK(fold(&s, &(struct event){.kind = private[i], .index = 4 + i}, &e), e);
    }
    CHECK_OK(publish(&s, "p/1/sub/a", A, &e), e);
    CHECK_OK(release_target(s.db, "p/1/sub/a", &t, &e), e);
    CHECK(t.state == RELEASE_PUBLISHED && t.size == 7);
    CHECK_STR(t.version, "1");
    CHECK_STR(t.product, "p");
    CHECK(publish(&s, "p", A, &e) == ERR_NOTFOUND);
    site_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_keeps_its_bytes),
        TEST(only_what_is_clean_whole_and_named_right_is_admitted),
        TEST(a_hold_and_an_approval_are_waited_for),
        TEST(a_bar_is_of_the_bytes),
        TEST(the_latest_version_is_the_one_begun_last),
        TEST(hashes_and_rules_lead_to_blobs),
        TEST(alarms_and_refusals_are_kept),
        TEST(without_private_parts_what_was_public_remains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
