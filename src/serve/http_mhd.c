/* http_mhd.c - libmicrohttpd behind http_server.h; nobody else calls it.
 *
 * Its ways that matter here (0.9.75): the first call of the access handler for a request is
 * repeated after a suspension in it; a reply in the first call closes the connection, so requests
 * without body are answered in the last; stopping while a connection is suspended aborts the
 * process; a suspended connection never times out; "completed" means that the kernel has it. */
#include "serve/http_server.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "serve/http_line.h"

#define POOL ((size_t)32 << 10)   /* request line, headers and the reply's headers */
#define BLOCK ((size_t)256 << 10) /* read at once from a reader */
#define IDLE 60u                  /* seconds without a byte */
#define HEADERS_MOST 512u /* what the library adds: status line, Date, Content-Length, ... */

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_handler handler;
    int listen;
    bool tls;
    struct lines *lines;
    pthread_mutex_t lock; /* of all below */
    bool stopping;
    struct http_call *suspended;
};

struct pair {
    char *name, *value;
};

struct http_call {
    struct http_server *server;
    struct MHD_Connection *mhd;
    struct line *line;
    struct conn *conn;
    char *target;
    const char *method;
    void *data;
    bool begun, has_body, taken, replied, is_suspended;
    struct http_call *next, *before; /* suspended */
    struct pair add[24];
    size_t n_add;
    struct http_reader reader;
    void (*release)(void *ctx);
    void *release_ctx;
    struct ack_mark mark;
    bool measured;
};

/* ---- connections ---- */

static void on_connection(void *cls, struct MHD_Connection *mhd, void **at,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *s = cls;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *i =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        *at = line_new(s->lines, i != NULL ? i->connect_fd : -1, s->tls);
    } else if (*at != NULL) {
        line_free(s->lines, *at);
        *at = NULL;
    }
}

void http_sweep(struct http_server *s)
{
    lines_sweep(s->lines);
}

unsigned http_open(struct http_server *s)
{
    return lines_open(s->lines);
}

/* ---- a call ---- */

/* The library asks for this before it decodes anything: the target as it was sent. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct http_call *c = mem_new(struct http_call);
    c->server = cls;
    c->mhd = mhd;
    c->target = mem_str(target);
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    c->line = i != NULL ? i->socket_context : NULL;
    c->conn = line_conn(c->line);
    return c;
}

const char *http_method(const struct http_call *c)
{
    return c->method;
}

struct span http_target(const struct http_call *c)
{
    return span_str(c->target);
}

const char *http_header(const struct http_call *c, const char *name)
{
    return MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, name);
}

struct joining {
    const char *name;
    struct buf all;
};

static enum MHD_Result join(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    struct joining *j = cls;
    if (strcasecmp(name, j->name) == 0 && value != NULL) {
        buf_fmt(&j->all, "%s%s", j->all.len > 0 ? "," : "", value);
    }
    return MHD_YES;
}

char *http_header_all(const struct http_call *c, const char *name)
{
    struct joining j = {.name = name, .all = BUF(POOL)};
    MHD_get_connection_values(c->mhd, MHD_HEADER_KIND, join, &j);
    char *out = j.all.len > 0 && j.all.fault == 0 ? mem_str(buf_text(&j.all)) : NULL;
    buf_clear(&j.all);
    return out;
}

const struct sockaddr *http_peer(const struct http_call *c)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return i != NULL ? i->client_addr : NULL;
}

struct conn *http_conn(struct http_call *c)
{
    return c->conn;
}

bool http_tls(const struct http_call *c)
{
    return c->server->tls;
}

bool http_stopping(const struct http_call *c)
{
    pthread_mutex_lock(&c->server->lock);
    bool yes = c->server->stopping;
    pthread_mutex_unlock(&c->server->lock);
    return yes;
}

void http_suspend(struct http_call *c)
{
    struct http_server *s = c->server;
    line_phase(c->server->lines, c->line, PHASE_WAIT);
    pthread_mutex_lock(&s->lock);
    if (s->stopping) {
        pthread_mutex_unlock(&s->lock);
        return; /* the end of the connection comes instead of a resume */
    }
    c->is_suspended = true;
    c->before = NULL;
    c->next = s->suspended;
    if (c->next != NULL) {
        c->next->before = c;
    }
    s->suspended = c;
    MHD_suspend_connection(c->mhd);
    pthread_mutex_unlock(&s->lock);
}

