/* tuf.h - the update repository's metadata (TUF specification 1.0), built, signed and checked.
 *
 * Everything here builds documents from typed values and this repository's own last state; whoever
 * holds the keys is reached through struct sig_by. Documents come out as named bytes, and only
 * tuf_write() and tuf_repair() change a file. Not thread-safe: one thread uses one struct tuf_repo.
 *
 * A change goes: tuf_publish() -> save tuf_state() durably -> hand the documents out ->
 * tuf_write(). A call that fails leaves the repository as it was. If documents were never written,
 * the next call notices (timestamp.json on disk is not the one it made), reads the folder again,
 * and goes on with versions higher than all that were ever signed. */
#pragma once
#include "base/json.h"
#include "base/sig.h"

#define TUF_SPEC_VERSION "1.0.31"
#define TUF_KEYS ((size_t)16)              /* keys of one role */
#define TUF_KEYID_TEXT DIGEST_TEXT         /* hex SHA-256 of the canonical key object */
#define TUF_BITS_MIN 4u                    /* 16 bins at first */
#define TUF_BITS_MAX 14u                   /* with 16,384 bins snapshot.json is 0.7 of 2 MB */
#define TUF_BIN_TARGETS ((size_t)64)       /* on average; above it the bins are doubled */
#define TUF_CUSTOM_MAX ((size_t)1024)      /* canonical bytes of one target's custom */
#define TUF_VERSION_MAX (INT64_C(1) << 53) /* what JavaScript can still count */

/* In the order in which one vouches for the next; also the order of the arrays below. */
enum tuf_role {
    TUF_ROOT,
    TUF_TARGETS,  /* delegates to recalls and releases; seldom signed */
    TUF_RECALLS,  /* recall/..., terminating */
    TUF_RELEASES, /* everything else; holds the succinct hash bins */
    TUF_BINS,     /* one key for all bins */
    TUF_SNAPSHOT,
    TUF_TIMESTAMP,
    TUF_ROLES,
};
const char *tuf_role_name(enum tuf_role role); /* "root", ..., "bins" */
MUST_CHECK int tuf_role_of(const char *name, enum tuf_role *out, struct err *e);

struct tuf_keyset {
    struct sig_public key[TUF_KEYS];
    size_t n;
    unsigned threshold;
};

/* Who signs what, for how long, and what time it is. Roles that a call does not sign may be empty.
 * A signer whose key the role does not list is passed over; too few are ERR_DENIED. */
struct tuf_sign {
    struct {
        const struct sig_by *by;
        size_t n;
        int64_t life; /* microseconds until it expires; 0 takes tuf_life() */
    } role[TUF_ROLES];
    int64_t now;
};
/* root, targets 365 days; recalls, releases, bins 30; snapshot 7; timestamp 1. */
int64_t tuf_life(enum tuf_role role);

/* ---- documents that came out ---- */

struct tuf_doc {
    char *name; /* below metadata/: "4.bin-0.json", "timestamp.json", "recall/HASH.index.json" */
    struct buf bytes;
};
/* In the order to write them: recall files, bins, recalls, releases, targets, snapshot, root,
 * timestamp last. Zero value is empty. */
struct tuf_docs {
    struct tuf_doc *doc;
    size_t n, cap;
};
void tuf_docs_clear(struct tuf_docs *docs);
/* Adds one that arrived from elsewhere (takes the bytes); names that tuf_write() would not take are
 * ERR_FORMAT. */
MUST_CHECK int tuf_docs_take(struct tuf_docs *docs, const char *name, struct buf *bytes,
                             struct err *e);

/* Writes all but timestamp.json, one syncfs(), then timestamp.json by rename: readers see all of it
 * or nothing. Files that exist under a versioned name are never overwritten with other bytes
 * (ERR_CONFLICT). */
MUST_CHECK int tuf_write(int dir, const struct tuf_docs *docs, struct err *e);

struct tuf_repaired {
    bool completed;   /* a publish that was durable but not yet visible is now visible */
    size_t discarded; /* files of a publish that never became durable, removed */
};
/* To be called once by the owner of the folder, before tuf_open(): completes or undoes what a crash
 * left of tuf_write(). ERR_FORMAT or ERR_NOTFOUND names the file when timestamp.json refers to
 * something that is not there: then restore it from a backup or a mirror. */
MUST_CHECK int tuf_repair(int dir, struct tuf_repaired *out, struct err *e);

/* ---- the repository ---- */

struct tuf_repo;

/* Version 1 of everything, with 16 empty bins. *state is a new reference, for tuf_open(). */
MUST_CHECK int tuf_create(const struct tuf_keyset keys[TUF_ROLES], const struct tuf_sign *sign,
                          struct tuf_docs *docs, json_t **state, struct err *e);

/* Loads and verifies what is in the folder (`dir` is duplicated), starting from the root that
 * `state` names and following newer ones. Expiry does not matter here: an expired repository must
 * be able to sign itself again. Bins are read when they are needed.
 * Metadata older than `state` (a restored backup) is taken, and every online role that had been
 * signed in a higher version is signed again, above that, by the next call that signs. */
MUST_CHECK int tuf_open(int dir, const json_t *state, struct tuf_repo **out, struct err *e);
void tuf_close(struct tuf_repo **repo);

/* The highest versions ever signed, with what else survives a restart. New reference. Save it
 * durably before the documents of a call leave the process. */
json_t *tuf_state(const struct tuf_repo *repo);

/* A state from the folder alone, trusting its 1.root.json. Only for an operator whose state is
 * lost: versions signed but not in the folder are then not known. */
