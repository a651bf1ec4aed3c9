#include "serve/http_text.h"

#include "check.h"

static const struct digest tagged = {{0xab}};
#define TAG "\"ab00000000000000000000000000000000000000000000000000000000000000\""

static void a_target_is_cut_and_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool form;
        const char *want; /* NULL: refused */
    } cases[] = {
        {"/d/a%2Bb/1.0", false, "/d/a+b/1.0"},
        {"a+b", false, "a+b"},
        {"a+b", true, "a b"},
        {"%c3%a4", false, "\xc3\xa4"},
        {"", false, ""},
        {"%", false, NULL},
        {"%2", false, NULL},
        {"%g0", false, NULL},
        {"%00", false, NULL},
        {"%0a", false, NULL},
        {"a%0ab", true, "a\nb"},
        {"%c3", false, NULL},
        {"%7f", true, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_clear) struct buf b = BUF(100);
        int r = http_decode(span_str(cases[i].text), cases[i].form, &b, NULL);
        CHECK((r == 0) == (cases[i].want != NULL));
        if (r == 0) {
            CHECK_STR(buf_text(&b), cases[i].want);
        }
    }
    struct span path, query;
    http_split(span_str("/check?a=1?2"), &path, &query);
    CHECK(span_is(path, "/check") && span_is(query, "a=1?2"));
    http_split(span_str("/"), &path, &query);
    CHECK(span_is(path, "/") && query.len == 0);
}

static void a_secret_in_a_query_is_seen(void **state)
{
    (void)state;
    CHECK(http_query_has_secret(span_str("token=1")));
    CHECK(http_query_has_secret(span_str("a=b&TOKEN=1")));
    CHECK(http_query_has_secret(span_str("password=")));
    CHECK(!http_query_has_secret(span_str("a=token&tokens=3&tok")));
    CHECK(!http_query_has_secret(SPAN_NONE));
}

static void ranges_are_one_part_or_the_whole(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        uint64_t size;
        enum http_range want;
        uint64_t first, last;
    } cases[] = {
        {NULL, 10, HTTP_RANGE_WHOLE, 0, 0},
        {"bytes=0-9", 10, HTTP_RANGE_PART, 0, 9},
        {"Bytes= 2 - 4 ", 10, HTTP_RANGE_PART, 2, 4},
        {"bytes=9-", 10, HTTP_RANGE_PART, 9, 9},
        {"bytes=3-99999999999999999999999", 10, HTTP_RANGE_PART, 3, 9},
        {"bytes=-3", 10, HTTP_RANGE_PART, 7, 9},
        {"bytes=-30", 10, HTTP_RANGE_PART, 0, 9},
        {"bytes=-0", 10, HTTP_RANGE_UNSATISFIED, 0, 0},
        {"bytes=10-", 10, HTTP_RANGE_UNSATISFIED, 0, 0},
        {"bytes=99999999999999999999999-", 10, HTTP_RANGE_UNSATISFIED, 0, 0},
        {"bytes=0-0", 0, HTTP_RANGE_UNSATISFIED, 0, 0},
        {"bytes=-1", 0, HTTP_RANGE_UNSATISFIED, 0, 0},
        {"bytes=5-4", 10, HTTP_RANGE_WHOLE, 0, 0},
        {"bytes=0-1,3-4", 10, HTTP_RANGE_WHOLE, 0, 0},
        {"bytes=", 10, HTTP_RANGE_WHOLE, 0, 0},
        {"bytes=-", 10, HTTP_RANGE_WHOLE, 0, 0},
        {"bytes=a-b", 10, HTTP_RANGE_WHOLE, 0, 0},
        {"bytes=1-2-3", 10, HTTP_RANGE_WHOLE, 0, 0},
        {"lines=1-2", 10, HTTP_RANGE_WHOLE, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t first = 0, last = 0;
        CHECK(http_range_parse(cases[i].header, cases[i].size, &first, &last) == cases[i].want);
        CHECK(first == cases[i].first && last == cases[i].last);
    }
}

static void tags_are_compared_as_the_rules_say(void **state)
{
    (void)state;
    CHECK(http_tag_listed(TAG, &tagged) && http_tag_listed("*", &tagged));
    CHECK(http_tag_listed("\"x\", W/" TAG, &tagged));
    CHECK(!http_tag_listed(NULL, &tagged) && !http_tag_listed("\"x\"", &tagged));
    CHECK(!http_tag_listed("ab", &tagged));
    CHECK(http_if_range(NULL, &tagged) && http_if_range(TAG, &tagged));
    CHECK(!http_if_range("W/" TAG, &tagged)); /* strong comparison */
    CHECK(!http_if_range("Thu, 19 Apr 2001 09:12:00 GMT", &tagged));
}

