/* What a key file says is kept: the accepted text, written again from what was read, reads the
 * same; and nothing opens without the subkey. */
#include "key/key.h"

#include "base/json.h"
#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(js_free) json_t *j = NULL;
    struct key_info first, second;
    struct span text = span_of(data, size);
    if (js_parse(text, LIMIT_KEY_FILE, "seed", &j, NULL) < 0) {
        FUZZ_CHECK(key_info_parse(text, "log-1", &first, NULL) < 0);
        return 0;
    }
    const char *name = js_str_or(j, "name", "log-1");
    if (key_info_parse(text, name, &first, NULL) < 0) {
        return 0;
    }
    FUZZ_CHECK(strcmp(first.name, name) == 0);
    FUZZ_CHECK(strspn(first.name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == strlen(name));
    FUZZ_CHECK(key_purpose_name(first.purpose) != NULL);
    FUZZ_CHECK(key_info_parse(text, "another", &second, NULL) < 0 || strcmp(name, "another") == 0);

    CLEANUP(buf_clear) struct buf again = BUF(LIMIT_KEY_FILE * 8);
    js_write(&again, j);
    FUZZ_CHECK(key_info_parse(buf_view(&again), name, &second, NULL) == 0);
    FUZZ_CHECK(strcmp(first.name, second.name) == 0 && strcmp(first.role, second.role) == 0);
    FUZZ_CHECK(first.purpose == second.purpose);
    FUZZ_CHECK(memcmp(first.public.b, second.public.b, SIG_PUBLIC) == 0);
    return 0;
}
