/* log_signer.c - signs checkpoints for the recorder and attestations for the gate. */
#include "signer/signer_priv.h"

#include "base/dsse.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"

/* state/log.json is written before a checkpoint leaves, so that no two trees that contradict are
 * ever signed, whatever happens to the log's folder. */
static int save_last(struct signer *s, const struct tlog_head *head, struct err *e)
{
    CLEANUP(js_free) json_t *j = js_new();
    CLEANUP(buf_clear) struct buf b = BUF(1000);
    js_set_int(j, "size", (int64_t)head->size);
    js_set_sha256(j, "root", &head->root);
    js_write(&b, j);
    int r = file_write(s->boot->site, SIGNER_STATE_LOG, buf_view(&b), 0600, e);
    if (r == 0) {
        s->last = *head;
    }
    return r;
}

static int head_from(const json_t *j, struct tlog_head *out, struct err *e)
{
    int r = js_u64(j, "size", &out->size, e);
    return r < 0 ? r : js_sha256(j, "root", &out->root, e);
}

int signer_open_log(struct signer *s, struct err *e)
{
    CLEANUP(buf_clear) struct buf b = BUF(1000);
    CLEANUP(js_free) json_t *j = NULL;
    int r = key_load(s->keys, &s->boot->sub, "log", &s->log, e);
    r = r < 0 ? r : key_load(s->keys, &s->boot->sub, "verdict", &s->verdict, e);
    r = r < 0 ? r : file_read(s->boot->site, SIGNER_STATE_LOG, 1000, &b, e);
    r = r < 0 ? r : js_parse(buf_view(&b), 1000, SIGNER_STATE_LOG, &j, e);
    r = r < 0 ? r : head_from(j, &s->last, e);
    return r < 0 ? err_wrap(e, r, "open the log's signer") : 0;
}

static int on_last(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                   struct err *e)
{
    (void)peer;
    (void)m;
    (void)e;
    const struct signer *s = ctx;
    *answer = js_new();
    js_set_int(*answer, "size", (int64_t)s->last.size);
    js_set_sha256(*answer, "root", &s->last.root);
    return 0;
}

static int proof_from(const json_t *body, struct tlog_hashes *out, struct err *e)
{
    json_t *list = NULL;
    int r = js_arr(body, "proof", &list, e);
    if (r == 0 && json_array_size(list) > TLOG_HASHES) {
        r = err_set(e, ERR_LIMIT, "a proof of %zu hashes", json_array_size(list));
    }
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
        const char *hex = json_string_value(json_array_get(list, i));
        r = digest_parse(hex == NULL ? SPAN_NONE : span_str(hex), &out->h[i], e);
        out->n = i + 1;
    }
    return r;
}

static int on_checkpoint(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                         struct err *e)
{
    (void)peer;
    struct signer *s = ctx;
    struct tlog_hashes proof = {0};
    struct tlog_checkpoint c = {0};
    struct sig_by by = key_signer(s->log);
    CLEANUP(buf_clear) struct buf note = BUF(LIMIT_NOTE);
    int r = head_from(json_object_get(m->body, "head"), &c.head, e);
    r = r < 0 ? r : proof_from(m->body, &proof, e);
    if (r == 0 && s->last.size > 0) {
        r = tlog_check_consistency(&s->last, &c.head, &proof, e);
    }
    if (r == 0 && c.head.size < s->last.size) {
        r = err_set(e, ERR_TRUST, "the log shrank from %llu to %llu entries",
                    (unsigned long long)s->last.size, (unsigned long long)c.head.size);
    }
    snprintf(c.origin, sizeof c.origin, "%s", s->boot->name);
    r = r < 0 ? r : save_last(s, &c.head, e);
    r = r < 0 ? r : tlog_checkpoint_sign(&c, &by, &note, e);
    if (r < 0) {
        return err_wrap(e, r, "no checkpoint");
    }
    *answer = js_new();
    js_set_str(*answer, "note", buf_text(&note));
    return 0;
}

static int on_verdict(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                      struct err *e)
{
    (void)peer;
    struct signer *s = ctx;
    struct sig_by by = key_signer(s->verdict);
    CLEANUP(buf_clear) struct buf statement = BUF(LIMIT_DSSE / 2);
    CLEANUP(buf_clear) struct buf envelope = BUF(LIMIT_DSSE);
    int r = signer_statement(m->body, &statement, e);
    r = r < 0 ? r : dsse_sign(&by, SIGNER_DSSE, buf_view(&statement), &envelope, e);
    if (r < 0) {
        return r;
    }
    struct digest d = digest_of(buf_view(&envelope));
    *answer = js_new();
    js_set_str(*answer, "envelope", buf_text(&envelope));
    js_set_sha256(*answer, "sha256", &d);
    return 0;
}

const struct ipc_op signer_ops_recorder[] = {{"last", on_last}, {"checkpoint", on_checkpoint}};
const size_t signer_ops_recorder_n = ARRAY_LEN(signer_ops_recorder);
const struct ipc_op signer_ops_gate_log[] = {{"verdict", on_verdict}};
const size_t signer_ops_gate_log_n = ARRAY_LEN(signer_ops_gate_log);
