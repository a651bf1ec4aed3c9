#include "key/keyring_priv.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/random.h"
#include "key/key_priv.h"

#include <fcntl.h>
#include <unistd.h>

#define SITE_KEYS ((size_t)16)

struct keyring {
    struct keyring_table table;
    uint64_t site[SITE_KEYS]; /* ids of the site's keys */
    size_t n_site;
    struct key_sub *record; /* locked memory */
    char *name;
    int dir, fd;
    uint64_t end; /* where the next record goes */
    size_t cut, held;
    bool torn;   /* bytes after `end` wait to be cut */
    bool broken; /* what is on disk is not known any more */
};

static const char *kind_name(enum keyring_kind k)
{
    return k == KEYRING_SITE ? "the site" : k == KEYRING_ORG ? "organisation" : "account";
}

static int check_broken(const struct keyring *k, struct err *e)
{
    if (k->broken) {
        return err_set(e, ERR_UNAVAIL,
                       "%s: an earlier write failed and may be lost: open the keyring anew",
                       k->name);
    }
    return 0;
}

static int check_id(const struct keyring *k, struct keyring_id id, struct err *e)
{
    if (id.kind < KEYRING_SITE || id.kind > KEYRING_ACCOUNT) {
        return err_set(e, ERR_BUG, "%s: no such kind of key", k->name);
    }
    return 0;
}

/* ---- life ---- */

int keyring_create(int dir, const char *name, const struct key_sub *record, struct err *e)
{
    CLEANUP(buf_clear) struct buf file = BUF(KEYRING_RECORD + 64);
    struct keyring_table empty = {0};
    int r = keyring_write(&empty, record, &file, e);
    return r < 0 ? r : key_write_new(dir, name, buf_view(&file), e);
}

static int load(struct keyring *k, struct err *e)
{
    CLEANUP(buf_clear) struct buf file = BUF(LIMIT_KEYRING);
    size_t used = 0;
    int r = file_read(k->dir, k->name, LIMIT_KEYRING, &file, e);
    if (r == ERR_NOTFOUND) {
        return err_set(
            e, r,
            "%s does not exist: put its second copy in its place; without it the records "
            "of all organisations and accounts stay closed",
            k->name);
    }
    r = r < 0 ? r : keyring_parse(buf_view(&file), k->record, &k->table, &used, e);
    if (r < 0) {
        return err_wrap(e, r, "%s", k->name);
    }
    k->end = used;
    k->cut = file.len - used;
    k->torn = k->cut > 0;
    for (size_t i = 0; i < k->table.n; i++) {
        const struct keyring_entry *x = &k->table.entries[i];
        k->held += x->state == KEYRING_HELD;
        if (x->id.kind == KEYRING_SITE && k->n_site < SITE_KEYS) {
            k->site[k->n_site++] = x->id.id;
        }
    }
    return 0;
}

static int open_file(struct keyring *k, struct err *e)
{
    fd_close(&k->fd);
    k->fd = openat(k->dir, k->name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    return k->fd < 0 ? err_sys(e, "open %s", k->name) : 0;
}

int keyring_open(int dir, const char *name, const struct key_sub *record, struct keyring **out,
                 struct err *e)
{
    CLEANUP(keyring_close) struct keyring *k = mem_new(struct keyring);
    k->fd = -1;
    k->dir = fcntl(dir, F_DUPFD_CLOEXEC, 3);
    if (k->dir < 0) {
        return err_sys(e, "hold the folder of %s", name);
    }
    k->name = mem_str(name);
    k->record = key_alloc(sizeof *k->record);
    *k->record = *record;
    int r = load(k, e);
    r = r < 0 ? r : open_file(k, e);
    if (r < 0) {
        return r;
    }
    *out = k;
    k = NULL;
    return 0;
}

void keyring_close(struct keyring **ring)
{
    struct keyring *k = *ring;
    if (k != NULL) {
        keyring_table_clear(&k->table);
        key_free_secret(k->record);
        fd_close(&k->fd);
        fd_close(&k->dir);
        free(k->name);
        free(k);
        *ring = NULL;
    }
}

size_t keyring_cut(const struct keyring *ring)
{
    return ring->cut;
}

/* ---- asking ---- */

enum keyring_state keyring_state(const struct keyring *ring, struct keyring_id id)
{
    const struct keyring_entry *x = keyring_table_find(&ring->table, id);
    return x == NULL ? KEYRING_ABSENT : x->state;
}

size_t keyring_count(const struct keyring *ring)
{
    return ring->held;
}

int keyring_get(const struct keyring *ring, struct keyring_id id, struct key_sub *out,
                struct err *e)
{
    const struct keyring_entry *x = keyring_table_find(&ring->table, id);
    if (x != NULL && x->state == KEYRING_HELD) {
        *out = x->key;
        return 0;
    }
    if (x != NULL && x->state == KEYRING_ERASED) {
        return err_set(e, ERR_NOTFOUND, "the key of %s %llu was erased", kind_name(id.kind),
                       (unsigned long long)id.id);
    }
    return err_set(e, ERR_NOTFOUND,
                   "the key of %s %llu is not in the keyring: if it was lost, put a copy of the "
                   "keyring in its place",
                   kind_name(id.kind), (unsigned long long)id.id);
}

struct keyring_id keyring_site(const struct keyring *ring, uint64_t index)
{
    uint64_t best = 0;
    for (size_t i = 0; i < ring->n_site; i++) {
        if (ring->site[i] <= index && ring->site[i] > best) {
            best = ring->site[i];
        }
    }
    return (struct keyring_id){KEYRING_SITE, best};
}

size_t keyring_lost(const struct keyring *ring, const struct keyring_id *mentioned, size_t n,
                    struct keyring_id *lost, size_t max)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        if (keyring_state(ring, mentioned[i]) != KEYRING_ABSENT) {
            continue;
        }
        if (found < max) {
            lost[found] = mentioned[i];
        }
        found++;
    }
    return found;
}

