#include "base/ipc.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct pair {
    int a, b;
};

static struct pair pair_new(void)
{
    int s[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
    return (struct pair){s[0], s[1]};
}

static void pair_clear(struct pair *p)
{
    fd_close(&p->a);
    fd_close(&p->b);
}

static size_t open_fds(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d) != NULL) {
        n++;
    }
    closedir(d);
    return n;
}

static json_t *body_of(const char *op)
{
    json_t *o = js_new();
    js_set_str(o, "op", op);
    return o;
}

static void a_message_arrives_with_its_descriptors(void **state)
{
    (void)state;
    size_t before = open_fds();
    CLEANUP(pair_clear) struct pair p = pair_new();
    CLEANUP(js_free) json_t *body = body_of("put");
    int fds[IPC_FDS];
    for (int i = 0; i < IPC_FDS; i++) {
        char text = (char)('a' + i);
        CHECK(fd_sealed("part", span_of(&text, 1), &fds[i], NULL) == 0);
    }
    struct err e;
    CHECK_OK(ipc_send(p.a, 7, body, fds, IPC_FDS, &e), e);
    struct ipc_msg m = {0};
    CHECK_OK(ipc_recv(p.b, &m, &e), e);
    CHECK(m.seq == 7 && m.n_fds == IPC_FDS);
    CHECK_STR(js_str_or(m.body, "op", ""), "put");
    for (int i = 0; i < IPC_FDS; i++) {
        char got = 0;
        CHECK(fd_pread(m.fds[i], &got, 1, 0) == 1 && got == 'a' + i);
        CHECK(fcntl(m.fds[i], F_GETFD) == FD_CLOEXEC);
        fd_close(&fds[i]);
    }
    ipc_msg_clear(&m);
    pair_clear(&p);
    CHECK(open_fds() == before);
    CHECK(ipc_send(p.a, 7, body, fds, IPC_FDS + 1, &e) == ERR_LIMIT);
}

/* Sends raw bytes with `n` copies of a descriptor beside the first of them. */
static void send_raw(int sock, const void *p, size_t len, size_t n)
{
    union {
        char room[CMSG_SPACE(64 * sizeof(int))];
        struct cmsghdr align;
    } control = {.room = {0}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)p, .iov_len = len};
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
    CHECK(sendmsg(sock, &h, 0) == (ssize_t)len);
}

static struct buf frame(uint32_t len, unsigned version, unsigned fds, const char *body)
{
    struct buf b = BUF(1000);
    buf_be32(&b, len);
    buf_be16(&b, (uint16_t)version);
    buf_be16(&b, (uint16_t)fds);
    buf_be32(&b, 9);
    buf_str(&b, body);
    return b;
}

static void bad_frames_are_refused_and_leak_nothing(void **state)
{
    (void)state;
    static const struct {
        uint32_t len;
        unsigned version, announced;
        size_t sent;
        const char *body;
        int want;
        const char *says;
    } cases[] = {
        {2, 1, 0, 0, "{}", 0, ""},
        {2, 1, 3, 3, "{}", 0, ""},
        {2, 2, 0, 0, "{}", ERR_FORMAT, "version 2"},
        {2, 0, 0, 0, "{}", ERR_FORMAT, "version 0"},
        {2, 1, 0, 1, "{}", ERR_FORMAT, "1 descriptors announces 0"},
        {2, 1, 2, 1, "{}", ERR_FORMAT, "1 descriptors announces 2"},
        {2, 1, 16, 17, "{}", ERR_FORMAT, "more than 16"},
        {2, 1, 16, 40, "{}", ERR_FORMAT, "more than 16"},
        {2, 1, 65535, 0, "{}", ERR_FORMAT, "announces 65535"},
        {LIMIT_FRAME + 1, 1, 0, 0, "{}", ERR_FORMAT, "at most"},
        {UINT32_MAX, 1, 5, 5, "{}", ERR_FORMAT, "at most"},
        {LIMIT_FRAME, 1, 0, 0, "{}", ERR_FORMAT, "cut short"},
        {3, 1, 2, 2, "{}", ERR_FORMAT, "cut short"},
        {0, 1, 0, 0, "", ERR_FORMAT, "message from a process"},
        {2, 1, 4, 4, "[]", ERR_FORMAT, "no object"},
        {2, 1, 0, 0, "{x", ERR_FORMAT, "message from a process"},
    };
    size_t before = open_fds();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(pair_clear) struct pair p = pair_new();
        CLEANUP(buf_clear)
        struct buf b = frame(cases[i].len, cases[i].version, cases[i].announced, cases[i].body);
        send_raw(p.a, b.p, b.len, cases[i].sent);
        fd_close(&p.a);
        CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
        struct err e = {.text = ""};
        int r = ipc_recv(p.b, &m, &e);
        if (r != cases[i].want || strstr(e.text, cases[i].says) == NULL) {
            print_error("case %zu: %d %s\n", i, r, e.text);
        }
        CHECK(r == cases[i].want && strstr(e.text, cases[i].says) != NULL);
        CHECK(m.n_fds == (r == 0 ? cases[i].sent : 0));
    }
    CHECK(open_fds() == before);
}

