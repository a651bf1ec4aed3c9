#include "db/sqlite_priv.h"

#include "base/fd.h"
#include "base/mem.h"

#include <fcntl.h>
#include <unistd.h>

#define APPLICATION_ID 0x43726e64 /* "Crnd" */
#define WAL_KEPT "67108864"       /* the log file is cut to this after a burst */

void db_sqlite_close(void *conn)
{
    struct db_sqlite_conn *c = conn;
    if (c != NULL) {
        sqlite3_close_v2(c->h);
        free(c->path);
        free(c);
    }
}

static void close_conn(struct db_sqlite_conn **c)
{
    db_sqlite_close(*c);
    *c = NULL;
}

/* SQLite's own default would let everybody read it. Only a file made here is ever opened and
 * closed: closing any descriptor of a database drops the locks this process has on it. */
static int make_file(const char *path, struct err *e)
{
    CLEANUP(fd_close) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0 && errno != EEXIST) {
        return err_sys(e, "make the database %s", path);
    }
    return 0;
}

static int configure(struct db_sqlite_conn *c, unsigned flags, struct err *e)
{
    static const struct {
        int option, value;
    } options[] = {
        {SQLITE_DBCONFIG_ENABLE_FKEY, 1}, {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_DEFENSIVE, 1},   {SQLITE_DBCONFIG_DQS_DML, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},     {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        int rc = sqlite3_db_config(c->h, options[i].option, options[i].value, NULL);
        if (rc != SQLITE_OK) {
            return db_sqlite_fail(c, rc, "configure", e);
        }
    }
    if ((flags & DB_READ) != 0) {
        return db_sqlite_exec(c, "PRAGMA cell_size_check = ON", e);
    }
    /* secure_delete: what is erased is overwritten, because a row may be about a person */
    int r = db_sqlite_exec(c,
                           "PRAGMA cell_size_check = ON; PRAGMA synchronous = FULL;"
                           "PRAGMA secure_delete = ON; PRAGMA journal_size_limit = " WAL_KEPT,
                           e);
    return r < 0 || (flags & DB_FOLD) == 0 ? r
                                           : db_sqlite_exec(c, "PRAGMA synchronous = NORMAL", e);
}

/* Switching to the write-ahead log needs the file for itself, and SQLite does not wait for that. */
static int use_wal(struct db_sqlite_conn *c, struct err *e)
{
    for (int tries = 0;; tries++) {
        CLEANUP(buf_clear) struct buf mode = BUF(64);
        int r = db_sqlite_one_text(c, "PRAGMA journal_mode = WAL", &mode, e);
        if (r == 0 && strcmp(buf_text(&mode), "wal") != 0) {
            return err_set(e, ERR_SYS, "database %s: its file system cannot hold a write-ahead log",
                           c->path);
        }
        if (r != ERR_UNAVAIL || tries == 100) {
            return r;
        }
        sqlite3_sleep(20);
    }
}

/* Is this ours, empty, or somebody else's? 1 if it is empty. The tables are counted first: whoever
 * creates it meanwhile commits tables and id at once, so tables that are seen have their id by
 * then. */
static int identify(struct db_sqlite_conn *c, struct err *e)
{
    int64_t id = 0, tables = 0;
    int r = db_sqlite_one_int(c, "SELECT count(*) FROM sqlite_schema", &tables, e);
    if (r == 0) {
        r = db_sqlite_one_int(c, "PRAGMA application_id", &id, e);
    }
    if (r < 0) {
        return r;
    }
    if (id != APPLICATION_ID && (id != 0 || tables > 0)) {
        return err_set(e, ERR_FORMAT, "database %s: it belongs to another application", c->path);
    }
    return id == 0;
}

static int set_up(struct db_sqlite_conn *c, struct err *e)
{
    int r = db_sqlite_exec(c, "BEGIN IMMEDIATE", e);
    if (r < 0) {
        return r;
    }
    r = identify(c, e); /* two processes may create it at once */
    if (r > 0) {
        r = db_sqlite_exec(c,
                           "CREATE TABLE schema (\"group\" TEXT NOT NULL, number INTEGER NOT NULL,"
                           " PRIMARY KEY (\"group\", number)) STRICT, WITHOUT ROWID;"
                           "PRAGMA application_id = 1131572836",
                           e);
    }
    if (r == 0) {
        r = db_sqlite_exec(c, "COMMIT", e);
    }
    if (r < 0) {
        sqlite3_exec(c->h, "ROLLBACK", NULL, NULL, NULL);
    }
    return r;
}
_Static_assert(APPLICATION_ID == 1131572836, "the pragma takes no expression");

static int prepare_file(struct db_sqlite_conn *c, unsigned flags, struct err *e)
{
    int r = (flags & DB_READ) == 0 ? use_wal(c, e) : 0;
    r = r < 0 ? r : identify(c, e);
    if (r <= 0) {
        return r;
    }
    if ((flags & DB_CREATE) == 0) {
        return err_set(e, ERR_UNAVAIL,
                       "database %s: it is empty; the process that owns it sets it up when it "
                       "starts",
                       c->path);
    }
    return set_up(c, e);
}

/* A reader that may not write in the folder needs the -wal and -shm of the owner. */
static int explain_cantopen(struct db_sqlite_conn *c, int r, unsigned flags, struct err *e)
{
    CLEANUP(mem_free) char *shm = mem_printf("%s-shm", c->path);
    int rc = sqlite3_errcode(c->h) & 0xff;
    bool wal = rc == SQLITE_CANTOPEN || rc == SQLITE_READONLY;
    if ((flags & DB_READ) != 0 && wal && access(shm, F_OK) != 0) {
        return err_set(e, ERR_UNAVAIL,
                       "database %s: its owner does not run, and this process may not make %s; "
                       "start the owner first",
                       c->path, shm);
    }
    return r;
}

int db_sqlite_open(const char *where, unsigned flags, void **out, struct err *e)
{
    int mode = (flags & DB_READ) != 0 ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    int keep = 1;
    int r = (flags & DB_CREATE) != 0 ? make_file(where, e) : 0;
    if (r < 0) {
        return r;
    }
    CLEANUP(close_conn) struct db_sqlite_conn *c = mem_new(struct db_sqlite_conn);
    c->path = mem_str(where);
    int rc =
        sqlite3_open_v2(where, &c->h, mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (c->h == NULL) {
        return err_set(e, ERR_NOMEM, "open the database %s", where);
    }
    if (rc != SQLITE_OK) {
        if (access(where, F_OK) != 0 && errno == ENOENT) {
            return err_set(e, ERR_NOTFOUND, "there is no database %s", where);
        }
        return db_sqlite_fail(c, rc, "open", e);
    }
    sqlite3_busy_timeout(c->h, 5000);
    r = configure(c, flags, e);
    r = r < 0 ? r : prepare_file(c, flags, e);
    if (r < 0) {
        return explain_cantopen(c, r, flags, e);
    }
    if ((flags & DB_READ) == 0) {
        /* -wal and -shm stay, so that readers who may not make them can open it at any time */
        sqlite3_file_control(c->h, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
    }
    *out = c;
    c = NULL;
    return 0;
}
