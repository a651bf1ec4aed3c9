#include "scan/zipcheck.h"

#include "base/mem.h"
#include "base/reader.h"

#include <stdarg.h>

#define LOCAL 0x04034b50u
#define CENTRAL 0x02014b50u
#define END 0x06054b50u
#define END64 0x06064b50u
#define LOCATOR64 0x07064b50u
#define DESCRIPTOR 0x08074b50u
#define LOCAL_BYTES 30u
#define CENTRAL_BYTES 46u
#define END_BYTES 22u
#define LOCATOR_BYTES 20u
#define END64_BYTES 56u
#define FLAG_DESCRIPTOR 0x0008u
#define FLAGS_COMPARED 0x0841u /* encrypted, strongly encrypted, name in UTF-8 */
#define EXTRA_ZIP64 1

struct directory {
    uint64_t at, end, members, disk;
    uint64_t base; /* add to every offset in the file */
};

struct member {
    uint64_t at, end; /* from the local header to behind the data and its descriptor */
    uint64_t packed, unpacked;
    uint16_t flags, method;
    uint32_t crc;
    bool wide; /* sizes are zip64 */
    struct span name;
};

static bool say(struct zip_report *out, enum zip_state state, uint64_t offset, const char *fmt, ...)
    PRINTF(4, 5);

static bool say(struct zip_report *out, enum zip_state state, uint64_t offset, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out->text, sizeof out->text, fmt, ap);
    va_end(ap);
    out->state = state;
    out->offset = offset;
    return false;
}

static struct reader reader_from(struct span file, uint64_t at)
{
    struct reader r = reader_of(file);
    reader_seek(&r, at);
    return r;
}

/* Where the end record at `i` says that the file ends; 0 when there is none. */
static uint64_t end_said_at(struct span file, size_t i)
{
    struct reader r = reader_from(file, i);
    if (file.p[i] != 'P' || reader_le32(&r) != END) {
        return 0;
    }
    reader_skip(&r, 16);
    return (uint64_t)i + END_BYTES + reader_le16(&r);
}

/* The end record whose comment ends with the file. Many programs take the last mark there is, so
 * another one behind it, or a second that fits, would be read differently. */
static bool find_end(struct span file, uint64_t *at, struct zip_report *out)
{
    size_t least = file.len > END_BYTES + 65535 ? file.len - END_BYTES - 65535 : 0;
    uint64_t fit = UINT64_MAX, loose = UINT64_MAX; /* loose: the last that does not fit */
    bool follows = false;
    for (size_t i = file.len < END_BYTES ? 0 : file.len - END_BYTES + 1; i-- > least;) {
        uint64_t ends = end_said_at(file, i);
        bool none = fit == UINT64_MAX;
        if (ends == file.len && !(none && loose == UINT64_MAX)) {
            return say(out, ZIP_AMBIGUOUS, i, "it has two end records");
        }
        fit = ends == file.len ? i : fit;
        loose = ends != 0 && ends != file.len && none ? i : loose;
        follows = follows || (ends != 0 && ends < file.len && none);
    }
    if (fit == UINT64_MAX) {
        return follows ? say(out, ZIP_AMBIGUOUS, loose, "bytes follow its end record")
                       : say(out, ZIP_DAMAGED, file.len, "it has no end record: cut short?");
    }
    *at = fit;
    return true;
}

static bool same_or_wide(uint64_t narrow, uint64_t mark, uint64_t wide)
{
    return narrow == mark || narrow == wide;
}

/* Zip64 doubles the end record; what the narrow one states itself must be the same. */
static bool read_end64(struct span file, uint64_t *end_at, struct directory *d,
                       struct zip_report *out)
{
    if (*end_at < LOCATOR_BYTES + END64_BYTES) {
        return true;
    }
    struct reader r = reader_from(file, *end_at - LOCATOR_BYTES);
    if (reader_le32(&r) != LOCATOR64) {
        return true;
    }
    uint32_t disk = reader_le32(&r);
    uint64_t said = reader_le64(&r), at = *end_at - LOCATOR_BYTES - END64_BYTES;
    r = reader_from(file, at);
    bool ok = reader_le32(&r) == END64 && reader_le64(&r) == END64_BYTES - 12;
    reader_skip(&r, 12);
    uint64_t here = reader_le64(&r), members = reader_le64(&r);
    uint64_t size = reader_le64(&r), from = reader_le64(&r);
    if (!ok || said > at || disk != 0 || here != members) {
        return say(out, ZIP_AMBIGUOUS, at, "its zip64 end record is not where it should be");
    }
    if (!same_or_wide(d->members, 0xffff, members) ||
        !same_or_wide(d->end - d->at, 0xffffffff, size) || !same_or_wide(d->at, 0xffffffff, from) ||
        size > UINT64_MAX - from) {
        return say(out, ZIP_AMBIGUOUS, at, "its two end records contradict each other");
    }
    d->at = from;
    d->end = from + size;
    d->members = members;
    *end_at = at;
    return true;
}

