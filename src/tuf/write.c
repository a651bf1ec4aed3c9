#include "tuf/tuf_priv.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

/* How a change becomes visible. PENDING names what is being written; NEXT, once it exists, says
 * that all of it is durable, so that a crash after it is completed, and one before it undone.
 *   1 PENDING, every document, new roots as V.root.json.next   (no fsync)
 *   2 syncfs, then NEXT = the new timestamp, durable
 *   3 roots renamed, timestamp.json renamed, PENDING removed */
#define PENDING "pending"
#define NEXT "timestamp.json.next"
#define MODE 0644

static bool is_root(const char *file)
{
    int64_t version;
    char role[TUF_ROLE_NAME];
    return tuf_file_name(file, &version, role) && strcmp(role, "root") == 0;
}

static bool is_timestamp(const char *file)
{
    return strcmp(file, "timestamp.json") == 0;
}

static int same_already(int dir, const char *name, struct span bytes, struct err *e)
{
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_JSON + ((size_t)1 << 17));
    int rc = file_read(dir, name, LIMIT_JSON, &b, e);
    if (rc < 0) {
        return rc;
    }
    if (!span_eq(buf_view(&b), bytes)) {
        return err_set(
            e, ERR_CONFLICT,
            "metadata/%s exists with other bytes, and a version is never used twice: run "
            "the repair, or raise the signer's state",
            name);
    }
    return 0;
}

static int write_one(int dir, const struct tuf_doc *d, struct err *e)
{
    struct span bytes = buf_view(&d->bytes);
    if (file_exists(dir, d->name)) {
        return same_already(dir, d->name, bytes, e);
    }
    CLEANUP(mem_free) char *name = mem_printf("%s%s", d->name, is_root(d->name) ? ".next" : "");
    return file_write_lazy(dir, name, bytes, MODE, e);
}

static int write_pending(int dir, const struct tuf_docs *docs, struct err *e)
{
    CLEANUP(buf_clear) struct buf names = BUF(LIMIT_JSON);
    for (size_t i = 0; i < docs->n; i++) {
        if (!file_exists(dir, docs->doc[i].name)) { /* what was there stays there */
            buf_fmt(&names, "%s\n", docs->doc[i].name);
        }
    }
    int rc = buf_done(&names, PENDING, e);
    return rc < 0 ? rc : file_write_lazy(dir, PENDING, buf_view(&names), MODE, e);
}

static int rename_in(int dir, const char *from, const char *to, struct err *e)
{
    return renameat(dir, from, dir, to) < 0 ? err_sys(e, "rename metadata/%s to %s", from, to) : 0;
}

static int remove_in(int dir, const char *name, struct err *e)
{
    return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? err_sys(e, "remove metadata/%s", name)
                                                         : 0;
}

/* Step 3, also what a repair completes with: roots first, since the timestamp may need their keys.
 */
static int show(int dir, struct err *e)
{
    CLEANUP(buf_clear) struct buf names = BUF(LIMIT_JSON + ((size_t)1 << 17));
    int rc = file_read(dir, PENDING, LIMIT_JSON, &names, e);
    struct span rest = buf_view(&names), line;
    while (rc == 0 && span_cut(&rest, '\n', &line)) {
        CLEANUP(mem_free) char *name = mem_text(line.p, line.len);
        CLEANUP(mem_free) char *from = mem_printf("%s.next", name);
        if (is_root(name) && file_exists(dir, from)) {
            rc = rename_in(dir, from, name, e);
        }
    }
    rc = rc < 0 ? rc : rename_in(dir, NEXT, "timestamp.json", e);
    rc = rc < 0 ? rc : file_sync_dir(dir, e);
    return rc < 0 ? rc : remove_in(dir, PENDING, e);
}

/* ---- undoing ---- */

struct listing {
    int64_t snapshot;
    json_t *meta; /* NULL: there is no such timestamp */
};

static void listing_clear(struct listing *l)
{
    js_free(&l->meta);
}

