/* operator.c - requests that operators signed: checked here, not by web, so that a taken web
 * process can neither make one nor use one twice. */
#include "serve/gate.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/reader.h"
#include "base/text.h"

#define SKEW (5 * 60 * CLOCK_SECOND)
#define KEEP (3 * SKEW) /* the time check refuses what is older */
#define NONCE ((size_t)32)
#define NONCES "run/nonces" /* "MICROSECONDS NONCE NAME" a line: a restart must not forget them */
#define NONCES_MAX ((size_t)16 << 20)

/* What is signed: one line each, the body by its digest. */
static void signed_text(struct buf *out, const json_t *request, const char *time, const char *nonce,
                        const struct digest *body)
{
    char hex[DIGEST_TEXT + 1];
    const char *query = js_str_or(request, "query", "");
    buf_fmt(out, "cordon-request/v1\n%s\n%s%s%s\n%s\n%s\n%s\n", js_str_or(request, "method", ""),
            js_str_or(request, "path", ""), query[0] != 0 ? "?" : "", query, time, nonce,
            digest_text(body, hex));
}

static bool is_nonce(const char *s)
{
    return strlen(s) == NONCE && strspn(s, "0123456789abcdef") == NONCE;
}

/* Everything that is still of use goes to a new file; under `lock`, or before there are threads. */
static int nonces_write(struct gate *g, int64_t now, struct err *e)
{
    CLEANUP(buf_clear) struct buf text = BUF(NONCES_MAX);
    const char *key;
    json_t *at;
    void *next;
    json_object_foreach_safe(g->nonces, next, key, at)
    {
        if (json_integer_value(at) < now - KEEP) {
            json_object_del(g->nonces, key);
        } else {
            buf_fmt(&text, "%lld %s\n", (long long)json_integer_value(at), key);
        }
    }
    fd_close(&g->nonces_fd);
    int r = file_write(g->boot.site, NONCES, buf_view(&text), 0600, e);
    if (r == 0) {
        g->nonces_fd = openat(g->boot.site, NONCES, O_WRONLY | O_APPEND | O_CLOEXEC);
        r = g->nonces_fd < 0 ? err_sys(e, "open " NONCES) : 0;
    }
    g->nonces_size = text.len;
    return r;
}

int gate_nonces_open(struct gate *g, struct err *e)
{
    CLEANUP(buf_clear) struct buf text = BUF(NONCES_MAX);
    struct span line;
    int r = file_read(g->boot.site, NONCES, NONCES_MAX, &text, e);
    if (r < 0 && r != ERR_NOTFOUND) {
        return r;
    }
    struct span rest = buf_view(&text);
    while (span_cut(&rest, '\n', &line)) {
        uint64_t at = 0;
        struct span number, key = line;
        if (span_cut(&key, ' ', &number) && key.len > 0 &&
            text_u64(number, INT64_MAX, &at, NULL) == 0) {
            CLEANUP(mem_free) char *name = mem_text(key.p, key.len);
            js_set_int(g->nonces, name, (int64_t)at);
        } /* else a torn last line: that request was not carried out */
    }
    return nonces_write(g, clock_now(), e);
}

static int nonce_keep(struct gate *g, const char *key, int64_t now, struct err *e)
{
    CLEANUP(buf_clear) struct buf line = BUF(1024);
    buf_fmt(&line, "%lld %s\n", (long long)now, key);
    js_set_int(g->nonces, key, now);
    if (g->nonces_size + line.len > NONCES_MAX / 4) {
        return nonces_write(g, now, e);
    }
    int r = fd_write(g->nonces_fd, buf_view(&line), e);
    if (r == 0 && fdatasync(g->nonces_fd) < 0) {
        r = err_sys(e, "write " NONCES);
    }
    g->nonces_size = r < 0 ? NONCES_MAX : g->nonces_size + line.len; /* half a line: write anew */
    return r;
}

/* Refuses what was used in the last minutes; else remembers it, over a restart too. */
static int nonce_use(struct gate *g, const char *who, const char *nonce, int64_t now, struct err *e)
{
    CLEANUP(mem_free) char *key = mem_printf("%s %s", nonce, who);
    pthread_mutex_lock(&g->lock);
    int r =
        json_object_get(g->nonces, key) != NULL
            ? err_set(e, ERR_DENIED, "the request is not signed as it must be: it was sent before")
            : nonce_keep(g, key, now, e);
    pthread_mutex_unlock(&g->lock);
    return r;
}

static int denied(struct err *e, const char *why)
{
    return err_set(e, ERR_DENIED, "the request is not signed as it must be: %s", why);
}

int gate_operator(struct gate *g, const json_t *request, const struct digest *body,
                  struct account_operator *who, struct err *e)
{
    const json_t *h = json_object_get(request, "headers");
    const char *name = js_str_or(h, "x-cordon-operator", "");
    const char *time = js_str_or(h, "x-cordon-time", "");
    const char *nonce = js_str_or(h, "x-cordon-nonce", "");
    const char *text = js_str_or(h, "x-cordon-signature", "");
    CLEANUP(buf_clear) struct buf sig = BUF(SIG_LEN);
    CLEANUP(buf_clear) struct buf message = BUF(16384);
    int64_t at = 0, now = clock_now();
    struct db *db = gate_db(g, e);
    if (db == NULL) {
        return e->code;
    }
    if (name[0] == 0 || text[0] == 0) {
        return denied(e, "headers X-Cordon-Operator, -Time, -Nonce and -Signature are needed");
    }
    if (!is_nonce(nonce) || clock_parse(span_str(time), &at, NULL) < 0) {
        return denied(e, "time or nonce is malformed");
    }
    if (at > now + SKEW || at < now - SKEW) {
        return denied(e, "its time is more than five minutes off; check the clock");
    }
    signed_text(&message, request, time, nonce, body);
    if (account_operator(db, name, who, NULL) < 0 ||
        text_unbase64(span_str(text), &sig, NULL) < 0 || sig.len != SIG_LEN || message.fault != 0 ||
        !sig_ok(&who->key, buf_view(&message), sig.p)) {
        return denied(e, "no such operator, or the signature does not hold");
    }
    return nonce_use(g, name, nonce, now, e);
}
