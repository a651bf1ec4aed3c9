#include "site.h"
#include "base/text.h"

/* RFC 8032, 7.1, test 1. */
#define RFC_KEY "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

static void a_key_id_hashes_the_canonical_key(void **state)
{
    (void)state;
    static const char canon[] =
        "{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"" RFC_KEY "\"},\"scheme\":\"ed25519\"}";
    struct sig_public key;
    struct digest d = digest_of(span_str(canon));
    char id[TUF_KEYID_TEXT + 1], want[DIGEST_TEXT + 1];
    CHECK(text_unhex(span_str(RFC_KEY), key.b, sizeof key.b, NULL) == 0);
    tuf_keyid(&key, id);
    CHECK_STR(id, digest_text(&d, want));
}

static void a_head_is_checked(void **state)
{
    (void)state;
#define HEAD(type, spec, version, expires)                                                         \
    "{\"signatures\":[],\"signed\":{\"_type\":" type ",\"spec_version\":" spec                     \
    ",\"version\":" version ",\"expires\":" expires ",\"x\":{\"y\":[1]}}}"
#define TIME "\"2030-01-02T03:04:05Z\""
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        {HEAD("\"targets\"", "\"1.0.31\"", "1", TIME), 0},
        {HEAD("\"targets\"", "\"1.0\"", "1", TIME) "\n", 0},
        {HEAD("\"targets\"", "\"1.0.31\"", "9007199254740991", TIME), 0},
        {HEAD("\"root\"", "\"1.0.31\"", "1", TIME), ERR_FORMAT},
        {HEAD("\"targets\"", "\"2.0.0\"", "1", TIME), ERR_FORMAT},
        {HEAD("\"targets\"", "\"1\"", "1", TIME), ERR_FORMAT},
        {HEAD("\"targets\"", "\"1.0.0.0\"", "1", TIME), ERR_FORMAT},
        {HEAD("\"targets\"", "1", "1", TIME), ERR_FORMAT},
        {HEAD("\"targets\"", "\"1.0.31\"", "0", TIME), ERR_FORMAT},
        {HEAD("\"targets\"", "\"1.0.31\"", "-1", TIME), ERR_FORMAT},
        {HEAD("\"targets\"", "\"1.0.31\"", "1.0", TIME), ERR_FORMAT},
        {HEAD("\"targets\"", "\"1.0.31\"", "9007199254740992", TIME), ERR_FORMAT},
        {HEAD("\"targets\"", "\"1.0.31\"", "1", "\"2030-01-02T03:04:05.5Z\""), ERR_FORMAT},
        {HEAD("\"targets\"", "\"1.0.31\"", "1", "\"2030-01-02T03:04:05+00:00\""), ERR_FORMAT},
        {HEAD("\"targets\"", "\"1.0.31\"", "1", "\"2030-01-02\""), ERR_FORMAT},
        {HEAD("\"targets\"", "\"1.0.31\"", "1", "\"2030-02-30T03:04:05Z\""), ERR_FORMAT},
        {HEAD("\"targets\"", "\"1.0.31\"", "1", TIME) "x", ERR_FORMAT},
        {"{\"signatures\":[]}", ERR_FORMAT},
        {"{\"signed\":{}}", ERR_FORMAT},
        {"[]", ERR_FORMAT},
        {"", ERR_FORMAT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(js_free) json_t *doc = NULL;
        struct err e;
        int rc = tuf_parse(span_str(cases[i].text), "targets", &doc, &e);
        if (rc != cases[i].want) {
            print_error("case %zu: %d\n", i, rc);
        }
        CHECK(rc == cases[i].want && (doc != NULL) == (rc == 0));
    }
}

/* ---- signatures ---- */

struct parts {
    struct site_key key[4];
    struct sig_by by[4];
    json_t *doc, *keys, *role, *ids, *sigs;
};

static const char *hex_of(struct span s, char out[2 * SIG_LEN + 1])
{
    CLEANUP(buf_clear) struct buf b = BUF(2 * SIG_LEN);
    text_hex(&b, s);
    memcpy(out, b.p, b.len + 1);
    return out;
}

static void parts_sign(struct parts *p, int who, const char *id)
{
    CLEANUP(buf_clear) struct buf text = BUF(4096);
    struct err e;
    uint8_t sig[SIG_LEN];
    char hex[2 * SIG_LEN + 1], own[TUF_KEYID_TEXT + 1];
    CHECK_OK(js_canon(&text, json_object_get(p->doc, "signed"), &e), e);
    CHECK(p->by[who].sign(p->by[who].ctx, buf_view(&text), sig, &e) == 0);
    tuf_keyid(&p->by[who].key, own);
    json_t *one = js_new();
    js_set_str(one, "keyid", id != NULL ? id : own);
    js_set_str(one, "sig", hex_of(span_of(sig, SIG_LEN), hex));
    js_add(p->sigs, one);
}

