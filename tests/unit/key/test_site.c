#include "key/key.h"

#include "base/file.h"
#include "check.h"

#include <sys/stat.h>
#include <unistd.h>

static struct check_dir dir;
static struct key_pass pass, wrong;
static struct err e;

static int fresh(void **state)
{
    (void)state;
    dir = check_dir();
    CHECK_OK(key_pass_set(&pass, span_str("correct horse"), &e), e);
    CHECK_OK(key_pass_set(&wrong, span_str("wrong horse"), &e), e);
    CHECK_OK(key_site_create(dir.fd, &pass, KEY_COST_MIN, &e), e);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    key_pass_clear(&pass);
    key_pass_clear(&wrong);
    check_dir_clear(&dir);
    return 0;
}

static struct key_sub sub_of(const struct key_pass *with, enum key_purpose purpose)
{
    CLEANUP(key_kek_close) struct key_kek *kek = NULL;
    struct key_sub sub;
    CHECK_OK(key_site_open(dir.fd, with, &kek, &e), e);
    key_subkey(kek, purpose, &sub);
    return sub;
}

static void each_purpose_has_its_own_lasting_subkey(void **state)
{
    (void)state;
    for (int a = KEY_REPOSITORY; a <= KEY_TOKEN; a++) {
        struct key_sub x = sub_of(&pass, (enum key_purpose)a);
        for (int b = KEY_REPOSITORY; b <= KEY_TOKEN; b++) {
            struct key_sub y = sub_of(&pass, (enum key_purpose)b);
            CHECK((memcmp(&x, &y, sizeof x) == 0) == (a == b));
        }
        enum key_purpose back;
        CHECK_OK(key_purpose_parse(span_str(key_purpose_name((enum key_purpose)a)), &back, &e), e);
        CHECK((int)back == a);
    }
    enum key_purpose none;
    CHECK(key_purpose_parse(span_str("nothing"), &none, &e) == ERR_FORMAT);
    CHECK(key_purpose_name((enum key_purpose)99) == NULL);
}

static void a_wrong_passphrase_is_denied(void **state)
{
    (void)state;
    struct key_kek *kek = NULL;
    CHECK(key_site_open(dir.fd, &wrong, &kek, &e) == ERR_DENIED);
    CHECK(kek == NULL && strstr(e.text, "does not open") != NULL);
}

static void an_existing_one_is_kept(void **state)
{
    (void)state;
    struct key_sub before = sub_of(&pass, KEY_LOG);
    struct key_pass weak;
    struct stat st;
    CHECK(key_site_create(dir.fd, &wrong, KEY_COST_MIN, &e) == ERR_CONFLICT);
    struct key_sub after = sub_of(&pass, KEY_LOG);
    CHECK(memcmp(&before, &after, sizeof after) == 0);
    CHECK(fstatat(dir.fd, "site.kek", &st, 0) == 0 && (st.st_mode & 07777) == 0600);
    CHECK(unlinkat(dir.fd, "site.kek", 0) == 0);
    struct key_kek *kek = NULL;
    CHECK(key_site_open(dir.fd, &pass, &kek, &e) == ERR_NOTFOUND);
    CHECK_OK(key_pass_set(&weak, span_str("seven77"), &e), e);
    CHECK(key_site_create(dir.fd, &weak, KEY_COST_MIN, &e) == ERR_DENIED);
    CHECK(key_site_create(dir.fd, &pass, (struct key_cost){1, 0}, &e) == ERR_FORMAT);
    CHECK(!file_exists(dir.fd, "site.kek"));
    key_pass_clear(&weak);
}

static void a_new_passphrase_keeps_the_keys(void **state)
{
    (void)state;
    struct key_sub before = sub_of(&pass, KEY_RECORD);
    struct key_kek *kek = NULL;
    CHECK(key_site_rewrap(dir.fd, &wrong, &pass, KEY_COST_MIN, &e) == ERR_DENIED);
    CHECK_OK(key_site_rewrap(dir.fd, &pass, &wrong, (struct key_cost){2, 16384}, &e), e);
    struct key_sub after = sub_of(&wrong, KEY_RECORD);
    CHECK(memcmp(&before, &after, sizeof after) == 0);
    CHECK(key_site_open(dir.fd, &pass, &kek, &e) == ERR_DENIED);
}

static void a_changed_file_never_opens(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf text = BUF(10000);
    CHECK_OK(file_read(dir.fd, "site.kek", 10000, &text, &e), e);
    for (size_t i = 0; i + 1 < text.len; i++) { /* the last byte is a line end */
        uint8_t kept = text.p[i];
        struct key_kek *kek = NULL;
        text.p[i] = kept == '1' ? '2' : '1';
        CHECK_OK(file_write(dir.fd, "site.kek", buf_view(&text), 0600, &e), e);
        int r = key_site_open(dir.fd, &pass, &kek, &e);
        CHECK(r == ERR_FORMAT || r == ERR_DENIED);
        CHECK(kek == NULL);
        text.p[i] = kept;
    }
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"type\":\"cordon-kek\",\"version\":1,\"ops\":1,\"mem\":99999999999}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct key_kek *kek = NULL;
        CHECK_OK(file_write(dir.fd, "site.kek", span_str(bad[i]), 0600, &e), e);
        CHECK(key_site_open(dir.fd, &pass, &kek, &e) == ERR_FORMAT);
    }
}

#define UNIT(fn) cmocka_unit_test_setup_teardown(fn, fresh, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(each_purpose_has_its_own_lasting_subkey),
        UNIT(a_wrong_passphrase_is_denied),
        UNIT(an_existing_one_is_kept),
        UNIT(a_new_passphrase_keeps_the_keys),
        UNIT(a_changed_file_never_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
