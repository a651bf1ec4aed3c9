#include "scan/pe.h"

#include "fixture.h"
#include "scan/pe_entry.h"
#include "scan/pe_signs.h"

#define FIELD_OPTIONAL (64 + 24)
#define FIELD_SECTIONS (64 + 6)

static bool signs_hold(const struct pe_signs *s, const char *rule)
{
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->sign[i].rule, rule) == 0) {
            return s->sign[i].text[0] != 0;
        }
    }
    return false;
}

static struct pe_signs signs_in(const char *name)
{
    CLEANUP(buf_clear) struct buf b = fixture(name);
    struct pe_signs s;
    pe_signs_of(buf_view(&b), &s);
    return s;
}

static void a_clean_program_is_read(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf b = fixture("clean64.exe");
    struct pe pe;
    struct err e;
    CHECK_OK(pe_parse(buf_view(&b), &pe, &e), e);
    CHECK(pe.plus && !pe.flat && pe.machine == 0x8664 && pe.n_sections == 3);
    CHECK(pe.image_base == 0x140000000 && pe.entry_rva == 0x1000);
    CHECK(pe.image_size == 0x4000 && pe_image_end(&pe) == 0x4000);
    CHECK(pe.overlay.len == 0 && pe.cert.len == 0);
    struct pe_section s = pe_section(&pe, 1);
    CHECK_STR(s.name, ".data");
    CHECK(s.rva == 0x2000 && s.data.p == b.p + 0x600 && s.data.len == 0x200 && !s.cut);
    struct span at = pe_bytes_at(&pe, 0x1010);
    CHECK(at.p == b.p + 0x410 && at.len == 0x1f0);
    CHECK(pe_bytes_at(&pe, 0x9000).len == 0);
}

static void each_sign_is_seen_in_its_file(void **state)
{
    (void)state;
    static const struct {
        const char *file, *rule;
        bool strong;
    } cases[] = {
        {"funlove.exe", "pe-entry-jump-last-section", true},
        {"funlove.exe", "pe-size-modulo", true},
        {"moved.exe", "pe-entry-last-section", true},
        {"moved.exe", "pe-last-section-wx", true},
        {"repaired.exe", "pe-funlove-repaired", true},
        {"followed.exe", "pe-signature-followed", true},
        {"size.exe", "pe-image-size", false},
        {"sfx.exe", "pe-overlay", false},
        {"flcss.exe", "pe-last-section-wx", false}, /* one section alone is weak */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pe_signs s = signs_in(cases[i].file);
        CHECK(signs_hold(&s, cases[i].rule));
        CHECK(s.strong == cases[i].strong);
    }
}

static void clean_files_show_no_sign(void **state)
{
    (void)state;
    static const char *const files[] = {"clean.exe",  "clean64.exe", "one.exe",  "none.exe",
                                        "signed.exe", "mark.txt",    "plain.zip"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct pe_signs s = signs_in(files[i]);
        CHECK(s.n == 0 && !s.strong);
    }
}

static void the_last_section_is_the_highest_not_the_last_listed(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf b = fixture("unsorted.exe");
    struct pe pe;
    struct pe_section last;
    CHECK(pe_parse(buf_view(&b), &pe, NULL) == 0 && pe_last_section(&pe, &last));
    CHECK_STR(last.name, ".reloc");
    struct pe_signs s = signs_in("unsorted.exe");
    CHECK(!s.strong);
}

static void the_signature_is_not_overlay(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf b = fixture("signed.exe");
    struct pe pe;
    CHECK(pe_parse(buf_view(&b), &pe, NULL) == 0);
    CHECK(pe.cert.len == 16 && pe.overlay.len == 0 && !pe.cert_cut && !pe.cert_inside);
    CHECK(pe_parse(span_of(b.p, b.len - 8), &pe, NULL) == 0 && pe.cert_cut);
}

