/* settings.c - the table of settings.def as parser, file and answer. */
#include "base/settings.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/yaml.h"

#include <assert.h>

struct row {
    const char *name;
    enum setting_type type;
    const char *dflt;
    int64_t min, max;
    const char *text;
};
static const struct row rows[SETTING_COUNT] = {
#define SETTING(id, name, type, dflt, min, max, text)                                              \
    [SETTING_##id] = {name, SETTING_##type, dflt, min, max, text},
#include "base/settings.def"
#undef SETTING
};

struct value {
    char *text; /* as the file holds it; a list joined by commas */
    int64_t number;
    char *cut; /* a list's text with NUL for commas */
    const char **item;
    size_t n;
};
struct settings {
    struct value v[SETTING_COUNT];
};

static void clear_value(struct value *v)
{
    mem_free(&v->text);
    mem_free(&v->cut);
    mem_free(&v->item);
    *v = (struct value){0};
}

/* ---- one value from its text ---- */

static int out_of_range(const struct row *row, const char *text, struct err *e)
{
    const char *unit = row->type == SETTING_TIME ? " seconds" : "";
    return err_set(e, ERR_FORMAT, "%s: %s is not within %lld and %lld%s", row->name, text,
                   (long long)row->min, (long long)row->max, unit);
}

static int parse_number(const struct row *row, const char *text, int64_t *out, struct err *e)
{
    uint64_t n = 0;
    if (text_u64(span_str(text), INT64_MAX, &n, NULL) < 0) {
        return err_set(e, ERR_FORMAT, "%s: \"%s\" is no number", row->name, text);
    }
    *out = (int64_t)n;
    return 0;
}

static int parse_bytes(const struct row *row, const char *text, int64_t *out, struct err *e)
{
    static const char units[] = "KMGT";
    struct span s = span_str(text);
    const char *unit = s.len > 0 ? strchr(units, (char)s.p[s.len - 1]) : NULL;
    unsigned shift = 0;
    if (unit != NULL) {
        shift = 10 * ((unsigned)(unit - units) + 1);
        s.len--;
    }
    uint64_t n = 0;
    if (text_u64(s, (uint64_t)INT64_MAX >> shift, &n, NULL) < 0) {
        return err_set(e, ERR_FORMAT, "%s: \"%s\" is no size such as 1048576, 256M or 1G",
                       row->name, text);
    }
    *out = (int64_t)(n << shift);
    return 0;
}

static int parse_time(const struct row *row, const char *text, int64_t *out, struct err *e)
{
    if (row->min == -1 && strcmp(text, "none") == 0) {
        *out = -1;
        return 0;
    }
    if (clock_duration(span_str(text), out, NULL) < 0) {
        return err_set(e, ERR_FORMAT, "%s: \"%s\" is no duration such as 72h, 7d, 30m or 10s%s",
                       row->name, text, row->min == -1 ? ", or none" : "");
    }
    return 0;
}

static int parse_bool(const struct row *row, const char *text, int64_t *out, struct err *e)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = (int64_t)(i & 1);
            return 0;
        }
    }
    return err_set(e, ERR_FORMAT, "%s: \"%s\" is neither yes nor no", row->name, text);
}

static int parse_text(const struct row *row, const char *text, struct err *e)
{
    struct span s = span_str(text);
    bool ok = s.len <= LIMIT_PATH && text_is_utf8(s);
    for (size_t i = 0; ok && i < s.len; i++) {
        ok = s.p[i] >= ' ' && s.p[i] != 0x7F;
    }
    return ok ? 0
              : err_set(e, ERR_FORMAT, "%s: not a text of one line, at most %zu bytes", row->name,
                        LIMIT_PATH);
}

static struct span trim(struct span s)
{
    while (s.len > 0 && s.p[0] == ' ') {
        s = span_of(s.p + 1, s.len - 1);
    }
    while (s.len > 0 && s.p[s.len - 1] == ' ') {
        s.len--;
    }
    return s;
}

static int parse_list(const struct row *row, const char *text, struct value *v, struct err *e)
{
    int r = parse_text(row, text, e);
    struct span rest = span_str(text), item;
    if (r < 0 || trim(rest).len == 0) {
        return r;
    }
    CLEANUP(buf_clear) struct buf cut = BUF(LIMIT_PATH + 1);
    size_t n = 0;
    while (span_cut(&rest, ',', &item)) {
        item = trim(item);
        if (item.len == 0) {
            return err_set(e, ERR_FORMAT, "%s: an empty item in \"%s\"", row->name, text);
        }
        buf_span(&cut, item);
        buf_char(&cut, '\0');
        n++;
    }
    r = buf_done(&cut, row->name, e);
    if (r < 0) {
        return r;
    }
    v->item = mem_array(const char *, n);
    v->n = n;
    v->cut = buf_steal(&cut);
    const char *at = v->cut;
    for (size_t i = 0; i < n; i++) {
        v->item[i] = at;
        at += strlen(at) + 1;
    }
    return 0;
}

