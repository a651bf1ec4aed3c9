/* api.c - what web passes on: operations over the network, and uploads. */
#include "serve/gate.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "serve/http_text.h"

#define API "/api/v1/"
#define CALLS 32u                       /* at once */
#define WEB_FRAME (8 * LIMIT_REQUEST)   /* a body, escaped in JSON */
#define UPLOADS 64u                     /* at once */
#define UPLOAD_KEPT (10 * CLOCK_MINUTE) /* for an end that does not come */
#define UPLOAD_IDLE (60 * CLOCK_SECOND)

/* ---- one call ---- */

static unsigned may_of(const char *role)
{
    if (strcmp(role, "release") == 0) {
        return GATE_BUILD | GATE_RELEASE;
    }
    return strcmp(role, "build") == 0 ? GATE_BUILD : GATE_RESPONDER;
}

static json_t *reply(int r, json_t *take, const struct err *e)
{
    json_t *out = js_new();
    json_t *body = r < 0 ? ipc_error(e) : take != NULL ? take : js_new();
    js_set_int(out, "status", r < 0 ? http_status(r) : 200);
    js_set(out, "json", body);
    return out;
}

/* Batches that operators hold over the network, by operator; under net_lock. */
static struct gate_batch **batches_of(struct gate *g, const char *who)
{
    for (size_t i = 0; i < ARRAY_LEN(g->net); i++) {
        if (strcmp(g->net[i].who, who) == 0) {
            return &g->net[i].batches;
        }
    }
    struct gate_net *n = &g->net[g->net_next++ % ARRAY_LEN(g->net)];
    gate_batches_drop(&n->batches); /* the oldest operator's, who has not come back */
    snprintf(n->who, sizeof n->who, "%s", who);
    return &n->batches;
}

static int run_op(struct gate *g, const struct gate_op *op, const char *who, json_t *body,
                  json_t **answer, struct err *e)
{
    struct ipc_msg m = {.body = body};
    struct gate_call c = {g, &m, -1, who, NULL};
    if ((op->may & GATE_BUILD) ==
        0) { /* a recall does not wait while another's files are scanned */
        return op->run(&c, answer, e);
    }
    pthread_mutex_lock(&g->net_lock);
    c.batches = batches_of(g, who);
    int r = op->run(&c, answer, e);
    pthread_mutex_unlock(&g->net_lock);
    return r;
}

int gate_api(struct gate *g, const json_t *request, json_t **answer, struct err *e)
{
    struct account_operator who;
    const char *path = NULL, *text = js_str_or(request, "body", "");
    struct digest d = digest_of(span_str(text));
    CLEANUP(js_free) json_t *body = NULL;
    int r = js_str(request, "path", &path, e);
    r = r < 0 ? r : gate_operator(g, request, &d, &who, e);
    if (r < 0) {
        return r;
    }
    const struct gate_op *op =
        strncmp(path, API, strlen(API)) == 0 ? gate_op_find(path + strlen(API)) : NULL;
    if (op == NULL || op->may == GATE_LOCAL) {
        return err_set(e, ERR_NOTFOUND, "%.80s is no operation of the network interface", path);
    }
    if ((op->may & may_of(who.role)) == 0) {
        return err_set(e, ERR_DENIED, "an operator of role %s may not %s", who.role, op->op);
    }
    r = js_parse(span_str(text[0] != 0 ? text : "{}"), LIMIT_REQUEST, "the request", &body, e);
    if (r == 0 && !json_is_object(body)) {
        r = err_set(e, ERR_FORMAT, "the request is no JSON object");
    }
    return r < 0 ? r : run_op(g, op, who.name, body, answer, e);
}

/* ---- uploads ---- */

struct upload {
    struct upload *next;
    struct gate *g;
    uint64_t id;
    pthread_t thread;
    int fd; /* the pipe's read end */
    char who[LIMIT_NAME + 1];
    struct digest sha256; /* as signed */
    json_t *body;         /* {batch, files: [{path, source}]} */
    json_t *results;
    int code;
    struct err e;
    int64_t over; /* when its thread was; 0: it works; under the gate's lock */
};

