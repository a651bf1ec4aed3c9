/* pool.c - lanes that take batches from one queue. Each lane is a thread for the life of the pool:
 * a child of ours dies with the thread that started it, so no caller's thread starts any. */
#include "scan/lane.h"

#include <assert.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

/* One call of scan_files(). */
struct order {
    size_t left; /* batches */
    int fault;
    struct err why;
    pthread_cond_t done;
};
struct batch {
    const struct scan_job *jobs;
    size_t n;
    struct order *order;
    struct batch *next;
};
struct scan_pool {
    struct scan_config config;
    pthread_mutex_t lock; /* guards all below, and `users` of rule sets */
    pthread_cond_t work;
    struct batch *first, *last;
    struct rule_set *set;
    struct err fault; /* why rule files could not be loaded at all; code 0: they are */
    struct err stale; /* the same of the last reload, with older rules in force */
    bool stop;
    pthread_t *threads;
    size_t n_threads;
};

/* ---- rule sets, under the lock ---- */

static struct rule_set *hold_set(struct scan_pool *p)
{
    p->set->users++;
    return p->set;
}

static void drop_set(struct rule_set *s)
{
    if (s != NULL && --s->users == 0) {
        rule_set_free(s);
    }
}

/* ---- lanes ---- */

/* Gives the lane the rules in force; a spare with older ones is of no use. */
static void renew(struct scan_pool *p, struct lane *l)
{
    if (l->set == p->set) {
        return;
    }
    drop_set(l->set);
    l->set = hold_set(p);
    struct caged old = l->spare;
    l->spare = CAGED_NONE;
    pthread_mutex_unlock(&p->lock);
    caged_stop(&old);
    pthread_mutex_lock(&p->lock);
}

static struct batch *take_batch(struct scan_pool *p)
{
    struct batch *b = p->first;
    if (b != NULL) {
        p->first = b->next;
        p->last = p->first == NULL ? NULL : p->last;
    }
    return b;
}

static void finish(struct batch *b, int r, const struct err *e)
{
    struct order *o = b->order;
    if (r < 0 && o->fault == 0) {
        o->fault = r;
        o->why = *e;
    }
    if (--o->left == 0) {
        pthread_cond_signal(&o->done);
    }
}

/* One turn under the lock: a batch, a spare worker for the next one, or a rest. */
static void turn(struct scan_pool *p, struct lane *l, bool *tired)
{
    struct err e = {0};
    int r = 0;
    renew(p, l);
    struct batch *b = take_batch(p);
    if (b != NULL) {
        bool wanted = b->order->fault == 0;
        pthread_mutex_unlock(&p->lock);
        r = wanted ? lane_run(l, b->jobs, b->n, &e) : 0;
        pthread_mutex_lock(&p->lock);
        finish(b, r, &e);
        *tired = false;
    } else if (l->spare.sock < 0 && !*tired) {
        pthread_mutex_unlock(&p->lock);
        *tired = lane_prepare(l, &e) < 0; /* a batch will meet the same fault, and tell it */
        pthread_mutex_lock(&p->lock);
    } else {
        pthread_cond_wait(&p->work, &p->lock);
    }
}

static void *lane_main(void *arg)
{
    struct scan_pool *p = arg;
    struct lane l = {.config = &p->config, .spare = CAGED_NONE};
    bool tired = false;
    pthread_mutex_lock(&p->lock);
    while (!p->stop || p->first != NULL) {
        turn(p, &l, &tired);
    }
    drop_set(l.set);
    pthread_mutex_unlock(&p->lock);
    caged_stop(&l.spare);
    return NULL;
}

/* ---- the public calls ---- */

static int start_lanes(struct scan_pool *p, struct err *e)
{
    p->threads = mem_array(pthread_t, p->config.workers);
    for (size_t i = 0; i < p->config.workers; i++) {
        int sys = pthread_create(&p->threads[i], NULL, lane_main, p);
        if (sys != 0) {
            errno = sys;
            return err_sys(e, "start scanning lane %zu", i);
        }
        p->n_threads++;
    }
    return 0;
}

/* Only the rules that are part of the program, for what can be told of engines; nothing is scanned
 * with them, because a rule that cannot be read might have found it. */
static int start_without_rules(struct scan_pool *p, struct err *e)
{
    struct scan_config bare = p->config;
    bare.n_rules = 0;
    p->fault = *e;
    log_error("scan.rules", "%s", e->text);
    return rule_set_make(&bare, &p->set, e);
}

int scan_pool_new(const struct scan_config *c, struct scan_pool **out, struct err *e)
{
    CLEANUP(scan_pool_free) struct scan_pool *p = mem_new(struct scan_pool);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    scan_config_copy(&p->config, c);
    struct err why = {0};
    int r = rule_set_make(&p->config, &p->set, &why);
    if (r < 0 && c->late_rules) {
        r = start_without_rules(p, &why);
    }
    if (r < 0) {
        if (e != NULL) {
            *e = why;
        }
        return r;
    }
    p->set->users = 1;
    r = start_lanes(p, e);
    if (r < 0) {
        return r;
    }
    *out = p;
    p = NULL;
    return 0;
}

void scan_pool_free(struct scan_pool **pool)
{
    struct scan_pool *p = *pool;
    if (p == NULL) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->n_threads; i++) {
        pthread_join(p->threads[i], NULL);
    }
    drop_set(p->set);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->work);
    scan_config_clear(&p->config);
    free(p->threads);
    free(p);
    *pool = NULL;
}

static void enqueue(struct scan_pool *p, struct batch *b)
{
    if (p->last == NULL) {
        p->first = b;
    } else {
        p->last->next = b;
    }
    p->last = b;
}

