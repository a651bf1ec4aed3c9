#include "base/json.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"

/* Nesting outside of strings; jansson itself recurses up to 2,048 deep. */
static bool too_deep(struct span s)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.p[i];
        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > LIMIT_JSON_DEPTH) {
                return true;
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

void js_free(json_t **j)
{
    json_decref(*j);
    *j = NULL;
}

int js_parse(struct span text, size_t max, const char *what, json_t **out, struct err *e)
{
    if (text.len > max) {
        return err_set(e, ERR_LIMIT, "%s is larger than %zu bytes", what, max);
    }
    if (too_deep(text)) {
        return err_set(e, ERR_LIMIT, "%s is nested deeper than %d", what, LIMIT_JSON_DEPTH);
    }
    json_error_t why;
    json_t *j = json_loadb(text.len > 0 ? (const char *)text.p : "", text.len,
                           JSON_REJECT_DUPLICATES, &why);
    if (j == NULL) {
        return err_set(e, ERR_FORMAT, "%s is no JSON at line %d, column %d: %s", what, why.line,
                       why.column, why.text);
    }
    *out = j;
    return 0;
}

static int dump_into(const char *p, size_t n, void *ctx)
{
    buf_add(ctx, p, n);
    return 0;
}

void js_write(struct buf *out, const json_t *j)
{
    if (json_dump_callback(j, dump_into, out, JSON_COMPACT | JSON_ENCODE_ANY) != 0 &&
        out->fault == 0) {
        out->fault = ERR_NOMEM;
    }
}

struct canon {
    struct buf *out;
    bool escape; /* control characters too */
};

static void canon_text(const struct canon *c, const char *s, size_t n)
{
    buf_char(c->out, '"');
    for (size_t i = 0; i < n; i++) {
        if (c->escape && (unsigned char)s[i] < 0x20) {
            buf_fmt(c->out, "\\u%04x", (unsigned)(unsigned char)s[i]);
            continue;
        }
        if (s[i] == '"' || s[i] == '\\') {
            buf_char(c->out, '\\');
        }
        buf_char(c->out, s[i]);
    }
    buf_char(c->out, '"');
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int canon(const struct canon *c, const json_t *j, int depth, struct err *e);

static int canon_object(const struct canon *c, const json_t *j, int depth, struct err *e)
{
    size_t n = json_object_size(j), i = 0;
    const char **names = calloc(n + 1, sizeof *names);
    if (names == NULL) {
        return err_set(e, ERR_NOMEM, "canonical JSON of %zu members", n);
    }
    int r = 0;
    /* jansson's iterators take a non-const value but do not change it */
    json_t *o = (json_t *)(uintptr_t)j;
    for (void *it = json_object_iter(o); it != NULL; it = json_object_iter_next(o, it)) {
        names[i++] = json_object_iter_key(it);
    }
    qsort(names, n, sizeof *names, by_bytes);
    buf_char(c->out, '{');
    for (i = 0; i < n && r == 0; i++) {
        for (const char *at = names[i]; *at != 0 && r == 0; at++) {
            if ((*at & 0x80) != 0) {
                r = err_set(e, ERR_FORMAT, "member name %s is not ASCII", names[i]);
            }
        }
        if (i > 0) {
            buf_char(c->out, ',');
        }
        canon_text(c, names[i], strlen(names[i]));
        buf_char(c->out, ':');
        r = r < 0 ? r : canon(c, json_object_get(j, names[i]), depth + 1, e);
    }
    buf_char(c->out, '}');
    free(names);
    return r;
}

static int canon_array(const struct canon *c, const json_t *j, int depth, struct err *e)
{
    buf_char(c->out, '[');
    for (size_t i = 0; i < json_array_size(j); i++) {
        if (i > 0) {
            buf_char(c->out, ',');
        }
        int r = canon(c, json_array_get(j, i), depth + 1, e);
        if (r < 0) {
            return r;
        }
    }
    buf_char(c->out, ']');
    return 0;
}

static int canon(const struct canon *c, const json_t *j, int depth, struct err *e)
{
    if (depth > LIMIT_JSON_DEPTH) {
        return err_set(e, ERR_LIMIT, "JSON nested deeper than %d", LIMIT_JSON_DEPTH);
    }
    if (json_is_object(j)) {
        return canon_object(c, j, depth, e);
    }
    if (json_is_array(j)) {
        return canon_array(c, j, depth, e);
    }
    if (json_is_string(j)) {
        canon_text(c, json_string_value(j), json_string_length(j));
        return 0;
    }
    if (json_is_integer(j)) {
        json_int_t v = json_integer_value(j);
        if (v > INT64_C(9007199254740991) || v < -INT64_C(9007199254740991)) {
            return err_set(e, ERR_FORMAT, "integer %" PRId64 " is beyond 2^53", (int64_t)v);
        }
        buf_fmt(c->out, "%" PRId64, (int64_t)v);
        return 0;
    }
    if (json_is_boolean(j)) {
        buf_str(c->out, json_is_true(j) ? "true" : "false");
        return 0;
    }
    return err_set(e, ERR_FORMAT, "%s has no canonical form",
                   json_is_real(j) ? "a number with a fraction" : "null");
}

int js_canon(struct buf *out, const json_t *j, struct err *e)
{
    const struct canon c = {out, false};
    int r = canon(&c, j, 0, e);
    return r < 0 ? r : buf_done(out, "canonical JSON", e);
}

int js_stable(struct buf *out, const json_t *j, struct err *e)
{
    const struct canon c = {out, true};
    int r = canon(&c, j, 0, e);
    return r < 0 ? r : buf_done(out, "canonical JSON", e);
}

int js_digest(const json_t *j, struct digest *out, struct err *e)
{
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_JSON);
    int r = js_canon(&b, j, e);
    if (r == 0) {
        *out = digest_of(buf_view(&b));
    }
    return r;
}
