#include "key/keyring_priv.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/reader.h"
#include "key/key_priv.h"

#include <sodium.h>

#define MAGIC "cordon keyring\0\1"
#define MAGIC_LEN (sizeof MAGIC - 1)
#define HEADER_SEAL KEY_SEAL_MORE
#define RECORD_SEAL (KEY_LEN + KEY_SEAL_MORE)
#define FRONT ((size_t)16) /* of a record, before its seal */

_Static_assert(MAGIC_LEN + KEYRING_RING_ID + HEADER_SEAL + 16 == KEYRING_RECORD, "header");
_Static_assert(FRONT + RECORD_SEAL == KEYRING_RECORD, "record");

/* ---- the table ---- */

void keyring_table_clear(struct keyring_table *t)
{
    key_free_secret(t->entries);
    free(t->slots);
    *t = (struct keyring_table){0};
}

static size_t slot_of(const struct keyring_table *t, struct keyring_id id)
{
    uint64_t h = (id.id * 4 + (uint64_t)id.kind) * UINT64_C(0x9e3779b97f4a7c15);
    size_t at = (size_t)(h >> 32) & (t->n_slots - 1);
    while (t->slots[at] != 0) {
        const struct keyring_entry *x = &t->entries[t->slots[at] - 1];
        if (x->id.id == id.id && x->id.kind == id.kind) {
            break;
        }
        at = (at + 1) & (t->n_slots - 1);
    }
    return at;
}

struct keyring_entry *keyring_table_find(const struct keyring_table *t, struct keyring_id id)
{
    if (t->n == 0) {
        return NULL;
    }
    uint32_t place = t->slots[slot_of(t, id)];
    return place == 0 ? NULL : &t->entries[place - 1];
}

static void grow(struct keyring_table *t)
{
    size_t room = t->room == 0 ? 64 : t->room * 2;
    struct keyring_entry *more = key_alloc(room * sizeof *more);
    if (t->n > 0) {
        memcpy(more, t->entries, t->n * sizeof *more);
    }
    key_free_secret(t->entries);
    free(t->slots);
    t->entries = more;
    t->room = room;
    t->n_slots = room * 2;
    t->slots = mem_array(uint32_t, t->n_slots);
    for (size_t i = 0; i < t->n; i++) {
        t->slots[slot_of(t, t->entries[i].id)] = (uint32_t)i + 1;
    }
}

struct keyring_entry *keyring_table_put(struct keyring_table *t, struct keyring_id id)
{
    struct keyring_entry *old = keyring_table_find(t, id);
    if (old != NULL) {
        return old;
    }
    if (t->n == t->room) {
        grow(t);
    }
    struct keyring_entry *x = &t->entries[t->n];
    *x = (struct keyring_entry){.id = id};
    t->slots[slot_of(t, id)] = (uint32_t)++t->n;
    return x;
}

/* ---- writing ---- */

static struct span bound_to(const uint8_t ring_id[KEYRING_RING_ID], struct span front,
                            struct buf *out)
{
    buf_str(out, "cordon keyring");
    buf_add(out, ring_id, KEYRING_RING_ID);
    buf_span(out, front);
    return buf_view(out);
}

int keyring_write_record(const uint8_t ring_id[KEYRING_RING_ID], const struct keyring_entry *entry,
                         const struct key_sub *record, struct buf *out, struct err *e)
{
    CLEANUP(buf_clear) struct buf front = BUF(FRONT);
    CLEANUP(buf_clear) struct buf ad = BUF(100);
    static const uint8_t zeros[6];
    buf_char(&front, (char)entry->id.kind);
    buf_char(&front, (char)entry->state);
    buf_add(&front, zeros, sizeof zeros);
    buf_be64(&front, entry->id.id);
    buf_span(out, buf_view(&front));
    return key_seal(record, bound_to(ring_id, buf_view(&front), &ad),
                    span_of(entry->key.b, KEY_LEN), out, e);
}

static int write_header(const uint8_t ring_id[KEYRING_RING_ID], const struct key_sub *record,
                        struct buf *out, struct err *e)
{
    CLEANUP(buf_clear) struct buf ad = BUF(100);
    static const uint8_t zeros[16];
    buf_add(out, MAGIC, MAGIC_LEN);
    buf_add(out, ring_id, KEYRING_RING_ID);
    int r = key_seal(record, bound_to(ring_id, SPAN_NONE, &ad), SPAN_NONE, out, e);
    buf_add(out, zeros, sizeof zeros);
    return r;
}

int keyring_write(struct keyring_table *t, const struct key_sub *record, struct buf *out,
                  struct err *e)
{
    uint8_t fresh[KEYRING_RING_ID];
    random_bytes(fresh, sizeof fresh);
    int r = write_header(fresh, record, out, e);
    for (size_t i = 0; r == 0 && i < t->n; i++) {
        if (t->entries[i].state != KEYRING_ABSENT) {
            r = keyring_write_record(fresh, &t->entries[i], record, out, e);
        }
    }
    r = r < 0 ? r : buf_done(out, "the keyring", e);
    if (r == 0) {
        memcpy(t->ring_id, fresh, sizeof fresh);
    }
    return r;
}

