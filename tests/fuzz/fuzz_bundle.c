/* A bundle that is taken is its entries, each behind its length, and nothing else. */
#include "tlog/tlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bundle = span_of(data, size), entry;
    if (tlog_bundle_entry(bundle, 1, 0, &entry, NULL) < 0) {
        return 0;
    }
    CLEANUP(buf_clear) struct buf again = BUF(size + 1);
    unsigned n = 0;
    while (tlog_bundle_entry(bundle, n + 1, n, &entry, NULL) == 0) {
        buf_be16(&again, (uint16_t)entry.len);
        buf_span(&again, entry);
        n++;
    }
    FUZZ_CHECK(n <= TLOG_WIDTH && span_eq(buf_view(&again), bundle));
    return 0;
}
