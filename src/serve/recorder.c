/* recorder.c - the only writer of journal, details, tiles and cordon.db.
 *
 * One thread. It takes what has arrived from web and gate, folds it, makes it durable with one
 * commit, and only then answers. Web may ask for grants, ends and alarms, nothing else. */
#include "serve/roles.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "blob/blob.h"
#include "delivery/delivery.h"
#include "release/release_db.h"
#include "serve/events.h"
#include "serve/room.h"
#include "signer/signer.h"

#define PUBLISH_EVERY CLOCK_SECOND
#define STOP_WAIT (2 * CLOCK_SECOND)
#define BATCH 512u                   /* requests answered by one commit */
#define WEB_FRAME ((size_t)64 << 10) /* web is the process that strangers talk to */
#define WEB_STALL (2 * CLOCK_SECOND) /* for a frame of it that has begun */
/* Nobody waits for an end to be entered, so a commit for ends alone waits this long for company:
 * else a customer's next grant would wait for the disk twice. */
#define END_WAIT (CLOCK_SECOND / 20)

/* An answer that waits for the commit. */
struct owed {
    const int *sock;
    uint32_t seq;
    json_t *body;
    struct event grant; /* to be remembered once it is durable; kind NULL: none */
    bool stops;         /* web has to stop something first */
};

struct recorder {
    struct boot boot;
    struct settings *settings;
    struct keyring *ring;
    struct db *db;
    struct record *rec;
    struct ipc_client *log;
    int web, gate;
    struct owed owed[BATCH];
    size_t n_owed;
    size_t n_ends;           /* of those, ends */
    int64_t ends_since;      /* when the first of them came */
    json_t *stops;           /* digests whose stop web has not confirmed */
    int64_t stop_by;         /* when the gate is answered anyway */
    struct owed held[BATCH]; /* the gate's answers that wait for it */
    size_t n_held;
    bool web_bad; /* it broke the protocol: all must start again */
    struct room room;
    int64_t publish_at;
    json_t *alarms;     /* {"BLOB FAULT": true}: entered already */
    struct stat copied; /* the keyring as it was when its second copy was made */
};

static void owe(struct recorder *r, const int *sock, uint32_t seq, json_t *take)
{
    r->owed[r->n_owed++] = (struct owed){.sock = sock, .seq = seq, .body = take};
}

/* ---- web ---- */

static int target_of(struct db *db, const char *path, struct delivery_target *out, struct err *e)
{
    struct release_target t;
    int r = release_target(db, path, &t, e);
    if (r < 0) {
        return r;
    }
    if (t.state == RELEASE_WITHHELD || t.state == RELEASE_RECALLED) {
        return err_set(e, ERR_DENIED, "%s is %s", path, release_state_name(t.state));
    }
    if (t.state != RELEASE_PUBLISHED) {
        return err_set(e, ERR_NOTFOUND, "%s is not published", path);
    }
    *out = (struct delivery_target){.blob = t.sha256, .chunk_root = t.chunk_root, .size = t.size};
    memcpy(out->product, t.product, sizeof out->product);
    return 0;
}

/* A word for web, which turns it into a status: it need not read the text. */
static const char *why_denied(struct recorder *r, const char *target, const struct err *e)
{
    struct release_target t;
    if (strncmp(e->text, "sign in", strlen("sign in")) == 0) {
        return "sign-in";
    }
    int bad = release_target(r->db, target, &t, NULL);
    bool barred = bad == 0 && (t.state == RELEASE_WITHHELD || t.state == RELEASE_RECALLED);
    return barred ? release_state_name(t.state) : "product";
}

static int on_grant(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                    struct err *e)
{
    (void)peer;
    struct recorder *r = ctx;
    const char *secret = js_str_or(m->body, "secret", ""), *target = NULL;
    struct delivery_request q = {.user = js_str_or(m->body, "user", NULL),
                                 .secret = span_str(secret),
                                 .whole = js_bool_or(m->body, "whole", true),
                                 .check = js_bool_or(m->body, "check", false),
                                 .address = js_str_or(m->body, "address", ""),
                                 .agent = js_str_or(m->body, "agent", ""),
                                 .node = "origin"};
    struct delivery_answer a = {0};
    CLEANUP(event_clear) struct event ev = {0};
    char address[64];
    snprintf(address, sizeof address, "%s", q.address);
    q.address = address;
    int bad = js_str(m->body, "target", &target, e);
    q.target = target;
    if (bad == 0 && !q.whole) {
        bad = js_u64(m->body, "first", &q.first, e);
        bad = bad < 0 ? bad : js_u64(m->body, "last", &q.last, e);
    }
    bad = bad < 0 ? bad : delivery_grant(r->db, target_of, &q, &a, &ev, e);
    if (bad == 0 && a.added) {
        bad = room_left(&r->room, e);
        bad = bad < 0 ? bad : record_append(r->rec, &ev, 1, e);
        a.grant = ev.index;
    }
    if (bad == ERR_DENIED && target != NULL) {
        *answer = ipc_error(e);
        js_set_str(*answer, "why", why_denied(r, target, e));
        return 0;
    }
    if (bad < 0) {
        return bad;
    }
    json_t *body = js_new();
    js_set_int(body, "grant", (int64_t)a.grant);
    js_set_int(body, "size", (int64_t)a.size);
    js_set_sha256(body, "blob", &a.blob);
    js_set_sha256(body, "chunks", &a.chunk_root);
    owe(r, &r->web, m->seq, body);
    if (a.added) {
        r->owed[r->n_owed - 1].grant = ev;
        ev = (struct event){0};
    }
    return IPC_LATER;
}

