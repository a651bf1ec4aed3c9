/* fuzz_tuf_name.c - whatever a name is, the suggested one passes, and a good one needs none. */
#include "tuf/tuf.h"

#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_clear) struct buf better = BUF(2 * LIMIT_TARGET), same = BUF(2 * LIMIT_TARGET);
    struct span name = span_of(data, size);
    struct err e;
    int r = tuf_check_name(name, &better, &e);
    FUZZ_CHECK((r == 0) == (better.len == 0));
    if (r < 0) {
        FUZZ_CHECK(r == ERR_FORMAT || r == ERR_LIMIT);
        FUZZ_CHECK(tuf_check_name(buf_view(&better), NULL, &e) == 0);
        FUZZ_CHECK(tuf_check_name(name, &same, &e) == r);
        FUZZ_CHECK(span_eq(buf_view(&better), buf_view(&same)));
    }
    return 0;
}
