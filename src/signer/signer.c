#include "signer/signer_priv.h"

#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"

static void say(int boot, const struct err *fault)
{
    CLEANUP(js_free) json_t *j = fault != NULL ? ipc_error(fault) : js_new();
    if (fault == NULL) {
        js_set_str(j, "op", "ready");
    }
    if (ipc_send(boot, 0, j, NULL, 0, NULL) < 0) {
        log_warn("signer.start", "the supervisor is gone");
    }
}

static void serve_peer(struct signer *s, int *sock, const struct ipc_op *ops, size_t n)
{
    struct err e;
    int r = ipc_serve_one(*sock, ops, n, s, NULL, &e);
    if (r < 0) {
        log_info("signer.peer", "%s", e.text);
        fd_close(sock);
    }
}

static void loop(struct signer *s)
{
    struct signer_boot *b = s->boot;
    while (b->peers[0] >= 0 || b->peers[1] >= 0) {
        struct pollfd p[3] = {{.fd = b->boot, .events = POLLIN},
                              {.fd = b->peers[0], .events = POLLIN},
                              {.fd = b->peers[1], .events = POLLIN}};
        if (poll(p, 3, -1) < 0) {
            continue; /* EINTR */
        }
        if (p[1].revents != 0 && b->repository) {
            serve_peer(s, &b->peers[0], signer_ops_repository, signer_ops_repository_n);
        } else if (p[1].revents != 0) {
            serve_peer(s, &b->peers[0], signer_ops_gate_log, signer_ops_gate_log_n);
        }
        if (p[2].revents != 0) {
            serve_peer(s, &b->peers[1], signer_ops_recorder, signer_ops_recorder_n);
        }
        if (p[0].revents != 0) {
            return;
        }
    }
}

int signer_main(struct signer_boot *boot)
{
    struct err e;
    struct signer s = {.boot = boot, .keys = -1};
    int r = file_open_dir(boot->site, "keys", &s.keys, &e);
    r = r < 0 ? r : boot->repository ? signer_open_repository(&s, &e) : signer_open_log(&s, &e);
    say(boot->boot, r < 0 ? &e : NULL);
    if (r == 0) {
        loop(&s);
    }
    tuf_close(&s.repo);
    signer_drop_roles(&s);
    key_free(&s.log);
    key_free(&s.verdict);
    key_sub_clear(&boot->sub);
    key_sub_clear(&boot->root);
    fd_close(&s.keys);
    return r < 0 ? 3 : 0;
}

/* ---- init ---- */

struct fresh {
    struct key *key[TUF_ROLES];
    struct sig_by by[TUF_ROLES];
    struct tuf_keyset set[TUF_ROLES];
    struct tuf_sign sign;
};

static int make_role(struct fresh *f, enum tuf_role role, int keys, const struct key_sub *sub,
                     enum key_purpose purpose, struct err *e)
{
    struct key_info info;
    char name[KEY_NAME + 1];
    snprintf(name, sizeof name, "%s-1", tuf_role_name(role));
    int r = key_make(keys, sub, purpose, name, tuf_role_name(role), &info, e);
    r = r < 0 ? r : key_load(keys, sub, name, &f->key[role], e);
    if (r == 0) {
        f->by[role] = key_signer(f->key[role]);
        f->set[role] = (struct tuf_keyset){.key = {info.public}, .n = 1, .threshold = 1};
        f->sign.role[role].by = &f->by[role];
        f->sign.role[role].n = 1;
    }
    return r;
}

static int make_plain(int keys, const struct key_sub *sub, enum key_purpose purpose,
                      const char *name, struct err *e)
{
    struct key_info info;
    return key_make(keys, sub, purpose, name, name, &info, e);
}

static int make_keys(int site, const struct key_kek *kek, struct fresh *f, struct err *e)
{
    CLEANUP(fd_close) int keys = -1;
    CLEANUP(key_sub_clear) struct key_sub online = {{0}};
    CLEANUP(key_sub_clear) struct key_sub root = {{0}};
    CLEANUP(key_sub_clear) struct key_sub log = {{0}};
    key_subkey(kek, KEY_REPOSITORY, &online);
    key_subkey(kek, KEY_ROOT, &root);
    key_subkey(kek, KEY_LOG, &log);
    int r = file_open_dir(site, "keys", &keys, e);
    for (size_t i = 0; i < TUF_ROLES && r == 0; i++) {
        bool offline = i == TUF_ROOT || i == TUF_TARGETS;
        r = make_role(f, (enum tuf_role)i, keys, offline ? &root : &online,
                      offline ? KEY_ROOT : KEY_REPOSITORY, e);
    }
    r = r < 0 ? r : make_plain(keys, &online, KEY_REPOSITORY, "sums", e);
    r = r < 0 ? r : make_plain(keys, &log, KEY_LOG, "log", e);
    return r < 0 ? r : make_plain(keys, &log, KEY_LOG, "verdict", e);
}

static int write_state(int site, const char *name, const json_t *state, struct err *e)
{
    CLEANUP(buf_clear) struct buf b = BUF(SIGNER_STATE_MAX);
    js_write(&b, state);
    return file_write(site, name, buf_view(&b), 0600, e);
}

int signer_init(int site, const struct key_kek *kek, const char *name,
                const int64_t life[TUF_ROLES], struct err *e)
{
    struct fresh f = {.sign = {.now = clock_now()}};
    struct tuf_docs docs = {0};
    struct tlog_head empty = tlog_head_empty();
    CLEANUP(js_free) json_t *state = NULL;
    CLEANUP(js_free) json_t *log = js_new();
    CLEANUP(fd_close) int metadata = -1;
    CLEANUP(buf_clear) struct buf origin = BUF(LIMIT_NOTE);
    struct tlog_checkpoint first = {.head = empty};
    snprintf(first.origin, sizeof first.origin, "%s", name);
    js_set_int(log, "size", 0);
    js_set_sha256(log, "root", &empty.root);
    for (size_t i = 0; i < TUF_ROLES; i++) {
        f.sign.role[i].life = life[i];
    }
    int r = tlog_checkpoint_text(&first, &origin, e); /* refuses a name that no log can have */
    r = r < 0 ? r : file_mkdirs(site, "state", 0700, e);
    r = r < 0 ? r : file_mkdirs(site, "metadata", 0755, e);
    r = r < 0 ? r : make_keys(site, kek, &f, e);
    r = r < 0 ? r : tuf_create(f.set, &f.sign, &docs, &state, e);
    r = r < 0 ? r : file_open_dir(site, "metadata", &metadata, e);
    r = r < 0 ? r : write_state(site, SIGNER_STATE_REPOSITORY, state, e);
    r = r < 0 ? r : write_state(site, SIGNER_STATE_LOG, log, e);
    r = r < 0 ? r : tuf_write(metadata, &docs, e);
    for (size_t i = 0; i < TUF_ROLES; i++) {
        key_free(&f.key[i]);
    }
    tuf_docs_clear(&docs);
    return r < 0 ? err_wrap(e, r, "make keys and first metadata") : 0;
}
