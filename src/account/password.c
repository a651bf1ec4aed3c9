#include "account/account_priv.h"

#include <crypt.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"

#define SUPPORTED "bcrypt ($2y$, $2b$, $2a$), $apr1$, {SHA}, $5$, $6$, $y$"
#define BCRYPT_COST 14u             /* one second; more would stop the recorder */
#define SHA_ROUNDS UINT64_C(500000) /* of $5$ and $6$, about the same */

/* ---- formats of htpasswd that crypt(3) does not know ---- */

struct md5 {
    EVP_MD_CTX *ctx;
};

static void md5_free(struct md5 *m)
{
    EVP_MD_CTX_free(m->ctx);
}

static void md5_start(struct md5 *m)
{
    if (m->ctx == NULL || EVP_DigestInit_ex(m->ctx, EVP_md5(), NULL) != 1) {
        abort(); /* no memory, or an OpenSSL without MD5 */
    }
}

static void md5_add(struct md5 *m, const void *p, size_t n)
{
    EVP_DigestUpdate(m->ctx, p, n);
}

static void md5_end(struct md5 *m, uint8_t out[16])
{
    EVP_DigestFinal_ex(m->ctx, out, NULL);
}

static void apr1_round(struct md5 *m, unsigned i, struct span pw, struct span salt, uint8_t sum[16])
{
    bool odd = i % 2 == 1;
    md5_start(m);
    md5_add(m, odd ? pw.p : sum, odd ? pw.len : 16);
    if (i % 3 != 0) {
        md5_add(m, salt.p, salt.len);
    }
    if (i % 7 != 0) {
        md5_add(m, pw.p, pw.len);
    }
    md5_add(m, odd ? sum : pw.p, odd ? 16 : pw.len);
    md5_end(m, sum);
}

/* The FreeBSD MD5 crypt with Apache's magic: a thousand rounds of MD5 over password, salt and what
 * came before, in an order that depends on the round. */
static void apr1(struct span pw, struct span salt, uint8_t out[16])
{
    CLEANUP(md5_free) struct md5 m = {EVP_MD_CTX_new()};
    uint8_t sum[16];
    md5_start(&m);
    md5_add(&m, pw.p, pw.len);
    md5_add(&m, salt.p, salt.len);
    md5_add(&m, pw.p, pw.len);
    md5_end(&m, sum);
    md5_start(&m);
    md5_add(&m, pw.p, pw.len);
    md5_add(&m, "$apr1$", 6);
    md5_add(&m, salt.p, salt.len);
    for (size_t left = pw.len; left > 0; left -= left < 16 ? left : 16) {
        md5_add(&m, sum, left < 16 ? left : 16);
    }
    for (size_t bits = pw.len; bits > 0; bits >>= 1) {
        md5_add(&m, (bits & 1) != 0 ? (const void *)"" : (const void *)pw.p, 1);
    }
    md5_end(&m, sum);
    for (unsigned i = 0; i < 1000; i++) {
        apr1_round(&m, i, pw, salt, sum);
    }
    memcpy(out, sum, sizeof sum);
}

static void apr1_text(const uint8_t sum[16], char out[static 23])
{
    static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const uint8_t order[5][3] = {{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}};
    size_t n = 0;
    for (size_t i = 0; i < 5; i++) {
        uint32_t v =
            (uint32_t)sum[order[i][0]] << 16 | (uint32_t)sum[order[i][1]] << 8 | sum[order[i][2]];
        for (int k = 0; k < 4; k++, v >>= 6) {
            out[n++] = digits[v & 63];
        }
    }
    out[n++] = digits[sum[11] & 63];
    out[n++] = digits[sum[11] >> 6];
    out[n] = '\0';
}

static bool apr1_matches(const char *hash, struct span pw)
{
    const char *salt = hash + 6, *end = strchr(salt, '$');
    if (end == NULL || end - salt > 8 || strlen(end + 1) != 22) {
        return false;
    }
    uint8_t sum[16];
    char text[23];
    apr1(pw, span_of(salt, (size_t)(end - salt)), sum);
    apr1_text(sum, text);
    return sodium_memcmp(text, end + 1, 22) == 0;
}

static bool sha_matches(const char *hash, struct span pw)
{
    CLEANUP(buf_clear) struct buf want = BUF(20);
    uint8_t sum[20];
    return text_unbase64(span_str(hash + 5), &want, NULL) == 0 && want.len == sizeof sum &&
           EVP_Digest(pw.p, pw.len, sum, NULL, EVP_sha1(), NULL) == 1 &&
           sodium_memcmp(sum, want.p, sizeof sum) == 0;
}

static bool crypt_matches(const char *hash, struct span pw)
{
    CLEANUP(mem_free) struct crypt_data *data = mem_new(struct crypt_data);
    CLEANUP(mem_free) char *text = mem_text(pw.p, pw.len);
    const char *got = crypt_rn(text, hash, data, (int)sizeof *data);
    size_t n = strlen(hash);
    bool ok = got != NULL && strlen(got) == n && sodium_memcmp(got, hash, n) == 0;
    sodium_memzero(text, pw.len);
    sodium_memzero(data, sizeof *data);
    return ok;
}

