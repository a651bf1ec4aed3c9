#include "scan/pe.h"

#include "base/reader.h"

#define DOS_LFANEW 60
#define OPTIONAL_PLUS 0x20b
#define OPTIONAL_32 0x10b
#define DIRECTORY_CERT 4
#define SECTION_BYTES 40
#define PAGE 4096u
#define SECTOR 512u /* the loader rounds a section's place in the file down to this */

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return to < 2 ? n : (n + to - 1) / to * to;
}

static struct span cut(struct span s, uint64_t at, uint64_t len)
{
    if (at >= s.len) {
        return (struct span){s.p == NULL ? NULL : s.p + s.len, 0};
    }
    uint64_t left = s.len - at;
    return (struct span){s.p + at, (size_t)(len < left ? len : left)};
}

static uint64_t lfanew(struct span file)
{
    struct reader r = reader_of(file);
    uint16_t mz = reader_le16(&r);
    reader_seek(&r, DOS_LFANEW);
    uint32_t at = reader_le32(&r);
    /* It may point into the DOS header itself: small hand-made programs overlap the two. */
    return r.bad || mz != 0x5a4d ? UINT64_MAX : at;
}

bool pe_is(struct span file)
{
    struct reader r = reader_of(file);
    reader_seek(&r, lfanew(file));
    return reader_le32(&r) == 0x4550 && !r.bad;
}

struct headers {
    uint16_t optional_size;
    uint32_t n_directories;
    uint64_t cert_at, cert_len;
};

static int read_optional(struct reader *r, struct pe *pe, struct headers *h, struct err *e)
{
    uint16_t magic = reader_le16(r);
    if (!r->bad && magic != OPTIONAL_32 && magic != OPTIONAL_PLUS) {
        return err_set(e, ERR_FORMAT, "PE optional header has the unknown magic %04x", magic);
    }
    pe->plus = magic == OPTIONAL_PLUS;
    reader_skip(r, 14);
    pe->entry_rva = reader_le32(r);
    reader_skip(r, pe->plus ? 4 : 8);
    pe->image_base = pe->plus ? reader_le64(r) : reader_le32(r);
    pe->section_align = reader_le32(r);
    pe->file_align = reader_le32(r);
    reader_skip(r, 16);
    pe->image_size = reader_le32(r);
    pe->headers_size = reader_le32(r);
    pe->checksum = reader_le32(r);
    reader_skip(r, pe->plus ? 36 : 20);
    reader_skip(r, 4);
    h->n_directories = reader_le32(r);
    if (r->bad) {
        return reader_done(r, "PE optional header", e);
    }
    if (h->n_directories > DIRECTORY_CERT) {
        struct reader d = *r; /* a file may end before its directories: that is no fault */
        reader_skip(&d, DIRECTORY_CERT * 8);
        h->cert_at = reader_le32(&d);
        h->cert_len = reader_le32(&d);
    }
    return 0;
}

/* Where the sections end in the file. */
static uint64_t data_end(const struct pe *pe)
{
    uint64_t end = pe->table + (uint64_t)pe->n_sections * SECTION_BYTES;
    if (pe->headers_size > end) {
        end = pe->headers_size;
    }
    for (uint16_t i = 0; i < pe->n_sections; i++) {
        struct pe_section s = pe_section(pe, i);
        uint64_t to = s.data.len == 0 ? 0 : (uint64_t)(s.data.p - pe->file.p) + s.data.len;
        end = to > end ? to : end;
    }
    return end < pe->file.len ? end : pe->file.len;
}

/* The certificate table's place is an offset in the file, unlike every other directory's. */
static void find_tail(struct pe *pe, const struct headers *h)
{
    uint64_t end = data_end(pe);
    pe->overlay = cut(pe->file, end, UINT64_MAX);
    if (h->cert_at == 0 || h->cert_len == 0) {
        return;
    }
    uint64_t to = h->cert_at + h->cert_len;
    pe->cert = cut(pe->file, h->cert_at, h->cert_len);
    pe->cert_cut = to > pe->file.len;
    /* The table is padded to 8 bytes; more than that behind it is somebody's addition. */
    pe->cert_inside = round_up(to, 8) < pe->file.len;
    if (h->cert_at >= end && !pe->cert_inside) {
        pe->overlay = cut(pe->file, end, h->cert_at - end);
    }
}

