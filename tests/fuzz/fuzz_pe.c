/* Properties: every piece of a program that comes out lies inside the file; the answer does not
 * depend on where in memory the bytes lie; the file's own text never reaches a sign's text raw. */
#include "scan/pe.h"
#include "scan/pe_signs.h"

static bool inside(struct span part, const uint8_t *p, size_t n)
{
    return part.len == 0 || (part.p >= p && part.len <= n && part.p <= p + (n - part.len));
}

static void check_parts(const struct pe *pe, const uint8_t *p, size_t n)
{
    FUZZ_CHECK(inside(pe->overlay, p, n) && inside(pe->cert, p, n));
    for (uint16_t i = 0; i < pe->n_sections && i < 1000; i++) {
        struct pe_section s = pe_section(pe, i), at;
        FUZZ_CHECK(inside(s.data, p, n));
        FUZZ_CHECK(inside(pe_bytes_at(pe, s.rva), p, n));
        FUZZ_CHECK(s.span == 0 || pe_section_at(pe, s.rva, &at));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pe pe;
    struct pe_signs here, there;
    if (size > 1 << 20) {
        return 0;
    }
    uint8_t *moved = malloc(size + 1);
    FUZZ_CHECK(moved != NULL);
    memcpy(moved + 1, data, size);
    if (pe_parse(span_of(data, size), &pe, NULL) == 0) {
        FUZZ_CHECK(pe_is(span_of(data, size)));
        check_parts(&pe, data, size);
    }
    pe_signs_of(span_of(data, size), &here);
    pe_signs_of(span_of(moved + 1, size), &there);
    FUZZ_CHECK(here.n == there.n && here.strong == there.strong);
    for (size_t i = 0; i < here.n; i++) {
        FUZZ_CHECK(strcmp(here.sign[i].text, there.sign[i].text) == 0);
        FUZZ_CHECK(here.sign[i].offset == there.sign[i].offset && here.sign[i].offset <= size);
        for (const char *c = here.sign[i].text; *c != 0; c++) {
            FUZZ_CHECK(*c >= 0x20 && *c < 0x7f);
        }
    }
    free(moved);
    return 0;
}
