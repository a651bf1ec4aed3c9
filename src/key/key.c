#include "key/key_priv.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/random.h"

#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#define SEED crypto_sign_SEEDBYTES
#define SUFFIX ".key"
#define FILE_ROOM (KEY_NAME + sizeof SUFFIX)

struct key {
    struct key_info info;
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
};

struct key_file {
    struct key_info info;
    uint8_t sealed[SEED + KEY_SEAL_MORE];
};

/* ---- names ---- */

static int check_name(const char *name, const char *what, struct err *e)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_");
    if (n == 0 || n > KEY_NAME || name[n] != '\0' || name[0] < 'a') {
        return err_set(e, ERR_FORMAT,
                       "%s of a key: 1 to %zu of a-z 0-9 - _, beginning with a letter", what,
                       KEY_NAME);
    }
    return 0;
}

static int file_name(const char *name, char out[static FILE_ROOM], struct err *e)
{
    int r = check_name(name, "name", e);
    if (r == 0) {
        snprintf(out, FILE_ROOM, "%s" SUFFIX, name);
    }
    return r;
}

/* ---- the file ---- */

static int parse_names(const json_t *j, struct key_info *out, struct err *e)
{
    const char *name = NULL, *role = NULL, *purpose = NULL;
    int r = js_str(j, "name", &name, e);
    r = r < 0 ? r : check_name(name, "name", e);
    r = r < 0 ? r : js_str(j, "role", &role, e);
    r = r < 0 ? r : check_name(role, "role", e);
    r = r < 0 ? r : js_str(j, "purpose", &purpose, e);
    r = r < 0 ? r : key_purpose_parse(span_str(purpose), &out->purpose, e);
    if (r == 0) {
        snprintf(out->name, sizeof out->name, "%s", name);
        snprintf(out->role, sizeof out->role, "%s", role);
    }
    return r;
}

static int parse(struct span text, const char *name, struct key_file *out, struct err *e)
{
    CLEANUP(js_free) json_t *j = NULL;
    uint64_t version = 0;
    const char *type;
    struct key_file f = {0};
    int r = js_parse(text, LIMIT_KEY_FILE, "the key file", &j, e);
    r = r < 0 ? r : js_str(j, "type", &type, e);
    r = r < 0 ? r : js_u64(j, "version", &version, e);
    if (r == 0 && (strcmp(type, "cordon-key") != 0 || version != 1 || json_object_size(j) != 7)) {
        return err_set(e, ERR_FORMAT, "no key file of version 1");
    }
    r = r < 0 ? r : parse_names(j, &f.info, e);
    r = r < 0 ? r : key_js_bytes(j, "public", f.info.public.b, SIG_PUBLIC, e);
    r = r < 0 ? r : key_js_bytes(j, "sealed", f.sealed, sizeof f.sealed, e);
    if (r < 0) {
        return r;
    }
    if (strcmp(f.info.name, name) != 0) {
        return err_set(e, ERR_FORMAT, "it holds the key %s: was the file renamed?", f.info.name);
    }
    *out = f;
    return 0;
}

int key_info_parse(struct span text, const char *name, struct key_info *out, struct err *e)
{
    struct key_file f;
    int r = parse(text, name, &f, e);
    if (r == 0) {
        *out = f.info;
    }
    return r;
}

static void write_json(const struct key_file *f, struct buf *out)
{
    CLEANUP(js_free) json_t *j = js_new();
    js_set_str(j, "type", "cordon-key");
    js_set_int(j, "version", 1);
    js_set_str(j, "name", f->info.name);
    js_set_str(j, "role", f->info.role);
    js_set_str(j, "purpose", key_purpose_name(f->info.purpose));
    key_js_set_bytes(j, "public", span_of(f->info.public.b, SIG_PUBLIC));
    key_js_set_bytes(j, "sealed", span_of(f->sealed, sizeof f->sealed));
    js_write(out, j);
    buf_char(out, '\n');
}