static int listing_read(int dir, const char *file, struct listing *out, struct err *e)
{
    CLEANUP(js_free) json_t *ts = NULL, *snap = NULL;
    json_t *meta = NULL;
    int rc = tuf_read_doc(dir, file, "timestamp", &ts, e);
    if (rc < 0) {
        return rc;
    }
    const json_t *named = json_object_get(json_object_get(tuf_signed(ts), "meta"), "snapshot.json");
    out->snapshot = js_int_or(named, "version", 0);
    CLEANUP(mem_free) char *name = mem_printf("%lld.snapshot.json", (long long)out->snapshot);
    rc = tuf_read_doc(dir, name, "snapshot", &snap, e);
    rc = rc < 0 ? rc : js_obj(tuf_signed(snap), "meta", &meta, e);
    if (rc == 0) {
        out->meta = json_incref(meta);
    }
    return rc;
}

static int all_there(int dir, const struct listing *l, struct err *e)
{
    const char *file;
    json_t *entry;
    json_object_foreach(l->meta, file, entry)
    {
        int64_t v = js_int_or(entry, "version", 0);
        CLEANUP(mem_free) char *name = mem_printf("%lld.%s", (long long)v, file);
        if (!file_exists(dir, name)) {
            return err_set(
                e, ERR_NOTFOUND,
                "metadata/%s is missing, though the snapshot lists it: restore it from a "
                "backup or a mirror",
                name);
        }
    }
    return 0;
}

/* Whether the visible timestamp leads to this file; then it is no leftover. */
static bool visible(const struct listing *l, const char *name)
{
    int64_t version;
    char role[TUF_ROLE_NAME];
    if (!tuf_file_name(name, &version, role)) {
        return true; /* recall files are named by content: one too many harms nobody */
    }
    if (strcmp(role, "root") == 0) {
        return true;
    }
    if (strcmp(role, "snapshot") == 0) {
        return version <= l->snapshot;
    }
    CLEANUP(mem_free) char *file = mem_printf("%s.json", role);
    return version <= js_int_or(json_object_get(l->meta, file), "version", 0);
}

/* Lines are names that tuf_write() put there; a torn last line names nothing that exists. */
static int undo(int dir, const struct listing *l, struct tuf_repaired *out, struct err *e)
{
    CLEANUP(buf_clear) struct buf names = BUF(LIMIT_JSON + ((size_t)1 << 17));
    int rc = file_read(dir, PENDING, LIMIT_JSON, &names, e);
    if (rc == ERR_NOTFOUND) {
        return remove_in(dir, NEXT, e);
    }
    struct span rest = buf_view(&names), line;
    while (rc == 0 && span_cut(&rest, '\n', &line)) {
        CLEANUP(mem_free) char *name = mem_text(line.p, line.len);
        CLEANUP(mem_free) char *next = mem_printf("%s.next", name);
        const char *gone = is_root(name) ? next : name;
        bool ours = is_root(name) || !visible(l, name);
        if (ours && file_exists(dir, gone)) {
            out->discarded++;
            rc = remove_in(dir, gone, e);
        }
    }
    rc = rc < 0 ? rc : remove_in(dir, NEXT, e);
    rc = rc < 0 ? rc : remove_in(dir, PENDING, e);
    return rc < 0 ? rc : file_sync_dir(dir, e);
}

/* Steps 1 and 2. */
static int stage(int dir, const struct tuf_docs *docs, struct err *e)
{
    const struct tuf_doc *timestamp = NULL;
    int rc = file_mkdirs(dir, "recall", 0755, e);
    rc = rc < 0 ? rc : write_pending(dir, docs, e);
    for (size_t i = 0; i < docs->n && rc == 0; i++) {
        if (is_timestamp(docs->doc[i].name)) {
            timestamp = &docs->doc[i];
        } else {
            rc = write_one(dir, &docs->doc[i], e);
        }
    }
    if (rc == 0 && timestamp == NULL) {
        rc = err_set(e, ERR_BUG, "a change of metadata without a timestamp");
    }
    rc = rc < 0 ? rc : file_sync_fs(dir, e);
    if (rc < 0) {
        return rc;
    }
    assert(timestamp != NULL);
    return file_write(dir, NEXT, buf_view(&timestamp->bytes), MODE, e);
}

static void give_up(int dir)
{
    CLEANUP(listing_clear) struct listing l = {0, NULL};
    struct tuf_repaired out = {false, 0};
    if (!file_exists(dir, "timestamp.json") || listing_read(dir, "timestamp.json", &l, NULL) == 0) {
        int rc = undo(dir, &l, &out, NULL);
        (void)rc; /* what is left is found by the next repair */
    }
}

