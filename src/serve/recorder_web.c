/* recorder_web.c - grants, ends and alarms: all that web may ask of the recorder. It is the process
 * that strangers talk to, so nothing but the request itself is believed. */
#include "serve/recorder.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "blob/blob.h"
#include "delivery/delivery.h"
#include "serve/events.h"
#include "serve/room.h"

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
    recorder_owe(r, &r->web, m->seq, body);
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
        recorder_owe(r, &r->web, m->seq, js_new());
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
    recorder_owe(r, &r->web, m->seq, js_new());
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

const struct ipc_op recorder_ops_web[] = {
    {"grant", on_grant}, {"end", on_end}, {"alarm", on_alarm}, {"stopped", on_stopped}};
const size_t recorder_ops_web_n = ARRAY_LEN(recorder_ops_web);
