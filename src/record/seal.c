#include "record/record_priv.h"

#include "base/clock.h"
#include "base/random.h"
#include "base/reader.h"
#include "base/text.h"

#define VERSION 1
#define LABEL_PART "cordon/part/v1"
#define LABEL_RECORD "cordon/record/v1"

/* Private entry: version u8, type u16, hash. */
#define LEAF_PRIVATE ((size_t)35)

const char *part_name(enum part p)
{
    static const char *const names[PARTS] = {"site", "org", "account"};
    return names[p];
}

void sealed_clear(struct sealed *s)
{
    buf_clear(&s->leaf);
    buf_clear(&s->detail);
}

void opened_clear(struct opened *o)
{
    for (size_t p = 0; p < PARTS; p++) {
        buf_clear(&o->part[p].text);
    }
}

void event_clear(struct event *ev)
{
    js_free(&ev->open);
    js_free(&ev->site);
    js_free(&ev->org);
    js_free(&ev->account);
}

struct digest seal_commitment(enum part p, const uint8_t salt[SALT], struct span text)
{
    struct hasher h;
    uint8_t which = (uint8_t)p;
    hasher_init(&h);
    hasher_add(&h, span_of(LABEL_PART, sizeof LABEL_PART)); /* with its NUL */
    hasher_add(&h, span_of(&which, 1));
    hasher_add(&h, span_of(salt, SALT));
    hasher_add(&h, text);
    return hasher_end(&h);
}

struct digest seal_hash(const struct opened *o)
{
    CLEANUP(buf_clear) struct buf b = BUF(512);
    buf_add(&b, LABEL_RECORD, sizeof LABEL_RECORD);
    buf_be64(&b, (uint64_t)o->time);
    buf_be64(&b, o->org_id);
    buf_be64(&b, o->account_id);
    for (size_t p = 0; p < PARTS; p++) {
        buf_add(&b, o->part[p].commitment.b, sizeof o->part[p].commitment.b);
    }
    return digest_of(buf_view(&b));
}

static struct keyring_id ring_id(const struct keyring *ring, enum part p, const struct opened *o)
{
    return p == PART_SITE  ? keyring_site(ring, o->index)
           : p == PART_ORG ? (struct keyring_id){KEYRING_ORG, o->org_id}
                           : (struct keyring_id){KEYRING_ACCOUNT, o->account_id};
}

/* What a sealed part is bound to: origin, index, leaf and which part it is. */
static void bound_to(struct buf *ad, const char *origin, uint64_t index, struct span leaf,
                     enum part p)
{
    struct digest d = digest_of(leaf);
    buf_add(ad, origin, strlen(origin) + 1);
    buf_be64(ad, index);
    buf_add(ad, d.b, sizeof d.b);
    buf_char(ad, (char)p);
}

/* Commitments of all parts; the salt of an absent part is random too, so that nobody can tell. */
static int commit_parts(const json_t *const parts[PARTS], struct opened *o, struct err *e)
{
    for (size_t p = 0; p < PARTS; p++) {
        struct opened_part *part = &o->part[p];
        part->text = BUF(DETAIL_MAX);
        part->present = parts[p] != NULL;
        random_bytes(part->salt, sizeof part->salt);
        if (part->present) {
            int r = js_stable(&part->text, parts[p], e);
            if (r < 0) {
                return err_wrap(e, r, "the %s part", part_name((enum part)p));
            }
        }
        part->commitment = seal_commitment((enum part)p, part->salt, buf_view(&part->text));
    }
    return 0;
}

static int write_leaf(const struct record_kind *kind, const struct event *ev,
                      const struct opened *o, struct buf *out, struct err *e)
{
    struct digest hash = seal_hash(o);
    if (!kind->is_public) {
        buf_char(out, VERSION);
        buf_be16(out, kind->type);
        buf_add(out, hash.b, sizeof hash.b);
        return buf_done(out, "a log entry", e);
    }
    CLEANUP(js_free) json_t *leaf = json_copy(ev->open);
    if (leaf == NULL) {
        return err_set(e, ERR_BUG, "a %s event without its open part", kind->name);
    }
    js_set_str(leaf, "type", kind->name);
    js_set_time(leaf, "time", ev->time);
    js_set_sha256(leaf, "private", &hash);
    return js_stable(out, leaf, e);
}

