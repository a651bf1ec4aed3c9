#include "record/record_priv.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"

static const struct db_migration migrations[] = {
    {1,
     "CREATE TABLE record_position (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL,"
     " time INTEGER NOT NULL) STRICT;"
     "INSERT INTO record_position VALUES (1, 0, 0);"},
};

int record_migrate(struct db *db, struct err *e)
{
    return db_migrate(db, "record", migrations, ARRAY_LEN(migrations), e);
}

const struct record_kind *record_kind_of(const struct record_kind *const *kinds, const char *name)
{
    for (; *kinds != NULL; kinds++) {
        for (const struct record_kind *k = *kinds; k->name != NULL; k++) {
            if (strcmp(k->name, name) == 0) {
                return k;
            }
        }
    }
    return NULL;
}

int record_create(int site, struct err *e)
{
    int r = file_mkdirs(site, "details", 0700, e);
    r = r < 0 ? r : file_mkdirs(site, "log", 0755, e);
    return r < 0 ? r : journal_create(site, e);
}

uint64_t record_torn(const struct record *r)
{
    return r->journal.torn;
}

uint64_t record_size(const struct record *r)
{
    return r->committed;
}

struct tlog_head record_head(struct record *r)
{
    return (struct tlog_head){r->edge.size, tlog_edge_root(&r->edge)};
}

static void push_pending(struct record *r, const struct sealed *take)
{
    if (r->n_pending == r->cap_pending) {
        r->cap_pending = r->cap_pending * 2 + 64;
        r->pending = mem_resize(r->pending, r->cap_pending, sizeof *r->pending);
    }
    r->pending[r->n_pending++] = *take;
}

/* ---- opening ---- */

static int take_journaled(void *ctx, struct sealed *take, struct err *e)
{
    struct record *r = ctx;
    if (take->index < r->published) {
        sealed_clear(take); /* in the tiles already */
        return 0;
    }
    if (take->index != r->published + r->n_pending) {
        int bad = err_set(e, ERR_TRUST,
                          "the journal goes on at event %" PRIu64 " but the log ends at %" PRIu64
                          ": restore both from the same copy",
                          take->index, r->published + r->n_pending);
        sealed_clear(take);
        return bad;
    }
    struct digest leaf = tlog_leaf_hash(buf_view(&take->leaf));
    tlog_edge_add(&r->edge, &leaf);
    push_pending(r, take);
    return 0;
}

static int open_log(struct record *r, struct err *e)
{
    struct tlog_checkpoint c = {.head = tlog_head_empty()};
    struct tlog_tiles tiles = tlog_tiles_dir(&r->log_dir);
    int bad = 0;
    if (file_exists(r->log_dir, "checkpoint")) {
        bad = tlog_checkpoint_read(&tiles, r->o.origin, &r->o.log_key, NULL, &c, e);
    }
    bad = bad < 0 ? bad : tlog_open(r->log_dir, &c.head, &r->log, e);
    r->published = c.head.size;
    if (bad == 0) {
        tlog_edge(r->log, &r->edge);
    }
    return bad;
}

/* Keys of erased people must not survive a crash between the commit and the erasure. */
struct erasure {
    struct keyring_id *ids;
    size_t n, cap;
};

static void note_id(void *ctx, struct keyring_id id)
{
    struct erasure *x = ctx;
    if (x->n == x->cap) {
        x->cap = x->cap * 2 + 16;
        x->ids = mem_resize(x->ids, x->cap, sizeof *x->ids);
    }
    x->ids[x->n++] = id;
}

static int erase_keys(struct record *r, struct erasure *x, struct err *e)
{
    int bad = x->n == 0 ? 0 : keyring_erase(r->o.ring, x->ids, x->n, e);
    free(x->ids);
    return bad;
}

static int read_pending(struct record *r, const struct sealed *s, struct event *ev, struct err *e)
{
    uint64_t lost = 0;
    struct opened o;
    int bad = seal_open(s, r->o.ring, r->o.origin, &o, e);
    if (bad < 0) {
        return bad;
    }
    bad = seal_to_event(r->o.kinds, s, &o, ev, &lost, e);
    opened_clear(&o);
    return bad;
}

static int erase_again(struct record *r, struct err *e)
{
    struct erasure x = {0};
    int bad = 0;
    for (size_t i = 0; i < r->n_pending && bad == 0; i++) {
        CLEANUP(event_clear) struct event ev = {0};
        bad = read_pending(r, &r->pending[i], &ev, e);
        const struct record_kind *k = bad < 0 ? NULL : record_kind_of(r->o.kinds, ev.kind);
        if (k != NULL && k->erase != NULL) {
            k->erase(&ev, note_id, &x);
        }
    }
    int late = erase_keys(r, &x, bad < 0 ? NULL : e);
    return bad < 0 ? bad : late;
}

