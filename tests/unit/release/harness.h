/* harness.h - a whole site for tests of the release: real store, record, database, signer
 * processes and caged workers. Only the sockets of the recorder are left out; the ports call it in
 * this process, and can be made to stop at any step, before or after its effect. */
#pragma once
#include "release/release.h"

#include <pthread.h>
#include <sodium.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../scan/pooled.h"
#include "base/ipc.h"
#include "base/text.h"
#include "signer/signer.h"

#define EICAR "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
#define ORIGIN "test.example"

/* ---- signers ---- */

struct running {
    struct proc p;
    int boot;
    struct ipc_client *gate, *recorder;
};

/* "PROGRAM signer KIND HEX HEX LIFE": descriptors 3 boot, 4 site, 5 and 6 peers. */
static inline int signer_process(int argc, char **argv)
{
    struct signer_boot b = {.name = ORIGIN, .boot = 3, .site = 4, .peers = {5, -1}};
    if (argc < 5 || text_unhex(span_str(argv[3]), b.sub.b, sizeof b.sub.b, NULL) < 0 ||
        text_unhex(span_str(argv[4]), b.root.b, sizeof b.root.b, NULL) < 0) {
        return 2;
    }
    b.repository = strcmp(argv[2], "repository") == 0;
    b.with_root = b.repository;
    b.peers[1] = b.repository ? -1 : 6;
    if (argc > 5 && clock_duration(span_str(argv[5]), &b.life[TUF_TIMESTAMP], NULL) < 0) {
        return 2;
    }
    return signer_main(&b);
}

static const char *timestamp_life = "1d"; /* of signers that are started from now on */

static inline struct running start_signer(int site, const struct key_kek *kek, bool repository)
{
    struct err e;
    struct running r = {.p = PROC_NONE};
    struct key_sub sub, root;
    int boot[2], gate[2], recorder[2];
    CLEANUP(buf_clear) struct buf hex = BUF(100);
    CLEANUP(buf_clear) struct buf hex_root = BUF(100);
    key_subkey(kek, repository ? KEY_REPOSITORY : KEY_LOG, &sub);
    key_subkey(kek, KEY_ROOT, &root);
    text_hex(&hex, span_of(sub.b, sizeof sub.b));
    text_hex(&hex_root, span_of(root.b, sizeof root.b));
    CHECK_OK(proc_pair(boot, &e), e);
    CHECK_OK(proc_pair(gate, &e), e);
    CHECK_OK(proc_pair(recorder, &e), e);
    const char *argv[] = {"signer",       repository ? "repository" : "log",
                          buf_text(&hex), buf_text(&hex_root),
                          timestamp_life, NULL};
    const int fds[] = {boot[1], site, gate[1], recorder[1]};
    struct proc_spec spec = {.argv = argv, .fds = fds, .n_fds = ARRAY_LEN(fds)};
    CHECK_OK(proc_spawn(&spec, &r.p, &e), e);
    close(boot[1]);
    close(gate[1]);
    close(recorder[1]);
    r.boot = boot[0];
    r.gate = ipc_client_new(gate[0], NULL, NULL);
    r.recorder = ipc_client_new(recorder[0], NULL, NULL);
    CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
    CHECK_OK(ipc_recv_within(r.boot, 60 * CLOCK_SECOND, &m, &e), e);
    CHECK_OK(ipc_result(m.body, &e), e);
    return r;
}

static inline void stop_signer(struct running *r)
{
    ipc_client_free(r->gate);
    ipc_client_free(r->recorder);
    fd_close(&r->boot);
    proc_kill(&r->p);
}

/* ---- the site ---- */

enum stop_how { STOP_NEVER = 0, STOP_BEFORE, STOP_AFTER };

struct rig {
    struct check_dir d;
    struct key_kek *kek;
    struct running repository, log;
    struct settings *settings;
    struct keyring *ring;
    struct db *db; /* the recorder's */
    struct record *rec;
    struct blobstore *blobs;
    struct release *rel;
    int metadata;
    /* the ports */
    enum stop_how how;
    int stop_at; /* calls until then; from it on everything fails: the process is gone */
    int calls, appends, verdicts, shows, shows_all;
    bool gone;
    pthread_mutex_t lock;
    const char *more; /* members of the requests that admit() makes */
};

static struct scan_pool *rig_pool;
static struct check_dir rig_rules;

static inline bool port_stops(struct rig *g, bool after, struct err *e)
{
    if (!after) {
        g->calls++;
    }
    if (g->how == (after ? STOP_AFTER : STOP_BEFORE) && g->calls == g->stop_at) {
        g->gone = true;
    }
    if (g->gone) {
        err_set(e, ERR_UNAVAIL, "the test stops here");
    }
    return g->gone;
}

