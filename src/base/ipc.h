/* ipc.h - typed messages between our processes over a UNIX stream socket.
 *
 * A frame is {u32 body length, u16 version, u16 flags, u32 sequence} (big-endian) and a JSON object
 * whose member "op" names the request; an answer carries the sequence of its request. Up to
 * IPC_FDS descriptors travel with a frame. A bad frame ends the connection, never the process. */
#pragma once
#include "base/json.h"

#define IPC_FDS 16
#define IPC_VERSION 1

struct ipc_msg {
    uint32_t seq;
    json_t *body;     /* owned */
    int fds[IPC_FDS]; /* owned; closed by ipc_msg_clear() unless taken (set to -1) */
    size_t n_fds;
};
void ipc_msg_clear(struct ipc_msg *m);

/* Blocking. Descriptors are duplicated by the kernel: the caller keeps its own. Safe against
 * SIGPIPE. One writer at a time per socket. */
MUST_CHECK int ipc_send(int sock, uint32_t seq, const json_t *body, const int *fds, size_t n_fds,
                        struct err *e);

/* Blocking. ERR_UNAVAIL "closed" at the end of the stream between frames. */
MUST_CHECK int ipc_recv(int sock, struct ipc_msg *out, struct err *e);

/* The same with a deadline in microseconds from now; ERR_UNAVAIL when it passes. */
MUST_CHECK int ipc_recv_within(int sock, int64_t within, struct ipc_msg *out, struct err *e);

/* Errors travel as {"error": CODE-WORD, "message": TEXT}. */
json_t *ipc_error(const struct err *e);                       /* new reference */
MUST_CHECK int ipc_result(const json_t *body, struct err *e); /* 0, or that error again */

/* A socket that several threads call at once: requests are numbered, answers come in any order,
 * and whichever caller waits reads for all. Frames that answer nothing go to `push`. */
struct ipc_client;
struct ipc_client *ipc_client_new(int take_sock, void (*push)(void *ctx, const json_t *body),
                                  void *ctx);
void ipc_client_free(struct ipc_client *c);
/* Sends `body` and waits. *answer is a new reference and has passed ipc_result(). fds_out (may be
 * NULL) receives at most `room` descriptors, *n_out how many. */
struct ipc_fds {
    const int *out;
    size_t n_out;
    int *in;
    size_t room, n_in;
};
MUST_CHECK int ipc_call(struct ipc_client *c, const json_t *body, struct ipc_fds *fds,
                        json_t **answer, struct err *e);

/* A server: one thread, a table from op to handler, any number of peers. */
struct ipc_peer;
typedef int (*ipc_handler)(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                           struct err *e);
struct ipc_op {
    const char *op;
    ipc_handler run;
};
/* Answers one message by the table: runs the handler, sends its answer or its error. `n_ops` rows.
 * ERR_UNAVAIL when the peer is gone. */
MUST_CHECK int ipc_serve_one(int sock, const struct ipc_op *ops, size_t n_ops, void *ctx,
                             struct ipc_peer *peer, struct err *e);
