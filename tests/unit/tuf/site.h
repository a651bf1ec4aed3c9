/* site.h - a repository with keys made from fixed seeds, for tests. */
#pragma once
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "tuf/tuf.h"
#include "check.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/wait.h>
#include <unistd.h>

#define SITE_T0 (INT64_C(1700000000) * CLOCK_SECOND)

struct site_key {
    uint8_t secret[64];
};

struct site {
    struct check_dir d;
    struct site_key key[TUF_ROLES * 3];
    struct sig_by by[TUF_ROLES * 3];
    struct tuf_keyset keys[TUF_ROLES];
    struct tuf_sign sign;
    json_t *state;
    struct tuf_repo *repo;
    size_t signatures;
};

static inline int site_sign_cb(void *ctx, struct span m, uint8_t out[SIG_LEN], struct err *e)
{
    const struct site_key *k = ctx;
    (void)e;
    crypto_sign_detached(out, NULL, m.p, m.len, k->secret);
    return 0;
}

/* A key that depends on `seed` alone. */
static inline struct sig_by site_key_of(struct site_key *k, int seed)
{
    uint8_t bytes[32];
    struct sig_by by = {.sign = site_sign_cb, .ctx = k};
    memset(bytes, seed, sizeof bytes);
    crypto_sign_seed_keypair(by.key.b, k->secret, bytes);
    return by;
}

/* Every role has one key; root three, of which two are needed. */
static inline void site_keys(struct site *s)
{
    for (int r = 0; r < TUF_ROLES; r++) {
        size_t n = r == TUF_ROOT ? 3 : 1;
        for (size_t i = 0; i < n; i++) {
            size_t at = (size_t)r * 3 + i;
            s->by[at] = site_key_of(&s->key[at], (int)at + 1);
            s->keys[r].key[i] = s->by[at].key;
        }
        s->keys[r].n = n;
        s->keys[r].threshold = n == 3 ? 2 : 1;
        s->sign.role[r].by = &s->by[(size_t)r * 3];
        s->sign.role[r].n = n;
    }
    s->sign.now = SITE_T0;
}

static inline void site_open(struct site *s)
{
    struct err e;
    tuf_close(&s->repo);
    CHECK_OK(tuf_open(s->d.fd, s->state, &s->repo, &e), e);
}

/* What the signer and the gate do with the answer of a call. */
static inline void site_store(struct site *s, struct tuf_docs *docs)
{
    struct err e;
    js_free(&s->state);
    s->state = tuf_state(s->repo);
    CHECK_OK(tuf_write(s->d.fd, docs, &e), e);
    tuf_docs_clear(docs);
}

static inline void site_new(struct site *s)
{
    struct err e;
    struct tuf_docs docs;
    *s = (struct site){.d = check_dir()};
    site_keys(s);
    CHECK_OK(tuf_create(s->keys, &s->sign, &docs, &s->state, &e), e);
    CHECK_OK(tuf_write(s->d.fd, &docs, &e), e);
    tuf_docs_clear(&docs);
    site_open(s);
}

static inline void site_clear(struct site *s)
{
    tuf_close(&s->repo);
    js_free(&s->state);
    check_dir_clear(&s->d);
}

static inline struct tuf_target site_target(const char *path)
{
    return (struct tuf_target){.path = path, .length = 7, .sha256 = digest_of(span_str(path))};
}

/* Publishes one target; the documents are the caller's. */
static inline void site_publish(struct site *s, const char *path, struct tuf_docs *docs)
{
    struct err e;
    struct tuf_target t = site_target(path);
    struct tuf_change c = {.add = &t, .n_add = 1};
    CHECK_OK(tuf_publish(s->repo, &s->sign, &c, docs, &e), e);
}

static inline void site_publish_now(struct site *s, const char *path)
{
    struct tuf_docs docs;
    site_publish(s, path, &docs);
    site_store(s, &docs);
}

static inline void site_publish_many(struct site *s, size_t n, struct tuf_docs *docs)
{
    struct err e;
    struct tuf_target *t = mem_array(struct tuf_target, n);
    CLEANUP(js_free) json_t *custom = js_new();
    json_t *mine = js_new();
    js_set_str(mine, "rel", "2026-11-04.1");
    js_set_str(mine, "verdict", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    js_set(custom, "cordon", mine);
    for (size_t i = 0; i < n; i++) {
        t[i] = site_target(mem_printf("hotfix/7.%zu/update-%zu.exe", i % 10, i));
        t[i].custom = custom;
    }
    struct tuf_change c = {.add = t, .n_add = n};
    CHECK_OK(tuf_publish(s->repo, &s->sign, &c, docs, &e), e);
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)t[i].path);
    }
    free(t);
}

static inline bool site_has(struct site *s, const char *path)
{
    const json_t *entry;
    struct err e;
    int rc = tuf_find(s->repo, path, &entry, &e);
    CHECK(rc == 0 || rc == ERR_NOTFOUND);
    return rc == 0;
}

/* Copies every file of one folder (and recall/) into another, emptying that first. */
static inline void site_copy(const char *from, const char *to)
{
    CLEANUP(mem_free) char *cmd = mem_printf("rm -rf '%s'; cp -a '%s' '%s'", to, from, to);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
        _exit(127);
    }
    check_true(pid > 0, "fork", __FILE__, __LINE__);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    check_true(status == 0, cmd, __FILE__, __LINE__);
}
