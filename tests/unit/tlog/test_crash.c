#include "log_help.h"

/* 200 entries were published, then 500 more appended when the power went. */
#define BEFORE 200u
#define AFTER 700u

static struct listing old_files, all_files; /* at the checkpoint, and with all that was written */
static struct tlog_head trusted, final;

static int files_make(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct tlog_head none = tlog_head_empty();
    struct err e;
    CLEANUP(tlog_close) struct tlog *t = NULL;
    CHECK_OK(tlog_open(d.fd, &none, &t, &e), e);
    CHECK_OK(append_numbered(t, BEFORE, &e), e);
    publish(t);
    trusted = tlog_head(t);
    old_files = listing_of(&d);
    for (unsigned n = BEFORE; n < AFTER; n += 50) {
        CHECK_OK(append_numbered(t, 50, &e), e);
    }
    final = tlog_head(t);
    all_files = listing_of(&d);
    check_dir_clear(&d);
    return 0;
}

static int files_free(void **state)
{
    (void)state;
    listing_clear(&old_files);
    listing_clear(&all_files);
    return 0;
}

enum damage { GONE, EMPTY, HALF, ZEROS, WHOLE, FLIPPED, LONGER, DAMAGES };

static void leave(const struct check_dir *d, const struct listed *f, enum damage how)
{
    CLEANUP(buf_clear) struct buf b = BUF((size_t)32 << 20);
    buf_span(&b, buf_view(&f->bytes));
    switch (how) {
    case GONE:
    case DAMAGES:
        return;
    case EMPTY:
        b.len = 0;
        break;
    case HALF:
        b.len /= 2;
        break;
    case ZEROS:
        memset(b.p + b.len / 2 / 512 * 512, 0, b.len - b.len / 2 / 512 * 512);
        break;
    case WHOLE:
        break;
    case FLIPPED:
        b.p[b.len / 2] ^= 0x10;
        break;
    case LONGER:
        buf_str(&b, "x");
        break;
    }
    place(d, f->path, buf_view(&b));
}

static bool is_new(const struct listed *f)
{
    return listing_find(&old_files, f->path) == NULL;
}

/* Starts as a recorder does after a crash: the trusted tree, then the same entries again. */
static int start_again(const struct check_dir *d)
{
    struct err e = {0};
    CLEANUP(tlog_close) struct tlog *t = NULL;
    CHECK_OK(tlog_open(d->fd, &trusted, &t, &e), e);
    for (unsigned n = BEFORE; n < AFTER; n += 50) {
        int r = append_numbered(t, 50, &e);
        if (r < 0) {
            return r;
        }
    }
    struct tlog_head head = tlog_head(t);
    CHECK(head.size == final.size && digest_eq(&head.root, &final.root));
    return 0;
}

static void check_all_there(const struct check_dir *d)
{
    struct listing got = listing_of(d);
    CHECK(got.n == all_files.n);
    for (size_t i = 0; i < got.n; i++) {
        CHECK_STR(got.file[i].path, all_files.file[i].path);
        CHECK(span_eq(buf_view(&got.file[i].bytes), buf_view(&all_files.file[i].bytes)));
    }
    listing_clear(&got);
}

static void run(size_t which, enum damage how, enum damage others, int want)
{
    struct check_dir d = check_dir();
    for (size_t i = 0; i < all_files.n; i++) {
        const struct listed *f = &all_files.file[i];
        leave(&d, f, !is_new(f) ? WHOLE : i == which ? how : others);
    }
    int r = start_again(&d);
    if (r != want) {
        print_error("%s, damage %d: %d\n", all_files.file[which].path, (int)how, r);
    }
    CHECK(r == want);
    if (r == 0) {
        check_all_there(&d);
    }
    check_dir_clear(&d);
}

static void any_file_lost_or_torn_by_a_crash_is_written_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < all_files.n; i++) {
        for (enum damage how = GONE; is_new(&all_files.file[i]) && how <= WHOLE; how++) {
            run(i, how, (i + how) % 2 == 0 ? WHOLE : GONE, 0);
        }
    }
}

static void any_file_changed_otherwise_is_named_as_rot(void **state)
{
    (void)state;
    for (size_t i = 0; i < all_files.n; i++) {
        if (is_new(&all_files.file[i])) {
            run(i, FLIPPED, WHOLE, ERR_TRUST);
            run(i, LONGER, GONE, ERR_TRUST);
        }
    }
}

/* Files are written in some order; at each point, all before are there and none after. */
static void a_crash_between_any_two_writes_loses_nothing(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= all_files.n; cut++) {
        for (int from_end = 0; from_end < 2; from_end++) {
            struct check_dir d = check_dir();
            for (size_t i = 0; i < all_files.n; i++) {
                const struct listed *f = &all_files.file[i];
                bool written = from_end != 0 ? i >= cut : i < cut;
                leave(&d, f, !is_new(f) || written ? WHOLE : GONE);
            }
            CHECK(start_again(&d) == 0);
            check_all_there(&d);
            check_dir_clear(&d);
        }
    }
}

static void damage_behind_the_checkpoint_is_told_at_open(void **state)
{
    (void)state;
    size_t tried = 0;
    for (size_t i = 0; i < old_files.n; i++) {
        for (enum damage how = GONE; how < DAMAGES; how++) {
            const struct listed *hurt = &old_files.file[i];
            if (strcmp(hurt->path, "checkpoint") == 0 || how == WHOLE) {
                continue;
            }
            struct check_dir d = check_dir();
            for (size_t k = 0; k < old_files.n; k++) {
                leave(&d, &old_files.file[k], k == i ? how : WHOLE);
            }
            struct tlog *t = NULL;
            struct err e;
            int r = tlog_open(d.fd, &trusted, &t, &e);
            CHECK(r < 0 && t == NULL && r == (how == GONE ? ERR_NOTFOUND : r));
            CHECK(r == ERR_TRUST || strstr(e.text, hurt->path) != NULL);
            check_dir_clear(&d);
            tried++;
        }
    }
    CHECK(tried == 2 * (DAMAGES - 1)); /* a tile and a bundle */
}

static void a_full_disk_leaves_the_log_as_before(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct err e;
    struct tlog_head none = tlog_head_empty();
    CLEANUP(tlog_close) struct tlog *t = NULL;
    CHECK_OK(tlog_open(d.fd, &none, &t, &e), e);
    CHECK_OK(append_numbered(t, 300, &e), e);
    struct tlog_head before = tlog_head(t);
    place(&d, "tile/entries/002.p", span_str("a file where a folder has to be"));
    CHECK(append_numbered(t, 300, &e) < 0);
    struct tlog_head after = tlog_head(t);
    CHECK(after.size == 300 && digest_eq(&before.root, &after.root));
    CHECK(unlinkat(d.fd, "tile/entries/002.p", 0) == 0);
    CHECK_OK(append_numbered(t, 300, &e), e);
    publish(t);
    struct digest *leaf = numbered_leaves(600), want = naive_root(leaf, 600);
    after = tlog_head(t);
    CHECK(digest_eq(&after.root, &want));
    free(leaf);
    check_dir_clear(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(any_file_lost_or_torn_by_a_crash_is_written_again),
        TEST(any_file_changed_otherwise_is_named_as_rot),
        TEST(a_crash_between_any_two_writes_loses_nothing),
        TEST(damage_behind_the_checkpoint_is_told_at_open),
        TEST(a_full_disk_leaves_the_log_as_before),
    };
    return cmocka_run_group_tests(tests, files_make, files_free);
}
