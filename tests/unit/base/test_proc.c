#include "base/proc.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the children: this same program ---- */

static int child_fds(void)
{
    /* one letter a descriptor, from 3 on, written to the first */
    DIR *d = opendir("/proc/self/fd");
    struct dirent *f;
    int highest = 0;
    while ((f = readdir(d)) != NULL) {
        int n = (int)strtol(f->d_name, NULL, 10);
        highest = n > highest && n != dirfd(d) && n != proc_image() ? n : highest;
    }
    closedir(d);
    char text[80] = "";
    size_t len = 0;
    for (int fd = PROC_FIRST_FD + 1; fd <= highest; fd++) {
        len += pread(fd, text + len, 1, 0) == 1;
    }
    return write(PROC_FIRST_FD, text, len) == (ssize_t)len ? 40 + highest : 1;
}

static int child_env(void)
{
    for (char **v = environ; *v != NULL; v++) {
        dprintf(PROC_FIRST_FD, "%.*s ", (int)strcspn(*v, "="), *v);
    }
    return 0;
}

static int child_signals(void)
{
    sigset_t now;
    struct sigaction act;
    sigprocmask(SIG_SETMASK, NULL, &now);
    sigaction(SIGPIPE, NULL, &act);
    return act.sa_handler == SIG_DFL && !sigismember(&now, SIGUSR1) ? 0 : 1;
}

/* Tied to the parent, and another user for good where one was given. */
static int child_rights(void)
{
    int sig = 0;
    uid_t r, e, s;
    gid_t gr, ge, gs;
    prctl(PR_GET_PDEATHSIG, &sig);
    getresuid(&r, &e, &s);
    getresgid(&gr, &ge, &gs);
    if (sig != SIGKILL) {
        return 1;
    }
    if (getuid() != 65534) {
        return 2;
    }
    return r == e && e == s && gr == 65533 && ge == gr && gs == gr && getgroups(0, NULL) == 0 &&
                   setuid(0) < 0
               ? 0
               : 3;
}

/* Starts a child of its own and is then killed: the grandchild must go too. */
static int child_parent(void)
{
    struct proc p = PROC_NONE;
    struct proc_spec spec = {
        .argv = (const char *const[]){"sleep", NULL}, .fds = (int[]){PROC_FIRST_FD}, .n_fds = 1};
    if (proc_spawn(&spec, &p, NULL) < 0) {
        return 1;
    }
    dprintf(PROC_FIRST_FD, "%d", (int)p.pid);
    raise(SIGKILL);
    return 1;
}

static int child(const char *role)
{
    if (strcmp(role, "sleep") == 0) {
        sleep(60);
        return 0;
    }
    return strcmp(role, "fds") == 0       ? child_fds()
           : strcmp(role, "env") == 0     ? child_env()
           : strcmp(role, "signals") == 0 ? child_signals()
           : strcmp(role, "rights") == 0  ? child_rights()
           : strcmp(role, "parent") == 0  ? child_parent()
           : strcmp(role, "stdin") == 0   ? (int)read(0, (char[1]){0}, 1)
                                          : (int)strlen(role);
}

/* ---- the tests ---- */

static int ended(struct proc *p)
{
    int status = -1;
    CHECK(proc_wait(p, 10 * CLOCK_SECOND, &status) == 1);
    CHECK(WIFEXITED(status) && p->pid == -1 && p->pidfd == -1);
    return WEXITSTATUS(status);
}

static struct proc spawn(const char *role, const int *fds, size_t n)
{
    struct proc p = PROC_NONE;
    struct proc_spec spec = {.argv = (const char *const[]){role, NULL}, .fds = fds, .n_fds = n};
    struct err e;
    CHECK_OK(proc_spawn(&spec, &p, &e), e);
    return p;
}

static void a_child_is_this_program_with_a_role(void **state)
{
    (void)state;
    struct proc p = spawn("four", NULL, 0);
    CHECK(ended(&p) == 4);
    CHECK(proc_wait(&p, 0, NULL) == ERR_NOTFOUND);
    proc_kill(&p);
    proc_kill(&(struct proc){0, 0});
}

