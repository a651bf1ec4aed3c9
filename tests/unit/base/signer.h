/* signer.h - a key for tests, made from a seed. */
#pragma once
#include "base/sig.h"
#include "check.h"

#include <sodium.h>

struct signer {
    uint8_t secret[64];
    struct sig_by by;
};

static int signer_sign(void *ctx, struct span message, uint8_t out[SIG_LEN], struct err *e)
{
    (void)e;
    struct signer *s = ctx;
    return crypto_sign_detached(out, NULL, message.p, message.len, s->secret);
}

static inline void signer_init(struct signer *s, const uint8_t seed[32])
{
    CHECK(sodium_init() >= 0);
    s->by = (struct sig_by){.sign = signer_sign, .ctx = s};
    crypto_sign_seed_keypair(s->by.key.b, s->secret, seed);
}
