#include "serve/http_conn.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h> /* glibc's tcp_info ends before tcpi_bytes_acked */
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

#define TCP_STATE_CLOSE 7 /* of the kernel's net/tcp_states.h */

struct conn {
    int refs;
    int fd;
    bool tls;
    pthread_mutex_t lock; /* of all below */
    bool reset;
    struct conn_count last;
};

struct conn *conn_new(int fd, bool tls)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0) {
        return NULL;
    }
    struct conn *c = mem_new(struct conn);
    *c = (struct conn){.refs = 1, .fd = own, .tls = tls};
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

struct conn *conn_ref(struct conn *c)
{
    __atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
    return c;
}

void conn_unref(struct conn **c)
{
    struct conn *old = *c;
    *c = NULL;
    if (old != NULL && __atomic_sub_fetch(&old->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        fd_close(&old->fd);
        pthread_mutex_destroy(&old->lock);
        free(old);
    }
}

bool conn_tls(const struct conn *c)
{
    return c->tls;
}

static bool acked_now(int fd, uint64_t *acked, bool *dead)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
        len < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked) {
        return false;
    }
    *acked = info.tcpi_bytes_acked;
    *dead = info.tcpi_state == TCP_STATE_CLOSE;
    return true;
}

/* An acknowledgement may arrive between the two questions; then both are asked again. */
static void count(struct conn *c)
{
    uint64_t before = 0, after = 0;
    int queued = 0;
    bool dead = false;
    for (int tries = 0; tries < 100; tries++) {
        if (!acked_now(c->fd, &before, &dead) || ioctl(c->fd, SIOCOUTQ, &queued) < 0 ||
            !acked_now(c->fd, &after, &dead)) {
            c->last.dead = true;
            return;
        }
        if (before == after) {
            break;
        }
    }
    c->last = (struct conn_count){.acked = before, /* the lower one */
                                  .written = before + (uint64_t)(queued > 0 ? queued : 0),
                                  .dead = dead};
}

struct conn_count conn_count(struct conn *c)
{
    pthread_mutex_lock(&c->lock);
    if (!c->reset) { /* a reset zeroes what the kernel counts */
        count(c);
    }
    struct conn_count out = c->last;
    pthread_mutex_unlock(&c->lock);
    return out;
}

void conn_reset(struct conn *c)
{
    const struct sockaddr none = {.sa_family = AF_UNSPEC};
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    pthread_mutex_lock(&c->lock);
    if (!c->reset) {
        count(c);
        c->reset = true;
        c->last.dead = true;
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        if (connect(c->fd, &none, sizeof none) < 0) {
            (void)shutdown(c->fd, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&c->lock);
}

void conn_end(struct conn *c)
{
    (void)shutdown(c->fd, SHUT_RDWR);
}

uint64_t ack_bytes(const struct ack_mark *m, uint64_t acked)
{
    if (m->whole && acked >= m->end) {
        return m->body;
    }
    if (m->tls || acked <= m->base) {
        return 0;
    }
    return acked - m->base < m->body ? acked - m->base : m->body;
}
