#include "cli/walk.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "check.h"

struct seen {
    char paths[4096], skipped[4096];
};

static int take(void *ctx, const struct walk_file *f, struct err *e)
{
    (void)e;
    struct seen *s = ctx;
    size_t at = strlen(s->paths);
    snprintf(s->paths + at, sizeof s->paths - at, "%s ", f->path);
    return 0;
}

static void passed_over(void *ctx, const char *source, const char *why)
{
    struct seen *s = ctx;
    const char *slash = strrchr(source, '/');
    size_t at = strlen(s->skipped);
    snprintf(s->skipped + at, sizeof s->skipped - at, "%s: %s\n", slash + 1, why);
}

static void put(const struct check_dir *t, const char *name)
{
    struct err e;
    CHECK_OK(file_write_lazy(t->fd, name, span_str("x"), 0644, &e), e);
}

static void files_come_in_byte_order_of_their_paths(void **state)
{
    (void)state;
    struct err e;
    struct seen s = {0};
    struct check_dir t = check_dir();
    CHECK_OK(file_mkdirs(t.fd, "a/b", 0755, &e), e);
    put(&t, "a.b");
    put(&t, "a/b/c");
    put(&t, "a/a");
    put(&t, "Z");
    struct walk w = {.file = take, .skipped = passed_over, .ctx = &s};
    char *paths[] = {t.path};
    CHECK_OK(walk_paths(&w, paths, 1, &e), e);
    CHECK_STR(s.paths, "Z a.b a/a a/b/c ");
    CHECK(w.files == 4 && w.skips == 0);
    CHECK(walk_count(paths, 1) == 4);
    check_dir_clear(&t);
}

static void links_fifos_and_what_is_gone_are_named_and_passed_over(void **state)
{
    (void)state;
    struct err e;
    struct seen s = {0};
    struct check_dir t = check_dir();
    put(&t, "real");
    CHECK(symlinkat("real", t.fd, "link") == 0);
    CHECK(symlinkat("/", t.fd, "root") == 0);
    CHECK(mkfifoat(t.fd, "pipe", 0600) == 0);
    CLEANUP(mem_free) char *gone = mem_printf("%s/gone", t.path);
    struct walk w = {.file = take, .skipped = passed_over, .ctx = &s};
    char *paths[] = {t.path, gone};
    CHECK_OK(walk_paths(&w, paths, 2, &e), e);
    CHECK_STR(s.paths, "real ");
    CHECK_STR(s.skipped, "link: a symbolic link\npipe: a FIFO\nroot: a symbolic link\n"
                         "gone: No such file or directory\n");
    check_dir_clear(&t);
}

static void a_named_file_is_known_by_its_name(void **state)
{
    (void)state;
    struct err e;
    struct seen s = {0};
    struct check_dir t = check_dir();
    put(&t, "one");
    CLEANUP(mem_free) char *one = mem_printf("%s/one", t.path);
    struct walk w = {.file = take, .skipped = passed_over, .ctx = &s};
    CHECK_OK(walk_paths(&w, &one, 1, &e), e);
    CHECK_STR(s.paths, "one ");
    check_dir_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_come_in_byte_order_of_their_paths),
        TEST(links_fifos_and_what_is_gone_are_named_and_passed_over),
        TEST(a_named_file_is_known_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