static void it_has_exactly_the_descriptors_it_is_given(void **state)
{
    (void)state;
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    int stray = open("/dev/null", O_RDONLY); /* not close-on-exec */
    int part[6];
    for (int i = 0; i < 6; i++) {
        char text = (char)('a' + i);
        CHECK(fd_sealed("part", span_of(&text, 1), &part[i], NULL) == 0);
    }
    /* At numbers that are targets of others, backwards, and one of them twice. */
    int at[7] = {9, 8, 7, 6, 5, 4, 3}, saved[7];
    for (int i = 0; i < 7; i++) {
        saved[i] = fcntl(at[i], F_DUPFD_CLOEXEC, 50);
    }
    int out = fcntl(ends[1], F_DUPFD_CLOEXEC, 60);
    int moved[6];
    for (int i = 0; i < 6; i++) {
        moved[i] = fcntl(part[i], F_DUPFD_CLOEXEC, 70);
    }
    for (int i = 0; i < 6; i++) {
        CHECK(dup3(moved[i], at[i], O_CLOEXEC) == at[i]);
    }
    int fds[] = {out, 9, 8, 7, 6, 5, 4, 9};
    struct proc p = spawn("fds", fds, ARRAY_LEN(fds));
    for (int i = 0; i < 7; i++) {
        if (saved[i] >= 0) {
            dup3(saved[i], at[i], O_CLOEXEC);
            close(saved[i]);
        }
    }
    CHECK(ended(&p) == 40 + PROC_FIRST_FD + 7);
    char got[20] = "";
    int in = fcntl(ends[0], F_DUPFD_CLOEXEC, 3);
    CHECK(read(in, got, sizeof got - 1) == 7);
    CHECK_STR(got, "abcdefa");
    for (int i = 0; i < 6; i++) {
        close(part[i]);
        close(moved[i]);
    }
    close(out);
    close(in);
    close(ends[0]);
    close(ends[1]);
    close(stray);
}

static void only_chosen_variables_pass(void **state)
{
    (void)state;
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    clearenv();
    setenv("PATH", "/bin", 1);
    setenv("LD_PRELOAD", "", 1);
    setenv("CORDON_SITE", "/s", 1);
    setenv("TOKEN", "x", 1);
    setenv("TZ", "UTC", 1);
    char got[200] = "";
    struct proc p = spawn("env", &ends[1], 1);
    CHECK(ended(&p) == 0 && read(ends[0], got, sizeof got - 1) > 0);
    CHECK_STR(got, "PATH CORDON_SITE TZ ");
    struct proc_spec spec = {.argv = (const char *const[]){"env", NULL},
                             .env = (const char *const[]){"A=1", NULL},
                             .fds = &ends[1],
                             .n_fds = 1};
    struct err e;
    CHECK_OK(proc_spawn(&spec, &p, &e), e);
    memset(got, 0, sizeof got);
    CHECK(ended(&p) == 0 && read(ends[0], got, sizeof got - 1) > 0);
    CHECK_STR(got, "A ");
    close(ends[0]);
    close(ends[1]);
}

static void signals_and_stdin_are_fresh(void **state)
{
    (void)state;
    sigset_t one, before, after;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    sigprocmask(SIG_BLOCK, &one, &before);
    signal(SIGPIPE, SIG_IGN);
    struct proc p = spawn("signals", NULL, 0);
    CHECK(ended(&p) == 0);
    sigprocmask(SIG_SETMASK, NULL, &after);
    CHECK(sigismember(&after, SIGUSR1));
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    struct proc_spec spec = {.argv = (const char *const[]){"stdin", NULL}, .null_stdio = 1};
    struct err e;
    CHECK_OK(proc_spawn(&spec, &p, &e), e);
    CHECK(ended(&p) == 0);
}

static void a_child_is_tied_and_may_be_another_user(void **state)
{
    (void)state;
    struct proc p = spawn("rights", NULL, 0);
    CHECK(ended(&p) == 2); /* tied, the same user */
    struct proc_spec spec = {
        .argv = (const char *const[]){"rights", NULL}, .uid = 65534, .gid = 65533};
    struct err e;
    int r = proc_spawn(&spec, &p, &e);
    if (geteuid() != 0) {
        CHECK(r == ERR_SYS && e.sys == EPERM && strstr(e.text, "take on the group") != NULL);
        return;
    }
    CHECK_OK(r, e);
    CHECK(ended(&p) == 0);
}

