#include "cli/remote.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/http.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"

#define API "/api/v1/"
#define HEADERS 5

int remote_open(const char *url, const char *token_file, struct remote *out, struct err *e)
{
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
        return err_set(e, ERR_FORMAT, "\"%.100s\" is no address: it begins with https://", url);
    }
    out->url = url;
    return secret_read(token_file, &out->secret, e);
}

void remote_clear(struct remote *r)
{
    secret_clear(&r->secret);
}

void remote_sign(const struct secret *s, const struct remote_request *q, struct buf *out)
{
    char hex[DIGEST_TEXT + 1];
    uint8_t sig[SIG_LEN];
    CLEANUP(buf_clear) struct buf text = BUF(16384);
    buf_fmt(&text, "cordon-request/v1\n%s\n%s%s%s\n%s\n%s\n%s\n", q->method, q->path,
            q->query[0] != 0 ? "?" : "", q->query, q->time, q->nonce, digest_text(&q->body, hex));
    secret_sign(s, buf_view(&text), sig);
    buf_fmt(out, "X-Cordon-Operator: %s\nX-Cordon-Time: %s\nX-Cordon-Nonce: %s\n", s->name, q->time,
            q->nonce);
    buf_str(out, "X-Cordon-Signature: ");
    text_base64(out, span_of(sig, sizeof sig));
    buf_str(out, "\n");
}

/* Turns what the server said into a value, or into the error that it named. */
static int read_answer(const struct http_answer *a, const char *url, json_t **out, struct err *e)
{
    CLEANUP(js_free) json_t *j = NULL;
    bool is_json = js_parse(buf_view(&a->body), LIMIT_JSON, "the answer", &j, NULL) == 0;
    if (a->status == 200 && is_json) {
        *out = json_incref(j);
        return 0;
    }
    const char *code = is_json ? js_str_or(j, "error", NULL) : NULL;
    if (code != NULL) {
        return err_set(e, err_code_of(code), "%s: %s", url, js_str_or(j, "message", code));
    }
    return err_set(e, a->status >= 500 ? ERR_UNAVAIL : ERR_FORMAT,
                   "%s answered with status %d: is a Cordon server there?", url, a->status);
}

/* `take` has method, path, query and digest; the body is a span or a file. */
static int send_signed(const struct remote *r, struct remote_request take, struct span body, int fd,
                       json_t **answer, struct err *e)
{
    uint8_t random[16];
    char time[CLOCK_TEXT];
    const char *headers[HEADERS + 1] = {"Content-Type: application/octet-stream"};
    CLEANUP(buf_clear) struct buf nonce = BUF(64);
    CLEANUP(buf_clear) struct buf lines = BUF(16384);
    CLEANUP(http_answer_clear) struct http_answer a = {0};
    random_bytes(random, sizeof random);
    text_hex(&nonce, span_of(random, sizeof random));
    take.time = clock_text(clock_now(), true, time);
    take.nonce = buf_text(&nonce);
    remote_sign(&r->secret, &take, &lines);
    int bad = buf_done(&lines, "the headers", e);
    if (bad < 0) {
        return bad;
    }
    char *next = (char *)lines.p;
    for (size_t i = 1; i < HEADERS; i++) {
        headers[i] = next;
        next = strchr(next, '\n');
        *next++ = 0;
    }
    size_t len = strlen(r->url);
    int base = (int)(r->url[len - 1] == '/' ? len - 1 : len);
    CLEANUP(mem_free)
    char *url = mem_printf("%.*s%s%s%s", base, r->url, take.path, take.query[0] != 0 ? "?" : "",
                           take.query);
    struct http_request q = {.method = take.method,
                             .url = url,
                             .headers = headers,
                             .body = body,
                             .body_fd = fd,
                             .max = LIMIT_JSON};
    bad = http_call(&q, &a, e);
    return bad < 0 ? bad : read_answer(&a, r->url, answer, e);
}

int remote_call(const struct remote *r, const char *op, const json_t *q, json_t **answer,
                struct err *e)
{
    CLEANUP(buf_clear) struct buf body = BUF(LIMIT_REQUEST);
    CLEANUP(mem_free) char *path = mem_printf(API "%s", op);
    js_write(&body, q);
    int bad = buf_done(&body, "the request", e);
    struct digest d = digest_of(buf_view(&body));
    struct remote_request signs = {.method = "POST", .path = path, .query = "", .body = d};
    return bad < 0 ? bad : send_signed(r, signs, buf_view(&body), 0, answer, e);
}

static int hash(int fd, struct digest *out, struct err *e)
{
    struct hasher h;
    CLEANUP(mem_free) uint8_t *chunk = mem_zeroed(1, 1 << 20);
    uint64_t at = 0;
    ssize_t n;
    hasher_init(&h);
    while ((n = fd_pread(fd, chunk, 1 << 20, at)) > 0) {
        hasher_add(&h, span_of(chunk, (size_t)n));
        at += (uint64_t)n;
    }
    int failed = n < 0 ? err_sys(e, "read the file") : 0;
    *out = hasher_end(&h);
    hasher_clear(&h);
    return failed;
}

int remote_upload(const struct remote *r, uint64_t batch, const char *path, int fd, json_t **answer,
                  struct err *e)
{
    struct digest d;
    char hex[DIGEST_TEXT + 1];
    int bad = hash(fd, &d, e);
    if (bad < 0) {
        return bad;
    }
    CLEANUP(mem_free)
    char *query = mem_printf("batch=%llu&path=%s&sha256=%s", (unsigned long long)batch, path,
                             digest_text(&d, hex));
    struct remote_request q = {.method = "PUT", .path = API "upload", .query = query, .body = d};
    return send_signed(r, q, SPAN_NONE, fd, answer, e);
}
