/* recorder.c - the only writer of journal, details, tiles and cordon.db.
 *
 * One thread. It takes what has arrived from web and gate, folds it, makes it durable with one
 * commit, and only then answers. Web may ask for grants, ends and alarms, nothing else. */
#include "serve/recorder.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "blob/blob.h"
#include "delivery/delivery.h"
#include "release/release_db.h"
#include "serve/events.h"
#include "serve/roles.h"
#include "serve/room.h"
#include "signer/signer.h"

#define PUBLISH_EVERY CLOCK_SECOND
#define SIGNER_TIME (10 * CLOCK_SECOND) /* a checkpoint takes a millisecond */
#define STOP_WAIT (2 * CLOCK_SECOND)
#define WEB_FRAME ((size_t)64 << 10) /* web is the process that strangers talk to */
#define WEB_STALL (2 * CLOCK_SECOND) /* for a frame of it that has begun */
/* Nobody waits for an end to be entered, so a commit for ends alone waits this long for company:
 * else a customer's next grant would wait for the disk twice. */
#define END_WAIT (CLOCK_SECOND / 20)

void recorder_owe(struct recorder *r, const int *sock, uint32_t seq, json_t *take)
{
    r->owed[r->n_owed++] = (struct owed){.sock = sock, .seq = seq, .body = take};
}

static bool gone(int sock)
{
    struct pollfd p = {.fd = sock, .events = POLLIN};
    return sock < 0 || (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0);
}

/* A web that is there but does not read, or sends what is no frame, must not hold up a recall: the
 * recorder ends, and the supervisor starts everything again, web first of all. */
static void web_failed(struct recorder *r, const struct err *e)
{
    log_error("recorder.web", "broke the protocol: %s", e->text);
    r->web_bad = true;
    fd_close(&r->web);
}

static void send_failed(struct recorder *r, const int *sock, const struct err *e)
{
    if (sock == &r->web && !gone(r->web)) {
        web_failed(r, e);
    } else {
        log_warn("recorder.send", "%s", e->text);
    }
}

static void answer_one(struct recorder *r, struct owed *o, const struct err *fault)
{
    struct err e;
    if (*o->sock >= 0 && ipc_answer(*o->sock, o->seq, o->body, fault, &e) < 0) {
        send_failed(r, o->sock, &e);
    }
    js_free(&o->body);
    event_clear(&o->grant);
}

/* Tells web to stop what is now withheld; the gate's answer waits until it did, or two seconds. */
static void push_stops(struct recorder *r)
{
    const char *sha256;
    json_t *yes;
    struct err e;
    json_object_foreach(r->stops, sha256, yes)
    {
        CLEANUP(js_free) json_t *push = js_new();
        js_set_str(push, "op", "stop");
        js_set_str(push, "sha256", sha256);
        if (r->web >= 0 && ipc_send(r->web, 0, push, NULL, 0, &e) < 0) {
            send_failed(r, &r->web, &e);
        }
    }
    r->stop_by = clock_boot() + STOP_WAIT;
}

static void settle(struct recorder *r)
{
    struct err e;
    int bad = record_commit(r->rec, &e);
    if (bad < 0) {
        log_error("recorder.commit", "%s", e.text);
    }
    bool push = false;
    for (size_t i = 0; i < r->n_owed; i++) {
        struct owed *o = &r->owed[i];
        if (bad == 0 && o->grant.kind != NULL) {
            delivery_granted(&o->grant);
        }
        if (bad == 0 && o->stops) { /* behind all grants that came before it */
            r->held[r->n_held++] = *o;
            push = true;
        } else {
            answer_one(r, o, bad < 0 ? &e : NULL);
        }
    }
    if (push) {
        push_stops(r);
    }
    r->n_owed = r->n_ends = 0;
    if (bad < 0) {
        exit(3); /* the supervisor starts everything again from what is durable */
    }
}

static bool may_wait(const struct recorder *r)
{
    return r->n_ends > 0 && r->n_ends == r->n_owed && r->n_owed < RECORDER_BATCH / 2 &&
           clock_boot() - r->ends_since < END_WAIT && clock_boot() < r->publish_at;
}

