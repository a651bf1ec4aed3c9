/* What was accepted is texts, maps and lists within limits, has one JSON form, and that form, being
 * YAML too, reads back to the same value. */
#include "base/limits.h"
#include "base/yaml.h"

static void check(const json_t *j, int depth)
{
    const char *key;
    json_t *item;
    size_t i;
    FUZZ_CHECK(json_is_string(j) || json_is_object(j) || json_is_array(j));
    FUZZ_CHECK(depth <= LIMIT_JSON_DEPTH);
    if (json_is_string(j)) {
        FUZZ_CHECK(strlen(json_string_value(j)) == json_string_length(j));
    }
    json_object_foreach((json_t *)(uintptr_t)j, key, item)
    {
        check(item, depth + 1);
    }
    json_array_foreach(j, i, item)
    {
        check(item, depth + 1);
    }
}

/* libyaml takes no DEL, no C1 control and no non-character, which JSON text may hold. */
static bool yaml_takes(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] >= 0x7F) {
            return false;
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(js_free) json_t *doc = NULL;
    CLEANUP(js_free) json_t *again = NULL;
    CLEANUP(buf_clear) struct buf text = BUF((size_t)16 << 20);
    struct err e = {.text = ""};
    if (yaml_parse(span_of(data, size), LIMIT_CONFIG, "it", &doc, &e) < 0) {
        FUZZ_CHECK(doc == NULL && e.text[0] != '\0');
        return 0;
    }
    check(doc, 0);
    if (!json_is_string(doc)) {
        js_write(&text, doc);
        /* a key of more than 1024 bytes, with its escapes, is no simple key in YAML */
        if (size < 300 && yaml_takes(buf_view(&text))) {
            FUZZ_CHECK(yaml_parse(buf_view(&text), LIMIT_CONFIG * 8, "it", &again, &e) == 0);
            FUZZ_CHECK(json_equal(doc, again));
        }
    }
    return 0;
}
