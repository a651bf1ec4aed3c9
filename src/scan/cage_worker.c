#include "scan/cage.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

/* Newer than the kernel headers of Debian 12; values of the kernel's linux/landlock.h. */
#define FS_ABI1 ((UINT64_C(1) << 13) - 1)
#define FS_REFER (UINT64_C(1) << 13)     /* ABI 2 */
#define FS_TRUNCATE (UINT64_C(1) << 14)  /* ABI 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */
#define NET_ALL UINT64_C(3)              /* ABI 4: bind and connect of TCP */
#define SCOPE_ALL UINT64_C(3)            /* ABI 6: abstract sockets, signals */

struct ruleset {
    uint64_t fs, net, scoped;
};

static int set_limit(int what, const char *name, uint64_t value, struct err *e)
{
    struct rlimit r = {.rlim_cur = value, .rlim_max = value};
    if (setrlimit((__rlimit_resource_t)what, &r) != 0) {
        return err_sys(e, "cage: set %s to %llu", name, (unsigned long long)value);
    }
    return 0;
}

static int set_limits(const struct cage_limits *l, struct err *e)
{
    const struct {
        int what;
        const char *name;
        uint64_t value;
    } all[] = {
        {RLIMIT_CORE, "RLIMIT_CORE", 0},         {RLIMIT_FSIZE, "RLIMIT_FSIZE", l->write},
        {RLIMIT_NOFILE, "RLIMIT_NOFILE", 16},    {RLIMIT_NPROC, "RLIMIT_NPROC", 0},
        {RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK", 0},   {RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE", 0},
        {RLIMIT_CPU, "RLIMIT_CPU", l->cpu},
#ifndef CAGE_SANITIZED
        {RLIMIT_DATA, "RLIMIT_DATA", l->memory}, {RLIMIT_AS, "RLIMIT_AS", l->memory + l->mapped},
#endif
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        int r = set_limit(all[i].what, all[i].name, all[i].value, e);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* Forbids everything that the running kernel can forbid: a rule set without a single rule. */
static int enter_landlock(const struct cage_limits *l, int *abi, struct err *e)
{
    long v = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (v <= 0) {
        *abi = 0;
        if (l->without_landlock) {
            return 0;
        }
        return err_set(
            e, ERR_UNAVAIL,
            "cage: this kernel has no Landlock (%s); boot with lsm=landlock,... or allow "
            "seccomp alone with --without-landlock",
            strerror(errno));
    }
    struct ruleset all = {.fs = FS_ABI1};
    all.fs |= (v >= 2 ? FS_REFER : 0) | (v >= 3 ? FS_TRUNCATE : 0) | (v >= 5 ? FS_IOCTL_DEV : 0);
    all.net = v >= 4 ? NET_ALL : 0;
    all.scoped = v >= 6 ? SCOPE_ALL : 0;
    size_t size = v >= 6 ? sizeof all : v >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    CLEANUP(fd_close) int fd = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
    if (fd < 0) {
        return err_sys(e, "cage: make a Landlock rule set (ABI %ld)", v);
    }
    if (syscall(SYS_landlock_restrict_self, fd, 0) != 0) {
        return err_sys(e, "cage: enter the Landlock rule set");
    }
    CLEANUP(fd_close) int probe = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (probe >= 0 || errno != EACCES) {
        return err_set(e, ERR_TRUST, "cage: Landlock is entered, and / can still be opened");
    }
    *abi = (int)v;
    return 0;
}

/* Gives up what root could do; nothing here is needed if we are nobody, so failures are fine:
 * Landlock and seccomp do not rest on them. */
static void drop_privileges(void)
{
    if (geteuid() == 0 && unshare(CLONE_NEWNET | CLONE_NEWIPC) != 0) {
        errno = 0;
    }
    for (int cap = 0; cap <= 63; cap++) {
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    }
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    syscall(SYS_capset, &head, none);
}

static const int allowed[] = {
    SCMP_SYS(read),          SCMP_SYS(readv),        SCMP_SYS(pread64),
    SCMP_SYS(write),         SCMP_SYS(writev),       SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg),       SCMP_SYS(recvfrom),     SCMP_SYS(poll),
    SCMP_SYS(ppoll),         SCMP_SYS(close),        SCMP_SYS(lseek),
    SCMP_SYS(fstat),         SCMP_SYS(munmap),       SCMP_SYS(mremap),
    SCMP_SYS(madvise),       SCMP_SYS(brk),          SCMP_SYS(futex),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday),
    SCMP_SYS(time),          SCMP_SYS(getpid),       SCMP_SYS(gettid),
    SCMP_SYS(getrandom),     SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),  SCMP_SYS(sigaltstack),  SCMP_SYS(restart_syscall),
    SCMP_SYS(sched_yield),   SCMP_SYS(sysinfo),      SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* No library of ours makes these by accident. */
