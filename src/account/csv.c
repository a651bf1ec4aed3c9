#include "account/account_priv.h"

#include "base/text.h"

struct csv csv_of(struct span text)
{
    if (text.len >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0) {
        text = span_of(text.p + 3, text.len - 3);
    }
    return (struct csv){.rest = text, .line = 0, .next = 1};
}

/* Where the record at the front ends, without its line end. Only a quote at the front of a field
 * opens one, so that a stray quote spoils one line and not the rest. */
static size_t record_length(struct csv *c, bool *closed)
{
    bool quoted = false, front = true;
    size_t i = 0;
    for (; i < c->rest.len && (quoted || c->rest.p[i] != '\n'); i++) {
        uint8_t b = c->rest.p[i];
        c->next += b == '\n' ? 1 : 0;
        if (b == '"' && (quoted || front)) {
            quoted = !quoted;
            front = !quoted && i + 1 < c->rest.len && c->rest.p[i + 1] == '"'; /* doubled */
        } else {
            front = !quoted && b == ',';
        }
    }
    *closed = !quoted;
    return i;
}

/* A quoted field: "" is a quote, after the closing one only a comma or the end may come. */
static bool take_quoted(struct span *rest, struct buf *out)
{
    size_t i = 1;
    for (; i < rest->len; i++) {
        if (rest->p[i] != '"') {
            buf_char(out, (char)rest->p[i]);
        } else if (i + 1 < rest->len && rest->p[i + 1] == '"') {
            buf_char(out, '"');
            i++;
        } else {
            break;
        }
    }
    i++;
    bool ok = i <= rest->len && (i == rest->len || rest->p[i] == ',');
    *rest = i < rest->len ? span_of(rest->p + i + 1, rest->len - i - 1) : SPAN_NONE;
    return ok;
}

static bool take_field(struct span *rest, struct buf *out)
{
    if (rest->len > 0 && rest->p[0] == '"') {
        return take_quoted(rest, out);
    }
    struct span field = SPAN_NONE;
    span_cut(rest, ',', &field);
    buf_span(out, field);
    return field.len == 0 || memchr(field.p, '"', field.len) == NULL;
}

static int take_fields(struct span record, json_t *list, struct err *e)
{
    struct span rest = span_of(record.p, record.len);
    do {
        CLEANUP(buf_clear) struct buf field = BUF(LIMIT_LINE);
        bool ok = take_field(&rest, &field);
        int r = buf_done(&field, "a field", e);
        if (r < 0) {
            return r;
        }
        if (!ok) {
            return err_set(e, ERR_FORMAT, "a quote in the middle of a field");
        }
        js_add_str(list, buf_text(&field));
    } while (rest.p != NULL);
    return 0;
}

int csv_next(struct csv *c, json_t **fields, struct err *e)
{
    if (c->rest.len == 0) {
        return 0;
    }
    bool closed = false;
    c->line = c->next;
    size_t n = record_length(c, &closed);
    struct span record = span_of(c->rest.p, n);
    size_t skip = n < c->rest.len ? n + 1 : n;
    c->next += skip - n;
    c->rest = span_of(c->rest.p + skip, c->rest.len - skip);
    if (record.len > 0 && record.p[record.len - 1] == '\r') {
        record.len--;
    }
    if (!closed) {
        return err_set(e, ERR_FORMAT, "a quote that never ends");
    }
    if (!text_is_utf8(record)) {
        return err_set(e, ERR_FORMAT, "not UTF-8, or a NUL");
    }
    CLEANUP(js_free) json_t *list = js_list();
    int r = take_fields(record, list, e);
    if (r < 0) {
        return r;
    }
    *fields = json_incref(list);
    return 1;
}
