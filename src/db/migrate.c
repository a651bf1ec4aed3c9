#include "db/db_priv.h"

static int present(struct db *db, const char *group, int64_t *out, struct err *e)
{
    return db_int(db, "SELECT coalesce(max(number), 0) FROM schema WHERE \"group\" = $1",
                  DB_ARGS(DB_TEXT(group)), out, e);
}

/* 1 if there is something to do. */
static int compare(struct db *db, const char *group, size_t known, int64_t *have, struct err *e)
{
    int r = present(db, group, have, e);
    if (r < 0) {
        return err_wrap(e, r, "schema of %s", group);
    }
    if (*have > (int64_t)known) {
        return err_set(e, ERR_CONFLICT,
                       "schema of %s: the database is at %lld, this program knows only up to %zu: "
                       "it was written by a newer Cordon; use that one (nothing was changed)",
                       group, (long long)*have, known);
    }
    return *have < (int64_t)known;
}

static int apply(struct db *db, const char *group, const struct db_migration *m, struct err *e)
{
    int r = db_script(db, m->sql, e);
    if (r == 0) {
        r = db_exec(db, "INSERT INTO schema (\"group\", number) VALUES ($1, $2)",
                    DB_ARGS(DB_TEXT(group), DB_INT(m->number)), e);
    }
    return r < 0 ? err_wrap(e, r, "migration %d of %s", m->number, group) : 0;
}

int db_migrate(struct db *db, const char *group, const struct db_migration *list, size_t n,
               struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i].number != (int)i + 1) {
            return err_set(e, ERR_BUG, "migrations of %s: number %d stands at place %zu", group,
                           list[i].number, i + 1);
        }
    }
    int64_t have = 0;
    int r = compare(db, group, n, &have, e);
    if (r <= 0) {
        return r;
    }
    if (db_read_only(db)) {
        return err_set(e, ERR_UNAVAIL,
                       "schema of %s: the database is at %lld and %zu is needed; the process that "
                       "owns it brings it up to date when it starts",
                       group, (long long)have, n);
    }
    CLEANUP(db_rollback) struct db_tx tx = DB_TX_NONE;
    r = db_begin(db, &tx, e);
    if (r < 0) {
        return err_wrap(e, r, "schema of %s", group);
    }
    r = compare(db, group, n, &have, e); /* another process may have been faster */
    if (r < 0) {
        return r;
    }
    for (size_t i = (size_t)have; i < n; i++) {
        r = apply(db, group, &list[i], e);
        if (r < 0) {
            return r;
        }
    }
    r = db_vet(db, e);
    if (r < 0) {
        return err_wrap(e, r, "schema of %s", group);
    }
    return db_commit(&tx, e);
}