static int parse_count(const struct row *row, const char *text, int64_t *out, struct err *e)
{
    int r = row->type == SETTING_NUMBER  ? parse_number(row, text, out, e)
            : row->type == SETTING_BYTES ? parse_bytes(row, text, out, e)
                                         : parse_time(row, text, out, e);
    if (r < 0 || (row->type == SETTING_TIME && *out == -1)) {
        return r;
    }
    int64_t unit = row->type == SETTING_TIME ? CLOCK_SECOND : 1;
    int64_t least = row->min < 0 ? 0 : row->min;
    return *out < least * unit || *out > row->max * unit ? out_of_range(row, text, e) : 0;
}

static int parse_value(const struct row *row, const char *text, struct value *out, struct err *e)
{
    CLEANUP(clear_value) struct value v = {.text = mem_str(text)};
    int r = row->type == SETTING_TEXT   ? parse_text(row, text, e)
            : row->type == SETTING_LIST ? parse_list(row, text, &v, e)
            : row->type == SETTING_BOOL ? parse_bool(row, text, &v.number, e)
                                        : parse_count(row, text, &v.number, e);
    if (r == 0) {
        clear_value(out);
        *out = v;
        v = (struct value){0};
    }
    return r;
}

/* ---- the set ---- */

struct settings *settings_new(void)
{
    struct settings *s = mem_new(struct settings);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        struct err e;
        int r = parse_value(&rows[i], rows[i].dflt, &s->v[i], &e);
        assert(r == 0); /* a default out of its own range is a mistake in the table */
    }
    return s;
}

void settings_free(struct settings **s)
{
    for (size_t i = 0; *s != NULL && i < SETTING_COUNT; i++) {
        clear_value(&(*s)->v[i]);
    }
    mem_free(s);
}

int settings_set(struct settings *s, enum setting_id id, const char *text, struct err *e)
{
    return parse_value(&rows[id], text, &s->v[id], e);
}

const char *settings_name(enum setting_id id)
{
    return rows[id].name;
}

/* ---- the file ---- */

static int unknown(const char *name, struct err *e)
{
    const char *best = rows[0].name;
    for (size_t i = 1; i < SETTING_COUNT; i++) {
        if (text_distance(name, rows[i].name) < text_distance(name, best)) {
            best = rows[i].name;
        }
    }
    return err_set(e, ERR_FORMAT, "cordon.yaml: there is no setting \"%.100s\"; did you mean %s?",
                   name, best);
}

static int join_list(const struct row *row, const json_t *list, struct buf *out, struct err *e)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(item);
        if (text == NULL || strchr(text, ',') != NULL) {
            return err_set(e, ERR_FORMAT, "%s: an item is no text without comma", row->name);
        }
        buf_str(out, i > 0 ? "," : "");
        buf_str(out, text);
    }
    return buf_done(out, row->name, e);
}

struct load {
    struct value v[SETTING_COUNT];
};

static int load_value(struct load *l, const char *name, const json_t *value, struct err *e)
{
    size_t id = 0;
    while (id < SETTING_COUNT && strcmp(rows[id].name, name) != 0) {
        id++;
    }
    if (id == SETTING_COUNT) {
        return unknown(name, e);
    }
    if (l->v[id].text != NULL) {
        return err_set(e, ERR_FORMAT, "cordon.yaml: %s is set twice", name);
    }
    CLEANUP(buf_clear) struct buf joined = BUF(LIMIT_PATH);
    const char *text = json_string_value(value);
    if (rows[id].type == SETTING_LIST && json_is_array(value)) {
        int r = join_list(&rows[id], value, &joined, e);
        if (r < 0) {
            return err_wrap(e, r, "cordon.yaml");
        }
        text = buf_text(&joined);
    }
    if (text == NULL) {
        return err_set(e, ERR_FORMAT, "cordon.yaml: %s must be a plain value", name);
    }
    int r = parse_value(&rows[id], text, &l->v[id], e);
    return r < 0 ? err_wrap(e, r, "cordon.yaml") : 0;
}

static bool is_group(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (strncmp(rows[i].name, name, n) == 0 && rows[i].name[n] == '.') {
            return true;
        }
    }
    return false;
}

static int load_group(struct load *l, const char *group, const json_t *members, struct err *e)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)members, key, value)
    {
        CLEANUP(mem_free) char *name = mem_printf("%s.%s", group, key);
        int r = load_value(l, name, value, e);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int load_all(struct load *l, const json_t *doc, struct err *e)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)doc, key, value)
    {
        bool bare = json_is_string(value) && *json_string_value(value) == '\0';
        int r;
        if (is_group(key) && bare) { /* a group with every line commented out */
            continue;
        }
        if (is_group(key) && !json_is_object(value)) {
            return err_set(e, ERR_FORMAT, "cordon.yaml: %s must hold settings below it", key);
        }
        r = json_is_object(value) ? load_group(l, key, value, e) : load_value(l, key, value, e);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static void clear_load(struct load *l)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        clear_value(&l->v[i]);
    }
}