static int on_end(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                  struct err *e)
{
    (void)peer;
    (void)answer;
    struct recorder *r = ctx;
    uint64_t grant = 0, first = 0, acked = 0;
    CLEANUP(event_clear) struct event ev = {0};
    int bad = js_u64(m->body, "grant", &grant, e);
    bad = bad < 0 ? bad : js_u64(m->body, "first", &first, e);
    bad = bad < 0 ? bad : js_u64(m->body, "acked", &acked, e);
    bad = bad < 0 ? bad : delivery_end(r->db, grant, first, acked, &ev, e);
    if (bad == 0 && ev.kind != NULL) {
        bad = room_left(&r->room, e);
        bad = bad < 0 ? bad : record_append(r->rec, &ev, 1, e);
    }
    if (bad == 0) {
        owe(r, &r->web, m->seq, js_new());
        r->ends_since = r->n_ends++ == 0 ? clock_boot() : r->ends_since;
        return IPC_LATER;
    }
    return bad;
}

static bool is_fault(const char *text)
{
    for (int f = BLOB_FAULT_CHANGED; f <= BLOB_FAULT_CHUNKS; f++) {
        if (strcmp(blob_fault_name((enum blob_fault)f), text) == 0) {
            return true;
        }
    }
    return false;
}

/* Only what an alarm is made of, and only about a blob that there is: a taken web process must not
 * be able to fill the record with texts of its own. */
static int alarm_from(struct recorder *r, const json_t *q, json_t **out, struct err *e)
{
    static const char *const numbers[] = {"first", "last", "last_good", "seen", "changed"};
    struct digest blob;
    enum release_state known = RELEASE_NONE;
    const char *fault = NULL;
    char text[300];
    int bad = js_sha256(q, "blob", &blob, e);
    bad = bad < 0 ? bad : js_str(q, "fault", &fault, e);
    if (bad == 0 && !is_fault(fault)) {
        bad = err_set(e, ERR_FORMAT, "no such fault of a blob");
    }
    int64_t good = 0;
    bad = bad < 0 ? bad : release_state_of(r->db, &blob, &known, e);
    bad = bad < 0 ? bad : release_known_good(r->db, &blob, &good, e);
    if (bad < 0) {
        return bad;
    }
    json_t *j = js_new();
    js_set_sha256(j, "blob", &blob);
    snprintf(text, sizeof text, "%.20s", fault);
    js_set_str(j, "fault", text);
    snprintf(text, sizeof text, "%.250s", js_str_or(q, "text", ""));
    js_set_str(j, "text", text);
    js_set_str(j, "by", "web");
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        js_set_int(j, numbers[i], js_int_or(q, numbers[i], 0));
    }
    if (js_int_or(j, "last_good", 0) < good) {
        js_set_int(j, "last_good", good);
    }
    *out = j;
    return 0;
}

static int on_alarm(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                    struct err *e)
{
    (void)peer;
    (void)answer;
    struct recorder *r = ctx;
    CLEANUP(js_free) json_t *alarm = NULL;
    int bad = alarm_from(r, m->body, &alarm, e);
    if (bad < 0) {
        return bad;
    }
    CLEANUP(mem_free)
    char *key = mem_printf("%s %s", js_str_or(alarm, "blob", ""), js_str_or(alarm, "fault", ""));
    if (json_object_get(r->alarms, key) == NULL) {
        struct event ev = {.kind = "alarm", .site = alarm};
        bad = record_append(r->rec, &ev, 1, e);
        if (bad < 0) {
            return bad;
        }
        js_set_bool(r->alarms, key, true);
        CLEANUP(js_free) json_t *push = json_copy(alarm);
        js_set_str(push, "op", "alarm");
        if (ipc_send(r->gate, 0, push, NULL, 0, e) < 0) {
            log_warn("recorder.alarm", "gate not told: %s", e->text);
        }
    }
    owe(r, &r->web, m->seq, js_new());
    return IPC_LATER;
}

