/* secret.h - the secret of an operator: "cordon-operator:NAME:hex seed", an Ed25519 key.
 *
 * It is made and kept where the operator works; the site knows the public half only. */
#pragma once
#include "base/limits.h"
#include "base/sig.h"

#define SECRET_SEED ((size_t)32)
#define SECRET_TEXT (LIMIT_NAME + 100)

struct secret {
    char name[LIMIT_NAME + 1];
    uint8_t seed[SECRET_SEED];
    struct sig_public public;
    uint8_t pair[64]; /* as libsodium signs with */
};
MUST_CHECK int secret_new(const char *name, struct secret *out, struct err *e);
/* One line; blanks around it are passed over. */
MUST_CHECK int secret_parse(struct span text, struct secret *out, struct err *e);
MUST_CHECK int secret_read(const char *path, struct secret *out, struct err *e);
const char *secret_text(const struct secret *s, char out[static SECRET_TEXT]);
void secret_sign(const struct secret *s, struct span message, uint8_t out[SIG_LEN]);
void secret_clear(struct secret *s); /* for CLEANUP; wipes */
