/* run.h - the work on one file in the cage: engines, budgets, findings, the answer.
 *
 * engine.h shows engines the part that they may use. One thread. */
#pragma once
#include "scan/engine.h"

struct loaded_engine {
    const struct engine *engine;
    void *state;
};

/* What stays the same for all files of a worker. */
struct run_setup {
    struct scan_limits limits;
    struct loaded_engine *engines;
    size_t n_engines;
    const json_t *names; /* NULL, or a list: findings of yara and hashes count for these only */
};

/* Inspects `bytes` and all that is inside, and gives the answer of the worker:
 * {verdict, size, sha256, sha1, md5, engines[name], failed[{engine reason}],
 *  findings[{engine rule severity offset text member}], members[{path size sha256 sha1 md5}]}. */
json_t *scan_run_file(const struct run_setup *setup, const char *name, struct span bytes);

/* Drops the members of an answer that is too large to send, and refuses the file for it. */
void scan_run_shorten(json_t *answer);
