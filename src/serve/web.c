/* web.c - the web process: its start, its requests, its end. */
#include "serve/web.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "serve/confine.h"
#include "serve/show.h"

#define THREADS_MOST 16
#define FINISH (5 * CLOCK_SECOND)    /* for downloads under way when we are told to stop */
#define DB_WAIT (110 * CLOCK_SECOND) /* the gate makes web.db when it starts for the first time */

/* Whom each serves: anybody, but what the recorder or the gate then refuse. */
const struct route web_routes[] = {
    {"/", "GET", serve_home, NULL, NULL},
    {"/metadata/", "GET", serve_metadata, NULL, NULL},
    {"/targets/", "GET", serve_targets, NULL, NULL},
    {"/d/", "GET", serve_plain, NULL, NULL},
    {"/log/", "GET", serve_log, NULL, NULL},
    {"/verdicts/", "GET", serve_verdicts, NULL, NULL},
    {"/check", "GET POST", serve_check, NULL, NULL},
    {"/healthz", "GET", serve_health, NULL, NULL},
    {"/metrics", "GET", serve_metrics, NULL, NULL},
    {"/api/v1/", "POST", serve_api, NULL, NULL},
    {"/api/v1/openapi.json", "GET", serve_openapi, NULL, NULL},
    {"/api/v1/upload", "PUT", serve_upload_end, serve_upload_head, serve_upload_body},
    {NULL, NULL, NULL, NULL, NULL},
};

void web_count(struct web *w, enum web_metric m, uint64_t n)
{
    __atomic_add_fetch(&w->count[m], n, __ATOMIC_RELAXED);
}

/* ---- visits ---- */

void visit_ref(struct visit *v)
{
    __atomic_add_fetch(&v->refs, 1, __ATOMIC_RELAXED);
}

void visit_unref(struct visit *v)
{
    if (__atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        if (v->state_free != NULL) {
            v->state_free(v->state);
        }
        buf_clear(&v->path);
        buf_clear(&v->body);
        pthread_mutex_destroy(&v->lock);
        free(v);
    }
}

void visit_resume(struct visit *v)
{
    pthread_mutex_lock(&v->lock);
    if (v->call != NULL) {
        http_resume(v->call);
    }
    pthread_mutex_unlock(&v->lock);
}

int visit_ask(struct visit *v, struct ask *who, const json_t *q, int64_t within, ask_fn fn,
              struct err *e)
{
    visit_ref(v);
    http_suspend(v->call); /* first: the answer may be faster than we */
    int r = ask_send(who, q, within, fn, v, e);
    if (r < 0) {
        http_resume(v->call);
        visit_unref(v);
    }
    return r;
}

static bool route_fits(const struct route *r, const char *path)
{
    size_t n = strlen(r->path);
    if (n > 1 && r->path[n - 1] == '/') {
        return strncmp(path, r->path, n) == 0;
    }
    return strcmp(path, r->path) == 0;
}

static const struct route *find_route(const char *path)
{
    const struct route *best = NULL;
    for (const struct route *r = web_routes; r->path != NULL; r++) {
        if (route_fits(r, path) && (best == NULL || strlen(r->path) > strlen(best->path))) {
            best = r;
        }
    }
    return best;
}

static bool method_fits(const struct route *r, const char *method)
{
    struct span rest = span_str(r->methods), one;
    while (span_cut(&rest, ' ', &one)) {
        if (span_is(one, method)) {
            return true;
        }
    }
    return false;
}

static void find_client(struct visit *v)
{
    /* of several such lines, the one that the client sent itself comes first */
    CLEANUP(mem_free) char *forwarded = http_header_all(v->call, "X-Forwarded-For");
    struct http_ip peer = {{0}};
    (void)http_ip_of(http_peer(v->call), &peer);
    v->client = http_client(&peer, forwarded, v->w->proxy, v->w->n_proxy);
    v->forwarded = forwarded != NULL || http_header(v->call, "Forwarded") != NULL;
    for (size_t i = 0; i < v->w->n_proxy; i++) {
        v->through_proxy = v->through_proxy || http_in_net(&peer, &v->w->proxy[i]);
    }
    http_ip_text(&v->client, v->address);
}