/* ---- reading ---- */

static bool is_zero(struct span s)
{
    return sodium_is_zero(s.p, s.len) == 1;
}

/* A crash may leave part of a record, or records that the file system made room for but did not
 * fill: their seal ends in zeros, as no true one does. */
static size_t whole_records(struct span file)
{
    size_t n = (file.len - KEYRING_RECORD) / KEYRING_RECORD;
    while (n > 0 && is_zero(span_of(file.p + (n + 1) * KEYRING_RECORD - 16, 16))) {
        n--;
    }
    return n;
}

static int check_record(struct span file, size_t i, struct err *e)
{
    const uint8_t *p = file.p + (i + 1) * KEYRING_RECORD;
    if (p[0] < KEYRING_SITE || p[0] > KEYRING_ACCOUNT ||
        (p[1] != KEYRING_HELD && p[1] != KEYRING_ERASED) || !is_zero(span_of(p + 2, 6))) {
        return err_set(
            e, ERR_FORMAT,
            "the keyring is damaged at byte %zu (record %zu of %zu): put its second copy "
            "in its place",
            (i + 1) * KEYRING_RECORD, i + 1, whole_records(file));
    }
    return 0;
}

int keyring_check(struct span file, size_t *records, size_t *torn, struct err *e)
{
    if (file.len < KEYRING_RECORD || memcmp(file.p, MAGIC, MAGIC_LEN) != 0 ||
        !is_zero(span_of(file.p + KEYRING_RECORD - 16, 16))) {
        return err_set(e, ERR_FORMAT,
                       "the keyring is damaged at its beginning: put its second copy in its place");
    }
    size_t n = whole_records(file);
    for (size_t i = 0; i < n; i++) {
        int r = check_record(file, i, e);
        if (r < 0) {
            return r;
        }
    }
    *records = n;
    *torn = file.len - (n + 1) * KEYRING_RECORD;
    return 0;
}

int keyring_list(struct span file, keyring_each each, void *ctx, struct err *e)
{
    size_t n, torn;
    int r = keyring_check(file, &n, &torn, e);
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct reader in = reader_of(span_of(file.p + (i + 1) * KEYRING_RECORD, FRONT));
        struct keyring_id id = {.kind = (enum keyring_kind)reader_u8(&in)};
        enum keyring_state state = (enum keyring_state)reader_u8(&in);
        reader_skip(&in, 6);
        id.id = reader_be64(&in);
        each(ctx, id, state);
    }
    return r;
}

static int open_header(struct span file, const struct key_sub *record, struct keyring_table *t,
                       struct err *e)
{
    CLEANUP(buf_clear) struct buf ad = BUF(100);
    CLEANUP(buf_clear) struct buf nothing = BUF(64);
    memcpy(t->ring_id, file.p + MAGIC_LEN, KEYRING_RING_ID);
    struct span seal = span_of(file.p + MAGIC_LEN + KEYRING_RING_ID, HEADER_SEAL);
    if (key_unseal(record, bound_to(t->ring_id, SPAN_NONE, &ad), seal, &nothing, e) < 0) {
        return err_set(e, ERR_TRUST,
                       "the keyring belongs to another site, or its beginning was changed: put its "
                       "second copy in its place");
    }
    return 0;
}

static int open_record(struct span file, size_t i, const struct key_sub *record,
                       struct keyring_table *t, struct err *e)
{
    CLEANUP(buf_clear) struct buf ad = BUF(100);
    CLEANUP(key_wipe) struct buf plain = BUF(KEY_LEN + 64);
    struct span all = span_of(file.p + (i + 1) * KEYRING_RECORD, KEYRING_RECORD);
    struct reader in = reader_of(all);
    struct keyring_id id = {.kind = (enum keyring_kind)reader_u8(&in)};
    enum keyring_state state = (enum keyring_state)reader_u8(&in);
    reader_skip(&in, 6);
    id.id = reader_be64(&in);
    struct span seal = reader_take(&in, RECORD_SEAL);
    if (key_unseal(record, bound_to(t->ring_id, span_of(all.p, FRONT), &ad), seal, &plain, e) < 0) {
        return err_set(
            e, ERR_FORMAT,
            "the keyring is damaged at byte %zu (record %zu): put its second copy in its "
            "place",
            (i + 1) * KEYRING_RECORD, i + 1);
    }
    struct keyring_entry *x = keyring_table_put(t, id);
    x->state = state;
    memcpy(x->key.b, plain.p, KEY_LEN);
    return 0;
}

int keyring_parse(struct span file, const struct key_sub *record, struct keyring_table *out,
                  size_t *used, struct err *e)
{
    CLEANUP(keyring_table_clear) struct keyring_table t = {0};
    size_t n, torn;
    int r = keyring_check(file, &n, &torn, e);
    r = r < 0 ? r : open_header(file, record, &t, e);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = open_record(file, i, record, &t, e);
    }
    if (r == 0) {
        *out = t;
        *used = file.len - torn;
        t = (struct keyring_table){0};
    }
    return r;
}
