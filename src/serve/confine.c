#include "serve/confine.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

/* Values of the kernel's linux/landlock.h that are newer than Debian 12's headers. */
#define FS_ABI1 ((UINT64_C(1) << 13) - 1)
#define FS_REFER (UINT64_C(1) << 13)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define NET_ALL UINT64_C(3) /* ABI 4: bind and connect of TCP */

struct ruleset {
    uint64_t fs, net;
};

static int allow_read(int set, int dir, const char *name, struct err *e)
{
    struct stat st;
    CLEANUP(fd_close) int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return 0;
    }
    if (fd < 0 || fstat(fd, &st) < 0) {
        return err_sys(e, "open %s", name);
    }
    struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
                                              .parent_fd = fd};
    if (S_ISDIR(st.st_mode)) {
        rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
    }
    if (syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
        return err_sys(e, "allow reading %s", name);
    }
    return 0;
}

static int landlock(int dir, const char *const *names, size_t n, int *abi, struct err *e)
{
    long v = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    *abi = v > 0 ? (int)v : 0;
    if (v <= 0) {
        return 0;
    }
    struct ruleset all = {.fs = FS_ABI1, .net = v >= 4 ? NET_ALL : 0};
    all.fs |= (v >= 2 ? FS_REFER : 0) | (v >= 3 ? FS_TRUNCATE : 0);
    size_t size = v >= 4 ? sizeof all : sizeof all.fs;
    CLEANUP(fd_close) int set = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
    if (set < 0) {
        return err_sys(e, "make a Landlock rule set");
    }
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = allow_read(set, dir, names[i], e);
    }
    if (r == 0 && syscall(SYS_landlock_restrict_self, set, 0) != 0) {
        r = err_sys(e, "enter the Landlock rule set");
    }
    return r;
}

/* What root could do is given up; who is nobody has nothing to give up. */
static void drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    for (int cap = 0; cap <= 63; cap++) {
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    }
    (void)syscall(SYS_capset, &head, none);
}

static int filter_calls(struct err *e)
{
    static const int refused[] = {
        SCMP_SYS(execve),
        SCMP_SYS(execveat),
        SCMP_SYS(fork),
        SCMP_SYS(vfork),
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
        SCMP_SYS(unshare),
        SCMP_SYS(setns),
        SCMP_SYS(init_module),
        SCMP_SYS(finit_module),
        SCMP_SYS(kexec_load),
        SCMP_SYS(add_key),
        SCMP_SYS(keyctl),
        SCMP_SYS(request_key),
        SCMP_SYS(socket),
        SCMP_SYS(bind),
        SCMP_SYS(io_uring_setup),
        SCMP_SYS(open_by_handle_at),
        SCMP_SYS(kill),
        SCMP_SYS(chmod),
        SCMP_SYS(fchmodat),
        SCMP_SYS(fchmod),
    };
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    int bad = f == NULL ? -ENOMEM : 0;
    for (size_t i = 0; i < ARRAY_LEN(refused) && bad == 0; i++) {
        bad = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
    }
    bad = bad < 0 ? bad : seccomp_load(f);
    seccomp_release(f);
    if (bad < 0) {
        errno = -bad;
        return err_sys(e, "refuse system calls that are not needed");
    }
    return 0;
}

int confine_read(int dir, const char *const *names, size_t n, int *abi, struct err *e)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return err_sys(e, "set no_new_privs");
    }
    int r = landlock(dir, names, n, abi, e);
    drop_capabilities();
    return r < 0 ? r : filter_calls(e);
}
