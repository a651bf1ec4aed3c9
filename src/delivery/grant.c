#include "delivery/delivery_priv.h"

#include "base/text.h"

#define AGENT ((size_t)500) /* bytes of a client's name that are kept */

/* ---- memory of ranges ---- */

#define SLOTS 4096u

/* One recent grant of a range for each account, blob and first chunk, as far as they do not share
 * a slot. It only saves a query. */
static struct recent {
    uint64_t account, first, last, grant;
    int64_t time; /* 0: empty */
    struct digest blob;
} recent[SLOTS];

static struct recent *slot_of(uint64_t account, const struct digest *blob, uint64_t first)
{
    uint64_t h = account * UINT64_C(0x9e3779b97f4a7c15) ^ (first / DELIVERY_CHUNK);
    h = (h ^ ((uint64_t)blob->b[0] << 16 | (uint64_t)blob->b[1] << 8 | blob->b[2])) *
        UINT64_C(0xff51afd7ed558ccd);
    return &recent[(h >> 40) % SLOTS];
}

void delivery_granted(const struct event *ev)
{
    struct recent g = {.account = ev->account_id, .grant = ev->index, .time = ev->time};
    if (ev->kind == NULL || strcmp(ev->kind, "grant") != 0 || js_bool_or(ev->org, "whole", true) ||
        js_sha256(ev->org, "blob", &g.blob, NULL) < 0) {
        return;
    }
    g.first = (uint64_t)js_int_or(ev->org, "first", 0);
    g.last = (uint64_t)js_int_or(ev->org, "last", 0);
    *slot_of(g.account, &g.blob, g.first) = g;
}

void delivery_forget(void)
{
    memset(recent, 0, sizeof recent);
}

/* ---- what is granted already ---- */

struct wanted {
    struct account_who who;
    struct delivery_target target;
    uint64_t from, to; /* chunks, `to` exclusive, cut to the blob */
    bool whole;
};

/* 1: all of it was granted within the hour, by *grant. 0: from..to is what is missing. */
static int ask_database(struct db *db, struct wanted *w, int64_t since, uint64_t *grant,
                        struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    CLEANUP(ranges_clear) struct ranges have = {0};
    int r = db_query(db,
                     "SELECT g.idx, g.first, g.last FROM delivered i JOIN granted g"
                     " ON g.item = i.id AND g.account = $2 AND g.whole = 0 AND g.time > $3"
                     " WHERE i.blob = $1 ORDER BY g.idx",
                     DB_ARGS(DB_BLOB(w->target.blob.b, 32), DB_INT(w->who.account), DB_INT(since)),
                     &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        uint64_t first = (uint64_t)db_i64(rows, 1), end = (uint64_t)db_i64(rows, 2) + 1;
        ranges_add(&have, first, end);
        if (first < w->to && w->from < end) {
            *grant = (uint64_t)db_i64(rows, 0);
        }
    }
    if (r < 0) {
        return r;
    }
    ranges_join(&have);
    if (ranges_cover(&have, w->from, w->to)) {
        return 1;
    }
    for (size_t i = 0; i < have.n; i++) { /* cut what is there off both ends */
        if (have.v[i].from <= w->from && w->from < have.v[i].to) {
            w->from = have.v[i].to;
        }
        if (have.v[i].from < w->to && w->to <= have.v[i].to) {
            w->to = have.v[i].from;
        }
    }
    return 0;
}

static int covered(struct db *db, struct wanted *w, uint64_t *grant, struct err *e)
{
    int64_t since = clock_now() - DELIVERY_AGAIN;
    const struct recent *g = slot_of(w->who.account, &w->target.blob, w->from);
    if (g->time > since && g->account == w->who.account && g->first <= w->from &&
        w->to - 1 <= g->last && digest_eq(&g->blob, &w->target.blob)) {
        *grant = g->grant;
        return 1;
    }
    return ask_database(db, w, since, grant, e);
}

/* ---- a request ---- */

static int sign_in(struct db *db, const struct delivery_request *q, struct account_who *out,
                   struct err *e)
{
    if (q->secret.len > 0 || (q->user != NULL && q->user[0] != '\0')) {
        return account_authenticate(db, q->user, q->secret, out, e);
    }
    int r = account_anonymous(db, out, e);
    return r == ERR_NOTFOUND
               ? err_set(e, ERR_DENIED, "sign in: files are for customers with an account")
               : r;
}

static int pass_on(const struct err *why, struct err *e)
{
    if (e != NULL) {
        *e = *why;
    }
    return why->code;
}

static int find_and_allow(struct db *db, delivery_find find, const struct delivery_request *q,
                          struct wanted *w, struct err *e)
{
    if (!text_is_utf8(span_str(q->target))) {
        return err_set(e, ERR_NOTFOUND, "no such target");
    }
    struct err why = {.text = ""};
    int found = find(db, q->target, &w->target, &why);
    if (found < 0 && found != ERR_DENIED) {
        return pass_on(&why, e);
    }
    int r = sign_in(db, q, &w->who, e);
    if (found < 0) { /* withheld or recalled: said to all but those with a wrong credential */
        return r < 0 && q->secret.len > 0 ? r : pass_on(&why, e);
    }
    return r < 0 ? r : account_may(db, &w->who, w->target.product, e);
}

