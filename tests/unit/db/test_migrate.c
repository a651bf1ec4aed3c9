#include "db/db.h"

#include "check.h"

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
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    db_close(&db);
    check_dir_clear(&dir);
    return 0;
}

static const struct db_migration good[] = {
    {1, "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1)"},
    {2, "ALTER TABLE a ADD COLUMN y TEXT; CREATE INDEX a_y ON a (y)"},
};

static bool has_table(const char *name)
{
    int64_t n = 0;
    CHECK_OK(db_int(db, "SELECT count(*) FROM sqlite_schema WHERE name = $1",
                    DB_ARGS(DB_TEXT(name)), &n, &e),
             e);
    return n > 0;
}

static void a_group_is_brought_up_to_date_once(void **state)
{
    (void)state;
    int64_t n;
    CHECK_OK(db_migrate(db, "a", good, 1, &e), e);
    CHECK_OK(db_migrate(db, "a", good, 2, &e), e);
    CHECK_OK(db_migrate(db, "a", good, 2, &e), e);
    CHECK_OK(db_int(db, "SELECT count(*) FROM a WHERE y IS NULL", DB_NO_ARGS, &n, &e), e);
    CHECK(n == 1);
    static const struct db_migration other[] = {{1, "CREATE TABLE b (x INTEGER) STRICT"}};
    CHECK_OK(db_migrate(db, "b", other, 1, &e), e); /* groups count on their own */
    CHECK_OK(db_int(db, "SELECT sum(number) FROM schema", DB_NO_ARGS, &n, &e), e);
    CHECK(n == 1 + 2 + 1);
}

static void a_newer_schema_is_left_alone(void **state)
{
    (void)state;
    CHECK_OK(db_migrate(db, "a", good, 2, &e), e);
    CHECK(db_migrate(db, "a", good, 1, &e) == ERR_CONFLICT);
    CHECK(strstr(e.text, "at 2") != NULL && strstr(e.text, "newer Cordon") != NULL);
}

static void a_bad_migration_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        int want;
    } cases[] = {
        {"CREATE TABLE bad (x INTEGER)", ERR_BUG}, /* not STRICT */
        {"CREATE TABLE bad (x INTEGER) STRICT; SELEKT", ERR_BUG},
        {"CREATE TABLE bad (x INTEGER) STRICT; COMMIT", ERR_BUG},
        {"CREATE TABLE bad (x INTEGER PRIMARY KEY) STRICT; INSERT INTO bad VALUES (1), (1)",
         ERR_CONFLICT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (i == 2) {
            continue; /* below */
        }
        const struct db_migration list[] = {good[0], {2, cases[i].sql}};
        CHECK(db_migrate(db, "a", list, 2, &e) == cases[i].want);
        CHECK(!has_table("bad") && !has_table("a"));
    }
    const struct db_migration ends[] = {{1, cases[2].sql}};
    CHECK(db_migrate(db, "a", ends, 1, &e) == ERR_BUG);
    CHECK(strstr(e.text, "may not end its transaction") != NULL);
    const struct db_migration gap[] = {good[0], {3, "SELECT 1"}};
    CHECK(db_migrate(db, "a", gap, 2, &e) == ERR_BUG);
}

static void a_reader_only_looks(void **state)
{
    (void)state;
    struct db *reader = NULL;
    CHECK_OK(db_open(path, DB_READ, &reader, &e), e);
    CHECK(db_migrate(reader, "a", good, 2, &e) == ERR_UNAVAIL);
    CHECK_OK(db_migrate(db, "a", good, 2, &e), e);
    CHECK_OK(db_migrate(reader, "a", good, 2, &e), e);
    db_close(&reader);
}

#define UNIT(fn) cmocka_unit_test_setup_teardown(fn, open_fresh, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_group_is_brought_up_to_date_once),
        UNIT(a_newer_schema_is_left_alone),
        UNIT(a_bad_migration_changes_nothing),
        UNIT(a_reader_only_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