static int upload_take(struct upload *u, struct err *e)
{
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    uint64_t max = (uint64_t)settings_number(u->g->settings, SETTING_SCAN_MAX_FILE);
    int r = blob_stage_stream(u->g->blobs, u->fd, max, UPLOAD_IDLE, &b, e);
    if (r < 0) {
        return err_wrap(e, r, "receive the upload");
    }
    if (!digest_eq(&b.d.sha256, &u->sha256)) {
        return err_set(e, ERR_TRUST, "what arrived is not what was signed; send it again");
    }
    struct ipc_msg m = {.body = u->body, .fds = {b.fd}, .n_fds = 1};
    pthread_mutex_lock(&u->g->net_lock);
    struct gate_call c = {u->g, &m, -1, u->who, batches_of(u->g, u->who)};
    r = gate_op_find("admit.files")->run(&c, &u->results, e);
    pthread_mutex_unlock(&u->g->net_lock);
    return r;
}

static void *upload_thread(void *ctx)
{
    struct upload *u = ctx;
    u->code = upload_take(u, &u->e);
    fd_close(&u->fd); /* a writer that goes on gets EPIPE */
    pthread_mutex_lock(&u->g->lock);
    u->over = clock_boot();
    pthread_mutex_unlock(&u->g->lock);
    return NULL;
}

static void upload_free(struct upload *u)
{
    fd_close(&u->fd);
    js_free(&u->body);
    js_free(&u->results);
    free(u);
}

static size_t uploads_open(struct gate *g)
{
    size_t n = 0;
    pthread_mutex_lock(&g->lock);
    for (const struct upload *u = g->uploads; u != NULL; u = u->next) {
        n++;
    }
    pthread_mutex_unlock(&g->lock);
    return n;
}

/* A client that went away in the middle never asks for the end of its upload. */
void gate_uploads_sweep(struct gate *g)
{
    struct upload *gone = NULL;
    int64_t now = clock_boot();
    pthread_mutex_lock(&g->lock);
    for (struct upload **at = &g->uploads; *at != NULL;) {
        struct upload *u = *at;
        if (u->over != 0 && now - u->over > UPLOAD_KEPT) {
            *at = u->next;
            u->next = gone;
            gone = u;
        } else {
            at = &u->next;
        }
    }
    pthread_mutex_unlock(&g->lock);
    while (gone != NULL) {
        struct upload *u = gone;
        gone = u->next;
        pthread_join(u->thread, NULL);
        upload_free(u);
    }
}

/* The signed query is batch=N&path=P&sha256=H; the body itself goes through the pipe. */
static int upload_query(const json_t *request, struct upload *u, struct err *e)
{
    struct span rest = span_str(js_str_or(request, "query", "")), pair;
    json_t *file = js_new(), *files = js_list();
    uint64_t batch = 0;
    int r = 0;
    u->body = js_new();
    js_add(files, file);
    js_set(u->body, "files", files);
    while (r == 0 && span_cut(&rest, '&', &pair)) {
        struct span value = pair, name;
        (void)span_cut(&value, '=', &name);
        CLEANUP(mem_free) char *text = mem_text(value.p, value.len);
        if (span_is(name, "batch")) {
            r = text_u64(value, INT64_MAX, &batch, e);
            js_set_int(u->body, "batch", (int64_t)batch);
        } else if (span_is(name, "path")) {
            js_set_str(file, "path", text); /* target names need no percent-encoding */
            js_set_str(file, "source", text);
        } else if (span_is(name, "sha256")) {
            r = digest_parse(value, &u->sha256, e);
        }
    }
    return r;
}

static int upload_begin(struct gate *g, struct ipc_msg *m, json_t **answer, struct err *e)
{
    struct account_operator who;
    struct upload *u = mem_new(struct upload);
    int pipe[2] = {-1, -1};
    u->g = g;
    u->fd = -1;
    int r = upload_query(m->body, u, e);
    r = r < 0 ? r : gate_operator(g, m->body, &u->sha256, &who, e);
    if (r == 0 && (may_of(who.role) & GATE_BUILD) == 0) {
        r = err_set(e, ERR_DENIED, "an operator of role %s may not upload", who.role);
    }
    if (r == 0 && uploads_open(g) >= UPLOADS) {
        r = err_set(e, ERR_UNAVAIL, "too many uploads at once; try again");
    }
    if (r == 0 && pipe2(pipe, O_CLOEXEC) < 0) {
        r = err_sys(e, "make a pipe");
    }
    if (r == 0) {
        u->fd = pipe[0];
        snprintf(u->who, sizeof u->who, "%s", who.name);
        r = ipc_answer_take_fd(m, pipe[1], e);
    }
    if (r == 0 && pthread_create(&u->thread, NULL, upload_thread, u) != 0) {
        r = err_set(e, ERR_UNAVAIL, "no thread for the upload; try again");
    }
    if (r < 0) {
        upload_free(u);
        return r;
    }
    pthread_mutex_lock(&g->lock);
    u->id = ++g->batch_next;
    u->next = g->uploads;
    g->uploads = u;
    pthread_mutex_unlock(&g->lock);
    *answer = js_new();
    js_set_int(*answer, "upload", (int64_t)u->id);
    return 0;
}

