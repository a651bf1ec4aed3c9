#include "account/account.h"

#include "base/mem.h"
#include "record_site.h"

static const struct record_kind *const kinds[] = {account_kinds, NULL};
static struct record_group groups[2];

static void start(struct record_site *s)
{
    groups[0] = (struct record_group){"account", account_migrations, account_migrations_n};
    site_new(s, kinds, groups);
}

typedef int (*builder)(struct db *db, const json_t *q, struct event *ev, struct err *e);

/* Builds the event that a request asks for, and appends it. */
static int ask(struct record_site *s, builder build, const char *text, struct err *e)
{
    CLEANUP(js_free) json_t *q = NULL;
    struct event ev = {0};
    CHECK_OK(js_parse(span_str(text), LIMIT_JSON, "a request", &q, e), *e);
    int r = build(s->db, q, &ev, e);
    return r < 0 ? r : site_add(s, &ev, e);
}

static int add_account(struct record_site *s, const char *text, char token[65], uint64_t *id,
                       struct err *e)
{
    CLEANUP(js_free) json_t *q = NULL;
    struct event ev = {0};
    CHECK_OK(js_parse(span_str(text), LIMIT_JSON, "a request", &q, e), *e);
    int r = account_add(s->db, q, &ev, token, e);
    r = r < 0 ? r : record_append(s->rec, &ev, 1, e);
    r = r < 0 ? r : record_commit(s->rec, e);
    if (id != NULL) {
        *id = ev.account_id;
    }
    event_clear(&ev);
    return r;
}

static void org(struct record_site *s, const char *name)
{
    struct err e;
    CLEANUP(mem_free)
    char *text = mem_printf("{\"name\":\"%s\",\"contact\":\"it@%s.example\"}", name, name);
    CHECK_OK(ask(s, account_org_add, text, &e), e);
}

static int sign_in(struct record_site *s, const char *user, const char *secret,
                   struct account_who *who, struct err *e)
{
    return account_authenticate(s->db, user, span_str(secret), who, e);
}

static void organisations_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        {"{\"name\":\"A\",\"contact\":\"a@b.example\",\"manager\":\"M\",\"language\":\"de\"}", 0},
        {"{\"name\":\"A\",\"contact\":\"a@b.example\"}", ERR_CONFLICT},
        {"{\"name\":\"B\"}", ERR_FORMAT},
        {"{\"contact\":\"a@b.example\"}", ERR_FORMAT},
        {"{\"name\":\"B\",\"contact\":\"nobody\"}", ERR_FORMAT},
        {"{\"name\":\"B\",\"contact\":\"a b@c.example\"}", ERR_FORMAT},
        {"{\"name\":\" B\",\"contact\":\"a@b.example\"}", ERR_FORMAT},
        {"{\"name\":\"B\\\\u\",\"contact\":\"a@b.example\"}", ERR_FORMAT},
        {"{\"name\":\"B\",\"contact\":\"a@b.example\",\"language\":\"4\"}", ERR_FORMAT},
        {"{\"name\":\"B\",\"contact\":\"a@b.example\",\"manager\":\"\"}", ERR_FORMAT},
        {"{\"name\":\"Anonymous\",\"contact\":\"a@b.example\"}", ERR_CONFLICT},
    };
    struct record_site s;
    struct err e;
    start(&s);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK(ask(&s, account_org_add, cases[i].text, &e) == cases[i].want);
    }
    CLEANUP(js_free) json_t *list = NULL;
    CHECK_OK(account_org_list(s.db, &list, &e), e);
    const json_t *a = json_array_get(list, 0);
    CHECK(json_array_size(list) == 1);
    CHECK_STR(js_str_or(a, "manager", ""), "M");
    CHECK_STR(js_str_or(a, "language", ""), "de");
    uint64_t id;
    CHECK(account_org_find(s.db, "a", &id, &e) == ERR_NOTFOUND);
    CHECK(strstr(e.text, "org list shows all") != NULL || strstr(e.text, "did you mean A") != NULL);
    site_end(&s);
}

static void two_events_of_one_batch_cannot_take_one_name(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    start(&s);
    CLEANUP(js_free) json_t *q = NULL;
    CLEANUP(event_clear) struct event one = {0};
    CLEANUP(event_clear) struct event two = {0};
    CHECK_OK(js_parse(span_str("{\"name\":\"A\",\"contact\":\"a@b.example\"}"), 100, "q", &q, &e),
             e);
    CHECK_OK(account_org_add(s.db, q, &one, &e), e);
    CHECK_OK(account_org_add(s.db, q, &two, &e), e);
    CHECK_OK(record_append(s.rec, &one, 1, &e), e);
    CHECK(record_append(s.rec, &two, 1, &e) == ERR_CONFLICT);
    CHECK_STR(e.text, "organisation A exists");
    CHECK_OK(record_commit(s.rec, &e), e);
    site_end(&s);
}

