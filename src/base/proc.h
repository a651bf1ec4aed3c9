/* proc.h - child processes: re-executed, never just forked.
 *
 * A child of ours is this same program image (opened once at start, so that an upgrade on disk does
 * not mix versions), started as "PROGRAM ROLE args", with exactly the descriptors it is given:
 * the first becomes descriptor 3, the next 4, and so on; all else is closed. */
#pragma once
#include "base/err.h"
#include <sys/types.h>

struct proc {
    pid_t pid;
    int pidfd;
};
#define PROC_NONE ((struct proc){-1, -1})

void proc_init(void); /* remembers the program image; call first in main() */

struct proc_spec {
    const char *const *argv; /* after the program's name; NULL-terminated */
    const int *fds;
    size_t n_fds;
    const char *const *env; /* NULL: only PATH, LANG, TZ and CORDON_* are passed on */
    int null_stdio;         /* stdin from /dev/null; stdout and stderr are kept */
    unsigned uid, gid;      /* 0 0: unchanged */
};
/* The child dies with its parent (PR_SET_PDEATHSIG). */
MUST_CHECK int proc_spawn(const struct proc_spec *spec, struct proc *out, struct err *e);

/* Waits up to `within` microseconds (negative: for ever). 1 ended (*status as by waitpid), 0 not
 * yet. */
int proc_wait(struct proc *p, int64_t within, int *status);
void proc_kill(struct proc *p); /* SIGKILL and wait; zero value and PROC_NONE are fine */

/* A connected pair of stream sockets, close-on-exec. */
MUST_CHECK int proc_pair(int out[2], struct err *e);
