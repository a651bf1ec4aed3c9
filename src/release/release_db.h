/* release_db.h - the fold of a release's events: blobs, members, targets and their states.
 *
 * Read by delivery (which target is which blob, and may it go out) and incident (who has it). Only
 * release.h changes anything. State of a target: held, waiting (for approval), published, withheld,
 * recalled. Withheld and recalled are of a digest and so of every target that has it.
 *
 * Type numbers of private events, never used for another meaning: 0x01xx account, 0x02xx release,
 * 0x03xx delivery.
 *
 * The events, with the members of their part. Digests are lower-case hex, times microseconds UTC,
 * [member] may be absent:
 *
 *  admitted 0x0201 site {who [host] [source] [provenance{}] product version path rel sha256 sha1
 * md5 size chunks verdict rules [findings[]] [members[]] [hold_until] [approve] [emergency]
 * attestation} path is product/version/rel; chunks the chunk root; verdict "clean", nothing else is
 *           taken; rules the digest of the rule set; attestation the SHA-256 of the envelope.
 *           findings {engine rule severity [member] [text]} and members {path size sha256 sha1 md5}
 *           as scan_result_json() writes them. Refused: a path that names other bytes, or differs
 *           from one that exists only by case (ERR_CONFLICT); a recalled digest (ERR_DENIED). The
 *           same bytes under the same path again are no new target: verdict, rules and attestation
 *           become the newer ones, and `emergency` ends a hold and the wait for approval.
 *  refused  0x0202 site {as admitted, but chunks, attestation and hashes may be absent; reason}
 *  approved 0x0203 site {product version who}
 *           Refused when nothing there waits (ERR_NOTFOUND), and when `who` admitted any of it: a
 *           second person must look (ERR_DENIED).
 *  published public open {path sha256 length chunks verdict}; verdict is the attestation's digest.
 *           Refused unless admitted with the same bytes, held no longer, approved where asked,
 *           neither withheld nor recalled.
 *  withheld 0x0204 site {sha256 reason who [by]}; by: what did it, "rule X", "alarm", ...
 *  recalled public open {sha256 paths[] reason [replacement]}, site {who}
 *  lifted   public open {sha256 reason}, site {who}; refused when there is nothing to lift
 * (ERR_CONFLICT) alarm    0x0205 site {[blob|sha256] kind|fault [first] [last] [last_good] [seen]
 * [text] [node]} retro    0x0206 site {rules[] scanned withheld who found[{sha256 findings[]}]};
 * the findings are kept with those of the admission, so that a scope by rule finds them. */
#pragma once
#include "base/clock.h"
#include "record/record.h"

extern const struct record_kind release_kinds[]; /* ends with name == NULL */
extern const struct db_migration release_migrations[];
extern const size_t release_migrations_n;

enum release_state {
    RELEASE_NONE = 0, /* closed */
    RELEASE_HELD,
    RELEASE_WAITING,
    RELEASE_PUBLISHED,
    RELEASE_WITHHELD,
    RELEASE_RECALLED,
};
const char *release_state_name(enum release_state s);

struct release_target {
    char path[LIMIT_TARGET + 1]; /* PRODUCT/VERSION/FILE */
    char product[LIMIT_NAME + 1], version[LIMIT_NAME + 1];
    struct digest sha256, chunk_root, attestation;
    uint64_t size;
    enum release_state state;
    uint64_t admitted_index;
    bool published;                   /* its `published` event exists, whatever the state now */
    uint64_t published_index;         /* of the first one */
    int64_t published_at, hold_until; /* hold_until 0: none */
    bool approve, approved;           /* approval is asked; given */
};
/* ERR_NOTFOUND. A digest that is withheld or recalled shows as that state whatever the path. */
MUST_CHECK int release_target(struct db *db, const char *path, struct release_target *out,
                              struct err *e);
MUST_CHECK int release_state_of(struct db *db, const struct digest *sha256, enum release_state *out,
                                struct err *e);
/* The path that differs from this one only by case, or is it; ERR_NOTFOUND if there is none. */
MUST_CHECK int release_same_name(struct db *db, const char *path, struct buf *out, struct err *e);

