#include "log_help.h"

#include "base/random.h"

#define TREES 70 /* every proof of every tree up to here */

static struct tlog_head head_of(const struct digest *d, size_t n)
{
    return (struct tlog_head){n, naive_root(d, n)};
}

static void every_inclusion_proof_of_small_trees_holds(void **state)
{
    (void)state;
    struct digest *d = numbered_leaves(TREES);
    for (size_t n = 1; n <= TREES; n++) {
        struct tlog_head head = head_of(d, n);
        for (size_t i = 0; i < n; i++) {
            struct tlog_hashes p = {.n = 0};
            naive_path(i, d, n, &p);
            CHECK(tlog_check_inclusion(&d[i], i, &head, &p, NULL) == 0);
            size_t other = (i + 1) % n;
            if (n > 1) {
                CHECK(tlog_check_inclusion(&d[other], i, &head, &p, NULL) == ERR_TRUST);
                CHECK(tlog_check_inclusion(&d[i], other, &head, &p, NULL) == ERR_TRUST);
            }
            p.h[p.n++] = d[i];
            CHECK(tlog_check_inclusion(&d[i], i, &head, &p, NULL) == ERR_TRUST);
            p.n = p.n > 1 ? p.n - 2 : 0;
            CHECK(n == 1 || tlog_check_inclusion(&d[i], i, &head, &p, NULL) == ERR_TRUST);
        }
        struct tlog_hashes none = {.n = 0};
        CHECK(tlog_check_inclusion(&d[0], n, &head, &none, NULL) == ERR_TRUST);
        CHECK(tlog_check_inclusion(&d[0], UINT64_MAX, &head, &none, NULL) == ERR_TRUST);
    }
    free(d);
}

static void every_changed_bit_breaks_a_proof(void **state)
{
    (void)state;
    struct digest *d = numbered_leaves(21);
    struct tlog_head head = head_of(d, 21), old = head_of(d, 13);
    struct tlog_hashes in = {.n = 0}, grow = {.n = 0};
    naive_path(9, d, 21, &in);
    naive_subproof(13, d, 21, true, &grow);
    CHECK(tlog_check_consistency(&old, &head, &grow, NULL) == 0);
    for (size_t bit = 0; bit < in.n * 256; bit++) {
        in.h[bit / 256].b[bit / 8 % 32] ^= (uint8_t)(1u << bit % 8);
        CHECK(tlog_check_inclusion(&d[9], 9, &head, &in, NULL) == ERR_TRUST);
        in.h[bit / 256].b[bit / 8 % 32] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < grow.n * 256; bit++) {
        grow.h[bit / 256].b[bit / 8 % 32] ^= (uint8_t)(1u << bit % 8);
        CHECK(tlog_check_consistency(&old, &head, &grow, NULL) == ERR_TRUST);
        grow.h[bit / 256].b[bit / 8 % 32] ^= (uint8_t)(1u << bit % 8);
    }
    free(d);
}

static void every_consistency_proof_of_small_trees_holds(void **state)
{
    (void)state;
    struct digest *d = numbered_leaves(TREES);
    for (size_t n = 1; n <= TREES; n++) {
        for (size_t m = 1; m <= n; m++) {
            struct tlog_head old = head_of(d, m), new = head_of(d, n);
            struct tlog_hashes p = {.n = 0};
            naive_subproof(m, d, n, true, &p);
            CHECK(tlog_check_consistency(&old, &new, &p, NULL) == 0);
            old.root.b[5] ^= 1;
            CHECK(tlog_check_consistency(&old, &new, &p, NULL) == ERR_TRUST);
            old.root.b[5] ^= 1;
            new.root.b[5] ^= 1;
            CHECK(tlog_check_consistency(&old, &new, &p, NULL) == ERR_TRUST);
            new.root.b[5] ^= 1;
            p.h[p.n++] = d[0];
            CHECK(tlog_check_consistency(&old, &new, &p, NULL) == ERR_TRUST);
            p.n = p.n > 1 ? p.n - 2 : 0;
            CHECK(m == n || tlog_check_consistency(&old, &new, &p, NULL) == ERR_TRUST);
        }
    }
    free(d);
}

static void a_log_that_shrank_or_lies_about_empty_is_refused(void **state)
{
    (void)state;
    struct digest *d = numbered_leaves(3);
    struct tlog_head none = tlog_head_empty(), one = head_of(d, 1), three = head_of(d, 3);
    struct tlog_hashes p = {.n = 0};
    CHECK(tlog_check_consistency(&none, &three, &p, NULL) == 0);
    CHECK(tlog_check_consistency(&none, &none, &p, NULL) == 0);
    CHECK(tlog_check_consistency(&three, &one, &p, NULL) == ERR_TRUST);
    none.root.b[0] ^= 1;
    CHECK(tlog_check_consistency(&none, &three, &p, NULL) == ERR_TRUST);
    CHECK(tlog_check_consistency(&none, &none, &p, NULL) == ERR_TRUST);
    free(d);
}

/* ---- proof files ---- */

struct maker {
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
};

