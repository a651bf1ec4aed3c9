/* scan.h - is this file safe to publish? Asked of caged workers (P1, P6).
 *
 * A pool keeps a few lanes, each a thread with one caged worker process. A worker gets at most
 * `batch` files of one call of scan_files() and is thrown away. After any anomaly (a crash, a
 * time-out, an answer that is not well-formed, a hash that differs) all its answers are void and
 * its files are scanned again, each alone in a fresh worker; one that does it again is
 * VERDICT_UNINSPECTABLE. Every call is safe from any thread. */
#pragma once
#include "base/digest.h"
#include "base/json.h"
#include "base/settings.h"

/* Zero is closed: forgotten, zeroed or failed means "not let out". Only VERDICT_CLEAN is a yes. */
enum verdict {
    VERDICT_NONE = 0, /* an engine that must answer did not */
    VERDICT_CLEAN,
    VERDICT_SUSPICIOUS,
    VERDICT_MALICIOUS,
    VERDICT_UNINSPECTABLE, /* encrypted, broken, over a limit, or it kills the scanner */
};

const char *verdict_text(enum verdict v);     /* "none", "clean", ... */
enum verdict verdict_parse(const char *text); /* VERDICT_NONE for anything else, and NULL */
enum verdict verdict_worst(enum verdict a, enum verdict b); /* malicious > suspicious >
                                                               uninspectable > none > clean */

struct scan_limits {
    uint64_t memory;   /* bytes of writable memory of a worker */
    int64_t time;      /* microseconds for one file with everything inside it */
    uint64_t max_file; /* bytes of one file */
    uint64_t unpacked; /* bytes that one file may unpack to, all depths together */
    uint64_t members;  /* members in it, all depths together */
    uint64_t depth;    /* archives within archives */
    uint64_t ratio;    /* unpacked to packed, counted after the first 64 MiB */
};

/* What a pool works with. Lists and texts are borrowed for the time of scan_pool_new(). */
struct scan_config {
    struct scan_limits limits;
    size_t workers;              /* lanes */
    size_t batch;                /* files that one worker may see, 1 to SCAN_BATCH */
    const char *const *required; /* engines without whose answer nothing is clean */
    size_t n_required;
    const char *const *engines; /* engines to ask; NULL: all there are */
    size_t n_engines;
    const char *const *rules; /* rule files (.yar, .yara; hashes: .txt, .hsb, .hdb) or folders;
                                 a file is known by what stands behind the first double slash */
    size_t n_rules;
    const char *const *names; /* NULL, or: findings of no other rules count (a retro-hunt) */
    size_t n_names;
    bool own_rules;           /* also the rules that are part of this program */
    bool late_rules;          /* rule files that do not load do not fail scan_pool_new(): every
                                 scan_files() is refused with the reason until a reload succeeds */
    bool without_landlock;    /* accept a kernel that has none; seccomp alone forbids files then */
    int64_t rules_max_age;    /* an engine whose feed is older counts as absent; -1: any age */
    const char *clamd_socket; /* "": clamd is not asked */
    int64_t clamd_max_age, clamd_time;
};
#define SCAN_BATCH 8

/* Everything from cordon.yaml; `rules` stays empty, own_rules is true. Borrows from `s`. */
void scan_config_from(struct scan_config *c, const struct settings *s);

struct scan_finding {
    char *engine, *rule, *text;
    char *member;          /* "" for the file itself, else as in struct scan_member */
    enum verdict severity; /* VERDICT_CLEAN: a note, which refuses nothing */
    int64_t offset;        /* within the member; -1: the whole */
};
struct scan_member {
    char *path; /* names from the outer to the inner archive, parted by "//" */
    uint64_t size;
    struct digests hash;
};
struct scan_engine {
    char *name, *version;
    int64_t updated; /* time of its feed or database; -1: it has none */
};

struct scan_result {
    enum verdict verdict;
    char *reason; /* a sentence when the verdict is none or uninspectable, else "" */
    uint64_t size;
    struct digests hash;
    struct digest rules;         /* the rule set that was asked */
    struct scan_engine *engines; /* that answered */
    size_t n_engines;
    struct scan_finding *findings;
    size_t n_findings;
    struct scan_member *members; /* everything inside, all depths */
    size_t n_members;
};
void scan_result_clear(struct scan_result *r);

/* {verdict, reason, size, sha256, sha1, md5, rules, engines[], findings[], members[]}: what an
 * attestation holds. New reference. */
json_t *scan_result_json(const struct scan_result *r);
/* The same without members, as the commands print findings: [{engine rule severity offset text}]
 * and `member` where there is one. New reference. */
json_t *scan_findings_json(const struct scan_result *r);

struct scan_job {
    int fd;           /* readable, of a file that nobody can write any more; stays the caller's */
    const char *name; /* its path as rules may see it: filepath, filename, extension */
    const struct digest *expect; /* what the caller hashed; NULL: not compared */
    struct scan_result *result;  /* zeroed; filled when scan_files() returns 0 */
};

struct scan_pool;

/* Reads and compiles the rules (in a caged worker), starts one worker and has it prove itself:
 * EICAR found, a clean buffer clean, forbidden calls denied. ERR_FORMAT names the rule file, its
 * line and the reason; ERR_UNAVAIL says what the cage lacks. */
MUST_CHECK int scan_pool_new(const struct scan_config *c, struct scan_pool **out, struct err *e);
void scan_pool_free(struct scan_pool **p); /* waits for calls under way */

/* Blocks until every job has a result. All jobs of one call are of one submitter. A file that is
 * bad in any way is a result, not an error; an error says that nothing could be asked. */
MUST_CHECK int scan_files(struct scan_pool *p, const struct scan_job *jobs, size_t n,
                          struct err *e);

/* Reads the rule files again. On failure the old rules stay in force. */
MUST_CHECK int scan_pool_reload(struct scan_pool *p, struct err *e);

/* 0, or why the last load of rule files failed; ERR_FORMAT is a file's fault, anything else may
 * pass by itself. */
MUST_CHECK int scan_pool_loaded(struct scan_pool *p, struct err *e);

/* The digest of what is asked: all rules, engines, their versions, and the limits. A verdict under
 * the same digest need not be asked for again. */
struct digest scan_pool_rules(struct scan_pool *p);

/* {rules, [fault], landlock, denied[], engines[{name version updated required}], files[{name kind
 * sha256 rules[]}], missing[{engine reason}]}: what init and doctor show. New reference. */
json_t *scan_pool_about(struct scan_pool *p);

/* The process "PROGRAM worker"; its socket is descriptor 3. Returns an exit status. */
int scan_worker_main(int argc, char **argv);
