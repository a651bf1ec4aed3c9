#include "key/key_priv.h"

#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/text.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sodium.h>
#include <unistd.h>

#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES

_Static_assert(NONCE + TAG == KEY_SEAL_MORE, "the header says how much longer");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == KEY_LEN, "one length of keys");

void *key_alloc(size_t n)
{
    void *p = sodium_init() < 0 ? NULL : sodium_malloc(n);
    if (p == NULL) {
        abort();
    }
    memset(p, 0, n);
    return p;
}

void key_free_secret(void *p)
{
    sodium_free(p);
}

void key_sub_clear(struct key_sub *sub)
{
    sodium_memzero(sub, sizeof *sub);
}

void key_wipe(struct buf *b)
{
    if (b->p != NULL) {
        sodium_memzero(b->p, b->cap);
    }
    buf_clear(b);
}

int key_seal(const struct key_sub *sub, struct span ad, struct span plain, struct buf *out,
             struct err *e)
{
    uint8_t *p = buf_room(out, plain.len + KEY_SEAL_MORE);
    if (p == NULL) {
        return buf_done(out, "a sealed text", e);
    }
    unsigned long long len;
    random_bytes(p, NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(p + NONCE, &len, plain.p, plain.len, ad.p, ad.len,
                                               NULL, p, sub->b);
    buf_added(out, NONCE + (size_t)len);
    return 0;
}

int key_unseal(const struct key_sub *sub, struct span ad, struct span sealed, struct buf *out,
               struct err *e)
{
    if (sealed.len < KEY_SEAL_MORE) {
        return err_set(e, ERR_TRUST, "a sealed text of %zu bytes is cut short", sealed.len);
    }
    uint8_t *p = buf_room(out, sealed.len - KEY_SEAL_MORE + 1); /* + 1: room for nothing is none */
    if (p == NULL) {
        return buf_done(out, "an unsealed text", e);
    }
    unsigned long long len;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(p, &len, NULL, sealed.p + NONCE,
                                                   sealed.len - NONCE, ad.p, ad.len, sealed.p,
                                                   sub->b) != 0) {
        return err_set(e, ERR_TRUST, "a sealed text does not open: other key, or changed bytes");
    }
    buf_added(out, (size_t)len);
    return 0;
}

int key_write_new(int dir, const char *name, struct span data, struct err *e)
{
    char tmp[KEY_NAME + 40];
    uint64_t salt;
    random_bytes(&salt, sizeof salt);
    snprintf(tmp, sizeof tmp, "%.80s.new-%016llx", name, (unsigned long long)salt);
    int r = file_write(dir, tmp, data, 0600, e);
    if (r < 0) {
        return r;
    }
    if (renameat2(dir, tmp, dir, name, RENAME_NOREPLACE) != 0) {
        r = errno == EEXIST ? err_set(e, ERR_CONFLICT, "%s exists already, and is kept", name)
                            : err_sys(e, "rename %s to %s", tmp, name);
        unlinkat(dir, tmp, 0);
        return r;
    }
    return file_sync_dir(dir, e);
}

int key_js_bytes(const json_t *o, const char *name, uint8_t *out, size_t n, struct err *e)
{
    const char *text;
    int r = js_str(o, name, &text, e);
    if (r == 0) {
        r = text_unhex(span_str(text), out, n, e);
    }
    return r < 0 ? err_wrap(e, r, "member %s", name) : 0;
}

void key_js_set_bytes(json_t *o, const char *name, struct span s)
{
    CLEANUP(buf_clear) struct buf hex = BUF(LIMIT_KEY_FILE);
    text_hex(&hex, s);
    js_set_str(o, name, buf_text(&hex));
}
