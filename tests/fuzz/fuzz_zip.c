/* Properties: the answer does not depend on where the bytes lie; a plain zip has room for what it
 * claims; what is said about one is printable; a byte behind it makes it plain no more. */
#include "scan/kind.h"
#include "scan/zipcheck.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zip_report a, b;
    if (size > 1 << 20) {
        return 0;
    }
    uint8_t *moved = malloc(size + 2);
    FUZZ_CHECK(moved != NULL);
    memcpy(moved + 1, data, size);
    moved[size + 1] = 0;
    zip_check(span_of(data, size), 10000, &a);
    zip_check(span_of(moved + 1, size), 10000, &b);
    FUZZ_CHECK(a.state == b.state && a.members == b.members && a.offset == b.offset);
    FUZZ_CHECK(strcmp(a.text, b.text) == 0 && (a.text[0] != 0) == (a.state != ZIP_PLAIN));
    if (a.state == ZIP_PLAIN) {
        FUZZ_CHECK(a.prefix <= size && a.members * (30 + 46) + 22 <= size - a.prefix);
        zip_check(span_of(moved + 1, size + 1), 10000, &b);
        FUZZ_CHECK(b.state != ZIP_PLAIN);
    }
    struct kind_found f = kind_of(span_of(data, size), "x");
    FUZZ_CHECK(f.bytes.len <= size && (f.bytes.len == 0 || f.bytes.p >= data));
    FUZZ_CHECK((f.word[0] == 0) == (f.kind == KIND_NONE));
    free(moved);
    return 0;
}
