/* web_api.c - operators over the network: passed on to the gate, which checks their signature. */
#include "serve/web.h"

#include "serve/http_text.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "serve/openapi.h"

#define PIPE (1 << 20)

/* An operation, or an upload, on its way. */
struct passing {
    struct passing *next; /* uploads that wait until their pipe takes more; under waiting.lock */
    struct visit *v;
    int status; /* of the gate's answer; 0: none yet */
    json_t *answer;
    struct err fault;
    bool failed, broken; /* broken: the gate reads no more */
    int pipe;
    int64_t upload;
};

static struct {
    pthread_mutex_t lock;
    struct passing *first;
} waiting = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void passing_free(void *state)
{
    struct passing *p = state;
    fd_close(&p->pipe);
    js_free(&p->answer);
    free(p);
}

static struct passing *passing_new(struct visit *v)
{
    struct passing *p = mem_new(struct passing);
    *p = (struct passing){.v = v, .pipe = -1};
    err_set(&p->fault, ERR_UNAVAIL, "the server is stopping");
    v->state = p;
    v->state_free = passing_free;
    return p;
}

static json_t *request_of(struct visit *v, const char *op)
{
    static const struct {
        const char *name, *member;
    } headers[] = {{"Authorization", "authorization"},
                   {"X-Cordon-Operator", "x-cordon-operator"},
                   {"X-Cordon-Time", "x-cordon-time"},
                   {"X-Cordon-Nonce", "x-cordon-nonce"},
                   {"X-Cordon-Signature", "x-cordon-signature"}};
    CLEANUP(mem_free) char *query = mem_text(v->query.p, v->query.len);
    json_t *q = js_new(), *h = js_new();
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        js_set_str(h, headers[i].member, http_header(v->call, headers[i].name));
    }
    js_set_str(q, "op", op);
    js_set_str(q, "method", http_method(v->call));
    js_set_str(q, "path", buf_text(&v->path));
    js_set_str(q, "query", query);
    js_set(q, "headers", h);
    js_set_str(q, "body", buf_text(&v->body));
    js_set_str(q, "address", v->address);
    return q;
}

static void on_answer(void *ctx, const json_t *body, const struct err *fault, int fd)
{
    struct visit *v = ctx;
    struct passing *p = v->state;
    pthread_mutex_lock(&v->lock);
    p->failed = fault != NULL;
    if (fault != NULL) {
        p->fault = *fault;
    } else {
        p->answer = json_deep_copy(body);
    }
    if (fd >= 0) {
        fd_close(&p->pipe);
        p->pipe = fd;
    }
    pthread_mutex_unlock(&v->lock);
    visit_resume(v);
    visit_unref(v);
}

static void reply_fault(struct visit *v, const struct err *e)
{
    CLEANUP(js_free) json_t *j = ipc_error(e);
    reply_json(v, http_status(e->code), j);
}

/* The gate's answer holds {status, json}. */
static void answered(struct visit *v)
{
    struct passing *p = v->state;
    const json_t *json = json_object_get(p->answer, "json");
    if (p->failed || json == NULL) {
        reply_fault(v, &p->fault);
        return;
    }
    int64_t status = js_int_or(p->answer, "status", 500);
    reply_json(v, status >= 200 && status < 600 ? (int)status : 500, json);
}

void serve_api(struct visit *v)
{
    struct err e;
    (void)passing_new(v);
    CLEANUP(js_free) json_t *q = request_of(v, "api");
    v->again = answered;
    if (visit_ask(v, v->w->gate, q, WEB_GATE_PATIENCE, on_answer, &e) < 0) {
        reply_fault(v, &e);
    }
}

void serve_openapi(struct visit *v)
{
    CLEANUP(js_free) json_t *j = openapi_document();
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_REQUEST);
    js_write(&text, j);
    buf_char(&text, '\n');
    reply_public(v, "application/json", "public, max-age=3600", buf_view(&text));
}

/* ---- uploads: the body goes into a pipe that the gate gave us ---- */

/* The gate has answered whether it will take the file. */
static void upload_ready(struct visit *v)
{
    struct passing *p = v->state;
    if (p->failed || p->pipe < 0) {
        reply_fault(v, &p->fault);
        return;
    }
    p->upload = js_int_or(p->answer, "upload", -1);
    js_free(&p->answer);
    (void)fcntl(p->pipe, F_SETPIPE_SZ, PIPE);
    if (fcntl(p->pipe, F_SETFL, O_WRONLY | O_NONBLOCK) < 0) {
        err_set(&p->fault, ERR_SYS, "prepare the upload's pipe");
        reply_fault(v, &p->fault);
        return;
    }
    v->again = NULL;
}

void serve_upload_head(struct visit *v)
{
    struct err e;
    (void)passing_new(v);
    CLEANUP(js_free) json_t *q = request_of(v, "upload.begin");
    v->again = upload_ready;
    if (visit_ask(v, v->w->gate, q, WEB_PATIENCE, on_answer, &e) < 0) {
        reply_fault(v, &e);
    }
}

static void wait_for_pipe(struct visit *v, struct passing *p)
{
    visit_ref(v);
    http_suspend(v->call);
    pthread_mutex_lock(&waiting.lock);
    p->next = waiting.first;
    waiting.first = p;
    pthread_mutex_unlock(&waiting.lock);
    web_wake(v->w);
}

size_t serve_upload_body(struct visit *v, struct span piece)
{
    struct passing *p = v->state;
    size_t n = 0;
    while (n < piece.len && !p->broken) {
        ssize_t w = write(p->pipe, piece.p + n, piece.len - n);
        if (w >= 0) {
            n += (size_t)w;
        } else if (errno == EAGAIN) {
            wait_for_pipe(v, p);
            return n;
        } else if (errno != EINTR) {
            p->broken = true; /* upload.end says why */
        }
    }
    return piece.len;
}

bool upload_tick(struct web *w)
{
    struct passing *ready = NULL;
    (void)w;
    pthread_mutex_lock(&waiting.lock);
    for (struct passing **at = &waiting.first; *at != NULL;) {
        struct passing *p = *at;
        struct pollfd f = {.fd = p->pipe, .events = POLLOUT};
        pthread_mutex_lock(&p->v->lock);
        bool gone = p->v->call == NULL;
        pthread_mutex_unlock(&p->v->lock);
        if (gone || poll(&f, 1, 0) != 0) {
            *at = p->next;
            p->next = ready;
            ready = p;
        } else {
            at = &p->next;
        }
    }
    bool some = waiting.first != NULL;
    pthread_mutex_unlock(&waiting.lock);
    while (ready != NULL) {
        struct visit *v = ready->v;
        ready = ready->next;
        visit_resume(v);
        visit_unref(v);
    }
    return some;
}

void serve_upload_end(struct visit *v)
{
    struct err e;
    struct passing *p = v->state;
    if (p == NULL || p->pipe < 0) { /* no body, so nobody asked the gate */
        reply_error(v, 411, "an upload needs its file as the body, with a Content-Length");
        return;
    }
    CLEANUP(js_free) json_t *q = js_new();
    fd_close(&p->pipe);
    js_set_str(q, "op", "upload.end");
    js_set_int(q, "upload", p->upload);
    v->again = answered;
    if (visit_ask(v, v->w->gate, q, WEB_GATE_PATIENCE, on_answer, &e) < 0) {
        reply_fault(v, &e);
    }
}