int tuf_write(int dir, const struct tuf_docs *docs, struct err *e)
{
    if (docs->n == 0) {
        return 0;
    }
    if (file_exists(dir, NEXT) || file_exists(dir, PENDING)) {
        return err_set(e, ERR_CONFLICT, "metadata holds an unfinished change: repair it first");
    }
    int rc = stage(dir, docs, e);
    if (rc < 0) { /* a full disk, say: leave nothing behind */
        give_up(dir);
        return err_wrap(e, rc, "write metadata");
    }
    return show(dir, e);
}

/* ---- after a crash ---- */

/* NEXT is only there when all that it leads to is durable; look all the same. */
static bool can_complete(int dir)
{
    CLEANUP(listing_clear) struct listing l = {0, NULL};
    return file_exists(dir, PENDING) && file_exists(dir, NEXT) &&
           listing_read(dir, NEXT, &l, NULL) == 0 && all_there(dir, &l, NULL) == 0;
}

/* "NAME.tmp-" and eight digits, as base/file.h writes them; no metadata file ends so. */
static int remove_temporary(void *ctx, const char *name)
{
    const int *dir = ctx;
    size_t len = strlen(name);
    return len > 13 && strncmp(name + len - 13, ".tmp-", 5) == 0 ? remove_in(*dir, name, NULL) : 0;
}

static int remove_temporaries(int dir, struct err *e)
{
    CLEANUP(fd_close) int recall = -1;
    int rc = file_each(dir, ".", remove_temporary, &dir, e);
    if (rc == 0 && file_exists(dir, "recall")) {
        rc = file_open_dir(dir, "recall", &recall, e);
        rc = rc < 0 ? rc : file_each(recall, ".", remove_temporary, &recall, e);
    }
    return rc;
}

int tuf_repair(int dir, struct tuf_repaired *out, struct err *e)
{
    CLEANUP(listing_clear) struct listing l = {0, NULL};
    struct tuf_repaired done = {false, 0};
    int rc = 0;
    if (can_complete(dir)) {
        done.completed = true;
        rc = show(dir, e);
    }
    if (rc == 0 && file_exists(dir, "timestamp.json")) {
        rc = listing_read(dir, "timestamp.json", &l, e);
    }
    rc = rc < 0 ? rc : undo(dir, &l, &done, e);
    rc = rc < 0 ? rc : remove_temporaries(dir, e);
    if (rc == 0 && l.meta == NULL) {
        rc = err_set(e, ERR_NOTFOUND, "metadata/timestamp.json is missing: there is no repository");
    }
    rc = rc < 0 ? rc : all_there(dir, &l, e);
    if (rc < 0) {
        return err_wrap(e, rc, "repair metadata");
    }
    *out = done;
    return 0;
}

/* ---- a state from what is there ---- */

struct adopt {
    json_t *roles;
};

static int adopt_one(void *ctx, const char *name)
{
    struct adopt *a = ctx;
    int64_t version;
    char role[TUF_ROLE_NAME];
    if (tuf_file_name(name, &version, role) && strcmp(role, "root") != 0 &&
        js_int_or(json_object_get(a->roles, role), "v", 0) < version) {
        json_t *rec = js_new();
        js_set_int(rec, "v", version);
        js_set(a->roles, role, rec);
    }
    return 0;
}

int tuf_state_adopt(int dir, json_t **state, struct err *e)
{
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_TUF_ROLE);
    int rc = file_read(dir, "1.root.json", LIMIT_TUF_ROLE, &b, e);
    if (rc < 0) {
        return err_wrap(e, rc, "metadata");
    }
    CLEANUP(js_free) json_t *first = js_new();
    struct adopt a = {js_new()};
    js_set_int(first, "format", 1);
    js_set(first, "roles", a.roles);
    tuf_state_root(first, 1, buf_text(&b));
    rc = file_each(dir, ".", adopt_one, &a, e); /* leftovers too: a version is not used twice */
    struct tuf_repo *r = NULL;
    rc = rc < 0 ? rc : tuf_open(dir, first, &r, e);
    if (rc < 0) {
        return err_wrap(e, rc, "take over metadata");
    }
    *state = tuf_state(r);
    tuf_close(&r);
    return 0;
}
