/* web_ack.c - what the peers' kernels acknowledged, told to the recorder. */
#include "serve/web.h"

#include "base/log.h"
#include "base/mem.h"

#define WATCH (60 * CLOCK_SECOND)
#define SLOWEST (CLOCK_SECOND / 4)

struct watch {
    struct watch *next;
    struct conn *conn;
    struct ack_mark mark;
    uint64_t grant, first, best;
    int64_t began, look_at;
};

struct acks {
    struct ask *recorder;
    uint64_t *total;
    size_t most;
    pthread_mutex_t lock; /* of all below */
    struct watch *first;
    size_t n;
    unsigned telling; /* ends that the recorder has not answered yet */
};

struct acks *acks_new(struct ask *recorder, size_t most, uint64_t *acked_total)
{
    struct acks *a = mem_new(struct acks);
    a->recorder = recorder;
    a->total = acked_total;
    a->most = most;
    pthread_mutex_init(&a->lock, NULL);
    return a;
}

static void told(void *ctx, const json_t *body, const struct err *fault, int fd)
{
    struct acks *a = ctx;
    (void)body;
    (void)fd;
    if (fault != NULL) {
        log_warn("ack", "an end was not recorded: %s", fault->text);
    }
    pthread_mutex_lock(&a->lock);
    a->telling--;
    pthread_mutex_unlock(&a->lock);
}

static void tell(struct acks *a, struct watch *w)
{
    struct err e;
    if (w->best > 0) {
        CLEANUP(js_free) json_t *q = js_new();
        js_set_str(q, "op", "end");
        js_set_int(q, "grant", (int64_t)w->grant);
        js_set_int(q, "first", (int64_t)w->first);
        js_set_int(q, "acked", (int64_t)w->best);
        __atomic_add_fetch(a->total, w->best, __ATOMIC_RELAXED);
        pthread_mutex_lock(&a->lock);
        a->telling++;
        pthread_mutex_unlock(&a->lock);
        if (ask_send(a->recorder, q, WEB_PATIENCE, told, a, &e) < 0) {
            told(a, NULL, &e, -1);
        }
    }
    conn_unref(&w->conn);
    free(w);
}

/* True when there is nothing more to wait for. */
static bool look(struct watch *w, int64_t now)
{
    struct conn_count n = conn_count(w->conn);
    uint64_t got = ack_bytes(&w->mark, n.acked);
    w->best = got > w->best ? got : w->best;
    int64_t age = now - w->began;
    w->look_at = now + (age / 4 > SLOWEST ? SLOWEST : age / 4);
    return n.dead || n.acked >= w->mark.end || age > WATCH;
}

void acks_watch(struct acks *a, struct conn *c, const struct ack_mark *m, uint64_t grant,
                uint64_t first)
{
    struct watch *w = mem_new(struct watch);
    *w = (struct watch){
        .conn = conn_ref(c), .mark = *m, .grant = grant, .first = first, .began = clock_boot()};
    pthread_mutex_lock(&a->lock);
    bool full = a->n >= a->most; /* descriptors are short: what is known now must do */
    pthread_mutex_unlock(&a->lock);
    if (look(w, w->began) || full) {
        tell(a, w);
        return;
    }
    pthread_mutex_lock(&a->lock);
    w->next = a->first;
    a->first = w;
    a->n++;
    pthread_mutex_unlock(&a->lock);
}

size_t acks_tick(struct acks *a)
{
    int64_t now = clock_boot();
    struct watch *done = NULL;
    pthread_mutex_lock(&a->lock);
    for (struct watch **at = &a->first; *at != NULL;) {
        struct watch *w = *at;
        if (now >= w->look_at && look(w, now)) {
            *at = w->next;
            a->n--;
            w->next = done;
            done = w;
        } else {
            at = &w->next;
        }
    }
    size_t left = a->n + a->telling;
    pthread_mutex_unlock(&a->lock);
    while (done != NULL) {
        struct watch *w = done;
        done = w->next;
        tell(a, w);
    }
    return left;
}

void acks_flush(struct acks *a)
{
    struct watch *w;
    do {
        pthread_mutex_lock(&a->lock);
        w = a->first;
        a->first = w != NULL ? w->next : NULL;
        a->n -= w != NULL;
        pthread_mutex_unlock(&a->lock);
        if (w != NULL) {
            (void)look(w, clock_boot());
            tell(a, w);
        }
    } while (w != NULL);
    for (int i = 0; i < 100 && acks_tick(a) > 0; i++) { /* the last answers, at most a second */
        const struct timespec t = {.tv_nsec = 10000000};
        nanosleep(&t, NULL);
    }
}

void acks_free(struct acks **at)
{
    if (*at != NULL) {
        pthread_mutex_destroy(&(*at)->lock);
        free(*at);
        *at = NULL;
    }
}
