/* pooled.h - a pool of real caged workers for tests, and one file through it. */
#pragma once
#include "scan/scan.h"
#include "check.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"

#include <fcntl.h>
#include <unistd.h>

static struct scan_config test_config(void)
{
    static const char *const required[] = {"eicar", "hashes", "yara", "pe", "unpack"};
    return (struct scan_config){.limits = {.memory = (uint64_t)512 << 20,
                                           .time = 20 * CLOCK_SECOND,
                                           .max_file = (uint64_t)1 << 30,
                                           .unpacked = (uint64_t)256 << 20,
                                           .members = 1000,
                                           .depth = 4,
                                           .ratio = 200},
                                .workers = 2,
                                .batch = SCAN_BATCH,
                                .required = required,
                                .n_required = ARRAY_LEN(required),
                                .own_rules = true,
                                .rules_max_age = -1,
                                .clamd_socket = "",
                                .clamd_max_age = -1,
                                .clamd_time = CLOCK_SECOND};
}

static inline int sealed(struct span s)
{
    int fd = -1;
    struct err e;
    CHECK_OK(fd_sealed("test", s, &fd, &e), e);
    return fd;
}

/* Scans texts as files "NAME0", "NAME1", ... in one call. */
static inline void scan_texts(struct scan_pool *p, const char *const *texts, size_t n,
                              struct scan_result *out)
{
    struct scan_job jobs[32] = {{0}};
    char names[32][40];
    struct err e = {0};
    CHECK(n <= ARRAY_LEN(jobs));
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "folder/file%zu.txt", i);
        out[i] = (struct scan_result){0};
        jobs[i] = (struct scan_job){
            .fd = sealed(span_str(texts[i])), .name = names[i], .result = &out[i]};
    }
    CHECK_OK(scan_files(p, jobs, n, &e), e);
    for (size_t i = 0; i < n; i++) {
        close(jobs[i].fd);
    }
}

static inline struct scan_result scan_text(struct scan_pool *p, const char *text)
{
    struct scan_result r;
    scan_texts(p, &text, 1, &r);
    return r;
}

static inline const struct scan_finding *finding(const struct scan_result *r, const char *rule)
{
    for (size_t i = 0; i < r->n_findings; i++) {
        if (strcmp(r->findings[i].rule, rule) == 0) {
            return &r->findings[i];
        }
    }
    return NULL;
}
