#include "tuf/tuf_priv.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

#include <assert.h>

static const struct {
    const char *name;
    int64_t life;
} roles[TUF_ROLES] = {
    [TUF_ROOT] = {"root", 365 * CLOCK_DAY},      [TUF_TARGETS] = {"targets", 365 * CLOCK_DAY},
    [TUF_RECALLS] = {"recalls", 30 * CLOCK_DAY}, [TUF_RELEASES] = {"releases", 30 * CLOCK_DAY},
    [TUF_BINS] = {"bins", 30 * CLOCK_DAY},       [TUF_SNAPSHOT] = {"snapshot", 7 * CLOCK_DAY},
    [TUF_TIMESTAMP] = {"timestamp", CLOCK_DAY},
};

const char *tuf_role_name(enum tuf_role role)
{
    return roles[role].name;
}

int64_t tuf_life(enum tuf_role role)
{
    return roles[role].life;
}

int tuf_role_of(const char *name, enum tuf_role *out, struct err *e)
{
    for (int i = 0; i < TUF_ROLES; i++) {
        if (strcmp(name, roles[i].name) == 0) {
            *out = (enum tuf_role)i;
            return 0;
        }
    }
    return err_set(e, ERR_NOTFOUND,
                   "no role \"%.40s\": root, targets, recalls, releases, bins, snapshot or "
                   "timestamp",
                   name);
}

json_t *tuf_signed(const json_t *doc)
{
    return json_object_get(doc, "signed");
}

int64_t tuf_doc_version(const json_t *doc)
{
    return js_int_or(tuf_signed(doc), "version", 0);
}

int64_t tuf_doc_expires(const json_t *doc)
{
    int64_t t = 0;
    const char *text = js_str_or(tuf_signed(doc), "expires", "");
    return clock_parse(span_str(text), &t, NULL) == 0 ? t : 0;
}

/* ---- parsing ---- */

/* "1.0" or "1.0.31": peers write both. */
static bool spec_ok(const char *s)
{
    struct span rest = span_str(s), part;
    size_t parts = 0;
    while (span_cut(&rest, '.', &part)) {
        uint64_t v;
        if (text_u64(part, 100000, &v, NULL) < 0 || (parts == 0 && v != 1)) {
            return false;
        }
        parts++;
    }
    return parts == 2 || parts == 3;
}

static int expires_check(const char *text, struct err *e)
{
    int64_t t;
    char again[CLOCK_TEXT];
    if (clock_parse(span_str(text), &t, NULL) < 0 ||
        strcmp(clock_text(t, true, again), text) != 0) {
        return err_set(e, ERR_FORMAT, "expires is \"%.40s\", not YYYY-MM-DDTHH:MM:SSZ", text);
    }
    return 0;
}

static int head_check(const json_t *doc, const char *type, struct err *e)
{
    json_t *body = NULL, *sigs = NULL;
    const char *got, *spec, *expires;
    int64_t version;
    int r = js_obj(doc, "signed", &body, e);
    r = r < 0 ? r : js_arr(doc, "signatures", &sigs, e);
    r = r < 0 ? r : js_str(body, "_type", &got, e);
    r = r < 0 ? r : js_str(body, "spec_version", &spec, e);
    r = r < 0 ? r : js_int(body, "version", &version, e);
    r = r < 0 ? r : js_str(body, "expires", &expires, e);
    if (r < 0) {
        return r;
    }
    if (strcmp(got, type) != 0) {
        return err_set(e, ERR_FORMAT, "_type is \"%.40s\", not \"%s\"", got, type);
    }
    if (!spec_ok(spec)) {
        return err_set(e, ERR_FORMAT, "spec_version is \"%.40s\", only 1.x is known", spec);
    }
    if (version < 1 || version >= TUF_VERSION_MAX) {
        return err_set(e, ERR_FORMAT, "version %lld is out of range", (long long)version);
    }
    return expires_check(expires, e);
}

int tuf_parse(struct span bytes, const char *type, json_t **doc, struct err *e)
{
    CLEANUP(js_free) json_t *j = NULL;
    int r = js_parse(bytes, LIMIT_TUF_ROLE, type, &j, e);
    if (r < 0) {
        return r;
    }
    r = head_check(j, type, e);
    if (r < 0) {
        return err_wrap(e, r, "%s metadata", type);
    }
    *doc = j;
    j = NULL;
    return 0;
}

/* ---- keys ---- */

json_t *tuf_key_json(const struct sig_public *key)
{
    CLEANUP(buf_clear) struct buf hex = BUF(2 * SIG_PUBLIC);
    text_hex(&hex, span_of(key->b, sizeof key->b));
    json_t *j = js_new(), *val = js_new();
    js_set_str(j, "keytype", "ed25519");
    js_set_str(j, "scheme", "ed25519");
    js_set_str(val, "public", buf_text(&hex));
    js_set(j, "keyval", val);
    return j;
}

void tuf_keyid(const struct sig_public *key, char out[static TUF_KEYID_TEXT + 1])
{
    CLEANUP(js_free) json_t *j = tuf_key_json(key);
    struct digest d = {0};
    int r = js_digest(j, &d, NULL);
    assert(r == 0); /* a key object of ours always has a canonical form */
    (void)r;
    digest_text(&d, out);
}

/* Hex in either case: others write upper case too. */
static bool unhex(const char *text, uint8_t *out, size_t n)
{
    char low[2 * SIG_LEN + 1];
    size_t len = strlen(text);
    if (len != 2 * n || len >= sizeof low) {
        return false;
    }
    for (size_t i = 0; i <= len; i++) {
        low[i] = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] - 'A' + 'a') : text[i];
    }
    return text_unhex(span_of(low, len), out, n, NULL) == 0;
}

