/* push.c - signatures and metadata for what the log says: the last steps of every change. */
#include "release/release_priv.h"

#include "base/mem.h"

/* Targets of one request, so that request and answer stay below the limit of a frame. */
#define REQUEST_TARGETS ((size_t)50000)

static json_t *target_json(const struct release_add *a)
{
    json_t *j = js_new();
    js_set_str(j, "path", a->path);
    js_set_int(j, "length", (int64_t)a->size);
    js_set_sha256(j, "sha256", &a->sha256);
    js_set_sha256(j, "chunks", &a->chunk_root);
    js_set_sha256(j, "verdict", &a->attestation);
    js_set_int(j, "log", (int64_t)a->log);
    return j;
}

static json_t *text_list(const char *const *text, size_t n)
{
    json_t *list = js_list();
    for (size_t i = 0; i < n; i++) {
        js_add_str(list, text[i]);
    }
    return list;
}

/* May the signer be asked the same again with another answer? */
static bool said_no(int code)
{
    return code == ERR_DENIED || code == ERR_FORMAT || code == ERR_TRUST || code == ERR_CONFLICT ||
           code == ERR_NOTFOUND;
}

static int sign_and_write(struct release *r, const json_t *q, bool *refused, struct err *e)
{
    struct tuf_docs docs = {0};
    int bad = r->o.ports.docs(r->o.ports.ctx, q, &docs, e);
    *refused = said_no(bad);
    bad = bad < 0 || docs.n == 0 ? bad : tuf_write(r->metadata, &docs, e);
    tuf_docs_clear(&docs);
    return bad;
}

static int push_recalls(struct release *r, const struct release_change *c, bool *refused,
                        struct err *e)
{
    CLEANUP(js_free) json_t *q = js_new();
    js_set_str(q, "op", "recall");
    js_set(q, "entries", json_incref(c->recalls));
    js_set(q, "remove", text_list(c->remove, c->n_remove));
    return sign_and_write(r, q, refused, e);
}

static int push_targets(struct release *r, const struct release_change *c, bool with_removes,
                        bool *refused, struct err *e)
{
    int bad = 0;
    size_t i = 0;
    do {
        size_t n = c->n_add - i < REQUEST_TARGETS ? c->n_add - i : REQUEST_TARGETS;
        CLEANUP(js_free) json_t *q = js_new();
        CLEANUP(mem_free) struct digest *said = mem_array(struct digest, n + 1);
        json_t *targets = js_list(), *envelopes = NULL;
        bool removes = with_removes && i == 0;
        for (size_t k = 0; k < n; k++) {
            js_add(targets, target_json(&c->add[i + k]));
            said[k] = c->add[i + k].attestation;
        }
        js_set_str(q, "op", "publish");
        js_set(q, "targets", targets);
        js_set(q, "remove", text_list(c->remove, removes ? c->n_remove : 0));
        bad = release_envelopes(r, said, n, &envelopes, e);
        *refused = said_no(bad) || bad == ERR_LIMIT; /* without it a signer says no */
        if (bad == 0) {
            js_set(q, "envelopes", envelopes);
            bad = sign_and_write(r, q, refused, e);
        }
        i += n;
    } while (bad == 0 && i < c->n_add);
    return bad;
}

static int show_change(struct release *r, const struct release_change *c, struct err *e)
{
    size_t n = 0;
    CLEANUP(mem_free) const char **paths = mem_array(const char *, c->n_add + c->n_remove + 1);
    for (size_t i = 0; i < c->n_add; i++) {
        paths[n++] = c->add[i].path;
    }
    for (size_t i = 0; i < c->n_remove; i++) {
        paths[n++] = c->remove[i];
    }
    return n == 0 ? 0 : r->o.ports.show(r->o.ports.ctx, paths, n, e);
}

int release_push(struct release *r, const struct release_change *c, bool *refused, struct err *e)
{
    bool recalls = json_array_size(c->recalls) > 0;
    *refused = false;
    int bad = recalls ? push_recalls(r, c, refused, e) : 0;
    if (bad == 0 && (c->n_add > 0 || (!recalls && c->n_remove > 0))) {
        bad = push_targets(r, c, !recalls, refused, e);
    }
    int shown = bad < 0 ? 0 : show_change(r, c, e);
    if (bad < 0 || shown < 0) {
        r->behind = true; /* the next tick, or the next start, completes it */
    }
    return bad < 0 ? err_wrap(e, bad, "sign the metadata") : shown;
}

int release_append(struct release *r, struct event *ev, size_t n, struct err *e)
{
    int bad = n == 0 ? 0 : r->o.ports.append(r->o.ports.ctx, ev, n, e);
    r->changes += n > 0;
    return bad;
}
