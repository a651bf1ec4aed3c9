/* group.h - the processes of one running site, started together and stopped together.
 *
 * They hold sockets to each other, so when one dies all are started anew; the listening sockets
 * stay open meanwhile, so clients wait instead of failing. */
#pragma once
#include "base/proc.h"
#include "serve/serve.h"

enum group_role { GROUP_LOG, GROUP_REPOSITORY, GROUP_RECORDER, GROUP_GATE, GROUP_WEB, GROUP_ROLES };
const char *group_name(enum group_role r);

struct group {
    struct proc proc[GROUP_ROLES];
    int boot[GROUP_ROLES];
};
struct group_listen {
    int control, http; /* borrowed; http -1: no web */
};

/* Starts all and waits until each says ready. On failure nothing is left running. */
MUST_CHECK int group_start(const struct serve_opts *o, const struct group_listen *l,
                           struct group *out, struct err *e);
/* Says how a process of the group ended, which it just did. */
void group_ended(struct group *g, enum group_role role, char *out, size_t room);
/* Web first, then gate, recorder, signers; each has `within` microseconds, then it is killed. */
void group_stop(struct group *g, int64_t within);
#define GROUP_PATIENT INT64_C(20000000) /* somebody asked for the stop: downloads may end */
#define GROUP_HURRY INT64_C(1500000)    /* a process died: clients wait for the restart */
