/* A stream of bytes is frames until the first bad one: no descriptor leaks, and a message that was
 * taken arrives the same when it is sent on. */
#include "base/fd.h"
#include "base/ipc.h"
#include "base/limits.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST ((size_t)60000) /* fits a socket's buffer, so that one thread can do both ends */

static void pair(int s[2])
{
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
}

/* The first byte chooses how many descriptors travel with the first of the others. */
static void feed(int sock, const uint8_t *data, size_t size)
{
    union {
        char room[CMSG_SPACE(32 * sizeof(int))];
        struct cmsghdr align;
    } control = {.room = {0}};
    size_t n = data[0] % 20;
    struct iovec part = {.iov_base = (void *)(uintptr_t)(data + 1), .iov_len = size - 1};
    struct msghdr h = {.msg_iov = &part, .msg_iovlen = 1};
    if (n > 0) {
        h.msg_control = control.room;
        h.msg_controllen = CMSG_SPACE(n * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        for (size_t i = 0; i < n; i++) {
            memcpy(CMSG_DATA(c) + i * sizeof(int), &(int){2}, sizeof(int));
        }
    }
    FUZZ_CHECK(sendmsg(sock, &h, MSG_NOSIGNAL) == (ssize_t)(size - 1));
}

static void send_on(const struct ipc_msg *m)
{
    CLEANUP(ipc_msg_clear) struct ipc_msg again = {0};
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_FRAME);
    int s[2];
    js_write(&text, m->body);
    if (text.len > MOST) {
        return;
    }
    pair(s);
    FUZZ_CHECK(ipc_send(s[0], m->seq, m->body, m->fds, m->n_fds, NULL) == 0);
    FUZZ_CHECK(ipc_recv(s[1], &again, NULL) == 0);
    FUZZ_CHECK(again.seq == m->seq && again.n_fds == m->n_fds);
    FUZZ_CHECK(json_equal(again.body, m->body));
    close(s[0]);
    close(s[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > MOST) {
        return 0;
    }
    int before = fcntl(0, F_DUPFD, 3), s[2];
    close(before);
    pair(s);
    feed(s[0], data, size);
    close(s[0]);
    for (;;) {
        CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
        struct err e = {.text = ""};
        if (ipc_recv(s[1], &m, &e) < 0) {
            FUZZ_CHECK(m.n_fds == 0 && m.body == NULL && e.text[0] != '\0');
            break;
        }
        FUZZ_CHECK(json_is_object(m.body));
        send_on(&m);
    }
    close(s[1]);
    int after = fcntl(0, F_DUPFD, 3);
    close(after);
    FUZZ_CHECK(before == after);
    return 0;
}
