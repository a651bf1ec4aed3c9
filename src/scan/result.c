#include "scan/scan_priv.h"

#include "base/mem.h"
#include "base/text.h"

void scan_result_clear(struct scan_result *r)
{
    for (size_t i = 0; i < r->n_engines; i++) {
        free(r->engines[i].name);
        free(r->engines[i].version);
    }
    for (size_t i = 0; i < r->n_findings; i++) {
        free(r->findings[i].engine);
        free(r->findings[i].rule);
        free(r->findings[i].text);
        free(r->findings[i].member);
    }
    for (size_t i = 0; i < r->n_members; i++) {
        free(r->members[i].path);
    }
    free(r->engines);
    free(r->findings);
    free(r->members);
    free(r->reason);
    *r = (struct scan_result){0};
}

void scan_result_refuse(struct scan_result *r, enum verdict v, const char *reason)
{
    r->verdict = verdict_worst(r->verdict, v);
    if (r->reason == NULL || r->reason[0] == '\0') {
        free(r->reason);
        r->reason = mem_str(reason);
    }
}

void scan_result_add_finding(struct scan_result *r, const char *engine, const char *rule,
                             enum verdict severity, const char *text)
{
    r->findings = mem_resize(r->findings, r->n_findings + 1, sizeof *r->findings);
    r->findings[r->n_findings++] = (struct scan_finding){.engine = mem_str(engine),
                                                         .rule = mem_str(rule),
                                                         .text = mem_str(text),
                                                         .member = mem_str(""),
                                                         .severity = severity,
                                                         .offset = -1};
    r->verdict = verdict_worst(r->verdict, severity);
}

void scan_result_add_engine(struct scan_result *r, const char *name, const char *version,
                            int64_t updated)
{
    r->engines = mem_resize(r->engines, r->n_engines + 1, sizeof *r->engines);
    r->engines[r->n_engines++] = (struct scan_engine){
        .name = mem_str(name), .version = mem_str(version), .updated = updated};
}

bool scan_result_answered(const struct scan_result *r, const char *engine)
{
    for (size_t i = 0; i < r->n_engines; i++) {
        if (strcmp(r->engines[i].name, engine) == 0) {
            return true;
        }
    }
    return false;
}

static void set_hashes(json_t *o, uint64_t size, const struct digests *h)
{
    CLEANUP(buf_clear) struct buf sha1 = BUF(64);
    CLEANUP(buf_clear) struct buf md5 = BUF(64);
    text_hex(&sha1, span_of(h->sha1, sizeof h->sha1));
    text_hex(&md5, span_of(h->md5, sizeof h->md5));
    js_set_int(o, "size", (int64_t)size);
    js_set_sha256(o, "sha256", &h->sha256);
    js_set_str(o, "sha1", buf_text(&sha1));
    js_set_str(o, "md5", buf_text(&md5));
}

json_t *scan_findings_json(const struct scan_result *r)
{
    json_t *list = js_list();
    for (size_t i = 0; i < r->n_findings; i++) {
        const struct scan_finding *f = &r->findings[i];
        json_t *o = js_new();
        js_set_str(o, "engine", f->engine);
        js_set_str(o, "rule", f->rule);
        js_set_str(o, "severity", verdict_text(f->severity));
        js_set_int(o, "offset", f->offset);
        js_set_str(o, "text", f->text);
        if (f->member[0] != '\0') {
            js_set_str(o, "member", f->member);
        }
        js_add(list, o);
    }
    return list;
}

static json_t *engines_json(const struct scan_result *r)
{
    json_t *list = js_list();
    for (size_t i = 0; i < r->n_engines; i++) {
        json_t *o = js_new();
        js_set_str(o, "name", r->engines[i].name);
        js_set_str(o, "version", r->engines[i].version);
        if (r->engines[i].updated >= 0) {
            js_set_time(o, "updated", r->engines[i].updated);
        }
        js_add(list, o);
    }
    return list;
}

json_t *scan_result_json(const struct scan_result *r)
{
    json_t *o = js_new();
    js_set_str(o, "verdict", verdict_text(r->verdict));
    js_set_str(o, "reason", r->reason != NULL ? r->reason : "");
    set_hashes(o, r->size, &r->hash);
    js_set_sha256(o, "rules", &r->rules);
    js_set(o, "engines", engines_json(r));
    js_set(o, "findings", scan_findings_json(r));
    json_t *members = js_list();
    for (size_t i = 0; i < r->n_members; i++) {
        json_t *m = js_new();
        js_set_str(m, "path", r->members[i].path);
        set_hashes(m, r->members[i].size, &r->members[i].hash);
        js_add(members, m);
    }
    js_set(o, "members", members);
    return o;
}
