/* delivery_priv.h - sets of byte ranges. */
#pragma once
#include "delivery/delivery.h"

struct range {
    uint64_t from, to; /* to is exclusive */
};
struct ranges {
    struct range *v;
    size_t n, cap;
};
void ranges_clear(struct ranges *s);
void ranges_reset(struct ranges *s); /* empties, keeps the memory */
void ranges_add(struct ranges *s, uint64_t from, uint64_t to);
void ranges_add_all(struct ranges *s, const struct ranges *more);
/* Sorts and joins what touches; the questions below want that. */
void ranges_join(struct ranges *s);
bool ranges_cover(const struct ranges *s, uint64_t from, uint64_t to);
uint64_t ranges_bytes(const struct ranges *s);
uint64_t ranges_common(const struct ranges *a, const struct ranges *b); /* bytes in both */
