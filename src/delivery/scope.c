#include "delivery/delivery_priv.h"

#include "base/mem.h"

/* One delivery as it is gathered; the target's text is shared by all of one item. */
struct found {
    struct delivery d; /* without target */
    size_t target;     /* in the list of texts */
    int64_t last_grant;
};

struct gather {
    const struct delivery_scope *s;
    int (*each)(void *ctx, uint64_t org, const struct digest *blob, enum delivery_holder h);
    void *ctx;
    struct digest blob;
    uint64_t size;
    uint64_t *erased;
    size_t n_erased;
    struct found *v; /* deliveries; NULL-able: holders need none */
    size_t n, cap;
    json_t *targets, *known;              /* texts, and where each is */
    struct ranges granted, acked;         /* of the delivery under way */
    struct ranges org_granted, org_acked; /* of its organisation and this blob */
    bool org_ended;                       /* any end at all */
    bool open;                            /* a delivery is under way: the last of v */
};

static void gather_clear(struct gather *g)
{
    free(g->erased);
    free(g->v);
    js_free(&g->targets);
    js_free(&g->known);
    ranges_clear(&g->granted);
    ranges_clear(&g->acked);
    ranges_clear(&g->org_granted);
    ranges_clear(&g->org_acked);
}

const char *delivery_holder_name(enum delivery_holder h)
{
    static const char *const names[] = {"none", "partial", "possible", "confirmed"};
    return (size_t)h < ARRAY_LEN(names) ? names[h] : names[0];
}

/* ---- one row after the other: ordered by organisation, account, time, end ---- */

static bool listed(const uint64_t *v, size_t n, uint64_t x)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i] == x) {
            return true;
        }
    }
    return false;
}

static bool in_scope(const struct gather *g, struct db_rows *rows)
{
    uint64_t org = (uint64_t)db_i64(rows, 2);
    bool node = g->s->n_nodes == 0;
    for (size_t i = 0; i < g->s->n_nodes && !node; i++) {
        node = strcmp(db_text(rows, 5), g->s->nodes[i]) == 0;
    }
    return node && (g->s->n_orgs == 0 || listed(g->s->orgs, g->s->n_orgs, org)) &&
           !listed(g->erased, g->n_erased, org);
}

static size_t target_of(struct gather *g, const char *path)
{
    const json_t *at = json_object_get(g->known, path);
    if (at != NULL) {
        return (size_t)json_integer_value(at);
    }
    size_t i = json_array_size(g->targets);
    js_add_str(g->targets, path);
    js_set_int(g->known, path, (int64_t)i);
    return i;
}

static void end_delivery(struct gather *g)
{
    if (!g->open) {
        return;
    }
    g->open = false;
    ranges_join(&g->granted);
    ranges_join(&g->acked);
    struct found *f = &g->v[g->n - 1];
    f->d.granted = ranges_bytes(&g->granted);
    f->d.acked = ranges_common(&g->granted, &g->acked);
    ranges_add_all(&g->org_granted, &g->granted);
    ranges_add_all(&g->org_acked, &g->acked);
    ranges_reset(&g->granted);
    ranges_reset(&g->acked);
}

static bool joins(const struct gather *g, struct db_rows *rows)
{
    const struct found *f = g->open ? &g->v[g->n - 1] : NULL;
    return f != NULL && db_i64(rows, 8) == 0 && f->d.account == (uint64_t)db_i64(rows, 3) &&
           db_i64(rows, 1) - f->last_grant <= DELIVERY_AGAIN;
}

static void begin_delivery(struct gather *g, struct db_rows *rows)
{
    g->open = true;
    if (g->n == g->cap) {
        g->cap = g->cap * 2 + 64;
        g->v = mem_resize(g->v, g->cap, sizeof *g->v);
    }
    g->v[g->n++] = (struct found){.d = {.grant = (uint64_t)db_i64(rows, 0),
                                        .from = db_i64(rows, 1),
                                        .to = db_i64(rows, 1),
                                        .org = (uint64_t)db_i64(rows, 2),
                                        .account = (uint64_t)db_i64(rows, 3),
                                        .blob = g->blob},
                                  .target = target_of(g, db_text(rows, 4))};
}

static int end_org(struct gather *g, uint64_t org)
{
    ranges_join(&g->org_granted);
    ranges_join(&g->org_acked);
    enum delivery_holder h = DELIVERY_PARTIAL;
    if (ranges_cover(&g->org_granted, 0, g->size)) {
        bool all = ranges_cover(&g->org_acked, 0, g->size) && g->org_ended;
        h = all ? DELIVERY_CONFIRMED : DELIVERY_POSSIBLE;
    }
    ranges_reset(&g->org_granted);
    ranges_reset(&g->org_acked);
    g->org_ended = false;
    return g->each == NULL ? 0 : g->each(g->ctx, org, &g->blob, h);
}

static void take_row(struct gather *g, struct db_rows *rows, uint64_t *grant)
{
    uint64_t idx = (uint64_t)db_i64(rows, 0);
    if (idx != *grant) {
        if (!joins(g, rows)) {
            end_delivery(g);
            begin_delivery(g, rows);
        }
        ranges_add(&g->granted, (uint64_t)db_i64(rows, 6), (uint64_t)(db_i64(rows, 7) + 1));
        struct found *f = &g->v[g->n - 1];
        f->last_grant = db_i64(rows, 1);
        f->d.to = f->last_grant > f->d.to ? f->last_grant : f->d.to;
        *grant = idx;
    }
    if (!db_null(rows, 9)) {
        uint64_t first = (uint64_t)db_i64(rows, 10);
        struct found *f = &g->v[g->n - 1];
        ranges_add(&g->acked, first, first + (uint64_t)db_i64(rows, 11));
        f->d.to = db_i64(rows, 9) > f->d.to ? db_i64(rows, 9) : f->d.to;
        g->org_ended = true;
    }
}