static void *on_open(void *ctx, struct http_call *call)
{
    struct web *w = ctx;
    struct visit *v = mem_new(struct visit);
    *v = (struct visit){.refs = 1, .call = call, .w = w};
    pthread_mutex_init(&v->lock, NULL);
    buf_init(&v->path, LIMIT_PATH);
    buf_init(&v->body, LIMIT_REQUEST);
    web_count(w, METRIC_REQUESTS, 1);
    return v;
}

/* Decides who answers. False: it was answered here. */
static bool begin(struct visit *v)
{
    struct err e;
    struct span path;
    const char *method = http_method(v->call);
    v->head_only = strcmp(method, "HEAD") == 0;
    find_client(v);
    http_split(http_target(v->call), &path, &v->query);
    if (http_decode(path, false, &v->path, &e) < 0) {
        reply_error(v, 400, "%s", e.text);
        return false;
    }
    v->route = find_route(buf_text(&v->path));
    if (v->route == NULL) {
        reply_error(v, 404, "nothing is at this address; / says what this server has");
    } else if (!method_fits(v->route, v->head_only ? "GET" : method)) {
        const char *allow = strcmp(v->route->methods, "GET") == 0 ? "GET, HEAD" : v->route->methods;
        http_add(v->call, "Allow", strcmp(allow, "GET POST") == 0 ? "GET, HEAD, POST" : allow);
        reply_error(v, 405, "this address takes %s", v->route->methods);
    } else if (http_query_has_secret(v->query)) {
        reply_error(v, 400,
                    "a token has no place in an address: it stands in logs and histories now, so "
                    "have it changed; send it with curl -u USER:TOKEN or as Authorization: Bearer");
    } else {
        return true;
    }
    return false;
}

static void on_head(void *data)
{
    struct visit *v = data;
    const char *length = http_header(v->call, "Content-Length");
    if (v->again != NULL) {
        v->again(v);
    } else if (!begin(v)) {
        return;
    } else if (v->route->head != NULL) {
        v->route->head(v);
    } else if (length != NULL && strlen(length) > strlen("1048576")) {
        reply_error(v, 413, "a request may hold 1 MiB"); /* before its body is sent */
    }
}

static size_t on_body(void *data, struct span piece)
{
    struct visit *v = data;
    if (v->route->body != NULL) {
        return v->route->body(v, piece);
    }
    buf_span(&v->body, piece); /* beyond its ceiling it remembers the fault */
    return piece.len;
}

static void on_ready(void *data)
{
    struct visit *v = data;
    if (http_stopping(v->call)) {
        struct err e;
        err_set(&e, ERR_UNAVAIL, "the server is stopping");
        reply_unavailable(v, &e);
    } else if (v->again != NULL) {
        v->again(v);
    } else if (v->route == NULL && !begin(v)) {
        return;
    } else if (v->body.fault != 0) {
        reply_error(v, 413, "a request may hold 1 MiB");
    } else {
        v->route->ready(v);
    }
}

static void on_done(void *data, const struct ack_mark *mark)
{
    struct visit *v = data;
    if (v->over != NULL) {
        v->over(v, mark);
    }
    pthread_mutex_lock(&v->lock);
    v->call = NULL;
    pthread_mutex_unlock(&v->lock);
    visit_unref(v);
}

/* ---- start ---- */

static void on_push(void *ctx, const json_t *body)
{
    struct digest d;
    if (strcmp(js_str_or(body, "op", ""), "stop") == 0 &&
        js_sha256(body, "sha256", &d, NULL) == 0) {
        web_stop_blob(ctx, &d);
    }
}

