/* ask.h - questions to another process, answered later.
 *
 * Unlike ipc_call() nobody waits: the answer calls a function, on the thread that reads the socket,
 * or ask_tick()'s when it did not come in time. Every question that was sent gets exactly one call.
 * An answer that comes too late is dropped, with its descriptor. */
#pragma once
#include "base/ipc.h"

struct ask;

/* `fault` is NULL when the answer is good; `body` then is borrowed. With a refusal both are set.
 * `fd` is -1 or the answer's descriptor; the callee's from here. */
typedef void (*ask_fn)(void *ctx, const json_t *body, const struct err *fault, int fd);

/* push() gets what the peer says unasked; it must not wait and must not ask. */
struct ask *ask_new(int take_sock, void (*push)(void *ctx, const json_t *body), void *ctx);
void ask_free(struct ask **a); /* unanswered questions get ERR_UNAVAIL */
bool ask_alive(struct ask *a);

/* Negative: nothing was sent and fn will not be called; ERR_UNAVAIL also when too many wait. */
MUST_CHECK int ask_send(struct ask *a, const json_t *body, int64_t within, ask_fn fn, void *ctx,
                        struct err *e);
/* Gives up on what is overdue; to be called several times a second. */
void ask_tick(struct ask *a);
