#include "tuf/tuf_priv.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

/* ---- one signed document ---- */

struct part {
    enum tuf_role role;
    const char *name;
    json_t *body; /* taken */
    int64_t n;    /* targets in a bin, else -1 */
};

static bool signed_by(const json_t *sigs, const char *id)
{
    for (size_t i = 0; i < json_array_size(sigs); i++) {
        if (strcmp(js_str_or(json_array_get(sigs, i), "keyid", ""), id) == 0) {
            return true;
        }
    }
    return false;
}

static int sign_one(json_t *sigs, const struct sig_by *by, struct span text, struct err *e)
{
    uint8_t sig[SIG_LEN];
    char id[TUF_KEYID_TEXT + 1];
    tuf_keyid(&by->key, id);
    if (signed_by(sigs, id)) {
        return 0;
    }
    int rc = by->sign(by->ctx, text, sig, e);
    if (rc < 0) {
        return rc;
    }
    if (!sig_ok(&by->key, text, sig)) { /* a wrong key or a fault must not reach a client */
        return err_set(e, ERR_TRUST, "the signature by key %.16s does not hold", id);
    }
    CLEANUP(buf_clear) struct buf hex = BUF(2 * SIG_LEN);
    text_hex(&hex, span_of(sig, sizeof sig));
    json_t *one = js_new();
    js_set_str(one, "keyid", id);
    js_set_str(one, "sig", buf_text(&hex));
    js_add(sigs, one);
    return 0;
}

static int need(const json_t *sigs, const struct tuf_keyset *set, const char *name, struct err *e)
{
    unsigned have = 0;
    for (size_t i = 0; i < set->n; i++) {
        char id[TUF_KEYID_TEXT + 1];
        tuf_keyid(&set->key[i], id);
        have += signed_by(sigs, id);
    }
    if (have < set->threshold) {
        return err_set(e, ERR_DENIED, "%s needs %u signatures and %u of its keys are here", name,
                       set->threshold, have);
    }
    return 0;
}

static int sign_all(const struct change *c, const struct part *p, const json_t *body, json_t *sigs,
                    struct err *e)
{
    const struct tuf_keyset *set = &c->next.keys[p->role];
    const struct tuf_keyset *old = p->role == TUF_ROOT ? c->old_root : NULL;
    CLEANUP(buf_clear) struct buf text = BUF(2 * LIMIT_TUF_ROLE);
    int rc = js_canon(&text, body, e);
    for (size_t i = 0; i < c->sign->role[p->role].n && rc == 0; i++) {
        const struct sig_by *by = &c->sign->role[p->role].by[i];
        if (tuf_keyset_has(set, &by->key) || (old != NULL && tuf_keyset_has(old, &by->key))) {
            rc = sign_one(sigs, by, buf_view(&text), e);
        }
    }
    rc = rc < 0 ? rc : need(sigs, set, p->name, e);
    if (rc == 0 && old != NULL) {
        rc = need(sigs, old, "root, by the keys before,", e);
    }
    return rc < 0 ? err_wrap(e, rc, "sign %s", p->name) : 0;
}

static json_t *head(struct change *c, const struct part *p, int64_t version, json_t *rec)
{
    static const char *const types[TUF_ROLES] = {
        [TUF_ROOT] = "root",           [TUF_TARGETS] = "targets", [TUF_RECALLS] = "targets",
        [TUF_RELEASES] = "targets",    [TUF_BINS] = "targets",    [TUF_SNAPSHOT] = "snapshot",
        [TUF_TIMESTAMP] = "timestamp",
    };
    int64_t life = c->sign->role[p->role].life;
    life = life > 0 ? life : tuf_life(p->role);
    int64_t expires = (c->sign->now + life) / CLOCK_SECOND;
    char text[CLOCK_TEXT];
    json_t *body = js_new();
    js_set_str(body, "_type", types[p->role]);
    js_set_str(body, "spec_version", TUF_SPEC_VERSION);
    js_set_int(body, "version", version);
    js_set_str(body, "expires", clock_text(expires * CLOCK_SECOND, true, text));
    json_object_update(body, p->body);
    js_set_int(rec, "v", version);
    js_set_int(rec, "x", expires);
    js_set_int(rec, "h", (c->sign->now + life / 2) / CLOCK_SECOND);
    if (p->n >= 0) {
        js_set_int(rec, "n", p->n);
    }
    return body;
}

static const size_t role_max[TUF_ROLES] = {
    /* what the peers take */
    [TUF_ROOT] = 512000,
    [TUF_TARGETS] = LIMIT_TUF_ROLE,
    [TUF_RECALLS] = LIMIT_TUF_ROLE,
    [TUF_RELEASES] = LIMIT_TUF_ROLE,
    [TUF_BINS] = LIMIT_TUF_ROLE,
    [TUF_SNAPSHOT] = 2000000,
    [TUF_TIMESTAMP] = 16384,
};

