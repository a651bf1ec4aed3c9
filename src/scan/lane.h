/* lane.h - one batch of files through caged workers, and what is done when one goes wrong. */
#pragma once
#include "scan/scan_priv.h"

struct lane {
    const struct scan_config *config;
    struct rule_set *set; /* of `spare`, or of the batch */
    struct caged spare;   /* started ahead, has seen no file */
};

/* Starts the spare worker if there is none. */
MUST_CHECK int lane_prepare(struct lane *l, struct err *e);
/* All results are filled, or none is and nothing could be asked. Uses the spare and ends it. */
MUST_CHECK int lane_run(struct lane *l, const struct scan_job *jobs, size_t n, struct err *e);
