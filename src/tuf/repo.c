#include "tuf/tuf_priv.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

#include <fcntl.h>
#include <unistd.h>

/* ---- what the state knows of a role: v version, x expires, h half life (seconds), n targets ----
 */

json_t *tuf_record(const struct tuf_repo *r, const char *role)
{
    return json_object_get(json_object_get(r->state, "roles"), role);
}

json_t *tuf_meta(const struct tuf_repo *r)
{
    return json_object_get(tuf_signed(r->doc[TUF_SNAPSHOT]), "meta");
}

int64_t tuf_listed(const struct tuf_repo *r, const char *role)
{
    static const enum tuf_role own[] = {TUF_ROOT, TUF_SNAPSHOT, TUF_TIMESTAMP};
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        if (strcmp(role, tuf_role_name(own[i])) == 0) {
            return tuf_doc_version(r->doc[own[i]]);
        }
    }
    CLEANUP(mem_free) char *file = mem_printf("%s.json", role);
    return js_int_or(json_object_get(tuf_meta(r), file), "version", 0);
}

bool tuf_is_behind(const struct tuf_repo *r, const char *role)
{
    return js_int_or(tuf_record(r, role), "v", 0) > tuf_listed(r, role);
}

/* A version seen in the folder counts as signed, whatever the state knew. */
static void remember(struct tuf_repo *r, const char *role, int64_t version)
{
    if (js_int_or(tuf_record(r, role), "v", 0) < version) {
        json_t *rec = js_new();
        js_set_int(rec, "v", version);
        js_set(json_object_get(r->state, "roles"), role, rec);
    }
}

/* ---- reading and verifying ---- */

int tuf_read_doc(int dir, const char *file, const char *type, json_t **doc, struct err *e)
{
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_TUF_ROLE);
    int r = file_read(dir, file, LIMIT_TUF_ROLE, &b, e);
    r = r < 0 ? r : tuf_parse(buf_view(&b), type, doc, e);
    return r < 0 ? err_wrap(e, r, "metadata/%s", file) : 0;
}

int tuf_verify_top(const json_t *root, const json_t *doc, enum tuf_role role, struct err *e)
{
    const json_t *body = tuf_signed(root);
    const char *name = tuf_role_name(role);
    const json_t *entry = json_object_get(json_object_get(body, "roles"), name);
    int r = tuf_verify(doc, json_object_get(body, "keys"), entry, e);
    return r < 0 ? err_wrap(e, r, "signatures of %s", name) : 0;
}

int tuf_root_keys(const json_t *root, struct tuf_keyset keys[TUF_ROLES], struct err *e)
{
    static const enum tuf_role top[] = {TUF_ROOT, TUF_TARGETS, TUF_SNAPSHOT, TUF_TIMESTAMP};
    const json_t *body = tuf_signed(root);
    for (size_t i = 0; i < ARRAY_LEN(top); i++) {
        const char *name = tuf_role_name(top[i]);
        int r = tuf_keyset_parse(json_object_get(body, "keys"),
                                 json_object_get(json_object_get(body, "roles"), name), name,
                                 &keys[top[i]], e);
        if (r < 0) {
            return err_wrap(e, r, "root %lld", (long long)tuf_doc_version(root));
        }
    }
    return 0;
}

static int read_versioned(struct tuf_repo *r, const char *role, int64_t version, const char *type,
                          json_t **doc, struct err *e)
{
    CLEANUP(mem_free) char *file = mem_printf("%lld.%s.json", (long long)version, role);
    CLEANUP(js_free) json_t *j = NULL;
    int rc = tuf_read_doc(r->dir, file, type, &j, e);
    if (rc < 0) {
        return rc;
    }
    if (tuf_doc_version(j) != version) {
        return err_set(e, ERR_TRUST, "metadata/%s holds version %lld", file,
                       (long long)tuf_doc_version(j));
    }
    *doc = j;
    j = NULL;
    return 0;
}

/* ---- root ---- */

static char *root_file(int64_t version)
{
    return mem_printf("%lld.root.json", (long long)version);
}