static void a_token_signs_its_account_in(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    struct account_who who, other;
    char token[65], second[65];
    uint64_t id = 0;
    start(&s);
    org(&s, "A");
    CHECK(add_account(&s, "{\"org\":\"Z\",\"user\":\"u\"}", token, NULL, &e) == ERR_NOTFOUND);
    CHECK(add_account(&s, "{\"org\":\"A\",\"user\":\"u:v\"}", token, NULL, &e) == ERR_FORMAT);
    CHECK_OK(add_account(&s, "{\"org\":\"A\",\"user\":\"u\"}", token, &id, &e), e);
    CHECK(strlen(token) == 64);
    CHECK_OK(sign_in(&s, NULL, token, &who, &e), e);
    CHECK(who.account == id && who.org == 0 && !who.anonymous);
    CHECK_OK(sign_in(&s, "", token, &other, &e), e);
    CHECK_OK(sign_in(&s, "u", token, &other, &e), e);
    CHECK_OK(sign_in(&s, "A\\u", token, &other, &e), e);
    CHECK(sign_in(&s, "v", token, &other, &e) == ERR_DENIED);
    CHECK(strncmp(e.text, "sign in", 7) == 0);
    CHECK(sign_in(&s, "u", "", &other, &e) == ERR_DENIED);
    CHECK(sign_in(&s, NULL, "short", &other, &e) == ERR_DENIED);
    CHECK(sign_in(&s, "\xff", token, &other, &e) == ERR_DENIED);
    token[0] = token[0] == '0' ? '1' : '0';
    CHECK(sign_in(&s, NULL, token, &other, &e) == ERR_DENIED);
    CHECK(add_account(&s, "{\"org\":\"A\",\"user\":\"u\"}", second, NULL, &e) == ERR_CONFLICT);
    CHECK_OK(add_account(&s, "{\"org\":\"A\",\"user\":\"u\",\"renew\":true}", second, NULL, &e), e);
    token[0] = token[0] == '0' ? '1' : '0';
    CHECK(sign_in(&s, NULL, token, &other, &e) == ERR_DENIED);
    CHECK_OK(sign_in(&s, NULL, second, &other, &e), e);
    CHECK(other.account == id);
    /* only the hash is kept */
    int64_t n = 1;
    CHECK_OK(db_int(s.db, "SELECT count(*) FROM account WHERE instr(hex(token), upper($1)) > 0",
                    DB_ARGS(DB_TEXT(second)), &n, &e),
             e);
    CHECK(n == 0);
    CHECK_OK(ask(&s, account_disable, "{\"org\":\"A\",\"user\":\"u\"}", &e), e);
    CHECK(sign_in(&s, NULL, second, &other, &e) == ERR_DENIED);
    site_end(&s);
}

static void a_password_signs_in_until_there_is_a_token(void **state)
{
    (void)state;
    static const char *const in_a =
        "{\"org\":\"A\",\"user\":\"u\",\"password_hash\":\"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\"}";
    struct record_site s;
    struct err e;
    struct account_who who;
    char token[65];
    start(&s);
    org(&s, "A");
    org(&s, "B");
    CHECK_OK(add_account(&s, in_a, token, NULL, &e), e);
    CHECK_STR(token, "");
    CHECK(add_account(&s, in_a, token, NULL, &e) == ERR_CONFLICT);
    CHECK(add_account(&s, "{\"org\":\"A\",\"user\":\"w\",\"password_hash\":\"abJnggxhB/yWI\"}",
                      token, NULL, &e) == ERR_FORMAT);
    CHECK(strstr(e.text, "$apr1$") != NULL);
    CHECK_OK(sign_in(&s, "u", "secret", &who, &e), e);
    CHECK_OK(sign_in(&s, "A\\u", "secret", &who, &e), e);
    CHECK(sign_in(&s, "B\\u", "secret", &who, &e) == ERR_DENIED);
    CHECK(sign_in(&s, "u", "Secret", &who, &e) == ERR_DENIED);
    CHECK(sign_in(&s, "nobody", "secret", &who, &e) == ERR_DENIED);
    CHECK(sign_in(&s, NULL, "secret", &who, &e) == ERR_DENIED);
    CHECK_OK(add_account(&s, "{\"org\":\"A\",\"user\":\"u\"}", token, NULL, &e), e);
    CHECK(sign_in(&s, "u", "secret", &who, &e) == ERR_DENIED);
    CHECK_OK(sign_in(&s, "u", token, &who, &e), e);
    site_end(&s);
}

