/* ipc.c - frames, descriptors beside them, and answering by a table. */
#include "base/ipc.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/reader.h"

#include <assert.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER ((size_t)12)
#define STEP ((size_t)1 << 20) /* memory grows with what came, not with what was announced */

void ipc_msg_clear(struct ipc_msg *m)
{
    js_free(&m->body);
    for (size_t i = 0; i < m->n_fds; i++) {
        fd_close(&m->fds[i]);
    }
    for (size_t i = 0; i < m->n_back; i++) {
        fd_close(&m->back[i]);
    }
    m->n_fds = m->n_back = 0;
}

/* 1 when `sock` is ready, 0 when clock_boot() has reached `until` (negative: never). */
static int await(int sock, short events, int64_t until, struct err *e)
{
    for (;;) {
        int64_t left = until < 0 ? -1 : until - clock_boot();
        int ms = -1;
        if (until >= 0) {
            left = left < 0 ? 0 : left;
            ms = left > INT64_C(3600000000) ? 3600000 : (int)((left + 999) / 1000);
        }
        struct pollfd p = {.fd = sock, .events = events};
        int n = poll(&p, 1, ms);
        if (n > 0) {
            return 1;
        }
        if (n < 0 && errno != EINTR) {
            return err_sys(e, "wait for a process");
        }
        if (n == 0 && left <= 0 && until >= 0) {
            return 0;
        }
    }
}

/* ---- sending ---- */

static size_t pass_fds(struct msghdr *h, void *room, const int *fds, size_t n)
{
    if (n == 0) {
        return 0;
    }
    h->msg_control = room;
    h->msg_controllen = CMSG_SPACE(n * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    return n;
}

static int lost(struct err *e, const char *doing)
{
    if (errno == EPIPE || errno == ECONNRESET) {
        return err_set(e, ERR_UNAVAIL, "%s: the other process is gone", doing);
    }
    return err_sys(e, "%s", doing);
}

static int send_all(int sock, struct span frame, const int *fds, size_t n_fds, struct err *e)
{
    union {
        char room[CMSG_SPACE(IPC_FDS * sizeof(int))];
        struct cmsghdr align;
    } control = {.room = {0}};
    while (frame.len > 0) {
        int r = await(sock, POLLOUT, clock_boot() + IPC_STALL, e);
        if (r <= 0) {
            return r < 0 ? r : err_set(e, ERR_UNAVAIL, "send: the other process does not read");
        }
        struct iovec part = {.iov_base = (void *)(uintptr_t)frame.p, .iov_len = frame.len};
        struct msghdr h = {.msg_iov = &part, .msg_iovlen = 1};
        pass_fds(&h, control.room, fds, n_fds);
        ssize_t n = sendmsg(sock, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (n < 0) {
            return lost(e, "send");
        }
        n_fds = 0; /* they went with the first byte */
        frame = span_of(frame.p + n, frame.len - (size_t)n);
    }
    return 0;
}

int ipc_send(int sock, uint32_t seq, const json_t *body, const int *fds, size_t n_fds,
             struct err *e)
{
    if (n_fds > IPC_FDS) {
        return err_set(e, ERR_LIMIT, "message with %zu descriptors, at most %d", n_fds, IPC_FDS);
    }
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_FRAME);
    CLEANUP(buf_clear) struct buf frame = BUF(LIMIT_FRAME + HEADER);
    js_write(&text, body);
    int r = buf_done(&text, "message to a process", e);
    if (r < 0) {
        return r;
    }
    buf_be32(&frame, (uint32_t)text.len);
    buf_be16(&frame, IPC_VERSION);
    buf_be16(&frame, (uint16_t)n_fds);
    buf_be32(&frame, seq);
    buf_span(&frame, buf_view(&text));
    r = buf_done(&frame, "message to a process", e);
    return r < 0 ? r : send_all(sock, buf_view(&frame), fds, n_fds, e);
}

/* ---- receiving ---- */

/* Keeps the descriptors of a header's recvmsg in *m; false when there were too many. */
static bool keep_fds(struct msghdr *h, struct ipc_msg *m)
{
    bool fits = (h->msg_flags & MSG_CTRUNC) == 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (m->n_fds < IPC_FDS) {
                m->fds[m->n_fds++] = fd;
            } else {
                fd_close(&fd);
                fits = false;
            }
        }
    }
    return fits;
}