/* The headers with one field changed, each a trap that has broken some parser. */
static void broken_headers_are_refused_or_bounded(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint32_t value;
        int bytes, want;
    } cases[] = {
        {60, 0xffffffff, 4, ERR_FORMAT},               /* e_lfanew outside */
        {60, 60, 4, ERR_FORMAT},                       /* e_lfanew into itself */
        {FIELD_SECTIONS, 0xffff, 2, ERR_FORMAT},       /* table larger than the file */
        {FIELD_OPTIONAL, 0x107, 2, ERR_FORMAT},        /* a ROM image */
        {FIELD_OPTIONAL + 32, 0, 4, 0},                /* section alignment 0 */
        {FIELD_OPTIONAL + 92, 0xffffffff, 4, 0},       /* countless directories */
        {FIELD_OPTIONAL + 16, 0xffffffff, 4, 0},       /* entry point at the very end */
        {FIELD_OPTIONAL + 96 + 32, 0xfffffff0, 4, 0},  /* certificate far outside */
        {FIELD_OPTIONAL + 224 + 16, 0xffffffff, 4, 0}, /* raw size */
        {FIELD_OPTIONAL + 224 + 20, 0xffffffff, 4, 0}, /* raw offset */
        {FIELD_OPTIONAL + 224 + 12, 0xffffffff, 4, 0}, /* address */
        {FIELD_OPTIONAL + 224 + 8, 0xffffffff, 4, 0},  /* virtual size */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_clear) struct buf b = fixture("clean.exe");
        struct pe pe = {.machine = 7};
        struct pe_signs s;
        for (int k = 0; k < cases[i].bytes; k++) {
            b.p[cases[i].at + (size_t)k] = (uint8_t)(cases[i].value >> (8 * k));
        }
        CHECK(pe_parse(buf_view(&b), &pe, NULL) == cases[i].want);
        CHECK(cases[i].want == 0 || pe.machine == 7); /* kept on failure */
        pe_signs_of(buf_view(&b), &s);
        for (uint16_t k = 0; cases[i].want == 0 && k < pe.n_sections; k++) {
            struct pe_section one = pe_section(&pe, k);
            CHECK(one.data.p >= b.p && one.data.p + one.data.len <= b.p + b.len);
        }
    }
}

static void a_program_cut_short_anywhere_is_an_answer(void **state)
{
    (void)state;
    CLEANUP(buf_clear) struct buf b = fixture("funlove.exe");
    for (size_t n = 0; n < 0x500; n++) {
        struct pe_signs s;
        pe_signs_of(span_of(b.p, n), &s);
        CHECK(n < 68 || n >= 432 || (s.strong && signs_hold(&s, "pe-malformed")));
    }
}

/* Bytes at the entry point, and whether they lead into the last section (0x3000 to 0x3200). */
static void instructions_are_followed_not_guessed(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        size_t len;
        bool want;
    } cases[] = {
        {"\xe9\xfb\x1f\0\0", 5, true},                          /* jmp */
        {"\x60\xe8\xfa\x1f\0\0", 6, true},                      /* pushad; call */
        {"\x55\x8b\xec\x83\xec\x10\xe8\xf5\x1f\0\0", 11, true}, /* behind a prologue */
        {"\x68\0\x30\x40\0\xc3", 6, true},                      /* push; ret */
        {"\xb8\0\x30\x40\0\xff\xe0", 7, true},                  /* mov eax; jmp eax */
        {"\xeb\x0e\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xe9\xeb\x1f\0\0", 21,
         true},                                            /* two jumps */
        {"\xe8\0\0\0\0\xc3", 6, false},                    /* call of what follows */
        {"\xe9\xfb\x0f\0\0", 5, false},                    /* into .data */
        {"\xc7\x05\xe8\x50\x20\0\0\0\0\0\xc3", 11, false}, /* E8 inside an operand */
        {"\xc3\xe9\xfa\x1f\0\0", 6, false},                /* behind a return */
        {"\xeb\xfe", 2, false},                            /* for ever */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_clear) struct buf b = fixture("clean.exe");
        struct pe pe;
        uint64_t at = 0;
        memcpy(b.p + 0x400, cases[i].code, cases[i].len);
        CHECK(pe_parse(buf_view(&b), &pe, NULL) == 0);
        CHECK(pe_entry_leads_to(&pe, 0x3000, 0x200, &at) == cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_clean_program_is_read),
        TEST(each_sign_is_seen_in_its_file),
        TEST(clean_files_show_no_sign),
        TEST(the_last_section_is_the_highest_not_the_last_listed),
        TEST(the_signature_is_not_overlay),
        TEST(broken_headers_are_refused_or_bounded),
        TEST(a_program_cut_short_anywhere_is_an_answer),
        TEST(instructions_are_followed_not_guessed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
