#include "check.h"

#include "base/fd.h"

#include <fcntl.h>
#include <ftw.h>
#include <unistd.h>

void check_true(int ok, const char *text, const char *file, int line)
{
    if (!ok) {
        print_error("%s:%d: %s does not hold\n", file, line, text);
    }
    _assert_true((unsigned long)ok, text, file, line);
}

void check_ok(int r, const struct err *e, const char *text, const char *file, int line)
{
    if (r < 0) {
        print_error("%s:%d: %s: %s (%s)\n", file, line, text, e->text, err_name(r));
    }
    _assert_true(r >= 0, text, file, line);
}

void check_str(const char *got, const char *want, const char *text, const char *file, int line)
{
    if (got == NULL || strcmp(got, want) != 0) {
        print_error("%s:%d: %s is \"%s\", not \"%s\"\n", file, line, text, got ? got : "(null)",
                    want);
    }
    _assert_true(got != NULL && strcmp(got, want) == 0, text, file, line);
}

struct check_dir check_dir(void)
{
    struct check_dir d;
    const char *top = getenv("TMPDIR");
    snprintf(d.path, sizeof d.path, "%s/cordon-unit-XXXXXX", top != NULL ? top : "/tmp");
    if (mkdtemp(d.path) == NULL) {
        fail_msg("mkdtemp %s: %s", d.path, strerror(errno));
    }
    d.fd = open(d.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return d;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void check_dir_clear(struct check_dir *d)
{
    fd_close(&d->fd);
    nftw(d->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
