/* web_status.c - /healthz and /metrics. */
#include "serve/web.h"

#include "base/log.h"
#include "tuf/tuf.h"

#define RECENT CLOCK_HOUR

static void check_timestamp(struct web *w, json_t *warnings, bool *ok)
{
    CLEANUP(buf_clear) struct buf file = BUF(LIMIT_TUF_ROLE);
    CLEANUP(js_free) json_t *doc = NULL;
    struct err e;
    int r = file_read(w->metadata, "timestamp.json", LIMIT_TUF_ROLE, &file, &e);
    r = r < 0 ? r : tuf_parse(buf_view(&file), "timestamp", &doc, &e);
    if (r < 0) {
        js_add_str(warnings, "timestamp.json cannot be read: clients cannot refresh");
        *ok = false;
    } else if (tuf_doc_expires(doc) <= clock_now()) {
        js_add_str(warnings, "timestamp.json has expired: clients refuse it; is the gate running?");
        *ok = false;
    } else if (tuf_doc_expires(doc) - clock_now() < CLOCK_HOUR) {
        js_add_str(warnings, "timestamp.json expires within the hour and was not signed again");
    }
}

void serve_health(struct visit *v)
{
    struct web *w = v->w;
    CLEANUP(js_free) json_t *j = js_new();
    CLEANUP(js_free) json_t *products = NULL;
    struct err e;
    json_t *warnings = js_list();
    bool ok = ask_alive(w->recorder);
    if (!ok) {
        js_add_str(warnings, "the recorder is gone: nothing can be delivered");
    }
    if (!ask_alive(w->gate)) {
        js_add_str(warnings, "the gate is gone: nothing can be admitted or recalled");
    }
    if (web_db_products(w->db, &products, &e) < 0) {
        js_add_str(warnings, "web.db cannot be read");
        ok = false;
    }
    check_timestamp(w, warnings, &ok);
    pthread_mutex_lock(&w->lock);
    int64_t bad = w->refused_at;
    pthread_mutex_unlock(&w->lock);
    if (bad > 0 && clock_now() - bad < RECENT) {
        js_add_str(warnings, "a file on the disk was not what was published and was not sent");
    }
    if (w->landlock == 0) {
        js_add_str(warnings, "this kernel has no Landlock");
    }
    js_set_bool(j, "ok", ok);
    js_set(j, "warnings", warnings);
    reply_json(v, ok ? 200 : 503, j);
}

static void metric(struct buf *b, const char *name, const char *kind, const char *help, uint64_t n)
{
    buf_fmt(b, "# HELP cordon_%s %s\n# TYPE cordon_%s %s\ncordon_%s %llu\n", name, help, name, kind,
            name, (unsigned long long)n);
}

static void counters(struct web *w, struct buf *b)
{
    static const struct {
        enum web_metric m;
        const char *name, *help;
    } all[] = {
        {METRIC_REQUESTS, "http_requests_total", "HTTP requests."},
        {METRIC_DOWNLOADS, "downloads_total", "Downloads that began."},
        {METRIC_BYTES, "download_bytes_total", "Verified bytes handed to the kernel."},
        {METRIC_ACKED, "download_acked_bytes_total", "Bytes that clients acknowledged."},
        {METRIC_DENIED, "denied_total", "Requests refused for their credential, grant or state."},
        {METRIC_BARRED, "withdrawn_total", "Requests for withheld or recalled files."},
        {METRIC_LIMITED, "limited_total", "Requests refused because one account asked too much."},
        {METRIC_FAULTS, "blob_faults_total", "Reads that found other bytes than published."},
        {METRIC_RESETS, "resets_total", "Downloads reset because of a recall or bad bytes."},
        {METRIC_UNAVAILABLE, "unavailable_total", "Requests that could not be served now."},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        metric(b, all[i].name, "counter", all[i].help,
               __atomic_load_n(&w->count[all[i].m], __ATOMIC_RELAXED));
    }
}

/* For the machine itself and the proxies' networks. A request that somebody forwarded without being
 * trusted to is not from here, whatever its address. */
void serve_metrics(struct visit *v)
{
    struct web *w = v->w;
    CLEANUP(buf_clear) struct buf b = BUF((size_t)64 << 10);
    bool may = http_ip_loopback(&v->client) && (!v->forwarded || v->through_proxy);
    for (size_t i = 0; i < w->n_proxy; i++) {
        may = may || http_in_net(&v->client, &w->proxy[i]);
    }
    if (!may) {
        reply_error(v, 403, "metrics are for this machine and its proxies");
        return;
    }
    struct blob_cache_stats s = blob_cache_stats(w->cache);
    counters(w, &b);
    metric(&b, "http_connections", "gauge", "Open connections.", http_open(w->http));
    metric(&b, "hot_bytes", "gauge", "Verified bytes held in memory.", s.bytes);
    metric(&b, "hot_hits_total", "counter", "Verified pieces used again.", s.hits);
    metric(&b, "verified_bytes_total", "counter", "Bytes hashed before they were sent.",
           s.verified_bytes);
    metric(&b, "start_time_seconds", "gauge", "When this process started.",
           (uint64_t)(w->started / CLOCK_SECOND));
    metric(&b, "up", "gauge", "Whether the recorder answers.", ask_alive(w->recorder) ? 1 : 0);
    http_add(v->call, "Cache-Control", "no-store");
    reply_bytes(v, 200, "text/plain; version=0.0.4; charset=utf-8", buf_view(&b));
}
