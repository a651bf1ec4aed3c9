#include "release/release_db_priv.h"

/* ---- withheld, recalled, lifted ---- */

int release_fold_withheld(struct db *db, const struct event *ev, struct err *e)
{
    struct digest d;
    const char *reason = NULL;
    if (ev->site == NULL) {
        return 0;
    }
    int r = js_sha256(ev->site, "sha256", &d, e);
    r = r < 0 ? r : js_str(ev->site, "reason", &reason, e);
    return r < 0 ? r
                 : db_exec(db,
                           "INSERT INTO barred (sha256, withheld, time, reason, who, cause)"
                           " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
                           DB_ARGS(DIGEST(d), DB_INT(ev->index), DB_INT(ev->time), DB_TEXT(reason),
                                   DB_TEXT(js_str_or(ev->site, "who", NULL)),
                                   DB_TEXT(js_str_or(ev->site, "by", NULL))),
                           e);
}

int release_fold_recalled(struct db *db, const struct event *ev, struct err *e)
{
    struct digest d;
    const char *reason = NULL;
    int r = js_sha256(ev->open, "sha256", &d, e);
    r = r < 0 ? r : js_str(ev->open, "reason", &reason, e);
    return r < 0 ? r
                 : db_exec(db,
                           "INSERT INTO barred (sha256, recalled, time, reason, replacement)"
                           " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (sha256) DO UPDATE"
                           " SET recalled = excluded.recalled, time = excluded.time,"
                           " reason = excluded.reason, replacement = excluded.replacement",
                           DB_ARGS(DIGEST(d), DB_INT(ev->index), DB_INT(ev->time), DB_TEXT(reason),
                                   DB_TEXT(js_str_or(ev->open, "replacement", NULL))),
                           e);
}

int release_fold_lifted(struct db *db, const struct event *ev, struct err *e)
{
    struct digest d;
    char hex[DIGEST_TEXT + 1];
    int64_t lost = 0;
    int r = js_sha256(ev->open, "sha256", &d, e);
    r = r < 0 ? r : db_exec(db, "DELETE FROM barred WHERE sha256 = $1", DB_ARGS(DIGEST(d)), e);
    if (r < 0 || db_changes(db) > 0) {
        return r;
    }
    r = db_int(db, "SELECT count(*) FROM admission_lost", DB_NO_ARGS, &lost, e);
    return r < 0 || lost > 0 ? r
                             : err_set(e, ERR_CONFLICT, "%s is neither withheld nor recalled",
                                       digest_text(&d, hex));
}

/* ---- alarm, retro ---- */

int release_fold_alarm(struct db *db, const struct event *ev, struct err *e)
{
    if (ev->site == NULL) {
        return 0;
    }
    struct digest d;
    bool known =
        js_sha256(ev->site, "sha256", &d, NULL) == 0 || js_sha256(ev->site, "blob", &d, NULL) == 0;
    const char *fault = js_str_or(ev->site, "fault", js_str_or(ev->site, "kind", "unknown"));
    CLEANUP(js_free) json_t *body = json_copy(ev->site);
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_JSON);
    json_object_del(body, "blob");
    json_object_del(body, "kind");
    js_set_str(body, "fault", fault);
    js_set_time(body, "time", ev->time);
    if (known) {
        js_set_sha256(body, "sha256", &d);
    }
    js_write(&text, body);
    int r = buf_done(&text, "an alarm", e);
    return r < 0 ? r
                 : db_exec(db, "INSERT INTO alarm VALUES ($1, $2, $3, $4, $5)",
                           DB_ARGS(DB_INT(ev->index), DB_INT(ev->time), known ? DIGEST(d) : DB_NULL,
                                   DB_TEXT(fault), DB_TEXT_SPAN(buf_view(&text))),
                           e);
}

int release_fold_retro(struct db *db, const struct event *ev, struct err *e)
{
    if (ev->site == NULL) {
        return 0;
    }
    const json_t *found = json_object_get(ev->site, "found");
    int r = db_exec(db, "INSERT INTO retro VALUES ($1, $2, $3, $4, $5)",
                    DB_ARGS(DB_INT(ev->index), DB_INT(ev->time),
                            DB_INT(js_int_or(ev->site, "scanned", 0)),
                            DB_INT(js_int_or(ev->site, "withheld", 0)),
                            DB_TEXT(js_str_or(ev->site, "who", NULL))),
                    e);
    for (size_t i = 0; i < json_array_size(found) && r == 0; i++) {
        const json_t *f = json_array_get(found, i);
        struct digest d;
        r = js_sha256(f, "sha256", &d, e);
        r = r < 0 ? r : release_fold_findings(db, &d, ev->index, json_object_get(f, "findings"), e);
    }
    return r;
}
