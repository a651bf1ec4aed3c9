/* web_pages.c - two plain pages: what this server is, and is my copy a good one? */
#include "serve/web.h"

#include <strings.h>

#include "base/table.h"
#include "base/mem.h"
#include "base/text.h"

#define PAGE ((size_t)512 << 10)
#define HASHES 1000u /* of one question */

static const char style[] =
    ":root{color-scheme:light dark;--dim:#666;--line:#ccc}"
    "@media(prefers-color-scheme:dark){:root{--dim:#aaa;--line:#444}}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}"
    "pre{overflow-x:auto;border:1px solid var(--line);border-radius:4px;padding:.7rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem .3rem 0;"
    "border-bottom:1px solid var(--line);overflow-wrap:anywhere}"
    "textarea{width:100%;min-height:6rem;font-family:monospace}small{color:var(--dim)}"
    ".recalled,.withheld{font-weight:bold}";

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

static void escape(struct buf *b, const char *s)
{
    for (; *s != 0; s++) {
        const char *as = entity(*s);
        if (as != NULL) {
            buf_str(b, as);
        } else {
            buf_char(b, *s);
        }
    }
}

static void page_begin(struct buf *b, const char *title)
{
    buf_str(b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
               "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>");
    escape(b, title);
    buf_fmt(b, "</title><style>%s</style></head><body>\n<h1>", style);
    escape(b, title);
    buf_str(b, "</h1>\n");
}

