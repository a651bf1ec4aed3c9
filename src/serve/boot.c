#include "serve/boot.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

void boot_clear(struct boot *b)
{
    js_free(&b->args);
    fd_close(&b->sock);
    fd_close(&b->site);
    for (size_t i = 0; i < b->n_peers; i++) {
        fd_close(&b->peer[i]);
    }
    b->n_peers = 0;
}

int boot_receive(int sock, struct boot *out, struct err *e)
{
    CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
    json_t *peers = NULL;
    int r = ipc_recv_within(sock, 10 * INT64_C(1000000), &m, e);
    r = r < 0 ? r : js_arr(m.body, "peers", &peers, e);
    if (r == 0 && (m.n_fds < 1 || json_array_size(peers) != m.n_fds - 1)) {
        r = err_set(e, ERR_FORMAT, "%zu descriptors for %zu peers", m.n_fds,
                    json_array_size(peers));
    }
    if (r < 0) {
        return err_wrap(e, r, "receive what to do");
    }
    struct boot b = {.args = json_incref(m.body), .sock = sock, .site = m.fds[0]};
    m.fds[0] = -1;
    for (size_t i = 1; i < m.n_fds; i++) {
        b.peer[b.n_peers++] = m.fds[i];
        m.fds[i] = -1;
    }
    fcntl(sock, F_SETFD, FD_CLOEXEC);
    *out = b;
    return 0;
}

int boot_peer(struct boot *b, const char *name)
{
    const json_t *peers = json_object_get(b->args, "peers");
    for (size_t i = 0; i < b->n_peers; i++) {
        const char *is = json_string_value(json_array_get(peers, i));
        if (is != NULL && strcmp(is, name) == 0) {
            int fd = b->peer[i];
            b->peer[i] = -1;
            return fd;
        }
    }
    return -1;
}

int boot_secret(const struct boot *b, const char *name, uint8_t out[static 32], struct err *e)
{
    const char *hex = NULL;
    int r = js_str(json_object_get(b->args, "secrets"), name, &hex, e);
    r = r < 0 ? r : text_unhex(span_str(hex), out, 32, e);
    return r < 0 ? err_wrap(e, r, "the secret of %s", name) : 0;
}

int boot_ready(const struct boot *b, struct err *e)
{
    CLEANUP(js_free) json_t *j = js_new();
    js_set_str(j, "op", "ready");
    return ipc_send(b->sock, 0, j, NULL, 0, e);
}