static int read_file(int keys, const char *name, struct key_file *f, struct err *e)
{
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_KEY_FILE);
    char file[FILE_ROOM];
    int r = file_name(name, file, e);
    if (r < 0) {
        return r;
    }
    r = file_read(keys, file, LIMIT_KEY_FILE, &text, e);
    r = r < 0 ? r : parse(buf_view(&text), name, f, e);
    return r < 0 ? err_wrap(e, r, "key %s", name) : 0;
}

/* The seed opens only beside the very name, role, purpose and public key it was made with. */
static struct span bound_to(const struct key_info *i, struct buf *out)
{
    buf_fmt(out, "cordon key 1\n%s\n%s\n%s\n", i->name, i->role, key_purpose_name(i->purpose));
    buf_add(out, i->public.b, SIG_PUBLIC);
    return buf_view(out);
}

/* ---- life ---- */

static struct key *pair_of(const struct key_info *info, const uint8_t seed[SEED])
{
    struct key *k = key_alloc(sizeof *k);
    k->info = *info;
    crypto_sign_seed_keypair(k->info.public.b, k->secret, seed);
    return k;
}

/* Checks what the caller chose and fills the names of *out. */
static int describe(enum key_purpose purpose, const char *name, const char *role,
                    struct key_info *out, struct err *e)
{
    int r = check_name(name, "name", e);
    r = r < 0 ? r : check_name(role, "role", e);
    if (r == 0 && key_purpose_name(purpose) == NULL) {
        r = err_set(e, ERR_BUG, "key %s: no such purpose", name);
    }
    if (r == 0) {
        out->purpose = purpose;
        snprintf(out->name, sizeof out->name, "%s", name);
        snprintf(out->role, sizeof out->role, "%s", role);
    }
    return r;
}

/* A fresh seed: its public half and the sealed seed go into *f. */
static int generate(const struct key_sub *sub, struct key_file *f, struct err *e)
{
    CLEANUP(key_sub_clear) struct key_sub seed;
    CLEANUP(buf_clear) struct buf ad = BUF(LIMIT_KEY_FILE);
    CLEANUP(buf_clear) struct buf sealed = BUF(sizeof f->sealed);
    random_bytes(seed.b, sizeof seed.b);
    CLEANUP(key_free) struct key *pair = pair_of(&f->info, seed.b);
    f->info = pair->info;
    int r = key_seal(sub, bound_to(&f->info, &ad), span_of(seed.b, SEED), &sealed, e);
    if (r == 0) {
        memcpy(f->sealed, sealed.p, sizeof f->sealed);
    }
    return r;
}

/* NOLINTNEXTLINE(readability-function-size): name, role and purpose together say what it is */
int key_make(int keys, const struct key_sub *sub, enum key_purpose purpose, const char *name,
             const char *role, struct key_info *out, struct err *e)
{
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_KEY_FILE);
    struct key_file f = {0};
    char file[FILE_ROOM];
    int r = describe(purpose, name, role, &f.info, e);
    r = r < 0 ? r : file_name(name, file, e);
    r = r < 0 ? r : generate(sub, &f, e);
    if (r < 0) {
        return r;
    }
    write_json(&f, &text);
    r = buf_done(&text, file, e);
    r = r < 0 ? r : key_write_new(keys, file, buf_view(&text), e);
    if (r == 0) {
        *out = f.info;
    }
    return r;
}
_Static_assert(SEED == KEY_LEN, "a seed is wiped as a subkey is");

