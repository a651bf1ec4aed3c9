/* buf.h - growing bytes with a mandatory ceiling.
 *
 * `p` is NULL only while nothing was written; the bytes are always followed by a NUL that is not
 * counted. Appends remember the first failure and do nothing after it; check once with buf_done().
 * A zeroed struct has ceiling 0 and takes nothing: start with buf_init() or BUF(max). */
#pragma once
#include "base/err.h"
#include "base/span.h"

struct buf {
    uint8_t *p;
    size_t len, cap, max;
    int fault;
};

#define BUF(ceiling) ((struct buf){.max = (ceiling)})

void buf_init(struct buf *b, size_t max);
void buf_clear(struct buf *b); /* frees; the ceiling stays */
void buf_reset(struct buf *b); /* empties, keeps the memory */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_span(struct buf *b, struct span s);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_fmt(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_be16(struct buf *b, uint16_t v);
void buf_be32(struct buf *b, uint32_t v);
void buf_be64(struct buf *b, uint64_t v);

/* Makes room for n bytes and returns where they go, or NULL; then buf_added(). */
uint8_t *buf_room(struct buf *b, size_t n);
void buf_added(struct buf *b, size_t n);

/* 0, or the first fault: ERR_LIMIT or ERR_NOMEM, naming `what`. */
MUST_CHECK int buf_done(const struct buf *b, const char *what, struct err *e);

static inline struct span buf_view(const struct buf *b)
{
    return (struct span){b->p, b->len};
}

/* The text, never NULL. */
const char *buf_text(const struct buf *b);

/* Hands the memory over (free() it); the buffer is empty after. Never NULL. */
char *buf_steal(struct buf *b);
