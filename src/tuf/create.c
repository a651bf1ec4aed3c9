#include "tuf/tuf_priv.h"

#include "base/clock.h"
#include "base/mem.h"

int tuf_check_keys(const struct tuf_keyset *set, enum tuf_role role, struct err *e)
{
    const char *name = tuf_role_name(role);
    if (set->n == 0 || set->n > TUF_KEYS || set->threshold == 0 || set->threshold > set->n) {
        return err_set(e, ERR_FORMAT, "%s has %zu keys and a threshold of %u", name, set->n,
                       set->threshold);
    }
    for (size_t i = 1; i < set->n; i++) {
        struct tuf_keyset before = {.n = i};
        memcpy(before.key, set->key, i * sizeof set->key[0]);
        if (tuf_keyset_has(&before, &set->key[i])) {
            return err_set(e, ERR_FORMAT, "%s lists one key twice", name);
        }
    }
    return 0;
}

static void blank(struct tuf_repo *r, const struct tuf_keyset keys[TUF_ROLES])
{
    *r = (struct tuf_repo){.dir = -1, .bits = TUF_BITS_MIN};
    memcpy(r->keys, keys, sizeof r->keys);
    r->state = js_new();
    js_set_int(r->state, "format", 1);
    js_set(r->state, "roles", js_new());
    r->bin = mem_array(struct bin, (size_t)1 << r->bits);
    for (uint32_t i = 0; i < 1u << r->bits; i++) {
        r->bin[i].targets = js_new();
    }
    r->index = tuf_recall_empty();
    r->recalled = js_new();
}

int tuf_create(const struct tuf_keyset keys[TUF_ROLES], const struct tuf_sign *sign,
               struct tuf_docs *docs, json_t **state, struct err *e)
{
    for (int i = 0; i < TUF_ROLES; i++) {
        int rc = tuf_check_keys(&keys[i], (enum tuf_role)i, e);
        if (rc < 0) {
            return rc;
        }
    }
    struct tuf_repo r;
    blank(&r, keys);
    CLEANUP(tuf_change_clear) struct change c = {.next = {.dir = -1}};
    int rc = tuf_change_begin(&c, &r, sign, e);
    for (int i = 0; i < TUF_ROLES; i++) {
        c.dirty[i] = true;
    }
    c.index_new = true;
    rc = rc < 0 ? rc : tuf_change_all_bins(&c, e);
    rc = rc < 0 ? rc : tuf_change_commit(&c, &r, docs, e);
    if (rc == 0) {
        *state = tuf_state(&r);
    }
    tuf_repo_clear(&r);
    return rc < 0 ? err_wrap(e, rc, "create the repository") : 0;
}

static void mark_rotated(struct change *c, enum tuf_role role, bool new_keys)
{
    c->dirty[role] = true;
    if (role == TUF_RECALLS || role == TUF_RELEASES) {
        c->dirty[TUF_TARGETS] = c->dirty[TUF_TARGETS] || new_keys;
    } else if (role == TUF_BINS) {
        c->dirty[TUF_RELEASES] = c->dirty[TUF_RELEASES] || new_keys;
    } else {
        c->dirty[TUF_ROOT] = c->dirty[TUF_ROOT] || new_keys;
    }
}

int tuf_rotate(struct tuf_repo *repo, const struct tuf_sign *sign, enum tuf_role role,
               const struct tuf_keyset *keys, struct tuf_docs *docs, struct err *e)
{
    int rc = keys == NULL ? 0 : tuf_check_keys(keys, role, e);
    if (rc < 0) {
        return rc;
    }
    CLEANUP(tuf_change_clear) struct change c = {.next = {.dir = -1}};
    rc = tuf_change_begin(&c, repo, sign, e);
    if (rc < 0) {
        return rc;
    }
    struct tuf_keyset old_root = c.next.keys[TUF_ROOT];
    c.old_root = &old_root;
    mark_rotated(&c, role, keys != NULL);
    if (role == TUF_BINS) {
        rc = tuf_change_all_bins(&c, e); /* read, and checked, with the old keys */
    }
    if (keys != NULL) {
        c.next.keys[role] = *keys;
    }
    rc = rc < 0 ? rc : tuf_change_commit(&c, repo, docs, e);
    return rc < 0 ? err_wrap(e, rc, "new keys of %s", tuf_role_name(role)) : 0;
}
