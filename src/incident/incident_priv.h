/* incident_priv.h - criteria as they were understood. */
#pragma once
#include "incident/incident.h"

struct criteria {
    bool files;           /* some criterion says which files; else all are meant */
    struct digest *blobs; /* sorted, each once */
    size_t n_blobs, cap;
    uint64_t *orgs;
    size_t n_orgs;
    const char **nodes; /* borrowed from the request */
    size_t n_nodes;
    int64_t from, to;    /* 0: open */
    json_t *not_covered; /* sentences */
};
MUST_CHECK int criteria_read(struct db *db, const json_t *q, struct criteria *out, struct err *e);
void criteria_clear(struct criteria *c);
