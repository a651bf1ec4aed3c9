/* record_site.h - a record with its keyring, database and a signer, for the tests of what folds
 * into it. */
#pragma once
#include "record/record.h"

#include <sodium.h>

#include "base/file.h"
#include "check.h"

struct record_group {
    const char *name;
    const struct db_migration *list;
    size_t n;
};

struct record_site {
    struct check_dir d;
    struct key_sub sub;
    struct sig_public pk;
    uint8_t sk[64];
    struct keyring *ring;
    struct db *db;
    struct record *rec;
    struct tlog_head last;
    const struct record_kind *const *kinds;
    const struct record_group *groups; /* ends with name NULL */
};

static inline int site_sign_bytes(void *ctx, struct span m, uint8_t out[SIG_LEN], struct err *e)
{
    (void)e;
    crypto_sign_detached(out, NULL, m.p, m.len, ((struct record_site *)ctx)->sk);
    return 0;
}

static inline int site_last(void *ctx, struct tlog_head *out, struct err *e)
{
    (void)e;
    *out = ((struct record_site *)ctx)->last;
    return 0;
}

static inline int site_sign(void *ctx, const struct tlog_head *from, const struct tlog_head *head,
                            const struct tlog_hashes *proof, struct buf *note, struct err *e)
{
    struct record_site *s = ctx;
    struct sig_by by = {site_sign_bytes, s, s->pk};
    struct tlog_checkpoint c = {.origin = "test.example/log", .head = *head};
    int r = tlog_check_consistency(from, head, proof, e);
    s->last = *head;
    return r < 0 ? r : tlog_checkpoint_sign(&c, &by, note, e);
}

static inline void site_migrate(const struct record_site *s, struct db *db)
{
    struct err e;
    for (const struct record_group *g = s->groups; g->name != NULL; g++) {
        CHECK_OK(db_migrate(db, g->name, g->list, g->n, &e), e);
    }
}

static inline struct db *site_db(const struct record_site *s, const char *name, unsigned flags)
{
    struct err e;
    struct db *db = NULL;
    char path[300];
    snprintf(path, sizeof path, "%s/%s", s->d.path, name);
    CHECK_OK(db_open(path, flags, &db, &e), e);
    return db;
}

static inline void site_open(struct record_site *s)
{
    struct err e;
    CHECK_OK(keyring_open(s->d.fd, "keyring", &s->sub, &s->ring, &e), e);
    s->db = site_db(s, "cordon.db", DB_CREATE);
    site_migrate(s, s->db);
    struct record_opts o = {.kinds = s->kinds,
                            .ring = s->ring,
                            .db = s->db,
                            .origin = "test.example/log",
                            .log_key = s->pk,
                            .last = site_last,
                            .sign = site_sign,
                            .ctx = s};
    CHECK_OK(record_open(s->d.fd, &o, &s->rec, &e), e);
}

static inline void site_new(struct record_site *s, const struct record_kind *const *kinds,
                            const struct record_group *groups)
{
    struct err e;
    *s = (struct record_site){
        .d = check_dir(), .last = tlog_head_empty(), .kinds = kinds, .groups = groups};
    CHECK(sodium_init() >= 0);
    crypto_sign_keypair(s->pk.b, s->sk);
    CHECK_OK(keyring_create(s->d.fd, "keyring", &s->sub, &e), e);
    CHECK_OK(record_create(s->d.fd, &e), e);
    site_open(s);
}

static inline void site_close(struct record_site *s)
{
    record_close(&s->rec);
    db_close(&s->db);
    keyring_close(&s->ring);
}

static inline void site_end(struct record_site *s)
{
    site_close(s);
    check_dir_clear(&s->d);
}

/* Appends and commits; the parts are dropped. */
static inline int site_add(struct record_site *s, struct event *ev, struct err *e)
{
    int r = record_append(s->rec, ev, 1, e);
    r = r < 0 ? r : record_commit(s->rec, e);
    event_clear(ev);
    return r;
}

/* An event of `kind` whose site or open part is this JSON text. */
static inline int site_event(struct record_site *s, const char *kind, const char *part,
                             const char *text, struct err *e)
{
    struct event ev = {.kind = kind};
    json_t *j = NULL;
    CHECK_OK(js_parse(span_str(text), LIMIT_JSON, "a test's event", &j, e), *e);
    if (strcmp(part, "open") == 0) {
        ev.open = j;
    } else {
        ev.site = j;
    }
    return site_add(s, &ev, e);
}

/* The same database, folded anew from the events; the old one is closed. */
static inline void site_rebuild(struct record_site *s, uint64_t *lost)
{
    struct err e;
    CHECK_OK(record_publish(s->rec, &e), e);
    struct db *fresh = site_db(s, "fresh.db", DB_CREATE);
    site_migrate(s, fresh);
    CHECK_OK(record_rebuild(s->rec, fresh, lost, &e), e);
    record_close(&s->rec);
    db_close(&s->db);
    s->db = fresh;
}
