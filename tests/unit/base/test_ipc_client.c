#include "base/ipc.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS 8
#define CALLS 200

/* A peer that gathers requests and answers them in reverse, with pushes in between. */
struct peer {
    int sock;
    size_t batch;
    pthread_t thread;
};

static void answer_batch(int sock, struct ipc_msg *m, size_t n)
{
    while (n-- > 0) {
        CLEANUP(js_free) json_t *push = js_new();
        js_set_str(push, "op", "news");
        CHECK(ipc_send(sock, 0, push, NULL, 0, NULL) == 0);
        json_object_del(m[n].body, "op");
        CHECK(ipc_send(sock, m[n].seq, m[n].body, m[n].fds, m[n].n_fds, NULL) == 0);
        ipc_msg_clear(&m[n]);
    }
}

static void *serve(void *arg)
{
    struct peer *p = arg;
    struct ipc_msg m[THREADS] = {{0}};
    size_t n = 0;
    while (ipc_recv_within(p->sock, n > 0 ? 5000 : -1, &m[n], NULL) == 0 || n > 0) {
        n += m[n].body != NULL;
        if (n == p->batch || m[n].body == NULL) {
            answer_batch(p->sock, m, n);
            n = 0;
        }
    }
    return NULL;
}

static struct ipc_client *start(struct peer *p, size_t batch,
                                void (*push)(void *ctx, const json_t *body), void *ctx)
{
    int s[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
    *p = (struct peer){.sock = s[1], .batch = batch};
    return ipc_client_new(s[0], push, ctx);
}

static void count(void *ctx, const json_t *body)
{
    CHECK_STR(js_str_or(body, "op", ""), "news");
    atomic_fetch_add((atomic_int *)ctx, 1);
}

struct caller {
    struct ipc_client *c;
    int first;
    pthread_t thread;
    int wrong;
};

static void *call_often(void *arg)
{
    struct caller *me = arg;
    for (int i = 0; i < CALLS; i++) {
        CLEANUP(js_free) json_t *body = js_new();
        CLEANUP(js_free) json_t *answer = NULL;
        js_set_str(body, "op", "echo");
        js_set_int(body, "n", me->first + i);
        int ends[2], in[2] = {-1, -1};
        struct ipc_fds fds = {.in = in, .room = 1};
        if (i % 20 == 0 && pipe(ends) == 0) { /* of two that come back one is kept */
            fds.out = ends;
            fds.n_out = 2;
        }
        struct err e;
        int r = ipc_call(me->c, body, &fds, &answer, &e);
        if (r < 0 || js_int_or(answer, "n", -1) != me->first + i ||
            fds.n_in != (fds.n_out > 0 ? 1 : 0)) {
            me->wrong++;
        }
        fd_close(&in[0]);
        if (fds.n_out > 0) {
            close(ends[0]);
            close(ends[1]);
        }
    }
    return NULL;
}

static void eight_threads_get_each_its_own_answer(void **state)
{
    (void)state;
    struct peer p;
    atomic_int pushes = 0;
    struct ipc_client *c = start(&p, THREADS, count, &pushes);
    CHECK(pthread_create(&p.thread, NULL, serve, &p) == 0);
    struct caller callers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.c = c, .first = i * CALLS};
        CHECK(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]) == 0);
    }
    int lowest = dup(0); /* no descriptor may have leaked at the end */
    close(lowest);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(callers[i].thread, NULL);
        CHECK(callers[i].wrong == 0);
    }
    CHECK(pushes == THREADS * CALLS);
    ipc_client_free(c);
    pthread_join(p.thread, NULL);
    close(p.sock);
    lowest = dup(0);
    CHECK(lowest < 16);
    close(lowest);
}

