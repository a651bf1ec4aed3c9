#include "base/file.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "check.h"

static void a_file_is_replaced_whole(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct err e;
    CLEANUP(buf_clear) struct buf b = BUF(100);
    CHECK_OK(file_write(d.fd, "a", span_str("one"), 0640, &e), e);
    CHECK_OK(file_write(d.fd, "a", span_str("two"), 0600, &e), e);
    CHECK_OK(file_read(d.fd, "a", 3, &b, &e), e);
    CHECK_STR(buf_text(&b), "two");
    struct stat st;
    CHECK(fstatat(d.fd, "a", &st, 0) == 0 && (st.st_mode & 0777) == 0600);
    buf_reset(&b);
    CHECK(file_read(d.fd, "a", 2, &b, NULL) == ERR_LIMIT);
    CHECK(file_read(d.fd, "none", 2, &b, NULL) == ERR_NOTFOUND);
    CHECK(symlinkat("a", d.fd, "link") == 0);
    CHECK(file_read(d.fd, "link", 9, &b, &e) == ERR_SYS && e.sys == ELOOP);
    CHECK(file_write(d.fd, "none/a", span_str("x"), 0600, &e) == ERR_SYS);
    check_dir_clear(&d);
}

static int count(void *ctx, const char *name)
{
    buf_str(ctx, name);
    buf_char(ctx, ' ');
    return strcmp(name, "stop") == 0;
}

static void folders_are_made_and_listed_in_order(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct err e;
    CLEANUP(buf_clear) struct buf b = BUF(100);
    CHECK_OK(file_mkdirs(d.fd, "x/y/z", 0755, &e), e);
    CHECK_OK(file_mkdirs(d.fd, "x/y/a", 0755, &e), e);
    CHECK_OK(file_mkdirs(d.fd, "x/y/stop", 0755, &e), e);
    CHECK(file_each(d.fd, "x/y", count, &b, &e) == 1);
    CHECK_STR(buf_text(&b), "a stop ");
    CHECK(file_each(d.fd, "none", count, &b, NULL) == ERR_NOTFOUND);
    check_dir_clear(&d);
}

static void a_sealed_file_cannot_be_written(void **state)
{
    (void)state;
    struct err e;
    CLEANUP(fd_close) int fd = -1;
    char got[8] = {0};
    CHECK_OK(fd_sealed("t", span_str("abc"), &fd, &e), e);
    CHECK(fd_pread(fd, got, sizeof got, 0) == 3 && strcmp(got, "abc") == 0);
    CHECK(fd_pwrite(fd, span_str("x"), 0, &e) == ERR_SYS && e.sys == EPERM);
    CHECK(ftruncate(fd, 0) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_replaced_whole),
        TEST(folders_are_made_and_listed_in_order),
        TEST(a_sealed_file_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
