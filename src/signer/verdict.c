/* verdict.c - the attestation "inspected and clean": an in-toto statement in a DSSE envelope. */
#include "signer/signer_priv.h"

#include "base/dsse.h"
#include "base/limits.h"
#include "base/mem.h"

/* One file of the request becomes a subject. Everything but clean is refused: a signer that could
 * attest anything else would only need a careless reader. */
static int add_subject(const json_t *file, const char *rules, json_t *subjects, struct err *e)
{
    const char *name = NULL, *verdict = NULL, *under = NULL;
    json_t *result = NULL;
    struct digest sha256, seen;
    int r = js_str(file, "name", &name, e);
    r = r < 0 ? r : js_sha256(file, "sha256", &sha256, e);
    r = r < 0 ? r : js_obj(file, "result", &result, e);
    r = r < 0 ? r : js_str(result, "verdict", &verdict, e);
    r = r < 0 ? r : js_sha256(result, "sha256", &seen, e);
    r = r < 0 ? r : js_str(result, "rules", &under, e);
    if (r < 0) {
        return r;
    }
    if (strcmp(verdict, "clean") != 0) {
        return err_set(e, ERR_DENIED, "%s is %s: no attestation", name, verdict);
    }
    if (!digest_eq(&sha256, &seen)) {
        return err_set(e, ERR_TRUST, "%s: other bytes were inspected than are to be attested",
                       name);
    }
    if (strcmp(under, rules) != 0) {
        return err_set(e, ERR_FORMAT, "%s was inspected under other rules than its neighbours",
                       name);
    }
    json_t *subject = js_new(), *digest = js_new();
    js_set_str(subject, "name", name);
    js_set_sha256(digest, "sha256", &sha256);
    js_set(subject, "digest", digest);
    js_add(subjects, subject);
    return 0;
}

static json_t *predicate(const json_t *request, const json_t *result)
{
    json_t *p = js_new(), *scanners = js_list(), *meta = js_new();
    const json_t *engine;
    size_t i;
    json_array_foreach(json_object_get(result, "engines"), i, engine)
    {
        json_t *s = js_new(), *feed = js_new();
        CLEANUP(mem_free)
        char *uri = mem_printf("urn:cordon:engine:%s", js_str_or(engine, "name", ""));
        js_set_str(s, "uri", uri);
        js_set_str(s, "version", js_str_or(engine, "version", ""));
        js_set_int(feed, "lastUpdate", js_int_or(engine, "updated", -1));
        js_set(s, "db", feed);
        js_add(scanners, s);
    }
    js_set_str(p, "verdict", "clean");
    js_set_str(p, "rules", js_str_or(result, "rules", ""));
    js_set(p, "scanners", scanners);
    js_set_str(meta, "scanStartedOn", js_str_or(request, "started", ""));
    js_set_str(meta, "scanFinishedOn", js_str_or(request, "finished", ""));
    js_set(p, "metadata", meta);
    return p;
}

int signer_statement(const json_t *request, struct buf *out, struct err *e)
{
    json_t *files = NULL;
    int r = js_arr(request, "files", &files, e);
    if (r == 0 && json_array_size(files) == 0) {
        r = err_set(e, ERR_FORMAT, "no files to attest");
    }
    if (r < 0) {
        return r;
    }
    const json_t *first = json_object_get(json_array_get(files, 0), "result");
    CLEANUP(js_free) json_t *subjects = js_list();
    for (size_t i = 0; i < json_array_size(files) && r == 0; i++) {
        r = add_subject(json_array_get(files, i), js_str_or(first, "rules", ""), subjects, e);
    }
    if (r < 0) {
        return r;
    }
    CLEANUP(js_free) json_t *st = js_new();
    js_set_str(st, "_type", SIGNER_STATEMENT);
    js_set(st, "subject", json_incref(subjects));
    js_set_str(st, "predicateType", SIGNER_PREDICATE);
    js_set(st, "predicate", predicate(request, first));
    js_write(out, st);
    return buf_done(out, "a statement", e);
}

int signer_cleared(struct span envelope, const struct sig_public *key, struct signer_cleared **rows,
                   size_t *n, struct err *e)
{
    CLEANUP(buf_clear) struct buf payload = BUF(LIMIT_DSSE);
    CLEANUP(js_free) json_t *st = NULL;
    json_t *subjects = NULL;
    struct digest name = digest_of(envelope);
    int r = dsse_open(envelope, SIGNER_DSSE, key, &payload, e);
    r = r < 0 ? r : js_parse(buf_view(&payload), LIMIT_DSSE, "an attestation", &st, e);
    r = r < 0 ? r : js_arr(st, "subject", &subjects, e);
    if (r < 0) {
        return r;
    }
    if (strcmp(js_str_or(st, "predicateType", ""), SIGNER_PREDICATE) != 0 ||
        strcmp(js_str_or(json_object_get(st, "predicate"), "verdict", ""), "clean") != 0) {
        return err_set(e, ERR_DENIED, "the attestation does not say clean");
    }
    size_t more = json_array_size(subjects);
    *rows = mem_resize(*rows, *n + more, sizeof **rows);
    for (size_t i = 0; i < more && r == 0; i++) {
        struct signer_cleared *row = &(*rows)[*n];
        row->envelope = name;
        r = js_sha256(json_object_get(json_array_get(subjects, i), "digest"), "sha256",
                      &row->sha256, e);
        *n += r == 0;
    }
    return r;
}