static void descriptors_beside_later_bytes_are_dropped(void **state)
{
    (void)state;
    size_t before = open_fds();
    {
        CLEANUP(pair_clear) struct pair p = pair_new();
        CLEANUP(buf_clear) struct buf b = frame(2, 1, 1, "{}");
        send_raw(p.a, b.p, 5, 1);
        send_raw(p.a, b.p + 5, 8, 3);
        send_raw(p.a, b.p + 13, 1, 3);
        CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
        struct err e;
        CHECK_OK(ipc_recv(p.b, &m, &e), e);
        CHECK(m.n_fds == 1);
    }
    CHECK(open_fds() == before);
}

static void every_cut_is_seen(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf b = frame(2, 1, 0, "{}");
    for (size_t n = 0; n < b.len; n++) {
        CLEANUP(pair_clear) struct pair p = pair_new();
        if (n > 0) {
            send_raw(p.a, b.p, n, 0);
        }
        fd_close(&p.a);
        struct ipc_msg m = {0};
        struct err e;
        CHECK(ipc_recv(p.b, &m, &e) == (n == 0 ? ERR_UNAVAIL : ERR_FORMAT));
        CHECK(n > 0 || strstr(e.text, "closed") != NULL);
    }
}

static void a_deadline_passes(void **state)
{
    (void)state;
    CLEANUP(pair_clear) struct pair p = pair_new();
    CLEANUP(buf_clear) struct buf b = frame(2, 1, 0, "{}");
    CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
    struct err e;
    int64_t start = clock_boot();
    CHECK(ipc_recv_within(p.b, 20000, &m, &e) == ERR_UNAVAIL);
    CHECK(clock_boot() - start >= 20000);
    send_raw(p.a, b.p, b.len, 0); /* between frames nothing is lost */
    CHECK_OK(ipc_recv_within(p.b, 20000, &m, &e), e);
    send_raw(p.a, b.p, b.len - 1, 0); /* inside one the connection ends */
    CHECK(ipc_recv_within(p.b, 20000, &m, &e) == ERR_UNAVAIL);
    CHECK(send(p.a, "}", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
}

static void on_alarm(int sig)
{
    (void)sig;
}

/* Reads slowly, byte by byte, while signals come. */
static void *read_slowly(void *arg)
{
    struct ipc_msg *m = arg;
    struct err e;
    int sock = m->back[0];
    CHECK_OK(ipc_recv(sock, m, &e), e);
    return NULL;
}

static void a_large_message_survives_interruptions(void **state)
{
    (void)state;
    CLEANUP(pair_clear) struct pair p = pair_new();
    CHECK(setsockopt(p.a, SOL_SOCKET, SO_SNDBUF, &(int){4096}, sizeof(int)) == 0);
    struct sigaction act = {.sa_handler = on_alarm}, old; /* no SA_RESTART */
    sigaction(SIGALRM, &act, &old);
    timer_t timer;
    CHECK(timer_create(CLOCK_MONOTONIC, NULL, &timer) == 0);
    struct itimerspec often = {.it_interval = {.tv_nsec = 300000}, .it_value = {.tv_nsec = 300000}};
    CHECK(timer_settime(timer, 0, &often, NULL) == 0);
    size_t len = 8 << 20;
    char *text = malloc(len + 1);
    memset(text, 'x', len);
    text[len] = '\0';
    CLEANUP(js_free) json_t *body = body_of(text);
    pthread_t t;
    struct ipc_msg m = {.back = {p.b}};
    CHECK(pthread_create(&t, NULL, read_slowly, &m) == 0);
    struct err e;
    CHECK_OK(ipc_send(p.a, 1, body, NULL, 0, &e), e);
    pthread_join(t, NULL);
    timer_delete(timer);
    sigaction(SIGALRM, &old, NULL);
    CHECK_STR(js_str_or(m.body, "op", ""), text);
    js_free(&m.body);
    free(text);
}

static void a_peer_that_is_gone_is_no_signal(void **state)
{
    (void)state;
    CLEANUP(pair_clear) struct pair p = pair_new();
    CLEANUP(js_free) json_t *body = body_of("x");
    struct err e;
    fd_close(&p.b);
    CHECK(ipc_send(p.a, 1, body, NULL, 0, &e) == ERR_UNAVAIL);
}

static void errors_travel(void **state)
{
    (void)state;
    static const int codes[] = {ERR_BUG,   ERR_SYS,    ERR_NOMEM,    ERR_LIMIT,    ERR_FORMAT,
                                ERR_TRUST, ERR_DENIED, ERR_NOTFOUND, ERR_CONFLICT, ERR_UNAVAIL};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        struct err e = {.code = codes[i], .text = "why: 50 % of it"}, back;
        CLEANUP(js_free) json_t *body = ipc_error(&e);
        CHECK(ipc_result(body, &back) == codes[i] && back.code == codes[i]);
        CHECK_STR(back.text, e.text);
    }
    CLEANUP(js_free) json_t *fine = js_new();
    CHECK(ipc_result(fine, NULL) == 0);
    js_set_int(fine, "error", 1);
    CHECK(ipc_result(fine, NULL) == ERR_FORMAT);
}

/* ---- the table ---- */

static uint32_t put_off;

static int op_echo(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                   struct err *e)
{
    (void)ctx;
    (void)peer;
    *answer = js_new();
    js_set_str(*answer, "text", js_str_or(m->body, "text", "none"));
    int r = 0;
    for (size_t i = 0; r == 0 && i < m->n_fds; i++) {
        r = ipc_answer_take_fd(m, m->fds[i], e);
        m->fds[i] = -1;
    }
    return r;
}

static int op_refuse(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                     struct err *e)
{
    (void)ctx;
    (void)peer;
    (void)m;
    *answer = js_new(); /* freed with the error */
    return err_set(e, ERR_CONFLICT, "no");
}

static int op_later(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                    struct err *e)
{
    (void)ctx;
    (void)peer;
    (void)answer;
    (void)e;
    put_off = m->seq;
    return IPC_LATER;
}

static const struct ipc_op ops[] = {{"echo", op_echo}, {"refuse", op_refuse}, {"later", op_later}};

static int ask(struct pair *p, uint32_t seq, const char *op, struct err *e)
{
    CLEANUP(js_free) json_t *body = op != NULL ? body_of(op) : js_new();
    CHECK(ipc_send(p->a, seq, body, (int[]){1, 2}, 2, e) == 0);
    return ipc_serve_one(p->b, ops, ARRAY_LEN(ops), NULL, NULL, e);
}

static void the_table_answers(void **state)
{
    (void)state;
    static const struct {
        const char *op;
        int want;
    } cases[] = {{"echo", 0}, {"refuse", ERR_CONFLICT}, {"steal", ERR_DENIED}, {NULL, ERR_FORMAT}};
    size_t before = open_fds();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(pair_clear) struct pair p = pair_new();
        CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
        struct err e;
        CHECK_OK(ask(&p, 5, cases[i].op, &e), e);
        CHECK_OK(ipc_recv(p.a, &m, &e), e);
        CHECK(m.seq == 5 && ipc_result(m.body, &e) == cases[i].want);
        CHECK(m.n_fds == (cases[i].want == 0 ? 2 : 0));
    }
    CHECK(open_fds() == before);
}

