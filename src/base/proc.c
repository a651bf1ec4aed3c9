/* proc.c - spawning this program again with chosen descriptors, and waiting for it.
 *
 * The parent may have many threads, so between fork and exec only async-signal-safe calls are made:
 * all memory, texts and numbers are prepared before. */
#include "base/proc.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

#include <assert.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int image = -1;

static void open_image(void)
{
    image = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    /* exec of a descriptor names the process after its number */
    prctl(PR_SET_NAME, program_invocation_short_name);
}

void proc_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_image);
}

int proc_image(void)
{
    proc_init();
    return image;
}

/* ---- the child's side: async-signal-safe from here ---- */

/* All that the child needs, made before the fork. */
struct launch {
    char **argv, **env;
    int from[PROC_FDS + 2]; /* the given ones, the image, the pipe that reports a failure */
    int n;                  /* of the given ones */
    pid_t parent;
    bool null_stdio, lasting;
    unsigned uid, gid;
    sigset_t mask; /* of the parent's thread */
};
struct failure {
    int sys;
    const char *step; /* a constant of this program: the same address in parent and child */
};

/* Moves the descriptors to 3, 4, ...: first all out of the way, then each to its place, so that no
 * target is a source that is still needed. */
static const char *place_fds(struct launch *l)
{
    int all = l->n + 2, above = PROC_FIRST_FD + all;
    for (int i = 0; i < all; i++) {
        l->from[i] = fcntl(l->from[i], F_DUPFD_CLOEXEC, above);
        if (l->from[i] < 0) {
            return "move descriptors";
        }
    }
    for (int i = 0; i < all; i++) {
        if (dup3(l->from[i], PROC_FIRST_FD + i, i < l->n ? 0 : O_CLOEXEC) < 0) {
            return "place descriptors";
        }
        l->from[i] = PROC_FIRST_FD + i;
    }
    if (close_range((unsigned)above, ~0U, 0) < 0) {
        return "close descriptors";
    }
    if (l->null_stdio) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0 || dup2(null, 0) < 0) {
            return "open /dev/null";
        }
    }
    return NULL;
}

static const char *shed_rights(const struct launch *l)
{
    if (l->gid != 0 && (setgroups(0, NULL) < 0 || setresgid(l->gid, l->gid, l->gid) < 0)) {
        return "take on the group";
    }
    if (l->uid != 0 && setresuid(l->uid, l->uid, l->uid) < 0) {
        return "take on the user";
    }
    return NULL;
}

static void default_signals(void)
{
    const struct sigaction plain = {.sa_handler = SIG_DFL};
    for (int s = 1; s < NSIG; s++) {
        sigaction(s, &plain, NULL); /* fails for KILL, STOP and libc's own: as it should */
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

NORETURN static void child(struct launch *l)
{
    struct failure f = {.step = place_fds(l)};
    if (f.step == NULL) {
        f.step = shed_rights(l);
    }
    if (f.step == NULL && l->lasting) {
        setsid();
    } else if (f.step == NULL) {
        /* After the change of user, which would clear it. A parent that died before this call is
         * seen in getppid(). */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) {
            f.step = "tie to the parent";
        } else if (getppid() != l->parent) {
            _exit(127);
        }
    }
    if (f.step == NULL) {
        default_signals();
        fexecve(l->from[l->n], l->argv, l->env);
        f.step = "execute the program";
    }
    f.sys = errno;
    ssize_t n = write(l->from[l->n + 1], &f, sizeof f);
    _exit(n == (ssize_t)sizeof f ? 127 : 126);
}

/* ---- the parent's side ---- */

static char **child_env(const char *const *given)
{
    static const char *const kept[] = {"PATH=", "LANG=", "TZ=", "CORDON_"};
    char *const *all = environ;
    size_t n = 0, out = 0;
    for (; given != NULL ? given[n] != NULL : all != NULL && all[n] != NULL; n++) {
    }
    char **env = mem_array(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        bool keep = given != NULL;
        for (size_t k = 0; k < ARRAY_LEN(kept) && !keep; k++) {
            keep = strncmp(all[i], kept[k], strlen(kept[k])) == 0;
        }
        if (keep) {
            env[out++] = mem_str(given != NULL ? given[i] : all[i]);
        }
    }
    return env;
}

static char **child_argv(const char *const *after)
{
    size_t n = 0;
    while (after != NULL && after[n] != NULL) {
        n++;
    }
    char **argv = mem_array(char *, n + 2);
    argv[0] = mem_str(program_invocation_short_name);
    for (size_t i = 0; i < n; i++) {
        argv[i + 1] = mem_str(after[i]);
    }
    return argv;
}

static void free_texts(char ***list)
{
    for (size_t i = 0; *list != NULL && (*list)[i] != NULL; i++) {
        free((*list)[i]);
    }
    mem_free(list);
}

/* Reads what the child reports: nothing, when its exec closed the pipe. */
static int outcome(int pipe_end, struct proc *p, struct err *e)
{
    struct failure f;
    ssize_t n = fd_read(pipe_end, &f, sizeof f);
    if (n == 0) {
        return 0;
    }
    proc_kill(p);
    if (n != (ssize_t)sizeof f) {
        return err_set(e, ERR_BUG, "start a process: it ended without a reason");
    }
    errno = f.sys;
    return err_sys(e, "start a process: %s", f.step);
}

static int fork_child(struct launch *l, struct proc *out, struct err *e)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return err_sys(e, "start a process: pipe");
    }
    CLEANUP(fd_close) int in = ends[0];
    CLEANUP(fd_close) int report = ends[1];
    l->from[l->n] = image;
    l->from[l->n + 1] = report;
    l->parent = getpid();
    sigset_t all;
    sigfillset(&all); /* no handler of ours may run in the child */
    pthread_sigmask(SIG_SETMASK, &all, &l->mask);
    pid_t pid = fork();
    if (pid == 0) {
        child(l);
    }
    int sys = errno;
    pthread_sigmask(SIG_SETMASK, &l->mask, NULL);
    errno = sys;
    if (pid < 0) {
        return err_sys(e, "start a process: fork");
    }
    fd_close(&report);
    struct proc p = {.pid = pid, .pidfd = pidfd_open(pid, 0)};
    if (p.pidfd < 0) {
        sys = errno;
        proc_kill(&p);
        errno = sys;
        return err_sys(e, "start a process: pidfd_open");
    }
    int r = outcome(in, &p, e);
    if (r == 0) {
        *out = p;
    }
    return r;
}

