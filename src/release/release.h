/* release.h - from a file to a published target, and back: the only code that may have a target
 * signed.
 *
 * Lives in the gate. Ports reach the other processes, so that nothing here knows sockets. Every
 * call is safe from any thread; what changes the repository is done one at a time. */
#pragma once
#include "base/settings.h"
#include "blob/blob.h"
#include "key/key.h"
#include "release/release_db.h"
#include "scan/scan.h"
#include "tuf/tuf.h"

struct release_ports {
    void *ctx;
    /* Has the recorder append and commit these events, all or none. Sets index and time. */
    int (*append)(void *ctx, struct event *ev, size_t n, struct err *e);
    /* Requests to the signers (see signer.h). */
    int (*docs)(void *ctx, const json_t *request, struct tuf_docs *out, struct err *e);
    int (*ask)(void *ctx, const json_t *request, json_t **answer, struct err *e); /* others */
    int (*verdict)(void *ctx, const json_t *request, struct buf *envelope, struct digest *sha256,
                   struct err *e);
    /* A reader of cordon.db for the calling thread; borrowed. */
    struct db *(*db)(void *ctx, struct err *e);
    /* After a change of what is published: web.db is written anew from cordon.db for these paths
     * (n == 0: all). */
    int (*show)(void *ctx, const char *const *paths, size_t n, struct err *e);
};

struct release;
struct release_opts {
    int site; /* borrowed */
    const struct settings *settings;
    struct blobstore *blobs;
    struct scan_pool *scan;
    struct key_sub quarantine;
    struct release_ports ports;
};
/* Completes or withdraws what a crash left between log and metadata. */
MUST_CHECK int release_open(const struct release_opts *o, struct release **out, struct err *e);
void release_close(struct release **r);

/* ---- admission ---- */

struct release_batch;
/* {product, version, hold?, rename?, emergency?, who, host, provenance?{}}. Refuses `latest`,
 * `recall`, bad names. */
MUST_CHECK int release_begin(struct release *r, const json_t *q, struct release_batch **out,
                             struct err *e);
/* Copies, scans and judges up to RELEASE_FILES files: {path, source} each, with its descriptor.
 * Several threads may call at once on one batch. *results: per file the object that `admit` prints,
 * with `published` false until release_end(). A refused file is quarantined. */
#define RELEASE_FILES ((size_t)16)
MUST_CHECK int release_files(struct release_batch *b, const json_t *files, const int *fds, size_t n,
                             json_t **results, struct err *e);
/* Attestations, events, signatures, metadata; *results: all files of the batch, in order of
 * arrival. Nothing is published if this fails, or all of it. */
MUST_CHECK int release_end(struct release_batch **b, json_t **results, struct err *e);
void release_drop(struct release_batch **b); /* forgets the batch; NULL is fine */

/* ---- states ---- */

/* `what`: a target path or 64 hex digits. Each returns {state, sha256, targets[], index}. */
MUST_CHECK int release_withhold(struct release *r, const char *what, const char *reason,
                                const char *who, json_t **out, struct err *e);
struct release_order {
    const char *what, *reason;
    const char *replace; /* the target to take instead, or NULL */
    const char *who;
};
MUST_CHECK int release_recall(struct release *r, const struct release_order *o, json_t **out,
                              struct err *e);
MUST_CHECK int release_lift(struct release *r, const char *what, const char *reason,
                            const char *who, json_t **out, struct err *e);
MUST_CHECK int release_approve(struct release *r, const char *product, const char *version,
                               const char *who, json_t **out, struct err *e);
/* Withholds everything published: the big switch. */
MUST_CHECK int release_stop_all(struct release *r, const char *reason, const char *who,
                                json_t **out, struct err *e);
MUST_CHECK int release_list(struct release *r, json_t **out, struct err *e);
MUST_CHECK int release_show(struct release *r, const char *product, const char *version,
                            json_t **out, struct err *e);

/* ---- by itself ---- */

/* Ends holds that are due (scanned again with today's rules first), refreshes metadata at half
 * life. Returns when to call again (microseconds, wall clock) in *next. */
MUST_CHECK int release_tick(struct release *r, int64_t *next, struct err *e);

/* Scans all that was ever published with `rules` alone and withholds what they find, unless that
 * is more than retro.max_share.
 * *out: {rules[], scanned, found[{sha256 targets[] rule ...}], withheld, asked}. */
struct release_hunt {
    const char *const *rules; /* paths of rule files */
    size_t n;
    bool force; /* withhold also more than that share */
    const char *who;
    void (*step)(void *ctx, uint64_t done, uint64_t all); /* or NULL */
    void *ctx;
};
MUST_CHECK int release_retro(struct release *r, const struct release_hunt *q, json_t **out,
                             struct err *e);

/* A stored blob is not what it was: alarm event, and withheld until it is repaired. */
MUST_CHECK int release_alarm(struct release *r, const json_t *alarm, struct err *e);

/* New keys for a role ({role}), and whatever they have to sign again. Answers {role, version}. */
MUST_CHECK int release_rotate(struct release *r, const json_t *q, json_t **out, struct err *e);

/* SHA256SUMS of one published version: {sums, signature, public}; see signer.h. */
MUST_CHECK int release_sums(struct release *r, const char *product, const char *version,
                            json_t **out, struct err *e);