/* One read. Descriptors are taken with the first bytes of a frame only; those that come beside
 * others are dropped by the kernel, because no room is offered for them. */
static ssize_t read_some(int sock, void *p, size_t n, struct ipc_msg *m, bool *fits)
{
    if (m == NULL) {
        return recv(sock, p, n, MSG_DONTWAIT);
    }
    union {
        char room[CMSG_SPACE(IPC_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = p, .iov_len = n};
    struct msghdr h = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control.room,
                       .msg_controllen = sizeof control.room};
    ssize_t got = recvmsg(sock, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got >= 0) {
        *fits = keep_fds(&h, m);
    }
    return got;
}

/* Waits until something can be read. Once a frame has begun the rest must keep coming, else the
 * stream is cut here: the next read would take the middle of this frame for a header. */
static int await_more(int sock, bool begun, int64_t until, struct err *e)
{
    int64_t stall = clock_boot() + IPC_STALL;
    int r = await(sock, POLLIN, begun && (until < 0 || stall < until) ? stall : until, e);
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    if (!begun) {
        return err_set(e, ERR_UNAVAIL, "no message from a process within its time");
    }
    shutdown(sock, SHUT_RDWR);
    return err_set(e, ERR_UNAVAIL, "message from a process: no more came within its time");
}

/* Why a read of a readable socket gave nothing; 0 if it is to be tried again. */
static int no_bytes(ssize_t got, bool begun, struct err *e)
{
    if (got < 0) {
        return errno == EINTR || errno == EAGAIN ? 0 : lost(e, "receive");
    }
    return begun ? err_set(e, ERR_FORMAT, "message from a process is cut short")
                 : err_set(e, ERR_UNAVAIL, "closed by the other process");
}

/* Reads exactly n bytes. `first`: the frame begins here, so the end of the stream is no fault and
 * nothing has to come before `until`; after its first byte the rest must keep coming. */
static int read_exact(int sock, uint8_t *p, size_t n, struct ipc_msg *first, int64_t until,
                      struct err *e)
{
    bool begun = first == NULL, fits = true;
    while (n > 0) {
        int r = await_more(sock, begun, until, e);
        if (r < 0) {
            return r;
        }
        ssize_t got = read_some(sock, p, n, begun ? NULL : first, &fits);
        if (got <= 0) {
            r = no_bytes(got, begun, e);
            if (r < 0) {
                return r;
            }
            continue;
        }
        if (!fits) {
            return err_set(e, ERR_FORMAT, "message with more than %d descriptors", IPC_FDS);
        }
        begun = true;
        p += got;
        n -= (size_t)got;
    }
    return 0;
}

static int read_body(int sock, size_t len, int64_t until, json_t **out, struct err *e)
{
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_FRAME);
    while (text.len < len) {
        size_t n = len - text.len < STEP ? len - text.len : STEP;
        uint8_t *room = buf_room(&text, n);
        if (room == NULL) {
            return buf_done(&text, "message from a process", e);
        }
        int r = read_exact(sock, room, n, NULL, until, e);
        if (r < 0) {
            return r;
        }
        buf_added(&text, n);
    }
    CLEANUP(js_free) json_t *body = NULL;
    int r = js_parse(buf_view(&text), LIMIT_FRAME, "message from a process", &body, e);
    if (r < 0) {
        return r;
    }
    if (!json_is_object(body)) {
        return err_set(e, ERR_FORMAT, "message from a process is no object");
    }
    *out = body;
    body = NULL;
    return 0;
}

static int read_header(struct span s, size_t most, struct ipc_msg *m, size_t *len, struct err *e)
{
    struct reader in = reader_of(s);
    *len = reader_be32(&in);
    unsigned version = reader_be16(&in), fds = reader_be16(&in);
    m->seq = reader_be32(&in);
    if (version != IPC_VERSION) {
        return err_set(e, ERR_FORMAT, "message of version %u, this program speaks %d", version,
                       IPC_VERSION);
    }
    if (*len > most) {
        return err_set(e, ERR_FORMAT, "message of %zu bytes, at most %zu", *len, most);
    }
    if (fds != m->n_fds) {
        return err_set(e, ERR_FORMAT, "message with %zu descriptors announces %u", m->n_fds, fds);
    }
    return 0;
}

