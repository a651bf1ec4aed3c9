#include "db/db.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/file.h"
#include "check.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

static struct check_dir dir;
static char path[300];
static struct err e;

static int fresh(void **state)
{
    (void)state;
    dir = check_dir();
    snprintf(path, sizeof path, "%s/x.db", dir.path);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    check_dir_clear(&dir);
    return 0;
}

static struct db *make_with_rows(int n)
{
    struct db *db = NULL;
    CHECK_OK(db_open(path, DB_CREATE, &db, &e), e);
    CHECK_OK(db_exec(db, "CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b TEXT) STRICT",
                     DB_NO_ARGS, &e),
             e);
    struct db_tx tx;
    CHECK_OK(db_begin(db, &tx, &e), e);
    for (int i = 0; i < n; i++) {
        CHECK_OK(db_exec(db, "INSERT INTO t (b) VALUES ($1)",
                         DB_ARGS(DB_TEXT("some text that fills a page or two of the file")), &e),
                 e);
    }
    CHECK_OK(db_commit(&tx, &e), e);
    return db;
}

static int64_t ask(struct db *db, const char *sql)
{
    int64_t n = -1;
    CHECK_OK(db_int(db, sql, DB_NO_ARGS, &n, &e), e);
    return n;
}

static void every_connection_is_strict_and_safe(void **state)
{
    (void)state;
    struct db *db = make_with_rows(1);
    CHECK(ask(db, "PRAGMA foreign_keys") == 1);
    CHECK(ask(db, "PRAGMA synchronous") == 2);
    CHECK(ask(db, "PRAGMA trusted_schema") == 0);
    CHECK(ask(db, "PRAGMA cell_size_check") == 1);
    CHECK(ask(db, "PRAGMA secure_delete") == 1);
    CHECK(ask(db, "PRAGMA busy_timeout") == 10000);
    CHECK(ask(db, "PRAGMA application_id") == 0x43726e64);
    CHECK(ask(db, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'") == 1);
    struct stat st;
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0007) == 0);
    db_close(&db);
    CHECK_OK(db_open(path, DB_FOLD, &db, &e), e); /* only this one need not wait for the disk */
    CHECK(ask(db, "PRAGMA synchronous") == 1);
    db_close(&db);
}

static void what_cannot_be_opened_says_why(void **state)
{
    (void)state;
    struct db *db = NULL;
    CHECK(db_open(path, DB_READ, &db, &e) == ERR_NOTFOUND);
    CHECK(db_open(path, 0, &db, &e) == ERR_NOTFOUND);
    CHECK(!file_exists(dir.fd, "x.db"));
    CHECK(db_open("postgresql://u:secret@h/d", 0, &db, &e) == ERR_UNAVAIL);
    CHECK(strstr(e.text, "secret") == NULL);
    CHECK_OK(file_write(dir.fd, "x.db", span_str(""), 0600, &e), e);
    CHECK(db_open(path, DB_READ, &db, &e) == ERR_UNAVAIL);
    CHECK(db_open(path, 0, &db, &e) == ERR_UNAVAIL);
    char text[5000];
    memset(text, 'x', sizeof text);
    CHECK_OK(file_write(dir.fd, "x.db", span_of(text, sizeof text), 0600, &e), e);
    CHECK(db_open(path, DB_READ, &db, &e) == ERR_FORMAT);
    CHECK(db_open(path, DB_CREATE, &db, &e) == ERR_FORMAT);
    CHECK(strstr(e.text, "not a database") != NULL);
    char below[320];
    snprintf(below, sizeof below, "%s/none/x.db", dir.path);
    CHECK(db_open(below, DB_CREATE, &db, &e) == ERR_SYS && e.sys == ENOENT);
    CHECK(db == NULL);
}

static void a_file_of_another_application_is_refused(void **state)
{
    (void)state;
    sqlite3 *h;
    struct db *db = NULL;
    CHECK(sqlite3_open(path, &h) == SQLITE_OK);
    CHECK(sqlite3_exec(h, "CREATE TABLE bookmarks (a)", NULL, NULL, NULL) == SQLITE_OK);
    CHECK(sqlite3_close(h) == SQLITE_OK);
    CHECK(db_open(path, DB_CREATE, &db, &e) == ERR_FORMAT);
    CHECK(strstr(e.text, "another application") != NULL);
}

