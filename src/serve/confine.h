/* confine.h - after its start a process of the server needs little; the rest is taken away.
 *
 * For the calling thread and those it starts later: call before there are others. */
#pragma once
#include "base/err.h"

/* Files and folders below `dir` may be read, nothing else on this machine may be opened, nothing
 * written, no program started, no socket made; a socket that is open may still be used. Names that
 * do not exist are passed over. *landlock is the version in force; 0 on a kernel without: then only
 * the rest holds. */
MUST_CHECK int confine_read(int dir, const char *const *names, size_t n, int *landlock,
                            struct err *e);
