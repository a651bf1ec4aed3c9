/* doctor_keyring.c - is the keyring whole, what is lost if not, is its copy as good? And are the
 * records that it opens those of the log? */
#include "cli/doctor.h"

#include <fcntl.h>
#include <inttypes.h>

#include "account/account.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "db/db.h"
#include "record/record.h"

#define LOST_SHOWN ((size_t)20) /* names of one finding */

static int check_ring(int dir, const char *name, size_t *records, struct buf *text, struct err *e)
{
    size_t torn = 0;
    int r = file_read(dir, name, LIMIT_KEYRING, text, e);
    return r < 0 ? r : keyring_check(buf_view(text), records, &torn, e);
}

/* What a lost keyring takes with it, as far as the database still tells. */
static void say_lost(struct doctor *d, const char *why)
{
    CLEANUP(db_close) struct db *db = NULL;
    CLEANUP(js_free) json_t *orgs = NULL;
    CLEANUP(js_free) json_t *accounts = NULL;
    CLEANUP(mem_free) char *path = mem_printf("%s/cordon.db", d->app->site_path);
    const char *copy = settings_text(d->app->settings, SETTING_KEYRING_COPY);
    bool known = db_open(path, DB_READ, &db, NULL) == 0 && account_org_list(db, &orgs, NULL) == 0 &&
                 account_list(db, NULL, &accounts, NULL) == 0;
    doctor_say(d, DOCTOR_BAD, "keyring", "%s: stop the server and put its copy%s%s back", why,
               copy[0] != 0 ? " " : "", copy);
    doctor_say(
        d, DOCTOR_BAD, "keyring",
        "without a copy the sealed events stay closed: whose each delivery was, where files "
        "came from%s. doctor --rebuild --new-keyring goes on so and keeps the database, which "
        "still holds that in clear",
        known ? "" : ", who the customers are");
    if (known) {
        doctor_say(d, DOCTOR_BAD, "keyring",
                   "lost with it: the records of %zu organisations and "
                   "%zu accounts",
                   json_array_size(orgs), json_array_size(accounts));
    }
}

/* Ids of a keyring: "KIND ID" with whether its key is held (else it was erased). */
static void note_ring(void *ctx, struct keyring_id id, enum keyring_state state)
{
    CLEANUP(mem_free) char *name = mem_printf("%d %" PRIu64, (int)id.kind, id.id);
    js_set_bool(ctx, name, state == KEYRING_HELD);
}

/* Those whom the database knows and the keyring does not. */
struct lost {
    const json_t *ring;
    struct buf names;
    size_t n;
};

static void lost_clear(struct lost *l)
{
    buf_clear(&l->names);
}

static int name_lost(struct db *db, enum keyring_kind kind, const char *sql, struct lost *l,
                     struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    int r = db_query(db, sql, DB_NO_ARGS, &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        CLEANUP(mem_free) char *id = mem_printf("%d %lld", (int)kind, (long long)db_i64(rows, 0));
        if (json_object_get(l->ring, id) != NULL) {
            continue;
        }
        if (++l->n <= LOST_SHOWN) {
            buf_fmt(&l->names, "%s%s (%lld deliveries)", l->names.len > 0 ? ", " : "",
                    db_text(rows, 1), (long long)db_i64(rows, 2));
        }
    }
    return r;
}

/* Without an event nothing is sealed yet, and the first start makes the site's key. */
static bool record_began(struct db *db)
{
    int64_t n = 0;
    return db_int(db, "SELECT size FROM record_position", DB_NO_ARGS, &n, NULL) == 0 && n > 0;
}

static void keyring_lost_keys(struct doctor *d, const json_t *ring)
{
    struct err e;
    CLEANUP(db_close) struct db *db = NULL;
    CLEANUP(lost_clear) struct lost l = {.ring = ring, .names = BUF((size_t)64 << 10)};
    CLEANUP(mem_free) char *path = mem_printf("%s/cordon.db", d->app->site_path);
    int r = db_open(path, DB_READ, &db, &e);
    r = r < 0 ? r
              : name_lost(db, KEYRING_ORG,
                          "SELECT id, coalesce(name, '(no name)'), (SELECT count(*) FROM granted"
                          " WHERE granted.org = org.id) FROM org WHERE erased = 0",
                          &l, &e);
    r = r < 0 ? r
              : name_lost(db, KEYRING_ACCOUNT,
                          "SELECT id, coalesce('account ' || login, '(an account)'), (SELECT"
                          " count(*) FROM granted WHERE account = account.id) FROM account"
                          " WHERE erased = 0",
                          &l, &e);
    if (r == 0 && l.n > 0) {
        doctor_say(d, DOCTOR_BAD, "keyring",
                   "the keys of %zu organisations and accounts are lost: %s%s. Put the keyring's "
                   "second copy back: without it what the events say of them stays closed, and "
                   "they get nothing more until they are added again",
                   l.n, buf_text(&l.names), l.n > LOST_SHOWN ? ", ..." : "");
    }
    if (r == 0 && json_object_get(ring, "1 0") == NULL && record_began(db)) {
        doctor_say(d, DOCTOR_BAD, "keyring",
                   "the key of the site is lost: who admitted what from where, operators, product "
                   "grants and reasons stay closed in the events");
    }
}

