/* ipc.h - typed messages between our processes over a UNIX stream socket.
 *
 * A frame is {u32 body length, u16 version, u16 descriptors, u32 sequence} (big-endian) and a JSON
 * object whose member "op" names the request; an answer carries the sequence of its request, and
 * sequence 0 is a message that wants no answer. Up to IPC_FDS descriptors travel with a frame; one
 * more or less than its header says makes it a bad frame. A bad frame ends the connection, never
 * the process. */
#pragma once
#include "base/json.h"

#define IPC_FDS 16
#define IPC_VERSION 1

struct ipc_msg {
    uint32_t seq;
    json_t *body;     /* owned */
    int fds[IPC_FDS]; /* owned; closed by ipc_msg_clear() unless taken (set to -1) */
    size_t n_fds;
    int back[IPC_FDS]; /* what a handler answers with: ipc_answer_take_fd() */
    size_t n_back;
};
void ipc_msg_clear(struct ipc_msg *m);

/* A frame that has begun must go on: after this long without a byte the peer counts as gone. */
#define IPC_STALL (10 * INT64_C(1000000))

/* Blocking, at most IPC_STALL without progress. Descriptors are duplicated by the kernel: the
 * caller keeps its own. Safe against SIGPIPE. One writer at a time per socket. After any failure
 * but ERR_FORMAT and ERR_LIMIT (nothing was sent then) the connection is of no more use. */
MUST_CHECK int ipc_send(int sock, uint32_t seq, const json_t *body, const int *fds, size_t n_fds,
                        struct err *e);

/* Blocks until a frame begins. ERR_UNAVAIL "closed" at the end of the stream between frames,
 * ERR_FORMAT for a bad or cut frame. */
MUST_CHECK int ipc_recv(int sock, struct ipc_msg *out, struct err *e);

/* The same with a deadline in microseconds from now; ERR_UNAVAIL when it passes. When it passes
 * inside a frame the socket is shut down too, because the place in the stream is lost. */
MUST_CHECK int ipc_recv_within(int sock, int64_t within, struct ipc_msg *out, struct err *e);

/* The same from a peer that may have been taken over: a frame of more than `most` bytes is bad, so
 * that it costs no memory. */
MUST_CHECK int ipc_recv_most(int sock, int64_t within, size_t most, struct ipc_msg *out,
                             struct err *e);

/* Errors travel as {"error": CODE-WORD, "message": TEXT}. */
json_t *ipc_error(const struct err *e);                       /* new reference */
MUST_CHECK int ipc_result(const json_t *body, struct err *e); /* 0, or that error again */

/* A socket that several threads call at once: requests are numbered and answers come in any order.
 * A thread of the client's own reads them, so that what the peer says unasked (sequence 0) reaches
 * `push` (may be NULL) also while nobody calls; push runs on that thread and must not call back.
 * Once the connection is lost every call is ERR_UNAVAIL with the reason. */
struct ipc_client;
struct ipc_client *ipc_client_new(int take_sock, void (*push)(void *ctx, const json_t *body),
                                  void *ctx);
/* How long a call may wait for its answer, in microseconds; negative: for ever (the default). */
void ipc_client_patience(struct ipc_client *c, int64_t within);
bool ipc_client_alive(struct ipc_client *c);
void ipc_client_free(struct ipc_client *c); /* no call may be under way */

/* Sends `body` and waits. *answer is a new reference and has passed ipc_result(). `fds` may be
 * NULL; of the descriptors that come back at most `room` go to in[] (the caller's from then), the
 * rest are closed. */
struct ipc_fds {
    const int *out;
    size_t n_out;
    int *in;
    size_t room, n_in;
};
MUST_CHECK int ipc_call(struct ipc_client *c, const json_t *body, struct ipc_fds *fds,
                        json_t **answer, struct err *e);

/* A server: one thread, a table from op to handler, any number of peers. The table of a peer is all
 * that it may ask. A handler sets *answer (NULL: {}) and returns 0, or an error that travels back,
 * or IPC_LATER after keeping m->seq: then it owes the peer an ipc_answer(). */
#define IPC_LATER 1
struct ipc_peer;
typedef int (*ipc_handler)(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                           struct err *e);
struct ipc_op {
    const char *op;
    ipc_handler run;
};
/* Takes one message (call it when the socket is readable; it waits at most IPC_STALL) and answers
 * it by the table. ERR_UNAVAIL when the peer is gone, ERR_FORMAT when it sent a bad frame: in
 * either case close the socket. */
MUST_CHECK int ipc_serve_one(int sock, const struct ipc_op *ops, size_t n_ops, void *ctx,
                             struct ipc_peer *peer, struct err *e);

/* The same with a message that was received already; it stays the caller's. */
struct ipc_table {
    const struct ipc_op *ops;
    size_t n_ops;
    void *ctx;
    struct ipc_peer *peer;
};
MUST_CHECK int ipc_serve_msg(int sock, struct ipc_msg *m, const struct ipc_table *t, struct err *e);

/* Adds a descriptor to the answer of a handler; taken, also on failure (more than IPC_FDS). */
MUST_CHECK int ipc_answer_take_fd(struct ipc_msg *m, int fd, struct err *e);

/* The answer to a request that a handler put off: `body` (NULL: {}), or `fault` if not NULL. */
MUST_CHECK int ipc_answer(int sock, uint32_t seq, const json_t *body, const struct err *fault,
                          struct err *e);