static void resume_locked(struct http_call *c)
{
    *(c->before != NULL ? &c->before->next : &c->server->suspended) = c->next;
    if (c->next != NULL) {
        c->next->before = c->before;
    }
    c->is_suspended = false;
    MHD_resume_connection(c->mhd);
}

void http_resume(struct http_call *c)
{
    struct http_server *s = c->server;
    pthread_mutex_lock(&s->lock);
    if (c->is_suspended) {
        resume_locked(c);
    }
    pthread_mutex_unlock(&s->lock);
}

static bool suspended_now(struct http_call *c)
{
    pthread_mutex_lock(&c->server->lock);
    bool yes = c->is_suspended;
    pthread_mutex_unlock(&c->server->lock);
    return yes;
}

static bool wants_body(const struct http_call *c)
{
    const char *length = http_header(c, "Content-Length");
    return http_header(c, "Transfer-Encoding") != NULL ||
           (length != NULL && strcmp(length, "0") != 0);
}

/* The library's repeated and last calls look alike; `taken` tells which of them this is. */
static void take_head(struct http_call *c)
{
    line_phase(c->server->lines, c->line, PHASE_WAIT);
    c->server->handler.head(c->data);
    if (!suspended_now(c) && !c->replied) {
        c->taken = true;
        line_phase(c->server->lines, c->line, PHASE_BODY);
    }
}

static size_t take_body(struct http_call *c, struct span piece)
{
    size_t n = c->replied ? piece.len : c->server->handler.body(c->data, piece);
    line_took(c->server->lines, c->line, n, suspended_now(c) ? PHASE_WAIT : PHASE_BODY);
    return n;
}

// NOLINTNEXTLINE(readability-function-size): the library fixes the parameters
static enum MHD_Result on_access(void *cls, struct MHD_Connection *mhd, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *size, void **at)
{
    (void)url;
    (void)version;
    (void)mhd;
    struct http_server *s = cls;
    struct http_call *c = *at;
    if (c == NULL) {
        return MHD_NO;
    }
    if (!c->begun) {
        c->begun = true;
        c->method = method;
        c->has_body = wants_body(c);
        c->taken = !c->has_body;
        c->data = s->handler.open(s->handler.ctx, c);
        if (!c->has_body) {
            return MHD_YES;
        }
    }
    if (c->conn == NULL) {
        return MHD_NO; /* no descriptor was left to watch it with */
    }
    if (!c->taken) {
        take_head(c);
    } else if (*size > 0) {
        *size -= take_body(c, span_of(data, *size));
    } else if (!c->replied) {
        line_phase(c->server->lines, c->line, PHASE_WAIT);
        s->handler.ready(c->data);
    }
    return MHD_YES;
}

static void on_done(void *cls, struct MHD_Connection *mhd, void **at,
                    enum MHD_RequestTerminationCode how)
{
    (void)mhd;
    struct http_server *s = cls;
    struct http_call *c = *at;
    *at = NULL;
    if (c == NULL) {
        return;
    }
    if (c->conn != NULL && c->replied) {
        struct conn_count n = conn_count(c->conn);
        c->mark.whole = how == MHD_REQUEST_TERMINATED_COMPLETED_OK;
        c->mark.end = n.written;
        if (c->mark.whole && !c->mark.tls && n.written >= c->mark.body) {
            c->mark.base = n.written - c->mark.body; /* nothing follows a body */
        }
    }
    if (c->data != NULL) {
        s->handler.done(c->data, &c->mark);
    }
    line_phase(c->server->lines, c->line, PHASE_HEAD);
    for (size_t i = 0; i < c->n_add; i++) {
        free(c->add[i].name);
        free(c->add[i].value);
    }
    conn_unref(&c->conn);
    free(c->target);
    free(c);
}

