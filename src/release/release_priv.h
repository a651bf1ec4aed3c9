/* release_priv.h - what the parts of a release share: files on their way, and the publication.
 *
 * Two locks: `lock` of the release is held by whatever changes log or metadata, so that the order
 * of entries is the order of signatures; `lock` of a batch guards its list of files. The first may
 * be held when the second is taken, never the other way round. Scans hold neither. */
#pragma once
#include <pthread.h>

#include "release/release.h"

struct release {
    struct release_opts o;
    int metadata;
    pthread_mutex_t lock;
    uint64_t changes;   /* appends since the start: a batch that saw as many need not look again */
    bool behind;        /* metadata or web.db lack what the log says: release_complete() is due */
    int64_t gap;        /* wall clock less boot clock, as last trusted */
    bool ticked;        /* `gap` is set */
    bool clock_stepped; /* holds do not end until the clock is right again */
    int64_t due_again;  /* boot clock: not before then are holds that could not be judged tried */
    json_t *alarmed;    /* digests of stored blobs that no target names and that were told of */
};

/* ---- files on their way ---- */

enum release_fate {
    FATE_REFUSED = 0, /* zero is closed */
    FATE_CLEAN,       /* inspected now or under these rules before; to be entered */
    FATE_THERE,       /* the same bytes stand under this name, there is nothing to do */
    FATE_TWIN,        /* twice in this batch; `twin` tells the first */
};

struct release_file {
    size_t number; /* in the batch */
    char *shown;   /* path as the operator gave it, below what was named */
    char *source;  /* where it came from, or NULL */
    char *path;    /* target: PRODUCT/VERSION/REL */
    bool hashed;   /* d, size and chunk_root are set */
    struct digests d;
    uint64_t size;
    struct digest chunk_root, rules, attestation;
    enum verdict verdict;
    bool scanned, attested;
    json_t *findings, *members, *engines; /* NULL: none */
    enum release_fate fate;
    size_t twin;
    char *reason;             /* why it is not published, or NULL */
    bool there;               /* a target of this path and these bytes exists */
    int64_t hold_until;       /* 0: no hold */
    bool approve;             /* a second person must still approve */
    bool goes;                /* goes out with this batch */
    bool published, repaired; /* the end of it */
    uint64_t log;             /* of its published event */
};

enum release_mode {
    MODE_ADMIT,
    MODE_DUE,  /* the end of a hold or an approval */
    MODE_LIFT, /* back to what was withheld or recalled */
};

struct release_batch {
    struct release *r;
    enum release_mode mode;
    char *product, *version; /* NULL unless MODE_ADMIT */
    char *who, *host;
    json_t *provenance;
    int64_t hold; /* microseconds from its end on */
    bool approve, emergency, rename;
    struct digest lifted;    /* MODE_LIFT */
    const char *lift_reason; /* borrowed */
    bool was_recalled;       /* so the metadata needs an entry too */
    int64_t began;
    uint64_t seen; /* r->changes at its begin */
    pthread_mutex_t lock;
    struct release_file **file;
    size_t n;
    json_t *names;        /* folded path -> number of the file that has it */
    json_t *last_engines; /* most files of a batch were judged by the same */
};

struct release_batch *release_batch_new(struct release *r, enum release_mode mode, const char *who);
/* A new file at the end of the batch; its place is kept for it. */
struct release_file *release_batch_add(struct release_batch *b);
void release_refuse(struct release_file *f, const char *fmt, ...) PRINTF(2, 3);
json_t *release_batch_json(struct release_batch *b); /* what `admit` prints */
json_t *release_file_json(const struct release_file *f);

/* Names (names.c). */
MUST_CHECK int release_check_version(const char *product, const char *version, struct err *e);
/* Sets f->path, or refuses. */
void release_name_file(const struct release_batch *b, struct release_file *f, const char *rel);
/* Under the batch's lock: is the name free, here and among the targets? Sets fate, there, hold.
 * Refuses with a reason. */
MUST_CHECK int release_claim(struct release_batch *b, struct db *db, struct release_file *f,
                             struct err *e);

