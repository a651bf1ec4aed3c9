#include "incident/incident.h"

#include "customers.h"

#define T0 INT64_C(1000000000000000)
#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define SHA1 "1111111111111111111111111111111111111111"
#define MD5 "22222222222222222222222222222222"
#define SIZE (2 * DELIVERY_CHUNK)

static const struct record_kind *const kinds[] = {account_kinds, release_kinds, delivery_kinds,
                                                  NULL};
static struct record_group groups[4];

static int find(struct db *db, const char *path, struct delivery_target *out, struct err *e)
{
    struct release_target t;
    int r = release_target(db, path, &t, e);
    if (r < 0) {
        return r;
    }
    *out = (struct delivery_target){.blob = t.sha256, .chunk_root = t.chunk_root, .size = t.size};
    memcpy(out->product, t.product, sizeof out->product);
    return 0;
}

static void publish(struct record_site *s, const char *rel, const char *sha256, const char *member)
{
    struct err e;
    CLEANUP(mem_free)
    char *admitted = mem_printf(
        "{\"who\":\"w\",\"product\":\"p\",\"version\":\"1\",\"rel\":\"%s\",\"path\":\"p/1/%s\","
        "\"sha256\":\"%s\",\"sha1\":\"" SHA1 "\",\"md5\":\"" MD5 "\",\"size\":%llu,\"chunks\":\"" C
        "\",\"verdict\":\"clean\",\"rules\":\"" C "\",\"attestation\":\"" C "\",\"members\":[%s]}",
        rel, rel, sha256, (unsigned long long)SIZE, member);
    CLEANUP(mem_free)
    char *published = mem_printf("{\"path\":\"p/1/%s\",\"sha256\":\"%s\",\"length\":%llu,"
                                 "\"chunks\":\"" C "\",\"verdict\":\"" C "\"}",
                                 rel, sha256, (unsigned long long)SIZE);
    CHECK_OK(site_event(s, "admitted", "site", admitted, &e), e);
    CHECK_OK(site_event(s, "published", "open", published, &e), e);
}

struct world {
    struct record_site s;
    struct customer ann, bob, cyd;
};

static uint64_t get(struct world *w, const struct customer *c, const char *path, const char *node,
                    bool whole)
{
    struct err e;
    struct delivery_answer a;
    struct delivery_request q = {.secret = span_str(c->token),
                                 .target = path,
                                 .whole = whole,
                                 .address = "192.0.2.1",
                                 .node = node};
    CHECK_OK(customers_get(&w->s, find, &q, &a, &e), e);
    return a.grant;
}

/* Three organisations; p/1/a and p/1/again are A, p/1/b is B and holds a member C. Ann has all of
 * A, Bob was granted a half of it, Cyd has B a day later from another node. */
static void start(struct world *w)
{
    groups[0] = (struct record_group){"account", account_migrations, account_migrations_n};
    groups[1] = (struct record_group){"release", release_migrations, release_migrations_n};
    groups[2] = (struct record_group){"delivery", delivery_migrations, delivery_migrations_n};
    customers_clock(T0);
    delivery_forget();
    site_new(&w->s, kinds, groups);
    publish(&w->s, "a", A, "");
    publish(&w->s, "again", A, "");
    publish(&w->s, "b", B,
            "{\"path\":\"in\",\"size\":1,\"sha256\":\"" C "\",\"sha1\":\"" SHA1
            "\",\"md5\":\"33333333333333333333333333333333\"}");
    w->ann = customers_add(&w->s, "Ann", "u");
    w->bob = customers_add(&w->s, "Bob", "u");
    w->cyd = customers_add(&w->s, "Cyd", "u");
    uint64_t g = get(w, &w->ann, "p/1/again", "origin", true);
    CHECK(customers_end(&w->s, g, 0, SIZE));
    get(w, &w->bob, "p/1/a", "origin", false);
    customers_time = T0 + CLOCK_DAY;
    get(w, &w->cyd, "p/1/b", "mirror", true);
}

static void stop(struct world *w)
{
    site_end(&w->s);
    clock_replace(NULL, NULL);
}

static int scope(struct world *w, const char *criteria, json_t **out, struct err *e)
{
    CLEANUP(js_free) json_t *q = NULL, *log = js_new();
    CHECK_OK(js_parse(span_str(criteria), LIMIT_JSON, "criteria", &q, e), *e);
    js_set_int(log, "size", 42);
    return incident_scope(w->s.db, q, log, out, e);
}

