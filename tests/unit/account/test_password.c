#include "account/account_priv.h"

#include "base/clock.h"

#include "check.h"

/* Made by openssl passwd, crypt(3) and sha1sum; the password is "secret" unless said. */
static const char *const hashes[] = {
    "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    "$5$rounds=1000$salt$CCvcOM6b7TEJDPb37Aec/9UpOg4QhPNAxPpL9ZzjTB7",
    ("$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq."
     "H91p5hVO1"),
    "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    "$apr1$saltSALT$WDJf6wM5.GXmxK8jyj/4v.",
};

static void each_kind_of_hash_takes_its_password_only(void **state)
{
    (void)state;
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
        CHECK_OK(password_supported(hashes[i], &e), e);
        CHECK(password_matches(hashes[i], span_str("secret")));
        CHECK(!password_matches(hashes[i], span_str("Secret")));
        CHECK(!password_matches(hashes[i], span_str("secretsecret")));
        CHECK(!password_matches(hashes[i], span_of("secret\0x", 8)));
    }
    CHECK(password_matches("$apr1$abc$IIW/V525X46ri30NUi0KL0",
                           span_str("a much longer password than sixteen bytes")));
}

static void what_cannot_be_checked_or_costs_too_much_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *hash;
        int want;
    } cases[] = {
        {"", ERR_FORMAT},
        {"secret", ERR_FORMAT},
        {"abJnggxhB/yWI", ERR_FORMAT}, /* DES looks at eight characters only */
        {"$1$salt$qJH7.N4xYta3aEG/dfqo/0", ERR_FORMAT},
        {"{SHA}short", ERR_FORMAT},
        {"{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=xxx", ERR_FORMAT},
        {"$apr1$toolongsalt$WDJf6wM5.GXmxK8jyj/4v.", ERR_FORMAT},
        {"$apr1$", ERR_FORMAT},
        {"$2y$04$", ERR_FORMAT},
        {"$6$", ERR_FORMAT},
        {"$6$salt\n$x", ERR_FORMAT},
        {"$2y$31$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", ERR_LIMIT},
        {"$5$rounds=999999999$salt$CCvcOM6b7TEJDPb37Aec/9UpOg4QhPNAxPpL9ZzjTB7", ERR_LIMIT},
        {"$y$jFT$salt$CCvcOM6b7TEJDPb37Aec/9UpOg4QhPNAxPpL9ZzjTB7", ERR_LIMIT},
    };
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK(password_supported(cases[i].hash, &e) == cases[i].want);
        CHECK(strstr(e.text, "token instead") != NULL);
    }
}

static void a_right_answer_is_remembered_for_its_account_alone(void **state)
{
    (void)state;
    struct err e;
    const char *hash = hashes[0];
    CHECK_OK(password_check(1, hash, span_str("secret"), &e), e);
    CHECK_OK(password_check(1, hash, span_str("secret"), &e), e);
    CHECK(password_check(1, hash, span_str("other"), &e) == ERR_DENIED);
    CHECK(password_check(1, hash, span_str("other"), &e) == ERR_DENIED);
    CHECK(password_check(2, hashes[1], span_str("secrets"), &e) == ERR_DENIED);
}

static int64_t fake = 1000000000;

/* Time passes only while a password is hashed: between two looks at the clock. */
static int64_t slow_clock(void)
{
    static bool second;
    fake += second ? 400000 : 1000;
    second = !second;
    return fake;
}

static void guessing_cannot_take_all_the_time(void **state)
{
    (void)state;
    struct err e;
    int denied = 0, r = ERR_DENIED;
    clock_replace(NULL, slow_clock);
    CHECK_OK(password_check(7, hashes[3], span_str("secret"), &e), e);
    while (denied < 100 &&
           (r = password_check(7, hashes[3], span_str("guess"), &e)) == ERR_DENIED) {
        denied++;
    }
    CHECK(r == ERR_UNAVAIL && denied == 12);
    CHECK_OK(password_check(7, hashes[3], span_str("secret"), &e), e); /* remembered */
    fake += 11 * CLOCK_SECOND;
    CHECK(password_check(7, hashes[3], span_str("guess"), &e) == ERR_DENIED);
    clock_replace(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_kind_of_hash_takes_its_password_only),
        TEST(what_cannot_be_checked_or_costs_too_much_is_refused),
        TEST(a_right_answer_is_remembered_for_its_account_alone),
        TEST(guessing_cannot_take_all_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
