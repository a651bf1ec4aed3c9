/* A caged worker as the gate sees it: start, one question at a time, a watchdog, the end. */
#include "scan/scan_priv.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "scan/bundle.h"

#define START_TIME (60 * CLOCK_SECOND)    /* load compiled rules, prove itself */
#define COMPILE_TIME (300 * CLOCK_SECOND) /* thousands of rules take seconds */
#define GRACE (5 * CLOCK_SECOND)          /* beyond scan.time: the worker should end by itself */
#define SLACK (UINT64_C(512) << 20)       /* address space of the program and its libraries */

void caged_stop(struct caged *w)
{
    fd_close(&w->sock);
    proc_kill(&w->proc);
    js_free(&w->ready);
    *w = CAGED_NONE;
}

/* Puts in words what the worker did when it did not answer as it should. */
static int anomaly(struct caged *w, int r, int64_t within, struct err *e)
{
    int status = 0;
    bool answered = r == ERR_FORMAT || r == ERR_TRUST;
    if (proc_wait(&w->proc, answered ? 0 : CLOCK_SECOND / 5, &status) != 1) {
        if (r == ERR_UNAVAIL) {
            return err_set(e, r, "caged worker gave no answer within %lld s and was killed",
                           (long long)(within / CLOCK_SECOND));
        }
        return err_wrap(e, r, "caged worker, killed");
    }
    w->proc = PROC_NONE;
    if (WIFSIGNALED(status)) {
        const char *cpu = WTERMSIG(status) == SIGXCPU ? " (its processor time was used up)" : "";
        return err_set(e, ERR_UNAVAIL, "caged worker died of signal %d, %s%s", WTERMSIG(status),
                       strsignal(WTERMSIG(status)), cpu);
    }
    return err_wrap(e, r, "caged worker ended with status %d", WEXITSTATUS(status));
}

static json_t *start_message(const struct scan_config *c, const char *mode, uint64_t rules)
{
    const struct scan_limits *l = &c->limits;
    bool compile = strcmp(mode, "compile") == 0;
    uint64_t seconds = (uint64_t)((l->time + GRACE) / CLOCK_SECOND) * c->batch;
    json_t *m = js_new();
    js_set_str(m, "op", "start");
    js_set_str(m, "mode", mode);
    js_set_int(m, "memory", (int64_t)l->memory);
    js_set_int(m, "mapped", (int64_t)(l->max_file + rules + SLACK));
    js_set_int(m, "cpu", (int64_t)(compile ? COMPILE_TIME / CLOCK_SECOND : seconds + 60));
    js_set_int(m, "write", compile ? (int64_t)BUNDLE_MOST : 0);
    js_set_bool(m, "without_landlock", c->without_landlock);
    js_set_int(m, "time", l->time);
    js_set_int(m, "unpacked", (int64_t)l->unpacked);
    js_set_int(m, "members", (int64_t)l->members);
    js_set_int(m, "depth", (int64_t)l->depth);
    js_set_int(m, "ratio", (int64_t)l->ratio);
    js_set_bool(m, "strict", c->own_rules);
    const struct {
        const char *name;
        const char *const *list;
        size_t n;
    } lists[] = {{"engines", c->engines, c->n_engines}, {"names", c->names, c->n_names}};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        json_t *list = lists[i].list != NULL ? js_list() : NULL;
        for (size_t k = 0; list != NULL && k < lists[i].n; k++) {
            js_add_str(list, lists[i].list[k]);
        }
        if (list != NULL) {
            js_set(m, lists[i].name, list);
        }
    }
    return m;
}

static int spawn(struct caged *w, struct err *e)
{
    int pair[2];
    int r = proc_pair(pair, e);
    if (r < 0) {
        return r;
    }
    static const char *const argv[] = {"worker", NULL}, *const env[] = {"LANG=C.UTF-8", NULL};
    struct proc_spec spec = {
        .argv = argv, .fds = &pair[1], .n_fds = 1, .env = env, .null_stdio = 1};
    r = proc_spawn(&spec, &w->proc, e);
    fd_close(&pair[1]);
    w->sock = pair[0];
    return r < 0 ? err_wrap(e, r, "start a caged worker") : 0;
}

struct question {
    const json_t *body;
    const int *fds;
    size_t n_fds;
    int64_t within; /* microseconds for the answer */
};

