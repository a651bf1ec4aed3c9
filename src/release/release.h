/* release.h - from a file to a published target, and back: the only code that may have a target
 * signed.
 *
 * Lives in the gate. Ports reach the other processes, so that nothing here knows sockets. Every
 * call is safe from any thread; what changes the repository is done one at a time, while scans run
 * beside each other.
 *
 * The log comes first, the metadata follows it. A call that fails after its entry in the log says
 * so; the entry is in force then, and release_tick() or the next release_open() completes the
 * rest. */
#pragma once
#include "base/settings.h"
#include "blob/blob.h"
#include "key/key.h"
#include "release/release_db.h"
#include "scan/scan.h"
#include "tuf/tuf.h"

struct release_ports {
    void *ctx;
    /* Has the recorder append and commit these events, all or none. Sets index and time. At most
     * some 50 MB of them come at once. */
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
/* Completes what a crash left between log and metadata, or withholds it if the signer will not sign
 * it any more; then has web.db written anew. `o` is copied, what it points to is borrowed. */
MUST_CHECK int release_open(const struct release_opts *o, struct release **out, struct err *e);
void release_close(struct release **r);

/* ---- admission ---- */

struct release_batch;
/* {product, version, hold?, rename?, emergency?, who, host?, provenance?{}}. Refuses `latest`,
 * `recall`, bad names. `hold` is a duration ("72h") or microseconds; without it release.hold
 * counts. `emergency` waives hold and approval, never inspection; `rename` takes suggested names.
 */
MUST_CHECK int release_begin(struct release *r, const json_t *q, struct release_batch **out,
                             struct err *e);
/* Copies, scans and judges up to RELEASE_FILES files: {path, source?} each, with its descriptor.
 * Several threads may call at once on one batch. *results: per file the object that `admit` prints:
 * {path, sha256, size, verdict, findings[], target, published, state, known?, repaired?, log?,
 * reason?}, `published` being false for what is new until release_end(). A file in which something
 * was found is quarantined; a file that is refused for any reason leaves the others alone. An error
 * means that nothing could be asked; then these files are refused. */
#define RELEASE_FILES ((size_t)16)
MUST_CHECK int release_files(struct release_batch *b, const json_t *files, const int *fds, size_t n,
                             json_t **results, struct err *e);
/* Attestations, events, signatures, metadata; *results: all files of the batch, in order of
 * arrival. Nothing is published if this fails, or all of it. Takes the batch, also on failure. */
MUST_CHECK int release_end(struct release_batch **b, json_t **results, struct err *e);
void release_drop(struct release_batch **b); /* forgets the batch; NULL is fine */

/* ---- states ---- */

/* `what`: a target path or 64 hex digits, also of bytes that nobody has brought yet. Each is about
 * the bytes, and so about every target that has them, and returns {state, sha256, targets[], index,
 * reason?}. What is so already is told, and not entered again. */
MUST_CHECK int release_withhold(struct release *r, const char *what, const char *reason,
                                const char *who, json_t **out, struct err *e);
struct release_order {
    const char *what, *reason;
    const char *replace; /* the target to take instead, or NULL */
    const char *who;
};
MUST_CHECK int release_recall(struct release *r, const struct release_order *o, json_t **out,
                              struct err *e);
/* Gives back what is withheld or recalled, if today's rules find nothing in it: ERR_DENIED else. */
MUST_CHECK int release_lift(struct release *r, const char *what, const char *reason,
                            const char *who, json_t **out, struct err *e);
/* By a second person. What is held no longer is inspected again and goes out at once; returns what
 * release_show() does, with `results`. */
MUST_CHECK int release_approve(struct release *r, const char *product, const char *version,
                               const char *who, json_t **out, struct err *e);
/* Withholds everything published: the big switch. {withheld}. */
MUST_CHECK int release_stop_all(struct release *r, const char *reason, const char *who,
                                json_t **out, struct err *e);
/* A list of {product, version, state, states{}, files, size, published_at?, hold_until?}; one such
 * object with `targets[]`. */
MUST_CHECK int release_list(struct release *r, json_t **out, struct err *e);
MUST_CHECK int release_show(struct release *r, const char *product, const char *version,
                            json_t **out, struct err *e);

/* ---- by itself ---- */

/* Ends holds that are due (scanned again with today's rules first; not while the wall clock is off
 * by more than clock.max_step), refreshes metadata at half life, completes what could not be signed
 * or shown. Returns when to call again (microseconds, wall clock) in *next. One thread calls it. */
MUST_CHECK int release_tick(struct release *r, int64_t *next, struct err *e);

/* Scans all that was ever admitted with `rules` alone (paths of rule files) and withholds what they
 * find, unless that is more than retro.max_share per cent of what is published and `force` is
 * false: then `asked` is true. *out: {rules[], scanned, published,
 * found[{sha256 targets[] rule severity findings[]}], unread[], withheld, asked}; `unread` are
 * stored copies that could not be judged. */
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

/* A stored blob is not what it was: {blob, fault, first?, last?, seen?, text?, by?}. Withheld until
 * somebody admits the good bytes again and lifts it; entered as `alarm` if `by` is "scrub" (the
 * recorder has entered others). What is known already is 0. */
MUST_CHECK int release_alarm(struct release *r, const json_t *alarm, struct err *e);

/* New keys for a role ({role}), and whatever they have to sign again. Answers {role, version}. */
MUST_CHECK int release_rotate(struct release *r, const json_t *q, json_t **out, struct err *e);

/* SHA256SUMS of one published version: {sums, signature, public}; see signer.h. */
MUST_CHECK int release_sums(struct release *r, const char *product, const char *version,
                            json_t **out, struct err *e);
