#include "log_help.h"

#include "base/text.h"

/* The eight leaves and the roots of their first 1 to 8, as in certificate-transparency's tests. */
static const char *const leaf_hex[] = {"",
                                       "00",
                                       "10",
                                       "2021",
                                       "3031",
                                       "40414243",
                                       "5051525354555657",
                                       "606162636465666768696a6b6c6d6e6f"};
static const char *const root_hex[] = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

static void known_trees_have_their_known_roots(void **state)
{
    (void)state;
    struct digest leaf[8];
    char text[DIGEST_TEXT + 1];
    for (size_t n = 0; n <= 8; n++) {
        struct digest root = tlog_root_of(leaf, n), naive = naive_root(leaf, n);
        CHECK_STR(digest_text(&root, text), root_hex[n]);
        CHECK(digest_eq(&root, &naive));
        if (n < 8) {
            uint8_t raw[16];
            size_t len = strlen(leaf_hex[n]) / 2;
            CHECK(text_unhex(span_str(leaf_hex[n]), raw, len, NULL) == 0);
            leaf[n] = tlog_leaf_hash(span_of(raw, len));
        }
    }
    struct tlog_head none = tlog_head_empty();
    CHECK(none.size == 0);
    CHECK_STR(digest_text(&none.root, text), root_hex[0]);
}

static void a_growing_edge_always_has_the_root(void **state)
{
    (void)state;
    struct digest *d = numbered_leaves(700);
    struct tlog_edge edge = {0};
    for (size_t n = 0; n <= 700; n++) {
        struct digest got = tlog_edge_root(&edge), want = naive_root(d, n);
        CHECK(edge.size == n && digest_eq(&got, &want));
        tlog_edge_add(&edge, &d[n]);
    }
    free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(known_trees_have_their_known_roots),
        TEST(a_growing_edge_always_has_the_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
