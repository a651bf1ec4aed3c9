#include "scan/kind.h"

#include "fixture.h"

static void each_file_is_of_its_kind(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        enum kind kind;
        size_t at; /* where the container begins */
    } cases[] = {
        {"plain.zip", KIND_ZIP, 0},          {"empty.zip", KIND_ZIP, 0},
        {"prefix.zip", KIND_ZIP, 0},         {"sfx-zip.exe", KIND_ZIP, 0},
        {"sfx.exe", KIND_CAB, 2560},         {"plain.cab", KIND_CAB, 0},
        {"plain.tar", KIND_TAR, 0},          {"zip-in-tgz.tar.gz", KIND_GZIP, 0},
        {"clean.exe", KIND_NONE, 0},         {"eicar.com", KIND_NONE, 0},
        {"unknown.arj", KIND_UNREADABLE, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_clear) struct buf b = fixture(cases[i].file);
        struct kind_found f = kind_of(buf_view(&b), cases[i].file);
        if (f.kind != cases[i].kind) {
            print_error("%s is taken for %s\n", cases[i].file, f.word);
        }
        CHECK(f.kind == cases[i].kind && f.bytes.p == b.p + cases[i].at);
        CHECK((f.word[0] == 0) == (f.kind == KIND_NONE));
    }
}

static void a_tar_without_mark_is_known_by_its_sum(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf b = fixture("plain.tar");
    unsigned sum = 0;
    memset(b.p + 257, 0, 8);
    memset(b.p + 148, ' ', 8);
    for (size_t i = 0; i < 512; i++) {
        sum += b.p[i];
    }
    snprintf((char *)b.p + 148, 8, "%06o", sum);
    CHECK(kind_of(buf_view(&b), "x").kind == KIND_TAR);
    b.p[0] ^= 1;
    CHECK(kind_of(buf_view(&b), "x").kind == KIND_NONE);
}

static void a_short_mark_alone_is_not_enough(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {{"", 0},
                 {"PK", 2},
                 {"BZh9 is a word", 14},
                 {"\x1f\x9d\xff\0", 4},
                 {"\x60\xea", 2},
                 {"\x5d\0\0\0\0\0\0\0\0\0\0\0\0\0", 14}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK(kind_of(span_of(cases[i].bytes, cases[i].len), "x").kind == KIND_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_file_is_of_its_kind),
        TEST(a_tar_without_mark_is_known_by_its_sum),
        TEST(a_short_mark_alone_is_not_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
