#include "base/fd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

void fd_close(int *fd)
{
    if (*fd >= 0) {
        int keep = errno;
        close(*fd);
        errno = keep;
    }
    *fd = -1;
}

ssize_t fd_read(int fd, void *p, size_t n)
{
    ssize_t got;
    do {
        got = read(fd, p, n);
    } while (got < 0 && errno == EINTR);
    return got;
}

ssize_t fd_pread(int fd, void *p, size_t n, uint64_t at)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(fd, (uint8_t *)p + done, n - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    return (ssize_t)done;
}

int fd_write(int fd, struct span s, struct err *e)
{
    while (s.len > 0) {
        ssize_t n = write(fd, s.p, s.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_sys(e, "write");
        }
        s = span_of(s.p + n, s.len - (size_t)n);
    }
    return 0;
}

int fd_pwrite(int fd, struct span s, uint64_t at, struct err *e)
{
    while (s.len > 0) {
        ssize_t n = pwrite(fd, s.p, s.len, (off_t)at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_sys(e, "write");
        }
        at += (uint64_t)n;
        s = span_of(s.p + n, s.len - (size_t)n);
    }
    return 0;
}

int fd_sealed(const char *name, struct span s, int *out, struct err *e)
{
    CLEANUP(fd_close) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return err_sys(e, "make a memory file");
    }
    int r = fd_write(fd, s, e);
    if (r < 0) {
        return err_wrap(e, r, "fill a memory file");
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
        return err_sys(e, "seal a memory file");
    }
    *out = fd;
    fd = -1;
    return 0;
}
