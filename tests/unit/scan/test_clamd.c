#include "scan/clamd.h"

#include "base/clock.h"
#include "base/fd.h"
#include "fixture.h"
#include "scan/clamd_fake.h"

#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define SPAN(s) ((struct span){(const uint8_t *)(s), sizeof(s) - 1})
#define OK_VERSION SPAN("ClamAV 1.4.3/27500/Mon Nov 17 09:31:24 2025\0")

static void answers_are_read_from_the_right_end(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        int want;
        enum verdict verdict;
        const char *rule;
    } cases[] = {
        {"fd[10]: OK", 0, VERDICT_CLEAN, ""},
        {"fd[10]: Test.Mark.UNOFFICIAL FOUND", 0, VERDICT_MALICIOUS, "Test.Mark.UNOFFICIAL"},
        {"a: OK: Eicar-Test FOUND", 0, VERDICT_MALICIOUS, "Eicar-Test"},
        {"fd[10]: Heuristics.Limits.Exceeded.MaxFileSize FOUND", 0, VERDICT_UNINSPECTABLE,
         "Heuristics.Limits.Exceeded.MaxFileSize"},
        {"fd[10]: Heuristics.Encrypted.Zip FOUND", 0, VERDICT_UNINSPECTABLE,
         "Heuristics.Encrypted.Zip"},
        {"fd[10]: PUA.Win.Packer FOUND", 0, VERDICT_SUSPICIOUS, "PUA.Win.Packer"},
        {"fd[10]: Can't open file ERROR", ERR_UNAVAIL, VERDICT_NONE, ""},
        {"OK FOUND: OK ERROR", ERR_UNAVAIL, VERDICT_NONE, ""},
        {"fd[10]:  FOUND", ERR_UNAVAIL, VERDICT_NONE, ""},
        {" FOUND", ERR_UNAVAIL, VERDICT_NONE, ""},
        {"OK", ERR_UNAVAIL, VERDICT_NONE, ""},
        {"", ERR_UNAVAIL, VERDICT_NONE, ""},
        {"fd[10]: OK\n", ERR_UNAVAIL, VERDICT_NONE, ""},
        {"fd[10]: ok", ERR_UNAVAIL, VERDICT_NONE, ""},
        {"UNKNOWN COMMAND", ERR_UNAVAIL, VERDICT_NONE, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct outside_answer a = {0};
        struct err e = {0};
        CHECK(clamd_parse_reply(span_str(cases[i].reply), &a, &e) == cases[i].want);
        CHECK(a.verdict == cases[i].verdict);
        CHECK_STR(a.rule, cases[i].rule);
        CHECK((e.text[0] != 0) == (cases[i].want != 0));
    }
}

static void the_age_of_the_database_is_read(void **state)
{
    (void)state;
    struct outside_answer a = {0};
    setenv("TZ", "UTC0", 1);
    CHECK(clamd_parse_version(span_str("ClamAV 1.4.3/27500/Mon Nov 17 09:31:24 2025"), &a, NULL) ==
          0);
    CHECK(a.updated == 1763371884 * CLOCK_SECOND);
    CHECK_STR(a.version, "ClamAV 1.4.3/27500/Mon Nov 17 09:31:24 2025");
    CHECK(clamd_parse_version(span_str("ClamAV 1.4.3"), &a, NULL) == 0 && a.updated == -1);
    CHECK(clamd_parse_version(span_str("ClamAV 1.4.3/1/some day"), &a, NULL) == 0 &&
          a.updated == -1);
    CHECK(clamd_parse_version(span_str("nginx"), &a, NULL) == ERR_UNAVAIL);
}