static void waiting_and_killing(void **state)
{
    (void)state;
    struct proc p = spawn("sleep", NULL, 0);
    int64_t start = clock_boot();
    CHECK(proc_wait(&p, 20000, NULL) == 0 && clock_boot() - start >= 20000);
    pid_t pid = p.pid;
    proc_kill(&p);
    CHECK(p.pid == -1 && kill(pid, 0) < 0 && errno == ESRCH);
    p = spawn("sleep", NULL, 0);
    proc_signal(&p, SIGTERM);
    int status = 0;
    CHECK(proc_wait(&p, -1, &status) == 1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void *spawn_and_end(void *out)
{
    *(struct proc *)out = spawn("sleep", NULL, 0);
    return NULL;
}

static void a_child_outlives_the_thread_that_asked_for_it(void **state)
{
    (void)state;
    struct proc p[4];
    pthread_t t[4];
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&t[i], NULL, spawn_and_end, &p[i]) == 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
    }
    for (int i = 0; i < 4; i++) {
        CHECK(proc_wait(&p[i], 50000, NULL) == 0);
        proc_kill(&p[i]);
    }
}

static void a_child_does_not_outlive_its_parent(void **state)
{
    (void)state;
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    struct proc p = spawn("parent", &ends[1], 1);
    close(ends[1]);
    char got[20] = "";
    CHECK(proc_wait(&p, 10 * CLOCK_SECOND, NULL) == 1);
    CHECK(read(ends[0], got, sizeof got - 1) > 0);
    /* The grandchild holds the other end of the pipe: its end is the end of the file. */
    int64_t start = clock_boot();
    CHECK(read(ends[0], got, 1) == 0 && clock_boot() - start < 10 * CLOCK_SECOND);
    close(ends[0]);
}

static void what_cannot_start_says_why(void **state)
{
    (void)state;
    struct proc p = PROC_NONE;
    struct err e;
    struct proc_spec spec = {
        .argv = (const char *const[]){"x", NULL}, .fds = (int[]){999}, .n_fds = 1};
    CHECK(proc_spawn(&spec, &p, &e) == ERR_SYS && e.sys == EBADF && p.pid == -1);
    CHECK(strstr(e.text, "move descriptors") != NULL);
    char *big = malloc((size_t)1 << 20);
    memset(big, 'x', ((size_t)1 << 20) - 1);
    big[((size_t)1 << 20) - 1] = '\0';
    spec = (struct proc_spec){.argv = (const char *const[]){big, NULL}};
    CHECK(proc_spawn(&spec, &p, &e) == ERR_SYS && e.sys == E2BIG);
    free(big);
    spec.n_fds = PROC_FDS + 1;
    CHECK(proc_spawn(&spec, &p, &e) == ERR_LIMIT);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD); /* no zombie stays */
}

static void a_pair_talks_and_is_close_on_exec(void **state)
{
    (void)state;
    int s[2];
    struct err e;
    CHECK_OK(proc_pair(s, &e), e);
    CHECK(fcntl(s[0], F_GETFD) == FD_CLOEXEC && write(s[0], "x", 1) == 1);
    CHECK(read(s[1], (char[1]){0}, 1) == 1);
    close(s[0]);
    close(s[1]);
}

int main(int argc, char **argv)
{
    proc_init();
    if (argc > 1) {
        return child(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        TEST(a_child_is_this_program_with_a_role),
        TEST(it_has_exactly_the_descriptors_it_is_given),
        TEST(only_chosen_variables_pass),
        TEST(signals_and_stdin_are_fresh),
        TEST(a_child_is_tied_and_may_be_another_user),
        TEST(waiting_and_killing),
        TEST(a_child_outlives_the_thread_that_asked_for_it),
        TEST(a_child_does_not_outlive_its_parent),
        TEST(what_cannot_start_says_why),
        TEST(a_pair_talks_and_is_close_on_exec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