static void on_bad(void *ctx, const struct blob_bad *bad)
{
    web_alarm(ctx, bad);
}

static int read_proxies(struct web *w, struct err *e)
{
    const char *const *list;
    size_t n = settings_list(w->settings, SETTING_BEHIND_PROXY, &list);
    for (size_t i = 0; i < n; i++) {
        if (w->n_proxy == ARRAY_LEN(w->proxy)) {
            return err_set(e, ERR_LIMIT, "serve.behind_proxy: more than %zu networks",
                           ARRAY_LEN(w->proxy));
        }
        int r = http_net_parse(span_str(list[i]), &w->proxy[w->n_proxy++], e);
        if (r < 0) {
            return err_wrap(e, r, "serve.behind_proxy");
        }
    }
    return 0;
}

static int wait_for_db(struct web *w, struct err *e)
{
    const char *site = js_str_or(w->boot.args, "path", ".");
    int64_t until = clock_boot() + DB_WAIT;
    for (;;) {
        struct pollfd p = {.fd = w->boot.sock, .events = POLLIN};
        int r = web_db_open(site, &w->db, e);
        if ((r != ERR_NOTFOUND && r != ERR_UNAVAIL) || clock_boot() > until ||
            poll(&p, 1, 100) > 0) {
            return r;
        }
    }
}

static int read_pem(struct web *w, struct buf *pem, struct err *e)
{
    const char *path = js_str_or(w->boot.args, "tls_cert", "");
    path = path[0] != 0 ? path : settings_text(w->settings, SETTING_TLS_CERT);
    if (path[0] == 0) {
        return 0;
    }
    int r = file_read(w->boot.site, path, LIMIT_CONFIG, pem, e);
    if (r < 0) {
        return err_wrap(e, r, "serve.tls_cert");
    }
    const char *text = buf_text(pem); /* an empty file must never mean "without TLS" */
    return strlen(text) == pem->len && strstr(text, "-----BEGIN CERTIFICATE-----") != NULL &&
                   strstr(text, "PRIVATE KEY-----") != NULL
               ? 0
               : err_set(e, ERR_FORMAT,
                         "serve.tls_cert: %s does not hold a certificate chain and its key as PEM",
                         path);
}

static int start_http(struct web *w, const struct buf *pem, struct err *e)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned most = (unsigned)settings_number(w->settings, SETTING_MAX_CONNECTIONS);
    struct http_opts o = {
        .listen = boot_peer(&w->boot, "listen"),
        .threads = cpus < 2                  ? 4
                   : cpus * 2 > THREADS_MOST ? THREADS_MOST
                                             : (unsigned)cpus * 2,
        .connections = most,
        /* behind a proxy all come from one address, and it counts them */
        .per_address = w->n_proxy > 0 ? 0 : most / 2,
        .tls_pem = pem->len > 0 ? buf_text(pem) : NULL,
        .handler = {w, on_open, on_head, on_body, on_ready, on_done},
    };
    /* the library shares the connections out among its threads: none may get too few */
    while (o.threads > 2 && most / o.threads < 32) {
        o.threads--;
    }
    int r = http_start(&o, &w->http, e);
    return r < 0 && pem->len > 0
               ? err_wrap(e, r, "serve.tls_cert %s", settings_text(w->settings, SETTING_TLS_CERT))
               : r;
}

