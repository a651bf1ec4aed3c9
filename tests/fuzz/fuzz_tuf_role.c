/* fuzz_tuf_role.c - a metadata file that was accepted says the same after it is written again, and
 * its own keys, whatever they claim, verify it only with signatures over exactly that. */
#include "tuf/tuf.h"

#include "base/clock.h"
#include "base/limits.h"

static void canon_of(const json_t *doc, struct buf *out, int *rc)
{
    *rc = js_canon(out, json_object_get(doc, "signed"), NULL);
}

static void check_again(const json_t *doc, const char *type)
{
    CLEANUP(buf_clear) struct buf text = BUF(2 * LIMIT_TUF_ROLE);
    CLEANUP(buf_clear) struct buf one = BUF(2 * LIMIT_TUF_ROLE), two = BUF(2 * LIMIT_TUF_ROLE);
    CLEANUP(js_free) json_t *again = NULL;
    char expires[CLOCK_TEXT];
    struct err e;
    int a, b;
    FUZZ_CHECK(tuf_doc_version(doc) >= 1 && tuf_doc_version(doc) < TUF_VERSION_MAX);
    const char *written = js_str_or(json_object_get(doc, "signed"), "expires", "");
    FUZZ_CHECK(strcmp(clock_text(tuf_doc_expires(doc), true, expires), written) == 0);
    js_write(&text, doc);
    FUZZ_CHECK(tuf_parse(buf_view(&text), type, &again, &e) == 0);
    canon_of(doc, &one, &a);
    canon_of(again, &two, &b);
    FUZZ_CHECK(a == b && (a < 0 || span_eq(buf_view(&one), buf_view(&two))));
}

/* Nobody holds a private key here, so a file that its own keys verify must have come from the
 * seeds: then a change of the body must break it. */
static void check_verify(json_t *doc)
{
    json_t *body = json_object_get(doc, "signed");
    const json_t *keys = json_object_get(body, "keys");
    const json_t *role = json_object_get(json_object_get(body, "roles"), "root");
    if (tuf_verify(doc, keys, role, NULL) == 0) {
        js_set_int(body, "version", tuf_doc_version(doc) + 1);
        FUZZ_CHECK(tuf_verify(doc, keys, role, NULL) < 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"root", "targets", "snapshot", "timestamp"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        CLEANUP(js_free) json_t *doc = NULL;
        struct err e = {0};
        int r = tuf_parse(span_of(data, size), types[i], &doc, &e);
        FUZZ_CHECK((r == 0) == (doc != NULL) && (r == 0 || e.text[0] != 0));
        if (r == 0) {
            check_again(doc, types[i]);
            check_verify(doc);
        }
    }
    return 0;
}