static int write_detail(const struct opened *o, struct keyring *ring, const char *origin,
                        struct sealed *s, struct err *e)
{
    buf_char(&s->detail, VERSION);
    buf_be64(&s->detail, (uint64_t)o->time);
    buf_be64(&s->detail, o->org_id);
    buf_be64(&s->detail, o->account_id);
    for (size_t p = 0; p < PARTS; p++) {
        const struct opened_part *part = &o->part[p];
        CLEANUP(buf_clear) struct buf plain = BUF(DETAIL_MAX + SALT);
        CLEANUP(buf_clear) struct buf ad = BUF(1024);
        CLEANUP(key_sub_clear) struct key_sub key = {{0}};
        buf_add(&s->detail, part->commitment.b, sizeof part->commitment.b);
        if (!part->present) {
            buf_be32(&s->detail, 0);
            continue;
        }
        buf_add(&plain, part->salt, SALT);
        buf_span(&plain, buf_view(&part->text));
        bound_to(&ad, origin, s->index, buf_view(&s->leaf), (enum part)p);
        buf_be32(&s->detail, (uint32_t)(plain.len + KEY_SEAL_MORE));
        int r = keyring_get(ring, ring_id(ring, (enum part)p, o), &key, e);
        r = r < 0 ? r : key_seal(&key, buf_view(&ad), buf_view(&plain), &s->detail, e);
        key_wipe(&plain);
        if (r < 0) {
            return err_wrap(e, r, "seal the %s part", part_name((enum part)p));
        }
    }
    return buf_done(&s->detail, "a record", e);
}

int seal_event(const struct record_kind *kind, const struct event *ev, struct keyring *ring,
               const char *origin, struct sealed *out, struct err *e)
{
    const json_t *const parts[PARTS] = {ev->site, ev->org, ev->account};
    CLEANUP(opened_clear)
    struct opened o = {
        .index = ev->index, .time = ev->time, .org_id = ev->org_id, .account_id = ev->account_id};
    struct sealed s = SEALED_NONE;
    s.index = ev->index;
    int r = commit_parts(parts, &o, e);
    r = r < 0 ? r : write_leaf(kind, ev, &o, &s.leaf, e);
    r = r < 0 ? r : write_detail(&o, ring, origin, &s, e);
    if (r < 0) {
        sealed_clear(&s);
        return err_wrap(e, r, "event %s", kind->name);
    }
    *out = s;
    return 0;
}

static int unseal_part(struct opened *o, enum part which, struct span sealed, struct span ad,
                       const struct keyring *ring, struct err *e)
{
    struct opened_part *part = &o->part[which];
    struct keyring_id id = ring_id(ring, which, o);
    CLEANUP(key_sub_clear) struct key_sub key = {{0}};
    CLEANUP(key_wipe) struct buf plain = BUF(DETAIL_MAX + SALT);
    if (keyring_get(ring, id, &key, NULL) < 0) {
        part->erased = keyring_state(ring, id) == KEYRING_ERASED;
        part->lost = !part->erased;
        return 0;
    }
    int r = key_unseal(&key, ad, sealed, &plain, e);
    if (r < 0) {
        return err_wrap(e, r, "open the %s part", part_name(which));
    }
    if (plain.len < SALT) {
        return err_set(e, ERR_FORMAT, "the %s part is cut short", part_name(which));
    }
    memcpy(part->salt, plain.p, SALT);
    buf_add(&part->text, plain.p + SALT, plain.len - SALT);
    struct digest c = seal_commitment(which, part->salt, buf_view(&part->text));
    if (!digest_eq(&c, &part->commitment)) {
        return err_set(e, ERR_TRUST, "the %s part is not what the log commits to",
                       part_name(which));
    }
    return buf_done(&part->text, "a part", e);
}

int seal_check_entry(struct span leaf, const struct opened *o, struct err *e)
{
    struct digest hash = seal_hash(o), said;
    if (leaf.len == LEAF_PRIVATE && leaf.p[0] == VERSION) {
        memcpy(said.b, leaf.p + 3, sizeof said.b);
    } else {
        CLEANUP(js_free) json_t *j = NULL;
        int r = js_parse(leaf, LIMIT_ENTRY, "a log entry", &j, e);
        r = r < 0 ? r : js_sha256(j, "private", &said, e);
        if (r < 0) {
            return r;
        }
    }
    return digest_eq(&hash, &said)
               ? 0
               : err_set(e, ERR_TRUST, "the record does not belong to its entry in the log");
}

