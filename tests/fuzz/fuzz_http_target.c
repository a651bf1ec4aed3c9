/* fuzz_http_target.c - a decoded path, encoded again, decodes to the same; what is refused leaves
 * no NUL and no control character behind; pairs of a query cover it. */
#include "serve/http_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span path, query, name, value;
    http_split(span_of(data, size), &path, &query);
    FUZZ_CHECK(path.len + query.len <= size);
    struct buf once = BUF(8192), code = BUF(32768), twice = BUF(8192);
    if (http_decode(path, false, &once, NULL) == 0) {
        for (size_t i = 0; i < once.len; i++) {
            FUZZ_CHECK(once.p[i] >= ' ' && once.p[i] != 0x7f);
        }
        http_encode(&code, buf_view(&once));
        FUZZ_CHECK(http_decode(buf_view(&code), false, &twice, NULL) == 0);
        FUZZ_CHECK(span_eq(buf_view(&once), buf_view(&twice)));
    }
    buf_clear(&once);
    buf_clear(&code);
    buf_clear(&twice);
    (void)http_query_has_secret(query);
    size_t seen = 0;
    while (http_pair(&query, &name, &value)) {
        seen += name.len + value.len;
    }
    FUZZ_CHECK(seen <= size);
    return 0;
}
