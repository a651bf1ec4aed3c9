#include "record/record_priv.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "check.h"

struct seen {
    uint64_t n, last;
};

static int count(void *ctx, struct sealed *take, struct err *e)
{
    (void)e;
    struct seen *s = ctx;
    s->n++;
    s->last = take->index;
    CHECK_STR(buf_text(&take->leaf), "leaf");
    sealed_clear(take);
    return 0;
}

/* Commits `batches` frames of two events each. */
static void fill(int dir, size_t batches)
{
    struct err e;
    struct journal j;
    struct seen seen = {0};
    CHECK_OK(journal_create(dir, &e), e);
    CHECK_OK(journal_open(dir, count, &seen, &j, &e), e);
    for (size_t b = 0; b < batches; b++) {
        struct sealed s[2];
        for (size_t i = 0; i < 2; i++) {
            s[i] = (struct sealed){2 * b + i, BUF(100), BUF(100)};
            buf_str(&s[i].leaf, "leaf");
            buf_str(&s[i].detail, "detail");
        }
        CHECK_OK(journal_commit(&j, s, 2, &e), e);
        sealed_clear(&s[0]);
        sealed_clear(&s[1]);
    }
    journal_close(&j);
}

static int reopen(int dir, struct seen *seen, uint64_t *torn, struct err *e)
{
    struct journal j;
    *seen = (struct seen){0};
    int r = journal_open(dir, count, seen, &j, e);
    if (r == 0) {
        *torn = j.torn;
        journal_close(&j);
    }
    return r;
}

#define FILE0 "journal/00000000000000000000"

static void every_cut_leaves_whole_commits(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct err e;
    struct seen seen;
    uint64_t torn = 0;
    struct stat st;
    fill(d.fd, 3);
    CHECK(fstatat(d.fd, FILE0, &st, 0) == 0);
    off_t frame = (st.st_size - 48) / 3;
    for (off_t size = st.st_size; size >= 48; size--) {
        CLEANUP(fd_close) int fd = openat(d.fd, FILE0, O_RDWR);
        CHECK(ftruncate(fd, size) == 0);
        CHECK_OK(reopen(d.fd, &seen, &torn, &e), e);
        CHECK(seen.n == 2 * (uint64_t)((size - 48) / frame));
        CHECK(torn == (uint64_t)((size - 48) % frame));
        CHECK(fstat(fd, &st) == 0 && st.st_size == size - (size - 48) % frame);
        size = st.st_size;
    }
    check_dir_clear(&d);
}

static void a_flipped_bit_is_rot_unless_it_is_in_the_last_commit(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct err e;
    struct seen seen;
    uint64_t torn = 0;
    struct stat st;
    fill(d.fd, 3);
    CHECK(fstatat(d.fd, FILE0, &st, 0) == 0);
    off_t frame = (st.st_size - 48) / 3;
    CLEANUP(fd_close) int fd = openat(d.fd, FILE0, O_RDWR);
    for (off_t at = 48; at < 48 + 2 * frame; at++) {
        uint8_t b;
        CHECK(pread(fd, &b, 1, at) == 1);
        b ^= 0x10;
        CHECK(pwrite(fd, &b, 1, at) == 1);
        CHECK(reopen(d.fd, &seen, &torn, &e) == ERR_TRUST);
        CHECK(strstr(e.text, "is damaged at byte") != NULL);
        b ^= 0x10;
        CHECK(pwrite(fd, &b, 1, at) == 1);
    }
    CHECK(pwrite(fd, "?", 1, 48 + 2 * frame + 60) == 1);
    CHECK_OK(reopen(d.fd, &seen, &torn, &e), e);
    CHECK(seen.n == 4 && torn == (uint64_t)frame);
    check_dir_clear(&d);
}

static void a_cut_journal_goes_on(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct err e;
    struct seen seen = {0};
    struct journal j;
    uint64_t torn = 0;
    fill(d.fd, 2);
    CHECK_OK(journal_open(d.fd, count, &seen, &j, &e), e);
    CHECK_OK(journal_cut(&j, 4, &e), e);
    struct sealed s = {4, BUF(10), BUF(10)};
    buf_str(&s.leaf, "leaf");
    CHECK_OK(journal_commit(&j, &s, 1, &e), e);
    sealed_clear(&s);
    journal_close(&j);
    CHECK(!file_exists(d.fd, FILE0));
    CHECK_OK(reopen(d.fd, &seen, &torn, &e), e);
    CHECK(seen.n == 1 && seen.last == 4);
    CHECK(unlinkat(d.fd, "journal/00000000000000000004", 0) == 0);
    CHECK(reopen(d.fd, &seen, &torn, &e) == ERR_NOTFOUND);
    check_dir_clear(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_cut_leaves_whole_commits),
        TEST(a_flipped_bit_is_rot_unless_it_is_in_the_last_commit),
        TEST(a_cut_journal_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
