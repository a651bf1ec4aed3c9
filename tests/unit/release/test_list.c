/* What is told of releases, checksum files, new keys. */
#include "harness.h"

static void releases_are_listed_with_their_states(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    CLEANUP(js_free) json_t *list = NULL;
    CLEANUP(js_free) json_t *shown = NULL;
    CLEANUP(js_free) json_t *bar = NULL;
    rig_new(&g);
    CHECK(publishes(&g, "1", "a", "one") && publishes(&g, "1.2", "a", "two") &&
          publishes(&g, "1", "z", "three"));
    CHECK_OK(release_withhold(g.rel, "tool/1/z", "odd", "ann", &bar, &e), e);
    CHECK_OK(release_list(g.rel, &list, &e), e);
    CHECK(json_array_size(list) == 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *j = json_array_get(list, i);
        bool first = strcmp(text_of(j, "version"), "1") == 0;
        CHECK_STR(text_of(j, "product"), "tool");
        CHECK(js_int_or(j, "files", -1) == (first ? 2 : 1));
        CHECK_STR(text_of(j, "state"), first ? "withheld" : "published");
    }
    CHECK_OK(release_show(g.rel, "tool", "1", &shown, &e), e);
    const json_t *targets = json_object_get(shown, "targets");
    CHECK(json_array_size(targets) == 2);
    CHECK_STR(text_of(json_array_get(targets, 1), "reason"), "odd");
    json_t *none = NULL;
    CHECK(release_show(g.rel, "tool", "9", &none, &e) == ERR_NOTFOUND);
    rig_end(&g);
}

static void sums_name_what_is_published(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    CLEANUP(js_free) json_t *sums = NULL;
    CLEANUP(js_free) json_t *bar = NULL;
    char hex[DIGEST_TEXT + 1];
    struct digest one = digest_str("one");
    rig_new(&g);
    CHECK(publishes(&g, "1", "d/a", "one") && publishes(&g, "1", "b", "two"));
    CHECK_OK(release_withhold(g.rel, "tool/1/b", "odd", "ann", &bar, &e), e);
    CHECK_OK(release_sums(g.rel, "tool", "1", &sums, &e), e);
    CLEANUP(mem_free) char *want = mem_printf("%s  d/a\n", digest_text(&one, hex));
    CHECK_STR(text_of(sums, "sums"), want);
    CHECK(text_of(sums, "signature")[0] != '\0' && text_of(sums, "public")[0] != '\0');
    json_t *none = NULL;
    CHECK(release_sums(g.rel, "tool", "2", &none, &e) == ERR_NOTFOUND);
    rig_end(&g);
}

static void new_keys_sign_what_the_old_ones_had(void **state)
{
    (void)state;
    static const char *const roles[] = {"timestamp", "snapshot", "bins", "releases", "recalls"};
    struct rig g;
    struct err e;
    rig_new(&g);
    CHECK(publishes(&g, "1", "a", "one"));
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        CLEANUP(js_free) json_t *q = js_new();
        CLEANUP(js_free) json_t *a = NULL;
        js_set_str(q, "role", roles[i]);
        CHECK_OK(release_rotate(g.rel, q, &a, &e), e);
        CHECK_STR(text_of(a, "role"), roles[i]);
    }
    CHECK(signed_as(&g, "tool/1/a", "one"));
    CHECK(publishes(&g, "1", "b", "two") && signed_as(&g, "tool/1/b", "two"));
    rig_end(&g);
}

int main(int argc, char **argv)
{
    int child = dispatch(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(releases_are_listed_with_their_states),
        TEST(sums_name_what_is_published),
        TEST(new_keys_sign_what_the_old_ones_had),
    };
    return child >= 0 ? child : cmocka_run_group_tests(tests, pool_start, pool_stop);
}