static int on_stopped(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                      struct err *e)
{
    (void)peer;
    (void)answer;
    (void)e;
    struct recorder *r = ctx;
    json_object_del(r->stops, js_str_or(m->body, "sha256", ""));
    return 0;
}

static const struct ipc_op web_ops[] = {
    {"grant", on_grant}, {"end", on_end}, {"alarm", on_alarm}, {"stopped", on_stopped}};

/* ---- gate ---- */

/* A blob that was lifted is held for good: what happens to it from now on is another alarm. */
static void forget_alarms(struct recorder *r, const struct event *ev)
{
    const char *sha256 = js_str_or(ev->open, "sha256", NULL), *key;
    json_t *yes;
    void *next;
    if (strcmp(ev->kind, "lifted") != 0 || sha256 == NULL) {
        return;
    }
    json_object_foreach_safe(r->alarms, next, key, yes)
    {
        if (strncmp(key, sha256, DIGEST_TEXT) == 0) {
            json_object_del(r->alarms, key);
        }
    }
}

static int on_append(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                     struct err *e)
{
    (void)peer;
    (void)answer;
    struct recorder *r = ctx;
    json_t *list = NULL;
    struct event *ev = NULL;
    size_t n = 0;
    int bad = js_arr(m->body, "events", &list, e);
    bad = bad < 0 ? bad : events_from_json(list, &ev, &n, e);
    bad = bad < 0 ? bad : record_append(r->rec, ev, n, e);
    if (bad == 0) {
        json_t *body = js_new();
        js_set_int(body, "index", n > 0 ? (int64_t)ev[0].index : -1);
        js_set_int(body, "time", n > 0 ? ev[0].time : 0);
        owe(r, &r->gate, m->seq, body);
        for (size_t i = 0; i < n; i++) {
            const char *stop = events_stop(&ev[i]);
            forget_alarms(r, &ev[i]);
            if (stop != NULL && r->web >= 0) {
                js_set_bool(r->stops, stop, true);
                r->owed[r->n_owed - 1].stops = true;
            }
        }
    }
    events_free(&ev, n);
    return bad < 0 ? bad : IPC_LATER;
}

static void head_json(struct recorder *r, json_t *j)
{
    struct tlog_head head = record_head(r->rec);
    js_set_int(j, "size", (int64_t)head.size);
    js_set_sha256(j, "root", &head.root);
}

static int on_head(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                   struct err *e)
{
    (void)peer;
    (void)m;
    struct recorder *r = ctx;
    int bad = record_commit(r->rec, e);
    if (bad == 0) {
        *answer = js_new();
        head_json(r, *answer);
    }
    return bad;
}

static int on_checkpoint(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                         struct err *e)
{
    struct recorder *r = ctx;
    int bad = record_commit(r->rec, e);
    bad = bad < 0 ? bad : record_publish(r->rec, e);
    return bad < 0 ? bad : on_head(ctx, peer, m, answer, e);
}

static int on_event(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                    struct err *e)
{
    (void)peer;
    struct recorder *r = ctx;
    uint64_t index = 0;
    CLEANUP(event_clear) struct event ev = {0};
    int bad = js_u64(m->body, "index", &index, e);
    bad = bad < 0 ? bad : record_get(r->rec, index, &ev, e);
    if (bad == 0) {
        *answer = js_new();
        js_set(*answer, "events", events_to_json(&ev, 1));
    }
    return bad;
}

static int on_open_part(void *ctx, struct ipc_peer *peer, struct ipc_msg *m, json_t **answer,
                        struct err *e)
{
    (void)peer;
    struct recorder *r = ctx;
    uint64_t index = 0;
    const char *part = NULL;
    int bad = js_u64(m->body, "index", &index, e);
    bad = bad < 0 ? bad : js_str(m->body, "part", &part, e);
    return bad < 0 ? bad : record_open_part(r->rec, index, part, answer, e);
}

static const struct ipc_op gate_ops[] = {{"append", on_append},
                                         {"head", on_head},
                                         {"checkpoint", on_checkpoint},
                                         {"event", on_event},
                                         {"open_part", on_open_part}};

/* ---- the loop ---- */

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
    return r->n_ends > 0 && r->n_ends == r->n_owed && r->n_owed < BATCH / 2 &&
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
    for (size_t i = 0; i < BATCH / 2 && readable(*sock) && r->n_owed < BATCH; i++) {
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
        take_from(r, &r->web, web_ops, ARRAY_LEN(web_ops));
        /* while the gate waits for web to stop, nothing more is taken from it */
        if (r->n_held == 0) {
            take_from(r, &r->gate, gate_ops, ARRAY_LEN(gate_ops));
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