static void keep_root(struct tuf_repo *r, int64_t version, const struct buf *bytes)
{
    tuf_state_root(r->state, version, buf_text(bytes));
}

/* Files the signed document: into the list, the snapshot, the state. */
static void file_doc(struct change *c, const struct part *p, json_t *envelope, json_t *rec,
                     struct buf *bytes)
{
    struct tuf_repo *r = &c->next;
    int64_t version = tuf_doc_version(envelope);
    CLEANUP(mem_free)
    char *file = p->role == TUF_TIMESTAMP ? mem_str("timestamp.json")
                                          : mem_printf("%lld.%s.json", (long long)version, p->name);
    if (p->role == TUF_ROOT) {
        keep_root(r, version, bytes);
    } else {
        js_set(json_object_get(r->state, "roles"), p->name, json_incref(rec));
    }
    if (p->role == TUF_TARGETS || p->role == TUF_RECALLS || p->role == TUF_RELEASES ||
        p->role == TUF_BINS) {
        CLEANUP(mem_free) char *listed = mem_printf("%s.json", p->name);
        json_t *entry = js_new();
        js_set_int(entry, "version", version);
        js_set(c->meta, listed, entry);
    }
    if (p->role == TUF_SNAPSHOT) {
        struct digest d = digest_of(buf_view(bytes));
        json_t *hashes = js_new();
        js_free(&c->snapshot);
        c->snapshot = js_new();
        js_set_int(c->snapshot, "version", version);
        js_set_int(c->snapshot, "length", (int64_t)bytes->len);
        js_set_sha256(hashes, "sha256", &d);
        js_set(c->snapshot, "hashes", hashes);
    }
    if (p->role == TUF_TIMESTAMP) {
        r->seen = digest_of(buf_view(bytes));
    }
    if (p->role != TUF_BINS) {
        js_free(&r->doc[p->role]);
        r->doc[p->role] = json_incref(envelope);
    }
    tuf_docs_add(&c->docs, file, bytes);
}

static int64_t next_version(const struct tuf_repo *r, const struct part *p)
{
    return p->role == TUF_ROOT ? tuf_doc_version(r->doc[TUF_ROOT]) + 1
                               : js_int_or(tuf_record(r, p->name), "v", 0) + 1;
}

static int build(struct change *c, const struct part *p, struct err *e)
{
    CLEANUP(js_free) json_t *rec = js_new(), *envelope = js_new();
    int64_t version = next_version(&c->next, p);
    if (version >= TUF_VERSION_MAX) {
        return err_set(e, ERR_LIMIT, "%s has no version left", p->name);
    }
    json_t *body = head(c, p, version, rec), *sigs = js_list();
    js_set(envelope, "signatures", sigs);
    js_set(envelope, "signed", body);
    int rc = sign_all(c, p, body, sigs, e);
    if (rc < 0) {
        return rc;
    }
    CLEANUP(buf_clear) struct buf bytes = BUF(role_max[p->role]);
    js_write(&bytes, envelope);
    rc = buf_done(&bytes, p->name, e);
    if (rc == 0) {
        file_doc(c, p, envelope, rec, &bytes);
    }
    return rc;
}

static int emit(struct change *c, struct part p, struct err *e)
{
    int rc = build(c, &p, e);
    json_decref(p.body);
    return rc;
}

/* ---- what each role says ---- */

static int emit_root(struct change *c, struct err *e)
{
    static const enum tuf_role top[] = {TUF_ROOT, TUF_TARGETS, TUF_SNAPSHOT, TUF_TIMESTAMP};
    json_t *body = js_new(), *keys = js_new(), *roles = js_new();
    for (size_t i = 0; i < ARRAY_LEN(top); i++) {
        json_t *role = js_new();
        tuf_keyset_json(&c->next.keys[top[i]], keys, role);
        js_set(roles, tuf_role_name(top[i]), role);
    }
    js_set_bool(body, "consistent_snapshot", true);
    js_set(body, "keys", keys);
    js_set(body, "roles", roles);
    return emit(c, (struct part){TUF_ROOT, "root", body, -1}, e);
}

static json_t *delegation(const struct change *c, enum tuf_role role, json_t *keys)
{
    json_t *d = js_new(), *match = js_list();
    js_set_str(d, "name", tuf_role_name(role));
    tuf_keyset_json(&c->next.keys[role], keys, d);
    js_set_bool(d, "terminating", role == TUF_RECALLS);
    if (role == TUF_RECALLS) {
        js_add_str(match, "recall/*");
        js_set(d, "paths", match);
    } else {
        for (const char *hex = "0123456789abcdef"; *hex != 0; hex++) {
            const char one[2] = {*hex, 0};
            js_add_str(match, one);
        }
        js_set(d, "path_hash_prefixes", match);
    }
    return d;
}

