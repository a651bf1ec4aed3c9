#include "db/db.h"

#include "base/buf.h"
#include "base/mem.h"
#include "check.h"

#include <pthread.h>
#include <unistd.h>

static struct check_dir dir;
static char path[300];
static struct db *db;
static struct err e;

static int open_fresh(void **state)
{
    (void)state;
    dir = check_dir();
    snprintf(path, sizeof path, "%s/x.db", dir.path);
    CHECK_OK(db_open(path, DB_CREATE, &db, &e), e);
    CHECK_OK(db_exec(db, "CREATE TABLE t (a INTEGER, b TEXT, c BLOB) STRICT", DB_NO_ARGS, &e), e);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    db_close(&db);
    db_close(&db); /* twice is fine */
    check_dir_clear(&dir);
    return 0;
}

static int64_t count(struct db *from)
{
    int64_t n = -1;
    CHECK_OK(db_int(from, "SELECT count(*) FROM t", DB_NO_ARGS, &n, &e), e);
    return n;
}

static void the_second_value_stays_second(void **state)
{
    (void)state;
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    CHECK_OK(
        db_query(db, "SELECT $2, $1, '$1'", DB_ARGS(DB_TEXT("one"), DB_TEXT("two")), &rows, &e), e);
    CHECK(db_next(rows, &e) == 1);
    CHECK_STR(db_text(rows, 0), "two");
    CHECK_STR(db_text(rows, 1), "one");
    CHECK_STR(db_text(rows, 2), "$1");
    CHECK(db_next(rows, &e) == 0);
    CHECK(db_next(rows, &e) == 0); /* it does not begin anew */
}

static void values_come_back_as_they_went_in(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0, 1, 0xff};
    const char *insert = "INSERT INTO t VALUES ($1, $2, $3)";
    CHECK_OK(db_exec(db, insert,
                     DB_ARGS(DB_INT(INT64_MIN), DB_TEXT("a'b\xc3\xa4"), DB_BLOB(bytes, 3)), &e),
             e);
    CHECK_OK(db_exec(db, insert, DB_ARGS(DB_NULL, DB_TEXT(NULL), DB_BLOB(NULL, 0)), &e), e);
    CHECK_OK(db_exec(db, insert, DB_ARGS(DB_INT(7), DB_TEXT(""), DB_NULL), &e), e);
    CHECK(db_changes(db) == 1);
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    CHECK_OK(db_query(db, "SELECT a, b, c FROM t ORDER BY rowid", DB_NO_ARGS, &rows, &e), e);
    uint8_t got[3];
    CHECK(db_next(rows, &e) == 1);
    CHECK(db_i64(rows, 0) == INT64_MIN);
    CHECK_STR(db_text(rows, 1), "a'b\xc3\xa4");
    CHECK(db_text_span(rows, 1).len == 5);
    CHECK_OK(db_bytes(rows, 2, got, 3, &e), e);
    CHECK(memcmp(got, bytes, 3) == 0);
    CHECK(db_bytes(rows, 2, got, 2, &e) == ERR_FORMAT);
    CHECK(db_bytes(rows, 1, got, 3, &e) == ERR_FORMAT);
    CHECK(db_next(rows, &e) == 1);
    CHECK(db_null(rows, 0) && db_null(rows, 1) && !db_null(rows, 2));
    CHECK(db_i64(rows, 0) == 0 && db_blob(rows, 2).len == 0);
    CHECK_STR(db_text(rows, 1), "");
    CHECK(db_next(rows, &e) == 1);
    CHECK(!db_null(rows, 1) && db_null(rows, 2));
    CHECK_STR(db_text(rows, 1), "");
}