/* A fake that says these in turn; the scan must fail within the time. */
static void misbehaves(const struct span *says, size_t n, const char *word)
{
    struct check_dir d = check_dir();
    struct clamd_fake f;
    struct err e = {0};
    struct outside_answer a = {.verdict = VERDICT_NONE};
    int fd = -1;
    CHECK_OK(fd_sealed("x", span_str("hello"), &fd, &e), e);
    clamd_fake_start(&f, d.path, says, n);
    int64_t start = clock_boot();
    CHECK(clamd_scan(f.path, CLOCK_SECOND / 2, fd, &a, &e) == ERR_UNAVAIL);
    CHECK(clock_boot() - start < 5 * CLOCK_SECOND);
    CHECK(a.verdict == VERDICT_NONE);
    if (strstr(e.text, word) == NULL) {
        print_error("\"%s\" lacks \"%s\"\n", e.text, word);
    }
    CHECK(strstr(e.text, word) != NULL);
    clamd_fake_stop(&f);
    fd_close(&fd);
    check_dir_clear(&d);
}

static void a_clamd_that_hangs_dies_or_babbles_is_no_answer(void **state)
{
    (void)state;
    char flood[9000];
    memset(flood, 'x', sizeof flood);
    const struct span hangs = SPAN_NONE, dies = span_of("", 0);
    const struct span cases[][2] = {
        {hangs, hangs},
        {OK_VERSION, hangs},
        {dies, dies},
        {OK_VERSION, dies},
        {OK_VERSION, SPAN("fd[10]: O")},
        {OK_VERSION, SPAN("fd[10]: OK")}, /* without its end */
        {OK_VERSION, SPAN("fd[10]: OK\0fd[11]: X FOUND\0")},
        {OK_VERSION, SPAN("HTTP/1.1 200 OK\r\n\0")},
        {OK_VERSION, {(const uint8_t *)flood, sizeof flood}},
        {SPAN("HTTP/1.1\0"), SPAN("fd[10]: OK\0")},
    };
    static const char *const words[] = {"in time", "in time", "closed",   "closed",      "closed",
                                        "closed",  "behind",  "not text", "without end", "version"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        misbehaves(cases[i], 2, words[i]);
    }
}

static void an_absent_clamd_says_what_to_do(void **state)
{
    (void)state;
    struct outside_answer a;
    struct err e;
    CHECK(clamd_version("/nonexistent/clamd.ctl", CLOCK_SECOND, &a, &e) == ERR_UNAVAIL);
    CHECK(strstr(e.text, "start clamav-daemon") != NULL);
    char path[300];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = 0;
    CHECK(clamd_version(path, CLOCK_SECOND, &a, &e) == ERR_LIMIT);
}

/* ---- a real clamd ---- */

static const char *const clamd_program = "/usr/sbin/clamd";

struct real {
    struct check_dir d;
    pid_t pid;
    char socket[260];
};

static void put(struct check_dir *d, const char *name, const char *text)
{
    struct err e;
    CHECK_OK(file_write(d->fd, name, span_str(text), 0644, &e), e);
}

static void write_config(struct real *r, const char *more)
{
    CLEANUP(buf_clear) struct buf b = BUF(8192);
    snprintf(r->socket, sizeof r->socket, "%s/ctl", r->d.path);
    buf_fmt(&b,
            "Foreground yes\nLocalSocket %s\nDatabaseDirectory %s/db\nUser root\nMaxThreads 2\n"
            "LogFile %s/log\nConcurrentDatabaseReload no\n%s",
            r->socket, r->d.path, r->d.path, more);
    put(&r->d, "clamd.conf", buf_text(&b));
}

static void real_start(struct real *r, const char *more)
{
    struct err e = {0};
    struct outside_answer a = {0};
    char config[260];
    r->d = check_dir();
    write_config(r, more);
    CHECK_OK(file_mkdirs(r->d.fd, "db", 0755, &e), e);
    put(&r->d, "db/t.ndb", "Test.Mark:0:*:636f72646f6e20746573742062616420776f7264\n");
    snprintf(config, sizeof config, "--config-file=%s/clamd.conf", r->d.path);
    char name[] = "clamd";
    char *argv[] = {name, config, NULL}, *env[] = {NULL};
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    CHECK(posix_spawn(&r->pid, clamd_program, &quiet, NULL, argv, env) == 0);
    posix_spawn_file_actions_destroy(&quiet);
    int64_t until = clock_boot() + 30 * CLOCK_SECOND;
    while (clamd_version(r->socket, CLOCK_SECOND, &a, &e) < 0) {
        if (clock_boot() > until) {
            fail_msg("clamd does not start: %s", e.text);
        }
        usleep(50000);
    }
    CHECK(strncmp(a.version, "ClamAV ", 7) == 0);
}

