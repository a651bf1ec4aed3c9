#include "base/dsse.h"

#include "base/limits.h"
#include "check.h"
#include "signer.h"

#define TYPE "application/vnd.in-toto+json"

static struct signer signer(uint8_t first)
{
    struct signer s;
    uint8_t seed[32] = {first};
    signer_init(&s, seed);
    return s;
}

static char *envelope(struct signer *s, const char *payload)
{
    s->by.ctx = s;
    struct buf out = BUF(LIMIT_DSSE);
    struct err e;
    CHECK_OK(dsse_sign(&s->by, TYPE, span_str(payload), &out, &e), e);
    return buf_steal(&out);
}

static void the_encoding_is_that_of_the_specification(void **state)
{
    (void)state;
    /* dsse/protocol.md, "Test Vectors" */
    CLEANUP(buf_clear) struct buf b = BUF(200);
    dsse_pae(&b, span_str("http://example.com/HelloWorld"), span_str("hello world"));
    CHECK_STR(buf_text(&b), "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    buf_reset(&b);
    dsse_pae(&b, span_str(""), span_str(""));
    CHECK_STR(buf_text(&b), "DSSEv1 0  0 ");
}

static void what_is_signed_opens(void **state)
{
    (void)state;
    struct signer s = signer(1);
    CLEANUP(buf_clear) struct buf payload = BUF(100);
    char *text = envelope(&s, "{\"a\":1}");
    struct err e;
    CHECK_OK(dsse_open(span_str(text), TYPE, &s.by.key, &payload, &e), e);
    CHECK_STR(buf_text(&payload), "{\"a\":1}");
    free(text);
}

static void another_key_type_or_payload_is_refused(void **state)
{
    (void)state;
    struct signer s = signer(1), other = signer(2);
    CLEANUP(buf_clear) struct buf payload = BUF(100);
    char *text = envelope(&s, "{\"a\":1}");
    struct err e;
    CHECK(dsse_open(span_str(text), TYPE, &other.by.key, &payload, &e) == ERR_TRUST);
    CHECK(dsse_open(span_str(text), "text/plain", &s.by.key, &payload, &e) == ERR_TRUST);
    CHECK(strstr(e.text, "text/plain") != NULL);
    char *at = strstr(text, "eyJhIjoxfQ"); /* {"a":1} */
    CHECK(at != NULL);
    at[6] = 'y'; /* {"a":2} */
    CHECK(dsse_open(span_str(text), TYPE, &s.by.key, &payload, &e) == ERR_TRUST);
    CHECK(payload.len == 0);
    free(text);
}

static void a_type_that_was_not_signed_is_refused(void **state)
{
    (void)state;
    struct signer s = signer(1);
    CLEANUP(buf_clear) struct buf payload = BUF(100);
    char *text = envelope(&s, "x");
    char *at = strstr(text, "in-toto");
    CHECK(at != NULL);
    *at = 'I';
    struct err e;
    CHECK(dsse_open(span_str(text), "application/vnd.In-toto+json", &s.by.key, &payload, &e) ==
          ERR_TRUST);
    free(text);
}

static void foreign_envelopes_are_read_as_the_specification_allows(void **state)
{
    (void)state;
    struct signer s = signer(1);
    char *text = envelope(&s, "\xFB\xFF\xFE");
    CLEANUP(js_free) json_t *o = NULL;
    struct err e;
    CHECK_OK(js_parse(span_str(text), LIMIT_DSSE, "envelope", &o, &e), e);
    free(text);
    json_t *list = json_object_get(o, "signatures"), *one = json_array_get(list, 0);
    /* no key id, an unknown signature before, and URL-safe base64 without padding */
    json_object_del(one, "keyid");
    js_set_str(o, "payload", "-__-");
    json_t *stranger = js_new();
    js_set_str(stranger, "keyid", "unknown");
    js_set_str(stranger, "sig", "AAAA");
    json_array_insert_new(list, 0, stranger);
    CLEANUP(buf_clear) struct buf again = BUF(LIMIT_DSSE), payload = BUF(100);
    js_write(&again, o);
    CHECK_OK(dsse_open(buf_view(&again), TYPE, &s.by.key, &payload, &e), e);
    CHECK(span_is(buf_view(&payload), "\xFB\xFF\xFE"));
}

static void malformed_envelopes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        {"", ERR_FORMAT},
        {"[]", ERR_FORMAT},
        {"{}", ERR_FORMAT},
        {"{\"payload\":\"!\",\"payloadType\":\"" TYPE "\",\"signatures\":[]}", ERR_FORMAT},
        {"{\"payload\":\"\",\"payloadType\":\"" TYPE "\",\"signatures\":{}}", ERR_FORMAT},
        {"{\"payload\":\"\",\"payloadType\":\"" TYPE "\",\"signatures\":[]}", ERR_TRUST},
        {"{\"payload\":\"\",\"payloadType\":\"" TYPE "\",\"signatures\":[1,{\"sig\":2}]}",
         ERR_TRUST},
    };
    struct signer s = signer(1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_clear) struct buf payload = BUF(100);
        struct err e;
        CHECK(dsse_open(span_str(cases[i].text), TYPE, &s.by.key, &payload, &e) == cases[i].want);
        CHECK(payload.len == 0 && e.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_encoding_is_that_of_the_specification),
        TEST(what_is_signed_opens),
        TEST(another_key_type_or_payload_is_refused),
        TEST(a_type_that_was_not_signed_is_refused),
        TEST(foreign_envelopes_are_read_as_the_specification_allows),
        TEST(malformed_envelopes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