static void bad_text_never_reaches_the_database(void **state)
{
    (void)state;
    static const struct span bad[] = {
        {(const uint8_t *)"a\0b", 3},
        {(const uint8_t *)"\xff", 1},
        {(const uint8_t *)"\xc0\x80", 2},
        {(const uint8_t *)"\xed\xa0\x80", 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK(db_exec(db, "INSERT INTO t (a, b) VALUES ($1, $2)",
                      DB_ARGS(DB_INT(1), DB_TEXT_SPAN(bad[i])), &e) == ERR_FORMAT);
        CHECK(strstr(e.text, "$2") != NULL);
    }
    CHECK(count(db) == 0);
}

static void a_wrong_number_of_values_is_our_bug(void **state)
{
    (void)state;
    CHECK(db_exec(db, "INSERT INTO t (a) VALUES ($1)", DB_NO_ARGS, &e) == ERR_BUG);
    CHECK(db_exec(db, "INSERT INTO t (a) VALUES ($1)", DB_ARGS(DB_INT(1), DB_INT(2)), &e) ==
          ERR_BUG);
    CHECK(db_exec(db, "SELECT 1; DELETE FROM t", DB_NO_ARGS, &e) == ERR_BUG);
    CHECK(db_exec(db, "", DB_NO_ARGS, &e) == ERR_BUG);
    CHECK(db_exec(db, "SELEKT", DB_NO_ARGS, &e) == ERR_BUG);
    CHECK(db_exec(db, "SELECT \"no such column\" FROM t", DB_NO_ARGS, &e) == ERR_BUG);
    CHECK(db_exec(db, "INSERT INTO t (a) VALUES ('x')", DB_NO_ARGS, &e) == ERR_BUG);
    CHECK(count(db) == 0);
}

static void one_text_may_be_walked_twice_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(db_exec(db, "INSERT INTO t (a) VALUES ($1)", DB_ARGS(DB_INT(i)), &e), e);
    }
    const char *sql = "SELECT a FROM t ORDER BY a";
    int pairs = 0;
    CLEANUP(db_rows_close) struct db_rows *outer = NULL;
    CHECK_OK(db_query(db, sql, DB_NO_ARGS, &outer, &e), e);
    for (int i = 0; db_next(outer, &e) == 1; i++) {
        CHECK(db_i64(outer, 0) == i);
        CLEANUP(db_rows_close) struct db_rows *inner = NULL;
        CHECK_OK(db_query(db, sql, DB_NO_ARGS, &inner, &e), e);
        while (db_next(inner, &e) == 1) {
            pairs++;
        }
    }
    CHECK(pairs == 9);
}

static void more_texts_than_are_kept_still_work(void **state)
{
    (void)state;
    CLEANUP(db_rows_close) struct db_rows *held = NULL;
    CHECK_OK(db_query(db, "SELECT 1", DB_NO_ARGS, &held, &e), e);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 600; i++) {
            char sql[40];
            int64_t got;
            snprintf(sql, sizeof sql, "SELECT %d", i);
            CHECK_OK(db_int(db, sql, DB_NO_ARGS, &got, &e), e);
            CHECK(got == i);
        }
    }
    CHECK(db_next(held, &e) == 1 && db_i64(held, 0) == 1);
}

static void a_failed_constraint_is_a_conflict(void **state)
{
    (void)state;
    CHECK_OK(db_exec(db, "CREATE TABLE u (a INTEGER PRIMARY KEY) STRICT", DB_NO_ARGS, &e), e);
    CHECK_OK(db_exec(db, "CREATE TABLE v (a INTEGER REFERENCES u) STRICT", DB_NO_ARGS, &e), e);
    CHECK_OK(db_exec(db, "INSERT INTO u VALUES (1)", DB_NO_ARGS, &e), e);
    CHECK(db_exec(db, "INSERT INTO u VALUES (1)", DB_NO_ARGS, &e) == ERR_CONFLICT);
    CHECK(db_exec(db, "INSERT INTO v VALUES (2)", DB_NO_ARGS, &e) == ERR_CONFLICT);
    CHECK_OK(db_exec(db, "INSERT INTO v VALUES (1)", DB_NO_ARGS, &e), e);
}

static int two_rows(bool commit)
{
    CLEANUP(db_rollback) struct db_tx tx = DB_TX_NONE;
    CHECK_OK(db_begin(db, &tx, &e), e);
    CHECK_OK(db_exec(db, "INSERT INTO t (a) VALUES (1), (2)", DB_NO_ARGS, &e), e);
    return commit ? db_commit(&tx, &e) : 0;
}

static void what_leaves_early_is_rolled_back(void **state)
{
    (void)state;
    CHECK(two_rows(false) == 0);
    CHECK(count(db) == 0);
    CHECK(two_rows(true) == 0);
    CHECK(count(db) == 2);
    struct db_tx tx, inner;
    CHECK_OK(db_begin(db, &tx, &e), e);
    CHECK(db_begin(db, &inner, &e) == ERR_BUG);
    db_rollback(&tx);
    CHECK(db_commit(&tx, &e) == ERR_BUG);
}

