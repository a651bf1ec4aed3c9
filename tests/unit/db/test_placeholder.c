#include "db/db_priv.h"

#include "check.h"

static void placeholders_are_numbered_as_written(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *want; /* NULL: refused */
    } cases[] = {
        {"SELECT $2, $1", "SELECT ?2, ?1"},
        {"$1", "?1"},
        {"($1,$10)", "(?1,?10)"},
        {"SELECT '$1', $1", "SELECT '$1', ?1"},
        {"SELECT 'it''s $1', $1", "SELECT 'it''s $1', ?1"},
        {"SELECT \"a$1\", `$2`, [$3], $4", "SELECT \"a$1\", `$2`, [$3], ?4"},
        {"SELECT 1 -- $1\n, $1", "SELECT 1 -- $1\n, ?1"},
        {"SELECT /* $1 '*/ $1", "SELECT /* $1 '*/ ?1"},
        {"SELECT a$1 FROM t", "SELECT a$1 FROM t"}, /* a name */
        {"SELECT 1 -- to the end $1", "SELECT 1 -- to the end $1"},
        {"SELECT 'open $1", "SELECT 'open $1"},
        {"SELECT a -$1", "SELECT a -?1"},
        {"", ""},
        {"SELECT ?", NULL},
        {"SELECT ?1", NULL},
        {"SELECT :name", NULL},
        {"SELECT @name", NULL},
        {"SELECT $name", NULL},
        {"SELECT $", NULL},
        {"SELECT $0", NULL},
        {"SELECT $01", NULL},
        {"SELECT $1a", NULL},
        {"SELECT $1000", NULL},
        {"SELECT $99999999999999999999", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_clear) struct buf out = BUF(1000);
        struct err e;
        int r = db_number_placeholders(cases[i].sql, &out, &e);
        CHECK(r == (cases[i].want == NULL ? ERR_BUG : 0));
        if (cases[i].want != NULL) {
            CHECK_STR(buf_text(&out), cases[i].want);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(placeholders_are_numbered_as_written)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
