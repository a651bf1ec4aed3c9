#include "key/key_priv.h"

#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/random.h"

#include <sodium.h>

#define FILE_NAME "site.kek"
#define SALT crypto_pwhash_argon2id_SALTBYTES
#define CONTEXT "cordonK1" /* of the derivation of subkeys */

/* Above this a file asks for more than any cost we write: it was made to exhaust us. */
#define MOST_OPS 20
#define MOST_MEM (UINT64_C(1) << 30)

_Static_assert(crypto_kdf_KEYBYTES == KEY_LEN, "the KEK is a key of crypto_kdf");

struct key_kek {
    uint8_t b[KEY_LEN];
};

struct kek_file {
    struct key_cost cost;
    uint8_t salt[SALT];
    uint8_t sealed[KEY_LEN + KEY_SEAL_MORE];
};

/* ---- purposes ---- */

static const struct {
    enum key_purpose purpose;
    const char *name;
} purposes[] = {
    {KEY_REPOSITORY, "repository"},
    {KEY_LOG, "log"},
    {KEY_ROOT, "root"},
    {KEY_RECORD, "record"},
    {KEY_QUARANTINE, "quarantine"},
    {KEY_OPERATOR, "operator"},
    {KEY_TOKEN, "token"},
};

const char *key_purpose_name(enum key_purpose p)
{
    for (size_t i = 0; i < ARRAY_LEN(purposes); i++) {
        if (purposes[i].purpose == p) {
            return purposes[i].name;
        }
    }
    return NULL;
}

int key_purpose_parse(struct span text, enum key_purpose *out, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(purposes); i++) {
        if (span_is(text, purposes[i].name)) {
            *out = purposes[i].purpose;
            return 0;
        }
    }
    return err_set(e, ERR_FORMAT, "there is no purpose of keys of this name");
}

/* ---- the file ---- */

static int check_cost(struct key_cost c, struct err *e)
{
    if (c.ops < crypto_pwhash_argon2id_OPSLIMIT_MIN || c.ops > MOST_OPS ||
        c.mem < crypto_pwhash_argon2id_MEMLIMIT_MIN || c.mem > MOST_MEM) {
        return err_set(e, ERR_FORMAT,
                       "cost of Argon2id: %llu passes over %llu bytes is out of range",
                       (unsigned long long)c.ops, (unsigned long long)c.mem);
    }
    return 0;
}

static int parse(struct span text, struct kek_file *out, struct err *e)
{
    CLEANUP(js_free) json_t *j = NULL;
    uint64_t version = 0;
    const char *type;
    struct kek_file f = {0};
    int r = js_parse(text, LIMIT_KEY_FILE, FILE_NAME, &j, e);
    r = r < 0 ? r : js_str(j, "type", &type, e);
    r = r < 0 ? r : js_u64(j, "version", &version, e);
    if (r == 0 && (strcmp(type, "cordon-kek") != 0 || version != 1)) {
        return err_set(e, ERR_FORMAT, "no key-encryption key of version 1");
    }
    r = r < 0 ? r : js_u64(j, "ops", &f.cost.ops, e);
    r = r < 0 ? r : js_u64(j, "mem", &f.cost.mem, e);
    r = r < 0 ? r : check_cost(f.cost, e);
    r = r < 0 ? r : key_js_bytes(j, "salt", f.salt, sizeof f.salt, e);
    r = r < 0 ? r : key_js_bytes(j, "sealed", f.sealed, sizeof f.sealed, e);
    if (r < 0) {
        return r;
    }
    *out = f;
    return 0;
}

static void write_json(const struct kek_file *f, struct buf *out)
{
    CLEANUP(js_free) json_t *j = js_new();
    js_set_str(j, "type", "cordon-kek");
    js_set_int(j, "version", 1);
    js_set_int(j, "ops", (int64_t)f->cost.ops);
    js_set_int(j, "mem", (int64_t)f->cost.mem);
    key_js_set_bytes(j, "salt", span_of(f->salt, sizeof f->salt));
    key_js_set_bytes(j, "sealed", span_of(f->sealed, sizeof f->sealed));
    js_write(out, j);
    buf_char(out, '\n');
}

/* The cost and salt are bound, so that nobody can lower the cost of guessing. */
static struct span bound_to(const struct kek_file *f, struct buf *out)
{
    buf_str(out, "cordon kek 1");
    buf_be64(out, f->cost.ops);
    buf_be64(out, f->cost.mem);
    buf_add(out, f->salt, sizeof f->salt);
    return buf_view(out);
}