static void settle_held(struct recorder *r)
{
    if (r->n_held > 0 &&
        (json_object_size(r->stops) == 0 || clock_boot() >= r->stop_by || r->web < 0)) {
        if (json_object_size(r->stops) > 0) {
            log_warn("recorder.stop", "web did not confirm within two seconds");
            json_object_clear(r->stops);
        }
        for (size_t i = 0; i < r->n_held; i++) {
            answer_one(r, &r->held[i], NULL);
        }
        r->n_held = 0;
    }
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return fd >= 0 && poll(&p, 1, 0) > 0;
}

/* Takes what one peer has sent, up to a share of the batch. */
static void take_from(struct recorder *r, int *sock, const struct ipc_op *ops, size_t n_ops)
{
    struct err e;
    struct ipc_table t = {.ops = ops, .n_ops = n_ops, .ctx = r};
    for (size_t i = 0; i < RECORDER_BATCH / 2 && readable(*sock) && r->n_owed < RECORDER_BATCH;
         i++) {
        CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
        bool web = sock == &r->web;
        bool left = gone(*sock);
        int bad = ipc_recv_most(*sock, web ? WEB_STALL : IPC_STALL, web ? WEB_FRAME : LIMIT_FRAME,
                                &m, &e);
        bad = bad < 0 ? bad : ipc_serve_msg(*sock, &m, &t, &e);
        if (bad < 0 && web && !left) {
            web_failed(r, &e);
            return;
        }
        if (bad < 0) {
            log_info("recorder.peer", "%s left: %s", web ? "web" : "gate", e.text);
            fd_close(sock);
            return;
        }
    }
}

static size_t ring_records(int dir, const char *name)
{
    size_t records = 0, torn = 0;
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_KEYRING);
    return file_read(dir, name, LIMIT_KEYRING, &b, NULL) == 0 &&
                   keyring_check(buf_view(&b), &records, &torn, NULL) == 0
               ? records
               : 0;
}

/* A keyring never has fewer records than before: erased ones stay as marks. One that does is an
 * older or a new one, and must not take the place of the only good copy. */
static int write_copy(struct recorder *r, const char *copy, struct err *e)
{
    size_t ours = ring_records(r->boot.site, "keyring"), there = ring_records(AT_FDCWD, copy);
    if (there > ours) {
        return err_set(e, ERR_CONFLICT,
                       "it holds %zu records and the keyring itself only %zu: is that an old "
                       "keyring? Stop the server and put the copy back",
                       there, ours);
    }
    return keyring_copy(r->ring, AT_FDCWD, copy, e);
}

/* The second copy of the keyring follows the first within a second, so that one lost file does not
 * lose who has what, and an erased key is soon in neither. */
static void copy_keyring(struct recorder *r)
{
    struct err e;
    struct stat st;
    const char *copy = settings_text(r->settings, SETTING_KEYRING_COPY);
    if (copy[0] == 0 || fstatat(r->boot.site, "keyring", &st, 0) < 0 ||
        (st.st_size == r->copied.st_size && st.st_ino == r->copied.st_ino &&
         st.st_mtim.tv_sec == r->copied.st_mtim.tv_sec &&
         st.st_mtim.tv_nsec == r->copied.st_mtim.tv_nsec)) {
        return;
    }
    if (write_copy(r, copy, &e) < 0) {
        log_error("recorder.keyring", "the second copy %s was not written: %s", copy, e.text);
    }
    r->copied = st; /* also after a failure: said once for each change */
}

static void publish(struct recorder *r)
{
    struct err e;
    if (clock_boot() >= r->publish_at) {
        if (record_publish(r->rec, &e) < 0) {
            log_error("recorder.publish", "%s", e.text);
            if (!ipc_client_alive(r->log)) {
                exit(3); /* a signer that hangs is ended with all others, and started anew */
            }
        }
        copy_keyring(r);
        r->publish_at = clock_boot() + PUBLISH_EVERY;
    }
}

static void loop(struct recorder *r)
{
    for (;;) {
        struct pollfd p[3] = {{.fd = r->boot.sock, .events = POLLIN},
                              {.fd = r->web, .events = POLLIN},
                              {.fd = r->gate, .events = POLLIN}};
        if (poll(p, 3, r->n_held > 0 || r->n_owed > 0 ? 20 : 200) < 0 && errno != EINTR) {
            return;
        }
        take_from(r, &r->web, recorder_ops_web, recorder_ops_web_n);
        /* while the gate waits for web to stop, nothing more is taken from it */
        if (r->n_held == 0) {
            take_from(r, &r->gate, recorder_ops_gate, recorder_ops_gate_n);
        }
        bool now = p[0].revents != 0 || !may_wait(r);
        if (now) {
            settle(r);
        }
        settle_held(r);
        if (now) {
            publish(r);
        }
        if (p[0].revents != 0 || r->gate < 0 || r->web_bad) {
            return;
        }
    }
}