/* An erased key that lives on in the copy is not erased. */
static void keyring_erased_in_copy(struct doctor *d, const json_t *ring, const json_t *copy)
{
    const char *id;
    json_t *held;
    size_t n = 0;
    json_object_foreach((json_t *)(uintptr_t)ring, id, held)
    {
        n += !json_is_true(held) && json_is_true(json_object_get(copy, id));
    }
    if (n > 0) {
        doctor_say(d, DOCTOR_BAD, "keyring",
                   "its second copy still holds %zu keys that were erased; the running server "
                   "brings it up to date",
                   n);
    }
}

/* The recorder writes the copy within a second of a change, also of one just before this. */
static int check_copy(const char *copy, size_t records, size_t *there, struct buf *text,
                      struct err *e)
{
    int r = 0;
    for (int i = 0; i < 15; i++) {
        buf_reset(text);
        r = check_ring(AT_FDCWD, copy, there, text, e);
        if (r == 0 && *there >= records) {
            break;
        }
        nanosleep(&(struct timespec){0, 200 * 1000 * 1000}, NULL);
    }
    return r;
}

static void keyring_copy_of(struct doctor *d, size_t records, const json_t *ring)
{
    struct err e;
    size_t there = 0;
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_KEYRING);
    const char *copy = settings_text(d->app->settings, SETTING_KEYRING_COPY);
    if (copy[0] == 0) {
        doctor_say(d, DOCTOR_BAD, "keyring",
                   "it has no second copy: if it is lost, nobody can say who has what; set "
                   "keyring.copy in cordon.yaml to a file on another disk and start the server");
    } else if (check_copy(copy, records, &there, &text, &e) < 0) {
        doctor_say(d, DOCTOR_BAD, "keyring",
                   "its second copy cannot be used: %s; the running server writes it", e.text);
    } else if (there < records) {
        doctor_say(d, DOCTOR_BAD, "keyring",
                   "its second copy %s holds %zu of %zu records; the running server brings it up "
                   "to date",
                   copy, there, records);
    } else if (there > records) {
        doctor_say(d, DOCTOR_BAD, "keyring",
                   "its second copy %s holds %zu records, it only %zu: an old keyring is in place; "
                   "stop the server and put the copy back",
                   copy, there, records);
    } else {
        CLEANUP(js_free) json_t *held = js_new();
        if (keyring_list(buf_view(&text), note_ring, held, &e) == 0) {
            keyring_erased_in_copy(d, ring, held);
        }
        doctor_say(d, DOCTOR_OK, "keyring", "whole, with a second copy %s", copy);
    }
}

void doctor_keyring(struct doctor *d)
{
    struct err e;
    size_t records = 0;
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_KEYRING);
    CLEANUP(js_free) json_t *ring = js_new();
    if (check_ring(d->app->site, "keyring", &records, &text, &e) < 0) {
        say_lost(d, e.text);
        return;
    }
    if (keyring_list(buf_view(&text), note_ring, ring, &e) == 0) {
        keyring_lost_keys(d, ring);
    }
    keyring_copy_of(d, records, ring);
}

/* ---- details ---- */

static void say_rot(void *ctx, uint64_t first, uint64_t last, const char *why)
{
    doctor_say(ctx, DOCTOR_BAD, "details",
               "records %" PRIu64 " to %" PRIu64
               " are damaged (%s): restore details/ from a backup; "
               "cordon.db still holds what they said",
               first, last, why);
}

void doctor_details(struct doctor *d)
{
    struct err e;
    struct keyring *ring = NULL;
    CLEANUP(fd_close) int keys = -1;
    CLEANUP(key_sub_clear) struct key_sub sub;
    struct record_check c = {.origin = settings_text(d->app->settings, SETTING_REPOSITORY_NAME),
                             .rot = say_rot,
                             .ctx = d};
    size_t bad = d->bad;
    uint64_t size = 0;
    int r = file_open_dir(d->app->site, "keys", &keys, &e);
    r = r < 0 ? r : key_public(keys, "log", &c.log_key, &e);
    if (r == 0 && d->kek != NULL) {
        key_subkey(d->kek, KEY_RECORD, &sub);
        if (keyring_open(d->app->site, "keyring", &sub, &ring, NULL) == 0) {
            c.ring = ring;
        }
    }
    r = r < 0 ? r : record_check_details(d->app->site, &c, &size, &e);
    if (r < 0) {
        doctor_say(d, DOCTOR_BAD, "details", "%s", e.text);
    } else if (d->bad == bad) {
        doctor_say(d, DOCTOR_OK, "details", "%" PRIu64 " records are those of the log%s", size,
                   ring != NULL ? ", and open" : "; not opened, for want of the passphrase");
    }
    keyring_close(&ring);
}
