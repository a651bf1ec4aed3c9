/* quarantine.c - refused blobs, encrypted so that nothing can run them or infect from them.
 *
 * HEX.sealed is "CDNQUAR1", the 24-byte header of a libsodium secretstream
 * (XChaCha20-Poly1305), then pieces of 1 MiB plus tag, the last one marked as such. The blob's
 * digest is bound to every piece, so that two files cannot be swapped. */
#include "blob/blob_priv.h"

#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"

#define MAGIC "CDNQUAR1"
#define MAGIC_LEN (sizeof MAGIC - 1)
#define HEADER crypto_secretstream_xchacha20poly1305_HEADERBYTES
#define TAGGED crypto_secretstream_xchacha20poly1305_ABYTES
#define SEALED_PIECE (BLOB_CHUNK + TAGGED)

typedef crypto_secretstream_xchacha20poly1305_state stream;

static void wipe(stream *s)
{
    sodium_memzero(s, sizeof *s);
}

static unsigned char tag_of(uint64_t done, uint64_t size)
{
    return done == size ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : 0;
}

static int seal_pieces(const struct blob *b, stream *st, int to, uint8_t *plain, uint8_t *sealed,
                       struct err *e)
{
    uint64_t at = 0;
    do {
        size_t want = b->size - at < BLOB_CHUNK ? (size_t)(b->size - at) : BLOB_CHUNK;
        ssize_t n = fd_pread(b->fd, plain, want, at);
        if (n < 0) {
            return err_sys(e, "read the refused blob");
        }
        if ((size_t)n != want) {
            return err_set(e, ERR_CONFLICT, "the refused blob became shorter");
        }
        at += want;
        crypto_secretstream_xchacha20poly1305_push(st, sealed, NULL, plain, want, b->d.sha256.b,
                                                   sizeof b->d.sha256.b, tag_of(at, b->size));
        int r = fd_write(to, span_of(sealed, want + TAGGED), e);
        if (r < 0) {
            return r;
        }
    } while (at < b->size);
    return 0;
}

static int seal_to(const struct blob *b, const uint8_t *key, int to, struct err *e)
{
    CLEANUP(wipe) stream st;
    uint8_t head[MAGIC_LEN + HEADER];
    memcpy(head, MAGIC, MAGIC_LEN);
    if (sodium_init() < 0 ||
        crypto_secretstream_xchacha20poly1305_init_push(&st, head + MAGIC_LEN, key) != 0) {
        return err_set(e, ERR_BUG, "libsodium does not start");
    }
    int r = fd_write(to, span_of(head, sizeof head), e);
    if (r < 0) {
        return r;
    }
    CLEANUP(mem_free) uint8_t *plain = mem_resize(NULL, BLOB_CHUNK, 1);
    CLEANUP(mem_free) uint8_t *sealed = mem_resize(NULL, SEALED_PIECE, 1);
    return seal_pieces(b, &st, to, plain, sealed, e);
}