static void real_stop(struct real *r)
{
    kill(r->pid, SIGKILL);
    waitpid(r->pid, NULL, 0);
    check_dir_clear(&r->d);
}

static struct outside_answer real_scan(struct real *r, struct span bytes)
{
    struct outside_answer a = {0};
    struct err e = {0};
    int fd = -1;
    CHECK_OK(fd_sealed("x", bytes, &fd, &e), e);
    CHECK_OK(clamd_scan(r->socket, 60 * CLOCK_SECOND, fd, &a, &e), e);
    fd_close(&fd);
    return a;
}

static void *scan_often(void *arg)
{
    for (int i = 0; i < 5; i++) {
        CHECK(real_scan(arg, span_str("a cordon test bad word")).verdict == VERDICT_MALICIOUS);
        CHECK(real_scan(arg, span_str("a cordon test good word")).verdict == VERDICT_CLEAN);
    }
    return NULL;
}

static int sparse(off_t size)
{
    int fd = memfd_create("x", MFD_CLOEXEC);
    CHECK(fd >= 0 && ftruncate(fd, size) == 0);
    return fd;
}

static void a_real_clamd_finds_what_its_rule_names(void **state)
{
    (void)state;
    struct real r;
    if (access(clamd_program, X_OK) != 0 || getuid() != 0) {
        print_message("no %s, or not root: not tested\n", clamd_program);
        skip();
    }
    real_start(&r, "AlertExceedsMax yes\nAlertEncrypted yes\nMaxFileSize 30M\nMaxScanSize 60M\n");
    struct outside_answer a = real_scan(&r, span_str("a cordon test bad word"));
    CHECK(a.verdict == VERDICT_MALICIOUS);
    CHECK_STR(a.rule, "Test.Mark.UNOFFICIAL");
    CHECK(strncmp(a.version, "ClamAV ", 7) == 0);
    pthread_t t[3];
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        CHECK(pthread_create(&t[i], NULL, scan_often, &r) == 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        pthread_join(t[i], NULL);
    }
    CLEANUP(buf_clear) struct buf zip = fixture("encrypted.zip");
    CHECK(real_scan(&r, buf_view(&zip)).verdict == VERDICT_UNINSPECTABLE);
    int big = sparse((off_t)40 << 20);
    struct err e = {0};
    CHECK_OK(clamd_scan(r.socket, 60 * CLOCK_SECOND, big, &a, &e), e);
    CHECK(a.verdict == VERDICT_UNINSPECTABLE); /* over its MaxFileSize, and it says so */
    fd_close(&big);
    real_stop(&r);
    CHECK(clamd_version(r.socket, CLOCK_SECOND, &a, &e) == ERR_UNAVAIL);
}

static void a_clamd_that_skips_silently_is_not_believed(void **state)
{
    (void)state;
    struct real r;
    struct outside_answer a;
    struct err e = {0};
    if (access(clamd_program, X_OK) != 0 || getuid() != 0) {
        skip();
    }
    real_start(&r, "MaxFileSize 30M\n");
    int big = sparse((off_t)40 << 20);
    CHECK_OK(clamd_scan(r.socket, 60 * CLOCK_SECOND, big, &a, &e), e);
    CHECK(a.verdict == VERDICT_UNINSPECTABLE && strstr(a.rule, "AlertExceedsMax") != NULL);
    CHECK(real_scan(&r, span_str("small and clean")).verdict == VERDICT_CLEAN);
    fd_close(&big);
    real_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_are_read_from_the_right_end),
        TEST(the_age_of_the_database_is_read),
        TEST(a_clamd_that_hangs_dies_or_babbles_is_no_answer),
        TEST(an_absent_clamd_says_what_to_do),
        TEST(a_real_clamd_finds_what_its_rule_names),
        TEST(a_clamd_that_skips_silently_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
