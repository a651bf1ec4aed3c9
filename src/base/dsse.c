/* dsse.c - envelopes: signed, and opened before their payload is parsed. */
#include "base/dsse.h"

#include "base/limits.h"
#include "base/text.h"

#define SIGNATURES 64 /* looked at; each costs one pass over the payload */

void dsse_pae(struct buf *out, struct span type, struct span payload)
{
    buf_fmt(out, "DSSEv1 %zu ", type.len);
    buf_span(out, type);
    buf_fmt(out, " %zu ", payload.len);
    buf_span(out, payload);
}

void dsse_keyid(const struct sig_public *key, char out[static DIGEST_TEXT + 1])
{
    struct digest d = digest_of(span_of(key->b, sizeof key->b));
    digest_text(&d, out);
}

static json_t *base64(struct span s)
{
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_DSSE * 2);
    text_base64(&b, s);
    return js_text(buf_text(&b));
}

int dsse_sign(const struct sig_by *by, const char *type, struct span payload, struct buf *out,
              struct err *e)
{
    if (payload.len > LIMIT_DSSE / 2) { /* base64 and braces must fit what dsse_open() takes */
        return err_set(e, ERR_LIMIT, "attestation of %zu bytes, at most %zu", payload.len,
                       LIMIT_DSSE / 2);
    }
    CLEANUP(buf_clear) struct buf pae = BUF(LIMIT_DSSE);
    dsse_pae(&pae, span_str(type), payload);
    int r = buf_done(&pae, "attestation to sign", e);
    if (r < 0) {
        return r;
    }
    uint8_t sig[SIG_LEN];
    r = by->sign(by->ctx, buf_view(&pae), sig, e);
    if (r < 0) {
        return err_wrap(e, r, "sign attestation");
    }
    char keyid[DIGEST_TEXT + 1];
    dsse_keyid(&by->key, keyid);
    CLEANUP(js_free) json_t *o = js_new();
    json_t *one = js_new(), *list = js_list();
    js_set(o, "payload", base64(payload));
    js_set_str(o, "payloadType", type);
    js_set_str(one, "keyid", keyid);
    js_set(one, "sig", base64(span_of(sig, sizeof sig)));
    js_add(list, one);
    js_set(o, "signatures", list);
    js_write(out, o);
    return buf_done(out, "attestation", e);
}

/* A key id is a hint that only spares work: without one the signature is tried. */
static bool holds(const json_t *one, const char *keyid, const struct sig_public *key,
                  struct span pae)
{
    const char *id = js_str_or(one, "keyid", ""), *text = js_str_or(one, "sig", "");
    if (*id != '\0' && strcmp(id, keyid) != 0) {
        return false;
    }
    CLEANUP(buf_clear) struct buf sig = BUF(SIG_LEN);
    return text_unbase64(span_str(text), &sig, NULL) == 0 && sig.len == SIG_LEN &&
           sig_ok(key, pae, sig.p);
}

static int check(const json_t *list, const struct sig_public *key, struct span pae, struct err *e)
{
    char keyid[DIGEST_TEXT + 1];
    dsse_keyid(key, keyid);
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n && i < SIGNATURES; i++) {
        if (holds(json_array_get(list, i), keyid, key, pae)) {
            return 0;
        }
    }
    return err_set(e, ERR_TRUST, "attestation has no valid signature by key %.16s", keyid);
}

int dsse_open(struct span envelope, const char *type, const struct sig_public *key,
              struct buf *payload, struct err *e)
{
    CLEANUP(js_free) json_t *o = NULL;
    const char *text = NULL, *its_type = NULL;
    json_t *list = NULL;
    int r = js_parse(envelope, LIMIT_DSSE, "attestation", &o, e);
    r = r < 0 ? r : js_str(o, "payload", &text, e);
    r = r < 0 ? r : js_str(o, "payloadType", &its_type, e);
    r = r < 0 ? r : js_arr(o, "signatures", &list, e);
    if (r < 0) {
        return err_wrap(e, r, "attestation envelope");
    }
    CLEANUP(buf_clear) struct buf body = BUF(LIMIT_DSSE), pae = BUF(LIMIT_DSSE * 2);
    r = text_unbase64(span_str(text), &body, e);
    if (r < 0) {
        return err_wrap(e, r, "payload of an attestation");
    }
    dsse_pae(&pae, span_str(its_type), buf_view(&body));
    r = buf_done(&pae, "attestation", e);
    r = r < 0 ? r : check(list, key, buf_view(&pae), e);
    if (r < 0) {
        return r;
    }
    if (strcmp(its_type, type) != 0) {
        return err_set(e, ERR_TRUST, "attestation of type \"%s\" where \"%s\" is due", its_type,
                       type);
    }
    buf_span(payload, buf_view(&body));
    return buf_done(payload, "payload of an attestation", e);
}
