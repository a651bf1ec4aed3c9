#include "cli/secret.h"

#include <fcntl.h>
#include <sodium.h>

#include "base/file.h"
#include "base/random.h"
#include "base/text.h"

#define PREFIX "cordon-operator:"

_Static_assert(sizeof((struct secret){0}.pair) == crypto_sign_SECRETKEYBYTES, "libsodium's form");

static int from_seed(struct secret *s, struct err *e)
{
    return crypto_sign_seed_keypair(s->public.b, s->pair, s->seed) == 0
               ? 0
               : err_set(e, ERR_BUG, "make a key pair");
}

int secret_new(const char *name, struct secret *out, struct err *e)
{
    int r = text_check_name(span_str(name), "an operator's name", e);
    if (r < 0) {
        return r;
    }
    snprintf(out->name, sizeof out->name, "%s", name);
    random_bytes(out->seed, sizeof out->seed);
    return from_seed(out, e);
}

int secret_parse(struct span text, struct secret *out, struct err *e)
{
    while (text.len > 0 && text.p[text.len - 1] <= ' ') {
        text.len--;
    }
    size_t fixed = strlen(PREFIX), hex = 2 * SECRET_SEED;
    if (text.len < fixed + 2 + hex || memcmp(text.p, PREFIX, fixed) != 0 ||
        text.p[text.len - hex - 1] != ':') {
        return err_set(e, ERR_FORMAT,
                       "no operator's secret: it is what `cordon operator add` printed, "
                       "\"" PREFIX "NAME:\" and %zu hex digits",
                       hex);
    }
    struct span name = span_of(text.p + fixed, text.len - fixed - hex - 1);
    struct secret s = {0};
    int r = text_check_name(name, "an operator's name", e);
    r = r < 0 ? r : text_unhex(span_of(text.p + text.len - hex, hex), s.seed, SECRET_SEED, e);
    if (r == 0) {
        memcpy(s.name, name.p, name.len);
        r = from_seed(&s, e);
    }
    if (r == 0) {
        *out = s;
    }
    secret_clear(&s);
    return r;
}

int secret_read(const char *path, struct secret *out, struct err *e)
{
    CLEANUP(buf_clear) struct buf b = BUF(4096);
    int r = file_read(AT_FDCWD, path, SECRET_TEXT, &b, e);
    r = r < 0 ? r : secret_parse(buf_view(&b), out, e);
    if (b.p != NULL) {
        sodium_memzero(b.p, b.len);
    }
    return r < 0 ? err_wrap(e, r, "read %s", path) : 0;
}

const char *secret_text(const struct secret *s, char out[static SECRET_TEXT])
{
    char hex[2 * SECRET_SEED + 1];
    sodium_bin2hex(hex, sizeof hex, s->seed, sizeof s->seed);
    snprintf(out, SECRET_TEXT, PREFIX "%s:%s", s->name, hex);
    sodium_memzero(hex, sizeof hex);
    return out;
}

void secret_sign(const struct secret *s, struct span message, uint8_t out[SIG_LEN])
{
    crypto_sign_detached(out, NULL, message.p, message.len, s->pair);
}

void secret_clear(struct secret *s)
{
    sodium_memzero(s, sizeof *s);
}