/* False for a key that cannot verify: not under its own id, or of a kind we do not know. */
static bool key_parse(const json_t *keys, const char *keyid, struct sig_public *out)
{
    const json_t *key = json_object_get(keys, keyid);
    struct digest d;
    char hex[DIGEST_TEXT + 1];
    if (!json_is_object(key) || js_digest(key, &d, NULL) < 0 ||
        strcmp(digest_text(&d, hex), keyid) != 0) {
        return false;
    }
    const char *public = js_str_or(json_object_get(key, "keyval"), "public", "");
    return strcmp(js_str_or(key, "keytype", ""), "ed25519") == 0 &&
           strcmp(js_str_or(key, "scheme", ""), "ed25519") == 0 &&
           unhex(public, out->b, SIG_PUBLIC);
}

bool tuf_keyset_has(const struct tuf_keyset *set, const struct sig_public *key)
{
    for (size_t i = 0; i < set->n; i++) {
        if (memcmp(set->key[i].b, key->b, SIG_PUBLIC) == 0) {
            return true;
        }
    }
    return false;
}

int tuf_keyset_parse(const json_t *keys, const json_t *role, const char *name,
                     struct tuf_keyset *out, struct err *e)
{
    struct tuf_keyset set = {.n = 0};
    int64_t threshold;
    json_t *ids = NULL;
    int r = js_arr(role, "keyids", &ids, e);
    r = r < 0 ? r : js_int(role, "threshold", &threshold, e);
    if (r < 0) {
        return err_wrap(e, r, "keys of %s", name);
    }
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        struct sig_public key;
        if (id == NULL || set.n == TUF_KEYS || !key_parse(keys, id, &key)) {
            return err_set(e, ERR_FORMAT, "key %zu of %s is not an ed25519 key under its own id", i,
                           name);
        }
        if (!tuf_keyset_has(&set, &key)) {
            set.key[set.n++] = key;
        }
    }
    if (threshold < 1 || threshold > (int64_t)set.n) {
        return err_set(e, ERR_FORMAT, "%s asks for %lld signatures and has %zu keys", name,
                       (long long)threshold, set.n);
    }
    set.threshold = (unsigned)threshold;
    *out = set;
    return 0;
}

void tuf_keyset_json(const struct tuf_keyset *set, json_t *keys, json_t *role)
{
    json_t *ids = js_list();
    for (size_t i = 0; i < set->n; i++) {
        char id[TUF_KEYID_TEXT + 1];
        tuf_keyid(&set->key[i], id);
        js_add_str(ids, id);
        js_set(keys, id, tuf_key_json(&set->key[i]));
    }
    js_set(role, "keyids", ids);
    js_set_int(role, "threshold", set->threshold);
}

/* ---- signatures ---- */

static bool lists(const json_t *ids, const char *id)
{
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *s = json_string_value(json_array_get(ids, i));
        if (s != NULL && strcmp(s, id) == 0) {
            return true;
        }
    }
    return false;
}

static int no_duplicates(const json_t *sigs, struct err *e)
{
    CLEANUP(js_free) json_t *seen = js_new();
    for (size_t i = 0; i < json_array_size(sigs); i++) {
        const char *id = js_str_or(json_array_get(sigs, i), "keyid", "");
        if (id[0] == 0) {
            continue; /* malformed ones count for nothing, and harm nothing */
        }
        if (json_object_get(seen, id) != NULL) {
            return err_set(e, ERR_FORMAT, "key %.16s signs twice: the file is refused", id);
        }
        js_set_bool(seen, id, true);
    }
    return 0;
}

int tuf_verify(const json_t *doc, const json_t *keys, const json_t *role, struct err *e)
{
    int64_t threshold = 0;
    json_t *ids = NULL, *sigs = NULL, *body = NULL;
    int r = js_int(role, "threshold", &threshold, e);
    r = r < 0 ? r : js_arr(role, "keyids", &ids, e);
    r = r < 0 ? r : js_arr(doc, "signatures", &sigs, e);
    r = r < 0 ? r : js_obj(doc, "signed", &body, e);
    r = r < 0 ? r : no_duplicates(sigs, e);
    if (r < 0) {
        return r;
    }
    if (threshold < 1) {
        return err_set(e, ERR_FORMAT, "a threshold of %lld", (long long)threshold);
    }
    CLEANUP(buf_clear) struct buf text = BUF(2 * LIMIT_TUF_ROLE);
    r = js_canon(&text, body, e);
    r = r < 0 ? r : buf_done(&text, "canonical form", e);
    if (r < 0) {
        return r;
    }
    CLEANUP(js_free) json_t *counted = js_new(); /* by key, not by id: one key is one voice */
    for (size_t i = 0; i < json_array_size(sigs); i++) {
        const json_t *s = json_array_get(sigs, i);
        const char *id = js_str_or(s, "keyid", "");
        struct sig_public key;
        uint8_t sig[SIG_LEN];
        if (lists(ids, id) && key_parse(keys, id, &key) &&
            unhex(js_str_or(s, "sig", ""), sig, SIG_LEN) && sig_ok(&key, buf_view(&text), sig)) {
            char hex[TUF_KEYID_TEXT + 1];
            tuf_keyid(&key, hex);
            js_set_bool(counted, hex, true);
        }
    }
    if ((int64_t)json_object_size(counted) < threshold) {
        return err_set(e, ERR_TRUST, "%zu of %lld needed signatures hold",
                       json_object_size(counted), (long long)threshold);
    }
    return 0;
}
