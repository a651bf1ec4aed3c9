/* doctor_rebuild.c - cordon.db made anew: it is a fold of the events, nothing else. */
#include "cli/doctor.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/table.h"
#include "record/record.h"
#include "serve/events.h"

#define FRESH "cordon.db.new"
#define KEPT "cordon.db.before"

struct rebuild {
    struct doctor *d;
    struct keyring *ring;
    struct db *db;
    struct record *rec;
    json_t *lost; /* {"org N": true} */
    bool new_keyring, keep_db;
    struct sig_public log_key;
    uint64_t closed;    /* deliveries whose organisation's key is lost */
    uint64_t site_from; /* before this event the parts of the site are lost */
};

/* Only publishing asks the signer; a rebuild publishes nothing. */
static int no_last(void *ctx, struct tlog_head *out, struct err *e)
{
    (void)ctx;
    (void)out;
    return err_set(e, ERR_BUG, "a rebuild asks no signer");
}

static int no_sign(void *ctx, const struct tlog_head *from, const struct tlog_head *head,
                   const struct tlog_hashes *proof, struct buf *note, struct err *e)
{
    (void)from;
    (void)head;
    (void)proof;
    (void)note;
    return no_last(ctx, NULL, e);
}

static void remove_fresh(const struct app *app)
{
    static const char *const names[] = {FRESH, FRESH "-wal", FRESH "-shm"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)unlinkat(app->site, names[i], 0);
    }
}

/* ---- the keyring ---- */

static int open_ring(struct rebuild *b, struct err *e)
{
    CLEANUP(key_sub_clear) struct key_sub sub;
    const struct app *app = b->d->app;
    const char *copy = settings_text(app->settings, SETTING_KEYRING_COPY);
    key_subkey(b->d->kek, KEY_RECORD, &sub);
    int r = keyring_open(app->site, "keyring", &sub, &b->ring, e);
    if (r == ERR_NOTFOUND && b->new_keyring) {
        r = keyring_create(app->site, "keyring", &sub, e);
        return r < 0 ? r : keyring_open(app->site, "keyring", &sub, &b->ring, e);
    }
    if (r == ERR_NOTFOUND) {
        err_set(e, r,
                "the keyring is lost. Put its copy%s%s back as %s/keyring. Without one the sealed "
                "events stay closed for ever: who the customers are, whose each delivery was, "
                "where files came from; --new-keyring goes on so, and keeps the old database, "
                "which still holds that in clear, as " KEPT,
                copy[0] != 0 ? " " : "", copy, app->site_path);
    }
    return r;
}

/* Which keys the events mention and the keyring neither holds nor has erased. */
static void note_lost(struct rebuild *b, enum keyring_kind kind, const char *what, uint64_t id)
{
    struct keyring_id k = {kind, id};
    if (keyring_state(b->ring, k) == KEYRING_ABSENT) {
        CLEANUP(mem_free) char *name = mem_printf("%s %" PRIu64, what, id);
        js_set_bool(b->lost, name, true);
    }
}

static int find_lost(struct rebuild *b, uint64_t *events, struct err *e)
{
    uint64_t n = record_size(b->rec);
    int r = 0;
    if (keyring_state(b->ring, (struct keyring_id){KEYRING_SITE, 0}) == KEYRING_ABSENT && n > 0) {
        b->site_from = keyring_site(b->ring, n).id;
    }
    for (uint64_t i = 0; i < n && r == 0; i++) {
        CLEANUP(event_clear) struct event ev = {0};
        r = record_get(b->rec, i, &ev, e);
        if (r == 0 && ev.org_id != 0) {
            note_lost(b, KEYRING_ORG, "organisation", ev.org_id);
            b->closed += strcmp(ev.kind, "grant") == 0 &&
                         keyring_state(b->ring, (struct keyring_id){KEYRING_ORG, ev.org_id}) ==
                             KEYRING_ABSENT;
        }
        if (r == 0 && ev.account_id != 0) {
            note_lost(b, KEYRING_ACCOUNT, "account", ev.account_id);
        }
        if (!b->d->app->quiet && (i & 1023) == 0) {
            progress("look for lost keys", i, n, NULL);
        }
    }
    progress_end();
    *events = n;
    return r;
}

/* ---- the database ---- */

/* record_open() folds into the empty database all that there is. */
static int fold_all(struct rebuild *b, const char *path, bool *mendable, struct err *e)
{
    const struct app *app = b->d->app;
    CLEANUP(fd_close) int keys = -1;
    struct record_opts o = {.kinds = events_kinds,
                            .ring = b->ring,
                            .origin = settings_text(app->settings, SETTING_REPOSITORY_NAME),
                            .last = no_last,
                            .sign = no_sign,
                            .new_key = b->new_keyring};
    int r = file_open_dir(app->site, "keys", &keys, e);
    r = r < 0 ? r : key_public(keys, "log", &o.log_key, e);
    r = r < 0 ? r : db_open(path, DB_CREATE, &b->db, e);
    r = r < 0 ? r : events_migrate(b->db, e);
    o.db = b->db;
    r = r < 0 ? r : record_open(app->site, &o, &b->rec, e);
    if (r == ERR_TRUST || r == ERR_FORMAT || r == ERR_NOTFOUND) {
        *mendable = strstr(e->text, "journal/") != NULL;
        b->log_key = o.log_key;
    }
    return r;
}

