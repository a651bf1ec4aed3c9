/* New rules against everything that was published. */
#include "harness.h"

#define N 150

static void publish_many(struct rig *g)
{
    struct err e;
    struct given *f = mem_array(struct given, N);
    CLEANUP(js_free) json_t *results = NULL;
    for (size_t i = 0; i < N; i++) {
        f[i] = (struct given){mem_printf("f%zu", i),
                              mem_printf("%s words %zu", i == 7 ? "needle" : "straw", i)};
    }
    CHECK_OK(admit(g, "1.0", f, N, &results, &e), e);
    for (size_t i = 0; i < N; i++) {
        CHECK(is_published(json_array_get(results, i)));
        free((void *)(uintptr_t)f[i].rel);
        free((void *)(uintptr_t)f[i].text);
    }
    free(f);
}

static char *rule_file(struct rig *g, const char *name, const char *word)
{
    struct err e;
    CLEANUP(mem_free) char *file = mem_printf("%s.yar", name);
    CLEANUP(mem_free)
    char *text = mem_printf("rule %s { strings: $a = \"%s\" condition: $a }\n", name, word);
    CHECK_OK(file_write(g->d.fd, file, span_str(text), 0600, &e), e);
    return mem_printf("%s/%s", g->d.path, file);
}

static uint64_t seen_done, seen_all;

static void step(void *ctx, uint64_t done, uint64_t all)
{
    (void)ctx;
    CHECK(done > seen_done && done <= all);
    seen_done = done;
    seen_all = all;
}

static json_t *retro(struct rig *g, const char *name, const char *word, bool force)
{
    struct err e;
    json_t *j = NULL;
    CLEANUP(mem_free) char *path = rule_file(g, name, word);
    const char *const rules[] = {path};
    seen_done = seen_all = 0;
    struct release_hunt q = {rules, 1, force, "ann", step, NULL};
    CHECK_OK(release_retro(g->rel, &q, &j, &e), e);
    return j;
}

static void what_a_new_rule_finds_is_withheld(void **state)
{
    (void)state;
    struct rig g;
    rig_new(&g);
    publish_many(&g);
    CLEANUP(js_free) json_t *j = retro(&g, "needles", "needle", false);
    const json_t *found = json_object_get(j, "found");
    CHECK(json_array_size(found) == 1 && js_int_or(j, "withheld", -1) == 1);
    CHECK(!js_bool_or(j, "asked", true) && js_int_or(j, "scanned", -1) == N);
    CHECK_STR(text_of(json_array_get(found, 0), "rule"), "needles");
    CHECK(seen_done == N && seen_all == N);
    CHECK(state_of(&g, "tool/1.0/f7") == RELEASE_WITHHELD);
    CHECK(!signed_as(&g, "tool/1.0/f7", "needle words 7"));
    CHECK(signed_as(&g, "tool/1.0/f8", "straw words 8"));
    CHECK(count_rows(&g, "SELECT count(*) FROM finding WHERE rule = 'needles'") == 1);
    CHECK(count_rows(&g, "SELECT count(*) FROM barred WHERE cause = 'rule needles'") == 1);
    rig_end(&g);
}

static void a_rule_that_finds_too_much_asks(void **state)
{
    (void)state;
    struct rig g;
    rig_new(&g);
    publish_many(&g);
    CLEANUP(js_free) json_t *j = retro(&g, "straws", "straw words 1", false);
    CHECK(js_bool_or(j, "asked", false) && js_int_or(j, "withheld", -1) == 0);
    CHECK(json_array_size(json_object_get(j, "found")) > 2);
    CHECK(state_of(&g, "tool/1.0/f1") == RELEASE_PUBLISHED);
    CHECK(count_rows(&g, "SELECT count(*) FROM barred") == 0);
    CHECK(count_rows(&g, "SELECT count(*) FROM finding WHERE rule = 'straws'") > 2);
    CLEANUP(js_free) json_t *k = retro(&g, "straws", "straw words 1", true);
    CHECK(!js_bool_or(k, "asked", true));
    CHECK(js_int_or(k, "withheld", -1) == (int64_t)json_array_size(json_object_get(k, "found")));
    CHECK(state_of(&g, "tool/1.0/f1") == RELEASE_WITHHELD);
    CHECK(state_of(&g, "tool/1.0/f7") == RELEASE_PUBLISHED);
    rig_end(&g);
}

static void a_rule_that_does_not_compile_is_named(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    json_t *j = NULL;
    rig_new(&g);
    CHECK(publishes(&g, "1.0", "a", "words"));
    CHECK_OK(file_write(g.d.fd, "bad.yar", span_str("rule {"), 0600, &e), e);
    CLEANUP(mem_free) char *path = mem_printf("%s/bad.yar", g.d.path);
    const char *const rules[] = {path};
    struct release_hunt q = {.rules = rules, .n = 1, .who = "ann"};
    CHECK(release_retro(g.rel, &q, &j, &e) == ERR_FORMAT);
    CHECK(strstr(e.text, "bad.yar") != NULL && j == NULL);
    CHECK(count_rows(&g, "SELECT count(*) FROM retro") == 0);
    rig_end(&g);
}

static void a_list_of_hashes_is_a_rule_too(void **state)
{
    (void)state;
    struct rig g;
    struct err e;
    json_t *j = NULL;
    char hex[DIGEST_TEXT + 1];
    rig_new(&g);
    CHECK(publishes(&g, "1.0", "a", "words") && publishes(&g, "1.0", "b", "more"));
    struct digest d = digest_str("words");
    CHECK_OK(file_write(g.d.fd, "bad.txt", span_str(digest_text(&d, hex)), 0600, &e), e);
    CLEANUP(mem_free) char *path = mem_printf("%s/bad.txt", g.d.path);
    const char *const rules[] = {path};
    struct release_hunt q = {.rules = rules, .n = 1, .force = true, .who = "ann"};
    CHECK_OK(release_retro(g.rel, &q, &j, &e), e);
    CHECK(json_array_size(json_object_get(j, "found")) == 1);
    CHECK(state_of(&g, "tool/1.0/a") == RELEASE_WITHHELD);
    CHECK(state_of(&g, "tool/1.0/b") == RELEASE_PUBLISHED);
    js_free(&j);
    rig_end(&g);
}

int main(int argc, char **argv)
{
    int child = dispatch(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(what_a_new_rule_finds_is_withheld),
        TEST(a_rule_that_finds_too_much_asks),
        TEST(a_rule_that_does_not_compile_is_named),
        TEST(a_list_of_hashes_is_a_rule_too),
    };
    return child >= 0 ? child : cmocka_run_group_tests(tests, pool_start, pool_stop);
}