static void nothing_runs_after_the_database_gave_up(void **state)
{
    (void)state;
    CLEANUP(db_rollback) struct db_tx tx = DB_TX_NONE;
    CHECK_OK(db_begin(db, &tx, &e), e);
    CHECK_OK(db_exec(db, "INSERT INTO t (a) VALUES (1)", DB_NO_ARGS, &e), e);
    /* as a full disk does it */
    CHECK_OK(db_exec(db, "CREATE TABLE u (a INTEGER UNIQUE ON CONFLICT ROLLBACK) STRICT",
                     DB_NO_ARGS, &e),
             e);
    CHECK_OK(db_exec(db, "INSERT INTO u VALUES (1)", DB_NO_ARGS, &e), e);
    CHECK(db_exec(db, "INSERT INTO u VALUES (1)", DB_NO_ARGS, &e) == ERR_CONFLICT);
    CHECK(db_exec(db, "INSERT INTO t (a) VALUES (2)", DB_NO_ARGS, &e) == ERR_UNAVAIL);
    CHECK(db_commit(&tx, &e) == ERR_UNAVAIL);
    CHECK(count(db) == 0);
    CHECK(two_rows(true) == 0);
}

struct holder {
    pthread_barrier_t held;
    struct db_tx tx;
    struct db *own;
};

static void *hold_a_while(void *ctx)
{
    struct holder *h = ctx;
    struct err mine;
    CHECK_OK(db_open(path, 0, &h->own, &mine), mine);
    CHECK_OK(db_begin(h->own, &h->tx, &mine), mine);
    pthread_barrier_wait(&h->held);
    usleep(200 * 1000);
    CHECK_OK(db_commit(&h->tx, &mine), mine);
    db_close(&h->own);
    return NULL;
}

static void a_writer_waits_for_another_and_gives_up_in_time(void **state)
{
    (void)state;
    struct holder h = {.tx = DB_TX_NONE};
    pthread_t t;
    pthread_barrier_init(&h.held, NULL, 2);
    CHECK(pthread_create(&t, NULL, hold_a_while, &h) == 0);
    pthread_barrier_wait(&h.held);
    struct db_tx tx;
    db_patience(db, 20);
    CHECK(db_begin(db, &tx, &e) == ERR_UNAVAIL);
    CHECK(db_exec(db, "DELETE FROM t", DB_NO_ARGS, &e) == ERR_UNAVAIL);
    CHECK(count(db) == 0); /* reading goes on */
    db_patience(db, 10000);
    CHECK_OK(db_begin(db, &tx, &e), e);
    CHECK_OK(db_commit(&tx, &e), e);
    pthread_join(t, NULL);
    pthread_barrier_destroy(&h.held);
}

static void a_read_transaction_sees_one_moment(void **state)
{
    (void)state;
    struct db *reader = NULL;
    struct db_tx tx;
    CHECK_OK(db_open(path, DB_READ, &reader, &e), e);
    CHECK_OK(db_begin_read(reader, &tx, &e), e);
    CHECK(count(reader) == 0);
    CHECK(two_rows(true) == 0);
    CHECK(count(reader) == 0);
    db_patience(db, 20);
    CHECK(db_checkpoint(db, &e) == ERR_UNAVAIL);
    CHECK_OK(db_commit(&tx, &e), e);
    CHECK(count(reader) == 2);
    CHECK_OK(db_checkpoint(db, &e), e);
    CHECK(db_exec(reader, "DELETE FROM t", DB_NO_ARGS, &e) == ERR_DENIED);
    CHECK(db_begin(reader, &tx, &e) == ERR_DENIED);
    db_close(&reader);
}

#define UNIT(fn) cmocka_unit_test_setup_teardown(fn, open_fresh, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(the_second_value_stays_second),
        UNIT(values_come_back_as_they_went_in),
        UNIT(bad_text_never_reaches_the_database),
        UNIT(a_wrong_number_of_values_is_our_bug),
        UNIT(one_text_may_be_walked_twice_at_once),
        UNIT(more_texts_than_are_kept_still_work),
        UNIT(a_failed_constraint_is_a_conflict),
        UNIT(what_leaves_early_is_rolled_back),
        UNIT(nothing_runs_after_the_database_gave_up),
        UNIT(a_writer_waits_for_another_and_gives_up_in_time),
        UNIT(a_read_transaction_sees_one_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