static void a_damaged_file_is_named_with_the_reason(void **state)
{
    (void)state;
    struct db *db = make_with_rows(2000);
    CHECK_OK(db_check(db, &e), e);
    CHECK_OK(db_checkpoint(db, &e), e);
    db_close(&db);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t junk[600];
    memset(junk, 0x5a, sizeof junk);
    CHECK_OK(fd_pwrite(fd, span_of(junk, sizeof junk), UINT64_C(5) * 4096, &e), e);
    close(fd);
    CHECK_OK(db_open(path, 0, &db, &e), e);
    CHECK(db_check(db, &e) == ERR_FORMAT);
    CHECK(strstr(e.text, "x.db") != NULL && strstr(e.text, "doctor") != NULL);
    db_close(&db);
    CHECK(truncate(path, 3 * 4096 + 100) == 0);
    CHECK(db_open(path, 0, &db, &e) == ERR_FORMAT);
}

static void erased_text_is_gone_from_the_files(void **state)
{
    (void)state;
    struct db *db = make_with_rows(10);
    CHECK_OK(
        db_exec(db, "INSERT INTO t (b) VALUES ($1)", DB_ARGS(DB_TEXT("wanda.the.customer")), &e),
        e);
    CHECK_OK(db_exec(db, "DELETE FROM t WHERE b = $1", DB_ARGS(DB_TEXT("wanda.the.customer")), &e),
             e);
    CHECK_OK(db_checkpoint(db, &e), e);
    static const char *const names[] = {"x.db", "x.db-wal"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP(buf_clear) struct buf b = BUF(1 << 20);
        CHECK_OK(file_read(dir.fd, names[i], 1 << 20, &b, &e), e);
        CHECK(b.len == 0 || memmem(b.p, b.len, "wanda", 5) == NULL);
    }
    db_close(&db);
}

static void a_copy_is_whole_and_never_overwrites(void **state)
{
    (void)state;
    struct db *db = make_with_rows(100), *copy = NULL;
    char to[320];
    snprintf(to, sizeof to, "%s/copy.db", dir.path);
    CHECK_OK(db_copy(db, to, &e), e);
    CHECK(db_copy(db, to, &e) == ERR_CONFLICT);
    CHECK_OK(db_open(to, DB_READ, &copy, &e), e);
    CHECK(ask(copy, "SELECT count(*) FROM t") == 100);
    CHECK_OK(db_check(copy, &e), e);
    db_close(&copy);
    db_close(&db);
}

/* In a process of its own, as a user who may read but not write. */
static int as_stranger(int want_open, int64_t want_rows)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct db *db = NULL;
        int64_t n = -1;
        if (setgid(65534) != 0 || setuid(65534) != 0) {
            _exit(10);
        }
        int r = db_open(path, DB_READ, &db, &e);
        if (r == 0 && db_int(db, "SELECT count(*) FROM t", DB_NO_ARGS, &n, &e) < 0) {
            fprintf(stderr, "%s\n", e.text);
            _exit(11);
        }
        if (r != want_open) {
            fprintf(stderr, "%s\n", r < 0 ? e.text : "opened");
        }
        db_close(&db);
        _exit(r != want_open ? 12 : r == 0 && n != want_rows ? 13 : 0);
    }
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static void readers_of_other_users_come_and_go_with_the_owner(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip(); /* needs a second user */
    }
    struct db *db = make_with_rows(3);
    CHECK(chmod(dir.path, 0755) == 0 && chmod(path, 0644) == 0);
    db_close(&db);
    db = make_with_rows(1); /* -wal and -shm get the mode of the file */
    char shm[320], wal[320];
    snprintf(shm, sizeof shm, "%s-shm", path);
    snprintf(wal, sizeof wal, "%s-wal", path);
    CHECK(chmod(shm, 0644) == 0 && chmod(wal, 0644) == 0);
    CHECK(as_stranger(0, 4) == 0); /* while the owner runs */
    db_close(&db);
    CHECK(as_stranger(0, 4) == 0); /* after it stopped */
    CHECK(unlink(shm) == 0 && unlink(wal) == 0);
    CHECK(as_stranger(ERR_UNAVAIL, 0) == 0);      /* a database brought from elsewhere */
    CHECK_OK(db_open(path, DB_READ, &db, &e), e); /* somebody who may make the files */
    CHECK(ask(db, "SELECT count(*) FROM t") == 4);
    db_close(&db);
}

