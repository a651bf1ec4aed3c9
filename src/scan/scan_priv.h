/* scan_priv.h - the gate's side of scanning: settings kept, rule sets, caged workers, answers. */
#pragma once
#include "base/proc.h"
#include "scan/engine.h"

bool scan_listed(const char *const *list, size_t n, const char *name);
void scan_config_copy(struct scan_config *to, const struct scan_config *from);
void scan_config_clear(struct scan_config *c);

/* A rule set in force: compiled once, given to every worker as a sealed memory file. Counted,
 * because a reload must not take it from under a worker. */
struct rule_set {
    unsigned users; /* guarded by the pool's lock */
    int compiled;   /* descriptor */
    uint64_t size;
    struct digest digest; /* of rules, engines, versions and limits */
    json_t *files;        /* [{name kind sha256 rules[]}] */
    json_t *engines;      /* [{name version}] as the first worker proved them */
    json_t *denied;       /* calls that it tried and was refused */
    int landlock;
};
MUST_CHECK int rule_set_make(const struct scan_config *c, struct rule_set **out, struct err *e);
void rule_set_free(struct rule_set *s);

/* One caged worker process. After an error of any call it is of no more use. */
struct caged {
    struct proc proc;
    int sock;
    uint32_t seq;
    json_t *ready;
};
#define CAGED_NONE ((struct caged){.proc = PROC_NONE, .sock = -1})
/* Starts it and waits until it has proved itself. */
MUST_CHECK int caged_start(const struct scan_config *c, const struct rule_set *set,
                           struct caged *out, struct err *e);
/* Has the texts in `bundle` compiled into the descriptor `compiled`. */
MUST_CHECK int caged_compile(const struct scan_config *c, int bundle, int compiled, json_t **files,
                             struct err *e);
/* Any error is an anomaly: its text says what the worker did. */
MUST_CHECK int caged_scan(struct caged *w, const struct scan_config *c, const struct scan_job *job,
                          struct scan_result *out, struct err *e);
void caged_stop(struct caged *w);

/* The worker's answer, which may be a lie in any form. */
MUST_CHECK int scan_answer_parse(const json_t *answer, struct scan_result *out, struct err *e);

/* What the pool says itself about a file. `reason` is kept if none is there yet. */
void scan_result_refuse(struct scan_result *r, enum verdict v, const char *reason);
void scan_result_add_finding(struct scan_result *r, const char *engine, const char *rule,
                             enum verdict severity, const char *text);
void scan_result_add_engine(struct scan_result *r, const char *name, const char *version,
                            int64_t updated);
bool scan_result_answered(const struct scan_result *r, const char *engine);

/* Asks clamd, if it is set up, and then holds the answers against what is required. */
void scan_judge(const struct scan_config *c, const struct scan_job *job, struct scan_result *r);