static int stretch(const struct key_pass *pass, const struct kek_file *f, struct key_sub *out,
                   struct err *e)
{
    if (crypto_pwhash_argon2id(out->b, sizeof out->b, pass->p, pass->len, f->salt, f->cost.ops,
                               (size_t)f->cost.mem, crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0) {
        return err_set(e, ERR_NOMEM, "the passphrase check needs %llu MiB of memory for a moment",
                       (unsigned long long)(f->cost.mem >> 20));
    }
    return 0;
}

/* Fills salt and sealed of *f. */
static int wrap(const struct key_kek *kek, const struct key_pass *pass, struct kek_file *f,
                struct err *e)
{
    CLEANUP(buf_clear) struct buf ad = BUF(100);
    CLEANUP(buf_clear) struct buf sealed = BUF(sizeof f->sealed);
    CLEANUP(key_sub_clear) struct key_sub wrapping;
    if (pass->len < KEY_PASSPHRASE_MIN) {
        return err_set(e, ERR_DENIED, "the passphrase is shorter than %zu bytes: take a longer one",
                       KEY_PASSPHRASE_MIN);
    }
    int r = check_cost(f->cost, e);
    if (r < 0) {
        return r;
    }
    random_bytes(f->salt, sizeof f->salt);
    r = stretch(pass, f, &wrapping, e);
    r = r < 0 ? r : key_seal(&wrapping, bound_to(f, &ad), span_of(kek->b, KEY_LEN), &sealed, e);
    if (r == 0) {
        memcpy(f->sealed, sealed.p, sizeof f->sealed);
    }
    return r;
}

static int unwrap(const struct kek_file *f, const struct key_pass *pass, struct key_kek *kek,
                  struct err *e)
{
    CLEANUP(buf_clear) struct buf ad = BUF(100);
    CLEANUP(key_wipe) struct buf plain = BUF(KEY_LEN + 64);
    CLEANUP(key_sub_clear) struct key_sub wrapping;
    int r = stretch(pass, f, &wrapping, e);
    if (r < 0) {
        return r;
    }
    r = key_unseal(&wrapping, bound_to(f, &ad), span_of(f->sealed, sizeof f->sealed), &plain, e);
    if (r < 0) {
        return err_set(
            e, ERR_DENIED,
            "the passphrase from %s does not open keys/" FILE_NAME
            ": try again with the right one, or restore the file from a backup if it was "
            "changed",
            pass->source != NULL ? pass->source : "the caller");
    }
    memcpy(kek->b, plain.p, KEY_LEN);
    return 0;
}

/* ---- life ---- */

int key_site_create(int keys, const struct key_pass *pass, struct key_cost cost, struct err *e)
{
    CLEANUP(key_kek_close) struct key_kek *kek = key_alloc(sizeof *kek);
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_KEY_FILE);
    struct kek_file f = {.cost = cost};
    if (file_exists(keys, FILE_NAME)) { /* do not make anyone wait for Argon2 first */
        return err_set(e, ERR_CONFLICT, "keys/" FILE_NAME " exists already, and is kept");
    }
    random_bytes(kek->b, sizeof kek->b);
    int r = wrap(kek, pass, &f, e);
    if (r < 0) {
        return r;
    }
    write_json(&f, &text);
    r = buf_done(&text, FILE_NAME, e);
    return r < 0 ? r : key_write_new(keys, FILE_NAME, buf_view(&text), e);
}

static int read_file(int keys, struct kek_file *f, struct err *e)
{
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_KEY_FILE);
    int r = file_read(keys, FILE_NAME, LIMIT_KEY_FILE, &text, e);
    if (r == ERR_NOTFOUND) {
        return err_set(e, r,
                       "keys/" FILE_NAME " does not exist: restore it from a backup; without "
                       "it none of the site's keys can be opened");
    }
    r = r < 0 ? r : parse(buf_view(&text), f, e);
    return r < 0 ? err_wrap(e, r, "read keys/" FILE_NAME) : 0;
}

int key_site_open(int keys, const struct key_pass *pass, struct key_kek **out, struct err *e)
{
    struct kek_file f;
    int r = read_file(keys, &f, e);
    if (r < 0) {
        return r;
    }
    CLEANUP(key_kek_close) struct key_kek *kek = key_alloc(sizeof *kek);
    r = unwrap(&f, pass, kek, e);
    if (r < 0) {
        return r;
    }
    sodium_mprotect_readonly(kek);
    *out = kek;
    kek = NULL;
    return 0;
}

void key_kek_close(struct key_kek **kek)
{
    key_free_secret(*kek);
    *kek = NULL;
}

int key_site_rewrap(int keys, const struct key_pass *old, const struct key_pass *fresh,
                    struct key_cost cost, struct err *e)
{
    CLEANUP(key_kek_close) struct key_kek *kek = NULL;
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_KEY_FILE);
    struct kek_file f = {.cost = cost};
    int r = key_site_open(keys, old, &kek, e);
    r = r < 0 ? r : wrap(kek, fresh, &f, e);
    if (r < 0) {
        return r;
    }
    write_json(&f, &text);
    r = buf_done(&text, FILE_NAME, e);
    return r < 0 ? r : file_write(keys, FILE_NAME, buf_view(&text), 0600, e);
}

void key_subkey(const struct key_kek *kek, enum key_purpose purpose, struct key_sub *out)
{
    crypto_kdf_derive_from_key(out->b, sizeof out->b, (uint64_t)purpose, CONTEXT, kek->b);
}