int ipc_recv_most(int sock, int64_t within, size_t most, struct ipc_msg *out, struct err *e)
{
    CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
    int64_t until = within < 0 ? -1 : clock_boot() + within;
    uint8_t header[HEADER];
    size_t len = 0;
    int r = read_exact(sock, header, sizeof header, &m, until, e);
    if (r == 0) {
        r = read_header(span_of(header, sizeof header), most, &m, &len, e);
    }
    if (r == 0) {
        r = read_body(sock, len, until, &m.body, e);
    }
    if (r < 0) {
        return r;
    }
    *out = m;
    m = (struct ipc_msg){0};
    return 0;
}

int ipc_recv_within(int sock, int64_t within, struct ipc_msg *out, struct err *e)
{
    return ipc_recv_most(sock, within, LIMIT_FRAME, out, e);
}

int ipc_recv(int sock, struct ipc_msg *out, struct err *e)
{
    return ipc_recv_within(sock, -1, out, e);
}

/* ---- errors and answers ---- */

json_t *ipc_error(const struct err *e)
{
    json_t *o = js_new();
    js_set_str(o, "error", err_name(e->code));
    js_set_str(o, "message", e->text);
    return o;
}

int ipc_result(const json_t *body, struct err *e)
{
    const json_t *word = json_object_get(body, "error");
    if (word == NULL) {
        return 0;
    }
    if (!json_is_string(word)) {
        return err_set(e, ERR_FORMAT, "answer of a process: error is no text");
    }
    int code = err_code_of(json_string_value(word));
    err_set(e, ERR_UNAVAIL, "%s", js_str_or(body, "message", "no reason given"));
    if (e != NULL) {
        e->code = code; /* set after, as the errno that belonged to ERR_SYS stayed there */
    }
    return code;
}

int ipc_answer(int sock, uint32_t seq, const json_t *body, const struct err *fault, struct err *e)
{
    CLEANUP(js_free) json_t *own = fault != NULL ? ipc_error(fault) : NULL;
    if (fault == NULL && body == NULL) {
        own = js_new();
    }
    return ipc_send(sock, seq, own != NULL ? own : body, NULL, 0, e);
}

int ipc_answer_take_fd(struct ipc_msg *m, int fd, struct err *e)
{
    if (m->n_back == IPC_FDS) {
        fd_close(&fd);
        return err_set(e, ERR_LIMIT, "answer with more than %d descriptors", IPC_FDS);
    }
    m->back[m->n_back++] = fd;
    return 0;
}

static const struct ipc_op *op_of(const struct ipc_msg *m, const struct ipc_op *ops, size_t n_ops,
                                  struct err *e)
{
    const char *op = NULL;
    if (js_str(m->body, "op", &op, e) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < n_ops; i++) {
        if (strcmp(ops[i].op, op) == 0) {
            return &ops[i];
        }
    }
    err_set(e, ERR_DENIED, "this process may not ask for \"%s\"", op);
    return NULL;
}

int ipc_serve_one(int sock, const struct ipc_op *ops, size_t n_ops, void *ctx,
                  struct ipc_peer *peer, struct err *e)
{
    CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
    int r = ipc_recv_within(sock, IPC_STALL, &m, e);
    struct ipc_table t = {ops, n_ops, ctx, peer};
    return r < 0 ? r : ipc_serve_msg(sock, &m, &t, e);
}

int ipc_serve_msg(int sock, struct ipc_msg *m, const struct ipc_table *t, struct err *e)
{
    CLEANUP(js_free) json_t *answer = NULL;
    struct err fault = {.text = ""};
    uint32_t seq = m->seq;
    const struct ipc_op *op = op_of(m, t->ops, t->n_ops, &fault);
    int r = op != NULL ? op->run(t->ctx, t->peer, m, &answer, &fault) : fault.code;
    if (r == IPC_LATER || seq == 0) {
        return 0;
    }
    if (r < 0) {
        fault.code = r;
        return ipc_answer(sock, seq, NULL, &fault, e);
    }
    if (answer == NULL) {
        answer = js_new();
    }
    r = ipc_send(sock, seq, answer, m->back, m->n_back, e);
    if (r != ERR_LIMIT) {
        return r;
    }
    err_set(&fault, ERR_LIMIT, "the answer is larger than a message may be; ask for less");
    return ipc_answer(sock, seq, NULL, &fault, e);
}
