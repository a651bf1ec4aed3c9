#include "serve/events.h"

#include "account/account.h"
#include "base/mem.h"
#include "delivery/delivery.h"
#include "release/release_db.h"

const struct record_kind *const events_kinds[] = {account_kinds, release_kinds, delivery_kinds,
                                                  NULL};

int events_migrate(struct db *db, struct err *e)
{
    int r = db_migrate(db, "account", account_migrations, account_migrations_n, e);
    r = r < 0 ? r : db_migrate(db, "release", release_migrations, release_migrations_n, e);
    return r < 0 ? r : db_migrate(db, "delivery", delivery_migrations, delivery_migrations_n, e);
}

static void set_id(json_t *j, const char *name, uint64_t id)
{
    if (id == RECORD_SELF) {
        js_set_str(j, name, "self");
    } else {
        js_set_int(j, name, (int64_t)id);
    }
}

json_t *events_to_json(const struct event *ev, size_t n)
{
    json_t *list = js_list();
    for (size_t i = 0; i < n; i++) {
        const struct {
            const char *name;
            json_t *part;
        } parts[] = {{"open", ev[i].open},
                     {"site", ev[i].site},
                     {"org", ev[i].org},
                     {"account", ev[i].account}};
        json_t *j = js_new();
        js_set_str(j, "kind", ev[i].kind);
        js_set_int(j, "index", (int64_t)ev[i].index);
        js_set_int(j, "time", ev[i].time);
        set_id(j, "org_id", ev[i].org_id);
        set_id(j, "account_id", ev[i].account_id);
        for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
            if (parts[p].part != NULL) {
                js_set(j, parts[p].name, json_incref(parts[p].part));
            }
        }
        js_add(list, j);
    }
    return list;
}

static int id_from(const json_t *j, const char *name, uint64_t *out, struct err *e)
{
    if (strcmp(js_str_or(j, name, ""), "self") == 0) {
        *out = RECORD_SELF;
        return 0;
    }
    return json_object_get(j, name) == NULL ? 0 : js_u64(j, name, out, e);
}

static int part_from(const json_t *j, const char *name, json_t **out, struct err *e)
{
    json_t *part = NULL;
    if (json_object_get(j, name) == NULL) {
        return 0;
    }
    int r = js_obj(j, name, &part, e);
    *out = json_incref(part);
    return r;
}

static int one_from(const json_t *j, struct event *ev, struct err *e)
{
    int r = js_str(j, "kind", &ev->kind, e);
    if (r == 0) {
        const struct record_kind *found = NULL;
        for (const struct record_kind *const *t = events_kinds; *t != NULL; t++) {
            for (const struct record_kind *k = *t; k->name != NULL; k++) {
                found = strcmp(k->name, ev->kind) == 0 ? k : found;
            }
        }
        if (found == NULL) {
            return err_set(e, ERR_FORMAT, "no event of kind %s", ev->kind);
        }
        ev->kind = found->name; /* lives longer than the message */
    }
    r = r < 0 ? r : id_from(j, "org_id", &ev->org_id, e);
    r = r < 0 ? r : id_from(j, "account_id", &ev->account_id, e);
    r = r < 0 ? r : part_from(j, "open", &ev->open, e);
    r = r < 0 ? r : part_from(j, "site", &ev->site, e);
    r = r < 0 ? r : part_from(j, "org", &ev->org, e);
    return r < 0 ? r : part_from(j, "account", &ev->account, e);
}

int events_from_json(const json_t *list, struct event **out, size_t *n, struct err *e)
{
    size_t all = json_array_size(list);
    struct event *ev = mem_array(struct event, all);
    int r = 0;
    for (size_t i = 0; i < all && r == 0; i++) {
        r = one_from(json_array_get(list, i), &ev[i], e);
    }
    if (r < 0) {
        events_free(&ev, all);
        return r;
    }
    *out = ev;
    *n = all;
    return 0;
}

void events_free(struct event **ev, size_t n)
{
    for (size_t i = 0; *ev != NULL && i < n; i++) {
        event_clear(&(*ev)[i]);
    }
    mem_free(ev);
}

const char *events_stop(const struct event *ev)
{
    if (strcmp(ev->kind, "recalled") == 0) {
        return js_str_or(ev->open, "sha256", NULL);
    }
    return strcmp(ev->kind, "withheld") == 0 ? js_str_or(ev->site, "sha256", NULL) : NULL;
}