static void products_are_granted_taken_back_and_for_anyone(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    struct account_who who, nobody;
    char token[65];
    enum account_access access;
    bool recorded = false;
    struct event ev = {0};
    start(&s);
    org(&s, "A");
    CHECK_OK(add_account(&s, "{\"org\":\"A\",\"user\":\"u\"}", token, NULL, &e), e);
    CHECK_OK(sign_in(&s, NULL, token, &who, &e), e);
    CHECK(account_may(s.db, &who, "p", &e) == ERR_DENIED);
    CHECK_OK(ask(&s, account_org_grant, "{\"name\":\"A\",\"product\":\"p\"}", &e), e);
    CHECK(ask(&s, account_org_grant, "{\"name\":\"A\",\"product\":\"p\"}", &e) == ERR_CONFLICT);
    CHECK_OK(account_may(s.db, &who, "p", &e), e);
    CHECK_OK(ask(&s, account_org_grant, "{\"name\":\"A\",\"product\":\"p\",\"revoke\":true}", &e),
             e);
    CHECK(account_may(s.db, &who, "p", &e) == ERR_DENIED);
    CHECK_OK(account_product(s.db, "p", &access, &recorded, &e), e);
    CHECK(access == ACCOUNT_CUSTOMERS && recorded);
    CHECK(ask(&s, account_product_set, "{\"product\":\"p\",\"access\":\"all\"}", &e) == ERR_FORMAT);
    CHECK(account_anonymous(s.db, &nobody, &e) == ERR_NOTFOUND);
    CHECK(account_anonymous_event(s.db, &ev, &e) == 1);
    CHECK_OK(site_add(&s, &ev, &e), e);
    CHECK(account_anonymous_event(s.db, &ev, &e) == 0);
    CHECK_OK(account_anonymous(s.db, &nobody, &e), e);
    CHECK(account_may(s.db, &nobody, "p", &e) == ERR_DENIED);
    CHECK(strncmp(e.text, "sign in", 7) == 0);
    CHECK_OK(ask(&s, account_product_set, "{\"product\":\"p\",\"access\":\"anyone\"}", &e), e);
    CHECK_OK(ask(&s, account_product_set, "{\"product\":\"p\",\"channel\":\"public\"}", &e), e);
    CHECK_OK(account_product(s.db, "p", &access, &recorded, &e), e);
    CHECK(access == ACCOUNT_ANYONE && !recorded);
    CHECK_OK(account_may(s.db, &nobody, "p", &e), e);
    CHECK_OK(account_may(s.db, &who, "p", &e), e);
    CHECK(ask(&s, account_org_erase, "{\"name\":\"anonymous\"}", &e) == ERR_DENIED);
    CHECK(add_account(&s, "{\"org\":\"anonymous\",\"user\":\"x\"}", token, NULL, &e) == ERR_DENIED);
    CLEANUP(js_free) json_t *list = NULL;
    CHECK_OK(account_product_list(s.db, &list, &e), e);
    CHECK(json_array_size(list) == 1);
    site_end(&s);
}

static void operators_have_a_role_and_a_key(void **state)
{
    (void)state;
#define KEY "0101010101010101010101010101010101010101010101010101010101010101"
    static const char *const bad[] = {
        "{\"name\":\"o\",\"role\":\"root\",\"public\":\"" KEY "\"}",
        "{\"name\":\"o\",\"role\":\"build\",\"public\":\"01\"}",
        "{\"name\":\"o p\",\"role\":\"build\",\"public\":\"" KEY "\"}",
        "{\"role\":\"build\",\"public\":\"" KEY "\"}",
    };
    struct record_site s;
    struct err e;
    struct account_operator o;
    start(&s);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK(ask(&s, account_operator_add, bad[i], &e) == ERR_FORMAT);
    }
    const char *good = "{\"name\":\"o\",\"role\":\"build\",\"public\":\"" KEY "\"}";
    CHECK_OK(ask(&s, account_operator_add, good, &e), e);
    CHECK(ask(&s, account_operator_add, good, &e) == ERR_CONFLICT);
    CHECK_OK(account_operator(s.db, "o", &o, &e), e);
    CHECK(o.key.b[31] == 1 && strcmp(o.role, "build") == 0);
    CHECK(account_operator(s.db, "p", &o, &e) == ERR_NOTFOUND);
    site_end(&s);
}