/* A role of keys 0, 1 and 2 that needs two. */
static void parts_init(struct parts *p)
{
    static const char text[] = HEAD("\"targets\"", "\"1.0.31\"", "1", TIME);
    struct err e;
    CHECK_OK(tuf_parse(span_str(text), "targets", &p->doc, &e), e);
    p->keys = js_new();
    p->role = js_new();
    p->ids = js_list();
    for (int i = 0; i < 4; i++) {
        char id[TUF_KEYID_TEXT + 1];
        p->by[i] = site_key_of(&p->key[i], 40 + i);
        tuf_keyid(&p->by[i].key, id);
        js_set(p->keys, id, tuf_key_json(&p->by[i].key));
        if (i < 3) {
            js_add_str(p->ids, id);
        }
    }
    js_set(p->role, "keyids", p->ids);
    js_set_int(p->role, "threshold", 2);
    p->sigs = json_object_get(p->doc, "signatures");
}

static void parts_clear(struct parts *p)
{
    js_free(&p->doc);
    js_free(&p->keys);
    js_free(&p->role);
}

static int parts_verify(struct parts *p)
{
    struct err e;
    int rc = tuf_verify(p->doc, p->keys, p->role, &e);
    parts_clear(p);
    return rc;
}

static void the_threshold_counts_distinct_listed_keys(void **state)
{
    (void)state;
    struct parts p;
    parts_init(&p);
    parts_sign(&p, 0, NULL);
    parts_sign(&p, 2, NULL);
    CHECK(parts_verify(&p) == 0);

    parts_init(&p);
    parts_sign(&p, 0, NULL);
    CHECK(parts_verify(&p) == ERR_TRUST);

    parts_init(&p);
    parts_sign(&p, 0, NULL);
    parts_sign(&p, 3, NULL); /* a key, but not of this role */
    CHECK(parts_verify(&p) == ERR_TRUST);

    parts_init(&p);
    parts_sign(&p, 0, NULL);
    js_add(p.ids, json_incref(json_array_get(p.ids, 0))); /* listed twice counts once */
    CHECK(parts_verify(&p) == ERR_TRUST);

    parts_init(&p);
    js_set_int(p.role, "threshold", 0);
    CHECK(parts_verify(&p) == ERR_FORMAT);
}

static void one_key_id_twice_refuses_the_file(void **state)
{
    (void)state;
    struct parts p;
    parts_init(&p);
    parts_sign(&p, 0, NULL);
    parts_sign(&p, 1, NULL);
    parts_sign(&p, 1, NULL);
    CHECK(parts_verify(&p) == ERR_FORMAT);
}

static void one_key_under_two_ids_is_one_voice(void **state)
{
    (void)state;
    struct parts p;
    struct digest d;
    char id[DIGEST_TEXT + 1];
    parts_init(&p);
    json_t *twin = tuf_key_json(&p.by[0].key);
    js_set_str(twin, "x-twin", "1");
    CHECK(js_digest(twin, &d, NULL) == 0);
    js_set(p.keys, digest_text(&d, id), twin);
    js_add_str(p.ids, id);
    parts_sign(&p, 0, NULL);
    parts_sign(&p, 0, id);
    CHECK(parts_verify(&p) == ERR_TRUST);
}

static void a_key_that_is_not_its_id_counts_for_nothing(void **state)
{
    (void)state;
    struct parts p;
    parts_init(&p);
    parts_sign(&p, 0, NULL);
    parts_sign(&p, 1, NULL);
    const char *id = json_string_value(json_array_get(p.ids, 1));
    js_set(p.keys, id, tuf_key_json(&p.by[3].key));
    CHECK(parts_verify(&p) == ERR_TRUST);
}

static void bad_signatures_beside_good_ones_are_skipped(void **state)
{
    (void)state;
    static const char *const bad[] = {"{}",
                                      "{\"keyid\":\"x\",\"sig\":\"\"}",
                                      "{\"keyid\":\"y\",\"sig\":5}",
                                      "{\"keyid\":7,\"sig\":\"00\"}",
                                      "{\"sig\":\"00\"}",
                                      "7"};
    struct parts p;
    parts_init(&p);
    parts_sign(&p, 0, NULL);
    parts_sign(&p, 1, NULL);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        json_t *one = NULL;
        json_error_t je;
        one = json_loads(bad[i], JSON_DECODE_ANY, &je);
        CHECK(one != NULL);
        js_add(p.sigs, one);
    }
    CHECK(parts_verify(&p) == 0);
}

static void a_changed_body_is_not_signed(void **state)
{
    (void)state;
    struct parts p;
    parts_init(&p);
    parts_sign(&p, 0, NULL);
    parts_sign(&p, 1, NULL);
    js_set_int(json_object_get(p.doc, "signed"), "unknown", 1); /* unknown members count too */
    CHECK(parts_verify(&p) == ERR_TRUST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_id_hashes_the_canonical_key),
        TEST(a_head_is_checked),
        TEST(the_threshold_counts_distinct_listed_keys),
        TEST(one_key_id_twice_refuses_the_file),
        TEST(one_key_under_two_ids_is_one_voice),
        TEST(a_key_that_is_not_its_id_counts_for_nothing),
        TEST(bad_signatures_beside_good_ones_are_skipped),
        TEST(a_changed_body_is_not_signed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