static bool begins(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

static bool is_bcrypt(const char *hash)
{
    return begins(hash, "$2y$") || begins(hash, "$2b$") || begins(hash, "$2a$");
}

bool password_matches(const char *hash, struct span password)
{
    if (password.len > ACCOUNT_PASSWORD || memchr(password.p, 0, password.len) != NULL) {
        return false;
    }
    return begins(hash, "$apr1$")  ? apr1_matches(hash, password)
           : begins(hash, "{SHA}") ? sha_matches(hash, password)
                                   : crypt_matches(hash, password);
}

/* ---- what is taken ---- */

static bool costs_too_much(const char *hash)
{
    uint64_t n = 0;
    if (is_bcrypt(hash)) {
        uint64_t ten = (uint64_t)(hash[4] - '0');
        return ten * 10 + (uint64_t)(hash[5] - '0') > BCRYPT_COST;
    }
    if (begins(hash, "$y$")) { /* parameters beyond yescrypt's default j9T are larger */
        return !begins(hash, "$y$j9T$") && !begins(hash, "$y$j8T$") && !begins(hash, "$y$j7T$");
    }
    if (!begins(hash + 2, "$rounds=") || strlen(hash) < 12) {
        return false;
    }
    const char *digits = hash + 10;
    return text_u64(span_of(digits, strspn(digits, "0123456789")), SHA_ROUNDS, &n, NULL) < 0;
}

static bool crypt_knows(const char *hash)
{
    int r = crypt_checksalt(hash); /* $5$ counts as legacy */
    return r != CRYPT_SALT_INVALID && r != CRYPT_SALT_METHOD_DISABLED;
}

int password_supported(const char *hash, struct err *e)
{
    static const char plain[] =
        "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz$=+{},-";
    size_t n = strlen(hash);
    const char *end = n > 6 ? strchr(hash + 6, '$') : NULL;
    bool ok = n <= ACCOUNT_HASH && strspn(hash, plain) == n;
    if (ok && begins(hash, "$apr1$")) {
        ok = end != NULL && end - hash - 6 <= 8 && strlen(end + 1) == 22;
    } else if (ok && begins(hash, "{SHA}")) {
        ok = n == 33;
    } else if (ok && is_bcrypt(hash)) {
        ok = n == 60 && crypt_knows(hash);
    } else {
        ok = ok && (begins(hash, "$5$") || begins(hash, "$6$") || begins(hash, "$y$")) &&
             strchr(hash + 3, '$') != NULL && crypt_knows(hash);
    }
    if (!ok) {
        return err_set(e, ERR_FORMAT,
                       "a password hash of another kind than " SUPPORTED
                       ": give this account a token instead");
    }
    return costs_too_much(hash)
               ? err_set(e, ERR_LIMIT,
                         "a password hash so costly that checking it would hold up "
                         "all downloads: give this account a token instead")
               : 0;
}

/* ---- remembering ---- */

#define REMEMBERED 4096u /* a power of two */
#define WINDOW (10 * CLOCK_SECOND)

/* Right answers, each a keyed hash of account, hash and password under a key of this process. */
static struct {
    pthread_mutex_t lock;
    bool ready;
    uint8_t key[crypto_generichash_KEYBYTES];
    struct digest seen[REMEMBERED];
    int64_t since, spent; /* time that hashing took in this window */
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct digest keyed(uint64_t account, const char *hash, struct span password)
{
    struct digest d;
    crypto_generichash_state st;
    if (!memory.ready) {
        random_bytes(memory.key, sizeof memory.key);
        memory.ready = true;
    }
    crypto_generichash_init(&st, memory.key, sizeof memory.key, sizeof d.b);
    crypto_generichash_update(&st, (const uint8_t *)&account, sizeof account);
    crypto_generichash_update(&st, (const uint8_t *)hash, strlen(hash) + 1);
    crypto_generichash_update(&st, password.p, password.len);
    crypto_generichash_final(&st, d.b, sizeof d.b);
    return d;
}

int password_check(uint64_t account, const char *hash, struct span password, struct err *e)
{
    pthread_mutex_lock(&memory.lock);
    struct digest d = keyed(account, hash, password);
    struct digest *slot = &memory.seen[((unsigned)d.b[0] << 8 | d.b[1]) % REMEMBERED];
    bool known = sodium_memcmp(slot->b, d.b, sizeof d.b) == 0;
    int64_t start = clock_boot();
    if (start - memory.since > WINDOW || start < memory.since) {
        memory.since = start;
        memory.spent = 0;
    }
    int r = 0;
    if (!known && memory.spent > WINDOW / 2) {
        r = err_set(e, ERR_UNAVAIL,
                    "too many passwords are being checked; try again in some "
                    "seconds, or use a token");
    } else if (!known) {
        bool ok = password_matches(hash, password);
        memory.spent += clock_boot() - start;
        r = ok ? 0 : err_set(e, ERR_DENIED, "a wrong password");
        if (ok) {
            *slot = d;
        }
    }
    pthread_mutex_unlock(&memory.lock);
    return r;
}