/* Scans (inspect.c). */
struct release_staged {
    struct release_file *f;
    struct blob blob;
    bool wanted; /* to be scanned; its fields are filled */
};
#define STAGED_NONE ((struct release_staged){.blob = BLOB_NONE})
MUST_CHECK int release_inspect(struct release_batch *b, struct release_staged *s, size_t n,
                               struct err *e);

/* Attestations (attest.c): for every clean file that has none. Blobs are durable after it. */
MUST_CHECK int release_attest(struct release_batch *b, struct err *e);
/* The envelopes of these digests, read from the store: a list of texts. */
MUST_CHECK int release_envelopes(struct release *r, const struct digest *d, size_t n, json_t **out,
                                 struct err *e);

/* Takes the release's lock: events, signatures, metadata (commit.c). */
MUST_CHECK int release_commit(struct release_batch *b, struct err *e);

/* ---- the log and the metadata, under the release's lock ---- */

struct release_add {
    const char *path;
    struct digest sha256, chunk_root, attestation;
    uint64_t size, log;
};
struct release_change {
    const struct release_add *add;
    size_t n_add;
    const char *const *remove;
    size_t n_remove;
    json_t *recalls; /* entries; borrowed, NULL: none */
};
MUST_CHECK int release_append(struct release *r, struct event *ev, size_t n, struct err *e);
/* Signs, writes, shows. On failure r->behind is set; *refused tells that the signer said no (it
 * would say so again). */
MUST_CHECK int release_push(struct release *r, const struct release_change *c, bool *refused,
                            struct err *e);
/* Makes the metadata, and then all of web.db, agree with the log (complete.c). */
MUST_CHECK int release_complete(struct release *r, struct err *e);
/* Enters `withheld` for digests (doubles are fine, barred ones are passed over). */
struct release_why {
    const char *reason, *who, *by;
};
MUST_CHECK int release_enter_withheld(struct release *r, const struct digest *d, size_t n,
                                      const struct release_why *why, struct err *e);
/* The same, and takes their targets out of the metadata. *n_new: how many were not barred. */
MUST_CHECK int release_withhold_all(struct release *r, const struct digest *d, size_t n,
                                    const struct release_why *why, size_t *n_new, struct err *e);

/* An entry of the recalls role for a digest that the log recalls. New reference. */
MUST_CHECK int release_recall_entry(struct db *db, const struct digest *sha256, json_t **out,
                                    struct err *e);

/* The entries that take the recall of a MODE_LIFT batch back, NULL if it was only withheld. */
json_t *release_lift_entry(const struct release_batch *b, const struct event *lifted);

/* ---- small helpers ---- */

struct release_targets {
    struct release_target *t;
    size_t n, cap;
};
void release_targets_clear(struct release_targets *l);
int release_targets_take(void *list, const struct release_target *t, struct err *e);
struct release_digests {
    struct digest *d;
    size_t n, cap;
};
void release_digests_clear(struct release_digests *l);
void release_digests_add(struct release_digests *l, const struct digest *d);
int release_digests_take(void *list, const struct digest *d, struct err *e);

/* Published paths as the argument of release_change.remove; borrowed texts, free() the array. */
const char **release_paths(const struct release_targets *l, size_t *n);
MUST_CHECK int release_targets_of(struct db *db, const struct digest *d, struct release_targets *l,
                                  struct err *e);

struct db *release_reader(struct release *r, struct err *e); /* borrowed; NULL with *e set */
void release_unlock(pthread_mutex_t **lock);                 /* for CLEANUP */
pthread_mutex_t *release_locked(struct release *r);

/* Scans again and publishes what is due; product NULL: everywhere. New reference. */
MUST_CHECK int release_publish_due(struct release *r, const char *product, const char *version,
                                   const char *who, json_t **results, struct err *e);
/* Scans targets again (their stored bytes) and gives the batch their files. */
MUST_CHECK int release_rescan(struct release_batch *b, const struct release_target *t, size_t n,
                              struct err *e);
