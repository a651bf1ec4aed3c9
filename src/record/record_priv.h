/* record_priv.h - the pieces of the record: a sealed event, the journal, the details. */
#pragma once
#include "record/record.h"

/* ---- an event as bytes (seal.c) ---- */

/* `leaf` is the log entry; `detail` holds time, ids and the sealed private parts. */
struct sealed {
    uint64_t index;
    struct buf leaf, detail;
};
void sealed_clear(struct sealed *s);

enum part { PART_SITE, PART_ORG, PART_ACCOUNT, PARTS };
const char *part_name(enum part p);

#define SALT ((size_t)32)
#define DETAIL_MAX ((size_t)64 << 20)
#define SEALED_NONE ((struct sealed){0, BUF(LIMIT_ENTRY), BUF(DETAIL_MAX + 4096)})

/* One private part in clear, or why not. */
struct opened_part {
    bool present, erased, lost;
    uint8_t salt[SALT];
    struct buf text;          /* canonical JSON */
    struct digest commitment; /* also of a part that cannot be opened */
};
struct opened {
    uint64_t index;
    int64_t time;
    uint64_t org_id, account_id;
    uint16_t type; /* 0 for a public entry */
    struct opened_part part[PARTS];
};
void opened_clear(struct opened *o);

MUST_CHECK int seal_event(const struct record_kind *kind, const struct event *ev,
                          struct keyring *ring, const char *origin, struct sealed *out,
                          struct err *e);
/* Opens the parts whose keys are held; ERR_TRUST if detail and leaf do not belong together. */
MUST_CHECK int seal_open(const struct sealed *s, const struct keyring *ring, const char *origin,
                         struct opened *out, struct err *e);
/* opened + leaf -> event; `lost` counts parts whose key is missing. */
MUST_CHECK int seal_to_event(const struct record_kind *const *kinds, const struct sealed *s,
                             const struct opened *o, struct event *ev, uint64_t *lost,
                             struct err *e);
/* What a private entry hashes: time, ids, commitments. */
struct digest seal_commitment(enum part p, const uint8_t salt[SALT], struct span text);
struct digest seal_hash(const struct opened *o);
/* ERR_TRUST unless the entry commits to time, ids and commitments of `o`. */
MUST_CHECK int seal_check_entry(struct span leaf, const struct opened *o, struct err *e);

/* ---- journal (journal.c) ---- */

/* Files journal/INDEX: a header {magic, first index, hash of the frame before}, then frames, one a
 * commit: {magic, count, first index, length, hash of the frame before, payload, checksum}. */
struct journal {
    int dir;            /* owned */
    int fd;             /* the newest file */
    uint64_t at;        /* its length */
    struct digest last; /* hash of the last frame */
    bool broken;        /* a sync failed: nothing more is written */
    uint64_t torn;      /* bytes cut at open */
};
typedef int (*journal_each)(void *ctx, struct sealed *take, struct err *e);
MUST_CHECK int journal_create(int site, struct err *e);
/* Calls `each` for every event in order; cuts a torn last frame. */
MUST_CHECK int journal_open(int site, journal_each each, void *ctx, struct journal *out,
                            struct err *e);
void journal_close(struct journal *j);
MUST_CHECK int journal_commit(struct journal *j, const struct sealed *s, size_t n, struct err *e);
/* Starts a new file for events from `next` on and removes the older ones. */
MUST_CHECK int journal_cut(struct journal *j, uint64_t next, struct err *e);

/* ---- details (details.c) ---- */

/* Files details/NNN/NNN, 256 details each, {length, bytes} one after the other. */
MUST_CHECK int details_append(int dir, const struct sealed *s, size_t n, struct err *e);
/* A new journal whose first event will be `first`. */
MUST_CHECK int journal_create_at(int site, uint64_t first, struct err *e);

/* Gives each detail of the log's first `size` to `each`, in order; reads every bundle once. What a
 * bundle lacks is given as an empty span with the reason in `why`. */
typedef void (*details_each)(void *ctx, uint64_t index, struct span detail, const char *why);
void details_walk(int dir, uint64_t size, details_each each, void *ctx);
MUST_CHECK int details_read(int dir, uint64_t index, struct buf *out, struct err *e);

/* ---- the record itself ---- */

struct record {
    int site, log_dir, details_dir;
    struct record_opts o;
    struct journal journal;
    struct tlog *log;
    struct tlog_edge edge;    /* over all events, also those not yet in tiles */
    uint64_t published;       /* events under the published checkpoint: pending[0] is the next */
    uint64_t committed, next; /* events durable; events appended */
    int64_t last_time;
    struct db_tx tx;        /* open while something is appended */
    struct sealed *pending; /* from `published` on */
    size_t n_pending, cap_pending;
    struct tlog_view *view; /* of what is published, for reading */
    bool stopped;           /* a commit failed */
};
const struct record_kind *record_kind_of(const struct record_kind *const *kinds, const char *name);
MUST_CHECK int record_migrate(struct db *db, struct err *e);
/* Leaf and detail as they stand in the log; clear *out after a failure too. */
MUST_CHECK int record_bytes(struct record *r, uint64_t index, struct sealed *out, struct err *e);
