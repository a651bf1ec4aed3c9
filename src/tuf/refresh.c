#include "tuf/tuf_priv.h"

#include "base/clock.h"

/* ---- half life ---- */

static int64_t half(const struct tuf_repo *r, const char *name)
{
    return tuf_is_behind(r, name) ? 0 : js_int_or(tuf_record(r, name), "h", 0) * CLOCK_SECOND;
}

static const enum tuf_role online[] = {TUF_RECALLS, TUF_RELEASES, TUF_SNAPSHOT, TUF_TIMESTAMP};

int tuf_refresh(struct tuf_repo *repo, const struct tuf_sign *sign, struct tuf_docs *docs,
                struct err *e)
{
    CLEANUP(tuf_change_clear) struct change c = {.next = {.dir = -1}};
    int rc = tuf_change_begin(&c, repo, sign, e);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < ARRAY_LEN(online); i++) {
        enum tuf_role role = online[i];
        c.dirty[role] = c.dirty[role] || half(repo, tuf_role_name(role)) <= sign->now;
    }
    c.dirty[TUF_TIMESTAMP] = true;
    for (uint32_t i = 0; i < 1u << repo->bits && rc == 0; i++) {
        char name[TUF_BIN_NAME];
        json_t *targets;
        if (half(repo, tuf_bin_name(i, repo->bits, name)) <= sign->now) {
            rc = tuf_change_bin(&c, i, &targets, e);
        }
    }
    return rc < 0 ? rc : tuf_change_commit(&c, repo, docs, e);
}

int64_t tuf_due(const struct tuf_repo *repo)
{
    int64_t due = repo->root_lost ? 0 : INT64_MAX;
    const char *name;
    json_t *rec;
    for (size_t i = 0; i < ARRAY_LEN(online); i++) {
        int64_t h = half(repo, tuf_role_name(online[i]));
        due = h < due ? h : due;
    }
    for (uint32_t i = 0; i < 1u << repo->bits; i++) {
        char bin[TUF_BIN_NAME];
        int64_t h = half(repo, tuf_bin_name(i, repo->bits, bin));
        due = h < due ? h : due;
    }
    json_object_foreach(json_object_get(repo->state, "roles"), name, rec)
    { /* bins of another division, listed for ever */
        (void)rec;
        due = strcmp(name, "targets") != 0 && tuf_is_behind(repo, name) ? 0 : due;
    }
    return due;
}

int64_t tuf_expires(const struct tuf_repo *repo, enum tuf_role role)
{
    if (role != TUF_BINS) {
        return tuf_doc_expires(repo->doc[role]);
    }
    int64_t first = INT64_MAX;
    for (uint32_t i = 0; i < 1u << repo->bits; i++) {
        char name[TUF_BIN_NAME];
        const json_t *rec = tuf_record(repo, tuf_bin_name(i, repo->bits, name));
        int64_t x = js_int_or(rec, "x", 0) * CLOCK_SECOND;
        first = x < first ? x : first;
    }
    return first;
}

/* ---- questions ---- */

json_t *tuf_state(const struct tuf_repo *repo)
{
    return json_deep_copy(repo->state);
}

size_t tuf_count(const struct tuf_repo *repo)
{
    size_t n = 0;
    for (size_t i = 0; i < (size_t)1 << repo->bits; i++) {
        n += repo->bin[i].n;
    }
    return n;
}

unsigned tuf_bits(const struct tuf_repo *repo)
{
    return repo->bits;
}

int64_t tuf_version(const struct tuf_repo *repo, const char *name)
{
    return tuf_listed(repo, name);
}

bool tuf_behind(const struct tuf_repo *repo, enum tuf_role role)
{
    return role == TUF_ROOT ? repo->root_lost : tuf_is_behind(repo, tuf_role_name(role));
}

const struct tuf_keyset *tuf_keys(const struct tuf_repo *repo, enum tuf_role role)
{
    return &repo->keys[role];
}

int tuf_find(struct tuf_repo *repo, const char *path, const json_t **entry, struct err *e)
{
    int rc = tuf_sync(repo, e);
    uint32_t i = tuf_bin_of(path, repo->bits);
    rc = rc < 0 ? rc : tuf_load_bin(repo, i, e);
    if (rc < 0) {
        return rc;
    }
    const json_t *hit = json_object_get(repo->bin[i].targets, path);
    if (hit == NULL) {
        return err_set(e, ERR_NOTFOUND, "no target \"%.200s\"", path);
    }
    *entry = hit;
    return 0;
}
