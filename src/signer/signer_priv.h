/* signer_priv.h - the two kinds of signer, each a state and a table of requests. */
#pragma once
#include "signer/signer.h"

#define SIGNER_STATE_REPOSITORY "state/repository.json"
#define SIGNER_STATE_LOG "state/log.json"
#define SIGNER_STATE_MAX ((size_t)16 << 20)
#define SIGNER_PREDICATE "urn:cordon:scan-verdict:v1"
#define SIGNER_STATEMENT "https://in-toto.io/Statement/v1"
#define SIGNER_DSSE "application/vnd.in-toto+json"

struct signer {
    struct signer_boot *boot;
    int keys; /* folder */
    /* log */
    struct key *log, *verdict;
    struct tlog_head last;
    /* repository */
    struct tuf_repo *repo;
    struct key **role_key; /* every key that could be loaded */
    struct sig_by *by;     /* the same, grouped by role */
    size_t n_keys;
    struct key *sums;
    struct sig_public verdict_key;
};

MUST_CHECK int signer_open_log(struct signer *s, struct err *e);
MUST_CHECK int signer_open_repository(struct signer *s, struct err *e);
MUST_CHECK int signer_load_roles(struct signer *s, struct err *e); /* again after a rotation */
void signer_drop_roles(struct signer *s);

extern const struct ipc_op signer_ops_gate_log[], signer_ops_recorder[], signer_ops_repository[];
extern const size_t signer_ops_gate_log_n, signer_ops_recorder_n, signer_ops_repository_n;

/* Statements: what an envelope must say before a target is signed (verdict.c). */
MUST_CHECK int signer_statement(const json_t *request, struct buf *out, struct err *e);
struct signer_cleared {
    struct digest sha256, envelope;
};
/* Appends a row for each subject that `envelope` clears. */
MUST_CHECK int signer_cleared(struct span envelope, const struct sig_public *key,
                              struct signer_cleared **rows, size_t *n, struct err *e);
