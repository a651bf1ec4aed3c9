#include "customers.h"

#define MIB DELIVERY_CHUNK
#define T0 INT64_C(1000000000000000)

static const struct record_kind *const kinds[] = {account_kinds, delivery_kinds, NULL};
static struct record_group groups[3];

static void start(struct record_site *s)
{
    groups[0] = (struct record_group){"account", account_migrations, account_migrations_n};
    groups[1] = (struct record_group){"delivery", delivery_migrations, delivery_migrations_n};
    customers_clock(T0);
    delivery_forget();
    site_new(s, kinds, groups);
}

static void stop(struct record_site *s)
{
    site_end(s);
    clock_replace(NULL, NULL);
}

/* big: 2.5 MiB, also named again; small: 7 bytes; empty: 0; gone is withheld; free is for anyone */
static int find(struct db *db, const char *target, struct delivery_target *out, struct err *e)
{
    (void)db;
    static const struct {
        const char *path, *product;
        uint8_t blob;
        uint64_t size;
    } all[] = {{"p/1/big", "p", 1, 5 * MIB / 2}, {"p/2/big", "p", 1, 5 * MIB / 2},
               {"p/1/small", "p", 2, 7},         {"p/1/empty", "p", 3, 0},
               {"free/1/f", "free", 4, 5},       {"other/1/x", "other", 5, 5}};
    if (strcmp(target, "p/1/gone") == 0) {
        return err_set(e, ERR_DENIED, "p/1/gone is withheld");
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (strcmp(all[i].path, target) == 0) {
            *out = (struct delivery_target){.size = all[i].size};
            out->blob.b[0] = all[i].blob;
            snprintf(out->product, sizeof out->product, "%s", all[i].product);
            return 0;
        }
    }
    return err_set(e, ERR_NOTFOUND, "no such target");
}

static struct delivery_request whole(const struct customer *c, const char *target)
{
    return (struct delivery_request){.secret = span_str(c->token),
                                     .target = target,
                                     .whole = true,
                                     .address = "192.0.2.1",
                                     .agent = "curl",
                                     .node = "origin"};
}

static struct delivery_request part(const struct customer *c, const char *target, uint64_t first,
                                    uint64_t last)
{
    struct delivery_request q = whole(c, target);
    q.whole = false;
    q.first = first;
    q.last = last;
    return q;
}

static bool adds(struct record_site *s, struct delivery_request q, uint64_t *grant)
{
    struct err e;
    struct delivery_answer a;
    CHECK_OK(customers_get(s, find, &q, &a, &e), e);
    if (grant != NULL) {
        *grant = a.grant;
    }
    return a.added;
}

static int refused(struct record_site *s, struct delivery_request q, struct err *e)
{
    struct delivery_answer a;
    return customers_get(s, find, &q, &a, e);
}

static struct digest blob(uint8_t first)
{
    return (struct digest){.b = {first}};
}

/* "ORG:HOLDER ..." in order */
static int note_holder(void *ctx, uint64_t org, const struct digest *d, enum delivery_holder h)
{
    (void)d;
    buf_fmt(ctx, "%llu:%s ", (unsigned long long)org, delivery_holder_name(h));
    return 0;
}

static int note_delivery(void *ctx, const struct delivery *d)
{
    buf_fmt(ctx, "%s %llu/%llu; ", d->target, (unsigned long long)d->acked,
            (unsigned long long)d->granted);
    return 0;
}

static void check_scope(struct record_site *s, uint8_t b, int64_t from, int64_t to,
                        const char *deliveries, const char *holders)
{
    struct err e;
    struct digest d = blob(b);
    struct delivery_scope sc = {.blobs = &d, .n_blobs = b == 0 ? 0 : 1, .from = from, .to = to};
    CLEANUP(buf_clear) struct buf got = BUF(4000);
    CLEANUP(buf_clear) struct buf who = BUF(4000);
    CHECK_OK(delivery_each(s->db, &sc, note_delivery, &got, &e), e);
    CHECK_OK(delivery_holders(s->db, &sc, note_holder, &who, &e), e);
    CHECK_STR(buf_text(&got), deliveries);
    CHECK_STR(buf_text(&who), holders);
}