static int emit_targets(struct change *c, struct err *e)
{
    json_t *body = js_new(), *d = js_new(), *keys = js_new(), *roles = js_list();
    js_add(roles, delegation(c, TUF_RECALLS, keys)); /* first: it ends the search below recall/ */
    js_add(roles, delegation(c, TUF_RELEASES, keys));
    js_set(d, "keys", keys);
    js_set(d, "roles", roles);
    js_set(body, "targets", js_new());
    js_set(body, "delegations", d);
    return emit(c, (struct part){TUF_TARGETS, "targets", body, -1}, e);
}

static int emit_releases(struct change *c, struct err *e)
{
    json_t *body = js_new(), *d = js_new(), *keys = js_new(), *bins = js_new();
    tuf_keyset_json(&c->next.keys[TUF_BINS], keys, bins);
    js_set_int(bins, "bit_length", c->next.bits);
    js_set_str(bins, "name_prefix", "bin");
    js_set(d, "keys", keys);
    js_set(d, "succinct_roles", bins);
    js_set(body, "targets", js_new());
    js_set(body, "delegations", d);
    return emit(c, (struct part){TUF_RELEASES, "releases", body, -1}, e);
}

static int emit_recalls(struct change *c, struct err *e)
{
    json_t *body = NULL;
    int rc = tuf_recall_body(c, &body, e);
    return rc < 0 ? rc : emit(c, (struct part){TUF_RECALLS, "recalls", body, -1}, e);
}

static int emit_bin(struct change *c, const char *name, json_t *targets, struct err *e)
{
    int64_t n = (int64_t)json_object_size(targets);
    json_t *body = js_new();
    js_set(body, "targets", targets);
    return emit(c, (struct part){TUF_BINS, name, body, n}, e);
}

static int emit_bins(struct change *c, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < json_array_size(c->empty) && rc == 0; i++) {
        const char *name = json_string_value(json_array_get(c->empty, i));
        rc = emit_bin(c, name, js_new(), e);
    }
    for (uint32_t i = 0; i < 1u << c->next.bits && rc == 0; i++) {
        char name[TUF_BIN_NAME];
        if (c->next.bin[i].dirty) {
            rc = emit_bin(c, tuf_bin_name(i, c->next.bits, name),
                          json_incref(c->next.bin[i].targets), e);
        }
    }
    return rc;
}

static int emit_snapshot(struct change *c, struct err *e)
{
    json_t *body = js_new();
    js_set(body, "meta", json_incref(c->meta));
    return emit(c, (struct part){TUF_SNAPSHOT, "snapshot", body, -1}, e);
}

static int emit_timestamp(struct change *c, struct err *e)
{
    json_t *body = js_new(), *meta = js_new();
    js_set(meta, "snapshot.json", json_incref(c->snapshot));
    js_set(body, "meta", meta);
    return emit(c, (struct part){TUF_TIMESTAMP, "timestamp", body, -1}, e);
}

/* The root that only the state holds, byte for byte. */
static int emit_lost_root(struct change *c, struct err *e)
{
    const char *text = js_str_or(json_object_get(c->next.state, "root"), "text", "");
    CLEANUP(mem_free)
    char *file = mem_printf("%lld.root.json", (long long)tuf_doc_version(c->next.doc[TUF_ROOT]));
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_TUF_ROLE);
    buf_str(&b, text);
    int rc = buf_done(&b, "root", e);
    if (rc == 0) {
        tuf_docs_add(&c->docs, file, &b);
    }
    return rc;
}

int tuf_emit(struct change *c, struct err *e)
{
    static const struct {
        enum tuf_role role;
        int (*emit)(struct change *c, struct err *e);
    } rest[] = {
        {TUF_ROOT, emit_root},
        {TUF_RECALLS, emit_recalls},
        {TUF_RELEASES, emit_releases},
        {TUF_TARGETS, emit_targets},
    };
    const json_t *was = json_object_get(tuf_signed(c->next.doc[TUF_TIMESTAMP]), "meta");
    c->snapshot = json_incref(json_object_get(was, "snapshot.json"));
    int rc = c->next.root_lost ? emit_lost_root(c, e) : 0;
    rc = rc < 0 ? rc : emit_bins(c, e);
    for (size_t i = 0; i < ARRAY_LEN(rest) && rc == 0; i++) {
        if (c->dirty[rest[i].role]) {
            rc = rest[i].emit(c, e);
        }
    }
    bool listed = !json_equal(c->meta, tuf_meta(&c->next));
    if (rc == 0 && (listed || c->dirty[TUF_SNAPSHOT])) {
        rc = emit_snapshot(c, e);
    }
    rc = rc < 0 ? rc : emit_timestamp(c, e);
    if (rc == 0) {
        tuf_docs_sort(&c->docs);
    }
    return rc;
}

void tuf_state_root(json_t *state, int64_t version, const char *text)
{
    json_t *root = js_new();
    js_set_int(root, "version", version);
    js_set_str(root, "text", text);
    js_set(state, "root", root);
}
