/* gate_control.c - connections of commands on run/control.sock. */
#include "serve/gate.h"

#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"

#define CONNECTIONS 64u
#define IDLE (CLOCK_SECOND / 4) /* a script's next command comes sooner and is spared the start */

const struct gate_op *gate_op_find(const char *name)
{
    const struct gate_op *const tables[] = {gate_ops_admit, gate_ops_release, gate_ops_customers,
                                            gate_ops_site};
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        for (const struct gate_op *op = tables[t]; op->op != NULL; op++) {
            if (strcmp(op->op, name) == 0) {
                return op;
            }
        }
    }
    return NULL;
}

struct connection {
    struct gate *g;
    int sock;
};

/* The user name of the peer, as the kernel tells it. */
static void peer_name(int sock, char *out, size_t room)
{
    struct ucred cred;
    socklen_t len = sizeof cred;
    struct passwd pw, *found = NULL;
    char text[1024];
    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
        snprintf(out, room, "unknown");
    } else if (getpwuid_r(cred.uid, &pw, text, sizeof text, &found) == 0 && found != NULL) {
        snprintf(out, room, "%s", found->pw_name);
    } else {
        snprintf(out, room, "uid %u", (unsigned)cred.uid);
    }
}

static int answer_one(struct gate_call *c, struct err *e)
{
    json_t *answer = NULL;
    const char *name = js_str_or(c->m->body, "op", "");
    const struct gate_op *op = gate_op_find(name);
    int r = op == NULL ? err_set(e, ERR_NOTFOUND, "no operation \"%.40s\"", name)
                       : op->run(c, &answer, e);
    struct err fault = r < 0 ? *e : (struct err){0};
    r = ipc_answer(c->sock, c->m->seq, answer, r < 0 ? &fault : NULL, e);
    js_free(&answer);
    return r;
}

static void *connection_thread(void *ctx)
{
    struct connection *k = ctx;
    struct gate *g = k->g;
    struct gate_batch *batches = NULL;
    char who[64];
    struct err e;
    peer_name(k->sock, who, sizeof who);
    for (;;) {
        CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
        if (ipc_recv(k->sock, &m, &e) < 0) {
            break;
        }
        struct gate_call c = {g, &m, k->sock, who, &batches};
        if (answer_one(&c, &e) < 0) {
            break;
        }
    }
    gate_batches_drop(&batches);
    fd_close(&k->sock);
    free(k);
    pthread_mutex_lock(&g->lock);
    g->connections--;
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

static bool start_connection(struct gate *g, int sock)
{
    pthread_t t;
    pthread_attr_t detached;
    struct connection *k = mem_new(struct connection);
    *k = (struct connection){g, sock};
    pthread_mutex_lock(&g->lock);
    bool ok = g->connections < CONNECTIONS;
    g->connections += ok;
    pthread_mutex_unlock(&g->lock);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    if (ok && pthread_create(&t, &detached, connection_thread, k) != 0) {
        pthread_mutex_lock(&g->lock);
        g->connections--;
        pthread_mutex_unlock(&g->lock);
        ok = false;
    }
    pthread_attr_destroy(&detached);
    if (!ok) {
        free(k);
    }
    return ok;
}

/* In a gate that a command started for itself: tells the supervisor when nobody is left. The socket
 * is looked at once more afterwards by whoever connects: no answer to its ping means "start again".
 */
static bool idle(struct gate *g, int64_t since)
{
    pthread_mutex_lock(&g->lock);
    bool none = g->connections == 0;
    pthread_mutex_unlock(&g->lock);
    return js_bool_or(g->boot.args, "local", false) && none && clock_boot() - since > IDLE;
}

void *gate_control_thread(void *ctx)
{
    struct gate *g = ctx;
    int64_t since = clock_boot() + 10 * CLOCK_SECOND; /* time for the first to connect */
    for (;;) {
        struct pollfd p = {.fd = g->control, .events = POLLIN};
        int n = poll(&p, 1, 100);
        if (n > 0) {
            int sock = accept4(g->control, NULL, NULL, SOCK_CLOEXEC);
            if (sock >= 0 && !start_connection(g, sock)) {
                log_warn("control", "too many commands at once; one was turned away");
                fd_close(&sock);
            }
            since = clock_boot();
        }
        pthread_mutex_lock(&g->lock);
        if (g->connections > 0) {
            since = clock_boot();
        }
        pthread_mutex_unlock(&g->lock);
        if (idle(g, since)) {
            struct err e;
            if (boot_ready(&g->boot, &e) < 0) { /* any further word means "idle" */
                log_warn("control", "%s", e.text);
            }
            return NULL;
        }
    }
}