static bool read_directory(struct span file, struct directory *d, struct zip_report *out)
{
    uint64_t end_at = 0;
    if (!find_end(file, &end_at, out)) {
        return false;
    }
    struct reader r = reader_from(file, end_at + 4);
    d->disk = reader_le16(&r);
    d->disk |= reader_le16(&r);
    uint64_t here = reader_le16(&r);
    d->members = reader_le16(&r);
    uint64_t size = reader_le32(&r);
    d->at = reader_le32(&r);
    d->end = d->at + size;
    if (r.bad || here != d->members || (d->disk != 0 && d->disk != 0xffff)) {
        return say(out, ZIP_DAMAGED, end_at, "it is one part of a split archive");
    }
    if (!read_end64(file, &end_at, d, out)) {
        return false;
    }
    if (d->end > end_at) {
        return say(out, ZIP_DAMAGED, end_at, "its directory does not fit in the file");
    }
    d->base = end_at - d->end;
    d->at += d->base;
    d->end += d->base;
    if (d->members > (d->end - d->at) / CENTRAL_BYTES) {
        return say(out, ZIP_DAMAGED, end_at, "its directory is too short for its members");
    }
    return true;
}

/* Zip64 sizes stand in an extra field, in this order, only those whose narrow field is all ones. */
static void read_wide(struct span extra, struct member *m, uint64_t *at)
{
    struct reader r = reader_of(extra);
    while (reader_left(&r) >= 4) {
        uint16_t id = reader_le16(&r);
        struct span body = reader_take(&r, reader_le16(&r));
        if (id != EXTRA_ZIP64) {
            continue;
        }
        struct reader w = reader_of(body);
        m->wide = true;
        m->unpacked = m->unpacked == 0xffffffff ? reader_le64(&w) : m->unpacked;
        m->packed = m->packed == 0xffffffff ? reader_le64(&w) : m->packed;
        *at = *at == 0xffffffff ? reader_le64(&w) : *at;
        return;
    }
}

static bool read_central(struct reader *r, const struct directory *d, struct member *m,
                         struct zip_report *out)
{
    uint64_t start = r->at;
    if (reader_le32(r) != CENTRAL) {
        return say(out, ZIP_DAMAGED, start, "its directory holds something else than members");
    }
    reader_skip(r, 4);
    m->flags = reader_le16(r);
    m->method = reader_le16(r);
    reader_skip(r, 4);
    m->crc = reader_le32(r);
    m->packed = reader_le32(r);
    m->unpacked = reader_le32(r);
    uint16_t name = reader_le16(r), extra = reader_le16(r), comment = reader_le16(r);
    reader_skip(r, 8);
    uint64_t at = reader_le32(r);
    m->name = reader_take(r, name);
    struct span more = reader_take(r, extra);
    reader_skip(r, comment);
    if (r->bad || r->at > d->end) {
        return say(out, ZIP_DAMAGED, start, "its directory is cut short");
    }
    read_wide(more, m, &at);
    if (at > d->at || at + d->base > d->at) {
        return say(out, ZIP_DAMAGED, start, "a member begins behind the directory");
    }
    m->at = at + d->base;
    return true;
}

/* A descriptor repeats crc and sizes behind the data, with or without a mark, narrow or wide. */
static uint64_t descriptor_end(struct span file, const struct member *m, uint64_t data_end)
{
    struct reader r = reader_from(file, data_end);
    uint32_t first = reader_le32(&r);
    bool marked = first == DESCRIPTOR;
    if ((marked ? reader_le32(&r) : first) != m->crc) {
        return 0;
    }
    struct reader w = r;
    if (reader_le64(&w) == m->packed && reader_le64(&w) == m->unpacked && !w.bad && m->wide) {
        return w.at;
    }
    bool narrow = reader_le32(&r) == (m->packed & UINT32_MAX) &&
                  reader_le32(&r) == (m->unpacked & UINT32_MAX) && !r.bad;
    return narrow ? r.at : !w.bad && m->wide ? w.at : 0;
}

