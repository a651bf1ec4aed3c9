/* yaml.c - libyaml's events made into JSON values; what makes YAML dangerous is refused. */
#include "base/yaml.h"

#include "base/limits.h"

#include <yaml.h>

struct yaml {
    yaml_parser_t p;
    const char *what;
    struct err *e;
};

/* A step over an event; the caller deletes it. */
static int next(struct yaml *y, yaml_event_t *ev)
{
    if (yaml_parser_parse(&y->p, ev) != 0) {
        return 0;
    }
    if (y->p.error == YAML_MEMORY_ERROR) {
        return err_set(y->e, ERR_NOMEM, "%s: no memory to read it", y->what);
    }
    const char *problem = y->p.problem != NULL ? y->p.problem : "not YAML";
    if (y->p.error == YAML_READER_ERROR) {
        return err_set(y->e, ERR_FORMAT, "%s: byte %zu: %s", y->what, y->p.problem_offset, problem);
    }
    return err_set(y->e, ERR_FORMAT, "%s: line %zu, column %zu: %s", y->what,
                   y->p.problem_mark.line + 1, y->p.problem_mark.column + 1, problem);
}

static int refuse(const struct yaml *y, const yaml_event_t *ev, int code, const char *why,
                  const char *name)
{
    return err_set(y->e, code, "%s: line %zu, column %zu: %s%s%s%s", y->what,
                   ev->start_mark.line + 1, ev->start_mark.column + 1, why, *name ? " \"" : "",
                   name, *name ? "\"" : "");
}

/* Texts only: an anchor serves aliases, a tag would ask for another type. */
static int check_extras(const struct yaml *y, const yaml_event_t *ev, const yaml_char_t *anchor,
                        const yaml_char_t *tag)
{
    if (anchor != NULL) {
        return refuse(y, ev, ERR_FORMAT, "anchors are not taken here", "");
    }
    if (tag != NULL && strcmp((const char *)tag, "!") != 0) {
        return refuse(y, ev, ERR_FORMAT, "tags are not taken here", "");
    }
    return 0;
}

static int scalar(const struct yaml *y, const yaml_event_t *ev, json_t **out)
{
    const char *text = (const char *)ev->data.scalar.value;
    size_t len = ev->data.scalar.length;
    int r = check_extras(y, ev, ev->data.scalar.anchor, ev->data.scalar.tag);
    if (r < 0) {
        return r;
    }
    if (memchr(text, '\0', len) != NULL) {
        return refuse(y, ev, ERR_FORMAT, "a text may not hold a NUL", "");
    }
    *out = json_stringn(text, len);
    return *out != NULL ? 0 : refuse(y, ev, ERR_FORMAT, "a text is not UTF-8", "");
}

static int node(struct yaml *y, const yaml_event_t *ev, int depth, json_t **out);

static int sequence(struct yaml *y, int depth, json_t *list)
{
    for (;;) {
        CLEANUP(yaml_event_delete) yaml_event_t ev = {.type = YAML_NO_EVENT};
        int r = next(y, &ev);
        if (r < 0 || ev.type == YAML_SEQUENCE_END_EVENT) {
            return r;
        }
        json_t *item = NULL;
        r = node(y, &ev, depth, &item);
        if (r < 0) {
            return r;
        }
        js_add(list, item);
    }
}

/* One "key: value"; 1 at the end of the map. */
static int member(struct yaml *y, int depth, json_t *map)
{
    CLEANUP(yaml_event_delete) yaml_event_t key = {.type = YAML_NO_EVENT};
    CLEANUP(yaml_event_delete) yaml_event_t ev = {.type = YAML_NO_EVENT};
    CLEANUP(js_free) json_t *name = NULL;
    int r = next(y, &key);
    if (r < 0 || key.type == YAML_MAPPING_END_EVENT) {
        return r < 0 ? r : 1;
    }
    if (key.type != YAML_SCALAR_EVENT) {
        return refuse(y, &key, ERR_FORMAT, "a key must be a text", "");
    }
    r = scalar(y, &key, &name);
    if (r < 0) {
        return r;
    }
    const char *text = json_string_value(name);
    if (json_object_get(map, text) != NULL) {
        return refuse(y, &key, ERR_FORMAT, "twice the key", text);
    }
    json_t *value = NULL;
    r = next(y, &ev);
    r = r < 0 ? r : node(y, &ev, depth, &value);
    if (r == 0) {
        js_set(map, text, value);
    }
    return r;
}

static int mapping(struct yaml *y, int depth, json_t *map)
{
    int r;
    while ((r = member(y, depth, map)) == 0) {
    }
    return r < 0 ? r : 0;
}

static int collection(struct yaml *y, const yaml_event_t *ev, int depth, json_t **out)
{
    bool map = ev->type == YAML_MAPPING_START_EVENT;
    int r = map ? check_extras(y, ev, ev->data.mapping_start.anchor, ev->data.mapping_start.tag)
                : check_extras(y, ev, ev->data.sequence_start.anchor, ev->data.sequence_start.tag);
    if (r < 0) {
        return r;
    }
    if (depth == LIMIT_JSON_DEPTH) {
        return refuse(y, ev, ERR_LIMIT, "nested too deeply", "");
    }
    CLEANUP(js_free) json_t *own = map ? js_new() : js_list();
    r = map ? mapping(y, depth + 1, own) : sequence(y, depth + 1, own);
    if (r == 0) {
        *out = own;
        own = NULL;
    }
    return r;
}

static int node(struct yaml *y, const yaml_event_t *ev, int depth, json_t **out)
{
    if (ev->type == YAML_SCALAR_EVENT) {
        return scalar(y, ev, out);
    }
    if (ev->type == YAML_MAPPING_START_EVENT || ev->type == YAML_SEQUENCE_START_EVENT) {
        return collection(y, ev, depth, out);
    }
    return refuse(y, ev, ERR_FORMAT,
                  ev->type == YAML_ALIAS_EVENT ? "aliases are not taken here" : "not expected", "");
}

/* The events around the root: stream start, document start, root, document end, stream end. */
static int document(struct yaml *y, json_t **out)
{
    CLEANUP(js_free) json_t *root = NULL;
    for (;;) {
        CLEANUP(yaml_event_delete) yaml_event_t ev = {.type = YAML_NO_EVENT};
        int r = next(y, &ev);
        if (r < 0) {
            return r;
        }
        if (ev.type == YAML_STREAM_END_EVENT) {
            *out = root != NULL ? root : js_new();
            root = NULL;
            return 0;
        }
        if (ev.type == YAML_DOCUMENT_START_EVENT && root != NULL) {
            return refuse(y, &ev, ERR_FORMAT, "a second document", "");
        }
        if (ev.type == YAML_STREAM_START_EVENT || ev.type == YAML_DOCUMENT_START_EVENT ||
            ev.type == YAML_DOCUMENT_END_EVENT) {
            continue;
        }
        r = node(y, &ev, 0, &root);
        if (r < 0) {
            return r;
        }
    }
}

int yaml_parse(struct span text, size_t max, const char *what, json_t **out, struct err *e)
{
    if (text.len > max) {
        return err_set(e, ERR_LIMIT, "%s is %zu bytes long, at most %zu", what, text.len, max);
    }
    struct yaml y = {.what = what, .e = e};
    if (yaml_parser_initialize(&y.p) == 0) {
        return err_set(e, ERR_NOMEM, "%s: no memory to read it", what);
    }
    yaml_parser_set_encoding(&y.p, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&y.p, text.len > 0 ? text.p : (const uint8_t *)"", text.len);
    int r = document(&y, out);
    yaml_parser_delete(&y.p);
    return r;
}
