/* fd.h - descriptors: closing on every path, whole reads and writes. */
#pragma once
#include "base/err.h"
#include "base/span.h"
#include <sys/types.h>

void fd_close(int *fd);                     /* for CLEANUP: closes if >= 0, sets -1, keeps errno */
ssize_t fd_read(int fd, void *p, size_t n); /* read(), retried on EINTR */
ssize_t fd_pread(int fd, void *p, size_t n, uint64_t at);      /* reads until n bytes or the end */
MUST_CHECK int fd_write(int fd, struct span s, struct err *e); /* all of it */
MUST_CHECK int fd_pwrite(int fd, struct span s, uint64_t at, struct err *e);

/* A sealed memfd holding `s`: nobody can write or resize it any more. -1 on failure. */
MUST_CHECK int fd_sealed(const char *name, struct span s, int *out, struct err *e);
