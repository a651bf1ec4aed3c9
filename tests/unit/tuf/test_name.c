#include "tuf/tuf.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "check.h"

static void a_name_is_one_that_every_client_can_fetch(void **state)
{
    (void)state;
    static const struct {
        const char *path, *suggestion; /* NULL: taken as it is */
    } cases[] = {
        {"hotfix/7.1/a.exe", NULL},
        {"a", NULL},
        {"A-b_c+d~e.f", NULL},
        {"a..b", NULL},
        {"recalls/x", NULL},
        {"x/recall/y", NULL},
        {"recall.exe", NULL},
        {"a b.exe", "a_b.exe"},
        {"a#b?c%20\\d", "a_b_c_20_d"},
        {"gr\xc3\xbc\xc3\x9f"
         "e.exe",
         "gr__e.exe"},
        {"\xff\xfe", "__"},
        {"a\nb", "a_b"},
        {".profile", "_profile"},
        {"a/.b/c", "a/_b/c"},
        {"a/../b", "a/b"},
        {"./a", "a"},
        {"/a", "a"},
        {"a/", "a"},
        {"a//b", "a/b"},
        {"recall/x", "recall_/x"},
        {"Recall/x", "Recall_/x"},
        {"recall", "recall_"},
        {"", "file-e3b0c44298fc1c14"},
        {"..", "file-5ec1f7e700f37c3d"},
        {"[", "_"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_clear) struct buf b = BUF(4096);
        struct err e;
        int rc = tuf_check_name(span_str(cases[i].path), &b, &e);
        CHECK(rc == (cases[i].suggestion == NULL ? 0 : ERR_FORMAT));
        CHECK_STR(buf_text(&b), cases[i].suggestion == NULL ? "" : cases[i].suggestion);
        CHECK(b.len == 0 || tuf_check_name(buf_view(&b), NULL, &e) == 0);
    }
}

static void a_nul_in_a_name_is_refused(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf b = BUF(100);
    struct err e;
    CHECK(tuf_check_name(span_of("a\0b", 3), &b, &e) == ERR_FORMAT);
    CHECK_STR(buf_text(&b), "a_b");
}

static void long_names_are_cut_and_stay_apart(void **state)
{
    (void)state;
    char path[4097];
    memset(path, 'a', sizeof path);
    CLEANUP(buf_clear) struct buf one = BUF(2000), two = BUF(2000), three = BUF(2000);
    struct err e;
    CHECK(tuf_check_name(span_of(path, 1024), NULL, &e) == 0);
    CHECK(tuf_check_name(span_of(path, 1025), &one, &e) == ERR_LIMIT);
    CHECK(tuf_check_name(span_of(path, 4096), &two, &e) == ERR_LIMIT);
    CHECK(one.len == LIMIT_TARGET && two.len == LIMIT_TARGET);
    CHECK(!span_eq(buf_view(&one), buf_view(&two)));
    path[1006] = '/';
    CHECK(tuf_check_name(span_of(path, 4096), &three, &e) == ERR_LIMIT);
    CHECK(tuf_check_name(buf_view(&three), NULL, &e) == 0);
}

static void names_that_differ_by_case_fold_together(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf a = BUF(100), b = BUF(100);
    tuf_fold_name(&a, span_str("Hotfix/A.EXE"));
    tuf_fold_name(&b, span_str("hotfix/a.exe"));
    CHECK(span_eq(buf_view(&a), buf_view(&b)));
}

static void a_bin_is_the_top_of_the_hash(void **state)
{
    (void)state;
    char name[TUF_BIN_NAME];
    /* SHA-256("abc") = ba7816bf... */
    CHECK_STR(tuf_bin_name(tuf_bin_of("abc", 4), 4, name), "bin-b");
    CHECK_STR(tuf_bin_name(tuf_bin_of("abc", 5), 5, name), "bin-17");
    CHECK_STR(tuf_bin_name(tuf_bin_of("abc", 8), 8, name), "bin-ba");
    CHECK_STR(tuf_bin_name(tuf_bin_of("abc", 9), 9, name), "bin-174");
    CHECK_STR(tuf_bin_name(tuf_bin_of("abc", 14), 14, name), "bin-2e9e");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_is_one_that_every_client_can_fetch),
        TEST(a_nul_in_a_name_is_refused),
        TEST(long_names_are_cut_and_stay_apart),
        TEST(names_that_differ_by_case_fold_together),
        TEST(a_bin_is_the_top_of_the_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