/* "NAME:HOLDER ..." of the organisations, then the number of deliveries. */
static void check_scope(struct world *w, const char *criteria, const char *want)
{
    struct err e;
    CLEANUP(js_free) json_t *out = NULL;
    CLEANUP(buf_clear) struct buf got = BUF(4000);
    CHECK_OK(scope(w, criteria, &out, &e), e);
    const json_t *orgs = json_object_get(out, "organisations");
    for (size_t i = 0; i < json_array_size(orgs); i++) {
        const json_t *o = json_array_get(orgs, i);
        buf_fmt(&got, "%s:%s ", js_str_or(o, "name", "?"), js_str_or(o, "holder", "?"));
    }
    buf_fmt(&got, "%zu", json_array_size(json_object_get(out, "deliveries")));
    CHECK_STR(buf_text(&got), want);
}

static bool says(const json_t *out, const char *text)
{
    const json_t *list = json_object_get(out, "not_covered");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (strstr(json_string_value(json_array_get(list, i)), text) != NULL) {
            return true;
        }
    }
    return false;
}

static void each_criterion_leads_to_the_same_people(void **state)
{
    (void)state;
#define BOTH "Ann:confirmed Bob:partial 2"
    static const struct {
        const char *criteria, *want;
    } cases[] = {
        {"{\"targets\":[\"p/1/a\"]}", BOTH},
        {"{\"sha256\":[\"" A "\"]}", BOTH},
        {"{\"sha256\":[\"" MD5 "\"]}", "Ann:confirmed Bob:partial Cyd:possible 3"},
        {"{\"sha256\":[\"" C "\"]}", "Cyd:possible 1"},
        {"{\"sha256\":[\"33333333333333333333333333333333\"]}", "Cyd:possible 1"},
        {"{\"paths\":[\"p/1/a\"]}", BOTH},
        {"{\"paths\":[\"/d/p/1/aga*\"]}", BOTH},
        {"{\"paths\":[\"p/1/*\"]}", "Ann:confirmed Bob:partial Cyd:possible 3"},
        {"{\"paths\":[\"q/*\"]}", "0"},
        {"{\"rules\":[\"Late\"]}", BOTH},
        {"{\"rules\":[\"Other\"]}", "0"},
        {"{\"state\":\"withheld\"}", BOTH},
        {"{\"state\":\"recalled\"}", "0"},
        {"{\"nodes\":[\"mirror\"]}", "Cyd:possible 1"},
        {"{\"nodes\":[\"mirror\"],\"targets\":[\"p/1/a\"]}", "0"},
        {"{\"orgs\":[\"Bob\"]}", "Bob:partial 1"},
        {"{\"from\":\"2001-09-10\"}", "Cyd:possible 1"},
        {"{\"to\":\"2001-09-10\"}", BOTH},
        {"{\"sha256\":[\"" A "\",\"" B "\"],\"from\":1000086400000000,\"to\":1000086400000001}",
         "Cyd:possible 1"},
        {"{\"from\":1000000000000000,\"to\":1000086400000000}", BOTH},
    };
    struct world w;
    struct err e;
    start(&w);
    CHECK_OK(site_event(&w.s, "retro", "site",
                        "{\"found\":[{\"sha256\":\"" A "\",\"findings\":[{\"rule\":\"Late\"}]}]}",
                        &e),
             e);
    CHECK_OK(site_event(&w.s, "withheld", "site",
                        "{\"sha256\":\"" A "\",\"reason\":\"Late found it\"}", &e),
             e);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check_scope(&w, cases[i].criteria, cases[i].want);
    }
    stop(&w);
}