static int follow_roots(struct tuf_repo *r, struct err *e)
{
    for (;;) {
        int64_t n = tuf_doc_version(r->doc[TUF_ROOT]) + 1;
        CLEANUP(mem_free) char *file = root_file(n);
        if (!file_exists(r->dir, file)) {
            return 0;
        }
        CLEANUP(js_free) json_t *next = NULL;
        CLEANUP(buf_clear) struct buf b = BUF(LIMIT_TUF_ROLE);
        int rc = read_versioned(r, "root", n, "root", &next, e);
        rc = rc < 0 ? rc : tuf_verify_top(r->doc[TUF_ROOT], next, TUF_ROOT, e);
        rc = rc < 0 ? rc : tuf_verify_top(next, next, TUF_ROOT, e);
        rc = rc < 0 ? rc : file_read(r->dir, file, LIMIT_TUF_ROLE, &b, e);
        if (rc < 0) {
            return err_wrap(e, rc, "follow root to version %lld", (long long)n);
        }
        js_free(&r->doc[TUF_ROOT]);
        r->doc[TUF_ROOT] = next;
        next = NULL;
        tuf_state_root(r->state, n, buf_text(&b));
    }
}

/* The newest root signed is in the state itself, so that one that never reached the folder is
 * written again with the very same bytes: there must never be two of one version. */
static int load_root(struct tuf_repo *r, struct err *e)
{
    const json_t *known = json_object_get(r->state, "root");
    const char *text = NULL;
    int rc = js_str(known, "text", &text, e);
    rc = rc < 0 ? rc : tuf_parse(span_str(text), "root", &r->doc[TUF_ROOT], e);
    rc = rc < 0 ? rc : tuf_verify_top(r->doc[TUF_ROOT], r->doc[TUF_ROOT], TUF_ROOT, e);
    if (rc < 0) {
        return err_wrap(e, rc, "root in the signer's state");
    }
    int64_t n = tuf_doc_version(r->doc[TUF_ROOT]);
    CLEANUP(mem_free) char *file = root_file(n), *before = root_file(n - 1);
    if (!file_exists(r->dir, file)) {
        if (n > 1 && !file_exists(r->dir, before)) {
            return err_set(e, ERR_NOTFOUND,
                           "metadata/%s is missing, so clients cannot follow to root %lld: restore "
                           "it from a backup, a mirror or any client",
                           before, (long long)n);
        }
        r->root_lost = true;
        return 0;
    }
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_TUF_ROLE);
    rc = file_read(r->dir, file, LIMIT_TUF_ROLE, &b, e);
    if (rc < 0) {
        return rc;
    }
    if (!span_eq(buf_view(&b), span_str(text))) {
        return err_set(e, ERR_CONFLICT,
                       "metadata/%s is not the root that was signed: restore it from a backup or "
                       "a mirror",
                       file);
    }
    return follow_roots(r, e);
}

/* After a root that was lost, the folder is still signed by the keys of the one before. */
static int verify_loaded(struct tuf_repo *r, enum tuf_role role, struct err *e)
{
    int rc = tuf_verify_top(r->doc[TUF_ROOT], r->doc[role], role, e);
    int64_t n = tuf_doc_version(r->doc[TUF_ROOT]);
    if (rc != ERR_TRUST || !r->root_lost || n == 1) {
        return rc;
    }
    CLEANUP(js_free) json_t *before = NULL;
    rc = read_versioned(r, "root", n - 1, "root", &before, e);
    rc = rc < 0 ? rc : tuf_verify_top(before, r->doc[TUF_ROOT], TUF_ROOT, e);
    rc = rc < 0 ? rc : tuf_verify_top(before, r->doc[role], role, e);
    if (rc == 0 && role == TUF_TARGETS) {
        r->targets_stale = true;
    }
    return rc;
}

/* ---- the other roles ---- */

static int load_timestamp(struct tuf_repo *r, struct err *e)
{
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_TUF_ROLE);
    int rc = file_read(r->dir, "timestamp.json", LIMIT_TUF_ROLE, &b, e);
    rc = rc < 0 ? rc : tuf_parse(buf_view(&b), "timestamp", &r->doc[TUF_TIMESTAMP], e);
    if (rc < 0) {
        return err_wrap(e, rc, "metadata/timestamp.json");
    }
    r->seen = digest_of(buf_view(&b));
    return verify_loaded(r, TUF_TIMESTAMP, e);
}

