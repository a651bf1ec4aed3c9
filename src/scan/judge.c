/* What is not the worker's to say: clamd's answer, ages, and whether all that must answer did. */
#include "scan/scan_priv.h"

#include "base/clock.h"
#include "base/mem.h"

/* True when an engine with a feed is fresh enough; else *why says how old it is. */
static bool fresh(const char *name, int64_t updated, int64_t max_age, char **why)
{
    int64_t age = clock_now() - updated;
    if (max_age < 0 || (updated >= 0 && age <= max_age)) {
        return true;
    }
    if (updated < 0) {
        *why = mem_printf("engine %s counts as absent: the age of its database is not known", name);
    } else {
        *why =
            mem_printf("engine %s counts as absent: its database is %lld hours old, at most %lld "
                       "are allowed; update it",
                       name, (long long)(age / CLOCK_HOUR), (long long)(max_age / CLOCK_HOUR));
    }
    return false;
}

static void ask_clamd(const struct scan_config *c, const struct scan_job *job,
                      struct scan_result *r)
{
    struct outside_answer a = {.updated = -1};
    struct err e = {0};
    if (clamd_scan(c->clamd_socket, c->clamd_time, job->fd, &a, &e) < 0) {
        CLEANUP(mem_free) char *why = mem_printf("engine clamd did not answer: %s", e.text);
        scan_result_refuse(r, VERDICT_NONE, why);
        return;
    }
    if (a.verdict != VERDICT_CLEAN) { /* what it found counts, however old it is */
        scan_result_add_finding(r, "clamd", a.rule[0] != '\0' ? a.rule : "unnamed",
                                a.verdict == VERDICT_NONE ? VERDICT_UNINSPECTABLE : a.verdict,
                                "ClamAV objects to this file");
    }
    CLEANUP(mem_free) char *why = NULL;
    if (fresh("clamd", a.updated, c->clamd_max_age, &why)) {
        scan_result_add_engine(r, "clamd", a.version, a.updated);
    } else {
        scan_result_refuse(r, VERDICT_NONE, why);
    }
}

void scan_judge(const struct scan_config *c, const struct scan_job *job, struct scan_result *r)
{
    if (c->clamd_socket[0] != '\0') {
        ask_clamd(c, job, r);
    }
    for (size_t i = 0; i < r->n_engines; i++) {
        CLEANUP(mem_free) char *why = NULL;
        const struct scan_engine *en = &r->engines[i];
        if (en->updated >= 0 && strcmp(en->name, "clamd") != 0 &&
            !fresh(en->name, en->updated, c->rules_max_age, &why)) {
            scan_result_refuse(r, VERDICT_NONE, why);
        }
    }
    for (size_t i = 0; i < c->n_required; i++) {
        if (!scan_result_answered(r, c->required[i])) {
            CLEANUP(mem_free)
            char *why = mem_printf("engine %s must answer and did not", c->required[i]);
            scan_result_refuse(r, VERDICT_NONE, why);
        }
    }
    if (r->n_engines == 0) {
        scan_result_refuse(r, VERDICT_NONE, "no engine answered");
    }
    if (r->reason == NULL || (r->verdict != VERDICT_NONE && r->verdict != VERDICT_UNINSPECTABLE)) {
        free(r->reason);
        r->reason = mem_str("");
    }
}