/* ---- replies ---- */

bool http_replied(const struct http_call *c)
{
    return c->replied;
}

/* A value with a line break would be two headers: it is cut there. */
void http_add(struct http_call *c, const char *name, const char *value)
{
    if (c->n_add < ARRAY_LEN(c->add)) {
        size_t n = strcspn(value, "\r\n");
        c->add[c->n_add++] = (struct pair){mem_str(name), mem_text(value, n)};
    }
}

static void queue(struct http_call *c, int status, struct MHD_Response *r, uint64_t body)
{
    uint64_t head = HEADERS_MOST;
    c->replied = true;
    if (r == NULL) {
        return; /* MHD_NO follows from a call without reply; the connection ends */
    }
    for (size_t i = 0; i < c->n_add; i++) {
        head += strlen(c->add[i].name) + strlen(c->add[i].value) + 4;
        if (MHD_add_response_header(r, c->add[i].name, c->add[i].value) != MHD_YES) {
            log_warn("http.header", "%s was not sent", c->add[i].name);
        }
    }
    c->mark = (struct ack_mark){
        .base = conn_count(c->conn).written + head, .body = body, .tls = c->server->tls};
    line_phase(c->server->lines, c->line, PHASE_SEND);
    if (MHD_queue_response(c->mhd, (unsigned)status, r) != MHD_YES) {
        conn_reset(c->conn);
    }
    MHD_destroy_response(r); /* our reference */
}

void http_reply_text(struct http_call *c, int status, struct span copy)
{
    static char nothing[1];
    char *p = nothing;
    if (copy.len > 0) {
        p = mem_text(copy.p, copy.len);
    }
    queue(c, status,
          MHD_create_response_from_buffer(
              copy.len, p, copy.len > 0 ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT),
          copy.len);
}

/* The library may keep a response a moment longer than the call: what it needs to let go of the
 * memory lives by itself. */
struct held {
    void (*release)(void *ctx);
    void *ctx;
    struct http_reader reader;
    struct conn *conn;
    struct http_call *call; /* valid while it reads */
};

static void held_free(void *cls)
{
    struct held *h = cls;
    h->release(h->ctx);
    conn_unref(&h->conn);
    free(h);
}

void http_reply_memory(struct http_call *c, int status, struct span s, void (*release)(void *ctx),
                       void *ctx)
{
    static uint8_t nothing[1];
    struct held *h = mem_new(struct held);
    *h = (struct held){.release = release, .ctx = ctx};
    union {
        const uint8_t *in;
        void *out; /* the library takes it as writable and only reads it */
    } p = {.in = s.len > 0 ? s.p : nothing};
    struct MHD_Response *r =
        MHD_create_response_from_buffer_with_free_callback_cls(s.len, p.out, held_free, h);
    if (r == NULL) {
        held_free(h);
    }
    queue(c, status, r, s.len);
}

