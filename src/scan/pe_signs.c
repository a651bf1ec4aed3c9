#include "scan/pe_signs.h"

#include "scan/pe_entry.h"

#include <stdarg.h>

/* FunLove adds 4,099 bytes; a file of whole sectors then ends at 3 modulo 256, and cleaners that
 * zero the body or pad a file against a second infection leave the same remainder. */
#define FUNLOVE_BYTES 4099
#define FUNLOVE_MODULUS 256
#define FUNLOVE_REST 3

static struct pe_sign *add(struct pe_signs *out, const char *rule, bool strong, uint64_t offset)
{
    static struct pe_sign nowhere; /* not reached: there are fewer signs than places */
    if (out->n == PE_SIGNS_MAX) {
        return &nowhere;
    }
    struct pe_sign *s = &out->sign[out->n++];
    *s = (struct pe_sign){.rule = rule, .strong = strong, .offset = offset};
    out->strong = out->strong || strong;
    return s;
}

#define TEXT(sign, ...) snprintf((sign)->text, sizeof(sign)->text, __VA_ARGS__)

/* A section's name as printable ASCII, since the file chose it. */
static const char *shown(const struct pe_section *s, char out[static 9])
{
    for (size_t i = 0; i < sizeof s->name; i++) {
        char c = s->name[i];
        out[i] = c == 0 || (c >= 0x20 && c < 0x7f && c != '"') ? c : '?';
    }
    return out;
}

static uint64_t offset_of(const struct pe *pe, struct span s)
{
    return s.p == NULL ? 0 : (uint64_t)(s.p - pe->file.p);
}

static void entry_signs(const struct pe *pe, const struct pe_section *last, struct pe_signs *out)
{
    struct pe_section home;
    char name[9];
    if (pe->entry_rva == 0) { /* a library of resources has none */
        return;
    }
    uint64_t offset = offset_of(pe, pe_bytes_at(pe, pe->entry_rva));
    if (pe->n_sections > 1 && pe_section_at(pe, pe->entry_rva, &home)) {
        if (home.index == last->index) {
            TEXT(add(out, "pe-entry-last-section", true, offset),
                 "the program starts in its last section \"%s\", where appended code lies",
                 shown(last, name));
            return;
        }
        uint64_t at = 0, size = last->span > last->data.len ? last->span : last->data.len;
        if (pe_entry_leads_to(pe, last->rva, size, &at)) {
            TEXT(add(out, "pe-entry-jump-last-section", true, offset_of(pe, pe_bytes_at(pe, at))),
                 "the first instructions go from section \"%s\" into the last section",
                 shown(&home, name));
        }
        if ((home.flags & PE_WRITE) != 0) {
            TEXT(add(out, "pe-entry-writable", false, offset),
                 "the section with the entry point, \"%s\", is writable", shown(&home, name));
        }
        return;
    }
    if (!pe_section_at(pe, pe->entry_rva, &home) && !pe->flat && pe->n_sections > 0) {
        TEXT(add(out, "pe-entry-outside", false, offset), "the entry point %#x lies in no section",
             pe->entry_rva);
    }
}

static void section_signs(const struct pe *pe, const struct pe_section *last, struct pe_signs *out)
{
    uint64_t offset = offset_of(pe, last->data);
    char name[9];
    bool writable = (last->flags & PE_WRITE) != 0, runs = (last->flags & PE_EXECUTE) != 0;
    if (writable && runs) {
        TEXT(add(out, "pe-last-section-wx", pe->n_sections > 1, offset),
             "the last section \"%s\" is writable and executable", shown(last, name));
    } else if (runs && pe->n_sections > 1) {
        TEXT(add(out, "pe-last-section-executable", false, offset),
             "the last section \"%s\" is executable", shown(last, name));
    }
    if (last->cut) {
        TEXT(add(out, "pe-section-cut", false, offset),
             "the last section \"%s\" reaches beyond the end of the file", shown(last, name));
    }
    if (!pe->flat && pe_image_end(pe) != pe->image_size) {
        TEXT(add(out, "pe-image-size", false, pe->table),
             "SizeOfImage is %#x, but the sections end at %#llx", pe->image_size,
             (unsigned long long)pe_image_end(pe));
    }
}

/* What a cleaner of 1999 leaves: the body's place, overwritten with zeros, at the very end. */
static bool zero_tail(struct span file, size_t want)
{
    if (file.len < want) {
        return false;
    }
    for (size_t i = file.len - want; i < file.len; i++) {
        if (file.p[i] != 0) {
            return false;
        }
    }
    return true;
}

static void size_signs(const struct pe *pe, struct pe_signs *out)
{
    if (pe->file.len % FUNLOVE_MODULUS != FUNLOVE_REST) {
        return;
    }
    bool repaired = zero_tail(pe->file, FUNLOVE_BYTES);
    uint64_t offset = repaired ? pe->file.len - FUNLOVE_BYTES : pe->file.len;
    struct pe_sign *s =
        add(out, repaired ? "pe-funlove-repaired" : "pe-size-modulo", repaired, offset);
    if (repaired) {
        TEXT(s, "ends in 4099 zero bytes and at 3 modulo 256, as a repaired FunLove infection "
                "does: replace it by the original");
    } else {
        s->common = true;
        TEXT(s, "the size is 3 modulo 256, as FunLove leaves it; by chance 1 file in 256");
    }
}

static void tail_signs(const struct pe *pe, struct pe_signs *out)
{
    uint64_t cert = offset_of(pe, pe->cert);
    if (pe->cert_cut) {
        TEXT(add(out, "pe-signature-cut", false, cert),
             "the Authenticode signature is said to lie beyond the end of the file");
    } else if (pe->cert_inside) {
        TEXT(add(out, "pe-signature-followed", true, cert),
             "bytes follow the Authenticode signature, so it was not the last thing written");
    }
    if (pe->overlay.len > 0) {
        struct pe_sign *s = add(out, "pe-overlay", false, offset_of(pe, pe->overlay));
        s->common = true;
        TEXT(s, "%zu bytes follow the sections", pe->overlay.len);
    }
}

void pe_signs_of(struct span file, struct pe_signs *out)
{
    struct pe pe;
    struct err e;
    struct pe_section last;
    memset(out, 0, sizeof *out);
    if (!pe_is(file)) {
        return;
    }
    if (pe_parse(file, &pe, &e) < 0) {
        TEXT(add(out, "pe-malformed", true, 0), "looks like a program, but: %.150s", e.text);
        return;
    }
    if (pe_last_section(&pe, &last)) {
        section_signs(&pe, &last, out);
        entry_signs(&pe, &last, out);
    }
    size_signs(&pe, out);
    tail_signs(&pe, out);
}