static void credentials_are_basic_or_bearer(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        int r;
        const char *user, *secret;
    } cases[] = {
        {NULL, 0, "", ""},
        {"Basic dXNlcjpnb29k", 0, "user", "good"},
        {"basic  dXNlcjpnb29k ", 0, "user", "good"},
        {"Basic dXNlcjphOmI=", 0, "user", "a:b"},
        {"Basic Og==", 0, "", ""},
        {"Bearer good", 0, "", "good"},
        {"Bearer ", ERR_FORMAT, "", ""},
        {"Basic dXNlcg==", ERR_FORMAT, "", ""}, /* no colon */
        {"Basic !!", ERR_FORMAT, "", ""},
        {"Basic", ERR_FORMAT, "", ""},
        {"Digest x", ERR_FORMAT, "", ""},
        {"Basic dTr/", ERR_FORMAT, "", ""}, /* no UTF-8 */
        {"", ERR_FORMAT, "", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_credential c;
        struct err e;
        CHECK(http_credential_parse(cases[i].header, &c, &e) == cases[i].r);
        CHECK_STR(c.user, cases[i].user);
        CHECK_STR(c.secret, cases[i].secret);
        CHECK(c.given == (cases[i].header != NULL));
    }
    char longest[2000];
    struct http_credential c;
    memset(longest, 'a', sizeof longest - 1);
    memcpy(longest, "Bearer ", 7);
    longest[sizeof longest - 1] = 0;
    CHECK(http_credential_parse(longest, &c, NULL) == ERR_FORMAT && c.secret[0] == 0);
}

static struct http_ip ip(const char *text)
{
    struct http_ip out;
    struct err e;
    CHECK_OK(http_ip_parse(span_str(text), &out, &e), e);
    return out;
}

static void networks_hold_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *net, *ip;
        bool in;
    } cases[] = {
        {"10.0.0.0/8", "10.255.1.1", true},      {"10.0.0.0/8", "11.0.0.0", false},
        {"192.168.1.7", "192.168.1.7", true},    {"192.168.1.7", "192.168.1.6", false},
        {"0.0.0.0/0", "8.8.8.8", true},          {"0.0.0.0/0", "2001:db8::1", false},
        {"2001:db8::/33", "2001:db8::1", true},  {"2001:db8::/33", "2001:db8:8000::1", false},
        {"10.0.0.0/8", "::ffff:10.1.1.1", true}, {"172.16.0.0/12", "172.31.9.9", true},
        {"172.16.0.0/12", "172.32.0.0", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_net net;
        struct err e;
        struct http_ip a = ip(cases[i].ip);
        CHECK_OK(http_net_parse(span_str(cases[i].net), &net, &e), e);
        CHECK(http_in_net(&a, &net) == cases[i].in);
    }
    static const char *const bad[] = {"",        "10.0.0.0/33", "10.0.0.0/",   "x",
                                      "::1/129", "1.2.3/8",     "10.0.0.0/8/8"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct http_net net;
        CHECK(http_net_parse(span_str(bad[i]), &net, NULL) < 0);
    }
    struct http_ip a = ip("127.9.9.9"), b = ip("::1"), c = ip("128.0.0.1");
    CHECK(http_ip_loopback(&a) && http_ip_loopback(&b) && !http_ip_loopback(&c));
}

static void only_proxies_are_believed(void **state)
{
    (void)state;
    struct http_net nets[2];
    struct err e;
    CHECK_OK(http_net_parse(span_str("10.0.0.0/8"), &nets[0], &e), e);
    CHECK_OK(http_net_parse(span_str("::1/128"), &nets[1], &e), e);
    static const struct {
        const char *peer, *forwarded, *want;
    } cases[] = {
        {"10.0.0.1", "203.0.113.5", "203.0.113.5"},
        {"10.0.0.1", NULL, "10.0.0.1"},
        {"198.51.100.1", "203.0.113.5", "198.51.100.1"},               /* not one of ours */
        {"10.0.0.1", "1.1.1.1, 203.0.113.5, 10.0.0.2", "203.0.113.5"}, /* the left is a claim */
        {"10.0.0.1", "203.0.113.5, nonsense", "10.0.0.1"},
        {"10.0.0.1", "10.0.0.3", "10.0.0.3"},
        {"::1", "2001:db8::9", "2001:db8::9"},
        {"10.0.0.1", ",,", "10.0.0.1"},
        {"10.0.0.1", "", "10.0.0.1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[HTTP_ADDRESS];
        struct http_ip peer = ip(cases[i].peer);
        struct http_ip got = http_client(&peer, cases[i].forwarded, nets, 2);
        CHECK_STR(http_ip_text(&got, text), cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_target_is_cut_and_decoded),      TEST(a_secret_in_a_query_is_seen),
        TEST(ranges_are_one_part_or_the_whole), TEST(tags_are_compared_as_the_rules_say),
        TEST(credentials_are_basic_or_bearer),  TEST(networks_hold_addresses),
        TEST(only_proxies_are_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
