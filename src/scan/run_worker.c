#include "scan/run.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#define FREE_RATIO (UINT64_C(64) << 20) /* so much may unpack before the ratio is looked at */
#define RULE_TEXT ((size_t)200)
#define FINDING_TEXT ((size_t)500)

struct scan_run {
    const struct run_setup *setup;
    int64_t deadline; /* on clock_boot() */
    uint64_t packed, unpacked, n_members;
    json_t *findings, *members;
    bool *failed;      /* by engine */
    json_t *failures;  /* [{engine reason}] */
    enum verdict kept; /* the worst of the findings */
    bool stop;         /* a budget of the whole file is used up */
};

const struct scan_limits *scan_run_limits(const struct scan_run *run)
{
    return &run->setup->limits;
}

int64_t scan_run_left(const struct scan_run *run)
{
    int64_t left = run->deadline - clock_boot();
    return left > 0 ? left : 0;
}

uint64_t scan_run_packed(const struct scan_run *run)
{
    return run->packed;
}

/* `text` made printable and cut to at most `max` bytes, for names that attackers chose. */
static json_t *printable(const char *text, size_t max)
{
    CLEANUP(buf_clear) struct buf b = BUF(4 * LIMIT_PATH + 1);
    text_escape(&b, span_of(text, strnlen(text, max)));
    return js_text(buf_text(&b));
}

static void keep(struct scan_run *run, const struct scan_object *o, json_t *finding,
                 enum verdict severity)
{
    bool worse = verdict_worst(run->kept, severity) != run->kept;
    js_set_str(finding, "member", o->member);
    if (json_array_size(run->findings) < SCAN_FINDINGS) {
        js_add(run->findings, finding);
    } else if (worse) { /* what decides the verdict is always among those kept */
        json_array_set_new(run->findings, SCAN_FINDINGS - 1, finding);
    } else {
        json_decref(finding);
    }
    run->kept = verdict_worst(run->kept, severity);
}

static json_t *finding_new(const char *engine, const char *rule, enum verdict severity,
                           int64_t offset, const char *text)
{
    json_t *f = js_new();
    js_set_str(f, "engine", engine);
    js_set(f, "rule", printable(rule, RULE_TEXT));
    js_set_str(f, "severity", verdict_text(severity));
    js_set_int(f, "offset", offset);
    js_set(f, "text", printable(text, FINDING_TEXT));
    return f;
}

static bool counts(const struct scan_run *run, const char *engine, const char *rule)
{
    if (run->setup->names == NULL ||
        (strcmp(engine, "yara") != 0 && strcmp(engine, "hashes") != 0)) {
        return true;
    }
    size_t i;
    json_t *name;
    json_array_foreach(run->setup->names, i, name)
    {
        if (json_is_string(name) && strcmp(json_string_value(name), rule) == 0) {
            return true;
        }
    }
    return false;
}

// NOLINTNEXTLINE(readability-function-size): one call says all there is about a finding
void scan_run_find(struct scan_run *run, const struct scan_object *o, const char *engine,
                   const char *rule, enum verdict severity, int64_t offset, const char *fmt, ...)
{
    char text[FINDING_TEXT];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (counts(run, engine, rule)) {
        keep(run, o, finding_new(engine, rule, severity, offset, text), severity);
    }
}

void scan_run_refuse(struct scan_run *run, const struct scan_object *o, const char *engine,
                     const char *rule, const char *fmt, ...)
{
    char text[FINDING_TEXT];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    keep(run, o, finding_new(engine, rule, VERDICT_UNINSPECTABLE, -1, text), VERDICT_UNINSPECTABLE);
}

/* One refusal for a budget of the whole file, however often it is met. */
static void use_up(struct scan_run *run, const struct scan_object *o, const char *rule,
                   const char *setting, uint64_t limit)
{
    if (!run->stop) {
        scan_run_refuse(run, o, "unpack", rule,
                        "not inspected to the end: %s of %llu is used up; raise it in cordon.yaml "
                        "if this file is meant to be so large",
                        setting, (unsigned long long)limit);
    }
    run->stop = true;
}

static bool in_time(struct scan_run *run, const struct scan_object *o)
{
    if (scan_run_left(run) == 0) {
        use_up(run, o, "limit-time", "scan.time in seconds",
               (uint64_t)(run->setup->limits.time / CLOCK_SECOND));
    }
    return !run->stop;
}

bool scan_run_draw(struct scan_run *run, const struct scan_object *o, uint64_t n)
{
    const struct scan_limits *l = &run->setup->limits;
    if (n > l->unpacked || run->unpacked > l->unpacked - n) {
        use_up(run, o, "limit-bytes", "scan.unpacked_bytes", l->unpacked);
        return false;
    }
    run->unpacked += n;
    /* divided, not multiplied: ratio times size could overflow */
    if (run->unpacked > FREE_RATIO && run->unpacked / l->ratio > run->packed) {
        use_up(run, o, "limit-ratio", "scan.ratio", l->ratio);
        return false;
    }
    return in_time(run, o);
}