static int64_t last_known(const struct app *app)
{
    int64_t n = -1;
    CLEANUP(db_close) struct db *db = NULL;
    CLEANUP(mem_free) char *path = mem_printf("%s/cordon.db", app->site_path);
    return db_open(path, DB_READ, &db, NULL) == 0 &&
                   db_int(db, "SELECT size FROM record_position", DB_NO_ARGS, &n, NULL) == 0
               ? n
               : -1;
}

/* `known`: how many events the old database had seen, negative if it cannot tell. */
static void tell_missing(struct rebuild *b, int64_t known, uint64_t kept)
{
    if (known < 0) {
        doctor_say(b->d, DOCTOR_BAD, "journal",
                   "%" PRIu64
                   " events are left; whether others came after them nobody can tell, at "
                   "most those of the last second before the damage",
                   kept);
    } else if ((uint64_t)known > kept) {
        doctor_say(b->d, DOCTOR_BAD, "journal",
                   "events %" PRIu64 " to %lld are lost: look into journal.damaged/ and " KEPT
                   ", and repeat what they did",
                   kept, (long long)known - 1);
        b->keep_db = true;
    } else {
        doctor_say(b->d, DOCTOR_OK, "journal", "no event is lost");
    }
}

/* A damaged journal is replaced by what is left of it; what is not left is named. */
static int mend(struct rebuild *b, const char *path, struct err *e)
{
    const struct app *app = b->d->app;
    struct err why = *e;
    uint64_t kept = 0;
    int64_t known = last_known(app);
    bool again = false;
    db_close(&b->db);
    remove_fresh(app);
    int r = record_mend_journal(app->site, settings_text(app->settings, SETTING_REPOSITORY_NAME),
                                &b->log_key, &kept, e);
    if (r < 0) {
        return r;
    }
    doctor_say(b->d, DOCTOR_BAD, "journal", "%s", why.text);
    tell_missing(b, known, kept);
    return fold_all(b, path, &again, e);
}

/* One file takes the place of the other; the old one's write-ahead log must not be read into the
 * new one, so it goes first: nothing in it is missing from the events. */
static int replace(const struct app *app, struct rebuild *b, struct err *e)
{
    int r = db_checkpoint(b->db, e);
    r = r < 0 ? r : db_check(b->db, e);
    db_close(&b->db);
    if (r < 0) {
        return r;
    }
    /* what is lost from the events may stand in the old one */
    if ((b->new_keyring || b->keep_db) && linkat(app->site, "cordon.db", app->site, KEPT, 0) < 0 &&
        errno != ENOENT && errno != EEXIST) {
        return err_sys(e, "keep the old database as " KEPT);
    }
    (void)unlinkat(app->site, "cordon.db-wal", 0);
    (void)unlinkat(app->site, "cordon.db-shm", 0);
    if (renameat(app->site, FRESH, app->site, "cordon.db") < 0) {
        return err_sys(e, "put the new database in place");
    }
    return file_sync_dir(app->site, e);
}

static void tell(struct doctor *d, uint64_t events, const struct rebuild *b)
{
    size_t orgs = 0, n = json_object_size(b->lost);
    const char *name;
    json_t *yes;
    json_object_foreach(b->lost, name, yes)
    {
        orgs += strncmp(name, "organisation", 12) == 0;
    }
    if (b->site_from > 0) {
        doctor_say(d, DOCTOR_BAD, "rebuild",
                   "the site's key before event %" PRIu64 " is lost: who admitted what from where, "
                   "operators, product grants and reasons entered before stay closed; enter "
                   "operators and grants again",
                   b->site_from);
    }
    doctor_say(d, DOCTOR_OK, "rebuild", "cordon.db was made anew from %" PRIu64 " events", events);
    if (n > 0) {
        doctor_say(
            d, DOCTOR_BAD, "rebuild",
            "the keyring lacks the keys of %zu organisations and %zu accounts: whose %" PRIu64
            " deliveries were stays closed until its copy is restored",
            orgs, n - orgs, b->closed);
    }
}

int doctor_rebuild(struct doctor *d, bool new_keyring, struct err *e)
{
    struct rebuild b = {.d = d, .lost = js_new(), .new_keyring = new_keyring};
    const struct app *app = d->app;
    CLEANUP(mem_free) char *path = mem_printf("%s/" FRESH, app->site_path);
    uint64_t events = 0;
    bool mendable = false;
    int64_t known = last_known(app);
    remove_fresh(app); /* of a rebuild that was killed */
    int r = open_ring(&b, e);
    r = r < 0 ? r : fold_all(&b, path, &mendable, e);
    if (r < 0 && mendable) {
        r = mend(&b, path, e);
    } else if (r == 0 && known > (int64_t)record_size(b.rec)) {
        tell_missing(&b, known, record_size(b.rec));
    }
    r = r < 0 ? r : find_lost(&b, &events, e);
    record_close(&b.rec);
    r = r < 0 ? r : replace(app, &b, e);
    db_close(&b.db);
    keyring_close(&b.ring);
    if (r < 0) {
        remove_fresh(app);
        err_wrap(e, r, "rebuild the database; the old one is as it was");
    } else {
        tell(d, events, &b);
    }
    js_free(&b.lost);
    return r;
}
