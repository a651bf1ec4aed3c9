/* engine.h - what an engine is to the caged worker, and what it may call while it looks.
 *
 * Two halves. compile() turns rule texts into bytes once for each set of rules, in a caged worker
 * of its own; load() takes those bytes in every worker; scan() then sees untrusted bytes. All three
 * run in the cage (no file can be opened), in one thread. Files named *_worker.c run in the cage.
 */
#pragma once
#include "base/buf.h"
#include "base/json.h"
#include "scan/scan.h"

/* One rule file as text. */
enum rule_kind { RULE_YARA, RULE_HASHES };
struct rule_file {
    enum rule_kind kind;
    const char *name; /* as people know it: "rules/yara/funlove.yar" */
    struct span text;
    uint64_t updated; /* seconds since 1970 it was last written; 0: part of the program */
};

/* Bytes under inspection: the file itself, or a member of it at any depth. */
struct scan_object {
    struct span bytes;
    const char *name;   /* its own name, as the outer container spells it; never NULL */
    const char *member; /* path within the file, "" for the file itself */
    unsigned depth;     /* 0: the file itself */
    struct digests hash;
};

/* The work on one file; scan_run.c keeps it. */
struct scan_run;

/* One engine. `scan` gives 0 when it answered (also when it found something), or an error: then
 * it did not answer and nothing is clean. What it finds goes through scan_run_find(). */
struct engine {
    const char *name;
    const char *(*version)(void);
    enum rule_kind kind; /* which files compile() is given; compile NULL: it has no rules */
    /* Appends bytes for load() to `out` and sets members of `about`: "rules" (a list of names), by
     * file name. ERR_FORMAT "FILE:LINE: reason". */
    int (*compile)(const struct rule_file *files, size_t n, struct buf *out, json_t *about,
                   struct err *e);
    /* `compiled` outlives the state. May be NULL. */
    int (*load)(struct span compiled, void **state, struct err *e);
    int (*scan)(void *state, struct scan_run *run, const struct scan_object *o, struct err *e);
    void (*free)(void *state); /* may be NULL */
};

/* All engines in the order they are asked; engines_worker.c. */
extern const struct engine *const scan_engines[];
extern const size_t scan_n_engines;
extern const struct engine engine_eicar, engine_hashes, engine_yara, engine_pe, engine_unpack;

/* Records a finding (at most SCAN_FINDINGS are kept; the verdict counts all). `offset` -1: the
 * whole object. Severity VERDICT_CLEAN: a note that refuses nothing. `engine` is the engine's
 * name, `rule` is cut to 200 bytes. */
#define SCAN_FINDINGS 1000
void scan_run_find(struct scan_run *run, const struct scan_object *o, const char *engine,
                   const char *rule, enum verdict severity, int64_t offset, const char *fmt, ...)
    PRINTF(7, 8);

/* The object cannot be inspected (encrypted, broken, over a limit): a finding of severity
 * VERDICT_UNINSPECTABLE. `rule` is a stable word such as "encrypted", "damaged", "limit-depth". */
void scan_run_refuse(struct scan_run *run, const struct scan_object *o, const char *engine,
                     const char *rule, const char *fmt, ...) PRINTF(5, 6);

/* Budgets of the whole tree of one file; the unpacking engine draws on them. */
const struct scan_limits *scan_run_limits(const struct scan_run *run);
int64_t scan_run_left(const struct scan_run *run);    /* microseconds until the deadline, >= 0 */
uint64_t scan_run_packed(const struct scan_run *run); /* bytes of the file itself */
/* Takes `n` unpacked bytes from the budgets of bytes and ratio, looks at the clock. False: one is
 * used up; the finding is recorded against `o`, and the caller stops unpacking. */
bool scan_run_draw(struct scan_run *run, const struct scan_object *o, uint64_t n);

/* Inspects a member of `outer` with all engines (unpacking included, one deeper); its hashes and
 * path are kept. `name` is raw bytes of the container, made printable here. `bytes` is borrowed
 * for the call. False: the budget of members or depth is used up (recorded) or an engine failed:
 * stop. The bytes were drawn before by scan_run_draw(). */
bool scan_run_member(struct scan_run *run, const struct scan_object *outer, struct span name,
                     struct span bytes);

/* An engine outside the cage that is handed the descriptor and parses nothing here: clamd. It runs
 * in a lane's thread of the gate. ERR_UNAVAIL: it did not answer. */
struct outside_answer {
    enum verdict verdict; /* CLEAN, MALICIOUS, SUSPICIOUS or UNINSPECTABLE */
    char rule[256];
    char version[128];
    int64_t updated; /* of its database; -1: not known, which counts as too old */
};
MUST_CHECK int clamd_scan(const char *socket, int64_t within, int fd, struct outside_answer *out,
                          struct err *e);
/* Version and age alone. */
MUST_CHECK int clamd_version(const char *socket, int64_t within, struct outside_answer *out,
                             struct err *e);
