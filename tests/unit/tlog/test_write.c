#include "log_help.h"

#define BIG 70000u

static struct digest *leaves; /* of BIG numbered entries */

static int leaves_make(void **state)
{
    (void)state;
    leaves = numbered_leaves(BIG);
    return 0;
}

static int leaves_free(void **state)
{
    (void)state;
    free(leaves);
    return 0;
}

static const uint64_t sizes[] = {0,   1,   2,   3,     255,   256,   257,   511,
                                 512, 513, 768, 65535, 65536, 65537, 65792, BIG};

static void check_view(const struct check_dir *d, uint64_t size)
{
    struct err e;
    struct tlog_tiles tiles = tlog_tiles_dir(&d->fd);
    struct tlog_head head = {size, naive_root(leaves, size)};
    CLEANUP(tlog_view_close) struct tlog_view *v = NULL;
    CHECK_OK(tlog_view_open(&tiles, &head, &v, &e), e);
    for (size_t i = 0; i < ARRAY_LEN(sizes) && sizes[i] <= size; i++) {
        struct tlog_hashes got, want = {.n = 0};
        struct tlog_head old = {sizes[i], naive_root(leaves, sizes[i])};
        struct digest root;
        CHECK_OK(tlog_view_root(v, sizes[i], &root, &e), e);
        CHECK(digest_eq(&root, &old.root));
        CHECK_OK(tlog_prove_consistency(v, sizes[i], size, &got, &e), e);
        CHECK_OK(tlog_check_consistency(&old, &head, &got, &e), e);
        if (sizes[i] > 0 && sizes[i] < size) {
            naive_subproof(sizes[i], leaves, size, true, &want);
        }
        CHECK(hashes_same(&got, &want));
        if (sizes[i] < size) { /* the entry just behind each edge, in this and a smaller tree */
            want.n = 0;
            naive_path(sizes[i], leaves, size, &want);
            CHECK_OK(tlog_prove_inclusion(v, sizes[i], size, &got, &e), e);
            CHECK(hashes_same(&got, &want));
            CHECK_OK(tlog_prove_inclusion(v, 0, sizes[i] + 1, &got, &e), e);
            uint8_t bytes[ENTRY_MAX];
            CLEANUP(buf_clear) struct buf entry = BUF(LIMIT_ENTRY);
            CHECK_OK(tlog_entry(v, sizes[i], &entry, &e), e);
            CHECK(span_eq(buf_view(&entry), numbered(sizes[i], bytes)));
        }
    }
    struct tlog_hashes p;
    struct digest leaf;
    CHECK(tlog_prove_inclusion(v, size, size, &p, NULL) == ERR_NOTFOUND);
    CHECK(tlog_prove_inclusion(v, 0, size + 1, &p, NULL) == ERR_NOTFOUND);
    CHECK(tlog_prove_consistency(v, 0, size + 1, &p, NULL) == ERR_NOTFOUND);
    CHECK(tlog_prove_consistency(v, size + 1, size, &p, NULL) == ERR_NOTFOUND);
    CHECK(tlog_view_leaf(v, size, &leaf, NULL) == ERR_NOTFOUND);
    CHECK(tlog_view_leaf(v, UINT64_MAX, &leaf, NULL) == ERR_NOTFOUND);
}

/* Grows one log through all the sizes, opened anew for each. */
static void a_log_is_right_at_every_size(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct tlog_head head = tlog_head_empty();
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        CLEANUP(tlog_close) struct tlog *t = NULL;
        CHECK_OK(tlog_open(d.fd, &head, &t, &e), e);
        CHECK(tlog_size(t) == head.size);
        CHECK_OK(append_numbered(t, sizes[i] - head.size, &e), e);
        publish(t);
        head = tlog_head(t);
        struct digest want = naive_root(leaves, sizes[i]);
        CHECK(head.size == sizes[i] && digest_eq(&head.root, &want));
        check_view(&d, sizes[i]);
    }
    check_dir_clear(&d);
}

static bool has(const struct check_dir *d, const char *path)
{
    return file_exists(d->fd, path);
}

static void the_files_are_those_of_the_specification(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    log_make(&d, BIG);
    struct listing l = listing_of(&d);
    static const char *const some[] = {
        "checkpoint",       "tile/0/000",       "tile/0/272", "tile/0/273.p/112",
        "tile/entries/000", "tile/entries/272", "tile/1/000", "tile/entries/273.p/112",
        "tile/1/001.p/17",  "tile/2/000.p/1",
    };
    for (size_t i = 0; i < ARRAY_LEN(some); i++) {
        CHECK(has(&d, some[i]));
    }
    CHECK(l.n == 1 + 2 * 274 + 2 + 1);
    CHECK(listing_find(&l, "tile/0/000")->bytes.len == 8192);
    CHECK(listing_find(&l, "tile/1/001.p/17")->bytes.len == 17 * 32);
    listing_clear(&l);
    check_dir_clear(&d);
}

