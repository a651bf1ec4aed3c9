/* fuzz_digest.c - a digest has one spelling: what is accepted comes back byte for byte. */
#include "base/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct digest d;
    struct err e;
    char text[DIGEST_TEXT + 1];
    int r = digest_parse((struct span){data, size}, &d, &e);
    if (r == 0) {
        FUZZ_CHECK(size == DIGEST_TEXT && memcmp(digest_text(&d, text), data, size) == 0);
    } else {
        FUZZ_CHECK(r == ERR_FORMAT && e.text[0] != '\0');
    }
    return 0;
}
