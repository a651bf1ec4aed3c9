/* ipc_client.c - many threads, one socket: numbered requests and one thread that reads. */
#include "base/ipc.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

/* One caller, on its own stack while it waits. */
struct waiter {
    struct waiter *next;
    uint32_t seq;
    bool done;
    struct ipc_msg answer;
    pthread_cond_t woken;
};

struct ipc_client {
    int sock;
    void (*push)(void *ctx, const json_t *body);
    void *ctx;
    pthread_t reader;
    pthread_mutex_t lock;    /* all below */
    pthread_mutex_t writing; /* one frame at a time; never taken inside `lock` */
    struct waiter *waiting;
    uint32_t last;
    int64_t patience;
    bool dead;
    struct err why;
};

static void unlink_waiter(struct ipc_client *c, const struct waiter *w)
{
    for (struct waiter **at = &c->waiting; *at != NULL; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            return;
        }
    }
}

/* Hands the message to who waits for it. An answer that nobody waits for any more is dropped. */
static void deliver(struct ipc_client *c, struct ipc_msg *m)
{
    if (m->seq == 0) {
        if (c->push != NULL) {
            c->push(c->ctx, m->body);
        }
        return;
    }
    pthread_mutex_lock(&c->lock);
    for (struct waiter *w = c->waiting; w != NULL; w = w->next) {
        if (w->seq == m->seq && !w->done) {
            w->answer = *m;
            *m = (struct ipc_msg){0};
            w->done = true;
            pthread_cond_signal(&w->woken);
            break;
        }
    }
    pthread_mutex_unlock(&c->lock);
}

static void bury(struct ipc_client *c, const struct err *why)
{
    pthread_mutex_lock(&c->lock);
    if (!c->dead) {
        c->dead = true;
        c->why = *why;
        shutdown(c->sock, SHUT_RDWR);
    }
    for (struct waiter *w = c->waiting; w != NULL; w = w->next) {
        pthread_cond_signal(&w->woken);
    }
    pthread_mutex_unlock(&c->lock);
}

static void *read_for_all(void *arg)
{
    struct ipc_client *c = arg;
    for (;;) {
        CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
        struct err e = {.text = ""};
        if (ipc_recv(c->sock, &m, &e) < 0) {
            bury(c, &e);
            return NULL;
        }
        deliver(c, &m);
    }
}

struct ipc_client *ipc_client_new(int take_sock, void (*push)(void *ctx, const json_t *body),
                                  void *ctx)
{
    struct ipc_client *c = mem_new(struct ipc_client);
    c->sock = take_sock;
    c->push = push;
    c->ctx = ctx;
    c->patience = -1;
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->writing, NULL);
    /* Signals are for the threads of the program. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&c->reader, NULL, read_for_all, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert(r == 0); /* without it the process cannot do its work: a supervised restart */
    return c;
}

void ipc_client_patience(struct ipc_client *c, int64_t within)
{
    pthread_mutex_lock(&c->lock);
    c->patience = within;
    pthread_mutex_unlock(&c->lock);
}

bool ipc_client_alive(struct ipc_client *c)
{
    pthread_mutex_lock(&c->lock);
    bool alive = !c->dead;
    pthread_mutex_unlock(&c->lock);
    return alive;
}

void ipc_client_free(struct ipc_client *c)
{
    if (c == NULL) {
        return;
    }
    shutdown(c->sock, SHUT_RDWR);
    pthread_join(c->reader, NULL);
    assert(c->waiting == NULL);
    fd_close(&c->sock);
    pthread_mutex_destroy(&c->lock);
    pthread_mutex_destroy(&c->writing);
    free(c);
}

static int is_dead(const struct ipc_client *c, struct err *e)
{
    return err_set(e, ERR_UNAVAIL, "connection to another process: %s", c->why.text);
}

static int join_queue(struct ipc_client *c, struct waiter *w, struct err *e)
{
    int r = 0;
    pthread_mutex_lock(&c->lock);
    if (c->dead) {
        r = is_dead(c, e);
    } else {
        c->last = c->last == UINT32_MAX ? 1 : c->last + 1; /* 0 is for pushes */
        w->seq = c->last;
        w->next = c->waiting;
        c->waiting = w;
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}

static int await_answer(struct ipc_client *c, struct waiter *w, struct err *e)
{
    int r = 0;
    pthread_mutex_lock(&c->lock);
    struct timespec until = {0};
    if (c->patience >= 0) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        int64_t ns = until.tv_nsec + c->patience % CLOCK_SECOND * 1000;
        until.tv_sec += (time_t)(c->patience / CLOCK_SECOND + ns / 1000000000);
        until.tv_nsec = (long)(ns % 1000000000);
    }
    bool forever = c->patience < 0;
    while (!w->done && !c->dead && r == 0) {
        r = forever ? pthread_cond_wait(&w->woken, &c->lock)
                    : pthread_cond_timedwait(&w->woken, &c->lock, &until);
    }
    unlink_waiter(c, w);
    if (w->done) {
        r = 0; /* an answer beats both a late clock and a lost connection */
    } else if (c->dead) {
        r = is_dead(c, e);
    } else {
        r = err_set(e, ERR_UNAVAIL, "another process did not answer within its time");
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}

static void hand_over(struct ipc_msg *m, struct ipc_fds *fds)
{
    for (size_t i = 0; i < m->n_fds && fds->n_in < fds->room; i++) {
        fds->in[fds->n_in++] = m->fds[i];
        m->fds[i] = -1;
    }
}

static int exchange(struct ipc_client *c, struct waiter *w, const json_t *body,
                    const struct ipc_fds *fds, struct err *e)
{
    int r = join_queue(c, w, e);
    if (r < 0) {
        return r;
    }
    struct err fault = {.text = ""};
    pthread_mutex_lock(&c->writing);
    r = ipc_send(c->sock, w->seq, body, fds != NULL ? fds->out : NULL, fds != NULL ? fds->n_out : 0,
                 &fault);
    pthread_mutex_unlock(&c->writing);
    if (r == 0) {
        return await_answer(c, w, e);
    }
    if (r != ERR_LIMIT && r != ERR_FORMAT) {
        bury(c, &fault); /* half a frame may be out */
    }
    pthread_mutex_lock(&c->lock);
    unlink_waiter(c, w);
    pthread_mutex_unlock(&c->lock);
    return err_set(e, r == ERR_SYS ? ERR_UNAVAIL : r, "%s", fault.text);
}

int ipc_call(struct ipc_client *c, const json_t *body, struct ipc_fds *fds, json_t **answer,
             struct err *e)
{
    struct waiter w = {.seq = 0};
    pthread_condattr_t steady; /* a step of the wall clock must not end or stretch a wait */
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&w.woken, &steady);
    pthread_condattr_destroy(&steady);
    if (fds != NULL) {
        fds->n_in = 0;
    }
    int r = exchange(c, &w, body, fds, e);
    if (r == 0) {
        r = ipc_result(w.answer.body, e);
    }
    if (r == 0) {
        if (fds != NULL) {
            hand_over(&w.answer, fds);
        }
        *answer = w.answer.body;
        w.answer.body = NULL;
    }
    ipc_msg_clear(&w.answer);
    pthread_cond_destroy(&w.woken);
    return r;
}
