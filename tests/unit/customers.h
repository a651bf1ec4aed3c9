/* customers.h - two organisations with accounts, a product, and a clock that the test moves. */
#pragma once
#include "account/account.h"
#include "base/clock.h"
#include "base/mem.h"
#include "delivery/delivery.h"
#include "record_site.h"

static int64_t customers_time;

static inline int64_t customers_now(void)
{
    return customers_time;
}

struct customer {
    uint64_t org, account;
    char token[ACCOUNT_TOKEN + 1];
};

static inline void customers_clock(int64_t start)
{
    customers_time = start;
    clock_replace(customers_now, NULL);
}

static inline void customers_ask(struct record_site *s,
                                 int (*build)(struct db *db, const json_t *q, struct event *ev,
                                              struct err *e),
                                 const char *text)
{
    struct err e;
    struct event ev = {0};
    CLEANUP(js_free) json_t *q = NULL;
    CHECK_OK(js_parse(span_str(text), LIMIT_JSON, "a request", &q, &e), e);
    CHECK_OK(build(s->db, q, &ev, &e), e);
    CHECK_OK(site_add(s, &ev, &e), e);
}

/* Adds the organisation, unless it is there, with product `p`, and one account. */
static inline struct customer customers_add(struct record_site *s, const char *org,
                                            const char *user)
{
    struct err e;
    struct customer c;
    struct event ev = {0};
    if (account_org_find(s->db, org, &c.org, &e) < 0) {
        CLEANUP(mem_free)
        char *add = mem_printf("{\"name\":\"%s\",\"contact\":\"it@%s.example\"}", org, org);
        CLEANUP(mem_free)
        char *grant = mem_printf("{\"name\":\"%s\",\"product\":\"p\"}", org);
        customers_ask(s, account_org_add, add);
        customers_ask(s, account_org_grant, grant);
        CHECK_OK(account_org_find(s->db, org, &c.org, &e), e);
    }
    CLEANUP(js_free) json_t *q = js_new();
    js_set_str(q, "org", org);
    js_set_str(q, "user", user);
    CHECK_OK(account_add(s->db, q, &ev, c.token, &e), e);
    CHECK_OK(record_append(s->rec, &ev, 1, &e), e);
    c.account = ev.account_id;
    CHECK_OK(record_commit(s->rec, &e), e);
    event_clear(&ev);
    return c;
}

/* A request as the recorder handles it; the answer's `grant` is filled. */
static inline int customers_get(struct record_site *s, delivery_find find,
                                const struct delivery_request *q, struct delivery_answer *a,
                                struct err *e)
{
    CLEANUP(event_clear) struct event ev = {0};
    int r = delivery_grant(s->db, find, q, a, &ev, e);
    if (r == 0 && a->added) {
        r = record_append(s->rec, &ev, 1, e);
        a->grant = ev.index;
        r = r < 0 ? r : record_commit(s->rec, e);
        delivery_granted(&ev);
    }
    return r;
}

/* True if an event was entered. */
static inline bool customers_end(struct record_site *s, uint64_t grant, uint64_t first,
                                 uint64_t acked)
{
    struct err e;
    struct event ev = {0};
    CHECK_OK(delivery_end(s->db, grant, first, acked, &ev, &e), e);
    if (ev.kind == NULL) {
        return false;
    }
    CHECK_OK(site_add(s, &ev, &e), e);
    return true;
}
