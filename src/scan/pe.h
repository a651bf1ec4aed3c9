/* pe.h - the headers of a Windows program, read without trusting any of them.
 *
 * A struct pe is a plain value that points into the bytes it was parsed from. Nothing here
 * allocates or keeps state. Every offset that comes out lies inside those bytes: what the file
 * claims beyond its end is cut off, and the cut is remembered in a flag. */
#pragma once
#include "base/err.h"
#include "base/span.h"

#define PE_READ 0x40000000u
#define PE_WRITE 0x80000000u
#define PE_EXECUTE 0x20000000u

struct pe {
    struct span file;
    bool plus; /* PE32+, that is 64 bit */
    bool flat; /* low alignment: the file is mapped as it lies, sections are ignored */
    uint16_t machine, n_sections;
    uint32_t time, entry_rva, section_align, file_align, image_size, headers_size, checksum;
    uint64_t image_base;
    uint64_t table;      /* where the section table begins */
    struct span overlay; /* what follows sections, without the certificates; may be empty */
    struct span cert;    /* the Authenticode certificate table; empty when there is none */
    bool cert_cut;       /* the table is claimed to lie beyond the end of the file */
    bool cert_inside;    /* bytes follow the certificate table: it is not at the end */
};

struct pe_section {
    uint16_t index;
    char name[9]; /* NUL added; as in the file, so escape it before showing it */
    uint32_t rva, virtual_size, flags;
    uint64_t span;    /* bytes of address space that it takes, not rounded */
    struct span data; /* its bytes in the file */
    bool cut;         /* claimed to reach beyond the end of the file */
};

/* True when the bytes begin as a DOS program and hold a PE signature where that header points. */
bool pe_is(struct span file);

/* ERR_FORMAT when it is no PE, or its headers are cut short or contradict themselves; the text
 * says which. *out is kept on failure. */
MUST_CHECK int pe_parse(struct span file, struct pe *out, struct err *e);

/* Section `i` of pe->n_sections, in the order of the table. */
struct pe_section pe_section(const struct pe *pe, uint16_t i);

/* The section with the highest address; false when there is none. */
bool pe_last_section(const struct pe *pe, struct pe_section *out);

/* The section that holds this address; false when none does (a header, or nowhere). */
bool pe_section_at(const struct pe *pe, uint64_t rva, struct pe_section *out);

/* The bytes of the file that will stand at this address, up to the end of the section; empty when
 * the address is not backed by the file. */
struct span pe_bytes_at(const struct pe *pe, uint64_t rva);

/* Where SizeOfImage should end by the section table. */
uint64_t pe_image_end(const struct pe *pe);
