#include "base/reader.h"

struct reader reader_of(struct span s)
{
    return (struct reader){.in = s};
}

size_t reader_left(const struct reader *r)
{
    return r->bad ? 0 : r->in.len - r->at;
}

struct span reader_take(struct reader *r, size_t n)
{
    if (r->bad || n > r->in.len - r->at) {
        r->bad = true;
        return SPAN_NONE;
    }
    struct span s = {r->in.p + r->at, n};
    r->at += n;
    return s;
}

void reader_skip(struct reader *r, size_t n)
{
    (void)reader_take(r, n);
}

void reader_seek(struct reader *r, uint64_t at)
{
    if (r->bad || at > r->in.len) {
        r->bad = true;
    } else {
        r->at = (size_t)at;
    }
}

static uint64_t number(struct reader *r, size_t n, bool little)
{
    struct span s = reader_take(r, n);
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        v = v << 8 | s.p[little ? s.len - 1 - i : i];
    }
    return v;
}

uint8_t reader_u8(struct reader *r)
{
    return (uint8_t)number(r, 1, true);
}

uint16_t reader_le16(struct reader *r)
{
    return (uint16_t)number(r, 2, true);
}

uint32_t reader_le32(struct reader *r)
{
    return (uint32_t)number(r, 4, true);
}

uint64_t reader_le64(struct reader *r)
{
    return number(r, 8, true);
}

uint16_t reader_be16(struct reader *r)
{
    return (uint16_t)number(r, 2, false);
}

uint32_t reader_be32(struct reader *r)
{
    return (uint32_t)number(r, 4, false);
}

uint64_t reader_be64(struct reader *r)
{
    return number(r, 8, false);
}

int reader_done(const struct reader *r, const char *what, struct err *e)
{
    return r->bad ? err_set(e, ERR_FORMAT, "%s is cut short", what) : 0;
}
