/* gate.c - admits, publishes, recalls; answers commands and operators. */
#include "serve/gate.h"

#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "serve/events.h"
#include "signer/signer.h"

#define RULES_AGAIN (2 * CLOCK_SECOND)
#define ALARM_AGAIN (10 * CLOCK_SECOND)
#define SCRUB_STEP ((uint64_t)8 << 20)

/* ---- ports ---- */

static void close_thread_db(void *db)
{
    struct db *d = db;
    db_close(&d);
}

struct db *gate_db(struct gate *g, struct err *e)
{
    struct db *db = pthread_getspecific(g->db_key);
    if (db == NULL && role_db(&g->boot, DB_READ, &db, e) == 0) {
        pthread_setspecific(g->db_key, db);
    }
    return db;
}

int gate_append(struct gate *g, struct event *ev, size_t n, struct err *e)
{
    CLEANUP(js_free) json_t *q = js_new();
    CLEANUP(js_free) json_t *a = NULL;
    uint64_t index = 0;
    int64_t time = 0;
    if (n == 0) {
        return 0;
    }
    js_set_str(q, "op", "append");
    js_set(q, "events", events_to_json(ev, n));
    int r = ipc_call(g->recorder, q, NULL, &a, e);
    r = r < 0 ? r : js_u64(a, "index", &index, e);
    r = r < 0 ? r : js_int(a, "time", &time, e);
    for (size_t i = 0; i < n && r == 0; i++) {
        ev[i].index = index + i;
        ev[i].time = time;
    }
    return r;
}

int gate_head(struct gate *g, json_t **out, struct err *e)
{
    CLEANUP(js_free) json_t *q = js_new();
    js_set_str(q, "op", "head");
    return ipc_call(g->recorder, q, NULL, out, e);
}

static int port_append(void *ctx, struct event *ev, size_t n, struct err *e)
{
    return gate_append(ctx, ev, n, e);
}

static int port_docs(void *ctx, const json_t *request, struct tuf_docs *out, struct err *e)
{
    return signer_docs(((struct gate *)ctx)->repository, request, out, e);
}

static int port_ask(void *ctx, const json_t *request, json_t **answer, struct err *e)
{
    return ipc_call(((struct gate *)ctx)->repository, request, NULL, answer, e);
}

static int port_verdict(void *ctx, const json_t *request, struct buf *envelope,
                        struct digest *sha256, struct err *e)
{
    return signer_verdict(((struct gate *)ctx)->log, request, envelope, sha256, e);
}

static struct db *port_db(void *ctx, struct err *e)
{
    return gate_db(ctx, e);
}

static int port_show(void *ctx, const char *const *paths, size_t n, struct err *e)
{
    return show_update(ctx, paths, n, e);
}

void gate_progress(const struct gate_call *c, const char *what, uint64_t done, uint64_t all,
                   const char *detail)
{
    if (c->sock >= 0) {
        CLEANUP(js_free) json_t *j = js_new();
        json_t *p = js_new();
        js_set_str(p, "what", what);
        js_set_int(p, "done", (int64_t)done);
        js_set_int(p, "all", (int64_t)all);
        js_set_str(p, "detail", detail);
        js_set(j, "progress", p);
        if (ipc_send(c->sock, c->m->seq, j, NULL, 0, NULL) < 0) {
            return; /* it does not listen any more; the work goes on */
        }
    }
}

/* ---- alarms from the recorder ---- */

static void on_push(void *ctx, const json_t *body)
{
    struct gate *g = ctx;
    if (strcmp(js_str_or(body, "op", ""), "alarm") == 0) {
        pthread_mutex_lock(&g->lock);
        js_add(g->alarms, json_deep_copy(body));
        pthread_cond_signal(&g->wake);
        pthread_mutex_unlock(&g->lock);
    }
}

/* What could not be withheld is tried again. */
static void put_back(struct gate *g, json_t *alarm)
{
    pthread_mutex_lock(&g->lock);
    js_add(g->late_alarms, json_incref(alarm));
    g->late_at = clock_boot() + ALARM_AGAIN;
    pthread_mutex_unlock(&g->lock);
}

static void handle_alarms(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    json_t *list = g->alarms;
    g->alarms = js_list();
    if (json_array_size(g->late_alarms) > 0 && clock_boot() >= g->late_at) {
        json_array_extend(list, g->late_alarms);
        json_array_clear(g->late_alarms);
    }
    pthread_mutex_unlock(&g->lock);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct err e;
        json_t *alarm = json_array_get(list, i);
        log_error("alarm", "blob=%s fault=%s %s", js_str_or(alarm, "blob", "?"),
                  js_str_or(alarm, "fault", "?"), js_str_or(alarm, "text", ""));
        if (release_alarm(g->release, alarm, &e) < 0) {
            log_error("alarm", "could not withhold: %s", e.text);
            put_back(g, alarm);
        }
    }
    js_free(&list);
}

/* ---- what happens by itself ---- */

struct ticking {
    struct gate *g;
    struct scrub *scrub;
    uint64_t total; /* bytes of the last whole pass */
    int64_t began, next_release, next_scrub;
};

