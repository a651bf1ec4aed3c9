#include "serve/serve.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "serve/group.h"

#define CONTROL "control.sock"
#define BACKLOG 1024
#define FIRST_TRIES 3u
#define PAUSE_MOST (4 * CLOCK_SECOND) /* it answers again within ten, however often it dies */
#define CALM (60 * CLOCK_SECOND)      /* a group that lived so long is started again at once */

int serve_lock(int site, int *lock, struct err *e)
{
    int r = file_mkdirs(site, "run", 0755, e);
    if (r < 0) {
        return r;
    }
    CLEANUP(fd_close) int fd = openat(site, "run/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_sys(e, "open run/lock");
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        return errno == EWOULDBLOCK
                   ? err_set(e, ERR_CONFLICT, "another process works on this site already")
                   : err_sys(e, "lock run/lock");
    }
    *lock = fd;
    fd = -1;
    return 0;
}

/* The socket's path may be longer than sun_path: it is named relative to the folder. */
static int control_address(int site, struct sockaddr_un *a, int *run, struct err *e)
{
    int r = file_open_dir(site, "run", run, e);
    if (r == 0) {
        *a = (struct sockaddr_un){.sun_family = AF_UNIX};
        snprintf(a->sun_path, sizeof a->sun_path, "/proc/self/fd/%d/" CONTROL, *run);
    }
    return r;
}

int serve_connect(int site, int *sock, struct err *e)
{
    struct sockaddr_un a;
    CLEANUP(fd_close) int run = -1;
    int r = control_address(site, &a, &run, e);
    if (r < 0) {
        return r == ERR_NOTFOUND ? err_set(e, ERR_UNAVAIL, "no server runs") : r;
    }
    CLEANUP(fd_close) int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0 || connect(s, (const struct sockaddr *)&a, sizeof a) < 0) {
        return errno == ENOENT || errno == ECONNREFUSED ? err_set(e, ERR_UNAVAIL, "no server runs")
                                                        : err_sys(e, "connect to run/" CONTROL);
    }
    *sock = s;
    s = -1;
    return 0;
}

static int listen_control(int site, int *out, struct err *e)
{
    struct sockaddr_un a;
    CLEANUP(fd_close) int run = -1;
    int r = control_address(site, &a, &run, e);
    if (r < 0) {
        return r;
    }
    CLEANUP(fd_close) int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlinkat(run, CONTROL, 0); /* we hold the lock: it is a leftover */
    if (s < 0 || bind(s, (const struct sockaddr *)&a, sizeof a) < 0 ||
        fchmodat(run, CONTROL, 0660, 0) < 0 || listen(s, BACKLOG) < 0) {
        return err_sys(e, "listen on run/" CONTROL);
    }
    *out = s;
    s = -1;
    return 0;
}

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, a, sizeof in);
        return ntohl(in.sin_addr.s_addr) >> 24 == 127;
    }
    struct sockaddr_in6 in6;
    memcpy(&in6, a, sizeof in6);
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

static int resolve(const char *where, struct addrinfo **out, struct err *e)
{
    const char *colon = strrchr(where, ':');
    uint64_t port = 0; /* the library would take 99999 for 34463 */
    if (colon == NULL || text_u64(span_str(colon + 1), 65535, &port, NULL) < 0) {
        return err_set(e, ERR_FORMAT, "\"%s\" is no address; write 127.0.0.1:8080 or [::1]:8080",
                       where);
    }
    bool bracket = where[0] == '[' && colon > where && colon[-1] == ']';
    CLEANUP(mem_free)
    char *host = mem_text(where + bracket, (size_t)(colon - where) - 2 * (size_t)bracket);
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    int r = getaddrinfo(host[0] != 0 ? host : NULL, colon + 1, &hints, out);
    return r == 0 ? 0 : err_set(e, ERR_FORMAT, "listen on %s: %s", where, gai_strerror(r));
}

static int listen_http(const struct serve_opts *o, int *out, struct err *e)
{
    const char *where = o->listen != NULL ? o->listen : settings_text(o->settings, SETTING_LISTEN);
    const char *cert =
        o->tls_cert != NULL ? o->tls_cert : settings_text(o->settings, SETTING_TLS_CERT);
    const char *const *proxies;
    struct addrinfo *a = NULL;
    int r = resolve(where, &a, e), on = 1;
    if (r < 0) {
        return r;
    }
    CLEANUP(fd_close) int s = -1;
    if (!is_loopback(a->ai_addr) && cert[0] == 0 &&
        settings_list(o->settings, SETTING_BEHIND_PROXY, &proxies) == 0) {
        r = err_set(e, ERR_DENIED,
                    "%s is reachable from outside: give --tls-cert FILE, or --behind-proxy NET if "
                    "a proxy does TLS",
                    where);
    } else {
        s = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s < 0 || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
            bind(s, a->ai_addr, a->ai_addrlen) < 0 || listen(s, BACKLOG) < 0) {
            r = err_sys(e, "listen on %s", where);
        }
    }
    freeaddrinfo(a);
    if (r == 0) {
        *out = s;
        s = -1;
    }
    return r;
}

