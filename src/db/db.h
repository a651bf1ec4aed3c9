/* db.h - one SQL interface, whatever database is below it.
 *
 * SQL is written once, with $1, $2 ... as placeholders and nothing else that only one database
 * understands. Values are typed and never become part of the text. A struct db is used by one
 * thread at a time; open one per thread. Errors: ERR_UNAVAIL somebody else holds the lock for too
 * long, ERR_CONFLICT a constraint said no, ERR_FORMAT the file is damaged or no database,
 * ERR_SYS disk full or I/O error, ERR_DENIED read only, ERR_BUG the SQL is wrong. */
#pragma once
#include "base/err.h"
#include "base/span.h"

struct db;
struct db_rows;

/* ---- values ---- */

enum db_kind { DB_KIND_NULL = 0, DB_KIND_INT, DB_KIND_TEXT, DB_KIND_BLOB };

struct db_value {
    enum db_kind kind;
    int64_t i;
    struct span s;
};

struct db_args {
    const struct db_value *v;
    size_t n;
};

static inline struct db_value db_value_span(enum db_kind kind, struct span s)
{
    return (struct db_value){.kind = kind, .s = s};
}

static inline struct db_value db_value_str(const char *s)
{
    if (s == NULL) {
        return (struct db_value){.kind = DB_KIND_NULL};
    }
    return db_value_span(DB_KIND_TEXT, span_str(s));
}

/* db_exec(db, "INSERT INTO t VALUES ($1, $2)", DB_ARGS(DB_INT(1), DB_TEXT("x")), e).
 * Texts must be UTF-8 without NUL, else the call is ERR_FORMAT and nothing is done. */
#define DB_NULL ((struct db_value){.kind = DB_KIND_NULL})
#define DB_INT(x) ((struct db_value){.kind = DB_KIND_INT, .i = (int64_t)(x)})
#define DB_TEXT(str) db_value_str(str)                     /* const char *; NULL is NULL */
#define DB_TEXT_SPAN(sp) db_value_span(DB_KIND_TEXT, (sp)) /* struct span */
#define DB_BLOB(ptr, len) db_value_span(DB_KIND_BLOB, span_of((ptr), (len)))
#define DB_BLOB_SPAN(sp) db_value_span(DB_KIND_BLOB, (sp))
#define DB_ARGS(...)                                                                               \
    ((struct db_args){(const struct db_value[]){__VA_ARGS__},                                      \
                      sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value)})
#define DB_NO_ARGS ((struct db_args){NULL, 0})

/* ---- opening ---- */

enum db_flags {
    DB_READ = 1,   /* read only; the file must exist, somebody else may be writing it */
    DB_CREATE = 2, /* make an empty database if there is none */
    DB_FOLD = 4,   /* all in it can be made again from what is durable elsewhere: a commit need not
                    * wait for the disk. A power cut may take back the last commits, whole and in
                    * order; the file stays sound. */
};

/* `where` is the path of a file (SQLite). Without DB_CREATE a missing file is ERR_NOTFOUND; with
 * DB_READ a database whose owner has not set it up yet is ERR_UNAVAIL, to be tried again. A file
 * of another application is ERR_FORMAT. */
MUST_CHECK int db_open(const char *where, unsigned flags, struct db **out, struct err *e);
void db_close(struct db **db); /* for CLEANUP too; rolls back what is open */

/* How long to wait for a lock that another process holds, in milliseconds (10,000 at first). */
void db_patience(struct db *db, int milliseconds);

/* ---- statements ---- */

/* Runs one statement to its end; rows are dropped. Statements are kept prepared by their text, so
 * write the text as a literal and never print values into it. */
MUST_CHECK int db_exec(struct db *db, const char *sql, struct db_args args, struct err *e);
int64_t db_changes(const struct db *db); /* rows that the last db_exec() changed */

/* Starts a statement; walk with db_next(), end with db_rows_close(). *rows is set on success. The
 * arguments are copied. Several iterations may be open at a time, of the same text too. */
MUST_CHECK int db_query(struct db *db, const char *sql, struct db_args args, struct db_rows **rows,
                        struct err *e);
MUST_CHECK int db_next(struct db_rows *rows, struct err *e); /* 1 a row, 0 the end, negative */
void db_rows_close(struct db_rows **rows);                   /* for CLEANUP; NULL is fine */

/* Columns of the present row, from 0. What is borrowed holds until the next db_next() or close.
 * NULL reads as 0, "" or an empty span; db_null() tells it apart. */
int64_t db_i64(struct db_rows *rows, int col);
const char *db_text(struct db_rows *rows, int col); /* borrowed, never NULL */
struct span db_text_span(struct db_rows *rows, int col);
struct span db_blob(struct db_rows *rows, int col);
bool db_null(struct db_rows *rows, int col);

/* Reads a blob of exactly n bytes into out: ERR_FORMAT for any other length. */
MUST_CHECK int db_bytes(struct db_rows *rows, int col, void *out, size_t n, struct err *e);

/* The first column of the first row; ERR_NOTFOUND without a row. */
MUST_CHECK int db_int(struct db *db, const char *sql, struct db_args args, int64_t *out,
                      struct err *e);

/* ---- transactions ---- */

/*     CLEANUP(db_rollback) struct db_tx tx = DB_TX_NONE;
 *     int r = db_begin(db, &tx, e);
 *     ...
 *     return db_commit(&tx, e);
 * Whatever leaves early rolls back. A statement that is run after the database itself gave the
 * transaction up (disk full) is refused, so nothing is half done. They do not nest. */
struct db_tx {
    struct db *db;
};
#define DB_TX_NONE ((struct db_tx){NULL})

MUST_CHECK int db_begin(struct db *db, struct db_tx *tx, struct err *e);      /* to write */
MUST_CHECK int db_begin_read(struct db *db, struct db_tx *tx, struct err *e); /* one snapshot */
MUST_CHECK int db_commit(struct db_tx *tx, struct err *e); /* on failure it is rolled back */
void db_rollback(struct db_tx *tx);                        /* nothing if it has ended */

/* ---- schema ---- */

/* Numbers count 1, 2, 3 ... within a group ("account", "release"); `sql` is one or more statements
 * without placeholders. Never change one that was released: add the next. */
struct db_migration {
    int number;
    const char *sql;
};

/* Brings the group up to date, all or nothing, in one transaction. Tables must be STRICT (ERR_BUG
 * else). A database with a newer number than the last of `list` is ERR_CONFLICT and stays
 * untouched. On a database opened with DB_READ it only checks: one not yet migrated by its owner
 * is ERR_UNAVAIL. */
MUST_CHECK int db_migrate(struct db *db, const char *group, const struct db_migration *list,
                          size_t n, struct err *e);

/* ---- care ---- */

/* Reads all of it and checks its structure: 0, or ERR_FORMAT with the first thing wrong. */
MUST_CHECK int db_check(struct db *db, struct err *e);

/* Moves everything from the write-ahead log into the main file, so that bytes erased by DELETE or
 * UPDATE are in neither. ERR_UNAVAIL while a reader holds an older snapshot. */
MUST_CHECK int db_checkpoint(struct db *db, struct err *e);

/* A consistent copy, while others read and write; `path` must not exist. fsynced. */
MUST_CHECK int db_copy(struct db *db, const char *path, struct err *e);
