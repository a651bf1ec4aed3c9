#include "log_help.h"

static void a_tile_has_one_path(void **state)
{
    (void)state;
    static const struct {
        struct tlog_tile tile;
        const char *path;
    } cases[] = {
        {{0, 5, 256}, "tile/0/005"},
        {{0, 1234067, 256}, "tile/0/x001/x234/067"},
        {{1, 0, 1}, "tile/1/000.p/1"},
        {{7, 999, 255}, "tile/7/999.p/255"},
        {{TLOG_ENTRIES, 1000, 112}, "tile/entries/x001/000.p/112"},
        {{0, TLOG_MAX / 256, 255}, "tile/0/x018/x014/x398/x509/x481/984.p/255"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char path[TLOG_PATH];
        struct tlog_tile t;
        struct err e;
        CHECK_STR(tlog_tile_path(&cases[i].tile, path), cases[i].path);
        CHECK_OK(tlog_tile_parse(span_str(path), &t, &e), e);
        CHECK(t.level == cases[i].tile.level && t.n == cases[i].tile.n &&
              t.width == cases[i].tile.width);
    }
}

static void other_paths_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/5",
        "tile/0/0005",
        "tile/8/000",
        "tile/00/000",
        "tile/-1/000",
        "tile/0/x000/005",
        "tile/0/x001",
        "tile/0/001/005",
        "tile/0/x01/005",
        "tile/0/005.p",
        "tile/0/005.p/",
        "tile/0/005.p/0",
        "tile/0/005.p/256",
        "tile/0/005.p/01",
        "tile/0/005.p/1/",
        "tile/0/005/",
        "/tile/0/005",
        "tile//005",
        "tile/0/../000",
        "tile/0/0x5",
        "tile/data/000",
        "tile/0/005.q/1",
        "tile/0/005.p/1.p/1",
        "tile/0/x001.p/005",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "checkpoint",
    };
    struct tlog_tile t = {3, 3, 3};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (tlog_tile_parse(span_str(bad[i]), &t, NULL) != ERR_FORMAT) {
            print_error("%s was taken\n", bad[i]);
            CHECK(false);
        }
    }
    CHECK(t.level == 3);
    CHECK(tlog_tile_parse(span_of("tile/0/00\0", 10), &t, NULL) == ERR_FORMAT);
}

static void a_bundle_is_whole_entries(void **state)
{
    (void)state;
    struct span s, bundle = span_of("\0\1a\0\0\0\2bc", 9);
    struct err e;
    CHECK_OK(tlog_bundle_entry(bundle, 3, 0, &s, &e), e);
    CHECK(span_is(s, "a"));
    CHECK_OK(tlog_bundle_entry(bundle, 3, 1, &s, &e), e);
    CHECK(s.len == 0);
    CHECK_OK(tlog_bundle_entry(bundle, 2, 2, &s, &e), e);
    CHECK(span_is(s, "bc"));
    CHECK(tlog_bundle_entry(bundle, 4, 0, &s, NULL) == ERR_FORMAT);
    CHECK(tlog_bundle_entry(bundle, 3, 3, &s, NULL) == ERR_FORMAT);
    for (size_t cut = 0; cut < bundle.len; cut++) {
        CHECK(tlog_bundle_entry(span_of(bundle.p, cut), 3, 0, &s, NULL) == ERR_FORMAT);
    }
    CLEANUP(buf_clear) struct buf many = BUF(4096);
    for (int i = 0; i < 257; i++) {
        CHECK(i == 0 || tlog_bundle_entry(buf_view(&many), (unsigned)i, 0, &s, NULL) == 0);
        buf_be16(&many, 0);
    }
    CHECK(tlog_bundle_entry(buf_view(&many), 256, 0, &s, NULL) == ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_tile_has_one_path),
        TEST(other_paths_are_refused),
        TEST(a_bundle_is_whole_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
