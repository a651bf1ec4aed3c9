/* An envelope opens only with a signature that holds over exactly its type and payload; any payload
 * that can be signed opens to itself. */
#include "base/dsse.h"
#include "base/limits.h"

#include <sodium.h>

static uint8_t secret[64];

static int sign(void *ctx, struct span message, uint8_t out[SIG_LEN], struct err *e)
{
    (void)ctx;
    (void)e;
    return crypto_sign_detached(out, NULL, message.p, message.len, secret);
}

static struct sig_by by = {.sign = sign};

static void check_open(struct span envelope)
{
    CLEANUP(buf_clear)
    struct buf payload = BUF(LIMIT_DSSE), again = BUF(LIMIT_DSSE), second = BUF(LIMIT_DSSE);
    if (dsse_open(envelope, "text/plain", &by.key, &payload, NULL) < 0) {
        FUZZ_CHECK(payload.len == 0);
        return;
    }
    /* Ed25519 is deterministic: whatever opens says what our own envelope says. */
    if (dsse_sign(&by, "text/plain", buf_view(&payload), &again, NULL) == 0) {
        FUZZ_CHECK(dsse_open(buf_view(&again), "text/plain", &by.key, &second, NULL) == 0);
        FUZZ_CHECK(span_eq(buf_view(&payload), buf_view(&second)));
    }
}

static void check_sign(struct span payload)
{
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_DSSE), back = BUF(LIMIT_DSSE);
    if (dsse_sign(&by, "text/plain", payload, &text, NULL) < 0) {
        return;
    }
    FUZZ_CHECK(dsse_open(buf_view(&text), "text/html", &by.key, &back, NULL) == ERR_TRUST);
    FUZZ_CHECK(dsse_open(buf_view(&text), "text/plain", &by.key, &back, NULL) == 0);
    FUZZ_CHECK(span_eq(buf_view(&back), payload));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (by.ctx == NULL) {
        const uint8_t seed[32] = {1};
        FUZZ_CHECK(sodium_init() >= 0);
        crypto_sign_seed_keypair(by.key.b, secret, seed);
        by.ctx = secret;
    }
    check_open(span_of(data, size));
    check_sign(span_of(data, size));
    return 0;
}