int scan_files(struct scan_pool *p, const struct scan_job *jobs, size_t n, struct err *e)
{
    if (n == 0) {
        return 0;
    }
    size_t most = p->config.batch, n_batches = (n - 1) / most + 1;
    struct order o = {.left = n_batches};
    CLEANUP(mem_free) struct batch *batches = mem_array(struct batch, n_batches);
    pthread_cond_init(&o.done, NULL);
    pthread_mutex_lock(&p->lock);
    assert(!p->stop);
    if (p->fault.code != 0) {
        int r = err_set(e, p->fault.code, "rules could not be loaded: %s", p->fault.text);
        pthread_mutex_unlock(&p->lock);
        pthread_cond_destroy(&o.done);
        return r;
    }
    for (size_t i = 0; i < n_batches; i++) {
        size_t at = i * most;
        batches[i] =
            (struct batch){.jobs = jobs + at, .n = n - at < most ? n - at : most, .order = &o};
        enqueue(p, &batches[i]);
    }
    pthread_cond_broadcast(&p->work);
    while (o.left > 0) {
        pthread_cond_wait(&o.done, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    pthread_cond_destroy(&o.done);
    if (o.fault < 0) {
        for (size_t i = 0; i < n; i++) {
            scan_result_clear(jobs[i].result); /* never a part that could be taken for the whole */
        }
        if (e != NULL) {
            *e = o.why;
        }
        return err_wrap(e, o.fault, "scan");
    }
    return 0;
}

int scan_pool_reload(struct scan_pool *p, struct err *e)
{
    struct rule_set *fresh = NULL;
    struct err why = {0};
    int r = rule_set_make(&p->config, &fresh, &why);
    if (r < 0) {
        pthread_mutex_lock(&p->lock);
        p->stale = why;
        bool none = p->fault.code != 0;
        p->fault = none ? why : p->fault;
        pthread_mutex_unlock(&p->lock);
        return err_set(e, r, "%s: %s", none ? "nothing is admitted" : "the old rules stay in force",
                       why.text);
    }
    fresh->users = 1;
    pthread_mutex_lock(&p->lock);
    drop_set(p->set);
    p->set = fresh;
    p->fault = p->stale = (struct err){0};
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    return 0;
}

int scan_pool_loaded(struct scan_pool *p, struct err *e)
{
    pthread_mutex_lock(&p->lock);
    const struct err why = p->fault.code != 0 ? p->fault : p->stale;
    pthread_mutex_unlock(&p->lock);
    if (why.code != 0 && e != NULL) {
        *e = why;
    }
    return why.code;
}

struct digest scan_pool_rules(struct scan_pool *p)
{
    pthread_mutex_lock(&p->lock);
    /* no verdict was ever given under none */
    struct digest d = p->fault.code != 0 ? (struct digest){{0}} : p->set->digest;
    pthread_mutex_unlock(&p->lock);
    return d;
}

/* ---- what there is ---- */

static void add_missing(json_t *missing, const char *engine, const char *reason)
{
    json_t *o = js_new();
    js_set_str(o, "engine", engine);
    js_set_str(o, "reason", reason);
    js_add(missing, o);
}

static void about_clamd(const struct scan_config *c, json_t *engines, json_t *missing)
{
    struct outside_answer a = {.updated = -1};
    struct err e = {0};
    if (c->clamd_socket[0] == '\0') {
        return;
    }
    if (clamd_version(c->clamd_socket, c->clamd_time, &a, &e) < 0) {
        add_missing(missing, "clamd", e.text);
        return;
    }
    json_t *o = js_new();
    js_set_str(o, "name", "clamd");
    js_set_str(o, "version", a.version);
    if (a.updated >= 0) {
        js_set_time(o, "updated", a.updated);
    }
    js_add(engines, o);
    if (c->clamd_max_age >= 0 && (a.updated < 0 || clock_now() - a.updated > c->clamd_max_age)) {
        add_missing(missing, "clamd",
                    "its database is older than clamd.max_age allows, or its age is not known; "
                    "update it, for example with freshclam");
    }
}

static bool has_engine(const json_t *engines, const char *name)
{
    size_t i;
    json_t *o;
    json_array_foreach(engines, i, o)
    {
        if (strcmp(js_str_or(o, "name", ""), name) == 0) {
            return true;
        }
    }
    return false;
}

json_t *scan_pool_about(struct scan_pool *p)
{
    const struct scan_config *c = &p->config;
    json_t *about = js_new(), *missing = js_list();
    pthread_mutex_lock(&p->lock);
    json_t *engines = json_deep_copy(p->set->engines), *files = json_deep_copy(p->set->files);
    js_set_sha256(about, "rules", &p->set->digest);
    const struct err *fault = p->fault.code != 0 ? &p->fault : &p->stale;
    js_set_str(about, "fault", fault->code != 0 ? fault->text : NULL);
    js_set_int(about, "landlock", p->set->landlock);
    js_set(about, "denied", json_deep_copy(p->set->denied));
    pthread_mutex_unlock(&p->lock);
    assert(engines != NULL && files != NULL);
    about_clamd(c, engines, missing);
    size_t i;
    json_t *o;
    json_array_foreach(engines, i, o)
    {
        js_set_bool(o, "required",
                    scan_listed(c->required, c->n_required, js_str_or(o, "name", "")));
    }
    for (i = 0; i < c->n_required; i++) {
        bool clamd = strcmp(c->required[i], "clamd") == 0 && c->clamd_socket[0] != '\0';
        if (!clamd && !has_engine(engines, c->required[i])) {
            add_missing(missing, c->required[i], "required in scan.engines, and not there");
        }
    }
    js_set(about, "engines", engines);
    js_set(about, "files", files);
    js_set(about, "missing", missing);
    return about;
}
