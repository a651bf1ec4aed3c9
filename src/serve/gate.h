/* gate.h - inside the gate: what its threads share, and the table of operations.
 *
 * A thread a connection; what changes the repository is serialised by src/release. A handler gets
 * the call with its message, who asks, and a database for its thread. */
#pragma once
#include <pthread.h>

#include "account/account.h"
#include "blob/blob.h"
#include "release/release.h"
#include "serve/roles.h"

struct gate_batch;
/* The batches that one operator holds open over the network. */
struct gate_net {
    char who[LIMIT_NAME + 1];
    struct gate_batch *batches;
};
struct upload;

struct gate {
    struct boot boot;
    struct settings *settings;
    struct blobstore *blobs;
    struct scan_pool *scan;
    struct release *release;
    struct ipc_client *recorder, *log, *repository;
    int control, web;
    pthread_key_t db_key; /* a reader of cordon.db a thread */
    pthread_mutex_t lock;
    unsigned connections; /* on the control socket */
    uint64_t batch_next;
    bool stopping;
    json_t *alarms;      /* that came from the recorder and wait to be handled; under `lock` */
    json_t *late_alarms; /* that could not be handled, until late_at; under `lock` */
    int64_t late_at;
    pthread_cond_t wake;
    int64_t started;
    json_t *nonces; /* of signed requests, with their time; under `lock` */
    int nonces_fd;  /* run/nonces, and its size */
    size_t nonces_size;
    pthread_mutex_t web_lock; /* one writer at a time to web */
    pthread_mutex_t net_lock; /* batches held over the network */
    struct gate_net net[16];
    size_t net_next;
    struct upload *uploads; /* under `lock` */
    pthread_mutex_t rules_lock;
    int64_t rules_again;      /* when a load that failed is tried anew */
    struct digest rules_seen; /* of the names and stamps below rules/; under rules_lock */
    unsigned calls;           /* passed on by web and not yet answered; under `lock` */
};

/* What kinds of callers may do; a role of an operator over the network, or the control socket. */
enum gate_may {
    GATE_LOCAL = 0, /* the control socket only */
    GATE_BUILD = 1,
    GATE_RELEASE = 2,
    GATE_RESPONDER = 4,
};

struct gate_call {
    struct gate *g;
    struct ipc_msg *m;
    int sock; /* for progress; -1 over the network */
    const char *who;
    struct gate_batch **batches; /* of this connection */
};
struct gate_op {
    const char *op;
    unsigned may; /* enum gate_may bits; operators of role release may do all that build may */
    int (*run)(struct gate_call *c, json_t **answer, struct err *e);
};
const struct gate_op *gate_op_find(const char *name);

/* A reader for this thread; borrowed. */
struct db *gate_db(struct gate *g, struct err *e);
/* Loads what changed below rules/. A file that does not load is named, and the old rules stay in
 * force: that stops the load, not the service. */
void gate_rules_fresh(struct gate *g);
/* Has the recorder enter events; sets index and time of each. */
MUST_CHECK int gate_append(struct gate *g, struct event *ev, size_t n, struct err *e);
/* {size, root} with the newest events. */
MUST_CHECK int gate_head(struct gate *g, json_t **out, struct err *e);
void gate_progress(const struct gate_call *c, const char *what, uint64_t done, uint64_t all,
                   const char *detail);

/* ---- parts of the gate ---- */

void *gate_control_thread(void *ctx); /* accepts on the control socket */
void *gate_web_thread(void *ctx);     /* answers what web passes on */
void gate_batches_drop(struct gate_batch **list);

/* web.db (show.c) */
MUST_CHECK int show_create(const char *site_path, struct err *e);
MUST_CHECK int show_update(struct gate *g, const char *const *paths, size_t n, struct err *e);

/* An operation asked over the network by a signed request (api.c). */
MUST_CHECK int gate_api(struct gate *g, const json_t *request, json_t **answer, struct err *e);
/* Reads which signed requests were used before a restart. */
MUST_CHECK int gate_nonces_open(struct gate *g, struct err *e);
/* Checks the signature of a request; *who gets the operator. */
MUST_CHECK int gate_operator(struct gate *g, const json_t *request, const struct digest *body,
                             struct account_operator *who, struct err *e);

extern const struct gate_op gate_ops_admit[], gate_ops_release[], gate_ops_customers[],
    gate_ops_site[]; /* each ends with op == NULL */

/* Forgets uploads whose clients went away (api.c). */
void gate_uploads_sweep(struct gate *g);