static void what_is_said_unasked_arrives_without_a_call(void **state)
{
    (void)state;
    struct peer p;
    atomic_int pushes = 0;
    struct ipc_client *c = start(&p, 1, count, &pushes);
    CLEANUP(js_free) json_t *news = js_new();
    js_set_str(news, "op", "news");
    CHECK(ipc_send(p.sock, 0, news, NULL, 0, NULL) == 0);
    for (int i = 0; i < 1000 && pushes == 0; i++) {
        usleep(1000);
    }
    CHECK(pushes == 1);
    ipc_client_free(c);
    close(p.sock);
}

static void an_error_of_the_peer_is_an_error_of_the_call(void **state)
{
    (void)state;
    struct peer p;
    struct ipc_client *c = start(&p, 1, NULL, NULL);
    CHECK(pthread_create(&p.thread, NULL, serve, &p) == 0);
    struct err fault = {.code = ERR_DENIED, .text = "not you"}, e;
    CLEANUP(js_free) json_t *body = ipc_error(&fault); /* echoed */
    json_t *answer = NULL;
    CHECK(ipc_call(c, body, NULL, &answer, &e) == ERR_DENIED && answer == NULL);
    CHECK_STR(e.text, "not you");
    CHECK(ipc_client_alive(c));
    ipc_client_free(c);
    pthread_join(p.thread, NULL);
    close(p.sock);
}

static void patience_ends_and_a_late_answer_is_dropped(void **state)
{
    (void)state;
    struct peer p;
    struct ipc_client *c = start(&p, 1, NULL, NULL);
    ipc_client_patience(c, 20000);
    CLEANUP(js_free) json_t *body = js_new();
    json_t *answer = NULL;
    struct err e;
    int64_t before = clock_boot();
    CHECK(ipc_call(c, body, NULL, &answer, &e) == ERR_UNAVAIL);
    CHECK(clock_boot() - before >= 20000);
    ipc_client_patience(c, -1);
    CHECK(pthread_create(&p.thread, NULL, serve, &p) == 0); /* answers the first one now */
    js_set_int(body, "n", 2);
    CHECK_OK(ipc_call(c, body, NULL, &answer, &e), e);
    CHECK(js_int_or(answer, "n", 0) == 2);
    js_free(&answer);
    ipc_client_free(c);
    pthread_join(p.thread, NULL);
    close(p.sock);
}

static void *hang_up(void *arg)
{
    struct peer *p = arg;
    struct ipc_msg m = {0};
    CHECK(ipc_recv(p->sock, &m, NULL) == 0);
    ipc_msg_clear(&m);
    close(p->sock);
    return NULL;
}

static void a_lost_peer_fails_all_calls_with_the_reason(void **state)
{
    (void)state;
    struct peer p;
    struct ipc_client *c = start(&p, 1, NULL, NULL);
    CHECK(pthread_create(&p.thread, NULL, hang_up, &p) == 0);
    CLEANUP(js_free) json_t *body = js_new();
    json_t *answer = NULL;
    struct err e;
    for (int i = 0; i < 2; i++) {
        CHECK(ipc_call(c, body, NULL, &answer, &e) == ERR_UNAVAIL);
        CHECK(strstr(e.text, "closed") != NULL);
        CHECK(!ipc_client_alive(c));
    }
    pthread_join(p.thread, NULL);
    ipc_client_free(c);
}

static void a_bad_frame_ends_the_connection(void **state)
{
    (void)state;
    struct peer p;
    struct ipc_client *c = start(&p, 1, NULL, NULL);
    CHECK(write(p.sock, "not a frame at all", 18) == 18);
    CLEANUP(js_free) json_t *body = js_new();
    json_t *answer = NULL;
    CHECK(ipc_call(c, body, NULL, &answer, NULL) == ERR_UNAVAIL);
    CHECK(!ipc_client_alive(c));
    ipc_client_free(c);
    close(p.sock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(eight_threads_get_each_its_own_answer),
        TEST(what_is_said_unasked_arrives_without_a_call),
        TEST(an_error_of_the_peer_is_an_error_of_the_call),
        TEST(patience_ends_and_a_late_answer_is_dropped),
        TEST(a_lost_peer_fails_all_calls_with_the_reason),
        TEST(a_bad_frame_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