static void who_may_not_is_told_why(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    start(&s);
    struct customer c = customers_add(&s, "A", "u"), wrong = c, none = {.token = ""};
    wrong.token[0] = wrong.token[0] == 'a' ? 'b' : 'a';
    CHECK(refused(&s, whole(&c, "p/9/none"), &e) == ERR_NOTFOUND);
    CHECK(refused(&s, whole(&c, "p/\xff"), &e) == ERR_NOTFOUND);
    CHECK(refused(&s, whole(&wrong, "p/1/big"), &e) == ERR_DENIED);
    CHECK(strncmp(e.text, "sign in", 7) == 0);
    CHECK(refused(&s, whole(&none, "p/1/big"), &e) == ERR_DENIED);
    CHECK(strncmp(e.text, "sign in", 7) == 0);
    CHECK(refused(&s, whole(&c, "other/1/x"), &e) == ERR_DENIED);
    CHECK(strstr(e.text, "not granted product other") != NULL);
    CHECK(refused(&s, whole(&c, "p/1/gone"), &e) == ERR_DENIED);
    CHECK_STR(e.text, "p/1/gone is withheld");
    CHECK(refused(&s, whole(&wrong, "p/1/gone"), &e) == ERR_DENIED);
    CHECK(strncmp(e.text, "sign in", 7) == 0);
    CHECK(refused(&s, part(&c, "p/1/small", 7, 8), &e) == ERR_FORMAT);
    CHECK(refused(&s, part(&c, "p/1/small", 3, 2), &e) == ERR_FORMAT);
    struct event ev = {0};
    CHECK(account_anonymous_event(s.db, &ev, &e) == 1);
    CHECK_OK(site_add(&s, &ev, &e), e);
    customers_ask(&s, account_product_set, "{\"product\":\"free\",\"access\":\"anyone\"}");
    CHECK(adds(&s, whole(&none, "free/1/f"), NULL));
    CHECK(refused(&s, whole(&none, "p/1/big"), &e) == ERR_DENIED);
    CHECK(strncmp(e.text, "sign in", 7) == 0);
    CHECK(refused(&s, whole(&wrong, "free/1/f"), &e) == ERR_DENIED);
    stop(&s);
}

static void ranges_within_the_hour_add_only_what_is_new(void **state)
{
    (void)state;
    struct record_site s;
    uint64_t g1 = 0, g2 = 0, g3 = 0;
    start(&s);
    struct customer c = customers_add(&s, "A", "u"), d = customers_add(&s, "A", "v");
    CHECK(adds(&s, whole(&c, "p/1/big"), NULL) && adds(&s, whole(&c, "p/1/big"), NULL));
    CHECK(adds(&s, part(&c, "p/1/big", 0, 0), &g1));
    CHECK(!adds(&s, part(&c, "p/1/big", MIB - 1, MIB - 1), &g2) && g1 == g2);
    delivery_forget(); /* the database knows it too */
    CHECK(!adds(&s, part(&c, "p/2/big", 5, 9), &g2) && g1 == g2);
    CHECK(adds(&s, part(&d, "p/1/big", 0, 0), NULL));
    CHECK(adds(&s, part(&c, "p/1/big", MIB - 1, 5 * MIB), &g3));
    CHECK(!adds(&s, part(&c, "p/1/big", 0, 2 * MIB), &g2));
    struct err e;
    int64_t n = 0;
    CHECK_OK(db_int(s.db, "SELECT first FROM granted WHERE idx = $1", DB_ARGS(DB_INT(g3)), &n, &e),
             e);
    CHECK(n == (int64_t)MIB);
    CHECK_OK(db_int(s.db, "SELECT last FROM granted WHERE idx = $1", DB_ARGS(DB_INT(g3)), &n, &e),
             e);
    CHECK(n == (int64_t)(5 * MIB / 2 - 1));
    customers_time += DELIVERY_AGAIN;
    CHECK(adds(&s, part(&c, "p/1/big", 0, 0), NULL));
    stop(&s);
}

static void a_check_passes_the_same_door_and_adds_nothing(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    struct delivery_answer a;
    start(&s);
    struct customer c = customers_add(&s, "A", "u"), wrong = c;
    wrong.token[0] = wrong.token[0] == 'a' ? 'b' : 'a';
    struct delivery_request q = whole(&c, "p/1/big"), p = part(&c, "p/1/big", 0, 0);
    q.check = p.check = true;
    CHECK_OK(customers_get(&s, find, &q, &a, &e), e);
    CHECK(!a.added && a.grant == 0 && a.size == 5 * MIB / 2 && a.blob.b[0] == 1);
    CHECK_OK(customers_get(&s, find, &p, &a, &e), e);
    CHECK(!a.added && a.grant == 0);
    check_scope(&s, 1, 0, 0, "", "");
    CHECK(adds(&s, part(&c, "p/1/big", 0, 0), NULL)); /* the checks granted nothing */
    CHECK_OK(customers_get(&s, find, &p, &a, &e), e);
    CHECK(!a.added && a.grant == 0);
    struct delivery_request w = whole(&wrong, "p/1/big"), g = whole(&c, "p/1/gone");
    w.check = g.check = true;
    CHECK(refused(&s, w, &e) == ERR_DENIED && refused(&s, g, &e) == ERR_DENIED);
    stop(&s);
}

