/* web_download.c - the one door to a file of a product.
 *
 * Every request asks the recorder, which alone knows who may have what, and which enters the grant
 * before it answers (P3). HEAD, 304 and 416 send no byte of the file; they ask the same question
 * with `check`, so they pass the same tests of credential, grant and state and only leave no entry.
 * Whatever leaves then comes from memory that was verified (P2). */
#include "serve/web.h"

#include <sodium.h>

#include "base/mem.h"

enum wish { WISH_BODY, WISH_HEAD, WISH_NOT_MODIFIED, WISH_UNSATISFIED };

struct download {
    struct download *next, *before; /* of those that may be sending; under web.running */
    struct visit *v;
    struct conn *conn;
    char target[LIMIT_TARGET + 1];
    bool public;
    bool has_name; /* the address holds the digest */
    struct digest name;
    struct http_credential cred;
    uint64_t key, address_key;
    bool counted;
    bool listed, stopped, ended; /* under web.running */
    /* what is known of the file: from web.db, else from a first check */
    bool known;
    struct digest blob, root;
    uint64_t size;
    enum wish wish;
    uint64_t first, last;
    bool part;
    /* the recorder's answer */
    bool asked_check, refused;
    struct err fault;
    bool sending; /* the body is the file's bytes, not a word about why not */
    char why[16];
    uint64_t grant;
};

static struct download *of(struct visit *v)
{
    return v->state;
}

static void download_free(void *state)
{
    struct download *d = state;
    sodium_memzero(&d->cred, sizeof d->cred);
    conn_unref(&d->conn);
    free(d);
}

/* ---- the list of what may be sending ---- */

static void list_locked(struct web *w, struct download *d)
{
    d->next = w->downloads;
    d->before = NULL;
    if (d->next != NULL) {
        d->next->before = d;
    }
    w->downloads = d;
    d->listed = true;
}

static void unlist(struct web *w, struct download *d)
{
    pthread_mutex_lock(&w->running);
    if (d->listed) {
        *(d->before != NULL ? &d->before->next : &w->downloads) = d->next;
        if (d->next != NULL) {
            d->next->before = d->before;
        }
        d->listed = false;
    }
    d->ended = true; /* an answer that comes now lists it no more */
    pthread_mutex_unlock(&w->running);
}

void download_stop_all(struct web *w, const struct digest *blob)
{
    pthread_mutex_lock(&w->running);
    for (struct download *d = w->downloads; d != NULL; d = d->next) {
        if (digest_eq(&d->blob, blob)) {
            d->stopped = true;
            conn_reset(d->conn);
            web_count(w, METRIC_RESETS, 1);
        }
    }
    pthread_mutex_unlock(&w->running);
}

/* ---- refusals ---- */

static void sign_in(struct visit *v, const char *text)
{
    http_add(v->call, "WWW-Authenticate", "Basic realm=\"updates\", charset=\"UTF-8\"");
    reply_error(v, 401, "%s", text);
}

static void barred(struct visit *v, const char *state)
{
    struct err e;
    struct web_target t = {.path = ""};
    bool known = web_db_target(v->w->db, of(v)->target, &t, &e) == 0 && t.reason[0] != 0;
    web_count(v->w, METRIC_BARRED, 1);
    if (strcmp(state, "recalled") != 0) {
        reply_error(v, 410, "%s is withheld while it is examined; nothing of it is sent meanwhile",
                    of(v)->target);
        return;
    }
    reply_error(v, 410, "%s is recalled%s%s%s%s; do not use copies of it", of(v)->target,
                known ? ": " : "", known ? t.reason : "",
                known && t.replacement[0] != 0 ? "; take instead " : "",
                known ? t.replacement : "");
}

static void denied(struct visit *v)
{
    struct download *d = of(v);
    web_count(v->w, METRIC_DENIED, 1);
    if (strcmp(d->why, "sign-in") == 0) {
        if (d->cred.given) {
            limits_failed(v->w->limits, d->address_key, clock_boot());
        }
        sign_in(v, d->cred.given ? "this user name and token do not hold, or were disabled; ask "
                                   "your vendor for a new token"
                                 : "sign in with your user name and token: curl -u USER:TOKEN");
    } else if (strcmp(d->why, "withheld") == 0 || strcmp(d->why, "recalled") == 0) {
        barred(v, d->why);
    } else {
        reply_error(v, 403, "your organisation has no grant for this product; ask your vendor");
    }
}

static void refuse(struct visit *v)
{
    struct download *d = of(v);
    if (d->fault.code == ERR_DENIED) {
        denied(v);
    } else if (d->fault.code == ERR_NOTFOUND) {
        reply_error(v, 404, "%s is not published here", d->target);
    } else {
        reply_unavailable(v, &d->fault);
    }
}

static void limited(struct visit *v, unsigned wait, const char *what)
{
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", wait);
    web_count(v->w, METRIC_LIMITED, 1);
    http_add(v->call, "Retry-After", seconds);
    reply_error(v, 429, "%s; try again in %u s", what, wait);
}

