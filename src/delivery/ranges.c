#include "delivery/delivery_priv.h"

#include "base/mem.h"

void ranges_clear(struct ranges *s)
{
    free(s->v);
    *s = (struct ranges){0};
}

void ranges_reset(struct ranges *s)
{
    s->n = 0;
}

void ranges_add(struct ranges *s, uint64_t from, uint64_t to)
{
    if (from >= to) {
        return;
    }
    if (s->n == s->cap) {
        s->cap = s->cap * 2 + 8;
        s->v = mem_resize(s->v, s->cap, sizeof *s->v);
    }
    s->v[s->n++] = (struct range){from, to};
}

void ranges_add_all(struct ranges *s, const struct ranges *more)
{
    for (size_t i = 0; i < more->n; i++) {
        ranges_add(s, more->v[i].from, more->v[i].to);
    }
}

static int by_from(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

void ranges_join(struct ranges *s)
{
    size_t n = 0;
    if (s->n == 0) {
        return;
    }
    qsort(s->v, s->n, sizeof *s->v, by_from);
    for (size_t i = 1; i < s->n; i++) {
        if (s->v[i].from > s->v[n].to) {
            s->v[++n] = s->v[i];
        } else if (s->v[i].to > s->v[n].to) {
            s->v[n].to = s->v[i].to;
        }
    }
    s->n = n + 1;
}

bool ranges_cover(const struct ranges *s, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->v[i].from <= from && to <= s->v[i].to) {
            return true;
        }
    }
    return from >= to;
}

uint64_t ranges_bytes(const struct ranges *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s->n; i++) {
        sum += s->v[i].to - s->v[i].from;
    }
    return sum;
}

uint64_t ranges_common(const struct ranges *a, const struct ranges *b)
{
    uint64_t sum = 0;
    for (size_t i = 0, k = 0; i < a->n && k < b->n;) {
        uint64_t from = a->v[i].from > b->v[k].from ? a->v[i].from : b->v[k].from;
        uint64_t to = a->v[i].to < b->v[k].to ? a->v[i].to : b->v[k].to;
        sum += from < to ? to - from : 0;
        if (a->v[i].to < b->v[k].to) {
            i++;
        } else {
            k++;
        }
    }
    return sum;
}
