#include "record/record.h"

#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "check.h"

/* Two kinds are enough: people, and one public kind. */

static int fold_person(struct db *db, const struct event *ev, struct err *e)
{
    const char *name =
        ev->org == NULL ? "(erased)" : json_string_value(json_object_get(ev->org, "name"));
    return db_exec(db, "INSERT INTO person VALUES ($1, $2)",
                   DB_ARGS(DB_INT(ev->index), DB_TEXT(name)), e);
}

static int fold_gone(struct db *db, const struct event *ev, struct err *e)
{
    int64_t id = json_integer_value(json_object_get(ev->site, "id"));
    return db_exec(db, "UPDATE person SET name = '(erased)' WHERE id = $1", DB_ARGS(DB_INT(id)), e);
}

static void erase_gone(const struct event *ev, void (*add)(void *ctx, struct keyring_id id),
                       void *ctx)
{
    uint64_t id = (uint64_t)json_integer_value(json_object_get(ev->site, "id"));
    add(ctx, (struct keyring_id){KEYRING_ORG, id});
}

static int fold_nothing(struct db *db, const struct event *ev, struct err *e)
{
    (void)db;
    return ev->open != NULL ? 0 : err_set(e, ERR_BUG, "no open part");
}

static const struct record_kind kinds[] = {
    {"person", 7, false, fold_person, NULL},
    {"gone", 8, false, fold_gone, erase_gone},
    {"published", 0, true, fold_nothing, NULL},
    {0},
};
static const struct record_kind *const tables[] = {kinds, NULL};
static const struct db_migration migration[] = {
    {1, "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT"}};

struct site {
    struct check_dir d;
    struct key_sub sub;
    struct sig_public pk;
    uint8_t sk[64];
    struct keyring *ring;
    struct db *db;
    struct record *rec;
    struct tlog_head last;
};

static int sign_bytes(void *ctx, struct span m, uint8_t out[SIG_LEN], struct err *e)
{
    (void)e;
    const struct site *s = ctx;
    crypto_sign_detached(out, NULL, m.p, m.len, s->sk);
    return 0;
}

static int last_head(void *ctx, struct tlog_head *out, struct err *e)
{
    (void)e;
    *out = ((struct site *)ctx)->last;
    return 0;
}

/* What a signer does: an extension of its own last tree, or nothing. */
static int sign_head(void *ctx, const struct tlog_head *from, const struct tlog_head *head,
                     const struct tlog_hashes *proof, struct buf *note, struct err *e)
{
    struct site *s = ctx;
    struct sig_by by = {sign_bytes, s, s->pk};
    struct tlog_checkpoint c = {.origin = "test.example/log", .head = *head};
    CHECK(from->size == s->last.size);
    CHECK_OK(tlog_check_consistency(from, head, proof, e), *e);
    s->last = *head;
    return tlog_checkpoint_sign(&c, &by, note, e);
}

static int open_site_with(struct site *s, bool new_key, struct err *e)
{
    char path[300];
    struct record_opts o = {.kinds = tables,
                            .origin = "test.example/log",
                            .log_key = s->pk,
                            .last = last_head,
                            .sign = sign_head,
                            .new_key = new_key,
                            .ctx = s};
    snprintf(path, sizeof path, "%s/cordon.db", s->d.path);
    int r = keyring_open(s->d.fd, "keyring", &s->sub, &s->ring, e);
    r = r < 0 ? r : db_open(path, DB_CREATE, &s->db, e);
    r = r < 0 ? r : db_migrate(s->db, "test", migration, 1, e);
    o.ring = s->ring;
    o.db = s->db;
    return r < 0 ? r : record_open(s->d.fd, &o, &s->rec, e);
}

static int open_site(struct site *s, struct err *e)
{
    return open_site_with(s, false, e);
}

static void close_site(struct site *s)
{
    record_close(&s->rec);
    db_close(&s->db);
    keyring_close(&s->ring);
}

