#include "serve/ask.h"

#include <assert.h>
#include <pthread.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

#define BUCKETS 1024u
#define MOST 8192u /* questions at once */

struct question {
    struct question *next;
    uint32_t seq;
    int64_t until;
    ask_fn fn;
    void *ctx;
};

struct ask {
    int sock;
    void (*push)(void *ctx, const json_t *body);
    void *ctx;
    pthread_t reader;
    pthread_mutex_t writing; /* one frame at a time; never taken inside `lock` */
    pthread_mutex_t lock;    /* of all below */
    struct question *open[BUCKETS];
    size_t n;
    uint32_t last;
    bool dead;
    struct err why;
};

/* Takes the question out of the table, or NULL. */
static struct question *take(struct ask *a, uint32_t seq)
{
    pthread_mutex_lock(&a->lock);
    struct question **at = &a->open[seq % BUCKETS], *q = NULL;
    while (*at != NULL && (*at)->seq != seq) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        q = *at;
        *at = q->next;
        a->n--;
    }
    pthread_mutex_unlock(&a->lock);
    return q;
}

/* Takes the first that is due before `now`, or any with now = INT64_MAX. */
static struct question *take_due(struct ask *a, int64_t now)
{
    struct question *q = NULL;
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < BUCKETS && q == NULL && a->n > 0; i++) {
        for (struct question **at = &a->open[i]; *at != NULL; at = &(*at)->next) {
            if ((*at)->until <= now) {
                q = *at;
                *at = q->next;
                a->n--;
                break;
            }
        }
    }
    pthread_mutex_unlock(&a->lock);
    return q;
}

static void fail_all(struct ask *a, int64_t now, const struct err *why)
{
    for (struct question *q = take_due(a, now); q != NULL; q = take_due(a, now)) {
        q->fn(q->ctx, NULL, why, -1);
        free(q);
    }
}

static void deliver(struct ask *a, struct ipc_msg *m)
{
    struct err e;
    if (m->seq == 0) {
        if (a->push != NULL) {
            a->push(a->ctx, m->body);
        }
        return;
    }
    if (json_object_get(m->body, "progress") != NULL) {
        return; /* the answer follows */
    }
    struct question *q = take(a, m->seq);
    if (q != NULL) {
        int bad = ipc_result(m->body, &e), fd = m->n_fds > 0 ? m->fds[0] : -1;
        if (fd >= 0) {
            m->fds[0] = -1;
        }
        q->fn(q->ctx, m->body, bad < 0 ? &e : NULL, fd);
        free(q);
    }
}

static void *read_all(void *ctx)
{
    struct ask *a = ctx;
    struct err e;
    for (;;) {
        CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
        if (ipc_recv(a->sock, &m, &e) < 0) {
            break;
        }
        deliver(a, &m);
    }
    struct err why;
    err_set(&why, ERR_UNAVAIL, "another process of the server is gone: %s", e.text);
    pthread_mutex_lock(&a->lock);
    a->dead = true;
    a->why = why;
    pthread_mutex_unlock(&a->lock);
    fail_all(a, INT64_MAX, &why);
    return NULL;
}

struct ask *ask_new(int take_sock, void (*push)(void *ctx, const json_t *body), void *ctx)
{
    struct ask *a = mem_new(struct ask);
    a->sock = take_sock;
    a->push = push;
    a->ctx = ctx;
    pthread_mutex_init(&a->lock, NULL);
    pthread_mutex_init(&a->writing, NULL);
    int r = pthread_create(&a->reader, NULL, read_all, a);
    assert(r == 0); /* without it the process cannot do its work: a supervised restart */
    return a;
}

void ask_free(struct ask **at)
{
    struct ask *a = *at;
    if (a != NULL) {
        shutdown(a->sock, SHUT_RDWR);
        pthread_join(a->reader, NULL);
        fd_close(&a->sock);
        pthread_mutex_destroy(&a->lock);
        pthread_mutex_destroy(&a->writing);
        free(a);
        *at = NULL;
    }
}

bool ask_alive(struct ask *a)
{
    pthread_mutex_lock(&a->lock);
    bool alive = !a->dead;
    pthread_mutex_unlock(&a->lock);
    return alive;
}

static int enter(struct ask *a, struct question *q, struct err *e)
{
    int r = 0;
    pthread_mutex_lock(&a->lock);
    if (a->dead) {
        *e = a->why;
        r = ERR_UNAVAIL;
    } else if (a->n >= MOST) {
        r = err_set(e, ERR_UNAVAIL, "too many requests wait already");
    } else {
        a->last = a->last == UINT32_MAX ? 1 : a->last + 1; /* 0 is for what nobody asked */
        q->seq = a->last;
        q->next = a->open[q->seq % BUCKETS];
        a->open[q->seq % BUCKETS] = q;
        a->n++;
    }
    pthread_mutex_unlock(&a->lock);
    return r;
}

int ask_send(struct ask *a, const json_t *body, int64_t within, ask_fn fn, void *ctx, struct err *e)
{
    struct question *q = mem_new(struct question);
    *q = (struct question){.until = clock_boot() + within, .fn = fn, .ctx = ctx};
    int r = enter(a, q, e);
    if (r < 0) {
        free(q);
        return r;
    }
    uint32_t seq = q->seq; /* from the moment that it is sent, q belongs to the reader */
    pthread_mutex_lock(&a->writing);
    r = ipc_send(a->sock, seq, body, NULL, 0, e);
    pthread_mutex_unlock(&a->writing);
    if (r < 0) {
        q = take(a, seq);
        if (q == NULL) {
            return 0; /* the reader saw the end first and has told */
        }
        free(q);
    }
    return r;
}

void ask_tick(struct ask *a)
{
    struct err e;
    err_set(&e, ERR_UNAVAIL, "another process of the server did not answer in time");
    fail_all(a, clock_boot(), &e);
}
