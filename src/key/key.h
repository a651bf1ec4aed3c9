/* key.h - the secrets of a site, each under one key-encryption key.
 *
 * `keys` is always an open directory (keys/ of a site, or one that an operator carries away).
 * keys/site.kek holds the key-encryption key (KEK) sealed under Argon2id of the passphrase. From
 * the KEK comes one subkey per purpose; a process gets only the subkeys of its purposes, never the
 * KEK. keys/NAME.key holds one Ed25519 key, sealed under the subkey of its purpose and bound to
 * its name, role, purpose and public key.
 *
 * Secrets live in locked, guarded memory and are wiped when closed. No call is safe to use on one
 * object from two threads at a time, except key_sign(). */
#pragma once
#include "base/buf.h"
#include "base/sig.h"

#define KEY_LEN ((size_t)32)
#define KEY_NAME ((size_t)64)         /* a-z 0-9 - _, beginning with a letter */
#define KEY_PASSPHRASE ((size_t)1024) /* longest, in bytes */
#define KEY_PASSPHRASE_MIN ((size_t)8)
#define KEY_SEAL_MORE ((size_t)40) /* a sealed text is this much longer than the plain one */

/* What a subkey is for; the numbers are part of the file format. */
enum key_purpose {
    KEY_REPOSITORY = 1, /* timestamp, snapshot, releases, bins, recalls */
    KEY_LOG = 2,        /* log, verdicts */
    KEY_ROOT = 3,       /* root, targets: given to a signer for root commands only */
    KEY_RECORD = 4,     /* the recorder's keyring */
    KEY_QUARANTINE = 5, /* the gate's encryption of refused blobs */
    KEY_OPERATOR = 6,   /* keys of operators kept on the site */
    KEY_TOKEN = 7,      /* secrets the server makes for itself: one-time links, cookies */
};
const char *key_purpose_name(enum key_purpose p); /* "repository", ... or NULL */
MUST_CHECK int key_purpose_parse(struct span text, enum key_purpose *out, struct err *e);

/* ---- passphrase ---- */

struct key_pass {
    char *p; /* locked memory */
    size_t len;
    const char *source; /* for messages: "--passphrase-file", "the terminal", ... */
    char warning[200];  /* empty, or what is unwise about the source: show it */
};
void key_pass_clear(struct key_pass *p); /* for CLEANUP; wipes */
MUST_CHECK int key_pass_set(struct key_pass *p, struct span text, struct err *e); /* a copy */

/* Where it comes from, first that is there: `file` (the option --passphrase-file, or NULL),
 * $CORDON_PASSPHRASE_FILE, $CREDENTIALS_DIRECTORY/cordon-passphrase, the terminal if standard input
 * is one (without echo; twice if `fresh`). None of them: ERR_DENIED with the ways to give one. One
 * line end at the end of a file is not part of it. */
MUST_CHECK int key_passphrase(const char *file, bool fresh, struct key_pass *out, struct err *e);

/* ---- the key-encryption key ---- */

struct key_cost {
    uint64_t ops; /* passes of Argon2id */
    uint64_t mem; /* bytes */
};
#define KEY_COST_DEFAULT ((struct key_cost){3, UINT64_C(256) << 20}) /* about a second */
#define KEY_COST_MIN ((struct key_cost){1, 8192})                    /* for tests */

struct key_kek;
struct key_sub {
    uint8_t b[KEY_LEN];
};

/* Makes keys/site.kek with a fresh KEK. An existing one is ERR_CONFLICT and kept. A passphrase of
 * fewer than KEY_PASSPHRASE_MIN bytes is ERR_DENIED. */
MUST_CHECK int key_site_create(int keys, const struct key_pass *pass, struct key_cost cost,
                               struct err *e);
/* ERR_DENIED for a wrong passphrase, ERR_FORMAT for a damaged file, ERR_NOTFOUND without one. */
MUST_CHECK int key_site_open(int keys, const struct key_pass *pass, struct key_kek **out,
                             struct err *e);
void key_kek_close(struct key_kek **kek);
/* The same KEK under another passphrase or cost; old or new after a crash, never neither. */
MUST_CHECK int key_site_rewrap(int keys, const struct key_pass *old, const struct key_pass *fresh,
                               struct key_cost cost, struct err *e);

void key_subkey(const struct key_kek *kek, enum key_purpose purpose, struct key_sub *out);
void key_sub_clear(struct key_sub *sub); /* for CLEANUP; wipes */

/* ---- signing keys ---- */

/* What a key file says in clear. Not proven until the key was loaded with its subkey. */
struct key_info {
    char name[KEY_NAME + 1]; /* "timestamp-2" */
    char role[KEY_NAME + 1]; /* "timestamp" */
    enum key_purpose purpose;
    struct sig_public public;
};
struct key;

/* Makes keys/NAME.key with a fresh key pair. An existing one is ERR_CONFLICT and kept. `name` is
 * the caller's choice, so that a role can have timestamp-1 and, rotated, timestamp-2. */
MUST_CHECK int key_make(int keys, const struct key_sub *sub, enum key_purpose purpose,
                        const char *name, const char *role, struct key_info *out, struct err *e);
/* ERR_TRUST if `sub` is not the one it was sealed with, or anything in the file was changed. */
MUST_CHECK int key_load(int keys, const struct key_sub *sub, const char *name, struct key **out,
                        struct err *e);
void key_free(struct key **key);                         /* wipes */
const struct key_info *key_about(const struct key *key); /* proven */

/* Signs; never fails. key_signer() gives the same as a callback; `key` must outlive it. */
void key_sign(const struct key *key, struct span message, uint8_t out[SIG_LEN]);
struct sig_by key_signer(struct key *key);

/* Without any secret. */
MUST_CHECK int key_read_info(int keys, const char *name, struct key_info *out, struct err *e);
MUST_CHECK int key_public(int keys, const char *name, struct sig_public *out, struct err *e);
/* Calls `each` for every NAME.key in order of names; stops at its first non-zero answer. */
MUST_CHECK int key_each(int keys, int (*each)(void *ctx, const struct key_info *info), void *ctx,
                        struct err *e);
/* Overwrites and removes keys/NAME.key, when its rotation is done. */
MUST_CHECK int key_remove(int keys, const char *name, struct err *e);

/* For the file itself (tests, fuzzing). `name` is what the file was found under. */
MUST_CHECK int key_info_parse(struct span text, const char *name, struct key_info *out,
                              struct err *e);

/* ---- sealing other things ---- */

/* XChaCha20-Poly1305 with a random 24-byte nonce in front; `ad` is bound but not stored. Appends
 * plain.len + KEY_SEAL_MORE bytes. */
MUST_CHECK int key_seal(const struct key_sub *sub, struct span ad, struct span plain,
                        struct buf *out, struct err *e);
/* Appends the plain bytes. ERR_TRUST, and nothing appended, if key, ad or any byte differ. */
MUST_CHECK int key_unseal(const struct key_sub *sub, struct span ad, struct span sealed,
                          struct buf *out, struct err *e);
void key_wipe(struct buf *b); /* for CLEANUP of a buffer that held a secret */