static void the_answer_has_every_field(void **state)
{
    (void)state;
    struct world w;
    struct err e;
    CLEANUP(js_free) json_t *out = NULL;
    start(&w);
    CHECK_OK(scope(&w, "{\"targets\":[\"p/1/a\"],\"from\":\"2001-01-01\"}", &out, &e), e);
    CLEANUP(buf_clear) struct buf got = BUF(20000);
    js_write(&got, out);
    CHECK_STR(
        buf_text(&got),
        "{\"incident\":null,\"window\":{\"from\":\"2001-01-01T00:00:00.000000Z\",\"to\":null},"
        "\"targets\":[{\"path\":\"p/1/a\",\"sha256\":\"" A "\",\"state\":\"published\"},"
        "{\"path\":\"p/1/again\",\"sha256\":\"" A "\",\"state\":\"published\"}],"
        "\"deliveries\":[{\"grant\":15,\"from\":\"2001-09-09T01:46:40.000000Z\","
        "\"to\":\"2001-09-09T01:46:40.000000Z\",\"organisation\":\"Ann\",\"account\":\"u\","
        "\"target\":\"p/1/again\",\"sha256\":\"" A "\",\"granted\":2097152,\"acked\":2097152,"
        "\"size\":2097152,\"holder\":\"confirmed\"},"
        "{\"grant\":17,\"from\":\"2001-09-09T01:46:40.000000Z\","
        "\"to\":\"2001-09-09T01:46:40.000000Z\",\"organisation\":\"Bob\",\"account\":\"u\","
        "\"target\":\"p/1/a\",\"sha256\":\"" A "\",\"granted\":1048576,\"acked\":0,"
        "\"size\":2097152,\"holder\":\"partial\"}],"
        "\"organisations\":[{\"name\":\"Ann\",\"holder\":\"confirmed\","
        "\"targets\":[\"p/1/again\"],\"first\":\"2001-09-09T01:46:40.000000Z\","
        "\"last\":\"2001-09-09T01:46:40.000000Z\"},{\"name\":\"Bob\",\"holder\":\"partial\","
        "\"targets\":[\"p/1/a\"],\"first\":\"2001-09-09T01:46:40.000000Z\","
        "\"last\":\"2001-09-09T01:46:40.000000Z\"}],"
        "\"ruled_out\":[{\"name\":\"Cyd\","
        "\"reason\":\"may have p, and was sent none of these files in the window\"}],"
        "\"not_covered\":[\"1 organisation was sent parts that do not make a whole file\","
        "\"the first recorded delivery is of 2001-09-09T01:46:40Z; what was sent before is "
        "unknown\"],\"log\":{\"size\":42}}");
    stop(&w);
}

static void bad_criteria_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *criteria;
        int want;
    } cases[] = {
        {"{}", ERR_FORMAT},
        {"{\"targets\":[]}", ERR_FORMAT},
        {"{\"targets\":[\"p/1/none\"]}", ERR_NOTFOUND},
        {"{\"targets\":[7]}", ERR_FORMAT},
        {"{\"sha256\":[\"abc\"]}", ERR_FORMAT},
        {"{\"sha256\":[\"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\"]}", ERR_FORMAT},
        {"{\"orgs\":[\"Dan\"]}", ERR_NOTFOUND},
        {"{\"state\":\"held\"}", ERR_FORMAT},
        {"{\"from\":\"yesterday\"}", ERR_FORMAT},
        {"{\"from\":\"2001-01-02\",\"to\":\"2001-01-02\"}", ERR_FORMAT},
        {"{\"from\":true}", ERR_FORMAT},
    };
    struct world w;
    struct err e;
    json_t *out = NULL;
    start(&w);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK(scope(&w, cases[i].criteria, &out, &e) == cases[i].want);
        CHECK(strncmp(e.text, "scope: ", 7) == 0 && out == NULL);
    }
    stop(&w);
}

static void what_it_does_not_cover_is_said(void **state)
{
    (void)state;
    struct world w;
    struct err e;
    uint64_t lost = 0;
    start(&w);
    customers_ask(&w.s, account_product_set, "{\"product\":\"p\",\"channel\":\"public\"}");
    customers_ask(&w.s, account_org_erase, "{\"name\":\"Cyd\"}");
    customers_ask(&w.s, account_erase, "{\"org\":\"Ann\",\"user\":\"u\"}");
    for (int again = 0; again < 2; again++) {
        CLEANUP(js_free) json_t *out = NULL;
        CHECK_OK(scope(&w,
                       "{\"sha256\":[\"" A "\",\"44444444444444444444444444444444\"],"
                       "\"paths\":[\"x*\"],\"rules\":[\"R\"]}",
                       &out, &e),
                 e);
        CHECK(says(out, "product p is public") && says(out, "1 organisation was sent parts"));
        CHECK(says(out, "1 delivery of erased organisations"));
        CHECK(says(out, "hash 44444444444444444444444444444444 is of nothing"));
        CHECK(says(out, "path x* is of nothing") && says(out, "rule R has no recorded finding"));
        const json_t *d = json_array_get(json_object_get(out, "deliveries"), 0);
        CHECK(json_is_null(json_object_get(d, "account")));
        CHECK_STR(js_str_or(d, "organisation", ""), "Ann");
        CHECK(json_array_size(json_object_get(out, "ruled_out")) == 0);
        CHECK(json_array_size(json_object_get(out, "organisations")) == 2);
        if (again == 0) { /* the same answer from the events */
            site_rebuild(&w.s, &lost);
            CHECK(lost == 0);
        }
    }
    stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_criterion_leads_to_the_same_people),
        TEST(the_answer_has_every_field),
        TEST(bad_criteria_are_refused),
        TEST(what_it_does_not_cover_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