static void page_end(struct visit *v, struct buf *b)
{
    struct err e;
    struct digest d = digest_of(span_str(style));
    CLEANUP(buf_clear) struct buf csp = BUF(512);
    buf_str(&csp, "default-src 'none'; style-src 'sha256-");
    text_base64(&csp, span_of(d.b, sizeof d.b));
    buf_str(&csp, "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
    buf_str(b, "</body></html>\n");
    if (buf_done(b, "the page", &e) < 0) {
        reply_unavailable(v, &e);
        return;
    }
    http_add(v->call, "Content-Security-Policy", buf_text(&csp));
    http_add(v->call, "Cache-Control", "no-cache");
    reply_bytes(v, 200, "text/html; charset=utf-8", buf_view(b));
}

/* ---- / ---- */

/* This server as the client called it; its Host header is a claim, so only what an address may hold
 * is repeated. */
static void own_address(struct visit *v, struct buf *b)
{
    static const char good[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";
    const char *host = http_header(v->call, "Host");
    const char *proto = v->through_proxy ? http_header(v->call, "X-Forwarded-Proto") : NULL;
    bool tls = http_tls(v->call) || (proto != NULL && strcasecmp(proto, "https") == 0);
    bool plain =
        host != NULL && host[0] != 0 && strlen(host) < 256 && strspn(host, good) == strlen(host);
    buf_fmt(b, "%s://%s", tls ? "https" : "http", plain ? host : "ADDRESS");
}

struct files {
    struct buf *b;
    const char *product;
};

static int list_file(void *ctx, const struct web_target *t)
{
    struct files *f = ctx;
    bool there = strcmp(t->state, "published") == 0;
    buf_str(f->b, "<tr><td>");
    if (there) {
        buf_str(f->b, "<a href=\"/d/");
        http_encode(f->b, span_str(t->path));
        buf_str(f->b, "\">");
    }
    escape(f->b, t->file);
    char size[16];
    buf_fmt(f->b, "%s</td><td>%s</td><td class=\"%s\">%s</td></tr>\n", there ? "</a>" : "",
            table_bytes(t->size, size), t->state, t->state);
    return 0;
}

static int one_file(void *ctx, const struct web_target *t)
{
    struct buf *b = ctx;
    if (b->len == 0 && strcmp(t->state, "published") == 0) {
        buf_str(b, t->path);
    }
    return 0;
}

static void list_products(struct visit *v, struct buf *b, const json_t *products,
                          struct buf *sample)
{
    struct err e;
    if (json_array_size(products) == 0) {
        buf_str(b, "<p>Nothing is published yet.</p>\n");
    }
    for (size_t i = 0; i < json_array_size(products); i++) {
        const json_t *p = json_array_get(products, i);
        const char *name = js_str_or(p, "name", ""), *version = js_str_or(p, "version", "");
        struct files f = {b, name};
        bool anyone = strcmp(js_str_or(p, "access", ""), "anyone") == 0;
        buf_str(b, "<h3>");
        escape(b, name);
        buf_char(b, ' ');
        escape(b, version);
        buf_fmt(b, "</h3><p><small>%s &middot; <a href=\"/d/",
                anyone ? "for anyone" : "for customers, with their token");
        http_encode(b, span_str(name));
        buf_str(b, "/latest/SHA256SUMS\">signed SHA256SUMS</a></small></p>\n<table>");
        if (web_db_version(v->w->db, name, version, list_file, &f, &e) < 0 ||
            web_db_version(v->w->db, name, version, one_file, sample, &e) < 0) {
            buf_str(b, "<tr><td>(cannot be read now)</td></tr>");
        }
        buf_str(b, "</table>\n");
    }
}

static void commands(struct visit *v, struct buf *b, const struct buf *sample)
{
    CLEANUP(buf_clear) struct buf at = BUF(512);
    CLEANUP(buf_clear) struct buf key = BUF(4096);
    own_address(v, &at);
    buf_str(b, "<h2>Download and verify</h2>\n<pre>curl -fOJ -u USER:TOKEN ");
    escape(b, buf_text(&at));
    buf_str(b, "/d/");
    escape(b, sample->len > 0 ? buf_text(sample) : "PRODUCT/latest/FILE");
    buf_str(b, "\ncurl -fsO ");
    escape(b, buf_text(&at));
    buf_str(b, "/d/PRODUCT/latest/SHA256SUMS   # also .sig and .pub, for signify\n"
               "sha256sum --ignore-missing -c SHA256SUMS\n");
    buf_str(b, "cordon log verify --url ");
    escape(b, buf_text(&at));
    buf_str(b, "/log");
    if (web_db_text(v->w->db, "log_key", &key, NULL) == 0) {
        buf_str(b, " --vkey '");
        escape(b, buf_text(&key));
        buf_char(b, '\'');
    }
    buf_str(b, "</pre>\n<p>Every download is entered in a log that nobody can rewrite unnoticed: "
               "<a href=\"/log/checkpoint\">its newest checkpoint</a>. Programs use the signed "
               "metadata at <a href=\"/metadata/timestamp.json\">/metadata/</a> (TUF) and the "
               "<a href=\"/api/v1/openapi.json\">API</a>.</p>\n"
               "<p>A file whose bytes on this server's disk have changed is not sent: the request "
               "ends with 503 or is cut off, the operators are told with the last good and the "
               "first bad moment, and <a href=\"/healthz\">/healthz</a> warns.</p>\n");
}

static void check_form(struct buf *b)
{
    buf_str(b, "<form action=\"/check\" method=\"post\"><label for=\"h\">SHA-256 of files you "
               "have, one a line</label><textarea id=\"h\" name=\"sha256\" spellcheck=\"false\">"
               "</textarea><p><button>Check</button></p></form>\n");
}

void serve_home(struct visit *v)
{
    struct err e;
    CLEANUP(buf_clear) struct buf b = BUF(PAGE);
    CLEANUP(buf_clear) struct buf list = BUF(PAGE / 2);
    CLEANUP(buf_clear) struct buf name = BUF(4096);
    CLEANUP(buf_clear) struct buf sample = BUF(LIMIT_PATH);
    CLEANUP(js_free) json_t *products = NULL;
    if (web_db_products(v->w->db, &products, &e) < 0) {
        reply_unavailable(v, &e);
        return;
    }
    if (web_db_text(v->w->db, "name", &name, NULL) < 0) {
        buf_str(&name, "Updates");
    }
    page_begin(&b, buf_text(&name));
    buf_str(&b,
            "<p>This server hands out a vendor's updates. Each file was inspected before it was "
            "signed, is verified again while it is sent, and can be recalled.</p>\n");
    list_products(v, &list, products, &sample);
    commands(v, &b, &sample);
    buf_str(&b, "<h2>Is my copy a good one?</h2>\n");
    check_form(&b);
    buf_str(&b, "<h2>What is here</h2>\n");
    buf_span(&b, buf_view(&list));
    page_end(v, &b);
}

/* ---- /check ---- */

struct finding {
    struct web *w;
    json_t *entry; /* {sha256, state, targets[], reason, replacement} */
    json_t *targets;
    char state[16];
};

/* Names of what only customers may have are not told; those of a recall are in the public log. */
static int found_target(void *ctx, const struct web_target *t)
{
    struct finding *f = ctx;
    bool recalled = strcmp(t->state, "recalled") == 0;
    snprintf(f->state, sizeof f->state, "%s", t->state);
    json_t *o = js_new();
    js_set_str(o, "target", t->path);
    js_set_str(o, "product", t->product);
    js_set_bool(o, "recalled", recalled);
    js_add(f->targets, o);
    if (recalled && t->reason[0] != 0) {
        js_set_str(f->entry, "reason", t->reason);
    }
    if (recalled && t->replacement[0] != 0) {
        js_set_str(f->entry, "replacement", t->replacement);
    }
    return 0;
}

static void name_targets(struct finding *f, json_t *names)
{
    for (size_t i = 0; i < json_array_size(f->targets); i++) {
        const json_t *o = json_array_get(f->targets, i);
        char access[16];
        bool public;
        bool tell =
            js_bool_or(o, "recalled", false) ||
            (web_db_product(f->w->db, js_str_or(o, "product", ""), access, &public, NULL) == 0 &&
             strcmp(access, "anyone") == 0);
        if (tell) {
            js_add_str(names, js_str_or(o, "target", ""));
        }
    }
}

static int check_one(struct visit *v, struct span text, json_t *results, struct err *e)
{
    char hex[DIGEST_TEXT + 1];
    struct digest d;
    CLEANUP(mem_free) char *low = mem_text(text.p, text.len);
    for (char *c = low; *c != 0; c++) {
        *c = (char)(*c >= 'A' && *c <= 'F' ? *c | 0x20 : *c);
    }
    json_t *entry = js_new();
    js_add(results, entry);
    if (digest_parse(span_str(low), &d, NULL) < 0) {
        low[strnlen(low, 100)] = 0;
        js_set_str(entry, "sha256", low);
        js_set_str(entry, "state", "malformed");
        return 0;
    }
    CLEANUP(js_free) json_t *targets = js_list();
    struct finding f = {.w = v->w, .entry = entry, .targets = targets, .state = "unknown"};
    js_set_str(entry, "sha256", digest_text(&d, hex));
    int r = web_db_digest(v->w->db, &d, found_target, &f, e);
    json_t *names = js_list();
    js_set_str(entry, "state", f.state);
    js_set(entry, "targets", names);
    name_targets(&f, names);
    return r;
}

/* A word of a pasted list that may be a digest; sha256sum's file names are passed over. */
static bool next_word(struct span *rest, struct span *word)
{
    size_t i = 0, n = 0;
    while (i < rest->len && strchr(" \t\r\n,;", rest->p[i]) != NULL) {
        i++;
    }
    while (i + n < rest->len && strchr(" \t\r\n,;", rest->p[i + n]) == NULL) {
        n++;
    }
    *word = span_of(rest->p + i, n);
    *rest = span_of(rest->p + i + n, rest->len - i - n);
    return n > 0;
}

static int check_list(struct visit *v, struct span form, json_t *results, struct err *e)
{
    struct span name, value, word;
    int r = 0;
    while (r == 0 && http_pair(&form, &name, &value)) {
        CLEANUP(buf_clear) struct buf text = BUF(LIMIT_REQUEST);
        if (!span_is(name, "sha256")) {
            continue;
        }
        r = http_decode(value, true, &text, e);
        struct span rest = buf_view(&text);
        while (r == 0 && next_word(&rest, &word)) {
            if (json_array_size(results) == HASHES) {
                return err_set(e, ERR_LIMIT, "at most %u digests at a time", HASHES);
            }
            bool alone = word.len == DIGEST_TEXT || json_array_size(results) == 0;
            r = alone ? check_one(v, word, results, e) : 0;
        }
    }
    return r;
}

static void check_page(struct visit *v, const json_t *results)
{
    CLEANUP(buf_clear) struct buf b = BUF(PAGE);
    page_begin(&b, "Is my copy a good one?");
    if (json_array_size(results) > 0) {
        buf_str(&b, "<table><tr><th>SHA-256</th><th>state</th><th></th></tr>\n");
    }
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *o = json_array_get(results, i), *names = json_object_get(o, "targets");
        const char *state = js_str_or(o, "state", "");
        buf_str(&b, "<tr><td><code>");
        escape(&b, js_str_or(o, "sha256", ""));
        buf_fmt(&b, "</code></td><td class=\"%s\">%s</td><td>", state, state);
        for (size_t k = 0; k < json_array_size(names); k++) {
            escape(&b, json_string_value(json_array_get(names, k)));
            buf_str(&b, "<br>");
        }
        escape(&b, js_str_or(o, "reason", ""));
        buf_str(&b, "</td></tr>\n");
    }
    if (json_array_size(results) > 0) {
        buf_str(&b, "</table>\n<p><small>unknown: never published here, so not from this vendor's "
                    "server as it is. recalled: do not use it. withheld: being examined; wait."
                    "</small></p>\n");
    }
    check_form(&b);
    page_end(v, &b);
}

void serve_check(struct visit *v)
{
    struct err e;
    CLEANUP(js_free) json_t *j = js_new();
    json_t *results = js_list();
    js_set(j, "results", results);
    int r = check_list(v, v->query, results, &e);
    r = r < 0 ? r : check_list(v, buf_view(&v->body), results, &e);
    const char *accept = http_header(v->call, "Accept");
    if (r == ERR_FORMAT || r == ERR_LIMIT) {
        reply_error(v, 400, "%s", e.text);
    } else if (r < 0) {
        reply_unavailable(v, &e);
    } else if (accept != NULL && strstr(accept, "text/html") != NULL) {
        check_page(v, results);
    } else {
        reply_json(v, 200, j);
    }
}