static int upload_end(struct gate *g, struct ipc_msg *m, json_t **answer, struct err *e)
{
    uint64_t id = 0;
    int r = js_u64(m->body, "upload", &id, e);
    if (r < 0) {
        return r;
    }
    struct upload *u = NULL;
    pthread_mutex_lock(&g->lock);
    for (struct upload **at = &g->uploads; *at != NULL; at = &(*at)->next) {
        if ((*at)->id == id) {
            u = *at;
            *at = u->next;
            break;
        }
    }
    pthread_mutex_unlock(&g->lock);
    if (u == NULL) {
        return err_set(e, ERR_NOTFOUND, "no upload %llu", (unsigned long long)id);
    }
    pthread_join(u->thread, NULL);
    r = u->code;
    if (r < 0) {
        *e = u->e;
    } else {
        *answer = json_incref(u->results);
    }
    upload_free(u);
    return r;
}

/* ---- the peer web ---- */

struct passed {
    struct gate *g;
    struct ipc_msg m;
};

static void answer_web(struct passed *p)
{
    struct err e, late;
    json_t *answer = NULL, *out = NULL;
    const char *op = js_str_or(p->m.body, "op", "");
    int r = 0;
    if (strcmp(op, "api") == 0) {
        r = gate_api(p->g, p->m.body, &answer, &e);
        out = reply(r, answer, &e);
        r = 0;
    } else if (strcmp(op, "upload.begin") == 0) {
        r = upload_begin(p->g, &p->m, &out, &e);
    } else if (strcmp(op, "upload.end") == 0) {
        r = upload_end(p->g, &p->m, &answer, &e);
        out = reply(r, answer, &e);
        r = 0;
    } else if (strcmp(op, "sums") == 0) {
        r = release_sums(p->g->release, js_str_or(p->m.body, "product", ""),
                         js_str_or(p->m.body, "version", ""), &out, &e);
    } else {
        r = err_set(&e, ERR_DENIED, "web may not ask for %.40s", op);
    }
    CLEANUP(js_free) json_t *body = r < 0 ? ipc_error(&e) : out;
    pthread_mutex_lock(&p->g->web_lock);
    if (ipc_send(p->g->web, p->m.seq, body, p->m.back, p->m.n_back, &late) < 0) {
        log_warn("api", "web not answered: %s", late.text);
    }
    pthread_mutex_unlock(&p->g->web_lock);
}

static void *passed_thread(void *ctx)
{
    struct passed *p = ctx;
    answer_web(p);
    pthread_mutex_lock(&p->g->lock);
    p->g->calls--;
    pthread_mutex_unlock(&p->g->lock);
    ipc_msg_clear(&p->m);
    free(p);
    return NULL;
}

static void pass_on(struct gate *g, struct ipc_msg *take)
{
    pthread_t t;
    pthread_attr_t detached;
    struct passed *p = mem_new(struct passed);
    *p = (struct passed){g, *take};
    pthread_mutex_lock(&g->lock);
    bool ok = g->calls < CALLS;
    g->calls += ok;
    pthread_mutex_unlock(&g->lock);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    if (ok && pthread_create(&t, &detached, passed_thread, p) == 0) {
        pthread_attr_destroy(&detached);
        return;
    }
    pthread_attr_destroy(&detached);
    struct err e, late;
    err_set(&e, ERR_UNAVAIL, "too many requests at once; try again");
    CLEANUP(js_free) json_t *body = ipc_error(&e);
    pthread_mutex_lock(&g->web_lock);
    if (ipc_send(g->web, p->m.seq, body, NULL, 0, &late) < 0) {
        log_warn("api", "web not answered: %s", late.text);
    }
    pthread_mutex_unlock(&g->web_lock);
    pthread_mutex_lock(&g->lock);
    g->calls -= ok;
    pthread_mutex_unlock(&g->lock);
    ipc_msg_clear(&p->m);
    free(p);
}

void *gate_web_thread(void *ctx)
{
    struct gate *g = ctx;
    struct err e;
    for (;;) {
        struct ipc_msg m = {0};
        if (ipc_recv_most(g->web, -1, WEB_FRAME, &m, &e) < 0) {
            log_info("api", "web left: %s", e.text);
            return NULL;
        }
        pass_on(g, &m);
    }
}
