#include "serve/limit.h"

#include "base/clock.h"
#include "check.h"

#define S CLOCK_SECOND

static void requests_are_averaged_over_ten_seconds(void **state)
{
    (void)state;
    struct limits *l = limits_new(&(struct limits_opts){.downloads = 2, .rate = 5});
    uint64_t a = limits_key(l, "account", "u", "s"), b = limits_key(l, "account", "u", "t");
    unsigned wait = 0, ok = 0;
    for (int i = 0; i < 100; i++) {
        ok += limits_request(l, a, 100 * S, &wait);
    }
    CHECK(ok == 50 && wait > 0);
    CHECK(limits_request(l, b, 100 * S, &wait)); /* another is not hindered */
    CHECK(!limits_request(l, a, 100 * S + S / 10, &wait));
    for (int i = 0; i < 5; i++) {
        CHECK(limits_request(l, a, 101 * S, &wait));
    }
    CHECK(!limits_request(l, a, 101 * S, &wait));
    limits_free(&l);
}

static void downloads_are_counted(void **state)
{
    (void)state;
    struct limits *l = limits_new(&(struct limits_opts){.downloads = 2, .rate = 5});
    uint64_t a = limits_key(l, "account", "u", "s");
    CHECK(limits_begin(l, a, 1));
    CHECK(limits_begin(l, a, 1));
    CHECK(!limits_begin(l, a, 1));
    limits_end(l, a);
    CHECK(limits_begin(l, a, 1));
    CHECK(!limits_begin(l, a, 1));
    limits_free(&l);
}

static void guessing_is_slowed_down(void **state)
{
    (void)state;
    struct limits *l = limits_new(&(struct limits_opts){.downloads = 2, .rate = 5});
    uint64_t a = limits_key(l, "address", "192.0.2.1", "");
    int n = 0;
    while (limits_may_try(l, a, S) && n < 1000) {
        limits_failed(l, a, S);
        n++;
    }
    CHECK(n > 10 && n < 200);
    CHECK(!limits_may_try(l, a, S) && limits_may_try(l, a, 3600 * S));
    CHECK(limits_may_try(l, limits_key(l, "address", "192.0.2.2", ""), S));
    limits_free(&l);
}

static void a_key_tells_its_parts_apart(void **state)
{
    (void)state;
    struct limits *l = limits_new(&(struct limits_opts){.downloads = 1, .rate = 1});
    struct limits *m = limits_new(&(struct limits_opts){.downloads = 1, .rate = 1});
    uint64_t k = limits_key(l, "account", "ab", "c");
    CHECK(k == limits_key(l, "account", "ab", "c"));
    CHECK(k != limits_key(l, "account", "a", "bc"));
    CHECK(k != limits_key(l, "address", "ab", "c"));
    CHECK(k != limits_key(m, "account", "ab", "c")); /* another process, other keys */
    limits_free(&l);
    limits_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_are_averaged_over_ten_seconds),
        TEST(downloads_are_counted),
        TEST(guessing_is_slowed_down),
        TEST(a_key_tells_its_parts_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
