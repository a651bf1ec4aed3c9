/* A journal that was cut or changed anywhere gives whole commits from its beginning, the same
 * events as were written, or an error: never an event that nobody entered, never half a commit. */
#include "record/record_priv.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/reader.h"

#define COMMITS 4u
#define FILE0 "journal/00000000000000000000"

struct seen {
    uint64_t n;
};

static uint8_t fill_of(uint64_t index)
{
    return (uint8_t)('a' + index % 26);
}

static int look(void *ctx, struct sealed *take, struct err *e)
{
    (void)e;
    struct seen *s = ctx;
    FUZZ_CHECK(take->index == s->n);
    for (size_t i = 0; i < take->leaf.len; i++) {
        FUZZ_CHECK(take->leaf.p[i] == fill_of(take->index));
    }
    s->n++;
    sealed_clear(take);
    return 0;
}

/* Commits what the input says; ends[k] is the number of events after commit k. */
static size_t write_commits(int dir, struct reader *r, uint64_t ends[COMMITS])
{
    struct journal j;
    struct seen none = {0};
    uint64_t next = 0;
    size_t commits = 1 + reader_u8(r) % COMMITS;
    FUZZ_CHECK(journal_create(dir, NULL) == 0);
    FUZZ_CHECK(journal_open(dir, look, &none, &j, NULL) == 0 && none.n == 0);
    for (size_t k = 0; k < commits; k++) {
        struct sealed s[3];
        size_t n = 1 + reader_u8(r) % 3;
        for (size_t i = 0; i < n; i++) {
            size_t length = reader_u8(r);
            s[i] = (struct sealed){next + i, BUF(1000), BUF(1000)};
            for (size_t c = 0; c < length; c++) {
                buf_char(&s[i].leaf, (char)fill_of(next + i));
            }
        }
        FUZZ_CHECK(journal_commit(&j, s, n, NULL) == 0);
        for (size_t i = 0; i < n; i++) {
            sealed_clear(&s[i]);
        }
        next += n;
        ends[k] = next;
    }
    journal_close(&j);
    return commits;
}

static void damage(int dir, struct reader *r)
{
    CLEANUP(fd_close) int fd = openat(dir, FILE0, O_RDWR | O_CLOEXEC);
    off_t size = lseek(fd, 0, SEEK_END);
    off_t at = (off_t)(reader_be16(r) % (uint64_t)(size + 1));
    uint8_t change = reader_u8(r), byte = 0;
    if (change == 0) {
        FUZZ_CHECK(ftruncate(fd, at) == 0);
    } else if (pread(fd, &byte, 1, at) == 1) {
        byte ^= change;
        FUZZ_CHECK(pwrite(fd, &byte, 1, at) == 1);
    }
}

static bool is_end(const uint64_t ends[COMMITS], size_t commits, uint64_t n)
{
    bool yes = n == 0;
    for (size_t k = 0; k < commits; k++) {
        yes = yes || ends[k] == n;
    }
    return yes;
}

static int remove_one(void *ctx, const char *name)
{
    unlinkat(*(int *)ctx, name, 0);
    return 0;
}

static char path[] = "/dev/shm/cordon-fuzz-journal-XXXXXX"; /* its syncs cost nothing there */

static void tidy(void)
{
    rmdir(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int dir = -1;
    if (dir < 0) {
        FUZZ_CHECK(mkdtemp(path) != NULL && atexit(tidy) == 0);
        dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    struct reader r = reader_of(span_of(data, size));
    uint64_t ends[COMMITS] = {0};
    size_t commits = write_commits(dir, &r, ends);
    damage(dir, &r);
    struct journal j;
    struct seen seen = {0};
    if (journal_open(dir, look, &seen, &j, NULL) == 0) {
        FUZZ_CHECK(is_end(ends, commits, seen.n));
        uint64_t first = seen.n;
        journal_close(&j);
        seen.n = 0; /* what was cut stays cut, and nothing else is lost */
        FUZZ_CHECK(journal_open(dir, look, &seen, &j, NULL) == 0);
        FUZZ_CHECK(seen.n == first && j.torn == 0);
        journal_close(&j);
    }
    CLEANUP(fd_close) int inside = openat(dir, "journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)file_each(inside, ".", remove_one, &inside, NULL);
    unlinkat(dir, "journal", AT_REMOVEDIR);
    return 0;
}
