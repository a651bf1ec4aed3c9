/* web_send.c - verified bytes of a blob into a reply (P2).
 *
 * A small blob goes to the kernel from the sealed memory in which it was hashed; of a larger one
 * each piece is copied from a verified chunk. What cannot be verified ends the connection. */
#include "serve/web.h"

#include "base/log.h"
#include "base/mem.h"

/* Outlives the call by a moment: belongs to the response. */
struct sending {
    struct blob_reader *reader;
    struct span view; /* the first piece */
    uint64_t first, size;
    struct web *w;
};

static void sending_release(void *ctx)
{
    struct sending *s = ctx;
    blob_close(&s->reader);
    free(s);
}

/* From a verified piece into the library's buffer. What cannot be verified ends the connection. */
static int64_t sending_read(void *ctx, uint64_t at, uint8_t *out, size_t max)
{
    struct sending *s = ctx;
    struct span view;
    struct err e;
    int r = blob_read(s->reader, s->first + at, &view, &e);
    if (r < 0 || view.len == 0) {
        log_warn("download", "reset in the middle: %s", r < 0 ? e.text : "it ends too early");
        web_count(s->w, METRIC_RESETS, 1);
        return -1;
    }
    uint64_t left = s->size - at;
    size_t n = view.len < max ? view.len : max;
    n = n < left ? n : (size_t)left;
    memcpy(out, view.p, n);
    web_count(s->w, METRIC_BYTES, n);
    return (int64_t)n;
}

int web_send_open(struct web *w, const struct web_send *what, struct sending **out, struct err *e)
{
    struct blob_reader *reader = NULL;
    struct span view = SPAN_NONE;
    int r = blob_open(w->cache, &what->blob, what->size, &what->root, &reader, e);
    if (r == 0 && what->n > 0) {
        r = blob_read(reader, what->first, &view, e); /* before a header goes */
    }
    if (r == 0 && what->n > 0 && view.len == 0) {
        r = err_set(e, ERR_TRUST, "the file ends before the range does");
    }
    if (r < 0) {
        blob_close(&reader);
        return r;
    }
    *out = mem_new(struct sending);
    **out = (struct sending){reader, view, what->first, what->n, w};
    return 0;
}

void web_send(struct visit *v, int status, struct sending *take)
{
    struct sending *s = take;
    web_count(v->w, METRIC_DOWNLOADS, 1);
    if (s->size <= s->view.len) {
        web_count(v->w, METRIC_BYTES, s->size);
        http_reply_memory(v->call, status, span_of(s->view.p, (size_t)s->size), sending_release, s);
    } else {
        const struct http_reader from = {sending_read, sending_release, s};
        http_reply_reader(v->call, status, s->size, &from);
    }
}

/* HEAD says the length and reads nothing; the library never asks. */
// NOLINTNEXTLINE(readability-non-const-parameter): the type is that of http_reader.read
static int64_t nothing_read(void *ctx, uint64_t at, uint8_t *out, size_t max)
{
    (void)ctx;
    (void)at;
    (void)out;
    (void)max;
    return -1;
}

static void nothing_release(void *ctx)
{
    (void)ctx;
}

void web_send_length(struct visit *v, uint64_t size)
{
    static const struct http_reader none = {nothing_read, nothing_release, NULL};
    http_reply_reader(v->call, 200, size, &none);
}
