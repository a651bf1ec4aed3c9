/* http_conn.h - a client's connection as the kernel sees it.
 *
 * Holds a duplicate of the socket, so that what the peer acknowledged can be asked, and the
 * connection reset, from any thread and also after the HTTP library has closed its own. The socket
 * ends with the last reference. */
#pragma once
#include <pthread.h>

#include "base/err.h"

struct conn;

struct conn *conn_new(int fd, bool tls); /* duplicates; NULL without a descriptor to spare */
struct conn *conn_ref(struct conn *c);
void conn_unref(struct conn **c);

struct conn_count {
    uint64_t acked;   /* bytes that the peer's kernel acknowledged, since it was accepted */
    uint64_t written; /* bytes that our kernel took over in all */
    bool dead;        /* nothing more will be acknowledged */
};
/* Never fails: a socket that cannot be asked is dead with what was last known. */
struct conn_count conn_count(struct conn *c);
bool conn_tls(const struct conn *c);

/* Resets the connection: what the kernel still holds is thrown away, and the peer sees an error. */
void conn_reset(struct conn *c);
/* Ends it in order: what was sent still arrives. */
void conn_end(struct conn *c);

/* ---- what was acknowledged of one response ---- */

/* Offsets count the connection's bytes. */
struct ack_mark {
    uint64_t base; /* where the body began, or later */
    uint64_t end;  /* behind the last byte that was handed over */
    uint64_t body; /* bytes of the body that were handed over at most */
    bool whole;    /* all of it was */
    bool tls;      /* records hide where the body is: all of it or nothing */
};
/* Bytes of the body that are acknowledged when the connection has `acked`. Never too many. */
uint64_t ack_bytes(const struct ack_mark *m, uint64_t acked);
