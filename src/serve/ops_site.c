/* ops_site.c - the site itself: ping, log, keys, counters. */
#include "serve/gate.h"

#include <unistd.h>

#include "base/clock.h"

static int on_ping(struct gate_call *c, json_t **answer, struct err *e)
{
    (void)e;
    *answer = js_new();
    js_set_str(*answer, "version", CORDON_VERSION);
    js_set_str(*answer, "site", js_str_or(c->g->boot.args, "path", ""));
    js_set_str(*answer, "name", settings_text(c->g->settings, SETTING_REPOSITORY_NAME));
    js_set_bool(*answer, "server", c->g->web >= 0);
    js_set_int(*answer, "pid", getpid());
    return 0;
}

static int to_recorder(struct gate_call *c, const char *op, json_t **answer, struct err *e)
{
    CLEANUP(js_free) json_t *q = json_copy(c->m->body);
    js_set_str(q, "op", op);
    return ipc_call(c->g->recorder, q, NULL, answer, e);
}

static int on_checkpoint(struct gate_call *c, json_t **answer, struct err *e)
{
    return to_recorder(c, "checkpoint", answer, e);
}

static int on_head(struct gate_call *c, json_t **answer, struct err *e)
{
    return to_recorder(c, "head", answer, e);
}

static int on_event(struct gate_call *c, json_t **answer, struct err *e)
{
    json_t *list = NULL;
    int r = to_recorder(c, "event", &list, e);
    if (r == 0) {
        *answer = json_incref(json_array_get(json_object_get(list, "events"), 0));
        js_free(&list);
    }
    return r;
}

static int on_part(struct gate_call *c, json_t **answer, struct err *e)
{
    return to_recorder(c, "open_part", answer, e);
}

static int on_rotate(struct gate_call *c, json_t **answer, struct err *e)
{
    return release_rotate(c->g->release, c->m->body, answer, e);
}

static int on_state(struct gate_call *c, json_t **answer, struct err *e)
{
    CLEANUP(js_free) json_t *q = js_new();
    js_set_str(q, "op", "state");
    return ipc_call(c->g->repository, q, NULL, answer, e);
}

static int on_metrics(struct gate_call *c, json_t **answer, struct err *e)
{
    CLEANUP(js_free) json_t *head = NULL;
    CLEANUP(js_free) json_t *state = NULL;
    int r = gate_head(c->g, &head, e);
    r = r < 0 ? r : on_state(c, &state, e);
    if (r == 0) {
        gate_rules_fresh(c->g);
        *answer = js_new();
        js_set(*answer, "log", json_incref(head));
        js_set(*answer, "repository", json_incref(state));
        js_set_int(*answer, "started", c->g->started);
        js_set(*answer, "scan", scan_pool_about(c->g->scan));
    }
    return r;
}

const struct gate_op gate_ops_site[] = {{"ping", GATE_LOCAL, on_ping},
                                        {"log.checkpoint", GATE_LOCAL, on_checkpoint},
                                        {"log.head", GATE_LOCAL, on_head},
                                        {"log.event", GATE_RESPONDER, on_event},
                                        {"log.part", GATE_RESPONDER, on_part},
                                        {"key.rotate", GATE_LOCAL, on_rotate},
                                        {"repository.state", GATE_LOCAL, on_state},
                                        {"metrics", GATE_LOCAL, on_metrics},
                                        {0}};