static ssize_t on_read(void *cls, uint64_t at, char *out, size_t max)
{
    struct held *h = cls;
    if (!h->call->measured) { /* the headers are in the kernel now, and nothing of the body */
        h->call->measured = true;
        h->call->mark.base = conn_count(h->conn).written;
    }
    int64_t n = h->reader.read(h->reader.ctx, at, (uint8_t *)out, max);
    if (n <= 0) {
        conn_reset(h->conn);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    return (ssize_t)n;
}

void http_reply_reader(struct http_call *c, int status, uint64_t size, const struct http_reader *r)
{
    struct held *h = mem_new(struct held);
    *h = (struct held){
        .release = r->release, .ctx = r->ctx, .reader = *r, .conn = conn_ref(c->conn), .call = c};
    struct MHD_Response *m = MHD_create_response_from_callback(size, BLOCK, on_read, h, held_free);
    if (m == NULL) {
        held_free(h);
    }
    queue(c, status, m, size);
}

/* ---- start and stop ---- */

static void on_log(void *cls, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void on_log(void *cls, const char *fmt, va_list ap)
{
    (void)cls;
    char text[300];
    vsnprintf(text, sizeof text, fmt, ap);
    text[strcspn(text, "\n")] = 0;
    log_info("http.library", "%s", text);
}

/* Two descriptors a connection, and what a download keeps open. */
static void raise_limit(unsigned connections)
{
    struct rlimit l;
    rlim_t want = (rlim_t)connections * 4 + 256;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < want) {
        l.rlim_cur = want < l.rlim_max ? want : l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
        if (l.rlim_cur < want) {
            log_warn("http.limit", "%llu descriptors are allowed, %u connections may need %llu",
                     (unsigned long long)l.rlim_cur, connections, (unsigned long long)want);
        }
    }
}

int http_start(const struct http_opts *o, struct http_server **out, struct err *e)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME;
    struct http_server *s = mem_new(struct http_server);
    *s =
        (struct http_server){.handler = o->handler, .listen = o->listen, .tls = o->tls_pem != NULL};
    pthread_mutex_init(&s->lock, NULL);
    s->lines = lines_new();
    raise_limit(o->connections);
    char *pem = o->tls_pem != NULL ? mem_str(o->tls_pem) : NULL;
    static char versions[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE";
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_PRIORITIES, 0, versions},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, pem},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, pem},
        {MHD_OPTION_END, 0, NULL},
    };
    static const struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    *out = s; /* a handler may ask for it before we return */
    s->daemon = MHD_start_daemon(
        flags | (s->tls ? MHD_USE_TLS : 0), 0, NULL, NULL, on_access, s, MHD_OPTION_EXTERNAL_LOGGER,
        on_log, NULL, MHD_OPTION_LISTEN_SOCKET, o->listen, MHD_OPTION_THREAD_POOL_SIZE, o->threads,
        MHD_OPTION_CONNECTION_LIMIT, o->connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        o->per_address, MHD_OPTION_CONNECTION_TIMEOUT, IDLE, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        POOL, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_NOTIFY_COMPLETED, on_done, s,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, s, MHD_OPTION_ARRAY, s->tls ? tls : plain,
        MHD_OPTION_END);
    if (pem != NULL) {
        explicit_bzero(pem, strlen(pem)); /* the library has parsed it */
        free(pem);
    }
    if (s->daemon == NULL) {
        *out = NULL;
        lines_free(&s->lines);
        pthread_mutex_destroy(&s->lock);
        free(s);
        return err_set(e, ERR_SYS,
                       "start the HTTP library%s: see the line above; a certificate file must hold "
                       "the chain and the key as PEM",
                       o->tls_pem != NULL ? " with TLS" : "");
    }
    return 0;
}

void http_quiesce(struct http_server *s)
{
    if (s->listen >= 0 && MHD_quiesce_daemon(s->daemon) != MHD_INVALID_SOCKET) {
        fd_close(&s->listen);
    }
}

void http_stop(struct http_server **at)
{
    struct http_server *s = *at;
    if (s == NULL) {
        return;
    }
    http_quiesce(s);
    pthread_mutex_lock(&s->lock);
    s->stopping = true; /* nobody suspends from here on */
    while (s->suspended != NULL) {
        resume_locked(s->suspended);
    }
    pthread_mutex_unlock(&s->lock);
    MHD_stop_daemon(s->daemon);
    lines_free(&s->lines);
    pthread_mutex_destroy(&s->lock);
    free(s);
    *at = NULL;
}
