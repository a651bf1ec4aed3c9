/* check.h - a thin layer over cmocka: CHECK, a fresh directory, and one line a test.
 *
 * A test program's main() is check_main(tests...): each test is a function whose name is a
 * sentence. Include it after the headers under test. */
#pragma once
#include "base/err.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* order matters: cmocka wants the four above first */
#include <cmocka.h>

/* Fails the test with the expression and place; prints err `e` too in CHECK_OK. */
#define CHECK(x) check_true((x) ? 1 : 0, #x, __FILE__, __LINE__)
#define CHECK_OK(call, e) check_ok((call), &(e), #call, __FILE__, __LINE__)
#define CHECK_STR(got, want) check_str((got), (want), #got, __FILE__, __LINE__)
#define TEST(fn) cmocka_unit_test(fn)

void check_true(int ok, const char *text, const char *file, int line);
void check_ok(int r, const struct err *e, const char *text, const char *file, int line);
void check_str(const char *got, const char *want, const char *text, const char *file, int line);

/* A fresh directory below $TMPDIR, removed with all it holds by check_dir_clear(). */
struct check_dir {
    char path[200];
    int fd;
};
struct check_dir check_dir(void);
void check_dir_clear(struct check_dir *d);
