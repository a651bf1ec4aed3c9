#include "log_help.h"

#define SIZE 66000u /* 257 full level-0 tiles and one of 208; tile/1/000 full, tile/1/001.p/1 */

static struct check_dir dir;
static struct tlog_head head;
static struct digest *leaves;

static int log_setup(void **state)
{
    (void)state;
    dir = check_dir();
    head = log_make(&dir, SIZE);
    leaves = numbered_leaves(SIZE);
    return 0;
}

static int log_teardown(void **state)
{
    (void)state;
    check_dir_clear(&dir);
    free(leaves);
    return 0;
}

static struct tlog_report audit(const struct tlog_head *older)
{
    struct err e;
    struct tlog_report rep;
    struct tlog_tiles tiles = tlog_tiles_dir(&dir.fd);
    CHECK_OK(tlog_audit(&tiles, &head, older, NULL, &rep, &e), e);
    return rep;
}

struct hurt {
    const char *path;
    struct buf was;
};

/* Flips a bit at `at`, cuts the file (at < 0), or removes it (GONE). */
#define CUT (-1)
#define GONE (-2)
static struct hurt hurt(const char *path, long at)
{
    struct err e;
    struct hurt h = {path, BUF((size_t)32 << 20)};
    CHECK_OK(file_read(dir.fd, path, h.was.max, &h.was, &e), e);
    if (at == GONE) {
        CHECK(unlinkat(dir.fd, path, 0) == 0);
    } else if (at == CUT) {
        place(&dir, path, span_of(h.was.p, h.was.len - 1));
    } else {
        h.was.p[at] ^= 4;
        place(&dir, path, buf_view(&h.was));
        h.was.p[at] ^= 4;
    }
    return h;
}

static void heal(struct hurt *h)
{
    place(&dir, h->path, buf_view(&h->was));
    buf_clear(&h->was);
}

static void count_steps(void *ctx, uint64_t done, uint64_t all)
{
    uint64_t *last = ctx;
    CHECK(done > *last && all == SIZE);
    *last = done;
}

static void a_good_log_is_good(void **state)
{
    (void)state;
    struct err e;
    struct tlog_report rep;
    struct tlog_tiles tiles = tlog_tiles_dir(&dir.fd);
    uint64_t last = 0;
    struct tlog_progress progress = {count_steps, &last};
    struct tlog_head older = {300, naive_root(leaves, 300)};
    CHECK_OK(tlog_audit(&tiles, &head, &older, &progress, &rep, &e), e);
    CHECK(tlog_report_good(&rep) && rep.entries == SIZE && last == SIZE);
    CHECK(rep.files == 2 * 258 + 2 + 1 && rep.growth == TLOG_GREW);
    tlog_report_clear(&rep);
    struct tlog_head none = tlog_head_empty();
    CHECK_OK(tlog_audit(&tiles, &none, NULL, NULL, &rep, &e), e);
    CHECK(tlog_report_good(&rep) && rep.entries == 0);
    tlog_report_clear(&rep);
}

static void one_wrong_file_is_named_and_no_other(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        long at;
        enum tlog_fault_kind kind;
        uint64_t first, count;
    } cases[] = {
        /* entry 5 begins after 5 lengths and the entries before it; byte 4 is in entry 0 */
        {"tile/entries/000", 4, TLOG_DIFFERS, 0, 1},
        {"tile/entries/100", CUT, TLOG_LENGTH, 25600, 256},
        {"tile/entries/100", GONE, TLOG_MISSING, 25600, 256},
        {"tile/entries/256", GONE, TLOG_MISSING, 65536, 256},
        {"tile/entries/257.p/208", 4, TLOG_DIFFERS, 65792, 1},
        {"tile/entries/257.p/208", GONE, TLOG_MISSING, 65792, 208},
        {"tile/0/000", 77, TLOG_DIFFERS, 0, 0},
        {"tile/0/255", CUT, TLOG_LENGTH, 65280, 0},
        {"tile/0/256", GONE, TLOG_MISSING, 65536, 0},
        {"tile/0/257.p/208", 6655, TLOG_DIFFERS, 65792, 0},
        {"tile/0/257.p/208", CUT, TLOG_LENGTH, 65792, 0},
        {"tile/0/257.p/208", GONE, TLOG_MISSING, 65792, 0},
        {"tile/1/000", 8191, TLOG_DIFFERS, 0, 0},
        {"tile/1/000", GONE, TLOG_MISSING, 0, 0},
        {"tile/1/001.p/1", 0, TLOG_DIFFERS, 65536, 0},
        {"tile/1/001.p/1", GONE, TLOG_MISSING, 65536, 0},
        {"tile/2/000.p/1", 31, TLOG_DIFFERS, 0, 0},
        {"tile/2/000.p/1", GONE, TLOG_MISSING, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct hurt h = hurt(cases[i].path, cases[i].at);
        struct tlog_report rep = audit(NULL);
        char path[TLOG_PATH];
        if (rep.faults != 1) {
            print_error("%s: %llu faults\n", cases[i].path, (unsigned long long)rep.faults);
        }
        CHECK(rep.faults == 1 && !tlog_report_good(&rep));
        CHECK_STR(tlog_tile_path(&rep.fault[0].tile, path), cases[i].path);
        CHECK(rep.fault[0].kind == cases[i].kind && rep.fault[0].first == cases[i].first);
        CHECK(rep.fault[0].count == cases[i].count);
        CHECK(rep.entries == SIZE - (cases[i].count == 1 ? (i == 0 ? 256 : 208) : cases[i].count));
        CHECK(rep.root_ok == (cases[i].count == 0));
        tlog_report_clear(&rep);
        heal(&h);
    }
}

