#include "cli/print.h"

#include <inttypes.h>
#include <stdarg.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/table.h"
#include "base/text.h"

#define CELLS ((size_t)12) /* columns of a table */

static PRINTF(3, 0) void vline(FILE *out, const char *before, const char *fmt, va_list ap)
{
    char *text = NULL;
    if (vasprintf(&text, fmt, ap) < 0) {
        abort();
    }
    CLEANUP(buf_clear) struct buf b = BUF((size_t)1 << 20);
    text_escape(&b, span_str(text));
    fprintf(out, "%s%s\n", before, buf_text(&b));
    free(text);
}

void print_line(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vline(stdout, "", fmt, ap);
    va_end(ap);
}

void print_warning(const char *fmt, ...)
{
    va_list ap;
    progress_end();
    va_start(ap, fmt);
    vline(stderr, "cordon: ", fmt, ap);
    va_end(ap);
}

static char *joined(const json_t *list)
{
    CLEANUP(buf_clear) struct buf b = BUF((size_t)1 << 20);
    for (size_t i = 0; i < json_array_size(list); i++) {
        CLEANUP(mem_free) char *one = print_cell(json_array_get(list, i), PRINT_PLAIN);
        buf_fmt(&b, "%s%s", i > 0 ? ", " : "", one);
    }
    return buf_steal(&b);
}

static char *members(const json_t *object)
{
    CLEANUP(buf_clear) struct buf b = BUF((size_t)1 << 20);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        CLEANUP(mem_free) char *one = print_cell(value, PRINT_PLAIN);
        buf_fmt(&b, "%s%s %s", b.len > 0 ? ", " : "", name, one);
    }
    return buf_steal(&b);
}

static char *number(int64_t v, enum print_kind kind)
{
    char text[CLOCK_TEXT];
    if (kind == PRINT_BYTES && v >= 0) {
        return mem_str(table_bytes((uint64_t)v, text));
    }
    if (kind == PRINT_TIME) {
        return mem_str(v > 0 ? clock_text(v, true, text) : "");
    }
    return mem_printf("%" PRId64, v);
}

char *print_cell(const json_t *value, enum print_kind kind)
{
    if (json_is_string(value)) {
        const char *s = json_string_value(value);
        int64_t t = 0;
        if (kind == PRINT_TIME && clock_parse(span_str(s), &t, NULL) == 0) {
            return number(t - t % CLOCK_SECOND, kind);
        }
        return kind == PRINT_SHORT ? mem_printf("%.12s", s) : mem_str(s);
    }
    if (json_is_integer(value)) {
        return number(json_integer_value(value), kind);
    }
    if (json_is_boolean(value)) {
        return mem_str(json_is_true(value) ? "yes" : "no");
    }
    if (json_is_array(value)) {
        return joined(value);
    }
    if (json_is_object(value)) {
        return members(value);
    }
    return mem_str("");
}

void print_table(const json_t *list, const struct print_column *columns, size_t n)
{
    const char *heads[CELLS], *cells[CELLS];
    for (size_t i = 0; i < n; i++) {
        heads[i] = columns[i].head;
    }
    CLEANUP(table_free) struct table *t = table_new(heads, n);
    for (size_t row = 0; row < json_array_size(list); row++) {
        char *text[CELLS];
        for (size_t i = 0; i < n; i++) {
            text[i] = print_cell(json_object_get(json_array_get(list, row), columns[i].member),
                                 columns[i].kind);
            cells[i] = text[i];
        }
        table_row(t, cells);
        for (size_t i = 0; i < n; i++) {
            free(text[i]);
        }
    }
    table_print(t, stdout);
}

void print_list(const struct app *app, const json_t *list, const struct print_column *columns,
                size_t n, const char *none)
{
    if (app->json) {
        for (size_t i = 0; i < json_array_size(list); i++) {
            app_print_json(json_array_get(list, i));
        }
    } else if (json_array_size(list) == 0) {
        puts(none);
    } else {
        print_table(list, columns, n);
    }
}

const char *print_count(size_t n, const char *one, const char *many, char out[static 64])
{
    snprintf(out, 64, "%zu %s", n, n == 1 ? one : many);
    return out;
}