static int gather_blob(struct db *db, struct gather *g, const struct digest *blob, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    const struct delivery_scope *s = g->s;
    uint64_t grant = UINT64_MAX, org = UINT64_MAX;
    int64_t early = s->from == 0 ? 0 : s->from - DELIVERY_AGAIN;
    g->blob = *blob;
    int r = db_query(db,
                     "SELECT g.idx, g.time, g.org, g.account, i.target, g.node, g.first, g.last,"
                     " g.whole, a.time, a.first, a.acked, i.size FROM delivered i"
                     " JOIN granted g ON g.item = i.id LEFT JOIN ack a ON a.granted = g.idx"
                     " WHERE i.blob = $1 AND g.time >= $2 AND g.time < $3"
                     " AND (g.whole = 0 OR g.time >= $4)"
                     " ORDER BY g.org, g.account, g.time, g.idx, a.idx",
                     DB_ARGS(DB_BLOB(blob->b, sizeof blob->b), DB_INT(early),
                             DB_INT(s->to == 0 ? INT64_MAX : s->to), DB_INT(s->from)),
                     &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        if (!in_scope(g, rows)) {
            continue;
        }
        g->size = (uint64_t)db_i64(rows, 12);
        uint64_t next = (uint64_t)db_i64(rows, 2);
        if (org != UINT64_MAX && org != next) {
            end_delivery(g);
            r = end_org(g, org);
            if (r != 0) {
                return r;
            }
        }
        org = next;
        take_row(g, rows, &grant);
    }
    if (r < 0 || org == UINT64_MAX) {
        return r;
    }
    end_delivery(g);
    return end_org(g, org);
}

/* ---- all blobs of a scope ---- */

static int gather_all(struct db *db, struct gather *g, struct err *e)
{
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    g->targets = js_list();
    g->known = js_new();
    int r = account_orgs_erased(db, &g->erased, &g->n_erased, e);
    for (size_t i = 0; i < g->s->n_blobs && r == 0; i++) {
        r = gather_blob(db, g, &g->s->blobs[i], e);
    }
    if (r != 0 || g->s->n_blobs > 0) {
        return r;
    }
    r = db_query(db, "SELECT DISTINCT blob FROM delivered ORDER BY blob", DB_NO_ARGS, &rows, e);
    while (r >= 0 && (r = db_next(rows, e)) == 1) {
        struct digest blob = {{0}};
        r = db_bytes(rows, 0, blob.b, sizeof blob.b, e);
        r = r < 0 ? r : gather_blob(db, g, &blob, e);
        if (r != 0) {
            return r;
        }
    }
    return r;
}

static int by_time(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->d.from != y->d.from) {
        return x->d.from < y->d.from ? -1 : 1;
    }
    return x->d.grant < y->d.grant ? -1 : x->d.grant > y->d.grant;
}

int delivery_each(struct db *db, const struct delivery_scope *s,
                  int (*each)(void *ctx, const struct delivery *d), void *ctx, struct err *e)
{
    CLEANUP(gather_clear) struct gather g = {.s = s};
    int r = gather_all(db, &g, e);
    if (r == 0 && g.n > 1) {
        qsort(g.v, g.n, sizeof *g.v, by_time);
    }
    for (size_t i = 0; i < g.n && r == 0; i++) {
        const char *path = json_string_value(json_array_get(g.targets, g.v[i].target));
        snprintf(g.v[i].d.target, sizeof g.v[i].d.target, "%s", path);
        r = each(ctx, &g.v[i].d);
    }
    return r;
}

int delivery_holders(struct db *db, const struct delivery_scope *s,
                     int (*each)(void *ctx, uint64_t org, const struct digest *blob,
                                 enum delivery_holder h),
                     void *ctx, struct err *e)
{
    CLEANUP(gather_clear) struct gather g = {.s = s, .each = each, .ctx = ctx};
    return gather_all(db, &g, e);
}

int delivery_erased(struct db *db, int64_t from, int64_t to, uint64_t *out, struct err *e)
{
    CLEANUP(mem_free) uint64_t *erased = NULL;
    size_t n = 0;
    uint64_t sum = 0;
    int r = account_orgs_erased(db, &erased, &n, e);
    for (size_t i = 0; i < n && r == 0; i++) {
        int64_t count = 0;
        r = db_int(db, "SELECT count(*) FROM granted WHERE org = $1 AND time >= $2 AND time < $3",
                   DB_ARGS(DB_INT(erased[i]), DB_INT(from), DB_INT(to == 0 ? INT64_MAX : to)),
                   &count, e);
        sum += (uint64_t)count;
    }
    if (r == 0) {
        *out = sum;
    }
    return r;
}

int delivery_begun(struct db *db, int64_t *out, struct err *e)
{
    return db_int(db,
                  "SELECT coalesce((SELECT time FROM granted ORDER BY idx LIMIT 1),"
                  " 9223372036854775807)",
                  DB_NO_ARGS, out, e);
}
