#include "delivery/delivery_priv.h"

/* `delivered` names each pair of blob and target once, so that a row of `granted`, of which there
 * are millions, stays short. item is NULL where the organisation was erased before a rebuild. */
const struct db_migration delivery_migrations[] = {
    {1,
     "CREATE TABLE delivered (id INTEGER PRIMARY KEY, blob BLOB NOT NULL, target TEXT NOT NULL,"
     " size INTEGER NOT NULL, UNIQUE (blob, target)) STRICT;"
     "CREATE TABLE granted (idx INTEGER PRIMARY KEY, time INTEGER NOT NULL, org INTEGER NOT NULL,"
     " account INTEGER NOT NULL, item INTEGER, node TEXT NOT NULL, first INTEGER NOT NULL,"
     " last INTEGER NOT NULL, whole INTEGER NOT NULL) STRICT;"
     "CREATE INDEX granted_item ON granted (item, time);"
     "CREATE INDEX granted_org ON granted (org, time);"
     "CREATE INDEX granted_range ON granted (account, item, time) WHERE whole = 0;"
     "CREATE TABLE ack (idx INTEGER PRIMARY KEY, granted INTEGER NOT NULL, time INTEGER NOT NULL,"
     " first INTEGER NOT NULL, acked INTEGER NOT NULL) STRICT;"
     "CREATE INDEX ack_granted ON ack (granted);"},
};
const size_t delivery_migrations_n = ARRAY_LEN(delivery_migrations);

static int item_of(struct db *db, const struct digest *blob, const char *target, uint64_t size,
                   int64_t *out, struct err *e)
{
    struct db_args key = DB_ARGS(DB_BLOB(blob->b, sizeof blob->b), DB_TEXT(target), DB_INT(size));
    struct db_args name = {key.v, 2};
    int r = db_int(db, "SELECT id FROM delivered WHERE blob = $1 AND target = $2", name, out, e);
    if (r != ERR_NOTFOUND) {
        return r;
    }
    r = db_exec(db, "INSERT INTO delivered (blob, target, size) VALUES ($1, $2, $3)", key, e);
    return r < 0 ? r
                 : db_int(db, "SELECT id FROM delivered WHERE blob = $1 AND target = $2", name, out,
                          e);
}

static int fold_grant(struct db *db, const struct event *ev, struct err *e)
{
    if (ev->org == NULL) {
        return db_exec(db, "INSERT INTO granted VALUES ($1, $2, $3, $4, NULL, '', 0, -1, 1)",
                       DB_ARGS(DB_INT(ev->index), DB_INT(ev->time), DB_INT(ev->org_id),
                               DB_INT(ev->account_id)),
                       e);
    }
    struct digest blob;
    const char *target = NULL;
    uint64_t size = 0;
    int64_t item = 0, first = 0, last = 0;
    bool whole = true;
    int r = js_sha256(ev->org, "blob", &blob, e);
    r = r < 0 ? r : js_str(ev->org, "target", &target, e);
    r = r < 0 ? r : js_u64(ev->org, "size", &size, e);
    r = r < 0 ? r : js_int(ev->org, "first", &first, e);
    r = r < 0 ? r : js_int(ev->org, "last", &last, e);
    r = r < 0 ? r : js_bool(ev->org, "whole", &whole, e);
    r = r < 0 ? r : item_of(db, &blob, target, size, &item, e);
    return r < 0 ? r
                 : db_exec(db, "INSERT INTO granted VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                           DB_ARGS(DB_INT(ev->index), DB_INT(ev->time), DB_INT(ev->org_id),
                                   DB_INT(ev->account_id), DB_INT(item),
                                   DB_TEXT(js_str_or(ev->org, "node", "")), DB_INT(first),
                                   DB_INT(last), DB_INT(whole)),
                           e);
}

static int fold_end(struct db *db, const struct event *ev, struct err *e)
{
    int64_t grant = 0, first = 0, acked = 0;
    if (ev->org == NULL) {
        return 0;
    }
    int r = js_int(ev->org, "grant", &grant, e);
    r = r < 0 ? r : js_int(ev->org, "first", &first, e);
    r = r < 0 ? r : js_int(ev->org, "acked", &acked, e);
    return r < 0 ? r
                 : db_exec(db, "INSERT INTO ack VALUES ($1, $2, $3, $4, $5)",
                           DB_ARGS(DB_INT(ev->index), DB_INT(grant), DB_INT(ev->time),
                                   DB_INT(first), DB_INT(acked)),
                           e);
}

const struct record_kind delivery_kinds[] = {
    {"grant", 0x0301, false, fold_grant, NULL},
    {"end", 0x0302, false, fold_end, NULL},
    {0},
};
