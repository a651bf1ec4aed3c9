/* dsse.h - the Dead Simple Signing Envelope (secure-systems-lab/dsse, protocol and envelope 1.0.2).
 */
#pragma once
#include "base/json.h"
#include "base/sig.h"

/* Pre-authentication encoding: the bytes that are signed. */
void dsse_pae(struct buf *out, struct span type, struct span payload);

/* Key id: hex SHA-256 of the raw public key. */
void dsse_keyid(const struct sig_public *key, char out[static DIGEST_TEXT + 1]);

/* Signs `payload` and appends the envelope's JSON. */
MUST_CHECK int dsse_sign(const struct sig_by *by, const char *type, struct span payload,
                         struct buf *out, struct err *e);

/* Checks before parsing the payload: ERR_TRUST unless one signature by `key` holds. The decoded
 * payload is appended to `payload`. */
MUST_CHECK int dsse_open(struct span envelope, const char *type, const struct sig_public *key,
                         struct buf *payload, struct err *e);