static void readers_refuse_what_was_changed(void **state)
{
    (void)state;
    struct err e;
    struct tlog_tiles tiles = tlog_tiles_dir(&dir.fd);
    static const char *const paths[] = {"tile/entries/100", "tile/0/100", "tile/1/000"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct hurt h = hurt(paths[i], 40);
        CLEANUP(tlog_view_close) struct tlog_view *v = NULL;
        CLEANUP(buf_clear) struct buf entry = BUF(LIMIT_ENTRY);
        CHECK_OK(tlog_view_open(&tiles, &head, &v, &e), e);
        CHECK(tlog_entry(v, 25600 + (i == 0 ? 1 : 0), &entry, &e) == ERR_TRUST || i == 0);
        CHECK(i > 0 || tlog_entry(v, 25600, &entry, &e) == ERR_TRUST);
        CHECK(strstr(e.text, paths[i]) != NULL);
        heal(&h);
    }
}

static void several_wrong_files_are_each_named(void **state)
{
    (void)state;
    struct hurt a = hurt("tile/entries/000", 4), b = hurt("tile/0/001", 4),
                c = hurt("tile/0/002", GONE), d = hurt("tile/entries/002", GONE);
    struct tlog_report rep = audit(NULL);
    CLEANUP(buf_clear) struct buf text = BUF(4096);
    for (size_t i = 0; i < rep.faults; i++) {
        tlog_fault_text(&rep.fault[i], &text);
        buf_char(&text, '\n');
    }
    CHECK_STR(buf_text(&text), "tile/entries/000 was changed (entry 0)\n"
                               "tile/0/001 was changed (its entries are right)\n"
                               "tile/entries/002 is missing (entries 512 to 767)\n"
                               "tile/0/002 is missing (entries 512 to 767)\n");
    CHECK(!rep.root_ok && rep.entries == SIZE - 512);
    tlog_report_clear(&rep);
    heal(&a);
    heal(&b);
    heal(&c);
    heal(&d);
}

static void two_files_that_contradict_below_a_lost_tile_are_both_named(void **state)
{
    (void)state;
    struct hurt a = hurt("tile/1/000", 4), b = hurt("tile/entries/003", 4);
    struct tlog_report rep = audit(NULL);
    bool tile = false, bundle = false, above = false;
    for (size_t i = 0; i < rep.faults; i++) {
        const struct tlog_tile *t = &rep.fault[i].tile;
        tile |= t->level == 0 && t->n == 3;
        bundle |= t->level == TLOG_ENTRIES && t->n == 3;
        above |= t->level == 1 && t->n == 0;
    }
    CHECK(tile && bundle && above && rep.faults == 3 && !rep.root_ok);
    tlog_report_clear(&rep);
    heal(&a);
    heal(&b);
}

/* A whole other log of the same size in its place: every file agrees with every other. */
static void a_rewritten_log_does_not_pass(void **state)
{
    (void)state;
    struct tlog_head mine = head;
    head.root.b[0] ^= 1; /* the signed root is another */
    struct tlog_report rep = audit(NULL);
    CHECK(rep.faults == 0 && !rep.root_ok && !tlog_report_good(&rep));
    tlog_report_clear(&rep);
    head = mine;
    struct tlog_head older = {1000, naive_root(leaves, 999)};
    rep = audit(&older);
    CHECK(rep.root_ok && rep.growth == TLOG_REWRITTEN && !tlog_report_good(&rep));
    tlog_report_clear(&rep);
    older = (struct tlog_head){SIZE + 1, head.root};
    rep = audit(&older);
    CHECK(rep.growth == TLOG_REWRITTEN);
    tlog_report_clear(&rep);
}

static int unavailable(void *ctx, const char *path, struct buf *out, struct err *e)
{
    if (strcmp(path, "tile/entries/010") == 0) {
        return err_set(e, ERR_UNAVAIL, "%s: no answer", path);
    }
    struct tlog_tiles tiles = tlog_tiles_dir(ctx);
    return tiles.read(tiles.ctx, path, out, e);
}

static void a_server_that_stops_answering_ends_the_audit(void **state)
{
    (void)state;
    struct err e;
    struct tlog_report rep;
    struct tlog_tiles tiles = {unavailable, &dir.fd};
    CHECK(tlog_audit(&tiles, &head, NULL, NULL, &rep, &e) == ERR_UNAVAIL);
    CHECK(strstr(e.text, "tile/entries/010") != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_log_is_good),
        TEST(one_wrong_file_is_named_and_no_other),
        TEST(readers_refuse_what_was_changed),
        TEST(several_wrong_files_are_each_named),
        TEST(two_files_that_contradict_below_a_lost_tile_are_both_named),
        TEST(a_rewritten_log_does_not_pass),
        TEST(a_server_that_stops_answering_ends_the_audit),
    };
    return cmocka_run_group_tests(tests, log_setup, log_teardown);
}
