/* sig.c - Ed25519 checked by libsodium, which refuses small-order keys and other spellings of S. */
#include "base/sig.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>

static void start(void)
{
    int r = sodium_init();
    assert(r >= 0);
}

bool sig_ok(const struct sig_public *key, struct span message, const uint8_t sig[SIG_LEN])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start);
    return crypto_sign_verify_detached(sig, message.p, message.len, key->b) == 0;
}
