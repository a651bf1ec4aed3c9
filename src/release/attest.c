/* attest.c - signed statements that files were inspected and clean, kept as blobs. */
#include "release/release_priv.h"

#include "base/fd.h"
#include "base/mem.h"

#define GROUP ((size_t)100) /* files of one envelope */

static bool wants(const struct release_file *f)
{
    bool enters = f->fate == FATE_CLEAN || (f->fate == FATE_THERE && f->scanned);
    return enters && f->verdict == VERDICT_CLEAN && !f->attested;
}

/* One envelope names one rule set and one list of engines. */
static bool alike(const struct release_file *a, const struct release_file *b)
{
    return digest_eq(&a->rules, &b->rules) && json_equal(a->engines, b->engines);
}

static json_t *request_file(const struct release_file *f)
{
    json_t *j = js_new(), *result = js_new();
    js_set_str(result, "verdict", verdict_text(f->verdict));
    js_set_sha256(result, "sha256", &f->d.sha256);
    js_set_sha256(result, "rules", &f->rules);
    js_set(result, "engines", json_incref(f->engines));
    js_set_str(j, "name", f->path);
    js_set_sha256(j, "sha256", &f->d.sha256);
    js_set(j, "result", result);
    return j;
}

static int store(struct release *r, const struct buf *envelope, struct err *e)
{
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    int bad = blob_stage_span(r->o.blobs, buf_view(envelope), &b, e);
    return bad < 0 ? bad : blob_publish(r->o.blobs, &b, NULL, e);
}

static int attest_group(struct release_batch *b, struct release_file **group, size_t n,
                        struct err *e)
{
    CLEANUP(js_free) json_t *q = js_new();
    CLEANUP(buf_clear) struct buf envelope = BUF(LIMIT_DSSE);
    struct digest name;
    char began[CLOCK_TEXT], ended[CLOCK_TEXT];
    json_t *files = js_list();
    for (size_t i = 0; i < n; i++) {
        js_add(files, request_file(group[i]));
    }
    js_set_str(q, "op", "verdict");
    js_set(q, "files", files);
    js_set_str(q, "started", clock_text(b->began, true, began));
    js_set_str(q, "finished", clock_text(clock_now(), true, ended));
    int r = b->r->o.ports.verdict(b->r->o.ports.ctx, q, &envelope, &name, e);
    r = r < 0 ? r : store(b->r, &envelope, e);
    for (size_t i = 0; i < n && r == 0; i++) {
        group[i]->attestation = name;
        group[i]->attested = true;
    }
    return r;
}

int release_attest(struct release_batch *b, struct err *e)
{
    struct release_file *group[GROUP];
    int r = 0;
    for (size_t i = 0; i < b->n && r == 0; i++) {
        size_t n = 0;
        if (!wants(b->file[i])) {
            continue;
        }
        for (size_t k = i; k < b->n && n < GROUP; k++) {
            if (wants(b->file[k]) && alike(b->file[i], b->file[k])) {
                group[n++] = b->file[k];
            }
        }
        r = attest_group(b, group, n, e);
    }
    r = r < 0 ? r : blobstore_sync(b->r->o.blobs, e);
    return r < 0 ? err_wrap(e, r, "attest that the files are clean") : 0;
}

/* ---- reading them again ---- */

static int read_envelope(struct release *r, const struct digest *d, json_t *list, struct err *e)
{
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_DSSE);
    int bad = blob_reopen(r->o.blobs, d, &b, e);
    if (bad == 0 && b.size > LIMIT_DSSE) {
        bad = err_set(e, ERR_LIMIT, "an attestation of %llu bytes", (unsigned long long)b.size);
    }
    if (bad == 0 && b.size > 0) {
        uint8_t *room = buf_room(&text, b.size);
        ssize_t n = room == NULL ? -1 : fd_pread(b.fd, room, b.size, 0);
        bad = n < 0 ? err_sys(e, "read it") : 0;
        buf_added(&text, n < 0 ? 0 : (size_t)n);
    }
    if (bad == 0) {
        js_add_str(list, buf_text(&text));
    }
    char hex[DIGEST_TEXT + 1];
    return bad < 0 ? err_wrap(e, bad, "attestation %s", digest_text(d, hex)) : 0;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

int release_envelopes(struct release *r, const struct digest *d, size_t n, json_t **out,
                      struct err *e)
{
    CLEANUP(mem_free) struct digest *sorted = mem_array(struct digest, n + 1);
    CLEANUP(js_free) json_t *list = js_list();
    int bad = 0;
    for (size_t i = 0; i < n; i++) {
        sorted[i] = d[i];
    }
    qsort(sorted, n, sizeof *sorted, by_bytes);
    for (size_t i = 0; i < n && bad == 0; i++) {
        if (i == 0 || !digest_eq(&sorted[i], &sorted[i - 1])) {
            bad = read_envelope(r, &sorted[i], list, e);
        }
    }
    if (bad == 0) {
        *out = json_incref(list);
    }
    return bad;
}
