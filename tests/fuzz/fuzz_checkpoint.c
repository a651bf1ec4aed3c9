/* A checkpoint that is taken and has no extension is what we would write for its values. */
#include "tlog/tlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tlog_checkpoint c;
    struct span text = span_of(data, size);
    if (tlog_checkpoint_parse(text, &c, NULL) < 0) {
        return 0;
    }
    CLEANUP(buf_clear) struct buf again = BUF(LIMIT_NOTE);
    FUZZ_CHECK(c.head.size <= TLOG_MAX);
    FUZZ_CHECK(tlog_checkpoint_text(&c, &again, NULL) == 0);
    FUZZ_CHECK(again.len <= size && memcmp(again.p, data, again.len) == 0);
    return 0;
}
