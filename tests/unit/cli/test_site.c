#include "cli/site.h"

#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "check.h"

struct setting {
    struct check_dir t;
    char *path; /* of the site to be */
    struct settings *settings;
    struct key_pass pass;
    struct site_plan plan;
};

static void begin(struct setting *s)
{
    struct err e;
    *s = (struct setting){.t = check_dir(), .settings = settings_new()};
    s->path = mem_printf("%s/site", s->t.path);
    CHECK_OK(settings_set(s->settings, SETTING_REPOSITORY_NAME, "unit.example", &e), e);
    CHECK_OK(key_pass_set(&s->pass, span_str("correct horse"), &e), e);
    s->plan = (struct site_plan){
        .path = s->path, .settings = s->settings, .pass = &s->pass, .cost = KEY_COST_MIN};
}

static void end(struct setting *s)
{
    free(s->path);
    settings_free(&s->settings);
    key_pass_clear(&s->pass);
    check_dir_clear(&s->t);
}

static void a_site_has_all_its_parts(void **state)
{
    (void)state;
    static const char *const parts[] = {"site/cordon.yaml",
                                        "site/keys/site.kek",
                                        "site/keyring",
                                        "site/metadata/1.root.json",
                                        "site/cordon.db",
                                        "site/web.db",
                                        "site/state",
                                        "site/journal",
                                        "site/log",
                                        "site/details",
                                        "site/staging",
                                        "site/quarantine",
                                        "site/rules/yara",
                                        "site/rules/hashes",
                                        "site/run",
                                        "site/blobs",
                                        "copy"};
    struct err e;
    struct setting s;
    begin(&s);
    CLEANUP(mem_free) char *copy = mem_printf("%s/copy", s.t.path);
    s.plan.keyring_copy = copy;
    CHECK_OK(site_make(&s.plan, &e), e);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (!file_exists(s.t.fd, parts[i])) {
            print_error("no %s\n", parts[i]);
        }
        CHECK(file_exists(s.t.fd, parts[i]));
    }
    CHECK(!file_exists(s.t.fd, "site/.unfinished"));
    CHECK(site_make(&s.plan, &e) == ERR_CONFLICT); /* and it is kept */
    CHECK(file_exists(s.t.fd, "site/cordon.yaml"));
    end(&s);
}

static void a_failure_leaves_nothing(void **state)
{
    (void)state;
    struct err e;
    struct setting s;
    begin(&s);
    CLEANUP(mem_free) char *copy = mem_printf("%s/no/such/folder", s.t.path);
    s.plan.keyring_copy = copy; /* written near the end */
    CHECK(site_make(&s.plan, &e) < 0);
    CHECK(!file_exists(s.t.fd, "site"));
    CHECK(mkdir(s.path, 0755) == 0); /* an empty folder of somebody's stays */
    CHECK(site_make(&s.plan, &e) < 0);
    CHECK(file_exists(s.t.fd, "site") && rmdir(s.path) == 0);
    end(&s);
}

static void what_is_there_is_never_touched(void **state)
{
    (void)state;
    struct err e;
    struct setting s;
    begin(&s);
    CHECK_OK(file_mkdirs(s.t.fd, "site/keys", 0755, &e), e);
    CHECK_OK(file_write_lazy(s.t.fd, "site/keys/mine", span_str("x"), 0600, &e), e);
    CHECK(site_make(&s.plan, &e) == ERR_CONFLICT);
    CHECK(file_exists(s.t.fd, "site/keys/mine"));
    end(&s);
}

static void an_init_that_was_killed_can_be_repeated(void **state)
{
    (void)state;
    struct err e;
    struct setting s;
    begin(&s);
    CHECK_OK(file_mkdirs(s.t.fd, "site/keys", 0755, &e), e);
    CHECK_OK(file_write_lazy(s.t.fd, "site/keys/site.kek", span_str("half"), 0600, &e), e);
    CHECK_OK(file_write_lazy(s.t.fd, "site/.unfinished", span_str(""), 0600, &e), e);
    CHECK_OK(site_make(&s.plan, &e), e);
    CHECK(file_exists(s.t.fd, "site/cordon.yaml"));
    end(&s);
}

int main(void)
{
    CHECK(sodium_init() >= 0);
    const struct CMUnitTest tests[] = {
        TEST(a_site_has_all_its_parts),
        TEST(a_failure_leaves_nothing),
        TEST(what_is_there_is_never_touched),
        TEST(an_init_that_was_killed_can_be_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