static void two_may_create_it_at_once(void **state)
{
    (void)state;
    pid_t pids[4];
    for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            struct db *db = NULL;
            int r = db_open(path, DB_CREATE, &db, &e);
            static const struct db_migration list[] = {{1, "CREATE TABLE t (a INTEGER) STRICT"}};
            r = r < 0 ? r : db_migrate(db, "t", list, 1, &e);
            if (r < 0) {
                fprintf(stderr, "%s\n", e.text);
            }
            _exit(r < 0 ? 1 : 0);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
        int status;
        CHECK(waitpid(pids[i], &status, 0) == pids[i] && status == 0);
    }
}

/* RLIMIT_FSIZE stands for a full disk: the kernel refuses to let the file grow. */
static void a_refused_write_loses_nothing_and_says_so(void **state)
{
    (void)state;
    struct db *db = make_with_rows(100);
    CHECK_OK(db_checkpoint(db, &e), e);
    db_close(&db);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){40960, 40960});
        struct db_tx tx = DB_TX_NONE;
        int r = db_open(path, 0, &db, &e);
        r = r < 0 ? r : db_begin(db, &tx, &e);
        for (int i = 0; r == 0 && i < 100000; i++) {
            r = db_exec(db, "INSERT INTO t (b) VALUES ('some text to fill it up')", DB_NO_ARGS, &e);
        }
        r = r < 0 ? r : db_commit(&tx, &e);
        if (r != ERR_SYS || e.sys == 0) {
            fprintf(stderr, "%d %s\n", r, e.text);
            _exit(1);
        }
        db_rollback(&tx);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK_OK(db_open(path, 0, &db, &e), e);
    CHECK(ask(db, "SELECT count(*) FROM t") == 100);
    CHECK_OK(db_check(db, &e), e);
    db_close(&db);
}

static void a_killed_writer_leaves_what_it_committed(void **state)
{
    (void)state;
    int ready[2];
    CHECK(pipe2(ready, O_CLOEXEC) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct db *db = make_with_rows(50);
        struct db_tx tx;
        if (db_begin(db, &tx, &e) < 0 || db_exec(db, "DELETE FROM t", DB_NO_ARGS, &e) < 0) {
            _exit(1);
        }
        if (write(ready[1], "x", 1) != 1) {
            _exit(1);
        }
        pause();
        _exit(1);
    }
    char c;
    CHECK(read(ready[0], &c, 1) == 1);
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, NULL, 0) == pid);
    struct db *db = NULL;
    CHECK_OK(db_open(path, DB_READ, &db, &e), e);
    CHECK(ask(db, "SELECT count(*) FROM t") == 50);
    db_close(&db);
    close(ready[0]);
    close(ready[1]);
}

#define UNIT(fn) cmocka_unit_test_setup_teardown(fn, fresh, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(every_connection_is_strict_and_safe),
        UNIT(what_cannot_be_opened_says_why),
        UNIT(a_file_of_another_application_is_refused),
        UNIT(a_damaged_file_is_named_with_the_reason),
        UNIT(erased_text_is_gone_from_the_files),
        UNIT(a_copy_is_whole_and_never_overwrites),
        UNIT(readers_of_other_users_come_and_go_with_the_owner),
        UNIT(two_may_create_it_at_once),
        UNIT(a_refused_write_loses_nothing_and_says_so),
        UNIT(a_killed_writer_leaves_what_it_committed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
