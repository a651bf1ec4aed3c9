#include "base/sig.h"

#include "base/text.h"
#include "check.h"

/* RFC 8032 section 7.1: TEST 1, 2, 3 and SHA(abc). */
static const struct {
    const char *key, *message, *sig;
} vectors[] = {
    {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "4"
     "6bd25bf5f0595bbe24655141438e7a100b"},
    {"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d"
     "8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "6"
     "594a7c15e9716ed28dc027beceea1ec40a"},
    {"ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3fee"
     "b"
     "bd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e"
     "0"
     "303dca179c138ac17ad9bef1177331a704"},
};

struct vector {
    struct sig_public key;
    uint8_t message[64], sig[SIG_LEN];
    size_t len;
};

static struct vector load(size_t i)
{
    struct vector v = {.len = strlen(vectors[i].message) / 2};
    CHECK(text_unhex(span_str(vectors[i].key), v.key.b, SIG_PUBLIC, NULL) == 0);
    CHECK(text_unhex(span_str(vectors[i].message), v.message, v.len, NULL) == 0);
    CHECK(text_unhex(span_str(vectors[i].sig), v.sig, SIG_LEN, NULL) == 0);
    return v;
}

static void the_vectors_of_rfc_8032_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        struct vector v = load(i);
        CHECK(sig_ok(&v.key, span_of(v.message, v.len), v.sig));
    }
    struct vector v = load(0);
    CHECK(sig_ok(&v.key, SPAN_NONE, v.sig));
}

static void any_changed_bit_is_seen(void **state)
{
    (void)state;
    struct vector v = load(2);
    for (size_t bit = 0; bit < SIG_LEN * 8; bit++) {
        v.sig[bit / 8] ^= (uint8_t)(1U << bit % 8);
        CHECK(!sig_ok(&v.key, span_of(v.message, v.len), v.sig));
        v.sig[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    v.message[1] ^= 1;
    CHECK(!sig_ok(&v.key, span_of(v.message, v.len), v.sig));
    CHECK(!sig_ok(&v.key, span_of(v.message, 1), v.sig));
}

static void a_signature_has_one_spelling(void **state)
{
    (void)state;
    /* S + L is the same number to a careless check (RFC 8032 5.1.7 wants 0 <= S < L). */
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                      0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                      0,    0,    0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0x10};
    struct vector v = load(1);
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += v.sig[32 + i] + (unsigned)order[i];
        v.sig[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    CHECK(!sig_ok(&v.key, span_of(v.message, v.len), v.sig));
}

static void a_key_of_small_order_signs_nothing(void **state)
{
    (void)state;
    struct sig_public zero = {.b = {1}}; /* the neutral element */
    uint8_t sig[SIG_LEN] = {1};
    CHECK(!sig_ok(&zero, span_str("anything"), sig));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_vectors_of_rfc_8032_hold),
        TEST(any_changed_bit_is_seen),
        TEST(a_signature_has_one_spelling),
        TEST(a_key_of_small_order_signs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
