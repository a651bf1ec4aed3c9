#include "base/digest.h"

#include <openssl/evp.h> /* uses SHA-NI; libsodium's SHA-256 is several times slower */
#include <openssl/err.h>

#include "base/text.h"

int digest_parse(struct span text, struct digest *out, struct err *e)
{
    struct digest d;
    if (text.len != DIGEST_TEXT) {
        return err_set(e, ERR_FORMAT, "a SHA-256 has 64 hex digits, not %zu characters", text.len);
    }
    int r = text_unhex(text, d.b, sizeof d.b, e);
    if (r < 0) {
        return err_wrap(e, r, "SHA-256");
    }
    *out = d;
    return 0;
}

const char *digest_text(const struct digest *d, char out[static DIGEST_TEXT + 1])
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof d->b; i++) {
        out[2 * i] = hex[d->b[i] >> 4];
        out[2 * i + 1] = hex[d->b[i] & 15];
    }
    out[DIGEST_TEXT] = 0;
    return out;
}

bool digest_eq(const struct digest *a, const struct digest *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

/* Fetched once: an implicit fetch per hash costs more than hashing a small file. */
static const EVP_MD *fetched(size_t which)
{
    static const char *const names[] = {"SHA2-256", "SHA1", "MD5"};
    static EVP_MD *md[ARRAY_LEN(names)];
    EVP_MD *m = __atomic_load_n(&md[which], __ATOMIC_ACQUIRE);
    if (m == NULL) {
        m = EVP_MD_fetch(NULL, names[which], NULL);
        EVP_MD *none = NULL;
        if (m == NULL) {
            abort(); /* an OpenSSL without SHA-256: nothing can be done safely */
        }
        if (!__atomic_compare_exchange_n(&md[which], &none, m, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE)) {
            EVP_MD_free(m);
            m = none;
        }
    }
    return m;
}

static void *start(size_t which)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (c == NULL || EVP_DigestInit_ex2(c, fetched(which), NULL) != 1) {
        abort();
    }
    return c;
}

static void finish(void **ctx, uint8_t *out)
{
    if (EVP_DigestFinal_ex(*ctx, out, NULL) != 1) {
        abort();
    }
    EVP_MD_CTX_free(*ctx);
    *ctx = NULL;
}

static void add(void *ctx, struct span s)
{
    if (s.len > 0 && EVP_DigestUpdate(ctx, s.p, s.len) != 1) {
        abort();
    }
}

struct digest digest_of(struct span s)
{
    struct digest d;
    if (EVP_Digest(s.len > 0 ? (const void *)s.p : "", s.len, d.b, NULL, fetched(0), NULL) != 1) {
        abort();
    }
    return d;
}

void hasher_init(struct hasher *h)
{
    h->ctx = start(0);
}

void hasher_add(struct hasher *h, struct span s)
{
    add(h->ctx, s);
}

struct digest hasher_end(struct hasher *h)
{
    struct digest d;
    finish(&h->ctx, d.b);
    return d;
}

void hasher_clear(struct hasher *h)
{
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
}

void hasher3_init(struct hasher3 *h)
{
    for (size_t i = 0; i < ARRAY_LEN(h->ctx); i++) {
        h->ctx[i] = start(i);
    }
}

void hasher3_add(struct hasher3 *h, struct span s)
{
    for (size_t i = 0; i < ARRAY_LEN(h->ctx); i++) {
        add(h->ctx[i], s);
    }
}

struct digests hasher3_end(struct hasher3 *h)
{
    struct digests d;
    finish(&h->ctx[0], d.sha256.b);
    finish(&h->ctx[1], d.sha1);
    finish(&h->ctx[2], d.md5);
    return d;
}

void hasher3_clear(struct hasher3 *h)
{
    for (size_t i = 0; i < ARRAY_LEN(h->ctx); i++) {
        EVP_MD_CTX_free(h->ctx[i]);
        h->ctx[i] = NULL;
    }
}
