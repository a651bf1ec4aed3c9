#include "serve/web.h"

#include <stdarg.h>

static void add_always(struct visit *v)
{
    http_add(v->call, "X-Content-Type-Options", "nosniff");
    http_add(v->call, "Referrer-Policy", "no-referrer");
    if (http_tls(v->call)) {
        http_add(v->call, "Strict-Transport-Security", "max-age=31536000");
    }
}

void reply_bytes(struct visit *v, int status, const char *type, struct span bytes)
{
    add_always(v);
    http_add(v->call, "Content-Type", type);
    http_reply_text(v->call, status, bytes);
}

void reply_json(struct visit *v, int status, const json_t *j)
{
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_JSON);
    js_write(&text, j);
    buf_char(&text, '\n');
    http_add(v->call, "Cache-Control", "no-store");
    reply_bytes(v, status, "application/json", buf_view(&text));
}

static const char *word(int status)
{
    static const struct {
        int status;
        const char *word;
    } words[] = {{400, "format"}, {401, "sign-in"},   {403, "denied"}, {404, "notfound"},
                 {405, "method"}, {410, "withdrawn"}, {413, "limit"},  {416, "range"},
                 {429, "limit"},  {503, "unavail"}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (words[i].status == status) {
            return words[i].word;
        }
    }
    return "bug";
}

void reply_error(struct visit *v, int status, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text - 1, fmt, ap);
    va_end(ap);
    const char *accept = http_header(v->call, "Accept");
    bool api = v->path.len > 5 && strncmp(buf_text(&v->path), "/api/", 5) == 0;
    if (api || (accept != NULL && strstr(accept, "application/json") != NULL)) {
        CLEANUP(js_free) json_t *j = js_new();
        js_set_str(j, "error", word(status));
        js_set_str(j, "message", text);
        reply_json(v, status, j);
        return;
    }
    size_t n = strlen(text);
    text[n] = '\n';
    http_add(v->call, "Cache-Control", "no-store");
    reply_bytes(v, status, "text/plain; charset=utf-8", span_of(text, n + 1));
}

void reply_unavailable(struct visit *v, const struct err *e)
{
    web_count(v->w, METRIC_UNAVAILABLE, 1);
    http_add(v->call, "Retry-After", "5");
    reply_error(v, 503, "not now: %s", e->text);
}

void reply_public(struct visit *v, const char *type, const char *cache, struct span bytes)
{
    char hex[DIGEST_TEXT + 1], tag[DIGEST_TEXT + 3];
    struct digest d = digest_of(bytes);
    snprintf(tag, sizeof tag, "\"%s\"", digest_text(&d, hex));
    http_add(v->call, "ETag", tag);
    http_add(v->call, "Cache-Control", cache);
    if (http_tag_listed(http_header(v->call, "If-None-Match"), &d)) {
        add_always(v);
        http_reply_text(v->call, 304, SPAN_NONE);
        return;
    }
    reply_bytes(v, 200, type, bytes);
}