int key_load(int keys, const struct key_sub *sub, const char *name, struct key **out, struct err *e)
{
    CLEANUP(buf_clear) struct buf ad = BUF(LIMIT_KEY_FILE);
    CLEANUP(key_wipe) struct buf seed = BUF(SEED + 64);
    struct key_file f;
    int r = read_file(keys, name, &f, e);
    if (r < 0) {
        return r;
    }
    r = key_unseal(sub, bound_to(&f.info, &ad), span_of(f.sealed, sizeof f.sealed), &seed, e);
    if (r < 0) {
        return err_set(e, r,
                       "keys/%s" SUFFIX
                       " does not open: it was changed, or belongs to another site "
                       "or purpose than \"%s\"; restore it from a backup",
                       name, key_purpose_name(f.info.purpose));
    }
    CLEANUP(key_free) struct key *k = pair_of(&f.info, seed.p);
    if (memcmp(&k->info.public, &f.info.public, sizeof f.info.public) != 0) {
        return err_set(e, ERR_TRUST, "keys/%s" SUFFIX ": its two halves do not match", name);
    }
    sodium_mprotect_readonly(k);
    *out = k;
    k = NULL;
    return 0;
}

void key_free(struct key **key)
{
    key_free_secret(*key);
    *key = NULL;
}

const struct key_info *key_about(const struct key *key)
{
    return &key->info;
}

/* ---- use ---- */

void key_sign(const struct key *key, struct span message, uint8_t out[SIG_LEN])
{
    crypto_sign_detached(out, NULL, message.p, message.len, key->secret);
}

static int sign_with(void *ctx, struct span message, uint8_t out[SIG_LEN], struct err *e)
{
    (void)e;
    key_sign(ctx, message, out);
    return 0;
}

struct sig_by key_signer(struct key *key)
{
    return (struct sig_by){.sign = sign_with, .ctx = key, .key = key->info.public};
}

int key_read_info(int keys, const char *name, struct key_info *out, struct err *e)
{
    struct key_file f;
    int r = read_file(keys, name, &f, e);
    if (r == 0) {
        *out = f.info;
    }
    return r;
}

int key_public(int keys, const char *name, struct sig_public *out, struct err *e)
{
    struct key_info info;
    int r = key_read_info(keys, name, &info, e);
    if (r == 0) {
        *out = info.public;
    }
    return r;
}

struct walk {
    int keys;
    int (*each)(void *ctx, const struct key_info *info);
    void *ctx;
    struct err *e;
};

static int visit(void *ctx, const char *file)
{
    struct walk *w = ctx;
    size_t len = strlen(file), end = sizeof SUFFIX - 1;
    char name[KEY_NAME + 1];
    struct key_info info;
    if (len <= end || len - end > KEY_NAME || strcmp(file + len - end, SUFFIX) != 0) {
        return 0;
    }
    snprintf(name, sizeof name, "%.*s", (int)(len - end), file);
    int r = key_read_info(w->keys, name, &info, w->e);
    return r < 0 ? r : w->each(w->ctx, &info);
}

int key_each(int keys, int (*each)(void *ctx, const struct key_info *info), void *ctx,
             struct err *e)
{
    struct walk w = {keys, each, ctx, e};
    return file_each(keys, ".", visit, &w, e);
}

int key_remove(int keys, const char *name, struct err *e)
{
    static const uint8_t nothing[LIMIT_KEY_FILE];
    char file[FILE_ROOM];
    struct stat st;
    int r = file_name(name, file, e);
    if (r < 0) {
        return r;
    }
    CLEANUP(fd_close) int fd = openat(keys, file, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT ? err_set(e, ERR_NOTFOUND, "there is no key %s", name)
                               : err_sys(e, "open keys/%s", file);
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        size_t n = st.st_size < (off_t)sizeof nothing ? (size_t)st.st_size : sizeof nothing;
        r = fd_pwrite(fd, span_of(nothing, n), 0, e);
        if (r < 0 || fdatasync(fd) != 0) {
            return r < 0 ? r : err_sys(e, "overwrite keys/%s", file);
        }
    }
    return unlinkat(keys, file, 0) == 0 ? file_sync_dir(keys, e) : err_sys(e, "remove %s", file);
}
