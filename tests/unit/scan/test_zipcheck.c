#include "scan/zipcheck.h"

#include "fixture.h"

static void each_zip_gets_its_word(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        enum zip_state want;
        uint64_t members;
    } cases[] = {
        {"plain.zip", ZIP_PLAIN, 2},
        {"empty.zip", ZIP_PLAIN, 0},
        {"comment.zip", ZIP_PLAIN, 2},
        {"encrypted.zip", ZIP_PLAIN, 1}, /* its structure is; libarchive tells the rest */
        {"bomb.zip", ZIP_PLAIN, 1},
        {"truncated.zip", ZIP_DAMAGED, 0},
        {"two-names.zip", ZIP_AMBIGUOUS, 2},
        {"names-differ.zip", ZIP_AMBIGUOUS, 2},
        {"gap.zip", ZIP_AMBIGUOUS, 2},
        {"suffix.zip", ZIP_AMBIGUOUS, 0},
        {"count.zip", ZIP_AMBIGUOUS, 1},
        {"two-ends.zip", ZIP_AMBIGUOUS, 0},
        {"clean.exe", ZIP_DAMAGED, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_clear) struct buf b = fixture(cases[i].file);
        struct zip_report z;
        zip_check(buf_view(&b), 1000, &z);
        if (z.state != cases[i].want || z.members != cases[i].members) {
            print_error("%s: state %d: %s\n", cases[i].file, (int)z.state, z.text);
        }
        CHECK(z.state == cases[i].want && z.members == cases[i].members);
        CHECK((z.text[0] != 0) == (z.state != ZIP_PLAIN));
    }
}

static void what_stands_before_is_measured(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf picture = fixture("prefix.zip");
    CLEANUP(buf_clear) struct buf program = fixture("sfx-zip.exe");
    struct zip_report z;
    zip_check(buf_view(&picture), 10, &z);
    CHECK(z.state == ZIP_PLAIN && z.prefix == 15);
    zip_check(buf_view(&program), 10, &z);
    CHECK(z.state == ZIP_PLAIN && z.prefix == 2560);
}

static void too_many_members_are_a_limit(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf b = fixture("plain.zip");
    struct zip_report z;
    zip_check(buf_view(&b), 1, &z);
    CHECK(z.state == ZIP_LIMIT);
}

/* Any change of a byte that programs read differently must not stay plain. */
static void a_changed_header_is_noticed(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf b = fixture("plain.zip");
    static const size_t local[] = {6, 8, 14, 18, 22, 26, 30}; /* flags ... name */
    for (size_t i = 0; i < ARRAY_LEN(local); i++) {
        struct zip_report z;
        b.p[local[i]] ^= 1;
        zip_check(buf_view(&b), 1000, &z);
        CHECK(z.state != ZIP_PLAIN);
        b.p[local[i]] ^= 1;
    }
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf b = fixture("plain.zip");
    for (size_t n = 0; n < b.len; n++) {
        struct zip_report z;
        zip_check(span_of(b.p, n), 1000, &z);
        CHECK(z.state == ZIP_DAMAGED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_zip_gets_its_word),       TEST(what_stands_before_is_measured),
        TEST(too_many_members_are_a_limit), TEST(a_changed_header_is_noticed),
        TEST(every_cut_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
