#include "scan/scan_priv.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#define SHORT ((size_t)1024) /* names of engines and rules, sentences: escaped, so 4 to 1 */
#define TEXT_MOST ((size_t)4096)
#define PATH_MOST (LIMIT_FRAME)
#define ENGINES_MOST ((size_t)64)

/* A text of 1 (or 0, if `empty` is fine) to `max` bytes, copied. */
static int take_text(const json_t *o, const char *name, size_t max, bool empty, char **out,
                     struct err *e)
{
    const char *s;
    int r = js_str(o, name, &s, e);
    if (r < 0) {
        return r;
    }
    size_t n = strlen(s);
    if (n > max || (n == 0 && !empty)) {
        return err_set(e, ERR_FORMAT, "member %s has %zu bytes", name, n);
    }
    *out = mem_str(s);
    return 0;
}

static int take_hex(const json_t *o, const char *name, uint8_t *out, size_t n, struct err *e)
{
    const char *s;
    int r = js_str(o, name, &s, e);
    return r < 0 ? r : text_unhex(span_str(s), out, n, e);
}

static int take_hashes(const json_t *o, uint64_t *size, struct digests *h, struct err *e)
{
    int r = js_u64(o, "size", size, e);
    if (r == 0 && *size > INT64_MAX) {
        r = err_set(e, ERR_FORMAT, "member size is out of range");
    }
    r = r < 0 ? r : js_sha256(o, "sha256", &h->sha256, e);
    r = r < 0 ? r : take_hex(o, "sha1", h->sha1, sizeof h->sha1, e);
    return r < 0 ? r : take_hex(o, "md5", h->md5, sizeof h->md5, e);
}

static int take_verdict(const json_t *o, const char *name, enum verdict *out, struct err *e)
{
    const char *s;
    int r = js_str(o, name, &s, e);
    if (r < 0) {
        return r;
    }
    enum verdict v = verdict_parse(s);
    if (strcmp(verdict_text(v), s) != 0) {
        return err_set(e, ERR_FORMAT, "member %s is no verdict", name);
    }
    *out = v;
    return 0;
}

static int take_finding(const json_t *o, struct scan_finding *f, struct err *e)
{
    int r = take_text(o, "engine", SHORT, false, &f->engine, e);
    r = r < 0 ? r : take_text(o, "rule", SHORT, false, &f->rule, e);
    r = r < 0 ? r : take_text(o, "text", TEXT_MOST, true, &f->text, e);
    r = r < 0 ? r : take_text(o, "member", PATH_MOST, true, &f->member, e);
    r = r < 0 ? r : js_int(o, "offset", &f->offset, e);
    r = r < 0 ? r : take_verdict(o, "severity", &f->severity, e);
    if (r == 0 && f->offset < -1) {
        return err_set(e, ERR_FORMAT, "member offset is out of range");
    }
    if (r == 0 && f->severity == VERDICT_NONE) { /* clean is a note */
        return err_set(e, ERR_FORMAT, "a finding of severity %s", verdict_text(f->severity));
    }
    return r;
}

static int take_findings(const json_t *answer, struct scan_result *out, struct err *e)
{
    json_t *list, *o;
    int r = js_arr(answer, "findings", &list, e);
    if (r == 0 && json_array_size(list) > SCAN_FINDINGS) {
        return err_set(e, ERR_FORMAT, "%zu findings", json_array_size(list));
    }
    if (r < 0) {
        return r;
    }
    out->findings = mem_array(struct scan_finding, json_array_size(list) + 1);
    size_t i;
    json_array_foreach(list, i, o)
    {
        out->n_findings = i + 1; /* a finding that is half read is freed too */
        r = take_finding(o, &out->findings[i], e);
        if (r < 0) {
            return err_wrap(e, r, "finding %zu", i);
        }
        out->verdict = verdict_worst(out->verdict, out->findings[i].severity);
        if (out->findings[i].severity == VERDICT_UNINSPECTABLE && out->reason == NULL) {
            out->reason = mem_printf("%s: %s", out->findings[i].rule, out->findings[i].text);
        }
    }
    return 0;
}

