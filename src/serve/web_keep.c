/* web_keep.c - what is done beside the requests: stops and alarms, deadlines, acknowledgements. */
#include "serve/web.h"

#include "base/log.h"
#include "base/mem.h"

#define TICK_BUSY 5000000   /* nanoseconds */
#define TICK_IDLE 100000000 /* deadlines are no finer than this */

enum chore_kind { CHORE_STOP, CHORE_ALARM };

struct chore {
    struct chore *next;
    enum chore_kind kind;
    struct digest blob;
    json_t *alarm;
};

static void add_chore(struct web *w, struct chore *take)
{
    pthread_mutex_lock(&w->lock);
    *w->chores_end = take;
    w->chores_end = &take->next;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void web_wake(struct web *w)
{
    pthread_mutex_lock(&w->lock);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void web_stop_blob(struct web *w, const struct digest *d)
{
    struct chore *c = mem_new(struct chore);
    *c = (struct chore){.kind = CHORE_STOP, .blob = *d};
    add_chore(w, c);
}

void web_alarm(struct web *w, const struct blob_bad *bad)
{
    char hex[DIGEST_TEXT + 1];
    web_count(w, METRIC_FAULTS, 1);
    pthread_mutex_lock(&w->lock);
    w->refused_at = clock_now();
    pthread_mutex_unlock(&w->lock);
    if (bad->repeat) {
        return; /* told when it was first seen */
    }
    log_error("blob.fault", "blob=%s fault=%s first=%llu last=%llu %s",
              digest_text(&bad->blob, hex), blob_fault_name(bad->fault),
              (unsigned long long)bad->first, (unsigned long long)bad->last, bad->text);
    struct chore *c = mem_new(struct chore);
    c->kind = CHORE_ALARM;
    c->alarm = js_new();
    js_set_str(c->alarm, "op", "alarm");
    js_set_sha256(c->alarm, "blob", &bad->blob);
    js_set_str(c->alarm, "fault", blob_fault_name(bad->fault));
    js_set_int(c->alarm, "first", (int64_t)bad->first);
    js_set_int(c->alarm, "last", (int64_t)bad->last);
    js_set_int(c->alarm, "last_good", bad->last_good);
    js_set_int(c->alarm, "seen", bad->seen);
    js_set_int(c->alarm, "changed", bad->changed);
    js_set_str(c->alarm, "text", bad->text);
    add_chore(w, c);
}

static void answered(void *ctx, const json_t *body, const struct err *fault, int fd)
{
    (void)body;
    (void)fd;
    if (fault != NULL) {
        log_error("web.tell", "%s was not taken: %s", (const char *)ctx, fault->text);
    }
}

static char an_alarm[] = "an alarm", a_stop[] = "a stop";

static void tell(struct web *w, const json_t *q, char *what)
{
    struct err e;
    if (ask_send(w->recorder, q, WEB_PATIENCE, answered, what, &e) < 0) {
        answered(what, NULL, &e, -1);
    }
}

static void do_chore(struct web *w, struct chore *c)
{
    if (c->kind == CHORE_ALARM) {
        tell(w, c->alarm, an_alarm);
    } else {
        CLEANUP(js_free) json_t *q = js_new();
        download_stop_all(w, &c->blob);
        blob_cache_drop(w->cache, &c->blob);
        js_set_str(q, "op", "stopped");
        js_set_sha256(q, "sha256", &c->blob);
        tell(w, q, a_stop);
    }
    js_free(&c->alarm);
    free(c);
}

/* The next chore; NULL after a tick's time without one. */
static struct chore *next_chore(struct web *w, bool busy)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until); /* a step of the wall clock must not stretch it */
    until.tv_nsec += busy ? TICK_BUSY : TICK_IDLE;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&w->lock);
    if (w->chores == NULL && !w->ending) {
        (void)pthread_cond_clockwait(&w->wake, &w->lock, CLOCK_MONOTONIC, &until);
    }
    struct chore *c = w->chores;
    if (c != NULL) {
        w->chores = c->next;
        w->chores_end = w->chores != NULL ? w->chores_end : &w->chores;
    }
    pthread_mutex_unlock(&w->lock);
    return c;
}

static bool ending(struct web *w)
{
    pthread_mutex_lock(&w->lock);
    bool yes = w->ending && w->chores == NULL;
    pthread_mutex_unlock(&w->lock);
    return yes;
}

void *web_keeper(void *web)
{
    struct web *w = web;
    int64_t swept = clock_boot();
    bool busy = false;
    while (!ending(w)) {
        struct chore *c = next_chore(w, busy);
        if (c != NULL) {
            do_chore(w, c);
        }
        busy = acks_tick(w->acks) > 0;
        busy = upload_tick(w) || busy;
        ask_tick(w->recorder);
        ask_tick(w->gate);
        if (clock_boot() - swept > CLOCK_SECOND) {
            swept = clock_boot();
            http_sweep(w->http);
        }
    }
    return NULL;
}