int pe_parse(struct span file, struct pe *out, struct err *e)
{
    if (!pe_is(file)) {
        return err_set(e, ERR_FORMAT, "not a PE file: no PE signature");
    }
    struct pe pe = {.file = file};
    struct headers h = {0};
    struct reader r = reader_of(file);
    reader_seek(&r, lfanew(file) + 4);
    pe.machine = reader_le16(&r);
    pe.n_sections = reader_le16(&r);
    pe.time = reader_le32(&r);
    reader_skip(&r, 8);
    h.optional_size = reader_le16(&r);
    reader_skip(&r, 2);
    uint64_t optional = r.at;
    int n = read_optional(&r, &pe, &h, e);
    if (n < 0) {
        return n;
    }
    pe.table = optional + h.optional_size;
    if (pe.table + (uint64_t)pe.n_sections * SECTION_BYTES > file.len) {
        return err_set(e, ERR_FORMAT, "PE section table of %u entries does not fit in the file",
                       pe.n_sections);
    }
    pe.flat = pe.section_align < PAGE;
    find_tail(&pe, &h);
    *out = pe;
    return 0;
}

struct pe_section pe_section(const struct pe *pe, uint16_t i)
{
    struct pe_section s = {.index = i};
    struct reader r = reader_of(pe->file);
    reader_seek(&r, pe->table + (uint64_t)i * SECTION_BYTES);
    struct span name = reader_take(&r, 8);
    if (name.len > 0) {
        memcpy(s.name, name.p, name.len);
    }
    s.virtual_size = reader_le32(&r);
    s.rva = reader_le32(&r);
    uint64_t raw_size = reader_le32(&r);
    uint64_t raw = reader_le32(&r);
    reader_skip(&r, 12);
    s.flags = reader_le32(&r);
    if (!pe->flat) {
        raw = raw / SECTOR * SECTOR;
    }
    /* VirtualSize 0 means "as large as its data" (old Watcom linkers). */
    s.span = s.virtual_size != 0 ? s.virtual_size : raw_size;
    s.cut = raw_size > 0 && raw + raw_size > pe->file.len;
    s.data = raw_size == 0 ? cut(pe->file, 0, 0) : cut(pe->file, raw, raw_size);
    return s;
}

bool pe_last_section(const struct pe *pe, struct pe_section *out)
{
    for (uint16_t i = 0; i < pe->n_sections; i++) {
        struct pe_section s = pe_section(pe, i);
        if (i == 0 || s.rva >= out->rva) {
            *out = s;
        }
    }
    return pe->n_sections > 0;
}

bool pe_section_at(const struct pe *pe, uint64_t rva, struct pe_section *out)
{
    for (uint16_t i = 0; i < pe->n_sections; i++) {
        struct pe_section s = pe_section(pe, i);
        uint64_t size = s.span > s.data.len ? s.span : s.data.len;
        if (rva >= s.rva && rva - s.rva < round_up(size, pe->section_align)) {
            *out = s;
            return true;
        }
    }
    return false;
}

struct span pe_bytes_at(const struct pe *pe, uint64_t rva)
{
    struct pe_section s;
    if (pe->flat || rva < pe->headers_size) {
        return cut(pe->file, rva, UINT64_MAX);
    }
    if (!pe_section_at(pe, rva, &s)) {
        return cut(pe->file, pe->file.len, 0);
    }
    return cut(s.data, rva - s.rva, UINT64_MAX);
}

uint64_t pe_image_end(const struct pe *pe)
{
    struct pe_section last;
    uint64_t end = pe->headers_size;
    if (pe_last_section(pe, &last)) {
        end = last.rva + last.span;
    }
    return round_up(end, pe->section_align);
}