static int64_t personal(struct record_site *s)
{
    struct err e;
    int64_t n = -1;
    CHECK_OK(db_int(s->db,
                    "SELECT (SELECT count(name) + count(contact) + count(manager) +"
                    " count(language) FROM org) + (SELECT count(login) + count(token) +"
                    " count(password) FROM account)",
                    DB_NO_ARGS, &n, &e),
             e);
    return n;
}

static void what_was_erased_stays_erased_in_a_rebuild(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    struct account_who who;
    char one[65], two[65], three[65];
    uint64_t a1 = 0, a2 = 0, b1 = 0, lost = 9, id = 0;
    start(&s);
    org(&s, "A");
    org(&s, "B");
    CHECK_OK(add_account(&s, "{\"org\":\"A\",\"user\":\"u\"}", one, &a1, &e), e);
    CHECK_OK(add_account(&s, "{\"org\":\"A\",\"user\":\"v\"}", two, &a2, &e), e);
    CHECK_OK(add_account(&s, "{\"org\":\"B\",\"user\":\"u\"}", three, &b1, &e), e);
    CHECK(personal(&s) == 2 * 3 + 3 * 2);
    CHECK_OK(ask(&s, account_erase, "{\"org\":\"A\",\"user\":\"u\"}", &e), e);
    CHECK(keyring_state(s.ring, (struct keyring_id){KEYRING_ACCOUNT, a1}) == KEYRING_ERASED);
    CHECK(sign_in(&s, NULL, one, &who, &e) == ERR_DENIED);
    CHECK(personal(&s) == 2 * 3 + 2 * 2);
    CHECK_OK(ask(&s, account_org_erase, "{\"name\":\"B\"}", &e), e);
    CHECK(keyring_state(s.ring, (struct keyring_id){KEYRING_ACCOUNT, b1}) == KEYRING_ERASED);
    CHECK(keyring_state(s.ring, (struct keyring_id){KEYRING_ORG, 1}) == KEYRING_ERASED);
    CHECK(personal(&s) == 3 + 2);
    CHECK(account_org_find(s.db, "B", &id, &e) == ERR_NOTFOUND);
    org(&s, "B"); /* the name is free again, the id another */
    CHECK_OK(account_org_find(s.db, "B", &id, &e), e);
    CHECK(id > 1);
    site_rebuild(&s, &lost);
    CHECK(lost == 0 && personal(&s) == 2 * 3 + 2);
    CHECK_OK(sign_in(&s, "v", two, &who, &e), e);
    CHECK(who.account == a2);
    CHECK(sign_in(&s, NULL, three, &who, &e) == ERR_DENIED);
    CLEANUP(js_free) json_t *list = NULL;
    CHECK_OK(account_list(s.db, NULL, &list, &e), e);
    CHECK(json_array_size(list) == 3);
    CLEANUP(buf_clear) struct buf name = BUF(LIMIT_NAME);
    CHECK(account_org_name(s.db, 1, &name, &e) == ERR_NOTFOUND);
    CHECK_OK(account_org_name(s.db, 0, &name, &e), e);
    CHECK_STR(buf_text(&name), "A");
    site_end(&s);
}

static void an_erasure_that_forgets_an_account_is_refused(void **state)
{
    (void)state;
    struct record_site s;
    struct err e;
    char token[65];
    struct event ev = {0};
    CLEANUP(js_free) json_t *q = NULL;
    start(&s);
    org(&s, "A");
    CHECK_OK(js_parse(span_str("{\"name\":\"A\"}"), 100, "q", &q, &e), e);
    CHECK_OK(account_org_erase(s.db, q, &ev, &e), e);
    CHECK_OK(add_account(&s, "{\"org\":\"A\",\"user\":\"u\"}", token, NULL, &e), e);
    CHECK(site_add(&s, &ev, &e) == ERR_CONFLICT);
    struct account_who who;
    CHECK_OK(sign_in(&s, "u", token, &who, &e), e);
    site_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(organisations_are_checked),
        TEST(two_events_of_one_batch_cannot_take_one_name),
        TEST(a_token_signs_its_account_in),
        TEST(a_password_signs_in_until_there_is_a_token),
        TEST(products_are_granted_taken_back_and_for_anyone),
        TEST(operators_have_a_role_and_a_key),
        TEST(what_was_erased_stays_erased_in_a_rebuild),
        TEST(an_erasure_that_forgets_an_account_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
