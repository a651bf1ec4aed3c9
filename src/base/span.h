/* span.h - some bytes that somebody else owns, by value. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *p;
    size_t len;
};

#define SPAN_NONE ((struct span){NULL, 0})

static inline struct span span_of(const void *p, size_t len)
{
    return (struct span){p, len};
}

static inline struct span span_str(const char *s)
{
    return (struct span){(const uint8_t *)s, strlen(s)};
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool span_is(struct span a, const char *s)
{
    return span_eq(a, span_str(s));
}

/* Cuts the text up to the next `sep` off the front of *rest into *out; the separator is dropped.
 * True while there was something left to cut. An empty *rest with p == NULL ends the walk. */
static inline bool span_cut(struct span *rest, char sep, struct span *out)
{
    if (rest->p == NULL) {
        return false;
    }
    const uint8_t *hit = rest->len == 0 ? NULL : memchr(rest->p, sep, rest->len);
    if (hit == NULL) {
        *out = *rest;
        *rest = SPAN_NONE;
        return true;
    }
    size_t n = (size_t)(hit - rest->p);
    *out = (struct span){rest->p, n};
    *rest = (struct span){hit + 1, rest->len - n - 1};
    return true;
}
