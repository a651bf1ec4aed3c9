#include "base/buf.h"

#include <stdarg.h>

void buf_init(struct buf *b, size_t max)
{
    *b = BUF(max);
}

void buf_clear(struct buf *b)
{
    if (b != NULL) {
        free(b->p);
        *b = BUF(b->max);
    }
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->fault = 0;
    if (b->p != NULL) {
        b->p[0] = 0;
    }
}

static bool grow(struct buf *b, size_t n)
{
    if (b->fault != 0) {
        return false;
    }
    if (n > b->max || b->len > b->max - n) {
        b->fault = ERR_LIMIT;
        return false;
    }
    size_t need = b->len + n + 1;
    if (need <= b->cap) {
        return true;
    }
    size_t cap = b->cap < 64 ? 64 : b->cap + b->cap / 2;
    if (cap < need) {
        cap = need;
    }
    uint8_t *p = realloc(b->p, cap);
    if (p == NULL) {
        b->fault = ERR_NOMEM;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

uint8_t *buf_room(struct buf *b, size_t n)
{
    return grow(b, n) ? b->p + b->len : NULL;
}

void buf_added(struct buf *b, size_t n)
{
    b->len += n;
    b->p[b->len] = 0;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (grow(b, n)) {
        if (n > 0) {
            memcpy(b->p + b->len, p, n);
        }
        buf_added(b, n);
    }
}

void buf_span(struct buf *b, struct span s)
{
    buf_add(b, s.p, s.len);
}

void buf_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list twice;
    va_copy(twice, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->fault = b->fault != 0 ? b->fault : ERR_BUG;
    } else if (grow(b, (size_t)n)) {
        vsnprintf((char *)b->p + b->len, (size_t)n + 1, fmt, twice);
        b->len += (size_t)n;
    }
    va_end(twice);
}

void buf_be16(struct buf *b, uint16_t v)
{
    uint8_t w[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    buf_add(b, w, sizeof w);
}

void buf_be32(struct buf *b, uint32_t v)
{
    buf_be16(b, (uint16_t)(v >> 16));
    buf_be16(b, (uint16_t)v);
}

void buf_be64(struct buf *b, uint64_t v)
{
    buf_be32(b, (uint32_t)(v >> 32));
    buf_be32(b, (uint32_t)v);
}

int buf_done(const struct buf *b, const char *what, struct err *e)
{
    if (b->fault == ERR_LIMIT) {
        return err_set(e, ERR_LIMIT, "%s is larger than %zu bytes", what, b->max);
    }
    return b->fault == 0 ? 0 : err_set(e, b->fault, "%s could not be put together", what);
}

const char *buf_text(const struct buf *b)
{
    return b->p == NULL ? "" : (const char *)b->p;
}

char *buf_steal(struct buf *b)
{
    char *s = (char *)b->p;
    if (s == NULL) {
        s = calloc(1, 1);
        if (s == NULL) {
            abort();
        }
    }
    *b = BUF(b->max);
    return s;
}
