/* delivery.h - who was given which bytes: grants before, acknowledgements after (P3).
 *
 * The recorder is the only caller. It believes nothing of web but the request itself: blob,
 * product, organisation and account are derived here. */
#pragma once
#include "account/account.h"
#include "base/clock.h"

extern const struct record_kind delivery_kinds[]; /* "grant", "end"; ends with name == NULL */
extern const struct db_migration delivery_migrations[];
extern const size_t delivery_migrations_n;

#define DELIVERY_CHUNK (UINT64_C(1) << 20) /* grants are rounded outward to this */
#define DELIVERY_AGAIN CLOCK_HOUR /* within it a range inside granted chunks adds no entry */

/* Events: grant 0x0301, org {blob target size first last whole node}, account {address agent}; end
 * 0x0302, org {grant first acked}. A request without Range is a grant of its own, always, and
 * counts at its time; a range that earlier ranges of this account cover adds none, so a window
 * looks DELIVERY_AGAIN further back for ranges. Address and agent are in the encrypted event only.
 */

struct delivery_request {
    const char *user;     /* of HTTP Basic, or NULL */
    struct span secret;   /* token or password; empty: anonymous */
    const char *target;   /* a target path */
    bool whole;           /* no Range: always a grant of its own */
    bool check;           /* the same answer, but no bytes will be sent: no entry (HEAD, 304) */
    uint64_t first, last; /* inclusive bytes of a range */
    const char *address, *agent, *node;
};

struct delivery_answer {
    uint64_t grant; /* log index; what `end` refers to */
    bool added;     /* an event was filled in and must be committed before any byte is sent */
    uint64_t size;
    struct digest blob, chunk_root;
};

/* What a target is, as delivery needs it; implemented by release, handed in by the recorder so that
 * the order of modules stays. 0, ERR_NOTFOUND, or ERR_DENIED when withheld or recalled. */
struct delivery_target {
    struct digest blob, chunk_root;
    uint64_t size;
    char product[LIMIT_NAME + 1];
};
typedef int (*delivery_find)(struct db *db, const char *target, struct delivery_target *out,
                             struct err *e);

/* ERR_NOTFOUND no such target; ERR_DENIED no or wrong credential (text begins "sign in"), no grant
 * for the product, target withheld or recalled. Fills *ev if an entry is needed. */
MUST_CHECK int delivery_grant(struct db *db, delivery_find find, const struct delivery_request *q,
                              struct delivery_answer *out, struct event *ev, struct err *e);

/* After the commit of that event: remembers the grant for DELIVERY_AGAIN, so that most repeated
 * ranges need no query. Bounded; what is not there is looked up in the database. */
void delivery_granted(const struct event *ev);
void delivery_forget(void); /* all of it: before another database is used */

/* `acked`: bytes of this response that the peer's kernel acknowledged, from `first` on. ev->kind
 * stays NULL when it says nothing new, or when so many ends of this grant were entered that more
 * would only fill the log (16, and 32 for each chunk). ERR_NOTFOUND no such grant, ERR_FORMAT
 * beyond the blob. */
MUST_CHECK int delivery_end(struct db *db, uint64_t grant, uint64_t first, uint64_t acked,
                            struct event *ev, struct err *e);

/* ---- questions ---- */

/* One delivery: the grants of one account for one blob that joined within an hour. */
struct delivery {
    uint64_t grant; /* of the first */
    int64_t from, to;
    uint64_t org, account;
    struct digest blob;
    char target[LIMIT_TARGET + 1];
    uint64_t granted, acked; /* bytes, union of ranges */
};
enum delivery_holder { DELIVERY_PARTIAL = 1, DELIVERY_POSSIBLE, DELIVERY_CONFIRMED };
const char *delivery_holder_name(enum delivery_holder h);

struct delivery_scope {
    const struct digest *blobs;
    size_t n_blobs;
    int64_t from, to;     /* 0: open. Grants up to DELIVERY_AGAIN before `from` are looked at too */
    const uint64_t *orgs; /* only these; n_orgs 0: all */
    size_t n_orgs;
    const char *const *nodes; /* only sent by these; n_nodes 0: all */
    size_t n_nodes;
};
/* n_blobs 0: every blob. Deliveries of erased organisations are left out, see delivery_erased().
 * Calls `each` in order of time; its answer other than 0 ends the walk and is returned. */
MUST_CHECK int delivery_each(struct db *db, const struct delivery_scope *s,
                             int (*each)(void *ctx, const struct delivery *d), void *ctx,
                             struct err *e);
/* Per organisation and blob, over all its accounts, requests, names and time in the scope. */
MUST_CHECK int delivery_holders(struct db *db, const struct delivery_scope *s,
                                int (*each)(void *ctx, uint64_t org, const struct digest *blob,
                                            enum delivery_holder h),
                                void *ctx, struct err *e);
/* How many deliveries (grants) of whatever file organisations had in the window that are erased. */
MUST_CHECK int delivery_erased(struct db *db, int64_t from, int64_t to, uint64_t *out,
                               struct err *e);
/* The time of the first grant; INT64_MAX when there is none. */
MUST_CHECK int delivery_begun(struct db *db, int64_t *out, struct err *e);
