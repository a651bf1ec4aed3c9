#include "cli/copytree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "check.h"

static void put(int dir, const char *name, const char *text, mode_t mode)
{
    struct err e;
    CHECK_OK(file_write_lazy(dir, name, span_str(text), mode, &e), e);
}

static void has(int dir, const char *name, const char *text)
{
    struct err e;
    CLEANUP(buf_clear) struct buf b = BUF(4096);
    CHECK_OK(file_read(dir, name, 4096, &b, &e), e);
    CHECK_STR(buf_text(&b), text);
}

static void a_folder_is_copied_and_brought_up_to_date(void **state)
{
    (void)state;
    struct err e;
    struct stat st;
    struct check_dir from = check_dir(), to = check_dir();
    CHECK_OK(file_mkdirs(from.fd, "d/e", 0700, &e), e);
    put(from.fd, "d/one", "1", 0444);
    put(from.fd, "d/e/two", "2", 0600);
    CHECK(symlinkat("one", from.fd, "d/link") == 0);
    struct copytree t = {.from = from.fd, .to = to.fd};
    CHECK_OK(copytree_folder(&t, "d", &e), e);
    CHECK(t.files == 3 && t.bytes == 2);
    has(to.fd, "d/one", "1");
    has(to.fd, "d/e/two", "2");
    CHECK(fstatat(to.fd, "d/one", &st, 0) == 0 && (st.st_mode & 07777) == 0444);
    CHECK(fstatat(to.fd, "d/link", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode));

    CHECK_OK(copytree_folder(&t, "d", &e), e);
    CHECK(t.files == 4 && t.bytes == 2); /* nothing changed: only the link was made again */
    put(from.fd, "d/one", "changed", 0444);
    put(from.fd, "d/three", "3", 0644);
    CHECK_OK(copytree_folder(&t, "d", &e), e);
    CHECK(t.files == 7);
    has(to.fd, "d/one", "changed");
    check_dir_clear(&from);
    check_dir_clear(&to);
}

static void what_went_away_is_pruned(void **state)
{
    (void)state;
    struct err e;
    struct check_dir from = check_dir(), to = check_dir();
    CHECK_OK(file_mkdirs(from.fd, "j", 0700, &e), e);
    CHECK_OK(file_mkdirs(to.fd, "j", 0700, &e), e);
    put(from.fd, "j/2", "new", 0600);
    put(to.fd, "j/1", "old", 0600);
    struct copytree t = {.from = from.fd, .to = to.fd};
    CHECK_OK(copytree_folder(&t, "j", &e), e);
    CHECK_OK(copytree_prune(&t, "j", &e), e);
    CHECK(!file_exists(to.fd, "j/1") && file_exists(to.fd, "j/2"));
    check_dir_clear(&from);
    check_dir_clear(&to);
}

static void a_missing_folder_is_no_error_a_missing_file_is(void **state)
{
    (void)state;
    struct err e;
    struct check_dir from = check_dir(), to = check_dir();
    struct copytree t = {.from = from.fd, .to = to.fd};
    CHECK_OK(copytree_folder(&t, "none", &e), e);
    CHECK(copytree_file(&t, "none", &e) == ERR_NOTFOUND);
    check_dir_clear(&from);
    check_dir_clear(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_folder_is_copied_and_brought_up_to_date),
        TEST(what_went_away_is_pruned),
        TEST(a_missing_folder_is_no_error_a_missing_file_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
