#include "serve/group.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/text.h"
#include "tuf/tuf.h"

#define START_TIME (120 * CLOCK_SECOND) /* rules are compiled and proved meanwhile */

static const struct {
    const char *name, *arg;
} roles[GROUP_ROLES] = {
    [GROUP_LOG] = {"signer-log", "serve-signer"},
    [GROUP_REPOSITORY] = {"signer-repository", "serve-signer"},
    [GROUP_RECORDER] = {"recorder", "serve-recorder"},
    [GROUP_GATE] = {"gate", "serve-gate"},
    [GROUP_WEB] = {"web", "serve-web"},
};

const char *group_name(enum group_role r)
{
    return roles[r].name;
}

/* What goes to one child: peers by name with their sockets, and secrets. */
struct child {
    json_t *peers, *secrets;
    int fds[IPC_FDS];
    size_t n;
};

static void give(struct child *c, const char *peer, int fd)
{
    js_add_str(c->peers, peer);
    c->fds[c->n++] = fd;
}

static void give_secret(struct child *c, const struct serve_opts *o, const char *name,
                        enum key_purpose purpose)
{
    CLEANUP(key_sub_clear) struct key_sub sub;
    CLEANUP(buf_clear) struct buf hex = BUF(128);
    key_subkey(o->kek, purpose, &sub);
    text_hex(&hex, span_of(sub.b, sizeof sub.b));
    js_set_str(c->secrets, name, buf_text(&hex));
    key_wipe(&hex);
}

/* A socket between two children; both ends are closed here once they are sent. */
static int link_pair(struct child *a, const char *to_b, struct child *b, const char *to_a,
                     struct err *e)
{
    int pair[2];
    int r = proc_pair(pair, e);
    if (r == 0) {
        give(a, to_b, pair[0]);
        give(b, to_a, pair[1]);
    }
    return r;
}

static int wire(const struct serve_opts *o, const struct group_listen *l, struct child *c,
                struct err *e)
{
    int r = link_pair(&c[GROUP_LOG], "gate", &c[GROUP_GATE], "log", e);
    r = r < 0 ? r : link_pair(&c[GROUP_LOG], "recorder", &c[GROUP_RECORDER], "log", e);
    r = r < 0 ? r : link_pair(&c[GROUP_REPOSITORY], "gate", &c[GROUP_GATE], "repository", e);
    r = r < 0 ? r : link_pair(&c[GROUP_RECORDER], "gate", &c[GROUP_GATE], "recorder", e);
    if (r == 0 && l->http >= 0) {
        r = link_pair(&c[GROUP_RECORDER], "web", &c[GROUP_WEB], "recorder", e);
        r = r < 0 ? r : link_pair(&c[GROUP_GATE], "web", &c[GROUP_WEB], "gate", e);
        give(&c[GROUP_WEB], "listen", dup(l->http));
    }
    give(&c[GROUP_GATE], "control", dup(l->control));
    give_secret(&c[GROUP_LOG], o, "log", KEY_LOG);
    give_secret(&c[GROUP_REPOSITORY], o, "repository", KEY_REPOSITORY);
    if (o->with_root) {
        give_secret(&c[GROUP_REPOSITORY], o, "root", KEY_ROOT);
    }
    give_secret(&c[GROUP_RECORDER], o, "record", KEY_RECORD);
    give_secret(&c[GROUP_GATE], o, "quarantine", KEY_QUARANTINE);
    return r;
}

static int start_one(const struct serve_opts *o, enum group_role role, struct child *c,
                     struct group *g, struct err *e)
{
    int pair[2];
    int r = proc_pair(pair, e);
    if (r < 0) {
        return r;
    }
    const char *const argv[] = {roles[role].arg, NULL};
    struct proc_spec spec = {.argv = argv, .fds = &pair[1], .n_fds = 1, .null_stdio = 1};
    r = proc_spawn(&spec, &g->proc[role], e);
    fd_close(&pair[1]);
    g->boot[role] = pair[0];
    if (r < 0) {
        return err_wrap(e, r, "start %s", roles[role].name);
    }
    CLEANUP(js_free) json_t *args = js_new();
    int fds[IPC_FDS] = {o->site};
    memcpy(fds + 1, c->fds, c->n * sizeof fds[0]);
    js_set_str(args, "op", "boot");
    js_set_str(args, "role", roles[role].name);
    js_set_str(args, "path", o->path);
    js_set_str(args, "settings", o->settings_text);
    js_set_str(args, "tls_cert", o->tls_cert);
    js_set_bool(args, "local", o->local);
    js_set(args, "peers", json_incref(c->peers));
    js_set(args, "secrets", json_incref(c->secrets));
    r = ipc_send(g->boot[role], 0, args, fds, c->n + 1, e);
    return r < 0 ? err_wrap(e, r, "start %s", roles[role].name) : 0;
}

void group_ended(struct group *g, enum group_role role, char *out, size_t room)
{
    int status = 0;
    snprintf(out, room, "it still runs");
    if (g->proc[role].pid > 0 && proc_wait(&g->proc[role], CLOCK_SECOND, &status) == 1) {
        if (WIFSIGNALED(status)) {
            snprintf(out, room, "it was ended by signal %d", WTERMSIG(status));
        } else {
            snprintf(out, room, "it ended with %d", WEXITSTATUS(status));
        }
    }
}

static int wait_ready(struct group *g, enum group_role role, int64_t until, struct err *e)
{
    CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
    int64_t left = until - clock_boot();
    int r = ipc_recv_within(g->boot[role], left > 0 ? left : 1, &m, e);
    r = r < 0 ? r : ipc_result(m.body, e);
    if (r == ERR_UNAVAIL) {
        char how[48];
        group_ended(g, role, how, sizeof how);
        return err_wrap(e, r, "%s did not start, %s", roles[role].name, how);
    }
    return r < 0 ? err_wrap(e, r, "%s did not start", roles[role].name) : 0;
}

int group_start(const struct serve_opts *o, const struct group_listen *l, struct group *out,
                struct err *e)
{
    struct group g;
    struct child c[GROUP_ROLES];
    for (size_t i = 0; i < GROUP_ROLES; i++) {
        g.proc[i] = PROC_NONE;
        g.boot[i] = -1;
        c[i] = (struct child){.peers = js_list(), .secrets = js_new()};
    }
    int r = wire(o, l, c, e);
    size_t n = l->http >= 0 ? GROUP_ROLES : GROUP_WEB;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = start_one(o, (enum group_role)i, &c[i], &g, e);
    }
    for (size_t i = 0; i < GROUP_ROLES; i++) {
        js_free(&c[i].peers);
        js_free(&c[i].secrets);
        for (size_t k = 0; k < c[i].n; k++) {
            fd_close(&c[i].fds[k]);
        }
    }
    int64_t until = clock_boot() + START_TIME;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = wait_ready(&g, (enum group_role)i, until, e);
    }
    if (r < 0) {
        group_stop(&g, GROUP_HURRY);
        return r;
    }
    *out = g;
    return 0;
}

void group_stop(struct group *g, int64_t within)
{
    for (size_t i = GROUP_ROLES; i-- > 0;) {
        fd_close(&g->boot[i]);
        if (g->proc[i].pid <= 0) {
            continue;
        }
        if (proc_wait(&g->proc[i], within, NULL) == 0) {
            log_warn("serve.stop", "process=%s did not stop in time and is killed", roles[i].name);
            proc_kill(&g->proc[i]);
        }
    }
}
