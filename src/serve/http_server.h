/* http_server.h - an HTTP/1.1 server, without a word about the library behind it.
 *
 * The server has a few threads; each owns some connections. A handler is called on the thread of
 * its connection and must not wait there: what takes time suspends the call and resumes it from
 * another thread. Whoever suspends sees to it that somebody resumes, within a deadline.
 *
 * A request without body: ready(), again after each resume, until it replied. A request with body:
 * head() first, again after each resume, until it returns without suspending; if it did not reply,
 * body() for each piece, then ready(). done() comes last, once, whatever happened. */
#pragma once
#include <sys/socket.h>

#include "base/span.h"
#include "serve/http_conn.h"

struct http_server;
struct http_call;

struct http_handler {
    void *ctx;
    void *(*open)(void *ctx, struct http_call *c); /* the call's own data, never NULL */
    void (*head)(void *data);
    size_t (*body)(void *data, struct span piece); /* bytes taken; fewer only when it suspended */
    void (*ready)(void *data);
    void (*done)(void *data, const struct ack_mark *mark); /* frees its data */
};

struct http_opts {
    int listen; /* taken */
    unsigned threads, connections, per_address;
    const char *tls_pem; /* certificate chain and key in one text; NULL: plain */
    struct http_handler handler;
};
/* *out is set before the first request is handled. */
MUST_CHECK int http_start(const struct http_opts *o, struct http_server **out, struct err *e);

/* To be called about once a second: ends connections that are too slow to ask or to read. */
void http_sweep(struct http_server *s);

/* No new connections from here on; those that are open finish what they are at. */
void http_quiesce(struct http_server *s);
unsigned http_open(struct http_server *s); /* connections */
/* Resumes all that is suspended, ends all connections, calls every done(). */
void http_stop(struct http_server **at);

/* ---- about the request; on the connection's thread only ---- */

const char *http_method(const struct http_call *c);
struct span http_target(const struct http_call *c); /* as it was sent, undecoded */
const char *http_header(const struct http_call *c, const char *name); /* or NULL */
/* All header lines of that name with commas between them, as one line would say it; NULL or to be
 * freed. */
char *http_header_all(const struct http_call *c, const char *name);
const struct sockaddr *http_peer(const struct http_call *c);
struct conn *http_conn(struct http_call *c); /* borrowed */
bool http_tls(const struct http_call *c);

/* ---- suspend and resume ---- */

void http_suspend(struct http_call *c);
void http_resume(struct http_call *c); /* any thread; nothing happens if it is not suspended */
bool http_stopping(const struct http_call *c); /* then never suspend: reply */

/* ---- the reply, once; on the connection's thread only ---- */

void http_add(struct http_call *c, const char *name, const char *value);
bool http_replied(const struct http_call *c);

void http_reply_text(struct http_call *c, int status, struct span copy);
/* From memory that stays as it is until release(). */
void http_reply_memory(struct http_call *c, int status, struct span s, void (*release)(void *ctx),
                       void *ctx);
/* From a function: bytes written to `out`, at least one, or negative: the connection is reset. */
struct http_reader {
    int64_t (*read)(void *ctx, uint64_t at, uint8_t *out, size_t max);
    void (*release)(void *ctx);
    void *ctx;
};
void http_reply_reader(struct http_call *c, int status, uint64_t size, const struct http_reader *r);