/* ---- sending ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void add_headers(struct visit *v)
{
    struct download *d = of(v);
    char hex[DIGEST_TEXT + 1];
    CLEANUP(mem_free) char *tag = mem_printf("\"%s\"", digest_text(&d->blob, hex));
    /* target names hold nothing that would need quoting */
    CLEANUP(mem_free)
    char *as = mem_printf("attachment; filename=\"%s\"", base_name(d->target));
    http_add(v->call, "ETag", tag);
    http_add(v->call, "Accept-Ranges", "bytes");
    http_add(v->call, "Content-Disposition", as);
    http_add(v->call, "Content-Type", "application/octet-stream");
    http_add(v->call, "X-Content-Type-Options", "nosniff");
    http_add(v->call, "Cache-Control",
             !d->public ? "private, no-store, no-transform" : "public, max-age=3600, no-transform");
    if (d->part) {
        char range[80];
        snprintf(range, sizeof range, "bytes %llu-%llu/%llu", (unsigned long long)d->first,
                 (unsigned long long)d->last, (unsigned long long)d->size);
        http_add(v->call, "Content-Range", range);
    }
}

static void send_body(struct visit *v)
{
    struct download *d = of(v);
    struct err e;
    struct sending *s = NULL;
    struct web_send what = {d->blob, d->root, d->size, d->first,
                            d->size == 0 ? 0 : d->last - d->first + 1};
    int r = web_send_open(v->w, &what, &s, &e);
    if (r < 0) {
        unlist(v->w, d); /* the word about why not may arrive, also when the file is withheld now */
    }
    if (r == ERR_UNAVAIL) {
        reply_unavailable(v, &e);
    } else if (r < 0) {
        web_count(v->w, METRIC_UNAVAILABLE, 1);
        reply_error(
            v, 503,
            "what lies on this server's disk is not what was published under %s, so nothing "
            "of it is sent; the operators are told",
            d->target);
    } else {
        d->sending = true;
        add_headers(v);
        web_send(v, d->part ? 206 : 200, s);
    }
}

static void reply_without_body(struct visit *v)
{
    struct download *d = of(v);
    char range[48];
    if (d->wish == WISH_UNSATISFIED) {
        snprintf(range, sizeof range, "bytes */%llu", (unsigned long long)d->size);
        http_add(v->call, "Content-Range", range);
        reply_error(v, 416, "the file has %llu bytes", (unsigned long long)d->size);
        return;
    }
    d->part = false;
    add_headers(v);
    if (d->wish == WISH_NOT_MODIFIED) {
        http_reply_text(v->call, 304, SPAN_NONE);
    } else if (d->size == 0) {
        http_reply_text(v->call, 200, SPAN_NONE);
    } else {
        web_send_length(v, d->size);
    }
}

static void over(struct visit *v, const struct ack_mark *mark)
{
    struct download *d = of(v);
    unlist(v->w, d);
    if (d->counted) {
        limits_end(v->w->limits, d->key);
    }
    if (d->grant > 0 && d->sending && mark->body > 0 && mark->end > 0) {
        acks_watch(v->w->acks, d->conn, mark, d->grant, d->first);
    }
}

/* ---- asking ---- */

/* What does this client want of a file of that size and name? */
static void plan(struct visit *v)
{
    struct download *d = of(v);
    d->part = false;
    d->first = 0;
    d->last = d->size > 0 ? d->size - 1 : 0;
    d->wish = v->head_only ? WISH_HEAD : WISH_BODY;
    if (http_tag_listed(http_header(v->call, "If-None-Match"), &d->blob)) {
        d->wish = WISH_NOT_MODIFIED;
        return;
    }
    if (v->head_only || !http_if_range(http_header(v->call, "If-Range"), &d->blob)) {
        return;
    }
    switch (http_range_parse(http_header(v->call, "Range"), d->size, &d->first, &d->last)) {
    case HTTP_RANGE_PART:
        d->part = true;
        break;
    case HTTP_RANGE_UNSATISFIED:
        d->wish = WISH_UNSATISFIED;
        break;
    case HTTP_RANGE_WHOLE:
        break;
    }
}

/* On the thread that reads the recorder's answers: in their order, so a stop that comes later finds
 * this download in the list. */
static void on_answer(void *ctx, const json_t *body, const struct err *fault, int fd)
{
    struct visit *v = ctx;
    struct download *d = of(v);
    struct err e;
    (void)fd;
    d->refused = fault != NULL;
    if (fault != NULL) {
        d->fault = *fault;
        snprintf(d->why, sizeof d->why, "%s", body != NULL ? js_str_or(body, "why", "") : "");
    } else {
        struct digest blob, root;
        uint64_t size = 0, grant = 0;
        int r = js_sha256(body, "blob", &blob, &e);
        r = r < 0 ? r : js_sha256(body, "chunks", &root, &e);
        r = r < 0 ? r : js_u64(body, "size", &size, &e);
        r = r < 0 ? r : js_u64(body, "grant", &grant, &e);
        if (r == 0 && d->known && (!digest_eq(&blob, &d->blob) || size != d->size)) {
            r = err_set(&e, ERR_CONFLICT, "the file changes just now; try again");
        }
        d->refused = r < 0;
        d->fault = e;
        if (r == 0) {
            pthread_mutex_lock(&v->w->running);
            d->blob = blob;
            d->root = root;
            d->size = size;
            d->grant = grant;
            if (!d->asked_check && !d->ended) {
                list_locked(v->w, d);
            }
            pthread_mutex_unlock(&v->w->running);
        }
    }
    visit_resume(v);
    visit_unref(v);
}

