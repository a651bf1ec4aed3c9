/* proc.h - child processes: re-executed, never just forked.
 *
 * A child of ours is this same program image (opened once at start, so that an upgrade on disk does
 * not mix versions), started as "PROGRAM ROLE args", with exactly the descriptors it is given:
 * the first becomes descriptor 3, the next 4, and so on; all else is closed.
 *
 * A child dies with its parent, unless it is `lasting`. The kernel sends that signal when the
 * *thread* that forked ends, so a spawn from another thread than the main one is done by a thread
 * that proc.c keeps for ever. */
#pragma once
#include "base/err.h"
#include <sys/types.h>

struct proc {
    pid_t pid;
    int pidfd;
};
#define PROC_NONE ((struct proc){-1, -1})

/* Remembers the program image; call first in main(). A process that sheds its rights or enters a
 * cage before it spawns must have called it. */
void proc_init(void);
/* The image, for a spawner of its own kind; -1 if /proc cannot be read. */
int proc_image(void);

#define PROC_FDS ((size_t)64)
#define PROC_FIRST_FD 3 /* the first of `fds` in the child */

struct proc_spec {
    const char *const *argv; /* after the program's name; NULL-terminated */
    const int *fds;
    size_t n_fds;
    const char *const *env; /* NULL: only PATH, LANG, TZ and CORDON_* are passed on */
    int null_stdio;         /* stdin from /dev/null; stdout and stderr are kept */
    unsigned uid, gid;      /* 0 0: unchanged */
    int lasting;            /* outlives its parent, in a session of its own */
};
/* Returns when the child's exec has succeeded; its failure is reported here. Signals are back at
 * their defaults and unblocked in the child. The caller keeps its descriptors. */
MUST_CHECK int proc_spawn(const struct proc_spec *spec, struct proc *out, struct err *e);

/* Waits up to `within` microseconds (negative: for ever). 1 ended (*status as by waitpid, *p is
 * PROC_NONE then), 0 not yet, ERR_NOTFOUND when *p names no child. pidfd may be polled instead. */
int proc_wait(struct proc *p, int64_t within, int *status);
void proc_signal(const struct proc *p, int sig);
void proc_kill(struct proc *p); /* SIGKILL and wait; zero value and PROC_NONE are fine */

/* A connected pair of stream sockets, close-on-exec. */
MUST_CHECK int proc_pair(int out[2], struct err *e);