static void new_site(struct site *s)
{
    struct err e;
    *s = (struct site){.d = check_dir(), .last = tlog_head_empty()};
    CHECK(sodium_init() >= 0);
    crypto_sign_keypair(s->pk.b, s->sk);
    CHECK_OK(keyring_create(s->d.fd, "keyring", &s->sub, &e), e);
    CHECK_OK(record_create(s->d.fd, &e), e);
    CHECK_OK(open_site(s, &e), e);
}

static void end_site(struct site *s)
{
    close_site(s);
    check_dir_clear(&s->d);
}

static int add_person(struct site *s, const char *name, struct event *out, struct err *e)
{
    CLEANUP(js_free) json_t *org = js_new();
    js_set_str(org, "name", name);
    struct event ev = {.kind = "person", .org = org, .org_id = RECORD_SELF};
    int r = record_append(s->rec, &ev, 1, e);
    if (out != NULL) {
        *out = ev;
    }
    return r;
}

static int64_t people(struct site *s, const char *name)
{
    int64_t n = -1;
    struct err e;
    CHECK_OK(db_int(s->db, "SELECT count(*) FROM person WHERE name = $1", DB_ARGS(DB_TEXT(name)),
                    &n, &e),
             e);
    return n;
}

static void committed_events_survive_and_the_rest_does_not(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    struct event ev;
    new_site(&s);
    CHECK_OK(add_person(&s, "a", &ev, &e), e);
    CHECK(ev.index == 0 && ev.org_id == 0 && ev.time > 0);
    CHECK_OK(record_commit(s.rec, &e), e);
    CHECK_OK(add_person(&s, "b", NULL, &e), e); /* never committed */
    close_site(&s);
    CHECK_OK(open_site(&s, &e), e);
    CHECK(record_size(s.rec) == 1 && people(&s, "a") == 1 && people(&s, "b") == 0);
    CHECK_OK(add_person(&s, "b", &ev, &e), e);
    CHECK(ev.index == 1);
    CHECK_OK(record_commit(s.rec, &e), e);
    CHECK_OK(record_publish(s.rec, &e), e);
    CHECK(s.last.size == 2);
    close_site(&s);
    CHECK_OK(open_site(&s, &e), e);
    CHECK(record_size(s.rec) == 2);
    CLEANUP(event_clear) struct event got = {0};
    CHECK_OK(record_get(s.rec, 1, &got, &e), e);
    CHECK_STR(js_str_or(got.org, "name", NULL), "b");
    CHECK(got.time == ev.time && strcmp(got.kind, "person") == 0);
    end_site(&s);
}

static void a_refused_event_leaves_its_neighbours(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    new_site(&s);
    CHECK_OK(add_person(&s, "a", NULL, &e), e);
    CHECK(add_person(&s, "a", NULL, &e) == ERR_CONFLICT);
    CHECK_OK(add_person(&s, "b", NULL, &e), e);
    CHECK_OK(record_commit(s.rec, &e), e);
    CHECK(record_size(s.rec) == 2 && people(&s, "a") == 1 && people(&s, "b") == 1);
    end_site(&s);
}

static void the_log_grows_as_the_signer_last_saw_it(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    new_site(&s);
    for (int i = 0; i < 600; i++) {
        char name[20];
        snprintf(name, sizeof name, "p%d", i);
        CHECK_OK(add_person(&s, name, NULL, &e), e);
        if (i % 97 == 0) {
            CHECK_OK(record_commit(s.rec, &e), e);
            CHECK_OK(record_publish(s.rec, &e), e);
        }
    }
    CHECK_OK(record_commit(s.rec, &e), e);
    struct tlog_head before = record_head(s.rec);
    CHECK_OK(record_publish(s.rec, &e), e);
    CHECK(s.last.size == 600 && digest_eq(&s.last.root, &before.root));
    for (uint64_t i = 0; i < 600; i += 37) {
        char name[20];
        CLEANUP(event_clear) struct event got = {0};
        snprintf(name, sizeof name, "p%d", (int)i);
        CHECK_OK(record_get(s.rec, i, &got, &e), e);
        CHECK_STR(js_str_or(got.org, "name", NULL), name);
    }
    close_site(&s);
    CHECK_OK(open_site(&s, &e), e);
    CHECK(record_size(s.rec) == 600);
    end_site(&s);
}

