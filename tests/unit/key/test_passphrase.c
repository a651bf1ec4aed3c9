#include "key/key.h"

#include "base/fd.h"
#include "base/file.h"
#include "check.h"

#include <fcntl.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

static struct check_dir dir;
static struct err e;

static int fresh(void **state)
{
    (void)state;
    dir = check_dir();
    unsetenv("CORDON_PASSPHRASE_FILE");
    unsetenv("CREDENTIALS_DIRECTORY");
    return 0;
}

static int clear(void **state)
{
    (void)state;
    check_dir_clear(&dir);
    return 0;
}

static const char *in_dir(const char *name, const char *text, mode_t mode)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", dir.path, name);
    CHECK_OK(file_write(dir.fd, name, span_str(text), mode, &e), e);
    return path;
}

static bool reads(const char *file, const char *want, const char *source)
{
    CLEANUP(key_pass_clear) struct key_pass p = {0};
    CHECK_OK(key_passphrase(file, false, &p, &e), e);
    return span_is(span_of(p.p, p.len), want) && strstr(p.source, source) != NULL;
}

static void a_file_is_read_without_its_line_end(void **state)
{
    (void)state;
    CHECK(reads(in_dir("p", "long enough\n", 0600), "long enough", "--passphrase-file"));
    CHECK(reads(in_dir("p", "long enough\r\n", 0600), "long enough", "--passphrase-file"));
    CHECK(reads(in_dir("p", "long enough", 0600), "long enough", "--passphrase-file"));
    CHECK(reads(in_dir("p", " two ends\n\n", 0600), " two ends\n", "--passphrase-file"));
}

static void a_file_that_others_can_read_gives_a_warning(void **state)
{
    (void)state;
    CLEANUP(key_pass_clear) struct key_pass p = {0};
    CHECK_OK(key_passphrase(in_dir("p", "long enough", 0644), false, &p, &e), e);
    CHECK(strstr(p.warning, "mode 644") != NULL);
    key_pass_clear(&p);
    CHECK_OK(key_passphrase(in_dir("p", "long enough", 0400), false, &p, &e), e);
    CHECK(p.warning[0] == '\0');
}

static void the_option_goes_before_the_environment(void **state)
{
    (void)state;
    setenv("CREDENTIALS_DIRECTORY", dir.path, 1);
    in_dir("cordon-passphrase", "from systemd", 0644);
    CHECK(reads(NULL, "from systemd", "credential"));
    setenv("CORDON_PASSPHRASE_FILE", in_dir("env", "from env", 0600), 1);
    CHECK(reads(NULL, "from env", "CORDON_PASSPHRASE_FILE"));
    CHECK(reads(in_dir("option", "from option", 0600), "from option", "--passphrase-file"));
}

static void bad_sources_are_refused(void **state)
{
    (void)state;
    struct key_pass p = {0};
    char big[KEY_PASSPHRASE + 2];
    memset(big, 'x', sizeof big);
    big[KEY_PASSPHRASE + 1] = '\0';
    CHECK(key_passphrase(in_dir("p", "\n", 0600), false, &p, &e) == ERR_DENIED);
    CHECK(key_passphrase(in_dir("p", "", 0600), false, &p, &e) == ERR_DENIED);
    CHECK(key_passphrase(in_dir("p", big, 0600), false, &p, &e) == ERR_LIMIT);
    CHECK(key_passphrase("/nonexistent/p", false, &p, &e) == ERR_SYS && e.sys == ENOENT);
    CHECK(key_passphrase(dir.path, false, &p, &e) == ERR_SYS && e.sys == EISDIR);
    CHECK(key_pass_set(&p, span_str(big), &e) == ERR_LIMIT);
    big[KEY_PASSPHRASE] = '\0';
    CHECK(reads(in_dir("p", big, 0600), big, "--passphrase-file"));
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC), kept = dup(STDIN_FILENO);
    CHECK(dup2(null, STDIN_FILENO) == STDIN_FILENO);
    CHECK(key_passphrase(NULL, false, &p, &e) == ERR_DENIED); /* never asks without a terminal */
    CHECK(strstr(e.text, "--passphrase-file") != NULL);
    CHECK(dup2(kept, STDIN_FILENO) == STDIN_FILENO);
    close(null);
    close(kept);
    CHECK(p.p == NULL);
}

static void wait_for(int master, const char *text, struct buf *seen)
{
    char c;
    size_t from = seen->len;
    while (strstr(buf_text(seen) + from, text) == NULL && fd_read(master, &c, 1) == 1) {
        buf_char(seen, c);
    }
}

/* The child is asked on a terminal of its own; what it typed back ends up in `screen`. */
static int on_a_terminal(const char *first, const char *second, const char *want,
                         struct buf *screen)
{
    int master = -1, status = 0;
    pid_t pid = forkpty(&master, NULL, NULL, NULL);
    if (pid == 0) {
        struct key_pass p = {0};
        int r = key_passphrase(NULL, second != NULL, &p, &e);
        bool same = r == 0 && span_is(span_of(p.p, p.len), want);
        key_pass_clear(&p);
        _exit(r < 0 ? -r : same ? 0 : 99);
    }
    wait_for(master, "assphrase: ", screen);
    CHECK_OK(fd_write(master, span_str(first), &e), e);
    if (second != NULL) {
        wait_for(master, "again: ", screen);
        CHECK_OK(fd_write(master, span_str(second), &e), e);
    }
    char c;
    while (fd_read(master, &c, 1) == 1) {
        buf_char(screen, c);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    close(master);
    return -WEXITSTATUS(status);
}

static void the_terminal_is_asked_without_echo(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second, *want;
        int code;
    } cases[] = {
        {"long enough\n", NULL, "long enough", 0},
        {"long enough\n", "long enough\n", "long enough", 0},
        {"long enough\n", "long eNough\n", NULL, ERR_DENIED},
        {"long xx\177\177enough\n", NULL, "long enough", 0},
        {"l\xc3\xa4\177ong enough\n", NULL, "long enough", 0},
        {"oops\025long enough\n", NULL, "long enough", 0},
        {"long\003", NULL, NULL, ERR_DENIED},
        {"\004", NULL, NULL, ERR_DENIED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_clear) struct buf screen = BUF(10000);
        CHECK(on_a_terminal(cases[i].first, cases[i].second, cases[i].want, &screen) ==
              cases[i].code);
        CHECK(strstr(buf_text(&screen), "enough") == NULL);
    }
}

#define UNIT(fn) cmocka_unit_test_setup_teardown(fn, fresh, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_file_is_read_without_its_line_end),
        UNIT(a_file_that_others_can_read_gives_a_warning),
        UNIT(the_option_goes_before_the_environment),
        UNIT(bad_sources_are_refused),
        UNIT(the_terminal_is_asked_without_echo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
