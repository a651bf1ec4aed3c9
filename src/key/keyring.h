/* keyring.h - the data keys under which records of customers are encrypted (P10).
 *
 * One file, `keyring` in a site: one key per organisation and account, plus keys of the site
 * itself. Erasing somebody is erasing the key. Without the file those records cannot be read by
 * anyone, so it wants a second copy (keyring_copy). All keys are in locked memory while open.
 * One owner process, one thread at a time. */
#pragma once
#include "base/buf.h"
#include "key/key.h"

enum keyring_kind { KEYRING_SITE = 1, KEYRING_ORG = 2, KEYRING_ACCOUNT = 3 };

struct keyring_id {
    enum keyring_kind kind;
    uint64_t id;
};

enum keyring_state { KEYRING_ABSENT = 0, KEYRING_HELD, KEYRING_ERASED };

struct keyring;

/* Makes an empty keyring `name` in `dir`; ERR_CONFLICT, and kept, if there is one. */
MUST_CHECK int keyring_create(int dir, const char *name, const struct key_sub *record,
                              struct err *e);

/* Loads all of it. ERR_NOTFOUND without a file; ERR_TRUST if `record` is not its subkey;
 * ERR_FORMAT with the place of the first damaged record. Only a last record that was torn by a
 * crash is cut: keyring_cut() tells how many bytes. `dir` is kept as a duplicate. */
MUST_CHECK int keyring_open(int dir, const char *name, const struct key_sub *record,
                            struct keyring **out, struct err *e);
void keyring_close(struct keyring **ring);
size_t keyring_cut(const struct keyring *ring);

enum keyring_state keyring_state(const struct keyring *ring, struct keyring_id id);
size_t keyring_count(const struct keyring *ring); /* keys held */

/* ERR_NOTFOUND with "was erased" or "is not in the keyring: restore its copy". */
MUST_CHECK int keyring_get(const struct keyring *ring, struct keyring_id id, struct key_sub *out,
                           struct err *e);

/* A fresh key, written but durable only after keyring_sync(); sync before the first event that
 * needs it is committed. A key that is there already is kept: after a crash between key and event
 * the same id comes again. An erased id is ERR_CONFLICT. */
MUST_CHECK int keyring_add(struct keyring *ring, struct keyring_id id, struct err *e);

/* Under which key of the site an event is sealed: the newest whose id is not above its index. The
 * first has id 0; another is made only when the keyring was lost, with the index from which on it
 * counts, so that what the lost one sealed is known to be lost. */
struct keyring_id keyring_site(const struct keyring *ring, uint64_t index);

/* One fdatasync for all added before. A failure is final: open the keyring anew. */
MUST_CHECK int keyring_sync(struct keyring *ring, struct err *e);

/* Writes the file anew without these keys, atomically and durable, and remembers that they were
 * erased (the ids stay). Absent ids become erased too. Copies elsewhere are the caller's. */
MUST_CHECK int keyring_erase(struct keyring *ring, const struct keyring_id *ids, size_t n,
                             struct err *e);

/* Writes a second copy, atomically and durable; sealed under the same subkey. */
MUST_CHECK int keyring_copy(const struct keyring *ring, int dir, const char *name, struct err *e);

/* Which of these, that events mention, are lost: neither held nor erased. Returns how many and
 * writes the first `max` into `lost` (NULL with 0). */
size_t keyring_lost(const struct keyring *ring, const struct keyring_id *mentioned, size_t n,
                    struct keyring_id *lost, size_t max);

/* Without a key: checks header, lengths and kinds of a keyring file. Counts whole records. */
MUST_CHECK int keyring_check(struct span file, size_t *records, size_t *torn, struct err *e);

/* The same, and tells of each record; the keys stay closed. */
typedef void (*keyring_each)(void *ctx, struct keyring_id id, enum keyring_state state);
MUST_CHECK int keyring_list(struct span file, keyring_each each, void *ctx, struct err *e);
