/* recorder.h - inside the recorder: what its loop and its two tables of requests share.
 *
 * One thread. A handler appends events and owes an answer; the loop makes them durable with one
 * commit, then answers. */
#pragma once
#include "base/ipc.h"
#include "base/settings.h"
#include "release/release_db.h"
#include "serve/boot.h"
#include "serve/room.h"

#include <sys/stat.h>

#define RECORDER_BATCH 512u /* requests answered by one commit */

/* An answer that waits for the commit. */
struct owed {
    const int *sock;
    uint32_t seq;
    json_t *body;
    struct event grant; /* to be remembered once it is durable; kind NULL: none */
    bool stops;         /* web has to stop something first */
};

struct recorder {
    struct boot boot;
    struct settings *settings;
    struct keyring *ring;
    struct db *db;
    struct record *rec;
    struct ipc_client *log;
    int web, gate;
    struct owed owed[RECORDER_BATCH];
    size_t n_owed;
    size_t n_ends;                    /* of those, ends */
    int64_t ends_since;               /* when the first of them came */
    json_t *stops;                    /* digests whose stop web has not confirmed */
    int64_t stop_by;                  /* when the gate is answered anyway */
    struct owed held[RECORDER_BATCH]; /* the gate's answers that wait for it */
    size_t n_held;
    bool web_bad; /* it broke the protocol: all must start again */
    struct room room;
    int64_t publish_at;
    json_t *alarms;     /* {"BLOB FAULT": true}: entered already */
    struct stat copied; /* the keyring as it was when its second copy was made */
};

/* The answer to `seq` of that peer, after the commit; takes `body`. */
void recorder_owe(struct recorder *r, const int *sock, uint32_t seq, json_t *take);

/* All that web may ask, and all that the gate may. */
extern const struct ipc_op recorder_ops_web[], recorder_ops_gate[];
extern const size_t recorder_ops_web_n, recorder_ops_gate_n;