static inline int port_append(void *ctx, struct event *ev, size_t n, struct err *e)
{
    struct rig *g = ctx;
    pthread_mutex_lock(&g->lock);
    int r = port_stops(g, false, e) ? ERR_UNAVAIL : record_append(g->rec, ev, n, e);
    r = r < 0 ? r : record_commit(g->rec, e);
    g->appends++;
    r = r < 0 ? r : port_stops(g, true, e) ? ERR_UNAVAIL : 0;
    pthread_mutex_unlock(&g->lock);
    return r;
}

static inline int port_docs(void *ctx, const json_t *q, struct tuf_docs *out, struct err *e)
{
    struct rig *g = ctx;
    int r = port_stops(g, false, e) ? ERR_UNAVAIL : signer_docs(g->repository.gate, q, out, e);
    if (r == 0 && port_stops(g, true, e)) {
        tuf_docs_clear(out);
        r = ERR_UNAVAIL;
    }
    return r;
}

static inline int port_ask(void *ctx, const json_t *q, json_t **answer, struct err *e)
{
    struct rig *g = ctx;
    return g->gone ? err_set(e, ERR_UNAVAIL, "gone")
                   : ipc_call(g->repository.gate, q, NULL, answer, e);
}

static inline int port_verdict(void *ctx, const json_t *q, struct buf *envelope,
                               struct digest *sha256, struct err *e)
{
    struct rig *g = ctx;
    g->verdicts++;
    return port_stops(g, false, e) ? ERR_UNAVAIL
                                   : signer_verdict(g->log.gate, q, envelope, sha256, e);
}

static __thread struct db *rig_reader;

static inline struct db *port_db(void *ctx, struct err *e)
{
    struct rig *g = ctx;
    char path[300];
    if (rig_reader == NULL) {
        snprintf(path, sizeof path, "%s/cordon.db", g->d.path);
        if (db_open(path, DB_READ, &rig_reader, e) < 0) {
            return NULL;
        }
    }
    return rig_reader;
}

static inline int port_show(void *ctx, const char *const *paths, size_t n, struct err *e)
{
    struct rig *g = ctx;
    CHECK((paths == NULL) == (n == 0));
    g->shows++;
    g->shows_all += n == 0;
    return port_stops(g, false, e) ? ERR_UNAVAIL : 0;
}

static inline int rig_last(void *ctx, struct tlog_head *out, struct err *e)
{
    return signer_last(((struct rig *)ctx)->log.recorder, out, e);
}

static inline int rig_sign(void *ctx, const struct tlog_head *from, const struct tlog_head *head,
                           const struct tlog_hashes *proof, struct buf *note, struct err *e)
{
    return signer_checkpoint(((struct rig *)ctx)->log.recorder, from, head, proof, note, e);
}

static inline void open_record(struct rig *g)
{
    static const struct record_kind *const kinds[] = {release_kinds, NULL};
    struct err e;
    char path[300];
    struct key_sub sub;
    struct record_opts o = {
        .kinds = kinds, .origin = ORIGIN, .last = rig_last, .sign = rig_sign, .ctx = g};
    CLEANUP(fd_close) int keys = -1;
    key_subkey(g->kek, KEY_RECORD, &sub);
    snprintf(path, sizeof path, "%s/cordon.db", g->d.path);
    CHECK_OK(file_open_dir(g->d.fd, "keys", &keys, &e), e);
    CHECK_OK(key_public(keys, "log", &o.log_key, &e), e);
    CHECK_OK(keyring_open(g->d.fd, "keyring", &sub, &g->ring, &e), e);
    CHECK_OK(db_open(path, DB_CREATE, &g->db, &e), e);
    CHECK_OK(db_migrate(g->db, "release", release_migrations, release_migrations_n, &e), e);
    o.ring = g->ring;
    o.db = g->db;
    CHECK_OK(record_open(g->d.fd, &o, &g->rec, &e), e);
}

static inline int open_release(struct rig *g, struct err *e)
{
    struct release_opts o = {
        .site = g->d.fd,
        .settings = g->settings,
        .blobs = g->blobs,
        .scan = rig_pool,
        .quarantine = {{7}},
        .ports = {g, port_append, port_docs, port_ask, port_verdict, port_db, port_show}};
    return release_open(&o, &g->rel, e);
}

/* All processes of a site start; what is on the disk is all they have. */
static inline void rig_open(struct rig *g)
{
    struct err e;
    g->how = STOP_NEVER;
    g->gone = false;
    g->calls = 0;
    g->log = start_signer(g->d.fd, g->kek, false);
    g->repository = start_signer(g->d.fd, g->kek, true);
    open_record(g);
    CHECK_OK(blobstore_open(g->d.fd, &g->blobs, &e), e);
    CHECK_OK(open_release(g, &e), e);
}