static int open_all(struct web *w, struct err *e)
{
    static const char *const readable[] = {"blobs",   "metadata",       "log",
                                           SHOW_FILE, SHOW_FILE "-wal", SHOW_FILE "-shm"};
    CLEANUP(buf_clear) struct buf pem = BUF(LIMIT_CONFIG);
    int r = role_settings(&w->boot, &w->settings, e);
    r = r < 0 ? r : read_proxies(w, e);
    r = r < 0 ? r : read_pem(w, &pem, e);
    r = r < 0 ? r : wait_for_db(w, e);
    r = r < 0 ? r : file_open_dir(w->boot.site, "metadata", &w->metadata, e);
    r = r < 0 ? r : file_open_dir(w->boot.site, "log", &w->log, e);
    r = r < 0 ? r : blobstore_open_read(w->boot.site, &w->store, e);
    /* before the first thread: they inherit it */
    r = r < 0 ? r : confine_read(w->boot.site, readable, ARRAY_LEN(readable), &w->landlock, e);
    if (r < 0) {
        return r;
    }
    w->small = (uint64_t)settings_number(w->settings, SETTING_SMALL_BYTES);
    struct blob_cache_opts c = {.bytes = (uint64_t)settings_number(w->settings, SETTING_HOT_BYTES),
                                .small = w->small,
                                .on_bad = on_bad,
                                .ctx = w};
    struct limits_opts l = {.downloads =
                                (unsigned)settings_number(w->settings, SETTING_ACCOUNT_DOWNLOADS),
                            .rate = (unsigned)settings_number(w->settings, SETTING_ACCOUNT_RATE)};
    w->cache = blob_cache_new(w->store, &c);
    w->limits = limits_new(&l);
    w->recorder = ask_new(boot_peer(&w->boot, "recorder"), on_push, w);
    w->gate = ask_new(boot_peer(&w->boot, "gate"), NULL, NULL);
    w->acks = acks_new(w->recorder, (size_t)settings_number(w->settings, SETTING_MAX_CONNECTIONS),
                       &w->count[METRIC_ACKED]);
    r = start_http(w, &pem, e);
    if (pem.p != NULL) {
        explicit_bzero(pem.p, pem.len);
    }
    return r;
}

/* ---- end ---- */

static void wait_until_told(struct web *w)
{
    struct pollfd p = {.fd = w->boot.sock, .events = POLLIN};
    while (poll(&p, 1, -1) < 0) { /* EINTR */
    }
}

static void finish(struct web *w, pthread_t keeper)
{
    int64_t until = clock_boot() + FINISH;
    http_quiesce(w->http);
    while (clock_boot() < until) {
        pthread_mutex_lock(&w->running);
        bool busy = w->downloads != NULL;
        pthread_mutex_unlock(&w->running);
        if (!busy) {
            break;
        }
        usleep(20000);
    }
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(keeper, NULL); /* it looks after the connections until here */
    http_stop(&w->http);
    acks_flush(w->acks);
    ask_free(&w->gate);
    ask_free(&w->recorder);
    acks_free(&w->acks);
    blob_cache_free(&w->cache);
    blobstore_close(&w->store);
    web_db_close(&w->db);
    limits_free(&w->limits);
    settings_free(&w->settings);
}

int web_main(struct boot *boot)
{
    struct err e;
    pthread_t keeper;
    struct web *w = mem_new(struct web);
    *w = (struct web){.boot = *boot,
                      .metadata = -1,
                      .log = -1,
                      .running = PTHREAD_MUTEX_INITIALIZER,
                      .lock = PTHREAD_MUTEX_INITIALIZER,
                      .wake = PTHREAD_COND_INITIALIZER,
                      .started = clock_now()};
    w->chores_end = &w->chores;
    int r = open_all(w, &e);
    if (r >= 0 && pthread_create(&keeper, NULL, web_keeper, w) != 0) {
        r = err_set(&e, ERR_SYS, "start a thread");
    }
    r = r < 0 ? r : boot_ready(&w->boot, &e);
    if (r < 0) {
        role_failed(&w->boot, &e);
        return 3;
    }
    if (w->landlock == 0) {
        log_warn("web.confine", "this kernel has no Landlock: only capabilities and system calls "
                                "are taken away");
    }
    wait_until_told(w);
    finish(w, keeper);
    boot_clear(&w->boot);
    fd_close(&w->metadata);
    fd_close(&w->log);
    free(w);
    return 0;
}