/* ---- adding ---- */

/* Writes at the end; what a failure left there is cut again, or the ring is given up. */
static int append(struct keyring *k, struct span bytes, struct err *e)
{
    if (k->torn && ftruncate(k->fd, (off_t)k->end) != 0) {
        return err_sys(e, "cut the torn end of %s", k->name);
    }
    k->torn = false;
    int r = fd_pwrite(k->fd, bytes, k->end, e);
    if (r < 0) {
        k->torn = true;
        return err_wrap(e, r, "add a key to %s", k->name);
    }
    k->end += bytes.len;
    return 0;
}

int keyring_add(struct keyring *ring, struct keyring_id id, struct err *e)
{
    int r = check_broken(ring, e);
    if (r < 0) {
        return r;
    }
    r = check_id(ring, id, e);
    if (r < 0) {
        return r;
    }
    switch (keyring_state(ring, id)) {
    case KEYRING_HELD:
        return 0;
    case KEYRING_ERASED:
        return err_set(e, ERR_CONFLICT, "the key of %s %llu was erased and does not come back",
                       kind_name(id.kind), (unsigned long long)id.id);
    case KEYRING_ABSENT:
        break;
    }
    bool site = id.kind == KEYRING_SITE;
    if (ring->end + KEYRING_RECORD > LIMIT_KEYRING || (site && ring->n_site == SITE_KEYS)) {
        return err_set(e, ERR_LIMIT, "%s is full", ring->name);
    }
    CLEANUP(buf_clear) struct buf bytes = BUF(KEYRING_RECORD);
    struct keyring_entry x = {.id = id, .state = KEYRING_HELD};
    random_bytes(x.key.b, sizeof x.key.b);
    r = keyring_write_record(ring->table.ring_id, &x, ring->record, &bytes, e);
    r = r < 0 ? r : append(ring, buf_view(&bytes), e);
    if (r == 0) {
        *keyring_table_put(&ring->table, id) = x;
        ring->held++;
        if (site) {
            ring->site[ring->n_site++] = id.id;
        }
    }
    key_sub_clear(&x.key);
    return r;
}

int keyring_sync(struct keyring *ring, struct err *e)
{
    int r = check_broken(ring, e);
    if (r == 0 && fdatasync(ring->fd) != 0) {
        ring->broken = true; /* the kernel may have dropped the pages: never tried again */
        return err_sys(e, "make %s durable", ring->name);
    }
    return r;
}

/* ---- erasing and copying ---- */

static int write_whole(struct keyring_table *t, const struct key_sub *record, int dir,
                       const char *name, uint64_t *len, struct err *e)
{
    CLEANUP(buf_clear) struct buf file = BUF(LIMIT_KEYRING);
    int r = keyring_write(t, record, &file, e);
    r = r < 0 ? r : file_write(dir, name, buf_view(&file), 0600, e);
    if (r == 0) {
        *len = file.len;
    }
    return r;
}

static void clone(const struct keyring_table *from, struct keyring_table *to)
{
    for (size_t i = 0; i < from->n; i++) {
        *keyring_table_put(to, from->entries[i].id) = from->entries[i];
    }
}

/* The old file has no name any more; its blocks should not hold the keys either. Best effort: a
 * flash disk or a copy-on-write file system keeps what it likes, and all of it is sealed. */
static void blank(int fd, uint64_t len)
{
    static const uint8_t zeros[4096];
    for (uint64_t at = 0; at < len; at += sizeof zeros) {
        size_t n = len - at < sizeof zeros ? (size_t)(len - at) : sizeof zeros;
        if (fd_pwrite(fd, span_of(zeros, n), at, NULL) < 0) {
            return;
        }
    }
    (void)fdatasync(fd);
}

int keyring_erase(struct keyring *ring, const struct keyring_id *ids, size_t n, struct err *e)
{
    CLEANUP(keyring_table_clear) struct keyring_table next = {0};
    int r = check_broken(ring, e);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = check_id(ring, ids[i], e);
    }
    if (r < 0) {
        return r;
    }
    clone(&ring->table, &next);
    size_t held = ring->held;
    for (size_t i = 0; i < n; i++) {
        struct keyring_entry *x = keyring_table_put(&next, ids[i]);
        held -= x->state == KEYRING_HELD;
        x->state = KEYRING_ERASED;
        key_sub_clear(&x->key);
    }
    uint64_t len = 0;
    r = write_whole(&next, ring->record, ring->dir, ring->name, &len, e);
    if (r < 0) {
        /* if the new file got its name all the same, ours is no longer the one to add to */
        struct stat st;
        ring->broken = fstat(ring->fd, &st) != 0 || st.st_nlink == 0;
        return r;
    }
    blank(ring->fd, ring->end);
    r = open_file(ring, e);
    ring->broken = r < 0;
    struct keyring_table old = ring->table;
    ring->table = next;
    next = old; /* wiped on the way out */
    ring->end = len;
    ring->held = held;
    ring->torn = false;
    return r;
}

int keyring_copy(const struct keyring *ring, int dir, const char *name, struct err *e)
{
    CLEANUP(keyring_table_clear) struct keyring_table t = {0};
    uint64_t len;
    clone(&ring->table, &t);
    return write_whole(&t, ring->record, dir, name, &len, e);
}