static inline void rig_close(struct rig *g)
{
    release_close(&g->rel);
    db_close(&rig_reader);
    blobstore_close(&g->blobs);
    record_close(&g->rec);
    db_close(&g->db);
    keyring_close(&g->ring);
    stop_signer(&g->repository);
    stop_signer(&g->log);
}

static inline void rig_new(struct rig *g)
{
    struct err e;
    struct key_sub sub;
    int64_t life[TUF_ROLES] = {0};
    CHECK_OK(clock_duration(span_str(timestamp_life), &life[TUF_TIMESTAMP], &e), e);
    CLEANUP(key_pass_clear) struct key_pass words = {0};
    CLEANUP(fd_close) int keys = -1;
    *g = (struct rig){.d = check_dir(), .lock = PTHREAD_MUTEX_INITIALIZER};
    CHECK(sodium_init() >= 0);
    g->settings = settings_new();
    CHECK_OK(settings_set(g->settings, SETTING_RESERVE, "1M", &e), e);
    CHECK_OK(file_mkdirs(g->d.fd, "keys", 0700, &e), e);
    CHECK_OK(file_open_dir(g->d.fd, "keys", &keys, &e), e);
    CHECK_OK(key_pass_set(&words, span_str("for a test only"), &e), e);
    CHECK_OK(key_site_create(keys, &words, KEY_COST_MIN, &e), e);
    CHECK_OK(key_site_open(keys, &words, &g->kek, &e), e);
    CHECK_OK(signer_init(g->d.fd, g->kek, ORIGIN, life, &e), e);
    key_subkey(g->kek, KEY_RECORD, &sub);
    CHECK_OK(keyring_create(g->d.fd, "keyring", &sub, &e), e);
    CHECK_OK(record_create(g->d.fd, &e), e);
    CHECK_OK(file_open_dir(g->d.fd, "metadata", &g->metadata, &e), e);
    rig_open(g);
}

static inline void rig_end(struct rig *g)
{
    rig_close(g);
    fd_close(&g->metadata);
    settings_free(&g->settings);
    key_kek_close(&g->kek);
    check_dir_clear(&g->d);
}

/* ---- the pool, one for all tests of a program ---- */

static inline int pool_start(void **state)
{
    (void)state;
    struct err e = {0};
    struct scan_config c = test_config();
    rig_rules = check_dir();
    const char *const rules[] = {rig_rules.path};
    c.rules = rules;
    c.n_rules = 1;
    int r = scan_pool_new(&c, &rig_pool, &e);
    if (r < 0) {
        print_error("%s\n", e.text);
    }
    return r;
}

static inline int pool_stop(void **state)
{
    (void)state;
    scan_pool_free(&rig_pool);
    check_dir_clear(&rig_rules);
    return 0;
}

/* A rule that knows one word, in force from now on; word NULL: gone again. */
static inline void new_rule(const char *name, const char *word)
{
    struct err e;
    CLEANUP(mem_free) char *file = mem_printf("%s.yar", name);
    if (word == NULL) {
        CHECK(unlinkat(rig_rules.fd, file, 0) == 0);
    } else {
        CLEANUP(mem_free)
        char *text = mem_printf("rule %s { strings: $a = \"%s\" condition: $a }\n", name, word);
        CHECK_OK(file_write(rig_rules.fd, file, span_str(text), 0600, &e), e);
    }
    CHECK_OK(scan_pool_reload(rig_pool, &e), e);
}

static inline int dispatch(int argc, char **argv)
{
    proc_init();
    if (argc > 1 && strcmp(argv[1], "worker") == 0) {
        return scan_worker_main(argc, argv);
    }
    return argc > 1 && strcmp(argv[1], "signer") == 0 ? signer_process(argc, argv) : -1;
}

/* ---- what tests do ---- */

struct given {
    const char *rel, *text;
};

static inline json_t *version_request(const char *version, const char *more)
{
    json_t *q = NULL;
    struct err e;
    CLEANUP(mem_free)
    char *text = mem_printf("{\"product\":\"tool\",\"version\":\"%s\",\"who\":\"ann\"%s}", version,
                            more == NULL ? "" : more);
    CHECK_OK(js_parse(span_str(text), 1000, "a request", &q, &e), e);
    return q;
}

