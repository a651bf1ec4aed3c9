/* fuzz_clock.c - an accepted time, written out and read again, is the same instant, and its text
 * is stable. A year that the text cannot hold must not have been accepted. */
#include "base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span input = {data, size};
    struct err e;
    int64_t t = 0;
    int64_t again = 0;
    char text[CLOCK_TEXT];
    if (clock_parse(input, &t, &e) == 0) {
        FUZZ_CHECK(clock_parse(span_str(clock_text(t, false, text)), &again, &e) == 0);
        FUZZ_CHECK(again == t);
    }
    int64_t length = 0;
    if (clock_duration(input, &length, &e) == 0) {
        FUZZ_CHECK(length >= 0);
    }
    return 0;
}