static int load_snapshot(struct tuf_repo *r, struct err *e)
{
    const json_t *meta = json_object_get(tuf_signed(r->doc[TUF_TIMESTAMP]), "meta");
    int64_t v = js_int_or(json_object_get(meta, "snapshot.json"), "version", 0);
    int rc = read_versioned(r, "snapshot", v, "snapshot", &r->doc[TUF_SNAPSHOT], e);
    return rc < 0 ? rc : verify_loaded(r, TUF_SNAPSHOT, e);
}

static int delegated(struct tuf_repo *r, enum tuf_role role, struct err *e)
{
    const char *name = tuf_role_name(role);
    const json_t *d = json_object_get(tuf_signed(r->doc[TUF_TARGETS]), "delegations");
    const json_t *list = json_object_get(d, "roles"), *entry = NULL;
    for (size_t i = 0; i < json_array_size(list) && entry == NULL; i++) {
        const json_t *one = json_array_get(list, i);
        entry = strcmp(js_str_or(one, "name", ""), name) == 0 ? one : NULL;
    }
    if (entry == NULL) {
        return err_set(e, ERR_FORMAT, "targets does not delegate to %s", name);
    }
    const json_t *keys = json_object_get(d, "keys");
    int rc = tuf_keyset_parse(keys, entry, name, &r->keys[role], e);
    rc = rc < 0 ? rc : read_versioned(r, name, tuf_listed(r, name), "targets", &r->doc[role], e);
    rc = rc < 0 ? rc : tuf_verify(r->doc[role], keys, entry, e);
    return rc < 0 ? err_wrap(e, rc, "role %s", name) : 0;
}

static json_t *succinct(const struct tuf_repo *r, json_t **keys)
{
    json_t *d = json_object_get(tuf_signed(r->doc[TUF_RELEASES]), "delegations");
    *keys = json_object_get(d, "keys");
    return json_object_get(d, "succinct_roles");
}

int tuf_load_bin(struct tuf_repo *r, uint32_t i, struct err *e)
{
    if (r->bin[i].targets != NULL) {
        return 0;
    }
    char name[TUF_BIN_NAME];
    tuf_bin_name(i, r->bits, name);
    CLEANUP(js_free) json_t *doc = NULL;
    json_t *keys, *role = succinct(r, &keys), *targets = NULL;
    int rc = read_versioned(r, name, tuf_listed(r, name), "targets", &doc, e);
    rc = rc < 0 ? rc : tuf_verify(doc, keys, role, e);
    rc = rc < 0 ? rc : js_obj(tuf_signed(doc), "targets", &targets, e);
    if (rc < 0) {
        return err_wrap(e, rc, "%s", name);
    }
    r->bin[i].targets = json_incref(targets);
    r->bin[i].n = json_object_size(targets);
    return 0;
}