int settings_parse(struct settings *s, struct span yaml, struct err *e)
{
    CLEANUP(js_free) json_t *doc = NULL;
    CLEANUP(clear_load) struct load l = {0};
    int r = yaml_parse(yaml, LIMIT_CONFIG, "cordon.yaml", &doc, e);
    if (r < 0) {
        return r;
    }
    if (!json_is_object(doc)) {
        return err_set(e, ERR_FORMAT,
                       "cordon.yaml: must hold settings, one \"name: value\" a line");
    }
    r = load_all(&l, doc, e);
    for (size_t i = 0; r == 0 && i < SETTING_COUNT; i++) {
        if (l.v[i].text != NULL) {
            clear_value(&s->v[i]);
            s->v[i] = l.v[i];
            l.v[i] = (struct value){0};
        }
    }
    return r;
}

/* ---- asking ---- */

const char *settings_text(const struct settings *s, enum setting_id id)
{
    return s->v[id].text;
}

int64_t settings_number(const struct settings *s, enum setting_id id)
{
    assert(rows[id].type != SETTING_TEXT && rows[id].type != SETTING_LIST);
    return s->v[id].number;
}

bool settings_bool(const struct settings *s, enum setting_id id)
{
    assert(rows[id].type == SETTING_BOOL);
    return s->v[id].number != 0;
}

size_t settings_list(const struct settings *s, enum setting_id id, const char *const **out)
{
    assert(rows[id].type == SETTING_LIST);
    *out = s->v[id].item;
    return s->v[id].n;
}

/* ---- writing ---- */

static void write_quoted(struct buf *out, const char *text)
{
    buf_char(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            buf_char(out, '\\');
        }
        buf_char(out, *text);
    }
    buf_char(out, '"');
}

static void write_value(struct buf *out, const struct row *row, const struct value *v)
{
    if (row->type == SETTING_TEXT) {
        write_quoted(out, v->text);
    } else if (row->type != SETTING_LIST) {
        buf_str(out, v->text);
    } else {
        buf_char(out, '[');
        for (size_t i = 0; i < v->n; i++) {
            buf_str(out, i > 0 ? ", " : "");
            write_quoted(out, v->item[i]);
        }
        buf_char(out, ']');
    }
    buf_char(out, '\n');
}

/* The sentence, wrapped, and what else may stand there. */
static void write_comment(struct buf *out, const char *indent, const struct row *row)
{
    CLEANUP(mem_free) char *range = NULL;
    if (row->type == SETTING_NUMBER) {
        range = mem_printf(" (%lld to %lld)", (long long)row->min, (long long)row->max);
    }
    CLEANUP(mem_free)
    char *all = mem_printf("%s%s%s", row->text, range != NULL ? range : "",
                           row->type == SETTING_TIME && row->min == -1 ? " (or none)" : "");
    struct span rest = span_str(all), word;
    size_t column = 0;
    while (span_cut(&rest, ' ', &word)) {
        if (column == 0 || column + 1 + word.len > 96) {
            buf_fmt(out, "%s%s#", column > 0 ? "\n" : "", indent);
            column = strlen(indent) + 1;
        }
        buf_char(out, ' ');
        buf_span(out, word);
        column += 1 + word.len;
    }
    buf_char(out, '\n');
}

void settings_save(const struct settings *s, struct buf *out)
{
    buf_str(out,
            "# Settings of this site. Every line shows the value in force; a line that is left\n"
            "# out has its default. Times: 500ms, 10s, 30m, 72h, 7d. Sizes: 65536, 256M, 1G.\n");
    struct span group = SPAN_NONE;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        struct span rest = span_str(rows[i].name), head;
        bool cut = span_cut(&rest, '.', &head);
        assert(cut);
        bool nested = rest.p != NULL;
        bool same = nested && span_eq(group, head);
        if (nested && !same) {
            buf_char(out, '\n');
            buf_span(out, head);
            buf_str(out, ":\n");
        } else if (!nested) {
            buf_char(out, '\n');
        }
        group = nested ? head : SPAN_NONE;
        const char *indent = nested ? "  " : "";
        write_comment(out, indent, &rows[i]);
        buf_str(out, indent);
        buf_span(out, nested ? rest : head);
        buf_str(out, ": ");
        write_value(out, &rows[i], &s->v[i]);
    }
}

void settings_write(struct buf *out)
{
    CLEANUP(settings_free) struct settings *s = settings_new();
    settings_save(s, out);
}

json_t *settings_show(const struct settings *s)
{
    CLEANUP(settings_free) struct settings *d = settings_new();
    json_t *list = js_list();
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        json_t *o = js_new();
        js_set_str(o, "name", rows[i].name);
        js_set_str(o, "value", s->v[i].text);
        js_set_str(o, "default", rows[i].dflt);
        js_set_bool(o, "changed", strcmp(s->v[i].text, d->v[i].text) != 0);
        js_set_str(o, "text", rows[i].text);
        js_add(list, o);
    }
    return list;
}