static void ends_say_only_what_is_new(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    struct event ev = {0};
    uint64_t g = 0;
    start(&s);
    struct customer c = customers_add(&s, "A", "u");
    CHECK(adds(&s, part(&c, "p/1/big", 0, 0), &g));
    CHECK(customers_end(&s, g, 0, 0));
    CHECK(!customers_end(&s, g, 0, 0));
    CHECK(customers_end(&s, g, 0, 10));
    CHECK(!customers_end(&s, g, 3, 4));
    int entered = 0;
    for (uint64_t i = 0; i < 200; i++) {
        entered += customers_end(&s, g, 20 + 2 * i, 1) ? 1 : 0;
    }
    CHECK(entered > 20 && entered < 80);
    CHECK(delivery_end(s.db, 9999, 0, 1, &ev, &e) == ERR_NOTFOUND);
    CHECK(delivery_end(s.db, g, 5 * MIB, 1, &ev, &e) == ERR_FORMAT);
    CHECK(delivery_end(s.db, g, 1, UINT64_MAX, &ev, &e) == ERR_FORMAT);
    stop(&s);
}

static void holders_are_derived_over_accounts_and_requests(void **state)
{
    (void)state;
    struct record_site s;
    uint64_t g = 0, h = 0;
    start(&s);
    struct customer a = customers_add(&s, "A", "u"), a2 = customers_add(&s, "A", "v");
    struct customer b = customers_add(&s, "B", "u");
    CHECK(adds(&s, part(&a, "p/1/big", 0, MIB - 1), &g));
    check_scope(&s, 1, 0, 0, "p/1/big 0/1048576; ", "0:partial ");
    CHECK(adds(&s, part(&a2, "p/2/big", MIB, 3 * MIB), &h));
    CHECK(adds(&s, whole(&b, "p/1/small"), NULL));
    check_scope(&s, 1, 0, 0, "p/1/big 0/1048576; p/2/big 0/1572864; ", "0:possible ");
    CHECK(customers_end(&s, g, 0, MIB));
    check_scope(&s, 1, 0, 0, "p/1/big 1048576/1048576; p/2/big 0/1572864; ", "0:possible ");
    CHECK(customers_end(&s, h, MIB, 3 * MIB / 2));
    check_scope(&s, 1, 0, 0, "p/1/big 1048576/1048576; p/2/big 1572864/1572864; ", "0:confirmed ");
    CHECK(adds(&s, whole(&a, "p/1/empty"), &g));
    check_scope(&s, 3, 0, 0, "p/1/empty 0/0; ", "0:possible ");
    CHECK(customers_end(&s, g, 0, 0));
    check_scope(&s, 3, 0, 0, "p/1/empty 0/0; ", "0:confirmed ");
    stop(&s);
}

static void a_window_holds_its_first_instant_and_not_its_last(void **state)
{
    (void)state;
    struct record_site s;
    start(&s);
    struct customer a = customers_add(&s, "A", "u");
    customers_time = T0 + CLOCK_DAY;
    CHECK(adds(&s, whole(&a, "p/1/small"), NULL));
    check_scope(&s, 2, T0 + CLOCK_DAY, T0 + CLOCK_DAY + 1, "p/1/small 0/7; ", "0:possible ");
    check_scope(&s, 2, T0 + CLOCK_DAY + 1, 0, "", "");
    check_scope(&s, 2, 0, T0 + CLOCK_DAY, "", "");
    /* a range that adds no entry must not fall out of the window it was sent in */
    CHECK(adds(&s, part(&a, "p/1/big", 0, 0), NULL));
    customers_time += CLOCK_HOUR / 2;
    CHECK(!adds(&s, part(&a, "p/1/big", 0, 0), NULL));
    check_scope(&s, 1, customers_time, 0, "p/1/big 0/1048576; ", "0:partial ");
    check_scope(&s, 1, customers_time + CLOCK_HOUR, 0, "", "");
    check_scope(&s, 0, T0, 0, "p/1/small 0/7; p/1/big 0/1048576; ", "0:partial 0:possible ");
    stop(&s);
}

