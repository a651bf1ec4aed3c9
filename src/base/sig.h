/* sig.h - Ed25519 signatures checked (RFC 8032), and how a signer is reached.
 *
 * Private keys live in src/key and the signer process only. Whoever builds something signed takes
 * a struct sig_by and neither knows nor cares where the key is. */
#pragma once
#include "base/digest.h"

#define SIG_LEN ((size_t)64)
#define SIG_PUBLIC ((size_t)32)

struct sig_public {
    uint8_t b[SIG_PUBLIC];
};

bool sig_ok(const struct sig_public *key, struct span message, const uint8_t sig[SIG_LEN]);

/* Signs a message that the caller itself built from typed values. */
struct sig_by {
    int (*sign)(void *ctx, struct span message, uint8_t out[SIG_LEN], struct err *e);
    void *ctx;
    struct sig_public key;
};
