/* web.h - inside the web process: what its threads share, and one request.
 *
 * HTTP threads run the handlers; a thread for each peer process reads its answers; the keeper does
 * what is due. No key, nothing about customers, no way to the signer. */
#pragma once
#include "blob/blob.h"
#include "base/clock.h"
#include "base/limits.h"
#include "serve/ask.h"
#include "serve/http_server.h"
#include "serve/http_text.h"
#include "serve/limit.h"
#include "serve/roles.h"

#define WEB_PATIENCE (10 * CLOCK_SECOND)       /* for an answer while a connection is suspended */
#define WEB_GATE_PATIENCE (600 * CLOCK_SECOND) /* a publish or a hunt may take its time */

enum web_metric {
    METRIC_REQUESTS,
    METRIC_BYTES, /* handed to the kernel in bodies of downloads */
    METRIC_ACKED,
    METRIC_DOWNLOADS,
    METRIC_DENIED,
    METRIC_LIMITED,
    METRIC_BARRED, /* withheld or recalled */
    METRIC_FAULTS, /* not sent because the disk did not hold what was published */
    METRIC_RESETS,
    METRIC_UNAVAILABLE,
    METRICS,
};

struct acks;
struct web_db;
struct download;
struct chore;

struct web {
    struct boot boot;
    struct settings *settings;
    struct http_server *http;
    struct ask *recorder, *gate;
    struct blobstore *store;
    struct blob_cache *cache;
    struct limits *limits;
    struct acks *acks;
    struct web_db *db;
    int metadata, log; /* folders */
    struct http_net proxy[64];
    size_t n_proxy;
    uint64_t small;
    int landlock;
    int64_t started;
    uint64_t count[METRICS]; /* atomic */
    pthread_mutex_t running; /* of the list of downloads */
    struct download *downloads;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t wake;
    struct chore *chores, **chores_end;
    bool ending;
    int64_t refused_at; /* of the last blob that was not sent because of its bytes */
};

void web_count(struct web *w, enum web_metric m, uint64_t n);

/* ---- one request ---- */

struct visit;
struct route {
    const char *path;    /* ends in '/': all below it */
    const char *methods; /* "GET", "POST", "PUT", words; GET brings HEAD */
    void (*ready)(struct visit *v);
    void (*head)(struct visit *v); /* NULL: a body is taken up to LIMIT_REQUEST */
    size_t (*body)(struct visit *v, struct span piece);
};

struct visit {
    int refs; /* the call, and each question under way */
    pthread_mutex_t lock;
    struct http_call *call; /* NULL once it is over; under `lock` from other threads */
    struct web *w;
    const struct route *route;
    bool head_only;
    struct buf path;   /* decoded */
    struct span query; /* as it was sent */
    struct http_ip client;
    bool through_proxy, forwarded; /* by one we trust; by anyone */
    char address[HTTP_ADDRESS];
    struct buf body;
    void (*again)(struct visit *v); /* instead of route->ready after a resume */
    void (*over)(struct visit *v, const struct ack_mark *mark); /* at the end, on its thread */
    void *state;                                                /* of the route */
    void (*state_free)(void *state);                            /* with the last reference */
};

void visit_ref(struct visit *v);
void visit_unref(struct visit *v);
void visit_resume(struct visit *v); /* any thread */

/* Sends a question and suspends; `fn` gets the visit, must visit_resume() and visit_unref() it.
 * On failure the visit is not suspended and the reply is the caller's. */
MUST_CHECK int visit_ask(struct visit *v, struct ask *who, const json_t *q, int64_t within,
                         ask_fn fn, struct err *e);

/* ---- replies ---- */

/* A sentence for people, or {error, message} for who asked for JSON. */
void reply_error(struct visit *v, int status, const char *fmt, ...) PRINTF(3, 4);
void reply_unavailable(struct visit *v, const struct err *e); /* 503 */
void reply_json(struct visit *v, int status, const json_t *j);
void reply_bytes(struct visit *v, int status, const char *type, struct span bytes);
/* The same with an entity tag of its SHA-256; 304 if the client has it. `cache` is the value of
 * Cache-Control. For what anybody may have. */
void reply_public(struct visit *v, const char *type, const char *cache, struct span bytes);

/* ---- the routes ---- */

extern const struct route web_routes[]; /* the longest that fits wins; ends with path == NULL */