static void ranges_of_an_hour_are_one_delivery(void **state)
{
    (void)state;
    struct record_site s;
    start(&s);
    struct customer a = customers_add(&s, "A", "u");
    CHECK(adds(&s, part(&a, "p/1/big", 0, 0), NULL));
    customers_time += CLOCK_HOUR / 2;
    CHECK(adds(&s, part(&a, "p/1/big", MIB, MIB), NULL));
    customers_time += CLOCK_HOUR - 1;
    CHECK(adds(&s, part(&a, "p/1/big", 2 * MIB, 2 * MIB), NULL));
    check_scope(&s, 1, 0, 0, "p/1/big 0/2621440; ", "0:possible ");
    customers_time += CLOCK_HOUR + 1;
    CHECK(adds(&s, part(&a, "p/1/big", 0, 0), NULL));
    check_scope(&s, 1, 0, 0, "p/1/big 0/2621440; p/1/big 0/1048576; ", "0:possible ");
    CHECK(adds(&s, whole(&a, "p/1/small"), NULL) && adds(&s, whole(&a, "p/1/small"), NULL));
    check_scope(&s, 2, 0, 0, "p/1/small 0/7; p/1/small 0/7; ", "0:possible ");
    stop(&s);
}

static void an_erasure_keeps_the_scope_of_others_and_counts_its_own(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    uint64_t lost = 0, n = 0, g = 0;
    start(&s);
    struct customer a = customers_add(&s, "A", "u"), b = customers_add(&s, "B", "u");
    CHECK(adds(&s, whole(&a, "p/1/small"), &g) && adds(&s, whole(&b, "p/1/small"), NULL));
    CHECK(customers_end(&s, g, 0, 7));
    customers_ask(&s, account_erase, "{\"org\":\"A\",\"user\":\"u\"}");
    check_scope(&s, 2, 0, 0, "p/1/small 7/7; p/1/small 0/7; ", "0:confirmed 3:possible ");
    customers_ask(&s, account_org_erase, "{\"name\":\"B\"}");
    for (int again = 0; again < 2; again++) {
        check_scope(&s, 2, 0, 0, "p/1/small 7/7; ", "0:confirmed ");
        CHECK_OK(delivery_erased(s.db, 0, 0, &n, &e), e);
        CHECK(n == 1);
        CHECK_OK(delivery_erased(s.db, customers_time + 1, 0, &n, &e), e);
        CHECK(n == 0);
        if (again == 0) {
            site_rebuild(&s, &lost);
            CHECK(lost == 0);
        }
    }
    CHECK_OK(db_int(s.db, "SELECT count(*) FROM granted WHERE item IS NULL", DB_NO_ARGS,
                    (int64_t *)&n, &e),
             e);
    CHECK(n == 1);
    stop(&s);
}

static void a_scope_needs_no_walk_over_all_rows(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    start(&s);
    CLEANUP(db_rows_close) struct db_rows *rows = NULL;
    CHECK_OK(db_query(s.db,
                      "EXPLAIN QUERY PLAN SELECT g.idx FROM delivered i JOIN granted g ON"
                      " g.item = i.id LEFT JOIN ack a ON a.granted = g.idx WHERE i.blob = $1 AND"
                      " g.time >= $2 AND g.time < $3",
                      DB_ARGS(DB_BLOB("", 0), DB_INT(0), DB_INT(1)), &rows, &e),
             e);
    int n = 0;
    while (db_next(rows, &e) == 1) {
        CHECK(strncmp(db_text(rows, 3), "SEARCH", 6) == 0);
        n++;
    }
    CHECK(n == 3);
    db_rows_close(&rows);
    stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_may_not_is_told_why),
        TEST(ranges_within_the_hour_add_only_what_is_new),
        TEST(a_check_passes_the_same_door_and_adds_nothing),
        TEST(ends_say_only_what_is_new),
        TEST(holders_are_derived_over_accounts_and_requests),
        TEST(a_window_holds_its_first_instant_and_not_its_last),
        TEST(ranges_of_an_hour_are_one_delivery),
        TEST(an_erasure_keeps_the_scope_of_others_and_counts_its_own),
        TEST(a_scope_needs_no_walk_over_all_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
