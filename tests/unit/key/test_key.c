#include "key/key.h"

#include "base/file.h"
#include "check.h"

#include <sys/stat.h>
#include <unistd.h>

static const struct key_sub sub = {.b = {7}}, other = {.b = {8}};
static struct check_dir dir;
static struct err e;

static int fresh(void **state)
{
    (void)state;
    dir = check_dir();
    return 0;
}

static int clear(void **state)
{
    (void)state;
    check_dir_clear(&dir);
    return 0;
}

static void a_made_key_signs_what_its_public_half_checks(void **state)
{
    (void)state;
    CLEANUP(key_free) struct key *key = NULL;
    struct key_info made;
    struct sig_public public;
    struct stat st;
    uint8_t sig[SIG_LEN];
    CHECK_OK(key_make(dir.fd, &sub, KEY_REPOSITORY, "timestamp-1", "timestamp", &made, &e), e);
    CHECK(fstatat(dir.fd, "timestamp-1.key", &st, 0) == 0 && (st.st_mode & 07777) == 0600);
    CHECK_OK(key_load(dir.fd, &sub, "timestamp-1", &key, &e), e);
    CHECK_OK(key_public(dir.fd, "timestamp-1", &public, &e), e);
    CHECK(memcmp(&public, &made.public, sizeof public) == 0);
    CHECK_STR(key_about(key)->role, "timestamp");
    CHECK(key_about(key)->purpose == KEY_REPOSITORY);
    struct sig_by by = key_signer(key);
    CHECK_OK(by.sign(by.ctx, span_str("message"), sig, &e), e);
    CHECK(sig_ok(&public, span_str("message"), sig) && sig_ok(&by.key, span_str("message"), sig));
    CHECK(!sig_ok(&public, span_str("massage"), sig));
}

static void a_key_opens_only_with_its_subkey_and_unchanged(void **state)
{
    (void)state;
    struct key_info made;
    struct key *key = NULL;
    CHECK_OK(key_make(dir.fd, &sub, KEY_LOG, "log", "log", &made, &e), e);
    CHECK(key_load(dir.fd, &other, "log", &key, &e) == ERR_TRUST);
    CLEANUP(buf_clear) struct buf text = BUF(10000);
    CHECK_OK(file_read(dir.fd, "log.key", 10000, &text, &e), e);
    for (size_t i = 0; i + 1 < text.len; i++) { /* the last byte is a line end */
        uint8_t kept = text.p[i];
        text.p[i] = kept == 'a' ? 'b' : 'a';
        CHECK_OK(file_write(dir.fd, "log.key", buf_view(&text), 0600, &e), e);
        int r = key_load(dir.fd, &sub, "log", &key, &e);
        CHECK(r == ERR_FORMAT || r == ERR_TRUST);
        CHECK(key == NULL);
        text.p[i] = kept;
    }
    CHECK_OK(file_write(dir.fd, "verdicts.key", buf_view(&text), 0600, &e), e);
    CHECK(key_load(dir.fd, &sub, "verdicts", &key, &e) == ERR_FORMAT); /* renamed */
}

static void a_role_may_have_several_keys_and_none_is_overwritten(void **state)
{
    (void)state;
    struct key_info first, second, again;
    CHECK_OK(key_make(dir.fd, &sub, KEY_ROOT, "root-1", "root", &first, &e), e);
    CHECK_OK(key_make(dir.fd, &sub, KEY_ROOT, "root-2", "root", &second, &e), e);
    CHECK(memcmp(&first.public, &second.public, SIG_PUBLIC) != 0);
    CHECK(key_make(dir.fd, &sub, KEY_ROOT, "root-1", "root", &again, &e) == ERR_CONFLICT);
    CHECK_OK(key_read_info(dir.fd, "root-1", &again, &e), e);
    CHECK(memcmp(&first.public, &again.public, SIG_PUBLIC) == 0);
    CHECK_OK(key_remove(dir.fd, "root-1", &e), e);
    CHECK(key_remove(dir.fd, "root-1", &e) == ERR_NOTFOUND);
    CHECK(key_read_info(dir.fd, "root-1", &again, &e) == ERR_NOTFOUND);
    CHECK_OK(key_read_info(dir.fd, "root-2", &again, &e), e);
}

static int append_name(void *ctx, const struct key_info *info)
{
    buf_fmt(ctx, "%s ", info->name);
    return 0;
}

static void the_keys_of_a_folder_are_listed_in_order(void **state)
{
    (void)state;
    struct key_info made;
    CLEANUP(buf_clear) struct buf names = BUF(1000);
    CHECK_OK(file_write(dir.fd, "site.kek", span_str("x"), 0600, &e), e);
    CHECK_OK(file_write(dir.fd, ".key", span_str("x"), 0600, &e), e);
    CHECK_OK(key_make(dir.fd, &sub, KEY_LOG, "verdicts", "verdicts", &made, &e), e);
    CHECK_OK(key_make(dir.fd, &sub, KEY_LOG, "log", "log", &made, &e), e);
    CHECK_OK(key_each(dir.fd, append_name, &names, &e), e);
    CHECK_STR(buf_text(&names), "log verdicts ");
}

static void odd_names_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "A",   "1a", "a/b", "../a",     "a.b",
                                      "a b", "a\n", "-a", "_a",  "a\xc3\xa4"};
    struct key_info made;
    char big[KEY_NAME + 2];
    memset(big, 'a', sizeof big);
    big[KEY_NAME + 1] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK(key_make(dir.fd, &sub, KEY_LOG, bad[i], "log", &made, &e) == ERR_FORMAT);
        CHECK(key_make(dir.fd, &sub, KEY_LOG, "log", bad[i], &made, &e) == ERR_FORMAT);
        CHECK(key_read_info(dir.fd, bad[i], &made, &e) == ERR_FORMAT);
        CHECK(key_remove(dir.fd, bad[i], &e) == ERR_FORMAT);
    }
    CHECK(key_make(dir.fd, &sub, KEY_LOG, big, "log", &made, &e) == ERR_FORMAT);
    big[KEY_NAME] = '\0';
    CHECK_OK(key_make(dir.fd, &sub, KEY_LOG, big, big, &made, &e), e);
    CHECK_OK(key_read_info(dir.fd, big, &made, &e), e);
}

#define UNIT(fn) cmocka_unit_test_setup_teardown(fn, fresh, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_made_key_signs_what_its_public_half_checks),
        UNIT(a_key_opens_only_with_its_subkey_and_unchanged),
        UNIT(a_role_may_have_several_keys_and_none_is_overwritten),
        UNIT(the_keys_of_a_folder_are_listed_in_order),
        UNIT(odd_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