static int sign(void *ctx, struct span message, uint8_t out[SIG_LEN], struct err *e)
{
    (void)e;
    struct maker *m = ctx;
    return crypto_sign_detached(out, NULL, message.p, message.len, m->secret);
}

static void a_proof_file_convinces_only_of_its_entry(void **state)
{
    (void)state;
    struct maker m;
    struct sig_by by = {.sign = sign, .ctx = &m};
    CHECK(crypto_sign_keypair(by.key.b, m.secret) == 0);
    struct digest *d = numbered_leaves(12);
    struct tlog_checkpoint c = {.origin = "example.org/log", .head = head_of(d, 12)}, got;
    CLEANUP(buf_clear) struct buf note = BUF(LIMIT_NOTE), file = BUF(LIMIT_NOTE);
    struct err e;
    CHECK_OK(tlog_checkpoint_sign(&c, &by, &note, &e), e);
    struct tlog_hashes p = {.n = 0};
    naive_path(4, d, 12, &p);
    tlog_proof_write(&file, 4, &p, span_str("more"), buf_view(&note));
    CHECK_OK(tlog_proof_check(buf_view(&file), &d[4], c.origin, &by.key, &got, &e), e);
    CHECK(got.head.size == 12 && digest_eq(&got.head.root, &c.head.root));
    CHECK(tlog_proof_check(buf_view(&file), &d[5], c.origin, &by.key, &got, NULL) == ERR_TRUST);
    CHECK(tlog_proof_check(buf_view(&file), &d[4], "other.org", &by.key, &got, NULL) == ERR_TRUST);
    by.key.b[3] ^= 1;
    CHECK(tlog_proof_check(buf_view(&file), &d[4], c.origin, &by.key, &got, NULL) == ERR_TRUST);
    struct tlog_proof parsed;
    CHECK_OK(tlog_proof_parse(buf_view(&file), &parsed, &e), e);
    CHECK(span_is(parsed.extra, "bW9yZQ==") && parsed.index == 4 && hashes_same(&parsed.path, &p));
    CHECK(span_eq(parsed.note, buf_view(&note)));
    free(d);
}

static void a_proof_file_has_one_spelling(void **state)
{
    (void)state;
#define H "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        {"c2sp.org/tlog-proof@v1\nindex 0\n\nx", 0},
        {"c2sp.org/tlog-proof@v1\nindex 7\n" H H "\nnote\n\nmore\n", 0},
        {"c2sp.org/tlog-proof@v1\nextra \nindex 7\n" H "\nnote\n", 0},
        {"c2sp.org/tlog-proof@v1\nextra !\nindex 7\n" H "\nnote\n", ERR_FORMAT},
        {"c2sp.org/tlog-proof@v1\nindex 07\n" H "\nnote\n", ERR_FORMAT},
        {"c2sp.org/tlog-proof@v1\nindex -1\n" H "\nnote\n", ERR_FORMAT},
        {"c2sp.org/tlog-proof@v1\nindex 7 \n" H "\nnote\n", ERR_FORMAT},
        {"c2sp.org/tlog-proof@v1\nindex 7\n " H "\nnote\n", ERR_FORMAT},
        {"c2sp.org/tlog-proof@v1\nindex 7\n"
         "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=\n\nnote\n",
         ERR_FORMAT},
        {"c2sp.org/tlog-proof@v1\nindex 7\n"
         "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n\nnote\n",
         ERR_FORMAT},
        {"c2sp.org/tlog-proof@v1\nindex 7\n" H, ERR_FORMAT},
        {"c2sp.org/tlog-proof@v1\nindex 7\n" H "\n", ERR_FORMAT},
        {"c2sp.org/tlog-proof@v2\nindex 7\n" H "\nnote\n", ERR_FORMAT},
        {"c2sp.org/tlog-proof@v1\r\nindex 7\n" H "\nnote\n", ERR_FORMAT},
        {"c2sp.org/tlog-proof@v1", ERR_FORMAT},
        {"", ERR_FORMAT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tlog_proof p = {.index = 99};
        int r = tlog_proof_parse(span_str(cases[i].text), &p, NULL);
        if (r != cases[i].want) {
            print_error("case %zu: %d\n", i, r);
        }
        CHECK(r == cases[i].want);
        CHECK(r == 0 || p.index == 99);
    }
    CLEANUP(buf_clear) struct buf many = BUF(LIMIT_NOTE);
    buf_str(&many, "c2sp.org/tlog-proof@v1\nindex 7\n");
    for (unsigned i = 0; i <= TLOG_HASHES; i++) {
        buf_str(&many, H);
    }
    buf_str(&many, "\nnote\n");
    struct tlog_proof p;
    CHECK(tlog_proof_parse(buf_view(&many), &p, NULL) == ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_inclusion_proof_of_small_trees_holds),
        TEST(every_changed_bit_breaks_a_proof),
        TEST(every_consistency_proof_of_small_trees_holds),
        TEST(a_log_that_shrank_or_lies_about_empty_is_refused),
        TEST(a_proof_file_convinces_only_of_its_entry),
        TEST(a_proof_file_has_one_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
