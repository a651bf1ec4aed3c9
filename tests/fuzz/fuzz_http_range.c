/* fuzz_http_range.c - the first eight bytes are a size, the rest a Range header: a part lies within
 * the size, and written out again it is the same part. */
#include "base/mem.h"
#include "base/reader.h"
#include "serve/http_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(span_of(data, size));
    uint64_t length = reader_be64(&r) >> 8, first = 0, last = 0, a = 0, b = 0;
    struct span rest = reader_take(&r, reader_left(&r));
    char *header = mem_text(rest.p, rest.len);
    struct digest d = {{1}};
    if (http_range_parse(header, length, &first, &last) == HTTP_RANGE_PART) {
        char again[80];
        FUZZ_CHECK(first <= last && last < length);
        snprintf(again, sizeof again, "bytes=%llu-%llu", (unsigned long long)first,
                 (unsigned long long)last);
        FUZZ_CHECK(http_range_parse(again, length, &a, &b) == HTTP_RANGE_PART);
        FUZZ_CHECK(a == first && b == last);
    }
    /* the strong comparison never allows what the weak one would not list */
    FUZZ_CHECK(!http_if_range(header, &d) || http_tag_listed(header, &d));
    free(header);
    return 0;
}
