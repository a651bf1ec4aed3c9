/* keyring_priv.h - the table of keys in memory, and its form on disk.
 *
 * File: a header and records, all of KEYRING_RECORD bytes, numbers big-endian.
 *   header  magic 16 | ring id 16, fresh at every rewriting | seal of nothing 40 | zero 16
 *   record  kind 1 | state 1 | zero 6 | id 8 | seal of the key 72
 * The seal binds the ring id and what stands before it, so that a record erased by a rewriting
 * cannot be put back from an older copy. An erased record seals zeros. */
#pragma once
#include "key/keyring.h"

#define KEYRING_RECORD ((size_t)88)
#define KEYRING_RING_ID ((size_t)16)

struct keyring_entry {
    struct keyring_id id;
    enum keyring_state state;
    struct key_sub key;
};

/* Entries in the order they came, found through `slots` (place + 1, 0 is free; a power of two). */
struct keyring_table {
    struct keyring_entry *entries; /* locked memory */
    uint32_t *slots;
    size_t n, room, n_slots;
    uint8_t ring_id[KEYRING_RING_ID];
};

void keyring_table_clear(struct keyring_table *t);
struct keyring_entry *keyring_table_find(const struct keyring_table *t, struct keyring_id id);
/* The entry of `id`, made (state absent) if there was none. Earlier pointers end. */
struct keyring_entry *keyring_table_put(struct keyring_table *t, struct keyring_id id);

/* Reads what keyring_check() accepts; *used becomes the length without a torn end. */
MUST_CHECK int keyring_parse(struct span file, const struct key_sub *record,
                             struct keyring_table *out, size_t *used, struct err *e);
/* Writes a whole file under a fresh ring id, which *t takes over. */
MUST_CHECK int keyring_write(struct keyring_table *t, const struct key_sub *record, struct buf *out,
                             struct err *e);
/* Appends one record as it stands in the file of ring_id. */
MUST_CHECK int keyring_write_record(const uint8_t ring_id[KEYRING_RING_ID],
                                    const struct keyring_entry *entry, const struct key_sub *record,
                                    struct buf *out, struct err *e);
