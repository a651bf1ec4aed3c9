/* recorder_gate.c - what the gate may ask of the recorder: enter events, read them, sign the log.
 */
#include "serve/recorder.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "blob/blob.h"
#include "delivery/delivery.h"
#include "serve/events.h"
#include "serve/room.h"

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
        recorder_owe(r, &r->gate, m->seq, body);
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

const struct ipc_op recorder_ops_gate[] = {{"append", on_append},
                                           {"head", on_head},
                                           {"checkpoint", on_checkpoint},
                                           {"event", on_event},
                                           {"open_part", on_open_part}};
const size_t recorder_ops_gate_n = ARRAY_LEN(recorder_ops_gate);
