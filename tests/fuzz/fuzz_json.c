/* What was read is written and read again to the same value, and its canonical form is a fixed
 * point: reading and canonising that gives the same bytes. */
#include "base/json.h"
#include "base/limits.h"

#define MOST ((size_t)1 << 20)

static void check_text(const json_t *doc)
{
    CLEANUP(buf_clear) struct buf text = BUF(MOST * 8);
    CLEANUP(js_free) json_t *again = NULL;
    js_write(&text, doc);
    FUZZ_CHECK(js_parse(buf_view(&text), MOST * 8, "it", &again, NULL) == 0);
    FUZZ_CHECK(json_equal(doc, again));
}

/* Canonical JSON writes control characters bare, which is no JSON: then it cannot be read again. */
static bool is_json(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < ' ') {
            return false;
        }
    }
    return true;
}

/* The stable form is JSON, whatever the texts hold. */
static void check_stable(const json_t *doc)
{
    CLEANUP(buf_clear) struct buf first = BUF(MOST * 8), second = BUF(MOST * 8);
    CLEANUP(js_free) json_t *again = NULL;
    if (js_stable(&first, doc, NULL) < 0) {
        return;
    }
    FUZZ_CHECK(js_parse(buf_view(&first), MOST * 8, "it", &again, NULL) == 0);
    FUZZ_CHECK(json_equal(doc, again));
    FUZZ_CHECK(js_stable(&second, again, NULL) == 0);
    FUZZ_CHECK(span_eq(buf_view(&first), buf_view(&second)));
}

static void check_canon(const json_t *doc)
{
    CLEANUP(buf_clear) struct buf first = BUF(MOST * 8), second = BUF(MOST * 8);
    CLEANUP(js_free) json_t *again = NULL;
    if (js_canon(&first, doc, NULL) < 0 || !is_json(buf_view(&first))) {
        return;
    }
    FUZZ_CHECK(js_parse(buf_view(&first), MOST * 8, "it", &again, NULL) == 0);
    FUZZ_CHECK(json_equal(doc, again));
    FUZZ_CHECK(js_canon(&second, again, NULL) == 0);
    FUZZ_CHECK(span_eq(buf_view(&first), buf_view(&second)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(js_free) json_t *doc = NULL;
    struct err e = {.text = ""};
    if (js_parse(span_of(data, size), MOST, "it", &doc, &e) < 0) {
        FUZZ_CHECK(doc == NULL && e.text[0] != '\0');
        return 0;
    }
    check_text(doc);
    check_canon(doc);
    check_stable(doc);
    return 0;
}