static int set_position(struct record *r, uint64_t size, struct err *e)
{
    return db_exec(r->o.db, "UPDATE record_position SET size = $1, time = $2 WHERE id = 1",
                   DB_ARGS(DB_INT(size), DB_INT(r->last_time)), e);
}

/* Folds what the database has not seen: after a crash between journal and database. */
static int catch_up(struct record *r, struct err *e)
{
    int64_t at = 0;
    int bad = record_migrate(r->o.db, e);
    bad = bad < 0 ? bad : db_int(r->o.db, "SELECT size FROM record_position", DB_NO_ARGS, &at, e);
    bad = bad < 0
              ? bad
              : db_int(r->o.db, "SELECT time FROM record_position", DB_NO_ARGS, &r->last_time, e);
    if (bad == 0 && (uint64_t)at > r->committed) {
        bad = err_set(e, ERR_TRUST,
                      "the database knows %" PRId64 " events, the journal only %" PRIu64
                      ": restore the journal, or run doctor --rebuild",
                      at, r->committed);
    }
    if (bad < 0 || (uint64_t)at == r->committed) {
        return bad;
    }
    CLEANUP(db_rollback) struct db_tx tx = DB_TX_NONE;
    bad = db_begin(r->o.db, &tx, e);
    for (uint64_t i = (uint64_t)at; i < r->committed && bad == 0; i++) {
        CLEANUP(event_clear) struct event ev = {0};
        bad = record_get(r, i, &ev, e);
        bad = bad < 0 ? bad : record_kind_of(r->o.kinds, ev.kind)->fold(r->o.db, &ev, e);
        r->last_time = bad < 0 ? r->last_time : ev.time;
    }
    bad = bad < 0 ? bad : set_position(r, r->committed, e);
    return bad < 0 ? err_wrap(e, bad, "bring the database up to date") : db_commit(&tx, e);
}

/* A key made beside events that another one sealed would hide that this one is lost. */
static int site_key(struct record *r, struct err *e)
{
    struct keyring_id id = keyring_site(r->o.ring, r->committed);
    if (keyring_state(r->o.ring, id) == KEYRING_HELD) {
        return 0;
    }
    if (r->committed > 0 && !r->o.new_key) {
        return err_set(
            e, ERR_TRUST,
            "the keyring lacks the key of the site, under which %" PRIu64
            " events are sealed: put the keyring's second copy in its place; doctor says "
            "what is lost without it",
            r->committed);
    }
    id.id = r->committed;
    int bad = keyring_add(r->o.ring, id, e);
    return bad < 0 ? bad : keyring_sync(r->o.ring, e);
}

int record_open(int site, const struct record_opts *o, struct record **out, struct err *e)
{
    struct record *r = mem_new(struct record);
    *r = (struct record){.site = -1, .log_dir = -1, .details_dir = -1, .o = *o};
    r->journal = (struct journal){.dir = -1, .fd = -1};
    int bad = file_open_dir(site, "log", &r->log_dir, e);
    bad = bad < 0 ? bad : file_open_dir(site, "details", &r->details_dir, e);
    bad = bad < 0 ? bad : open_log(r, e);
    bad = bad < 0 ? bad : journal_open(site, take_journaled, r, &r->journal, e);
    if (bad == 0) {
        r->committed = r->next = r->published + r->n_pending;
        bad = site_key(r, e);
        bad = bad < 0 ? bad : erase_again(r, e);
    }
    bad = bad < 0 ? bad : catch_up(r, e);
    if (bad < 0) {
        record_close(&r);
        return err_wrap(e, bad, "open the record");
    }
    *out = r;
    return 0;
}

void record_close(struct record **rp)
{
    struct record *r = *rp;
    if (r == NULL) {
        return;
    }
    db_rollback(&r->tx);
    for (size_t i = 0; i < r->n_pending; i++) {
        sealed_clear(&r->pending[i]);
    }
    free(r->pending);
    tlog_view_close(&r->view);
    tlog_close(&r->log);
    journal_close(&r->journal);
    fd_close(&r->log_dir);
    fd_close(&r->details_dir);
    free(r);
    *rp = NULL;
}

/* ---- appending ---- */

static int make_key(struct record *r, uint64_t *id, enum keyring_kind kind, uint64_t index,
                    struct err *e)
{
    if (*id != RECORD_SELF) {
        return 0;
    }
    *id = index;
    return keyring_add(r->o.ring, (struct keyring_id){kind, index}, e);
}