static const int deadly[] = {
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(swapon),
    SCMP_SYS(settimeofday),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(pidfd_getfd),
};

static int add_rules(scmp_filter_ctx f)
{
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        r = r < 0 ? r : seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(deadly); i++) {
        r = r < 0 ? r : seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
    }
    /* Nothing that was read ever becomes code. */
    static const int maps[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        r = r < 0 ? r
                  : seccomp_rule_add(f, SCMP_ACT_ALLOW, maps[i], 1,
                                     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    }
    static const scmp_datum_t fcntls[] = {F_GETFD, F_SETFD, F_GETFL, F_SETFL};
    for (size_t i = 0; i < ARRAY_LEN(fcntls); i++) {
        r = r < 0 ? r
                  : seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                                     SCMP_A1(SCMP_CMP_EQ, fcntls[i], 0));
    }
    r = r < 0 ? r
              : seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
                                 SCMP_A4(SCMP_CMP_EQ, 0, 0)); /* send(): no address */
    /* abort() must end us as an abort, and signal nobody else */
    return r < 0 ? r
                 : seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
}

static void release_filter(scmp_filter_ctx *f)
{
    if (*f != NULL) {
        seccomp_release(*f);
    }
}

static int enter_seccomp(struct err *e)
{
    CLEANUP(release_filter) scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (f == NULL) {
        return err_set(e, ERR_NOMEM, "cage: start a seccomp filter");
    }
    int r = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    r = r < 0 ? r : add_rules(f);
    r = r < 0 ? r : seccomp_load(f);
    if (r < 0) {
        errno = -r;
        return err_sys(e, "cage: load the seccomp filter");
    }
    return 0;
}

int cage_enter(const struct cage_limits *l, int *landlock, struct err *e)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return err_sys(e, "cage: set no_new_privs");
    }
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return err_sys(e, "cage: make the process undumpable");
    }
    drop_privileges();
    int abi = 0, r = enter_landlock(l, &abi, e);
    r = r < 0 ? r : set_limits(l, e);
    r = r < 0 ? r : enter_seccomp(e);
    if (r < 0) {
        return r;
    }
    *landlock = abi;
    return 0;
}

static long try_open(void)
{
#ifdef SYS_open /* newer architectures have openat() alone */
    return syscall(SYS_open, "/etc/passwd", O_RDONLY | O_CLOEXEC);
#else
    return openat(AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC);
#endif
}

static long try_openat(void)
{
    return openat(AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
}

static long try_create(void)
{
    return open("/tmp/cordon-cage-proof", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static long try_unlink(void)
{
    return unlink("/tmp/cordon-cage-proof");
}

static long try_inet(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long try_unix(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long end_child(long pid)
{
    if (pid == 0) {
        _exit(0);
    }
    return pid;
}

static long try_fork(void)
{
    return end_child(fork());
}

static long try_clone(void)
{
    return end_child(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
}

static long try_execve(void)
{
    static const char *const none[] = {NULL};
    return syscall(SYS_execve, "/bin/true", none, none);
}

static long try_memfd(void)
{
    return memfd_create("proof", MFD_CLOEXEC);
}

static long try_kill(void)
{
    return kill(1, 0);
}

static long try_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? -1 : 0;
}

int cage_prove(json_t *denied, struct err *e)
{
    static const struct {
        const char *name;
        long (*run)(void);
    } tries[] = {
        {"open", try_open},     {"openat", try_openat}, {"create", try_create},
        {"unlink", try_unlink}, {"socket", try_inet},   {"socket-unix", try_unix},
        {"fork", try_fork},     {"clone", try_clone},   {"execve", try_execve},
        {"memfd", try_memfd},   {"kill", try_kill},     {"map-code", try_code},
    };
    for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
        errno = 0;
        long r = tries[i].run();
        if (r >= 0) {
            return err_set(e, ERR_TRUST, "cage: %s got through", tries[i].name);
        }
        if (errno != EPERM) { /* refused for another reason, so the filter was not the wall */
            return err_set(e, ERR_TRUST, "cage: %s was not denied but failed: %s", tries[i].name,
                           strerror(errno));
        }
        js_add_str(denied, tries[i].name);
    }
    return 0;
}