void serve_metadata(struct visit *v);
void serve_targets(struct visit *v);
void serve_plain(struct visit *v);
void serve_log(struct visit *v);
void serve_verdicts(struct visit *v);
void serve_check(struct visit *v);
void serve_home(struct visit *v);
void serve_health(struct visit *v);
void serve_metrics(struct visit *v);
void serve_api(struct visit *v);
void serve_openapi(struct visit *v);
void serve_upload_head(struct visit *v);
size_t serve_upload_body(struct visit *v, struct span piece);
void serve_upload_end(struct visit *v);

/* The one door to a file of a product (web_download.c). `name`: the digest that the address holds,
 * or NULL. */
void download(struct visit *v, const char *target, const struct digest *name);
/* Verified bytes (web_send.c). Opening checks the first of them: ERR_UNAVAIL for now, any other
 * error when the disk does not hold what was published. What was opened must be sent. */
struct sending;
struct web_send {
    struct digest blob, root;
    uint64_t size, first, n;
};
MUST_CHECK int web_send_open(struct web *w, const struct web_send *what, struct sending **out,
                             struct err *e);
void web_send(struct visit *v, int status, struct sending *take);
void web_send_length(struct visit *v, uint64_t size); /* HEAD */

/* SHA256SUMS of a version, its signature or the key (web_sums.c). */
void serve_sums(struct visit *v, const char *product, const char *version, const char *file);

/* ---- running downloads, chores (web_keep.c) ---- */

/* Forgets the blob, resets what sends it, tells the recorder. */
void web_stop_blob(struct web *w, const struct digest *d);
void web_alarm(struct web *w, const struct blob_bad *bad); /* any thread */
void *web_keeper(void *web);
void web_wake(struct web *w);
void download_stop_all(struct web *w, const struct digest *blob);

/* ---- uploads that wait for their pipe ---- */
bool upload_tick(struct web *w); /* true: some still wait */

/* ---- acknowledgements (web_ack.c) ---- */

struct acks *acks_new(struct ask *recorder, size_t most, uint64_t *acked_total);
void acks_flush(struct acks *a); /* tells what is known and waits a second for the answers */
void acks_free(struct acks **a); /* no answer may be owed any more: free the ask first */
/* Watches one response until all is acknowledged, the connection is dead, or a minute has passed,
 * and tells the recorder. */
void acks_watch(struct acks *a, struct conn *c, const struct ack_mark *m, uint64_t grant,
                uint64_t first);
size_t acks_tick(struct acks *a); /* how many are under way */

/* ---- web.db (web_db.c); any thread ---- */

struct web_target {
    char path[LIMIT_TARGET + 1], product[LIMIT_NAME + 1], version[LIMIT_NAME + 1];
    char file[LIMIT_TARGET + 1], state[16];
    char reason[512], replacement[LIMIT_TARGET + 1];
    struct digest sha256, chunk_root;
    uint64_t size;
    int64_t published_at;
};
MUST_CHECK int web_db_open(const char *site, struct web_db **out, struct err *e);
void web_db_close(struct web_db **at);
MUST_CHECK int web_db_target(struct web_db *w, const char *path, struct web_target *out,
                             struct err *e);
/* version gets LIMIT_NAME + 1 bytes */
MUST_CHECK int web_db_latest(struct web_db *w, const char *product, char *version, struct err *e);
/* access: "customers" if nobody set it; public: any server may send it. */
MUST_CHECK int web_db_product(struct web_db *w, const char *product, char access[static 16],
                              bool *public, struct err *e);
typedef int (*web_target_each)(void *ctx, const struct web_target *t);
MUST_CHECK int web_db_digest(struct web_db *w, const struct digest *d, web_target_each each,
                             void *ctx, struct err *e);
/* The first of a version, in order of their paths. */
#define WEB_DB_FILES 20
MUST_CHECK int web_db_version(struct web_db *w, const char *product, const char *version,
                              web_target_each each, void *ctx, struct err *e);
/* 0 if these are the bytes of an attestation and not those of a target; ERR_NOTFOUND. */
MUST_CHECK int web_db_attestation(struct web_db *w, const struct digest *d, struct err *e);
/* [{name, access, version}] of products that may be listed. New reference. */
MUST_CHECK int web_db_products(struct web_db *w, json_t **out, struct err *e);
MUST_CHECK int web_db_text(struct web_db *w, const char *name, struct buf *out, struct err *e);
