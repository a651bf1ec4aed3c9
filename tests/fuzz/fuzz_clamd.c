/* Properties: only an answer that ends in ": OK" is clean; a finding has a printable name, that
 * stands in the answer; after an error nothing was set. */
#include "scan/clamd.h"

static bool ends(const uint8_t *p, size_t n, const char *with)
{
    size_t m = strlen(with);
    return n >= m && memcmp(p + n - m, with, m) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outside_answer a = {.verdict = VERDICT_NONE}, v = {.updated = -1};
    struct span s = span_of(data, size);
    int r = clamd_parse_reply(s, &a, NULL);
    FUZZ_CHECK((r == 0) == (a.verdict != VERDICT_NONE));
    if (a.verdict == VERDICT_CLEAN) {
        FUZZ_CHECK(ends(data, size, ": OK") && a.rule[0] == 0);
    } else if (r == 0) {
        FUZZ_CHECK(ends(data, size, " FOUND") && a.rule[0] != 0);
        FUZZ_CHECK(memmem(data, size, a.rule, strlen(a.rule)) != NULL);
    }
    if (clamd_parse_version(s, &v, NULL) == 0) {
        FUZZ_CHECK(span_is(s, v.version) && (v.updated == -1 || v.updated > 0));
    } else {
        FUZZ_CHECK(v.updated == -1 && v.version[0] == 0);
    }
    return 0;
}