static int append_one(struct record *r, struct event *ev, uint64_t index, struct err *e)
{
    const struct record_kind *k = record_kind_of(r->o.kinds, ev->kind);
    if (k == NULL) {
        return err_set(e, ERR_BUG, "no event of kind %s", ev->kind);
    }
    struct sealed s;
    ev->index = index;
    int bad = make_key(r, &ev->org_id, KEYRING_ORG, index, e);
    bad = bad < 0 ? bad : make_key(r, &ev->account_id, KEYRING_ACCOUNT, index, e);
    bad = bad < 0 ? bad : k->fold(r->o.db, ev, e);
    bad = bad < 0 ? bad : seal_event(k, ev, r->o.ring, r->o.origin, &s, e);
    if (bad == 0) {
        push_pending(r, &s);
    }
    return bad;
}

/* Takes back events appended but not committed, down to `keep` pending ones. */
static void drop_pending(struct record *r, size_t keep)
{
    while (r->n_pending > keep) {
        sealed_clear(&r->pending[--r->n_pending]);
    }
    r->next = r->published + r->n_pending;
}

int record_append(struct record *r, struct event *ev, size_t n, struct err *e)
{
    if (r->stopped) {
        return err_set(e, ERR_UNAVAIL, "a write failed before; the recorder must start again");
    }
    int bad = r->tx.db != NULL ? 0 : db_begin(r->o.db, &r->tx, e);
    bad = bad < 0 ? bad : db_exec(r->o.db, "SAVEPOINT append", DB_NO_ARGS, e);
    if (bad < 0) {
        return bad;
    }
    size_t keep = r->n_pending;
    int64_t before = r->last_time, now = clock_now();
    r->last_time = now > before ? now : before;
    for (size_t i = 0; i < n && bad == 0; i++) {
        ev[i].time = r->last_time;
        bad = append_one(r, &ev[i], r->next + i, e);
    }
    if (bad < 0) {
        drop_pending(r, keep);
        r->last_time = before;
        if (db_exec(r->o.db, "ROLLBACK TO append", DB_NO_ARGS, NULL) < 0) {
            r->stopped =
                true; /* the database is in an unknown state: start again from the journal */
        }
        return bad;
    }
    r->next += n;
    return db_exec(r->o.db, "RELEASE append", DB_NO_ARGS, e);
}

static bool is_erasure(const struct record_kind *k, struct span leaf)
{
    return k->erase != NULL && !k->is_public && leaf.len > 2 &&
           k->type == (leaf.p[1] << 8 | leaf.p[2]);
}

/* The kind of an event that erases somebody, found without opening it; NULL for any other. */
static const struct record_kind *erasing_kind(const struct record *r, struct span leaf)
{
    for (const struct record_kind *const *t = r->o.kinds; *t != NULL; t++) {
        for (const struct record_kind *k = *t; k->name != NULL; k++) {
            if (is_erasure(k, leaf)) {
                return k;
            }
        }
    }
    return NULL;
}

static int erase_committed(struct record *r, size_t from, struct err *e)
{
    struct erasure x = {0};
    int bad = 0;
    for (size_t i = from; i < r->n_pending && bad == 0; i++) {
        const struct sealed *s = &r->pending[i];
        const struct record_kind *kind = erasing_kind(r, buf_view(&s->leaf));
        CLEANUP(event_clear) struct event ev = {0};
        bad = kind == NULL ? 0 : read_pending(r, s, &ev, e);
        if (kind != NULL && bad == 0) {
            kind->erase(&ev, note_id, &x);
        }
    }
    int late = erase_keys(r, &x, bad < 0 ? NULL : e);
    return bad < 0 ? bad : late;
}

int record_commit(struct record *r, struct err *e)
{
    size_t from = (size_t)(r->committed - r->published), n = r->n_pending - from;
    if (n == 0 || r->stopped) {
        return r->stopped ? err_set(e, ERR_UNAVAIL, "the recorder must start again") : 0;
    }
    int bad = keyring_sync(r->o.ring, e);
    bad = bad < 0 ? bad : set_position(r, r->next, e);
    bad = bad < 0 ? bad : journal_commit(&r->journal, r->pending + from, n, e);
    if (bad < 0) {
        db_rollback(&r->tx);
        drop_pending(r, from);
        r->stopped = true;
        return err_wrap(e, bad, "record %zu events", n);
    }
    for (size_t i = from; i < r->n_pending; i++) {
        struct digest leaf = tlog_leaf_hash(buf_view(&r->pending[i].leaf));
        tlog_edge_add(&r->edge, &leaf);
    }
    r->committed = r->next;
    bad = db_commit(&r->tx, e);
    bad = bad < 0 ? bad : erase_committed(r, from, e);
    if (bad < 0) { /* they are durable and will be folded at the next start */
        r->stopped = true;
    }
    return bad;
}
