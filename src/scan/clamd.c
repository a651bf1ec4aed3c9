#include "scan/clamd.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BEYOND_ANY_LIMIT ((off_t)1 << 40) /* clamd never reads a file of this size */

struct clamd {
    const char *path;
    int64_t deadline; /* by clock_boot() */
    int sock;
};

static void clamd_close(struct clamd *c)
{
    fd_close(&c->sock);
}

static int late(const struct clamd *c, const char *what, struct err *e)
{
    return err_set(
        e, ERR_UNAVAIL,
        "clamd at %s did not %s in time; it may be loading its database or have too much "
        "to do: see its log, or raise clamd.time",
        c->path, what);
}

/* Waits until the socket can do it, or the deadline. */
static int wait_for(const struct clamd *c, short events, const char *what, struct err *e)
{
    for (;;) {
        int64_t left = c->deadline - clock_boot();
        if (left <= 0) {
            return late(c, what, e);
        }
        int64_t ms = left / 1000 + 1;
        struct pollfd p = {.fd = c->sock, .events = events};
        int n = poll(&p, 1, ms > 1000000 ? 1000000 : (int)ms);
        if (n > 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR) {
            return err_sys(e, "wait for clamd at %s", c->path);
        }
    }
}

static int clamd_connect(struct clamd *c, struct err *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(c->path) >= sizeof a.sun_path) {
        return err_set(e, ERR_LIMIT, "clamd.socket is longer than %zu characters: %s",
                       sizeof a.sun_path - 1, c->path);
    }
    memcpy(a.sun_path, c->path, strlen(c->path));
    c->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->sock < 0) {
        return err_sys(e, "make a socket for clamd");
    }
    while (connect(c->sock, (const struct sockaddr *)&a, sizeof a) < 0) {
        if (errno == EAGAIN) { /* its queue is full; a UNIX socket cannot be polled for that */
            if (clock_boot() >= c->deadline) {
                return late(c, "accept a connection", e);
            }
            usleep(10000);
        } else if (errno != EINTR) {
            int why = errno;
            return err_set(e, ERR_UNAVAIL,
                           "clamd does not answer at %s: %s; start clamav-daemon, or correct "
                           "clamd.socket",
                           c->path, strerror(why));
        }
    }
    return 0;
}

static int gone(const struct clamd *c, struct err *e)
{
    return err_set(e, ERR_UNAVAIL,
                   "clamd at %s closed the connection before it had answered: see its log",
                   c->path);
}

/* Sends all of `s`; `fd` (or -1) travels with its first byte. */
static int send_all(const struct clamd *c, struct span s, int fd, struct err *e)
{
    while (s.len > 0) {
        union {
            char room[CMSG_SPACE(sizeof(int))];
            struct cmsghdr align;
        } control = {{0}};
        struct iovec v = {.iov_base = (void *)(uintptr_t)s.p, .iov_len = s.len};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
        if (fd >= 0) {
            m.msg_control = control.room;
            m.msg_controllen = sizeof control.room;
            struct cmsghdr *h = CMSG_FIRSTHDR(&m);
            h->cmsg_level = SOL_SOCKET;
            h->cmsg_type = SCM_RIGHTS;
            h->cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(h), &fd, sizeof fd);
        }
        ssize_t n = sendmsg(c->sock, &m, MSG_NOSIGNAL);
        if (n > 0) {
            s = (struct span){s.p + n, s.len - (size_t)n};
            fd = -1;
        } else if (errno == EAGAIN) {
            int r = wait_for(c, POLLOUT, "take a request", e);
            if (r < 0) {
                return r;
            }
        } else if (errno != EINTR) {
            return errno == EPIPE || errno == ECONNRESET ? gone(c, e) : err_sys(e, "ask clamd");
        }
    }
    return 0;
}

/* One answer ends in NUL and is the only thing on its connection. */
static int receive(const struct clamd *c, struct buf *out, struct err *e)
{
    for (;;) {
        int r = wait_for(c, POLLIN, "answer", e);
        if (r < 0) {
            return r;
        }
        char part[1024];
        ssize_t n = read(c->sock, part, sizeof part);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (n < 0 && errno != ECONNRESET) {
            return err_sys(e, "read clamd's answer");
        }
        if (n <= 0) {
            return gone(c, e);
        }
        buf_add(out, part, (size_t)n);
        if (buf_done(out, "clamd's answer", e) < 0) {
            return err_set(e, ERR_UNAVAIL, "clamd at %s gave an answer without end", c->path);
        }
        const uint8_t *nul = memchr(out->p, 0, out->len);
        if (nul != NULL && (size_t)(nul - out->p) + 1 != out->len) {
            return err_set(e, ERR_UNAVAIL, "clamd at %s went on behind its answer", c->path);
        }
        if (nul != NULL) {
            out->len--;
            return 0;
        }
    }
}

