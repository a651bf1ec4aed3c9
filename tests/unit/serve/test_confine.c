#include "serve/confine.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "check.h"

/* Each bit is a wall that did not hold. */
static int tried(struct check_dir *d, int before)
{
    static const char *const names[] = {"open", "one.db", "missing"};
    static char path[] = "/bin/true", *const argv[] = {path, NULL};
    int abi = 0, bad = 0;
    if (confine_read(d->fd, names, ARRAY_LEN(names), &abi, NULL) < 0) {
        return 1;
    }
    bad |= openat(d->fd, "open/f", O_RDONLY) < 0 ? 2 : 0;
    bad |= openat(d->fd, "one.db", O_RDONLY) < 0 ? 2 : 0;
    if (abi > 0) {
        bad |= openat(d->fd, "keys/k", O_RDONLY) >= 0 || errno != EACCES ? 4 : 0;
        bad |= open("/etc/passwd", O_RDONLY) >= 0 ? 4 : 0;
        bad |= openat(d->fd, "open/f", O_WRONLY) >= 0 ? 8 : 0;
        bad |= openat(d->fd, "open/new", O_WRONLY | O_CREAT, 0600) >= 0 ? 8 : 0;
        bad |= unlinkat(d->fd, "open/f", 0) == 0 ? 8 : 0;
    }
    bad |= socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM ? 16 : 0;
    bad |= fchmodat(d->fd, "open/f", 0777, 0) == 0 ? 32 : 0;
    bad |= execv(path, argv) == 0 ? 64 : 0;
    bad |= write(before, "x", 1) == 1 ? 0 : 128; /* what was open stays of use */
    return bad;
}

static void what_is_not_named_is_out_of_reach(void **state)
{
    (void)state;
    struct check_dir d = check_dir();
    struct err e;
    int p[2], status = 0;
    CHECK_OK(file_mkdirs(d.fd, "open", 0755, &e), e);
    CHECK_OK(file_mkdirs(d.fd, "keys", 0755, &e), e);
    CHECK_OK(file_write(d.fd, "open/f", span_str("f"), 0644, &e), e);
    CHECK_OK(file_write(d.fd, "keys/k", span_str("k"), 0644, &e), e);
    CHECK_OK(file_write(d.fd, "one.db", span_str("1"), 0644, &e), e);
    CHECK(pipe(p) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(tried(&d, p[1]));
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(p[0]);
    close(p[1]);
    check_dir_clear(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(what_is_not_named_is_out_of_reach)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