/* run/address: where the server listens, for commands and people. */
static void write_address(int site, int http, const char *scheme)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    char host[64], port[8], text[128];
    if (getsockname(http, (struct sockaddr *)&a, &len) == 0 &&
        getnameinfo((struct sockaddr *)&a, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        bool six = strchr(host, ':') != NULL;
        snprintf(text, sizeof text, "%s://%s%s%s:%s\n", scheme, six ? "[" : "", host,
                 six ? "]" : "", port);
        if (file_write(site, "run/address", span_str(text), 0644, NULL) == 0) {
            text[strlen(text) - 1] = 0;
            log_info("serve.listen", "address=%s", text);
        }
    }
}

enum why { WHY_STOP, WHY_DIED, WHY_IDLE };

/* Waits until something ends the group. */
static enum why watch(const struct serve_opts *o, struct group *g, int signals)
{
    struct pollfd p[GROUP_ROLES + 2];
    for (;;) {
        size_t n = 0;
        p[n++] = (struct pollfd){.fd = signals, .events = POLLIN};
        p[n++] = (struct pollfd){.fd = o->local ? g->boot[GROUP_GATE] : -1, .events = POLLIN};
        for (size_t i = 0; i < GROUP_ROLES; i++) {
            p[n++] = (struct pollfd){.fd = g->proc[i].pidfd, .events = POLLIN};
        }
        if (poll(p, n, -1) < 0 && errno != EINTR) {
            return WHY_STOP;
        }
        for (size_t i = 0; i < GROUP_ROLES; i++) {
            if (p[2 + i].revents != 0) {
                char how[48];
                int pid = (int)g->proc[i].pid;
                group_ended(g, (enum group_role)i, how, sizeof how);
                log_error("serve.died", "process=%s pid=%d %s", group_name((enum group_role)i), pid,
                          how);
                return WHY_DIED;
            }
        }
        if (p[0].revents != 0) {
            return WHY_STOP;
        }
        if (p[1].revents != 0) {
            return WHY_IDLE; /* the gate has nobody left to serve */
        }
    }
}

static bool stopped_within(int signals, int64_t within)
{
    struct pollfd p = {.fd = signals, .events = POLLIN};
    return poll(&p, 1, (int)(within / 1000)) > 0;
}

static void say_ready(const struct serve_opts *o)
{
    if (o->ready < 0) {
        return;
    }
    CLEANUP(js_free) json_t *ready = js_new();
    js_set_str(ready, "op", "ready");
    if (ipc_send(o->ready, 0, ready, NULL, 0, NULL) < 0) {
        log_info("serve.ready", "nobody waits for it any more");
    }
}

/* One life of the group: 1 if it is to be started again. Only a first start may fail for good, and
 * not because one of the processes was killed meanwhile; `ran` is set with it. */
static int run_once(const struct serve_opts *o, const struct group_listen *l, int signals,
                    bool *ran, unsigned *tries, struct err *e)
{
    struct group g;
    int r = group_start(o, l, &g, e);
    if (r < 0 && !*ran && (r != ERR_UNAVAIL || o->local || ++*tries >= FIRST_TRIES)) {
        return r;
    }
    if (r < 0) {
        log_error("serve.start", "%s", e->text);
        return 1;
    }
    if (!*ran) {
        say_ready(o);
    }
    *ran = true;
    enum why why = watch(o, &g, signals);
    group_stop(&g, why == WHY_DIED ? GROUP_HURRY : GROUP_PATIENT);
    if (why != WHY_DIED) {
        return 0;
    }
    return o->local ? err_set(e, ERR_UNAVAIL, "a process ended; see the messages above") : 1;
}

static int run_groups(const struct serve_opts *o, const struct group_listen *l, int signals,
                      struct err *e)
{
    int64_t pause = 0;
    bool ran = false;
    unsigned tries = 0;
    for (;;) {
        int64_t began = clock_boot();
        int r = run_once(o, l, signals, &ran, &tries, e);
        if (r <= 0) {
            return r;
        }
        pause = clock_boot() - began > CALM ? 0 : pause;
        if (stopped_within(signals, pause)) {
            return 0;
        }
        pause = pause == 0 ? CLOCK_SECOND / 4 : pause < PAUSE_MOST ? 2 * pause : pause;
    }
}

int serve_run(const struct serve_opts *o, struct err *e)
{
    CLEANUP(fd_close) int lock = -1;
    CLEANUP(fd_close) int control = -1;
    CLEANUP(fd_close) int http = -1;
    CLEANUP(fd_close) int signals = -1;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signals = signalfd(-1, &set, SFD_CLOEXEC);
    int r = signals < 0 ? err_sys(e, "watch signals") : serve_lock(o->site, &lock, e);
    r = r < 0 ? r : listen_control(o->site, &control, e);
    if (r == 0 && !o->local) {
        r = listen_http(o, &http, e);
    }
    if (r < 0) {
        return r;
    }
    if (!o->local) {
        const char *cert =
            o->tls_cert != NULL ? o->tls_cert : settings_text(o->settings, SETTING_TLS_CERT);
        write_address(o->site, http, cert[0] != 0 ? "https" : "http");
    }
    struct group_listen l = {control, http};
    r = run_groups(o, &l, signals, e);
    unlinkat(o->site, "run/" CONTROL, 0);
    unlinkat(o->site, "run/address", 0);
    return r;
}
