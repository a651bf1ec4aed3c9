#include "base/json.h"

#include "base/clock.h"
#include "base/text.h"

static int missing(const json_t *v, const char *name, const char *kind, struct err *e)
{
    return v == NULL ? err_set(e, ERR_FORMAT, "member \"%s\" is missing", name)
                     : err_set(e, ERR_FORMAT, "member \"%s\" is not %s", name, kind);
}

int js_str(const json_t *o, const char *name, const char **out, struct err *e)
{
    const json_t *v = json_object_get(o, name);
    if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v)) {
        return missing(v, name, "a text", e);
    }
    *out = json_string_value(v);
    return 0;
}

int js_int(const json_t *o, const char *name, int64_t *out, struct err *e)
{
    const json_t *v = json_object_get(o, name);
    if (!json_is_integer(v)) {
        return missing(v, name, "a whole number", e);
    }
    *out = json_integer_value(v);
    return 0;
}

int js_u64(const json_t *o, const char *name, uint64_t *out, struct err *e)
{
    const json_t *v = json_object_get(o, name);
    if (!json_is_integer(v) || json_integer_value(v) < 0) {
        return missing(v, name, "a whole number from 0", e);
    }
    *out = (uint64_t)json_integer_value(v);
    return 0;
}

int js_bool(const json_t *o, const char *name, bool *out, struct err *e)
{
    const json_t *v = json_object_get(o, name);
    if (!json_is_boolean(v)) {
        return missing(v, name, "true or false", e);
    }
    *out = json_is_true(v);
    return 0;
}

int js_obj(const json_t *o, const char *name, json_t **out, struct err *e)
{
    json_t *v = json_object_get(o, name);
    if (!json_is_object(v)) {
        return missing(v, name, "an object", e);
    }
    *out = v;
    return 0;
}

int js_arr(const json_t *o, const char *name, json_t **out, struct err *e)
{
    json_t *v = json_object_get(o, name);
    if (!json_is_array(v)) {
        return missing(v, name, "a list", e);
    }
    *out = v;
    return 0;
}

int js_sha256(const json_t *o, const char *name, struct digest *out, struct err *e)
{
    const char *s = NULL;
    int r = js_str(o, name, &s, e);
    if (r < 0) {
        return r;
    }
    r = digest_parse(span_str(s), out, e);
    return r < 0 ? err_wrap(e, r, "member \"%s\"", name) : 0;
}

const char *js_str_or(const json_t *o, const char *name, const char *other)
{
    const char *s = NULL;
    return js_str(o, name, &s, NULL) < 0 ? other : s;
}

int64_t js_int_or(const json_t *o, const char *name, int64_t other)
{
    const json_t *v = json_object_get(o, name);
    return json_is_integer(v) ? json_integer_value(v) : other;
}

bool js_bool_or(const json_t *o, const char *name, bool other)
{
    const json_t *v = json_object_get(o, name);
    return json_is_boolean(v) ? json_is_true(v) : other;
}

static json_t *or_abort(json_t *j)
{
    if (j == NULL) {
        abort();
    }
    return j;
}

json_t *js_new(void)
{
    return or_abort(json_object());
}

json_t *js_list(void)
{
    return or_abort(json_array());
}

void js_set(json_t *o, const char *name, json_t *take)
{
    if (json_object_set_new(o, name, or_abort(take)) != 0) {
        abort();
    }
}

json_t *js_text(const char *s)
{
    json_t *j = json_string(s);
    if (j == NULL) { /* not UTF-8 */
        CLEANUP(buf_clear) struct buf b = BUF(4 * strlen(s) + 1);
        text_escape(&b, span_str(s));
        j = or_abort(json_string(buf_text(&b)));
    }
    return j;
}

void js_set_str(json_t *o, const char *name, const char *s)
{
    if (s != NULL) {
        js_set(o, name, js_text(s));
    }
}

void js_set_int(json_t *o, const char *name, int64_t v)
{
    js_set(o, name, json_integer(v));
}

void js_set_bool(json_t *o, const char *name, bool v)
{
    js_set(o, name, json_boolean(v));
}

void js_set_sha256(json_t *o, const char *name, const struct digest *d)
{
    char text[DIGEST_TEXT + 1];
    js_set_str(o, name, digest_text(d, text));
}

void js_set_time(json_t *o, const char *name, int64_t t)
{
    char text[CLOCK_TEXT];
    js_set_str(o, name, clock_text(t, false, text));
}

void js_add(json_t *list, json_t *take)
{
    if (json_array_append_new(list, or_abort(take)) != 0) {
        abort();
    }
}

void js_add_str(json_t *list, const char *s)
{
    js_add(list, js_text(s));
}
