/* digest.h - the SHA-256 name of some bytes, and hashing in one pass.
 *
 * A digest is a plain value. Nothing here logs or keeps state, so any thread may call anything. */
#pragma once
#include "base/err.h"
#include "base/span.h"

#define DIGEST_TEXT ((size_t)64)

struct digest {
    uint8_t b[32];
};

/* Reads 64 lower-case hex digits. One digest has one spelling: upper case is refused, so that
 * equal text in SQL, JSON and file names always means equal bytes. *out is kept on failure. */
MUST_CHECK int digest_parse(struct span text, struct digest *out, struct err *e);

/* Writes the 64 digits and a NUL into `out` and returns it, for use as a printf argument. */
const char *digest_text(const struct digest *d, char out[static DIGEST_TEXT + 1]);

bool digest_eq(const struct digest *a, const struct digest *b);
struct digest digest_of(struct span s);

/* Incremental SHA-256. hasher_end() may be called once; hasher_clear() always. */
struct hasher {
    void *ctx;
};
void hasher_init(struct hasher *h);
void hasher_add(struct hasher *h, struct span s);
struct digest hasher_end(struct hasher *h);
void hasher_clear(struct hasher *h);

/* SHA-256, SHA-1 and MD5 of the same bytes: advisories name files by any of the three. */
struct digests {
    struct digest sha256;
    uint8_t sha1[20];
    uint8_t md5[16];
};
struct hasher3 {
    void *ctx[3];
};
void hasher3_init(struct hasher3 *h);
void hasher3_add(struct hasher3 *h, struct span s);
struct digests hasher3_end(struct hasher3 *h);
void hasher3_clear(struct hasher3 *h);