static void an_answer_may_come_later_or_not_at_all(void **state)
{
    (void)state;
    CLEANUP(pair_clear) struct pair p = pair_new();
    CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
    struct err e, fault = {.code = ERR_LIMIT, .text = "full"};
    CHECK_OK(ask(&p, 6, "later", &e), e);
    CHECK_OK(ask(&p, 0, "echo", &e), e); /* wants none */
    CHECK(ipc_recv_within(p.a, 1000, &m, &e) == ERR_UNAVAIL);
    CHECK_OK(ipc_answer(p.b, put_off, NULL, &fault, &e), e);
    CHECK_OK(ipc_recv(p.a, &m, &e), e);
    CHECK(m.seq == 6 && ipc_result(m.body, &e) == ERR_LIMIT);
    fd_close(&p.a);
    CHECK(ipc_serve_one(p.b, ops, ARRAY_LEN(ops), NULL, NULL, &e) == ERR_UNAVAIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_arrives_with_its_descriptors),
        TEST(bad_frames_are_refused_and_leak_nothing),
        TEST(descriptors_beside_later_bytes_are_dropped),
        TEST(every_cut_is_seen),
        TEST(a_deadline_passes),
        TEST(a_large_message_survives_interruptions),
        TEST(a_peer_that_is_gone_is_no_signal),
        TEST(errors_travel),
        TEST(the_table_answers),
        TEST(an_answer_may_come_later_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