static int load_bins(struct tuf_repo *r, struct err *e)
{
    json_t *keys, *role = succinct(r, &keys);
    int64_t bits = js_int_or(role, "bit_length", 0);
    if (bits < TUF_BITS_MIN || bits > TUF_BITS_MAX ||
        strcmp(js_str_or(role, "name_prefix", ""), "bin") != 0) {
        return err_set(e, ERR_FORMAT, "releases holds no hash bins that we could have written");
    }
    int rc = tuf_keyset_parse(keys, role, "bins", &r->keys[TUF_BINS], e);
    if (rc < 0) {
        return rc;
    }
    r->bits = (unsigned)bits;
    r->bin = mem_array(struct bin, (size_t)1 << bits);
    for (uint32_t i = 0; i < 1u << bits; i++) {
        char name[TUF_BIN_NAME];
        const json_t *rec = tuf_record(r, tuf_bin_name(i, r->bits, name));
        int64_t n = js_int_or(rec, "n", -1);
        if (n >= 0 && js_int_or(rec, "v", 0) == tuf_listed(r, name)) {
            r->bin[i].n = (size_t)n;
            continue;
        }
        rc = tuf_load_bin(r, i, e); /* the state cannot say how many are in it */
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static void remember_all(struct tuf_repo *r)
{
    const char *file;
    json_t *entry;
    json_object_foreach(tuf_meta(r), file, entry)
    {
        size_t len = strlen(file);
        if (len > 5) {
            CLEANUP(mem_free) char *role = mem_text(file, len - 5);
            remember(r, role, js_int_or(entry, "version", 0));
        }
    }
    remember(r, "snapshot", tuf_doc_version(r->doc[TUF_SNAPSHOT]));
    remember(r, "timestamp", tuf_doc_version(r->doc[TUF_TIMESTAMP]));
}

int tuf_load(struct tuf_repo *r, struct err *e)
{
    int rc = load_root(r, e);
    rc = rc < 0 ? rc : tuf_root_keys(r->doc[TUF_ROOT], r->keys, e);
    rc = rc < 0 ? rc : load_timestamp(r, e);
    rc = rc < 0 ? rc : load_snapshot(r, e);
    rc = rc < 0 ? rc
                : read_versioned(r, "targets", tuf_listed(r, "targets"), "targets",
                                 &r->doc[TUF_TARGETS], e);
    rc = rc < 0 ? rc : verify_loaded(r, TUF_TARGETS, e);
    rc = rc < 0 ? rc : delegated(r, TUF_RECALLS, e);
    rc = rc < 0 ? rc : delegated(r, TUF_RELEASES, e);
    rc = rc < 0 ? rc : tuf_load_index(r, e);
    if (rc < 0) {
        return rc;
    }
    remember_all(r);
    return load_bins(r, e);
}

void tuf_repo_clear(struct tuf_repo *r)
{
    for (int i = 0; i < TUF_ROLES; i++) {
        js_free(&r->doc[i]);
    }
    for (size_t i = 0; r->bin != NULL && i < (size_t)1 << r->bits; i++) {
        js_free(&r->bin[i].targets);
    }
    mem_free(&r->bin);
    js_free(&r->index);
    js_free(&r->recalled);
    js_free(&r->state);
}

/* A state of its own, whose `roles` may be changed. */
static json_t *state_copy(const json_t *state)
{
    json_t *copy = json_deep_copy(state);
    if (!json_is_object(json_object_get(copy, "roles"))) {
        js_set(copy, "roles", js_new());
    }
    return copy;
}

int tuf_sync(struct tuf_repo *r, struct err *e)
{
    if (r->dir < 0) {
        return 0;
    }
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_TUF_ROLE);
    int rc = file_read(r->dir, "timestamp.json", LIMIT_TUF_ROLE, &b, e);
    if (rc < 0) {
        return err_wrap(e, rc, "metadata");
    }
    struct digest now = digest_of(buf_view(&b));
    if (digest_eq(&now, &r->seen)) {
        return 0;
    }
    struct tuf_repo fresh = {.dir = r->dir, .state = state_copy(r->state)};
    rc = tuf_load(&fresh, e);
    if (rc < 0) {
        tuf_repo_clear(&fresh);
        return err_wrap(e, rc, "read metadata again");
    }
    tuf_repo_clear(r);
    *r = fresh;
    return 0;
}

int tuf_open(int dir, const json_t *state, struct tuf_repo **out, struct err *e)
{
    if (js_int_or(state, "format", 0) != 1 || !json_is_object(json_object_get(state, "root"))) {
        return err_set(e, ERR_FORMAT,
                       "the signer's state of the repository is not one that this version wrote");
    }
    struct tuf_repo *r = mem_new(struct tuf_repo);
    r->state = state_copy(state);
    r->dir = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    int rc = r->dir < 0 ? err_sys(e, "open metadata") : tuf_load(r, e);
    if (rc < 0) {
        tuf_close(&r);
        return rc;
    }
    *out = r;
    return 0;
}

void tuf_close(struct tuf_repo **repo)
{
    if (*repo != NULL) {
        tuf_repo_clear(*repo);
        fd_close(&(*repo)->dir);
        free(*repo);
        *repo = NULL;
    }
}