#define ODD "b\n\x1b[31m\"\\" /* a file may have such a name, and an event tell of it */

static void a_rebuild_gives_the_same_but_for_the_erased(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    new_site(&s);
    CHECK_OK(add_person(&s, "a", NULL, &e), e);
    CHECK_OK(add_person(&s, ODD, NULL, &e), e);
    CHECK_OK(record_commit(s.rec, &e), e);
    CHECK_OK(record_publish(s.rec, &e), e);
    CLEANUP(js_free) json_t *site = js_new();
    js_set_int(site, "id", 0);
    struct event gone = {.kind = "gone", .site = site};
    CHECK_OK(record_append(s.rec, &gone, 1, &e), e);
    CHECK_OK(record_commit(s.rec, &e), e);
    CHECK(keyring_state(s.ring, (struct keyring_id){KEYRING_ORG, 0}) == KEYRING_ERASED);
    CLEANUP(event_clear) struct event got = {0};
    CHECK_OK(record_get(s.rec, 0, &got, &e), e);
    CHECK(got.org == NULL);
    char path[300];
    uint64_t lost = 7;
    CLEANUP(db_close) struct db *fresh = NULL;
    snprintf(path, sizeof path, "%s/fresh.db", s.d.path);
    CHECK_OK(db_open(path, DB_CREATE, &fresh, &e), e);
    CHECK_OK(db_migrate(fresh, "test", migration, 1, &e), e);
    CHECK_OK(record_rebuild(s.rec, fresh, &lost, &e), e);
    int64_t n = 0;
    CHECK_OK(db_int(fresh, "SELECT count(*) FROM person WHERE name IN ($1, '(erased)')",
                    DB_ARGS(DB_TEXT(ODD)), &n, &e),
             e);
    CHECK(n == 2 && lost == 0);
    end_site(&s);
}

/* A power cut may take the database's last commits back, because only the journal is waited for. */
static void a_database_that_fell_behind_is_brought_up_to_date(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    char was[300];
    new_site(&s);
    snprintf(was, sizeof was, "%s/was.db", s.d.path);
    CHECK_OK(add_person(&s, "a", NULL, &e), e);
    CHECK_OK(record_commit(s.rec, &e), e);
    CHECK_OK(db_copy(s.db, was, &e), e);
    CHECK_OK(add_person(&s, "b", NULL, &e), e);
    CHECK_OK(record_commit(s.rec, &e), e);
    CHECK_OK(record_publish(s.rec, &e), e); /* "b" is in the log now */
    CHECK_OK(add_person(&s, "c", NULL, &e), e);
    CHECK_OK(record_commit(s.rec, &e), e); /* "c" in the journal only */
    close_site(&s);
    CHECK(unlinkat(s.d.fd, "cordon.db-wal", 0) == 0 && unlinkat(s.d.fd, "cordon.db-shm", 0) == 0);
    CHECK(renameat(s.d.fd, "was.db", s.d.fd, "cordon.db") == 0);
    CHECK_OK(open_site(&s, &e), e);
    CHECK(people(&s, "a") == 1 && people(&s, "b") == 1 && people(&s, "c") == 1);
    CHECK(record_size(s.rec) == 3);
    end_site(&s);
}

