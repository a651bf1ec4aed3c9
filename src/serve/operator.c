/* operator.c - requests that operators signed: checked here, not by web, so that a taken web
 * process can neither make one nor use one twice. */
#include "serve/gate.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#define SKEW (5 * 60 * CLOCK_SECOND)
#define NONCE ((size_t)32)

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

/* False if it was seen in the last minutes. Forgets those that the time check refuses anyway. */
static bool nonce_fresh(struct gate *g, const char *who, const char *nonce, int64_t now)
{
    CLEANUP(mem_free) char *key = mem_printf("%s %s", nonce, who);
    const char *old;
    json_t *at;
    void *next;
    pthread_mutex_lock(&g->lock);
    bool fresh = json_object_get(g->nonces, key) == NULL;
    json_object_foreach_safe(g->nonces, next, old, at)
    {
        if (json_integer_value(at) < now - 3 * SKEW) {
            json_object_del(g->nonces, old);
        }
    }
    js_set_int(g->nonces, key, now);
    pthread_mutex_unlock(&g->lock);
    return fresh;
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
    return nonce_fresh(g, name, nonce, now) ? 0 : denied(e, "it was sent before");
}