static bool read_local(struct span file, const struct directory *d, struct member *m,
                       struct zip_report *out)
{
    struct member l = {0};
    struct reader r = reader_from(file, m->at);
    bool ok = reader_le32(&r) == LOCAL;
    reader_skip(&r, 2);
    l.flags = reader_le16(&r);
    l.method = reader_le16(&r);
    reader_skip(&r, 4);
    l.crc = reader_le32(&r);
    l.packed = reader_le32(&r);
    l.unpacked = reader_le32(&r);
    uint16_t name = reader_le16(&r), extra = reader_le16(&r);
    l.name = reader_take(&r, name);
    uint64_t none = 0;
    read_wide(reader_take(&r, extra), &l, &none);
    m->wide = m->wide || l.wide;
    uint64_t data = r.at;
    if (!ok || r.bad || data > d->at || m->packed > d->at - data) {
        return say(out, ZIP_DAMAGED, m->at, "a member of the directory is not where it should be");
    }
    m->end = data + m->packed;
    bool later = (m->flags & FLAG_DESCRIPTOR) != 0;
    bool blank = later && l.crc == 0 && (l.packed == 0 || l.packed == m->packed) &&
                 (l.unpacked == 0 || l.unpacked == m->unpacked);
    bool same = l.crc == m->crc && l.packed == m->packed && l.unpacked == m->unpacked;
    if (!span_eq(l.name, m->name) || l.method != m->method ||
        ((l.flags ^ m->flags) & (FLAGS_COMPARED | FLAG_DESCRIPTOR)) != 0 || !(blank || same)) {
        return say(out, ZIP_AMBIGUOUS, m->at, "the directory and a member's own header differ");
    }
    if (memchr(m->name.p, 0, m->name.len) != NULL) {
        return say(out, ZIP_AMBIGUOUS, m->at, "a member's name holds a NUL");
    }
    if (later) {
        uint64_t end = descriptor_end(file, m, m->end);
        if (end == 0 || end > d->at) {
            return say(out, ZIP_AMBIGUOUS, m->at, "a member's descriptor and the directory differ");
        }
        m->end = end;
    }
    return true;
}

static int by_place(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

static int by_name(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
    int r = n == 0 ? 0 : memcmp(x->name.p, y->name.p, n);
    return r != 0 ? r : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

static bool check_order(struct member *m, uint64_t n, const struct directory *d,
                        struct zip_report *out)
{
    qsort(m, n, sizeof *m, by_place);
    uint64_t at = n == 0 ? d->at : m[0].at;
    out->prefix = n == 0 ? d->base : m[0].at;
    for (uint64_t i = 0; i < n; i++) {
        if (m[i].at != at) {
            return say(out, ZIP_AMBIGUOUS, at,
                       m[i].at < at ? "two members share bytes"
                                    : "bytes between members belong to none");
        }
        at = m[i].end;
    }
    if (at != d->at) {
        return say(out, ZIP_AMBIGUOUS, at, "bytes before the directory belong to no member");
    }
    qsort(m, n, sizeof *m, by_name);
    for (uint64_t i = 1; i < n; i++) {
        if (by_name(&m[i - 1], &m[i]) == 0) {
            return say(out, ZIP_AMBIGUOUS, m[i].at, "two members have the same name");
        }
    }
    return true;
}

void zip_check(struct span file, uint64_t max_members, struct zip_report *out)
{
    struct directory d = {0};
    memset(out, 0, sizeof *out);
    if (!read_directory(file, &d, out)) {
        return;
    }
    out->members = d.members;
    if (d.members > max_members) {
        say(out, ZIP_LIMIT, d.at, "it holds %llu members", (unsigned long long)d.members);
        return;
    }
    /* At most as large as the directory, which is in memory already. */
    CLEANUP(mem_free) struct member *m = mem_array(struct member, d.members + 1);
    struct reader r = reader_from(file, d.at);
    for (uint64_t i = 0; i < d.members; i++) {
        if (!read_central(&r, &d, &m[i], out) || !read_local(file, &d, &m[i], out)) {
            return;
        }
    }
    if (r.at != d.end) {
        say(out, ZIP_AMBIGUOUS, r.at, "its directory goes on behind its last member");
        return;
    }
    if (check_order(m, d.members, &d, out)) {
        out->state = ZIP_PLAIN;
    }
}