/* Time, ids and commitments; the parts stay sealed. */
static int read_detail(struct span detail, struct opened *o, struct span sealed[PARTS],
                       struct err *e)
{
    struct reader rd = reader_of(detail);
    uint8_t version = reader_u8(&rd);
    o->time = (int64_t)reader_be64(&rd);
    o->org_id = reader_be64(&rd);
    o->account_id = reader_be64(&rd);
    for (size_t p = 0; p < PARTS; p++) {
        struct span c = reader_take(&rd, sizeof o->part[p].commitment.b);
        if (c.len > 0) {
            memcpy(o->part[p].commitment.b, c.p, c.len);
        }
        sealed[p] = reader_take(&rd, reader_be32(&rd));
        o->part[p].present = sealed[p].len > 0;
        o->part[p].text = BUF(DETAIL_MAX);
    }
    int r = reader_done(&rd, "a record", e);
    if (r == 0 && (version != VERSION || reader_left(&rd) > 0)) {
        r = err_set(e, ERR_FORMAT, "a record of version %u, or with bytes left over", version);
    }
    return r;
}

int seal_open(const struct sealed *s, const struct keyring *ring, const char *origin,
              struct opened *out, struct err *e)
{
    struct span sealed[PARTS], leaf = buf_view(&s->leaf);
    struct opened o = {.index = s->index};
    int r = read_detail(buf_view(&s->detail), &o, sealed, e);
    if (leaf.len == LEAF_PRIVATE && leaf.p[0] == VERSION) {
        o.type = (uint16_t)(leaf.p[1] << 8 | leaf.p[2]);
    }
    r = r < 0 ? r : seal_check_entry(leaf, &o, e);
    for (size_t p = 0; p < PARTS && r == 0; p++) {
        CLEANUP(buf_clear) struct buf ad = BUF(1024);
        bound_to(&ad, origin, s->index, leaf, (enum part)p);
        if (o.part[p].present && ring != NULL) {
            r = unseal_part(&o, (enum part)p, sealed[p], buf_view(&ad), ring, e);
        }
    }
    if (r < 0) {
        opened_clear(&o);
        return r;
    }
    *out = o;
    return 0;
}

static const struct record_kind *kind_of_leaf(const struct record_kind *const *kinds,
                                              const struct opened *o, const json_t *open)
{
    if (open != NULL) {
        return record_kind_of(kinds, js_str_or(open, "type", ""));
    }
    for (; *kinds != NULL; kinds++) {
        for (const struct record_kind *k = *kinds; k->name != NULL; k++) {
            if (!k->is_public && k->type == o->type) {
                return k;
            }
        }
    }
    return NULL;
}

int seal_to_event(const struct record_kind *const *kinds, const struct sealed *s,
                  const struct opened *o, struct event *ev, uint64_t *lost, struct err *e)
{
    CLEANUP(event_clear)
    struct event got = {
        .index = s->index, .time = o->time, .org_id = o->org_id, .account_id = o->account_id};
    json_t **const into[PARTS] = {&got.site, &got.org, &got.account};
    int r =
        o->type == 0 ? js_parse(buf_view(&s->leaf), LIMIT_ENTRY, "a log entry", &got.open, e) : 0;
    const struct record_kind *kind = r < 0 ? NULL : kind_of_leaf(kinds, o, got.open);
    if (r == 0 && kind == NULL) {
        r = err_set(e, ERR_FORMAT,
                    "entry %llu is of a kind that this version does not know; use a newer one",
                    (unsigned long long)s->index);
    }
    for (size_t p = 0; p < PARTS && r == 0; p++) {
        const struct opened_part *part = &o->part[p];
        if (part->lost) {
            (*lost)++;
        } else if (part->present && !part->erased) {
            r = js_parse(buf_view(&part->text), DETAIL_MAX, "a record's part", into[p], e);
        }
    }
    if (r == 0) {
        got.kind = kind->name;
        *ev = got;
        got = (struct event){0};
    }
    return r;
}