static void a_part_can_be_shown_alone(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    new_site(&s);
    CLEANUP(js_free) json_t *site = js_new();
    CLEANUP(js_free) json_t *org = js_new();
    js_set_str(site, "secret", "of the operator");
    js_set_str(org, "name", "a");
    struct event ev = {.kind = "person", .site = site, .org = org, .org_id = RECORD_SELF};
    CHECK_OK(record_append(s.rec, &ev, 1, &e), e);
    CHECK_OK(record_commit(s.rec, &e), e);
    CHECK_OK(record_publish(s.rec, &e), e);
    CLEANUP(js_free) json_t *shown = NULL;
    CHECK_OK(record_open_part(s.rec, 0, "org", &shown, &e), e);
    CLEANUP(fd_close) int log = openat(s.d.fd, "log", O_RDONLY | O_DIRECTORY);
    struct tlog_tiles tiles = tlog_tiles_dir(&log);
    struct tlog_view *view = NULL;
    CLEANUP(buf_clear) struct buf entry = BUF(LIMIT_ENTRY);
    CHECK_OK(tlog_view_open(&tiles, &s.last, &view, &e), e);
    CHECK_OK(tlog_entry(view, 0, &entry, &e), e);
    tlog_view_close(&view);
    CHECK(entry.len == 35); /* nothing about its length leaks */
    CHECK_OK(record_check_part(shown, buf_view(&entry), &e), e);
    js_set_str(shown, "text", "{\"name\":\"b\"}");
    CHECK(record_check_part(shown, buf_view(&entry), &e) == ERR_TRUST);
    end_site(&s);
}

static void a_lost_journal_is_not_passed_over(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    new_site(&s);
    CHECK_OK(add_person(&s, "a", NULL, &e), e);
    CHECK_OK(record_commit(s.rec, &e), e);
    close_site(&s);
    CLEANUP(fd_close) int fd = openat(s.d.fd, "journal/00000000000000000000", O_RDWR);
    CHECK(ftruncate(fd, 48) == 0);
    CHECK(open_site(&s, &e) == ERR_TRUST);
    CHECK(strstr(e.text, "the database knows 1 events, the journal only 0") != NULL);
    end_site(&s);
}

static int add_note(struct site *s, int64_t id, struct err *e)
{
    CLEANUP(js_free) json_t *site = js_new();
    js_set_int(site, "id", id);
    struct event ev = {.kind = "gone", .site = site};
    int r = record_append(s->rec, &ev, 1, e);
    return r < 0 ? r : record_commit(s->rec, e);
}

static int64_t note_of(struct site *s, uint64_t index)
{
    struct err e;
    CLEANUP(event_clear) struct event ev = {0};
    CHECK_OK(record_get(s->rec, index, &ev, &e), e);
    return ev.site == NULL ? -1 : js_int_or(ev.site, "id", -2);
}

static void a_lost_site_key_is_not_replaced_unasked(void **state)
{
    (void)state;
    struct site s;
    struct err e;
    new_site(&s);
    CHECK_OK(add_note(&s, 71, &e), e);
    close_site(&s);
    CHECK(unlinkat(s.d.fd, "keyring", 0) == 0);
    CHECK_OK(keyring_create(s.d.fd, "keyring", &s.sub, &e), e);
    CHECK(open_site(&s, &e) == ERR_TRUST);
    CHECK(strstr(e.text, "the keyring lacks the key of the site") != NULL);
    close_site(&s);
    CHECK_OK(open_site_with(&s, true, &e), e);
    CHECK(note_of(&s, 0) == -1); /* lost, not wrong */
    CHECK_OK(add_note(&s, 72, &e), e);
    CHECK(note_of(&s, 1) == 72);
    close_site(&s);
    CHECK_OK(open_site(&s, &e), e);
    CHECK(note_of(&s, 0) == -1 && note_of(&s, 1) == 72);
    end_site(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(committed_events_survive_and_the_rest_does_not),
        TEST(a_refused_event_leaves_its_neighbours),
        TEST(the_log_grows_as_the_signer_last_saw_it),
        TEST(a_rebuild_gives_the_same_but_for_the_erased),
        TEST(a_database_that_fell_behind_is_brought_up_to_date),
        TEST(a_part_can_be_shown_alone),
        TEST(a_lost_journal_is_not_passed_over),
        TEST(a_lost_site_key_is_not_replaced_unasked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