/* Sends one frame and waits for its answer. *out is a new reference. */
static int ask(struct caged *w, const struct question *q, json_t **out, struct err *e)
{
    CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
    uint32_t seq = ++w->seq;
    int r = ipc_send(w->sock, seq, q->body, q->fds, q->n_fds, e);
    r = r < 0 ? r : ipc_recv_within(w->sock, q->within, &m, e);
    if (r < 0) {
        return anomaly(w, r, q->within, e);
    }
    if (m.seq != seq || m.n_fds != 0) {
        r = err_set(e, ERR_FORMAT, "caged worker: an answer to another question");
    }
    r = r < 0 ? r : ipc_result(m.body, e); /* its own words name file and line, or the wall */
    if (r < 0) {
        return r;
    }
    *out = m.body;
    m.body = NULL;
    return 0;
}

static int expect_op(const json_t *body, const char *op, struct err *e)
{
    if (strcmp(js_str_or(body, "op", ""), op) != 0) {
        return err_set(e, ERR_FORMAT, "caged worker: no \"%s\" in its first answer", op);
    }
    return 0;
}

int caged_start(const struct scan_config *c, const struct rule_set *set, struct caged *out,
                struct err *e)
{
    CLEANUP(caged_stop) struct caged w = CAGED_NONE;
    CLEANUP(js_free) json_t *start = start_message(c, "scan", set->size);
    struct question q = {.body = start, .fds = &set->compiled, .n_fds = 1, .within = START_TIME};
    int r = spawn(&w, e);
    r = r < 0 ? r : ask(&w, &q, &w.ready, e);
    r = r < 0 ? r : expect_op(w.ready, "ready", e);
    json_t *engines;
    r = r < 0 ? r : js_arr(w.ready, "engines", &engines, e);
    r = r < 0 ? r : js_arr(w.ready, "denied", &engines, e);
    if (r < 0) {
        return r;
    }
    *out = w;
    w = CAGED_NONE;
    return 0;
}

int caged_compile(const struct scan_config *c, int bundle, int compiled, json_t **files,
                  struct err *e)
{
    CLEANUP(caged_stop) struct caged w = CAGED_NONE;
    CLEANUP(js_free) json_t *start = start_message(c, "compile", BUNDLE_MOST);
    const int fds[2] = {bundle, compiled};
    struct question q = {.body = start, .fds = fds, .n_fds = 2, .within = COMPILE_TIME};
    int r = spawn(&w, e);
    r = r < 0 ? r : ask(&w, &q, &w.ready, e);
    r = r < 0 ? r : expect_op(w.ready, "compiled", e);
    json_t *list;
    r = r < 0 ? r : js_arr(w.ready, "files", &list, e);
    if (r == 0) {
        *files = json_incref(list);
    }
    return r;
}

/* Version of each engine that answered, from what the worker said before it saw the file. */
static int join_engines(const struct caged *w, struct scan_result *r, struct err *e)
{
    const json_t *known = json_object_get(w->ready, "engines");
    for (size_t i = 0; i < r->n_engines; i++) {
        size_t k;
        json_t *o, *found = NULL;
        json_array_foreach(known, k, o)
        {
            found = strcmp(js_str_or(o, "name", ""), r->engines[i].name) == 0 ? o : found;
        }
        if (found == NULL) {
            return err_set(e, ERR_FORMAT, "caged worker: an answer of engine %s, which it lacks",
                           r->engines[i].name);
        }
        free(r->engines[i].version);
        r->engines[i].version = mem_str(js_str_or(found, "version", ""));
        r->engines[i].updated = js_int_or(found, "updated", -1);
    }
    return 0;
}

int caged_scan(struct caged *w, const struct scan_config *c, const struct scan_job *job,
               struct scan_result *out, struct err *e)
{
    CLEANUP(js_free) json_t *body = js_new();
    CLEANUP(js_free) json_t *answer = NULL;
    CLEANUP(scan_result_clear) struct scan_result result = {0};
    js_set_str(body, "op", "scan");
    js_set_str(body, "name", job->name);
    struct question q = {
        .body = body, .fds = &job->fd, .n_fds = 1, .within = c->limits.time + GRACE};
    int r = ask(w, &q, &answer, e);
    r = r < 0 ? r : scan_answer_parse(answer, &result, e);
    r = r < 0 ? r : join_engines(w, &result, e);
    if (r < 0) {
        return r;
    }
    if (job->expect != NULL && !digest_eq(job->expect, &result.hash.sha256)) {
        return err_set(e, ERR_TRUST, "caged worker: it hashed other bytes than were handed over");
    }
    *out = result;
    result = (struct scan_result){0};
    return 0;
}
