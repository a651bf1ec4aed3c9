/* client.c - how gate and recorder ask. */
#include "signer/signer_priv.h"

static void set_head(json_t *j, const char *name, const struct tlog_head *head)
{
    json_t *h = js_new();
    js_set_int(h, "size", (int64_t)head->size);
    js_set_sha256(h, "root", &head->root);
    js_set(j, name, h);
}

int signer_last(struct ipc_client *c, struct tlog_head *out, struct err *e)
{
    CLEANUP(js_free) json_t *q = js_new();
    CLEANUP(js_free) json_t *a = NULL;
    js_set_str(q, "op", "last");
    int r = ipc_call(c, q, NULL, &a, e);
    r = r < 0 ? r : js_u64(a, "size", &out->size, e);
    return r < 0 ? r : js_sha256(a, "root", &out->root, e);
}

int signer_checkpoint(struct ipc_client *c, const struct tlog_head *from,
                      const struct tlog_head *head, const struct tlog_hashes *proof,
                      struct buf *note, struct err *e)
{
    CLEANUP(js_free) json_t *q = js_new();
    CLEANUP(js_free) json_t *a = NULL;
    json_t *list = js_list();
    const char *text = NULL;
    js_set_str(q, "op", "checkpoint");
    set_head(q, "from", from);
    set_head(q, "head", head);
    for (size_t i = 0; i < proof->n; i++) {
        char hex[DIGEST_TEXT + 1];
        js_add_str(list, digest_text(&proof->h[i], hex));
    }
    js_set(q, "proof", list);
    int r = ipc_call(c, q, NULL, &a, e);
    r = r < 0 ? r : js_str(a, "note", &text, e);
    if (r == 0) {
        buf_str(note, text);
        r = buf_done(note, "a checkpoint", e);
    }
    return r;
}

int signer_docs(struct ipc_client *c, const json_t *request, struct tuf_docs *out, struct err *e)
{
    CLEANUP(js_free) json_t *a = NULL;
    json_t *list = NULL;
    struct tuf_docs docs = {0};
    int r = ipc_call(c, request, NULL, &a, e);
    r = r < 0 ? r : js_arr(a, "docs", &list, e);
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
        const json_t *d = json_array_get(list, i);
        const char *name = NULL, *bytes = NULL;
        struct buf b = BUF(LIMIT_JSON);
        r = js_str(d, "name", &name, e);
        r = r < 0 ? r : js_str(d, "bytes", &bytes, e);
        if (r == 0) {
            buf_str(&b, bytes);
            r = tuf_docs_take(&docs, name, &b, e);
        }
    }
    if (r < 0) {
        tuf_docs_clear(&docs);
        return r;
    }
    *out = docs;
    return 0;
}

int signer_verdict(struct ipc_client *c, const json_t *request, struct buf *envelope,
                   struct digest *sha256, struct err *e)
{
    CLEANUP(js_free) json_t *a = NULL;
    const char *text = NULL;
    int r = ipc_call(c, request, NULL, &a, e);
    r = r < 0 ? r : js_str(a, "envelope", &text, e);
    if (r == 0) {
        buf_str(envelope, text);
        r = buf_done(envelope, "an attestation", e);
    }
    if (r == 0) {
        *sha256 = digest_of(buf_view(envelope));
    }
    return r;
}