static void on_scrub(void *ctx, const struct scrub_report *s)
{
    struct gate *g = ctx;
    if (s->result == SCRUB_GOOD) {
        return;
    }
    if (s->result == SCRUB_CHUNKS) {
        struct err e;
        log_warn("scrub", "%s; written again", s->text);
        if (blob_rechunk(g->blobs, &s->blob, &e) < 0 || blobstore_sync(g->blobs, &e) < 0) {
            log_error("scrub", "%s", e.text);
        }
        return;
    }
    CLEANUP(js_free) json_t *alarm = js_new();
    js_set_sha256(alarm, "blob", &s->blob);
    js_set_str(alarm, "fault", s->result == SCRUB_BAD ? "changed" : "unreadable");
    js_set_int(alarm, "first", (int64_t)s->first);
    js_set_int(alarm, "last", (int64_t)s->last);
    js_set_int(alarm, "seen", s->at);
    js_set_str(alarm, "text", s->text);
    js_set_str(alarm, "by", "scrub");
    pthread_mutex_lock(&g->lock);
    js_add(g->alarms, json_incref(alarm));
    pthread_mutex_unlock(&g->lock);
}

static void scrub_some(struct ticking *t)
{
    struct err e;
    int64_t interval = settings_number(t->g->settings, SETTING_SCRUB_INTERVAL);
    int r = blob_scrub_step(t->scrub, SCRUB_STEP, &e);
    uint64_t done = blob_scrub_bytes(t->scrub);
    if (r < 0) {
        log_error("scrub", "%s", e.text);
        t->next_scrub = clock_boot() + 60 * CLOCK_SECOND;
        return;
    }
    if (r == 0) {
        t->total = done;
        t->began = clock_boot();
    }
    uint64_t all = t->total > done ? t->total : done + SCRUB_STEP;
    t->next_scrub = clock_boot() + blob_scrub_pause(done, all, clock_boot() - t->began, interval);
}

static void tick(struct ticking *t)
{
    struct err e;
    int64_t now = clock_boot(), next = 0;
    handle_alarms(t->g);
    gate_uploads_sweep(t->g);
    gate_rules_fresh(t->g);
    if (now >= t->next_release) {
        int r = release_tick(t->g->release, &next, &e);
        int64_t wait = next - clock_now();
        if (r < 0) {
            log_error("tick", "%s", e.text);
            wait = 10 * CLOCK_SECOND;
        }
        wait = wait < CLOCK_SECOND        ? CLOCK_SECOND
               : wait > 60 * CLOCK_SECOND ? 60 * CLOCK_SECOND
                                          : wait;
        t->next_release = clock_boot() + wait;
    }
    if (now >= t->next_scrub) {
        scrub_some(t);
    }
}

/* Sleeps until an alarm comes, something is due, or a second has passed. */
static void rest(struct gate *g)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until); /* a step of the wall clock must not stretch it */
    until.tv_sec += 1;
    pthread_mutex_lock(&g->lock);
    if (!g->stopping && json_array_size(g->alarms) == 0) {
        pthread_cond_clockwait(&g->wake, &g->lock, CLOCK_MONOTONIC, &until);
    }
    pthread_mutex_unlock(&g->lock);
}

static void *tick_thread(void *ctx)
{
    struct gate *g = ctx;
    struct scrub_opts o = {.report = on_scrub, .ctx = g};
    struct ticking t = {.g = g, .scrub = blob_scrub_new(g->blobs, &o, NULL), .began = clock_boot()};
    while (!__atomic_load_n(&g->stopping, __ATOMIC_ACQUIRE)) {
        tick(&t);
        rest(g);
    }
    blob_scrub_free(&t.scrub);
    return NULL;
}

/* ---- start and stop ---- */

struct rules_walk {
    int site;
    const char *folder;
    unsigned depth;
    struct buf *text;
};