static inline int put_files(struct release_batch *b, const struct given *f, size_t n, struct err *e)
{
    CLEANUP(js_free) json_t *list = js_list();
    CLEANUP(js_free) json_t *results = NULL;
    int fds[RELEASE_FILES];
    for (size_t i = 0; i < n; i++) {
        json_t *j = js_new();
        js_set_str(j, "path", f[i].rel);
        js_add(list, j);
        fds[i] = open(rig_rules.path, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
        CHECK(fds[i] >= 0);
        CHECK_OK(fd_write(fds[i], span_str(f[i].text), e), *e);
    }
    int r = release_files(b, list, fds, n, &results, e);
    for (size_t i = 0; i < n; i++) {
        close(fds[i]);
    }
    return r;
}

static inline int admit(struct rig *g, const char *version, const struct given *f, size_t n,
                        json_t **results, struct err *e)
{
    CLEANUP(js_free) json_t *q = version_request(version, g->more);
    struct release_batch *b = NULL;
    *results = NULL;
    int r = release_begin(g->rel, q, &b, e);
    for (size_t i = 0; i < n && r == 0; i += RELEASE_FILES) {
        r = put_files(b, &f[i], n - i < RELEASE_FILES ? n - i : RELEASE_FILES, e);
    }
    if (r == 0) {
        r = release_end(&b, results, e);
    }
    release_drop(&b);
    return r;
}

/* One file; the object that is told of it. `more`: such as ",\"hold\":\"1h\"", or NULL. */
static inline json_t *admit_one(struct rig *g, const char *version, const char *more,
                                const char *rel, const char *text)
{
    struct err e;
    struct given f = {rel, text};
    CLEANUP(js_free) json_t *results = NULL;
    g->more = more;
    CHECK_OK(admit(g, version, &f, 1, &results, &e), e);
    g->more = NULL;
    CHECK(json_array_size(results) == 1);
    return json_incref(json_array_get(results, 0));
}

static inline bool is_published(const json_t *result)
{
    return js_bool_or(result, "published", false);
}

static inline const char *text_of(const json_t *j, const char *name)
{
    return js_str_or(j, name, "");
}

static inline bool publishes(struct rig *g, const char *version, const char *rel, const char *text)
{
    CLEANUP(js_free) json_t *j = admit_one(g, version, NULL, rel, text);
    return is_published(j);
}

static inline struct digest digest_str(const char *text)
{
    return digest_of(span_str(text));
}

static inline struct tuf_repo *metadata(const struct rig *g)
{
    struct err e;
    CLEANUP(js_free) json_t *state = NULL;
    struct tuf_repo *repo = NULL;
    CHECK_OK(tuf_state_adopt(g->metadata, &state, &e), e);
    CHECK_OK(tuf_open(g->metadata, state, &repo, &e), e);
    return repo;
}

/* Does the signed metadata on the disk name this path with the bytes of this text? */
static inline bool signed_as(const struct rig *g, const char *path, const char *text)
{
    struct err e;
    const json_t *entry = NULL;
    struct digest want = digest_str(text), have;
    CLEANUP(tuf_close) struct tuf_repo *repo = metadata(g);
    int r = tuf_find(repo, path, &entry, &e);
    CHECK(r == 0 || r == ERR_NOTFOUND);
    return r == 0 && js_sha256(json_object_get(entry, "hashes"), "sha256", &have, &e) == 0 &&
           digest_eq(&have, &want);
}

static inline bool signed_recall(const struct rig *g, const char *text)
{
    CLEANUP(tuf_close) struct tuf_repo *repo = metadata(g);
    struct digest d = digest_str(text);
    return tuf_is_recalled(repo, &d);
}

static inline int rig_recall(struct rig *g, const char *what, const char *reason,
                             const char *replace, json_t **out, struct err *e)
{
    struct release_order o = {what, reason, replace, "ann"};
    return release_recall(g->rel, &o, out, e);
}

static inline enum release_state state_of(struct rig *g, const char *path)
{
    struct err e;
    struct release_target t;
    int r = release_target(port_db(g, &e), path, &t, &e);
    CHECK(r == 0 || r == ERR_NOTFOUND);
    return r == 0 ? t.state : RELEASE_NONE;
}

/* Events of a kind that the database has folded; `sql` counts them. */
static inline int64_t count_rows(struct rig *g, const char *sql)
{
    struct err e;
    int64_t n = -1;
    CHECK_OK(db_int(port_db(g, &e), sql, DB_NO_ARGS, &n, &e), e);
    return n;
}

static inline bool in_quarantine(const struct rig *g, const char *text)
{
    char hex[DIGEST_TEXT + 1];
    struct digest d = digest_str(text);
    CLEANUP(mem_free) char *name = mem_printf("quarantine/%s.sealed", digest_text(&d, hex));
    return file_exists(g->d.fd, name);
}
