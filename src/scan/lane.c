#include "scan/lane.h"

#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"

int lane_prepare(struct lane *l, struct err *e)
{
    if (l->spare.sock >= 0) {
        return 0;
    }
    return caged_start(l->config, l->set, &l->spare, e);
}

/* A verdict without a worker: what the file is, as far as it is known. */
static void refuse(const struct lane *l, const struct scan_job *job, const char *rule,
                   const char *reason)
{
    struct scan_result *r = job->result;
    scan_result_clear(r);
    r->verdict = VERDICT_CLEAN; /* the finding makes it worse at once */
    scan_result_add_finding(r, "cage", rule, VERDICT_UNINSPECTABLE, reason);
    scan_result_refuse(r, VERDICT_UNINSPECTABLE, reason);
    r->rules = l->set->digest;
    if (job->expect != NULL) {
        r->hash.sha256 = *job->expect;
    }
}

/* True when the file need not be shown to a worker at all. */
static bool too_large(const struct lane *l, const struct scan_job *job)
{
    struct stat st;
    if (fstat(job->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        refuse(l, job, "no-file", "what was handed over is no regular file");
        return true;
    }
    if ((uint64_t)st.st_size > l->config->limits.max_file) {
        CLEANUP(mem_free)
        char *why = mem_printf("%lld bytes, more than scan.max_file of %llu", (long long)st.st_size,
                               (unsigned long long)l->config->limits.max_file);
        refuse(l, job, "limit-file", why);
        job->result->size = (uint64_t)st.st_size;
        return true;
    }
    return false;
}

static int scan_one(struct lane *l, const struct scan_job *job, struct err *e)
{
    if (too_large(l, job)) {
        return 0;
    }
    int r = caged_scan(&l->spare, l->config, job, job->result, e);
    if (r == 0) {
        job->result->rules = l->set->digest;
    }
    return r;
}

/* Every file in a worker of its own, so that none can spoil the answer about another. */
static int scan_alone(struct lane *l, const struct scan_job *jobs, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        struct err bad = {0};
        scan_result_clear(jobs[i].result);
        int r = lane_prepare(l, e);
        if (r < 0) {
            return r;
        }
        if (scan_one(l, &jobs[i], &bad) < 0) {
            log_warn("scan.anomaly", "file=%s alone=yes reason=%s", jobs[i].name, bad.text);
            refuse(l, &jobs[i], "worker-lost", bad.text);
        }
        caged_stop(&l->spare);
    }
    return 0;
}

static int scan_together(struct lane *l, const struct scan_job *jobs, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        struct err bad = {0};
        if (scan_one(l, &jobs[i], &bad) < 0) {
            log_warn("scan.anomaly", "file=%s batch=%zu reason=%s", jobs[i].name, n, bad.text);
            caged_stop(&l->spare);
            return scan_alone(l, jobs, n, e); /* all of the batch: none of its answers counts */
        }
    }
    return 0;
}

int lane_run(struct lane *l, const struct scan_job *jobs, size_t n, struct err *e)
{
    int r = lane_prepare(l, e);
    r = r < 0 ? r : scan_together(l, jobs, n, e);
    caged_stop(&l->spare);
    for (size_t i = 0; i < n; i++) {
        if (r < 0) {
            scan_result_clear(jobs[i].result);
        } else {
            scan_judge(l->config, &jobs[i], jobs[i].result);
        }
    }
    return r;
}