static void partial_tiles_go_when_the_full_one_is_published(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct err e;
    struct tlog_head none = tlog_head_empty();
    CLEANUP(tlog_close) struct tlog *t = NULL;
    CHECK_OK(tlog_open(d.fd, &none, &t, &e), e);
    CHECK_OK(append_numbered(t, 100, &e), e);
    publish(t);
    CHECK_OK(append_numbered(t, 100, &e), e);
    publish(t);
    CHECK(has(&d, "tile/0/000.p/100")); /* the older checkpoint still needs it */
    CHECK_OK(append_numbered(t, 100, &e), e);
    CHECK(has(&d, "tile/0/000") && has(&d, "tile/0/000.p/200"));
    publish(t);
    CHECK(!has(&d, "tile/0/000.p") && !has(&d, "tile/entries/000.p"));
    CHECK(has(&d, "tile/0/001.p/44") && has(&d, "tile/1/000.p/1"));
    check_view(&d, 100); /* from the full tile */
    /* A crash between checkpoint and removal: the next writer removes them. */
    place(&d, "tile/0/000.p/200", span_str("left over"));
    tlog_close(&t);
    struct tlog_head third = {300, naive_root(leaves, 300)};
    CHECK_OK(tlog_open(d.fd, &third, &t, &e), e);
    CHECK_OK(append_numbered(t, 1, &e), e);
    publish(t);
    CHECK(!has(&d, "tile/0/000.p"));
    check_dir_clear(&d);
}

static void a_checkpoint_of_unsynced_or_foreign_entries_is_refused(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct err e;
    struct tlog_head none = tlog_head_empty();
    CLEANUP(tlog_close) struct tlog *t = NULL;
    CHECK_OK(tlog_open(d.fd, &none, &t, &e), e);
    CHECK_OK(append_numbered(t, 10, &e), e);
    struct tlog_checkpoint c = {.origin = "example.org/log", .head = tlog_head(t)};
    CLEANUP(buf_clear) struct buf note = BUF(LIMIT_NOTE);
    CHECK_OK(tlog_checkpoint_text(&c, &note, &e), e);
    buf_str(&note, SIGNATURE);
    CHECK(tlog_publish(t, buf_view(&note), NULL) == ERR_BUG);
    CHECK(!has(&d, "checkpoint"));
    CHECK_OK(tlog_sync(t, &e), e);
    CHECK_OK(append_numbered(t, 300, &e), e);
    CHECK_OK(tlog_sync(t, &e), e);
    CHECK_OK(tlog_publish(t, buf_view(&note), &e), e); /* signed while more was appended */
    c.head.root.b[0] ^= 1;
    buf_reset(&note);
    CHECK_OK(tlog_checkpoint_text(&c, &note, &e), e);
    CHECK(tlog_publish(t, buf_view(&note), NULL) < 0); /* no empty line */
    buf_str(&note, SIGNATURE);
    CHECK(tlog_publish(t, buf_view(&note), NULL) == ERR_BUG);
    c.head = (struct tlog_head){5, naive_root(leaves, 5)};
    buf_reset(&note);
    CHECK_OK(tlog_checkpoint_text(&c, &note, &e), e);
    buf_str(&note, SIGNATURE);
    CHECK(tlog_publish(t, buf_view(&note), NULL) == ERR_BUG); /* older than the published */
    check_dir_clear(&d);
}

static void entries_may_be_empty_or_64_KiB_but_no_longer(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct err e;
    struct tlog_head none = tlog_head_empty();
    CLEANUP(tlog_close) struct tlog *t = NULL;
    uint8_t *big = mem_zeroed(1, LIMIT_ENTRY + 1);
    struct span s[300];
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        s[i] = span_of(big, i % 3 == 0 ? 0 : LIMIT_ENTRY);
    }
    CHECK_OK(tlog_open(d.fd, &none, &t, &e), e);
    CHECK_OK(tlog_append(t, s, ARRAY_LEN(s), &e), e);
    publish(t);
    struct tlog_head head = tlog_head(t);
    s[299].len = LIMIT_ENTRY + 1;
    CHECK(tlog_append(t, s, ARRAY_LEN(s), NULL) == ERR_LIMIT);
    CHECK(tlog_size(t) == 300);
    tlog_close(&t);
    CHECK_OK(tlog_open(d.fd, &head, &t, &e), e);
    free(big);
    check_dir_clear(&d);
}

static void a_batch_of_30000_takes_little_time(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct err e;
    struct tlog_head none = tlog_head_empty();
    CLEANUP(tlog_close) struct tlog *t = NULL;
    struct timespec a, b;
    CHECK_OK(tlog_open(d.fd, &none, &t, &e), e);
    clock_gettime(CLOCK_MONOTONIC, &a);
    CHECK_OK(append_numbered(t, 30000, &e), e);
    clock_gettime(CLOCK_MONOTONIC, &b);
    double s = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
    print_message("30,000 entries appended in %.3f s\n", s);
    CHECK(s < 5); /* a busy machine; the claim itself is a benchmark's */
    check_dir_clear(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_log_is_right_at_every_size),
        TEST(the_files_are_those_of_the_specification),
        TEST(partial_tiles_go_when_the_full_one_is_published),
        TEST(a_checkpoint_of_unsynced_or_foreign_entries_is_refused),
        TEST(entries_may_be_empty_or_64_KiB_but_no_longer),
        TEST(a_batch_of_30000_takes_little_time),
    };
    return cmocka_run_group_tests(tests, leaves_make, leaves_free);
}