/* ---- targets, in byte order of their paths; an answer other than 0 of `each` ends the walk and is
 * returned. `each` may ask the database, and should collect first what it wants to change. ---- */

typedef int (*release_each)(void *ctx, const struct release_target *t, struct err *e);
MUST_CHECK int release_all(struct db *db, release_each each, void *ctx, struct err *e);
/* version NULL: all versions */
MUST_CHECK int release_of_product(struct db *db, const char *product, const char *version,
                                  release_each each, void *ctx, struct err *e);
MUST_CHECK int release_of_digest(struct db *db, const struct digest *sha256, release_each each,
                                 void *ctx, struct err *e);
/* Whose path is `pattern`, which may end in `*` for any rest. */
MUST_CHECK int release_of_path(struct db *db, const char *pattern, release_each each, void *ctx,
                               struct err *e);
/* Not yet published, approved or never asked for it, held no longer at `now`, not barred. */
MUST_CHECK int release_due(struct db *db, int64_t now, release_each each, void *ctx, struct err *e);
/* The earliest end of a hold that may be published then; INT64_MAX when there is none. */
MUST_CHECK int release_next_due(struct db *db, int64_t *out, struct err *e);
/* Waiting for approval. */
MUST_CHECK int release_waiting(struct db *db, release_each each, void *ctx, struct err *e);

/* The version of `product` whose first file was published last, among those with a file that can
 * be fetched now. ERR_NOTFOUND. */
MUST_CHECK int release_latest(struct db *db, const char *product, char out[static LIMIT_NAME + 1],
                              struct err *e);
/* The same for every product that has one. */
MUST_CHECK int release_each_latest(struct db *db,
                                   int (*each)(void *ctx, const char *product, const char *version,
                                               struct err *e),
                                   void *ctx, struct err *e);

/* ---- blobs ---- */

struct release_blob {
    struct digest sha256, chunk_root, rules, attestation;
    uint64_t size;
    uint64_t admitted_index; /* of the event that its verdict is from */
    bool withheld, recalled;
};
/* A blob that was admitted once, with the rule set of its last verdict. ERR_NOTFOUND. */
MUST_CHECK int release_blob(struct db *db, const struct digest *sha256, struct release_blob *out,
                            struct err *e);
typedef int (*release_blob_each)(void *ctx, const struct release_blob *b, struct err *e);
/* In order of their digests, behind *after (NULL: all); `published`: only those a published target
 * names or named. */
MUST_CHECK int release_blobs(struct db *db, bool published, const struct digest *after,
                             release_blob_each each, void *ctx, struct err *e);

typedef int (*release_digest_each)(void *ctx, const struct digest *sha256, struct err *e);
/* Blobs that are, or hold a member that is, these bytes: 16 (MD5), 20 (SHA-1) or 32 (SHA-256). */
MUST_CHECK int release_holding(struct db *db, struct span hash, release_digest_each each, void *ctx,
                               struct err *e);
/* Blobs in which a rule of this name found something, at admission or later. */
MUST_CHECK int release_found_by(struct db *db, const char *rule, release_digest_each each,
                                void *ctx, struct err *e);
/* Digests that are withheld or recalled, admitted or not. */
MUST_CHECK int release_barred(struct db *db, enum release_state state, release_digest_each each,
                              void *ctx, struct err *e);

/* Findings of a blob as scan_findings_json() has them. New reference. */
MUST_CHECK int release_findings(struct db *db, const struct digest *sha256, json_t **out,
                                struct err *e);
/* Why and by whom it is barred: {state, reason, who, by, index, time, replacement}; ERR_NOTFOUND
 * when it is not. New reference. */
MUST_CHECK int release_bar(struct db *db, const struct digest *sha256, json_t **out, struct err *e);
/* When an admission put these bytes in place, and so knew them good; 0: never. For an alarm about a
 * blob that nobody read since the server started. (Later admissions do not read the copy again.) */
MUST_CHECK int release_known_good(struct db *db, const struct digest *sha256, int64_t *out,
                                  struct err *e);
/* The newest alarms, newest first, at most `max`: [{index time sha256 fault first last last_good
 * seen text node}]. New reference. */
MUST_CHECK int release_alarms(struct db *db, size_t max, json_t **out, struct err *e);