/* ---- the thread that forks for others: the death of the forking thread kills the children ---- */

struct errand {
    struct launch *l;
    struct proc *out;
    struct err *e;
    int result;
    bool done;
};
static pthread_mutex_t forker_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t forker_changed = PTHREAD_COND_INITIALIZER;
static struct errand *forker_errand;
static bool forker_runs;

static void *forker(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&forker_lock);
    for (;;) {
        while (forker_errand == NULL || forker_errand->done) {
            pthread_cond_wait(&forker_changed, &forker_lock);
        }
        struct errand *x = forker_errand;
        x->result = fork_child(x->l, x->out, x->e);
        x->done = true;
        pthread_cond_broadcast(&forker_changed);
    }
    return NULL;
}

static int start_forker(struct err *e)
{
    if (forker_runs) {
        return 0;
    }
    pthread_t t;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int sys = pthread_create(&t, NULL, forker, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (sys != 0) {
        errno = sys;
        return err_sys(e, "start a process: thread");
    }
    pthread_detach(t);
    forker_runs = true;
    return 0;
}

static int fork_elsewhere(struct launch *l, struct proc *out, struct err *e)
{
    struct errand x = {.l = l, .out = out, .e = e};
    pthread_mutex_lock(&forker_lock);
    int r = start_forker(e);
    if (r == 0) {
        while (forker_errand != NULL) {
            pthread_cond_wait(&forker_changed, &forker_lock);
        }
        forker_errand = &x;
        pthread_cond_broadcast(&forker_changed);
        while (!x.done) {
            pthread_cond_wait(&forker_changed, &forker_lock);
        }
        forker_errand = NULL;
        pthread_cond_broadcast(&forker_changed);
        r = x.result;
    }
    pthread_mutex_unlock(&forker_lock);
    return r;
}

int proc_spawn(const struct proc_spec *spec, struct proc *out, struct err *e)
{
    if (proc_image() < 0) {
        return err_set(e, ERR_UNAVAIL,
                       "start a process: /proc/self/exe could not be opened; is /proc mounted?");
    }
    if (spec->n_fds > PROC_FDS) {
        return err_set(e, ERR_LIMIT, "start a process with %zu descriptors, at most %zu",
                       spec->n_fds, PROC_FDS);
    }
    CLEANUP(free_texts) char **argv = child_argv(spec->argv);
    CLEANUP(free_texts) char **env = child_env(spec->env);
    struct launch l = {.argv = argv,
                       .env = env,
                       .n = (int)spec->n_fds,
                       .null_stdio = spec->null_stdio != 0,
                       .lasting = spec->lasting != 0,
                       .uid = spec->uid,
                       .gid = spec->gid};
    for (size_t i = 0; i < spec->n_fds; i++) {
        l.from[i] = spec->fds[i];
    }
    return gettid() == getpid() ? fork_child(&l, out, e) : fork_elsewhere(&l, out, e);
}

static int reap(struct proc *p, int flags, int *status)
{
    int s = 0;
    pid_t got;
    do {
        got = waitpid(p->pid, &s, flags);
    } while (got < 0 && errno == EINTR);
    if (got == 0) {
        return 0;
    }
    fd_close(&p->pidfd);
    p->pid = -1;
    if (got < 0) {
        return ERR_NOTFOUND;
    }
    if (status != NULL) {
        *status = s;
    }
    return 1;
}

int proc_wait(struct proc *p, int64_t within, int *status)
{
    if (p->pid <= 0) {
        return ERR_NOTFOUND;
    }
    if (within < 0) {
        return reap(p, 0, status);
    }
    int64_t until = clock_boot() + within;
    for (;;) {
        int r = reap(p, WNOHANG, status);
        int64_t left = until - clock_boot();
        if (r != 0 || left <= 0) {
            return r;
        }
        struct pollfd end = {.fd = p->pidfd, .events = POLLIN};
        int64_t ms = (left + 999) / 1000;
        poll(&end, 1, ms > 3600000 ? 3600000 : (int)ms);
    }
}

void proc_signal(const struct proc *p, int sig)
{
    if (p->pid > 0) {
        kill(p->pid, sig); /* ours until it is waited for, so the number is not somebody else's */
    }
}

void proc_kill(struct proc *p)
{
    if (p->pid > 0) {
        proc_signal(p, SIGKILL);
        reap(p, 0, NULL);
    }
}

int proc_pair(int out[2], struct err *e)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out) < 0) {
        return err_sys(e, "make a pair of sockets");
    }
    return 0;
}