static void answered(struct visit *v);

static void ask_recorder(struct visit *v)
{
    struct download *d = of(v);
    struct err e;
    CLEANUP(js_free) json_t *q = js_new();
    const char *agent = http_header(v->call, "User-Agent");
    d->asked_check = !d->known || d->wish != WISH_BODY;
    js_set_str(q, "op", "grant");
    if (d->cred.basic) {
        js_set_str(q, "user", d->cred.user);
    }
    js_set_str(q, "secret", d->cred.secret);
    js_set_str(q, "target", d->target);
    js_set_bool(q, "whole", !d->part);
    if (d->part) {
        js_set_int(q, "first", (int64_t)d->first);
        js_set_int(q, "last", (int64_t)d->last);
    }
    js_set_bool(q, "check", d->asked_check);
    js_set_str(q, "address", v->address);
    if (agent != NULL) {
        CLEANUP(mem_free) char *cut = mem_text(agent, strnlen(agent, 200));
        js_set_str(q, "agent", cut);
    }
    v->again = answered;
    if (visit_ask(v, v->w->recorder, q, WEB_PATIENCE, on_answer, &e) < 0) {
        reply_unavailable(v, &e);
    }
}

static bool was_stopped(struct visit *v)
{
    pthread_mutex_lock(&v->w->running);
    bool yes = of(v)->stopped;
    pthread_mutex_unlock(&v->w->running);
    return yes;
}

static void answered(struct visit *v)
{
    struct download *d = of(v);
    if (d->refused) {
        refuse(v);
    } else if (d->has_name && !digest_eq(&d->name, &d->blob)) {
        reply_error(v, 404, "%s has no such digest", d->target);
    } else if (!d->known) { /* just published: the check told what web.db does not have yet */
        d->known = true;
        plan(v);
        if (d->wish == WISH_BODY && !d->counted) {
            d->counted = limits_begin(v->w->limits, d->key, clock_boot());
        }
        if (d->wish == WISH_BODY && !d->counted) {
            limited(v, 5, "more downloads at once than one account may make");
        } else {
            ask_recorder(v);
        }
    } else if (d->wish != WISH_BODY) {
        reply_without_body(v);
    } else if (was_stopped(v)) {
        barred(v, "withheld");
    } else {
        send_body(v);
    }
}

/* False: too many; it was answered. */
static bool within_limits(struct visit *v)
{
    struct download *d = of(v);
    int64_t now = clock_boot();
    unsigned wait = 1;
    d->address_key = limits_key(v->w->limits, "address", v->address, "");
    d->key = d->cred.given ? limits_key(v->w->limits, "account", d->cred.user, d->cred.secret)
                           : d->address_key;
    if (d->cred.given && !limits_may_try(v->w->limits, d->address_key, now)) {
        limited(v, 30, "too many wrong tokens came from your address");
    } else if (!limits_request(v->w->limits, d->key, now, &wait)) {
        limited(v, wait, "more requests than one account may make");
    } else if (d->wish == WISH_BODY && !limits_begin(v->w->limits, d->key, now)) {
        limited(v, 5, "more downloads at once than one account may make");
    } else {
        d->counted = d->wish == WISH_BODY;
        return true;
    }
    return false;
}

void download(struct visit *v, const char *target, const struct digest *name)
{
    struct web_target t;
    struct err e;
    struct download *d = mem_new(struct download);
    v->state = d;
    v->state_free = download_free;
    v->over = over;
    d->v = v;
    d->conn = conn_ref(http_conn(v->call));
    d->has_name = name != NULL;
    if (name != NULL) {
        d->name = *name;
    }
    snprintf(d->target, sizeof d->target, "%s", target);
    if (http_credential_parse(http_header(v->call, "Authorization"), &d->cred, &e) < 0) {
        sign_in(v, e.text);
        return;
    }
    int r = web_db_target(v->w->db, target, &t, &e);
    if (r < 0 && r != ERR_NOTFOUND) {
        reply_unavailable(v, &e);
        return;
    }
    d->known = r == 0;
    if (d->known) {
        char access[16];
        if (web_db_product(v->w->db, t.product, access, &d->public, NULL) < 0) {
            d->public = false; /* the careful answer to caches */
        }
        d->blob = t.sha256;
        d->root = t.chunk_root;
        d->size = t.size;
    }
    if (d->known && d->has_name && !digest_eq(&d->name, &d->blob)) {
        reply_error(v, 404, "%s has no such digest", target);
        return;
    }
    plan(v);
    if (within_limits(v)) {
        ask_recorder(v);
    }
}
