/* fuzz_secret.c - an accepted operator's secret has one spelling, and signs for the key it names.
 */
#include <string.h>

#include "base/sig.h"
#include "cli/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct secret s = {.name = "kept"};
    if (secret_parse(span_of(data, size), &s, NULL) < 0) {
        FUZZ_CHECK(strcmp(s.name, "kept") == 0);
        return 0;
    }
    char text[SECRET_TEXT];
    uint8_t sig[SIG_LEN];
    size_t n = strlen(secret_text(&s, text));
    FUZZ_CHECK(n <= size && memcmp(text, data, n) == 0);
    for (size_t i = n; i < size; i++) {
        FUZZ_CHECK(data[i] <= ' ');
    }
    struct span message = span_of(data, size);
    secret_sign(&s, message, sig);
    FUZZ_CHECK(sig_ok(&s.public, message, sig));
    secret_clear(&s);
    return 0;
}