static void fail(struct scan_run *run, size_t i, const struct err *e)
{
    if (run->failed[i]) {
        return;
    }
    run->failed[i] = true;
    json_t *f = js_new();
    js_set_str(f, "engine", run->setup->engines[i].engine->name);
    js_set(f, "reason", printable(e->text, sizeof e->text));
    js_add(run->failures, f);
}

static bool inspect(struct scan_run *run, const struct scan_object *o)
{
    bool all = true;
    for (size_t i = 0; i < run->setup->n_engines; i++) {
        if (!in_time(run, o)) {
            return false;
        }
        const struct loaded_engine *l = &run->setup->engines[i];
        struct err e = {0};
        if (l->engine->scan(l->state, run, o, &e) < 0) {
            fail(run, i, &e);
            all = false;
        }
    }
    return all && !run->stop;
}

static struct digests hash_of(struct span s)
{
    CLEANUP(hasher3_clear) struct hasher3 h;
    hasher3_init(&h);
    hasher3_add(&h, s);
    return hasher3_end(&h);
}

static void set_hex(json_t *o, const char *name, const uint8_t *p, size_t n)
{
    CLEANUP(buf_clear) struct buf b = BUF(128);
    text_hex(&b, span_of(p, n));
    js_set_str(o, name, buf_text(&b));
}

static void set_hashes(json_t *o, uint64_t size, const struct digests *h)
{
    js_set_int(o, "size", (int64_t)size);
    js_set_sha256(o, "sha256", &h->sha256);
    set_hex(o, "sha1", h->sha1, sizeof h->sha1);
    set_hex(o, "md5", h->md5, sizeof h->md5);
}

static char *member_path(const struct scan_object *outer, const char *name)
{
    return outer->depth == 0 ? mem_str(name) : mem_printf("%s//%s", outer->member, name);
}

bool scan_run_member(struct scan_run *run, const struct scan_object *outer, struct span name,
                     struct span bytes)
{
    const struct scan_limits *l = &run->setup->limits;
    if (outer->depth + 1 > l->depth) {
        use_up(run, outer, "limit-depth", "scan.depth", l->depth);
        return false;
    }
    if (run->n_members >= l->members) {
        use_up(run, outer, "limit-members", "scan.members", l->members);
        return false;
    }
    run->n_members++;
    CLEANUP(buf_clear) struct buf shown = BUF(4 * LIMIT_PATH + 1);
    text_escape(&shown, span_of(name.p, name.len < LIMIT_PATH ? name.len : LIMIT_PATH));
    CLEANUP(mem_free) char *path = member_path(outer, buf_text(&shown));
    struct scan_object o = {
        .bytes = bytes, .name = buf_text(&shown), .member = path, .depth = outer->depth + 1};
    o.hash = hash_of(bytes);
    json_t *m = js_new();
    js_set_str(m, "path", path);
    set_hashes(m, bytes.len, &o.hash);
    js_add(run->members, m);
    return inspect(run, &o);
}

static json_t *answer_of(struct scan_run *run, const struct scan_object *o)
{
    json_t *a = js_new();
    enum verdict v = run->kept;
    json_t *answered = js_list();
    for (size_t i = 0; i < run->setup->n_engines; i++) {
        if (!run->failed[i]) {
            js_add_str(answered, run->setup->engines[i].engine->name);
        } else {
            v = verdict_worst(v, VERDICT_NONE);
        }
    }
    js_set_str(a, "verdict", verdict_text(v));
    set_hashes(a, o->bytes.len, &o->hash);
    js_set(a, "engines", answered);
    js_set(a, "failed", run->failures);
    js_set(a, "findings", run->findings);
    js_set(a, "members", run->members);
    return a;
}

json_t *scan_run_file(const struct run_setup *setup, const char *name, struct span bytes)
{
    CLEANUP(mem_free) bool *failed = mem_array(bool, setup->n_engines + 1);
    struct scan_run run = {.setup = setup,
                           .deadline = clock_boot() + setup->limits.time,
                           .packed = bytes.len,
                           .findings = js_list(),
                           .members = js_list(),
                           .failures = js_list(),
                           .failed = failed,
                           .kept = VERDICT_CLEAN};
    struct scan_object o = {.bytes = bytes, .name = name, .member = "", .depth = 0};
    o.hash = hash_of(bytes);
    (void)inspect(&run, &o); /* what it could not do is in the findings and failures */
    return answer_of(&run, &o);
}

void scan_run_shorten(json_t *answer)
{
    js_set(answer, "members", js_list());
    json_t *f = finding_new("unpack", "limit-answer", VERDICT_UNINSPECTABLE, -1,
                            "more members than fit into one answer; lower scan.members");
    js_set_str(f, "member", "");
    json_t *findings = json_object_get(answer, "findings");
    if (json_array_size(findings) >= SCAN_FINDINGS) {
        json_array_remove(findings, SCAN_FINDINGS - 1);
    }
    js_add(findings, f);
    enum verdict v = verdict_parse(json_string_value(json_object_get(answer, "verdict")));
    js_set_str(answer, "verdict", verdict_text(verdict_worst(v, VERDICT_UNINSPECTABLE)));
}