static int chunks_of(const struct delivery_request *q, struct wanted *w, struct err *e)
{
    uint64_t size = w->target.size;
    w->whole = q->whole || size == 0;
    w->from = 0;
    w->to = size;
    if (w->whole) {
        return 0;
    }
    if (q->first > q->last || q->first >= size) {
        return err_set(e, ERR_FORMAT, "bytes %llu to %llu are not in a file of %llu",
                       (unsigned long long)q->first, (unsigned long long)q->last,
                       (unsigned long long)size);
    }
    uint64_t last = q->last < size ? q->last : size - 1;
    w->from = q->first / DELIVERY_CHUNK * DELIVERY_CHUNK;
    w->to = (last / DELIVERY_CHUNK + 1) * DELIVERY_CHUNK;
    w->to = w->to < size ? w->to : size;
    return 0;
}

static struct event grant_event(const struct delivery_request *q, const struct wanted *w)
{
    json_t *org = js_new(), *account = js_new();
    const char *agent = q->agent == NULL ? "" : q->agent;
    char cut[AGENT + 1];
    snprintf(cut, sizeof cut, "%s", agent);
    js_set_sha256(org, "blob", &w->target.blob);
    js_set_str(org, "target", q->target);
    js_set_int(org, "size", (int64_t)w->target.size);
    js_set_int(org, "first", (int64_t)w->from);
    js_set_int(org, "last", (int64_t)w->to - 1);
    js_set_bool(org, "whole", w->whole);
    js_set_str(org, "node", q->node == NULL ? "" : q->node);
    js_set_str(account, "address", q->address == NULL ? "" : q->address);
    js_set_str(account, "agent", cut);
    return (struct event){.kind = "grant",
                          .org = org,
                          .account = account,
                          .org_id = w->who.org,
                          .account_id = w->who.account};
}

int delivery_grant(struct db *db, delivery_find find, const struct delivery_request *q,
                   struct delivery_answer *out, struct event *ev, struct err *e)
{
    struct wanted w = {0};
    uint64_t grant = 0;
    int r = find_and_allow(db, find, q, &w, e);
    r = r < 0 ? r : chunks_of(q, &w, e);
    r = r < 0 || w.whole ? r : covered(db, &w, &grant, e);
    if (r < 0) {
        return r;
    }
    *out = (struct delivery_answer){.grant = q->check ? 0 : grant,
                                    .added = r == 0 && !q->check,
                                    .size = w.target.size,
                                    .blob = w.target.blob,
                                    .chunk_root = w.target.chunk_root};
    if (out->added) {
        *ev = grant_event(q, &w);
    }
    return 0;
}

/* ---- its end ---- */

/* 1 when ends that were entered say this already, or are too many. */
static int says_nothing(struct db *db, uint64_t grant, uint64_t chunks, uint64_t first,
                        uint64_t acked, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    CLEANUP(ranges_clear) struct ranges have = {0};
    uint64_t n = 0;
    int r = db_query(db, "SELECT first, acked FROM ack WHERE granted = $1", DB_ARGS(DB_INT(grant)),
                     &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        uint64_t from = (uint64_t)db_i64(rows, 0);
        ranges_add(&have, from, from + (uint64_t)db_i64(rows, 1));
        n++;
    }
    if (r < 0) {
        return r;
    }
    ranges_join(&have);
    return n > 0 && (n >= 16 + 32 * chunks || ranges_cover(&have, first, first + acked));
}

int delivery_end(struct db *db, uint64_t grant, uint64_t first, uint64_t acked, struct event *ev,
                 struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    int r = db_query(db,
                     "SELECT g.org, g.account, g.first, g.last, i.size FROM granted g"
                     " JOIN delivered i ON i.id = g.item WHERE g.idx = $1",
                     DB_ARGS(DB_INT(grant)), &rows, e);
    r = r < 0 ? r : db_next(rows, e);
    if (r <= 0) {
        return r < 0 ? r : err_set(e, ERR_NOTFOUND, "no grant %llu", (unsigned long long)grant);
    }
    uint64_t size = (uint64_t)db_i64(rows, 4), org = (uint64_t)db_i64(rows, 0);
    uint64_t chunks = (uint64_t)(db_i64(rows, 3) + 1 - db_i64(rows, 2)) / DELIVERY_CHUNK + 1;
    if (first > size || acked > size - first) {
        return err_set(e, ERR_FORMAT, "bytes acknowledged beyond the end of the file");
    }
    r = says_nothing(db, grant, chunks, first, acked, e);
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    json_t *part = js_new();
    js_set_int(part, "grant", (int64_t)grant);
    js_set_int(part, "first", (int64_t)first);
    js_set_int(part, "acked", (int64_t)acked);
    *ev = (struct event){.kind = "end", .org = part, .org_id = org};
    return 0;
}