/* Asks one question on a connection of its own. */
static int ask(const char *path, int64_t deadline, const char *command, int fd, struct buf *reply,
               struct err *e)
{
    CLEANUP(clamd_close) struct clamd c = {.path = path, .deadline = deadline, .sock = -1};
    int r = clamd_connect(&c, e);
    if (r == 0) {
        r = send_all(&c, span_of(command, strlen(command) + 1), -1, e);
    }
    if (r == 0 && fd >= 0) {
        r = send_all(&c, span_of("", 1), fd, e);
    }
    return r < 0 ? r : receive(&c, reply, e);
}

static int scan_fd(const char *path, int64_t deadline, int fd, struct outside_answer *out,
                   struct err *e)
{
    CLEANUP(buf_clear) struct buf reply = BUF(LIMIT_CLAMD_REPLY);
    int r = ask(path, deadline, "zFILDES", fd, &reply, e);
    return r < 0 ? r : clamd_parse_reply(buf_view(&reply), out, e);
}

/* Does clamd report files that it does not look at (AlertExceedsMax)? Asked with an empty file of
 * a size that it cannot accept. */
static int reports_skipped(const char *path, int64_t deadline, bool *yes, struct err *e)
{
    struct outside_answer a = {0};
    CLEANUP(fd_close) int fd = memfd_create("cordon-clamd", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, BEYOND_ANY_LIMIT) < 0) {
        return err_sys(e, "make a file to try clamd's limit with");
    }
    int r = scan_fd(path, deadline, fd, &a, e);
    if (r == 0) {
        *yes = a.verdict == VERDICT_UNINSPECTABLE;
    }
    return r;
}

static int version_by(const char *path, int64_t deadline, struct outside_answer *out, struct err *e)
{
    CLEANUP(buf_clear) struct buf reply = BUF(LIMIT_CLAMD_REPLY);
    int r = ask(path, deadline, "zVERSION", -1, &reply, e);
    return r < 0 ? r : clamd_parse_version(buf_view(&reply), out, e);
}

int clamd_version(const char *socket, int64_t within, struct outside_answer *out, struct err *e)
{
    struct outside_answer a = {.updated = -1};
    CLEANUP(buf_clear) struct buf pong = BUF(LIMIT_CLAMD_REPLY);
    int64_t deadline = clock_boot() + within;
    int r = ask(socket, deadline, "zPING", -1, &pong, e);
    if (r == 0 && !span_is(buf_view(&pong), "PONG")) {
        r = err_set(e, ERR_UNAVAIL, "what listens at %s is not clamd", socket);
    }
    if (r == 0) {
        r = version_by(socket, deadline, &a, e);
    }
    if (r == 0) {
        *out = a;
    }
    return r;
}

/* clamd must not be able to write, and must not move our place in the file. */
static int open_again(int fd, struct err *e)
{
    char name[40];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int again = open(name, O_RDONLY | O_CLOEXEC);
    return again >= 0 ? again : err_sys(e, "open the file again for clamd");
}

int clamd_scan(const char *socket, int64_t within, int fd, struct outside_answer *out,
               struct err *e)
{
    struct outside_answer a = {.updated = -1};
    int64_t deadline = clock_boot() + within;
    struct stat st;
    CLEANUP(fd_close) int mine = open_again(fd, e);
    if (mine < 0) {
        return mine;
    }
    if (fstat(mine, &st) < 0) {
        return err_sys(e, "look at the file for clamd");
    }
    int r = version_by(socket, deadline, &a, e);
    if (r == 0) {
        r = scan_fd(socket, deadline, mine, &a, e);
    }
    if (r == 0 && a.verdict == VERDICT_CLEAN && (uint64_t)st.st_size > CLAMD_SURE) {
        bool sure = false;
        r = reports_skipped(socket, deadline, &sure, e);
        if (r == 0 && !sure) {
            a.verdict = VERDICT_UNINSPECTABLE;
            snprintf(a.rule, sizeof a.rule,
                     "clamd may skip a file of this size without a word: "
                     "set \"AlertExceedsMax yes\" in clamd.conf");
        }
    }
    if (r == 0) {
        *out = a;
    }
    return r;
}
