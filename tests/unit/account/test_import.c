#include "account/account_priv.h"

#include "check.h"

#define SHA "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="

static const char *member(const json_t *list, size_t i, const char *name)
{
    return js_str_or(json_array_get(list, i), name, "(none)");
}

static void organisations_come_with_their_products(void **state)
{
    (void)state;
    static const char text[] = "\xef\xbb\xbf"
                               "Contact,name,products,language\r\n"
                               "a@x.example,\"A, \"\"the\"\" first\",p; q ;,de\r\n"
                               "\r\n"
                               "b@x.example,B,,";
    struct err e;
    CLEANUP(js_free) json_t *q = NULL;
    CHECK_OK(account_org_csv(span_str(text), &q, &e), e);
    CHECK(json_array_size(q) == 4);
    CHECK_STR(member(q, 0, "op"), "org.add");
    CHECK_STR(member(q, 0, "name"), "A, \"the\" first");
    CHECK_STR(member(q, 0, "language"), "de");
    CHECK_STR(member(q, 1, "name"), "B");
    CHECK_STR(member(q, 1, "language"), "(none)");
    CHECK_STR(member(q, 2, "op"), "org.grant");
    CHECK_STR(member(q, 2, "product"), "p");
    CHECK_STR(member(q, 3, "product"), "q");
    CHECK_STR(member(q, 3, "name"), "A, \"the\" first");
}

static void every_bad_line_is_named(void **state)
{
    (void)state;
    static const char text[] = "name,contact,manager\n"
                               "A,a@x.example,M\n"
                               "B,nobody,M\n"
                               "C,c@x.example\n"
                               "\"two\nlines\",c@x.example,M\n"
                               "st\"ray,c@x.example,M\n"
                               "A,a@x.example,M\n"
                               "D,d@x.example,\xff\n"
                               "E,e@x.example,M\n"
                               "F,\"never ends\n"
                               "G,g@x.example,M\n";
    struct err e;
    json_t *q = NULL;
    CHECK(account_org_csv(span_str(text), &q, &e) == ERR_FORMAT);
    CHECK(q == NULL);
    CHECK(strstr(e.text, "7 bad lines: 3 (contact \"nobody\" is no mail address); 4 (2 fields, not "
                         "3); 5 (") != NULL);
    CHECK(strstr(e.text, "; 7 (") != NULL && strstr(e.text, "; 8") != NULL);
    CHECK(strstr(e.text, "; 9") != NULL && strstr(e.text, "; 11") != NULL);
    CHECK(strstr(e.text, "; 10") == NULL && strstr(e.text, "; 12") == NULL);
}

static void more_bad_lines_than_fit_are_counted(void **state)
{
    (void)state;
    struct err e;
    json_t *q = NULL;
    CLEANUP(buf_clear) struct buf text = BUF((size_t)1 << 20);
    buf_str(&text, "name,contact\n");
    for (int i = 0; i < 2000; i++) {
        buf_fmt(&text, "A%d,bad\n", i);
    }
    CHECK(account_org_csv(buf_view(&text), &q, &e) == ERR_FORMAT);
    CHECK(strstr(e.text, "2000 bad lines: 2 (") != NULL && strstr(e.text, "; 40") != NULL);
    CHECK(strstr(e.text, " more") != NULL && strlen(e.text) < sizeof e.text - 1);
}

static void the_header_must_make_sense(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "name\n",
                                      "name,contact,name\n",
                                      "name,contact,phone\n",
                                      "A,a@x.example\n",
                                      "\"name,contact\n"};
    struct err e;
    json_t *q = NULL;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK(account_org_csv(span_str(bad[i]), &q, &e) == ERR_FORMAT);
        CHECK(strncmp(e.text, "organisations: ", 15) == 0);
    }
}

static void htpasswd_lines_become_accounts(void **state)
{
    (void)state;
    static const char text[] = "# a comment\n\nann:" SHA "\r\nOther\\bob:" SHA "\n";
    struct err e;
    CLEANUP(js_free) json_t *q = NULL;
    CHECK_OK(account_htpasswd(span_str(text), "Mine", &q, &e), e);
    CHECK(json_array_size(q) == 2);
    CHECK_STR(member(q, 0, "org"), "Mine");
    CHECK_STR(member(q, 0, "user"), "ann");
    CHECK_STR(member(q, 0, "password_hash"), SHA);
    CHECK_STR(member(q, 1, "org"), "Other");
    CHECK_STR(member(q, 1, "user"), "bob");
}

static void bad_htpasswd_lines_are_named(void **state)
{
    (void)state;
    static const char text[] = "ann:" SHA "\nann:" SHA "\nnocolon\n:" SHA "\nbob:plain\n\xff:x\n";
    struct err e;
    json_t *q = NULL;
    CHECK(account_htpasswd(span_str(text), "Mine", &q, &e) == ERR_FORMAT);
    CHECK(strstr(e.text, "5 bad lines: 2 (ann comes twice); 3 (no colon") != NULL);
    CHECK(strstr(e.text, "; 4 (") != NULL && strstr(e.text, "; 5") != NULL);
    CHECK(account_htpasswd(span_str("ann:" SHA), NULL, &q, &e) == ERR_FORMAT);
    CHECK(strstr(e.text, "write ORG\\user") != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(organisations_come_with_their_products), TEST(every_bad_line_is_named),
        TEST(more_bad_lines_than_fit_are_counted),    TEST(the_header_must_make_sense),
        TEST(htpasswd_lines_become_accounts),         TEST(bad_htpasswd_lines_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