static int last_head(void *ctx, struct tlog_head *out, struct err *e)
{
    return signer_last(((struct recorder *)ctx)->log, out, e);
}

static int sign_head(void *ctx, const struct tlog_head *from, const struct tlog_head *head,
                     const struct tlog_hashes *proof, struct buf *note, struct err *e)
{
    return signer_checkpoint(((struct recorder *)ctx)->log, from, head, proof, note, e);
}

static int open_database(struct recorder *r, struct err *e)
{
    int bad = role_db(&r->boot, DB_FOLD, &r->db, e);
    return bad == ERR_NOTFOUND || bad == ERR_UNAVAIL
               ? err_wrap(e, bad, "open cordon.db (cordon doctor --rebuild makes it anew)")
               : bad;
}

/* Grants of those would fail one by one, with nobody knowing why. */
static void tell_lost_keys(struct recorder *r)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    size_t lost = 0;
    if (db_query(r->db, "SELECT id FROM org WHERE erased = 0", DB_NO_ARGS, &rows, NULL) < 0) {
        return;
    }
    while (db_next(rows, NULL) == 1) {
        struct keyring_id id = {KEYRING_ORG, (uint64_t)db_i64(rows, 0)};
        lost += keyring_state(r->ring, id) == KEYRING_ABSENT;
    }
    if (lost > 0) {
        log_error("recorder.keyring",
                  "the keys of %zu organisations are lost, so they get nothing: put the keyring's "
                  "second copy back; cordon doctor names them",
                  lost);
    }
}

static int open_all(struct recorder *r, struct err *e)
{
    CLEANUP(key_sub_clear) struct key_sub sub;
    CLEANUP(fd_close) int keys = -1;
    struct record_opts o = {.kinds = events_kinds, .last = last_head, .sign = sign_head, .ctx = r};
    r->log = ipc_client_new(boot_peer(&r->boot, "log"), NULL, NULL);
    ipc_client_patience(r->log, SIGNER_TIME);
    r->web = boot_peer(&r->boot, "web");
    r->gate = boot_peer(&r->boot, "gate");
    r->stops = js_new();
    r->alarms = js_new();
    int bad = role_settings(&r->boot, &r->settings, e);
    bad = bad < 0 ? bad : boot_secret(&r->boot, "record", sub.b, e);
    bad = bad < 0 ? bad : keyring_open(r->boot.site, "keyring", &sub, &r->ring, e);
    bad = bad < 0 ? bad : open_database(r, e);
    bad = bad < 0 ? bad : events_migrate(r->db, e);
    bad = bad < 0 ? bad : file_open_dir(r->boot.site, "keys", &keys, e);
    bad = bad < 0 ? bad : key_public(keys, "log", &o.log_key, e);
    if (bad < 0) {
        return bad;
    }
    room_init(&r->room, r->boot.site, settings_number(r->settings, SETTING_RESERVE) / 2);
    o.ring = r->ring;
    o.db = r->db;
    o.origin = settings_text(r->settings, SETTING_REPOSITORY_NAME);
    bad = record_open(r->boot.site, &o, &r->rec, e);
    if (bad == 0) {
        tell_lost_keys(r);
    }
    if (bad == 0 && record_torn(r->rec) > 0) {
        log_warn("recorder.torn", "%llu bytes of an unfinished commit were cut",
                 (unsigned long long)record_torn(r->rec));
    }
    return bad;
}

// cppcheck-suppress constParameter ; the table of roles fixes the type
int recorder_main(struct boot *boot)
{
    struct err e;
    struct recorder *r = mem_new(struct recorder);
    r->boot = *boot;
    int bad = open_all(r, &e);
    bad = bad < 0 ? bad : boot_ready(&r->boot, &e);
    if (bad < 0) {
        role_failed(&r->boot, &e);
        return 3;
    }
    loop(r);
    r->publish_at = 0;
    if (record_commit(r->rec, &e) == 0) {
        publish(r);
    }
    record_close(&r->rec);
    db_close(&r->db);
    keyring_close(&r->ring);
    return r->web_bad ? 3 : 0;
}