int blob_quarantine(struct blobstore *s, const struct blob *b, const uint8_t key[static BLOB_KEY],
                    struct err *e)
{
    char hex[DIGEST_TEXT + 1], name[DIGEST_TEXT + 16], part[DIGEST_TEXT + 40];
    digest_text(&b->d.sha256, hex);
    snprintf(name, sizeof name, "%s.sealed", hex);
    pthread_mutex_lock(&s->lock);
    int r = blob_may_put(s, e);
    pthread_mutex_unlock(&s->lock);
    if (r < 0 || file_exists(s->quarantine, name)) {
        return r;
    }
    uint64_t salt;
    random_bytes(&salt, sizeof salt);
    snprintf(part, sizeof part, "%s-%016llx.part", hex, (unsigned long long)salt);
    CLEANUP(fd_close)
    int fd = openat(s->quarantine, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (fd < 0) {
        return blob_disk_err(e, err_sys(e, "make %s", part), "quarantine a blob");
    }
    r = seal_to(b, key, fd, e);
    if (r == 0 && renameat(s->quarantine, part, s->quarantine, name) < 0) {
        r = err_sys(e, "name %s", name);
    }
    if (r < 0) {
        unlinkat(s->quarantine, part, 0);
        return blob_disk_err(e, r, "quarantine a blob");
    }
    return 0;
}

/* ---- out again ---- */

struct opened {
    int from;
    const struct digest *d;
    stream st;
    uint8_t *plain, *sealed;
};

static void opened_clear(struct opened *o)
{
    wipe(&o->st);
    fd_close(&o->from);
    free(o->plain);
    free(o->sealed);
}

static int open_pieces(struct opened *o, int to, struct err *e)
{
    uint64_t at = MAGIC_LEN + HEADER;
    unsigned char tag = 0;
    while (tag != crypto_secretstream_xchacha20poly1305_TAG_FINAL) {
        ssize_t n = fd_pread(o->from, o->sealed, SEALED_PIECE, at);
        if (n < 0) {
            return err_sys(e, "read it");
        }
        unsigned long long got = 0;
        if ((size_t)n < TAGGED ||
            crypto_secretstream_xchacha20poly1305_pull(&o->st, o->plain, &got, &tag, o->sealed,
                                                       (size_t)n, o->d->b, sizeof o->d->b) != 0) {
            return err_set(
                e, ERR_TRUST,
                "it does not open near byte %llu: it was changed, or this is not its key",
                (unsigned long long)at);
        }
        at += (uint64_t)n;
        int r = fd_write(to, span_of(o->plain, (size_t)got), e);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int open_sealed(struct blobstore *s, const char *name, const uint8_t *key, struct opened *o,
                       struct err *e)
{
    struct stat st;
    uint8_t head[MAGIC_LEN + HEADER];
    int r = blob_file(s->quarantine, name, &o->from, &st, e);
    if (r < 0) {
        return r == ERR_SYS && e != NULL && e->sys == ENOENT
                   ? err_set(e, ERR_NOTFOUND, "%s is not in the quarantine", name)
                   : r;
    }
    if (fd_pread(o->from, head, sizeof head, 0) != (ssize_t)sizeof head ||
        memcmp(head, MAGIC, MAGIC_LEN) != 0 || sodium_init() < 0 ||
        crypto_secretstream_xchacha20poly1305_init_pull(&o->st, head + MAGIC_LEN, key) != 0) {
        return err_set(e, ERR_FORMAT, "it is not a quarantined blob");
    }
    o->plain = mem_resize(NULL, BLOB_CHUNK, 1);
    o->sealed = mem_resize(NULL, SEALED_PIECE, 1);
    return 0;
}

int blob_unquarantine(struct blobstore *s, const struct digest *d,
                      const uint8_t key[static BLOB_KEY], struct blob *out, struct err *e)
{
    char hex[DIGEST_TEXT + 1], name[DIGEST_TEXT + 16];
    snprintf(name, sizeof name, "%s.sealed", digest_text(d, hex));
    if (s->quarantine < 0) {
        return err_set(e, ERR_DENIED, "the store is open for reading only");
    }
    CLEANUP(opened_clear) struct opened o = {.from = -1, .d = d};
    int r = open_sealed(s, name, key, &o, e);
    /* plain bytes go to a nameless file that is not executable, and are hashed from there */
    CLEANUP(fd_close) int fd = -1;
    if (r == 0) {
        fd = openat(s->staging, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0400);
        r = fd < 0 ? err_sys(e, "make a file in staging/") : open_pieces(&o, fd, e);
    }
    CLEANUP(blob_discard) struct blob b = BLOB_NONE;
    if (r == 0) {
        r = blob_stage(s, fd, BLOB_MAX, &b, e);
    }
    if (r < 0) {
        return blob_disk_err(e, r, name);
    }
    if (!digest_eq(&b.d.sha256, d)) {
        return err_set(e, ERR_TRUST, "%s holds another blob", name);
    }
    *out = b;
    b = BLOB_NONE;
    return 0;
}