static int stamp_rules(void *ctx, const char *name)
{
    const struct rules_walk *w = ctx;
    struct stat st;
    CLEANUP(mem_free) char *path = mem_printf("%s/%s", w->folder, name);
    if (fstatat(w->site, path, &st, 0) < 0) {
        return 0;
    }
    buf_fmt(w->text, "%s %llu %lld %lld.%09ld %lld.%09ld\n", path, (unsigned long long)st.st_ino,
            (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
            (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
    struct rules_walk below = {w->site, path, w->depth + 1, w->text};
    return S_ISDIR(st.st_mode) && w->depth < 8 ? file_each(w->site, path, stamp_rules, &below, NULL)
                                               : 0;
}

static struct digest rules_stamp(const struct gate *g)
{
    CLEANUP(buf_clear) struct buf text = BUF((size_t)16 << 20);
    struct rules_walk w = {g->boot.site, "rules", 0, &text};
    if (file_each(g->boot.site, "rules", stamp_rules, &w, NULL) < 0) {
        buf_str(&text, "unreadable");
    }
    return digest_of(buf_view(&text));
}

void gate_rules_fresh(struct gate *g)
{
    struct err e;
    pthread_mutex_lock(&g->rules_lock);
    struct digest now = rules_stamp(g);
    int fault = scan_pool_loaded(g->scan, &e);
    /* what is no file's fault, a worker that died for instance, may pass */
    bool again =
        fault < 0 && fault != ERR_FORMAT && fault != ERR_LIMIT && clock_boot() >= g->rules_again;
    if (again || !digest_eq(&now, &g->rules_seen)) {
        g->rules_seen = now;
        g->rules_again = clock_boot() + RULES_AGAIN;
        if (scan_pool_reload(g->scan, &e) < 0) {
            log_error("rules", "%s", e.text);
        } else {
            log_info("rules", "loaded anew");
        }
    }
    pthread_mutex_unlock(&g->rules_lock);
}

/* The required engines are those of cordon.yaml; without a cage the gate stops, since nothing could
 * be admitted and nobody would know why. Rules that do not load only stop admissions. */
static int open_scan(struct gate *g, struct err *e)
{
    struct scan_config c;
    CLEANUP(mem_free) char *rules = mem_printf("%s//rules", js_str_or(g->boot.args, "path", "."));
    const char *const folder[] = {rules};
    scan_config_from(&c, g->settings);
    c.rules = folder;
    c.n_rules = 1;
    c.late_rules = true;
    g->rules_seen = rules_stamp(g);
    int r = scan_pool_new(&c, &g->scan, e);
    return r < 0 ? err_wrap(e, r, "start the scan workers") : 0;
}

static int open_all(struct gate *g, struct err *e)
{
    struct release_opts o = {
        .site = g->boot.site,
        .ports = {g, port_append, port_docs, port_ask, port_verdict, port_db, port_show},
    };
    g->recorder = ipc_client_new(boot_peer(&g->boot, "recorder"), on_push, g);
    g->log = ipc_client_new(boot_peer(&g->boot, "log"), NULL, NULL);
    g->repository = ipc_client_new(boot_peer(&g->boot, "repository"), NULL, NULL);
    g->control = boot_peer(&g->boot, "control");
    g->web = boot_peer(&g->boot, "web");
    CLEANUP(js_free) json_t *head = NULL;
    int r = role_settings(&g->boot, &g->settings, e);
    r = r < 0 ? r : boot_secret(&g->boot, "quarantine", o.quarantine.b, e);
    r = r < 0 ? r : blobstore_open(g->boot.site, &g->blobs, e);
    if (r == 0) {
        blobstore_keep(g->blobs, (uint64_t)settings_number(g->settings, SETTING_RESERVE));
    }
    r = r < 0 ? r : gate_nonces_open(g, e);
    r = r < 0 ? r : open_scan(g, e);
    r = r < 0 ? r : gate_head(g, &head, e); /* the recorder has set up the database now */
    o.settings = g->settings;
    o.blobs = g->blobs;
    o.scan = g->scan;
    return r < 0 ? r : release_open(&o, &g->release, e);
}

static void wait_for_stop(struct gate *g)
{
    struct pollfd p = {.fd = g->boot.sock, .events = POLLIN};
    while (poll(&p, 1, -1) < 0) { /* EINTR */
    }
    __atomic_store_n(&g->stopping, true, __ATOMIC_RELEASE);
    pthread_mutex_lock(&g->lock);
    pthread_cond_broadcast(&g->wake);
    pthread_mutex_unlock(&g->lock);
}

int gate_main(struct boot *boot)
{
    struct err e;
    struct gate *g = mem_new(struct gate);
    pthread_t control, web, ticker;
    *g = (struct gate){.boot = *boot,
                       .lock = PTHREAD_MUTEX_INITIALIZER,
                       .wake = PTHREAD_COND_INITIALIZER,
                       .control = -1,
                       .web = -1,
                       .nonces_fd = -1,
                       .web_lock = PTHREAD_MUTEX_INITIALIZER,
                       .rules_lock = PTHREAD_MUTEX_INITIALIZER,
                       .net_lock = PTHREAD_MUTEX_INITIALIZER};
    g->nonces = js_new();
    g->alarms = js_list();
    g->late_alarms = js_list();
    g->started = clock_now();
    pthread_key_create(&g->db_key, close_thread_db);
    int r = open_all(g, &e);
    if (r < 0) {
        role_failed(&g->boot, &e);
        return 3;
    }
    bool have_web = g->web >= 0;
    if (pthread_create(&control, NULL, gate_control_thread, g) != 0 ||
        pthread_create(&ticker, NULL, tick_thread, g) != 0 ||
        (have_web && pthread_create(&web, NULL, gate_web_thread, g) != 0)) {
        err_set(&e, ERR_NOMEM, "start the gate's threads");
        role_failed(&g->boot, &e);
        return 3;
    }
    if (boot_ready(&g->boot, &e) < 0) {
        return 3; /* the supervisor is gone, or stops us since another process did not start */
    }
    wait_for_stop(g);
    pthread_join(ticker, NULL);
    /* connection threads may be in the middle of a call: they end with the process. What they had
     * not finished was not acknowledged; release_open() completes or withdraws it. */
    _exit(0);
}