static int take_members(const json_t *answer, struct scan_result *out, struct err *e)
{
    json_t *list, *o;
    int r = js_arr(answer, "members", &list, e);
    if (r < 0) {
        return r;
    }
    out->members = mem_array(struct scan_member, json_array_size(list) + 1);
    size_t i;
    json_array_foreach(list, i, o)
    {
        struct scan_member *m = &out->members[i];
        out->n_members = i + 1;
        r = take_text(o, "path", PATH_MOST, true, &m->path, e);
        r = r < 0 ? r : take_hashes(o, &m->size, &m->hash, e);
        if (r < 0) {
            return err_wrap(e, r, "member %zu", i);
        }
    }
    return 0;
}

static int take_engines(const json_t *answer, struct scan_result *out, struct err *e)
{
    json_t *list, *o;
    int r = js_arr(answer, "engines", &list, e);
    if (r == 0 && json_array_size(list) > ENGINES_MOST) {
        return err_set(e, ERR_FORMAT, "%zu engines", json_array_size(list));
    }
    size_t i;
    json_array_foreach(r == 0 ? list : NULL, i, o)
    {
        const char *name = json_string_value(o);
        if (name == NULL || name[0] == '\0' || strlen(name) > SHORT ||
            scan_result_answered(out, name)) {
            return err_set(e, ERR_FORMAT, "engine %zu has no name of its own", i);
        }
        scan_result_add_engine(out, name, "", -1);
    }
    return r;
}

static int take_failed(const json_t *answer, struct scan_result *out, struct err *e)
{
    json_t *list, *o;
    int r = js_arr(answer, "failed", &list, e);
    if (r == 0 && json_array_size(list) > ENGINES_MOST) {
        return err_set(e, ERR_FORMAT, "%zu engines failed", json_array_size(list));
    }
    size_t i;
    json_array_foreach(r == 0 ? list : NULL, i, o)
    {
        CLEANUP(mem_free) char *engine = NULL;
        CLEANUP(mem_free) char *reason = NULL;
        r = take_text(o, "engine", SHORT, false, &engine, e);
        r = r < 0 ? r : take_text(o, "reason", TEXT_MOST, true, &reason, e);
        if (r < 0) {
            return err_wrap(e, r, "failed engine %zu", i);
        }
        CLEANUP(mem_free) char *why = mem_printf("engine %s did not answer: %s", engine, reason);
        scan_result_refuse(out, VERDICT_NONE, why);
    }
    return r;
}

int scan_answer_parse(const json_t *answer, struct scan_result *out, struct err *e)
{
    CLEANUP(scan_result_clear) struct scan_result r = {.verdict = VERDICT_CLEAN};
    enum verdict said = VERDICT_NONE;
    int fault = json_is_object(answer) ? 0 : err_set(e, ERR_FORMAT, "no JSON object");
    fault = fault < 0 ? fault : take_verdict(answer, "verdict", &said, e);
    fault = fault < 0 ? fault : take_hashes(answer, &r.size, &r.hash, e);
    fault = fault < 0 ? fault : take_engines(answer, &r, e);
    fault = fault < 0 ? fault : take_failed(answer, &r, e);
    fault = fault < 0 ? fault : take_findings(answer, &r, e);
    fault = fault < 0 ? fault : take_members(answer, &r, e);
    if (fault < 0) {
        return err_wrap(e, fault, "answer of the caged worker");
    }
    if (said != r.verdict) { /* the verdict follows from the findings, never from a word */
        return err_set(e, ERR_FORMAT, "answer of the caged worker: it says %s, its findings say %s",
                       verdict_text(said), verdict_text(r.verdict));
    }
    *out = r;
    r = (struct scan_result){0};
    return 0;
}