MUST_CHECK int tuf_state_adopt(int dir, json_t **state, struct err *e);

struct tuf_target {
    const char *path; /* checked by tuf_check_name() */
    uint64_t length;
    struct digest sha256;
    const json_t *custom; /* NULL or an object, kept as it is */
};
struct tuf_recall {
    const char *id; /* names recall/ID.json; never used twice */
    bool lift;      /* a false alarm is taken back; the entry stays */
    const struct digest *sha256;
    size_t n;
    const char *const *paths; /* targets known under these digests; may be empty */
    size_t n_paths;
    const char *reason;
    const char *replacement; /* a target path, or NULL */
    int64_t time;
    int64_t log; /* index of its entry in the log, or -1 */
};
struct tuf_change {
    const struct tuf_target *add; /* replaces a target of that path */
    size_t n_add;
    const char *const *remove; /* unknown paths are fine */
    size_t n_remove;
    const struct tuf_recall *recall;
    size_t n_recall;
};
/* One consistent step: removes, recalls, then adds. Signs the bins that it touches (all of them
 * after a re-binning), recalls and releases when they change, snapshot and timestamp. A digest that
 * is recalled and not lifted is not added: ERR_DENIED. A change that changes nothing gives no
 * documents. A recall does not look for its targets: name their paths in `remove`. */
MUST_CHECK int tuf_publish(struct tuf_repo *repo, const struct tuf_sign *sign,
                           const struct tuf_change *change, struct tuf_docs *docs, struct err *e);

/* Signs timestamp anew, and every online role that is past half of its life or behind its state. */
MUST_CHECK int tuf_refresh(struct tuf_repo *repo, const struct tuf_sign *sign,
                           struct tuf_docs *docs, struct err *e);

/* When tuf_refresh() has something to do: at once (0) or the first half life to end. */
int64_t tuf_due(const struct tuf_repo *repo);
/* When the first document of a role ends; root and targets deserve a warning in time. */
int64_t tuf_expires(const struct tuf_repo *repo, enum tuf_role role);

/* Gives `role` new keys (NULL: the same again, as a renewal of root or targets) and signs again
 * what the old ones had signed. A new root carries the old and the new root's threshold, so
 * sign->role[TUF_ROOT] holds both; keys of recalls and releases need targets, those of bins need
 * releases. */
MUST_CHECK int tuf_rotate(struct tuf_repo *repo, const struct tuf_sign *sign, enum tuf_role role,
                          const struct tuf_keyset *keys, struct tuf_docs *docs, struct err *e);

/* Whether the folder shows less than was signed (a restored backup). Online roles heal by the next
 * call that signs; targets needs tuf_rotate() with its keys, since clients may have seen more. */
bool tuf_behind(const struct tuf_repo *repo, enum tuf_role role);

/* The target's entry {length, hashes, custom}, borrowed until the next call; ERR_NOTFOUND. */
MUST_CHECK int tuf_find(struct tuf_repo *repo, const char *path, const json_t **entry,
                        struct err *e);
/* The keys that speak for a role now. */
const struct tuf_keyset *tuf_keys(const struct tuf_repo *repo, enum tuf_role role); /* borrowed */
size_t tuf_count(const struct tuf_repo *repo); /* targets in bins */
unsigned tuf_bits(const struct tuf_repo *repo);
/* The listed version of "root", "timestamp", "releases", "bin-0", ...; 0 for none. */
int64_t tuf_version(const struct tuf_repo *repo, const char *name);
bool tuf_is_recalled(const struct tuf_repo *repo, const struct digest *sha256);

/* ---- names ---- */

/* A path that every client on every system can fetch and store: parts of [A-Za-z0-9._+~-], none
 * empty, none with a leading dot, at most LIMIT_TARGET bytes, not below recall/. On ERR_FORMAT or
 * ERR_LIMIT `suggestion` (may be NULL) gets a path that passes: always the same for one input. */
MUST_CHECK int tuf_check_name(struct span path, struct buf *suggestion, struct err *e);

/* Equal for paths that differ only by case, which one Windows folder cannot hold; appended. */
void tuf_fold_name(struct buf *out, struct span path);

/* The bin of a path: top `bits` bits of SHA-256; and a bin's name, "bin-0" to "bin-3fff". */
#define TUF_BIN_NAME ((size_t)16)
uint32_t tuf_bin_of(const char *path, unsigned bits);
const char *tuf_bin_name(uint32_t bin, unsigned bits, char out[static TUF_BIN_NAME]);

/* ---- reading documents, ours and others' ---- */

/* Parses a metadata file and checks its envelope and head: `_type`, spec_version 1.x, version,
 * expires in whole seconds; unknown members stay. *doc is a new reference. */
MUST_CHECK int tuf_parse(struct span bytes, const char *type, json_t **doc, struct err *e);
int64_t tuf_doc_version(const json_t *doc);
int64_t tuf_doc_expires(const json_t *doc); /* microseconds */

/* Checks that `role` ({keyids, threshold}) with its `keys` (an object by key id) signed `doc`:
 * distinct keys, each under the id that its canonical form has. A bad signature counts for nothing,
 * the same key id twice refuses the file; below the threshold is ERR_TRUST. */
MUST_CHECK int tuf_verify(const json_t *doc, const json_t *keys, const json_t *role, struct err *e);

/* The key object as it stands in metadata (new reference), and its id. */
json_t *tuf_key_json(const struct sig_public *key);
void tuf_keyid(const struct sig_public *key, char out[static TUF_KEYID_TEXT + 1]);
