/* record.h - what happened: events that are durable before they are answered, sealed for those
 * they concern, and bound into the public log.
 *
 * An event has up to four parts. `open` is public: it is the log entry itself, canonical JSON with
 * "type" and "time" added (published, recalled, lifted). The others are private: `site` is sealed
 * under the site's key, `org` under the organisation's, `account` under the account's key of the
 * keyring. The log entry of a private event has a fixed length and commits to each part apart, so
 * that one part can be shown, or erased, without the others.
 *
 * What an event means is not known here: the table of kinds brings it. One owner process, one
 * thread. Order: record_append() any number, record_commit(), answer; record_publish() within a
 * second. */
#pragma once
#include "base/json.h"
#include "base/sig.h"
#include "db/db.h"
#include "key/keyring.h"
#include "tlog/tlog.h"

struct event {
    uint64_t index;   /* in the log; set by record_append() */
    int64_t time;     /* set by record_append(); never falls from one event to the next */
    const char *kind; /* a name of the table */
    json_t *open, *site, *org, *account; /* parts, NULL where there is none or it was erased */
    uint64_t org_id, account_id;         /* whose parts they are: the index of the event that made
                                            them; RECORD_SELF when it is this very event */
};
#define RECORD_SELF UINT64_MAX
void event_clear(struct event *ev); /* drops the parts */

struct record_kind {
    const char *name;
    uint16_t type;  /* in the entry of a private event; never used for another meaning */
    bool is_public; /* has an `open` part */
    /* Enters the event into the database: called once for each event in order of index, in one
     * transaction with its neighbours, at record_append(): a failure refuses the event, so a fold
     * may check what it needs. A part that was erased is NULL (in a rebuild); a fold must cope. */
    int (*fold)(struct db *db, const struct event *ev, struct err *e);
    /* Names the keys that go with this event, from its site part alone; NULL for most kinds. Called
     * after the commit, and again after a crash. */
    void (*erase)(const struct event *ev, void (*add)(void *ctx, struct keyring_id id), void *ctx);
};

struct record;
struct record_opts {
    const struct record_kind *const *kinds; /* NULL-terminated */
    struct keyring *ring;                   /* borrowed */
    struct db *db;                          /* borrowed; migrated by the caller */
    const char *origin;                     /* of the log */
    bool new_key; /* the keyring was lost: seal what comes under a new key of the site */
    struct sig_public log_key;
    /* What the signer signed last: size and root. */
    int (*last)(void *ctx, struct tlog_head *out, struct err *e);
    /* Asks the signer for a checkpoint note over `head`, given a consistency proof from what it
     * signed last (`from`). Called by record_publish(). */
    int (*sign)(void *ctx, const struct tlog_head *from, const struct tlog_head *head,
                const struct tlog_hashes *proof, struct buf *note, struct err *e);
    void *ctx;
};

/* Makes journal/, details/ and log/ of a new site (no events yet). */
MUST_CHECK int record_create(int site, struct err *e);

/* Opens, cuts a torn last frame (record_torn() tells its bytes), folds into the database and the
 * log what a crash left undone. A bad frame before a good one is ERR_TRUST with its place: rot.
 * The site's key is made with a new site only: where there are events and the keyring lacks it,
 * ERR_TRUST, unless `new_key` says that it will not come back. */
MUST_CHECK int record_open(int site, const struct record_opts *o, struct record **out,
                           struct err *e);
void record_close(struct record **r);
uint64_t record_torn(const struct record *r);
uint64_t record_size(const struct record *r);   /* events committed */
struct tlog_head record_head(struct record *r); /* of the log, newest events included */

/* Appends `n` events, all or none; sets index and time. Parts stay the caller's. New keys for
 * RECORD_SELF ids are made. Nothing is durable yet, nor visible to other connections. */
MUST_CHECK int record_append(struct record *r, struct event *ev, size_t n, struct err *e);

/* Makes all appended events durable with one fdatasync, folds them in one transaction. After a
 * failure nothing of them is acknowledged; the record refuses to go on until opened again. */
MUST_CHECK int record_commit(struct record *r, struct err *e);

/* Journal to tiles and details, one sync, a signed checkpoint, then the journal is cut. Nothing to
 * do is 0. */
MUST_CHECK int record_publish(struct record *r, struct err *e);

/* Reads one event again, from journal or details, with the parts that can still be opened. */
MUST_CHECK int record_get(struct record *r, uint64_t index, struct event *out, struct err *e);

/* Folds everything into an empty database. `lost` counts parts whose key the keyring lacks though
 * it was not erased. */
MUST_CHECK int record_rebuild(struct record *r, struct db *fresh, uint64_t *lost, struct err *e);

/* For a journal that is lost or damaged: journal/ is kept as journal.damaged/, and a new one holds
 * its events up to the damage, or begins where the signed log ends. *kept is the number of events
 * that are left. Then cordon.db is to be made anew. ERR_CONFLICT if journal.damaged/ is there. */
MUST_CHECK int record_mend_journal(int site, const char *origin, const struct sig_public *log_key,
                                   uint64_t *kept, struct err *e);

/* Reads all that the signed log says is in details/, and compares it with the log; with a keyring
 * what is sealed is opened too. `rot` is told of each range that is not good. Needs no database and
 * disturbs no recorder. */
struct record_check {
    const char *origin;
    struct sig_public log_key;
    const struct keyring *ring; /* or NULL */
    void (*rot)(void *ctx, uint64_t first, uint64_t last, const char *why);
    void *ctx;
};
MUST_CHECK int record_check_details(int site, const struct record_check *c, uint64_t *size,
                                    struct err *e);

/* What shows one part of an event to somebody who has only the log: {index, entry, salts, part}
 * with the hashes of the other parts; and the check of it. New reference. */
MUST_CHECK int record_open_part(struct record *r, uint64_t index, const char *part, json_t **out,
                                struct err *e);
MUST_CHECK int record_check_part(const json_t *shown, struct span entry, struct err *e);
