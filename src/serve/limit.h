/* limit.h - how much one account, or one address, may ask at once. */
#pragma once
#include "base/err.h"

struct limits;
struct limits_opts {
    unsigned downloads; /* at once, of one key */
    unsigned rate;      /* requests a second, averaged over ten seconds */
};
struct limits *limits_new(const struct limits_opts *o);
void limits_free(struct limits **at);

/* Names whoever asks without keeping what they said; the same only within this process. */
uint64_t limits_key(const struct limits *l, const char *kind, const char *user, const char *secret);

/* Takes one request at `now` (boot clock); false: too many, try again in *wait seconds. */
bool limits_request(struct limits *l, uint64_t key, int64_t now, unsigned *wait);
/* A download begins; false: too many at once. Each true needs a limits_end(). */
bool limits_begin(struct limits *l, uint64_t key, int64_t now);
void limits_end(struct limits *l, uint64_t key);

/* A credential of this address did not hold. Guessing is slowed down: false from limits_may_try()
 * once it has failed too often lately. */
void limits_failed(struct limits *l, uint64_t key, int64_t now);
bool limits_may_try(struct limits *l, uint64_t key, int64_t now);
