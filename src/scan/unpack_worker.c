/* The unpacking engine: opens a container with libarchive, one format and at most one filter at a
 * time, and hands every member to all engines. Members live in memory; no name from an archive is
 * ever used as a name of anything. What cannot be opened completely is refused. */
#include "base/mem.h"
#include "base/text.h"
#include "scan/engine.h"
#include "scan/kind.h"
#include "scan/zipcheck.h"

#include <archive.h>
#include <archive_entry.h>
#include <iconv.h>
#include <locale.h>

#define ENGINE "unpack"

struct unpack {
    struct scan_run *run;
    const struct scan_object *o;
    struct kind_found found;
    struct archive *a;
    uint64_t entries;
    bool opened;  /* before that libarchive must not be asked for the sort of archive */
    bool refused; /* something was recorded that makes the container uninspectable */
};

#define REFUSE(u, rule, ...)                                                                       \
    do {                                                                                           \
        (u)->refused = true;                                                                       \
        scan_run_refuse((u)->run, (u)->o, ENGINE, (rule), __VA_ARGS__);                            \
    } while (0)

static void archive_close(struct archive **a)
{
    if (*a != NULL) {
        archive_read_free(*a);
    }
}

/* One reader and at most one filter for each kind; a call that would start an external program
 * answers ARCHIVE_WARN and is refused like a missing one. */
static const struct {
    enum kind kind;
    int (*format)(struct archive *a);
    int (*filter)(struct archive *a);
} readers[] = {
    {KIND_ZIP, archive_read_support_format_zip_seekable, NULL},
    {KIND_7Z, archive_read_support_format_7zip, NULL},
    {KIND_RAR, archive_read_support_format_rar, NULL},
    {KIND_RAR5, archive_read_support_format_rar5, NULL},
    {KIND_CAB, archive_read_support_format_cab, NULL},
    {KIND_LHA, archive_read_support_format_lha, NULL},
    {KIND_ISO, archive_read_support_format_iso9660, NULL},
    {KIND_XAR, archive_read_support_format_xar, NULL},
    {KIND_TAR, archive_read_support_format_tar, NULL},
    {KIND_CPIO, archive_read_support_format_cpio, NULL},
    {KIND_AR, archive_read_support_format_ar, NULL},
    {KIND_GZIP, archive_read_support_format_raw, archive_read_support_filter_gzip},
    {KIND_XZ, archive_read_support_format_raw, archive_read_support_filter_xz},
    {KIND_BZIP2, archive_read_support_format_raw, archive_read_support_filter_bzip2},
    {KIND_ZSTD, archive_read_support_format_raw, archive_read_support_filter_zstd},
    {KIND_LZ4, archive_read_support_format_raw, archive_read_support_filter_lz4},
    {KIND_LZIP, archive_read_support_format_raw, archive_read_support_filter_lzip},
    {KIND_LZMA, archive_read_support_format_raw, archive_read_support_filter_lzma},
    {KIND_COMPRESS, archive_read_support_format_raw, archive_read_support_filter_compress},
    {KIND_RPM, archive_read_support_format_raw, archive_read_support_filter_rpm},
};

/* Streams end where their data ends; what follows must be padding. */
static bool is_stream(enum kind k)
{
    return k == KIND_CPIO || k == KIND_AR || k >= KIND_GZIP;
}

static const char *reason(struct unpack *u)
{
    const char *s = archive_error_string(u->a);
    return s != NULL ? s : "no reason given";
}

static void refuse_damaged(struct unpack *u)
{
    if (u->opened && archive_read_has_encrypted_entries(u->a) > 0) {
        REFUSE(u, "encrypted", "this %s archive is encrypted: %.200s", u->found.word, reason(u));
        return;
    }
    REFUSE(u, archive_errno(u->a) == ENOMEM ? "limit-memory" : "damaged",
           "this %s archive cannot be read to its end: %.200s", u->found.word, reason(u));
}

static bool open_reader(struct unpack *u)
{
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        if (readers[i].kind != u->found.kind) {
            continue;
        }
        if (readers[i].format(u->a) != ARCHIVE_OK ||
            (readers[i].filter != NULL && readers[i].filter(u->a) != ARCHIVE_OK)) {
            REFUSE(u, "unsupported", "this build has no reader for %s", u->found.word);
            return false;
        }
        if (readers[i].filter != NULL) { /* "raw" refuses a stream of no bytes */
            archive_read_support_format_empty(u->a);
        }
        if (u->found.kind == KIND_TAR) { /* other programs may read on behind an end mark */
            archive_read_set_format_option(u->a, "tar", "read_concatenated_archives", "1");
        }
        if (archive_read_open_memory(u->a, u->found.bytes.p, u->found.bytes.len) != ARCHIVE_OK) {
            refuse_damaged(u);
            return false;
        }
        u->opened = true;
        if (archive_filter_count(u->a) != (readers[i].filter != NULL ? 2 : 1)) {
            REFUSE(u, "filters", "this %s file is wrapped in an unexpected way", u->found.word);
            return false;
        }
        return true;
    }
    REFUSE(u, "unsupported", "no reader for %s", u->found.word);
    return false;
}

/* The name of what is inside a compressed file: its own without the ending. */
static struct span inner_name(const char *name)
{
    const char *slash = strrchr(name, '/'), *base = slash != NULL ? slash + 1 : name;
    const char *dot = strrchr(base, '.');
    size_t len = dot != NULL && dot != base ? (size_t)(dot - base) : strlen(base);
    return len > 0 ? span_of(base, len) : span_str("content");
}

static struct span name_of(const struct unpack *u, struct archive_entry *entry)
{
    if (u->found.kind >= KIND_GZIP) {
        return inner_name(u->o->name);
    }
    const char *name = archive_entry_pathname(entry);
    if (name == NULL) {
        name = archive_entry_pathname_utf8(entry);
    }
    return span_str(name != NULL && name[0] != 0 ? name : "unnamed");
}

/* ".." as a part of the path, by either separator: unpacked, it would land elsewhere. */
static bool climbs(struct span name)
{
    for (size_t i = 0; i + 2 <= name.len; i++) {
        bool starts = i == 0 || name.p[i - 1] == '/' || name.p[i - 1] == '\\';
        bool ends = i + 2 == name.len || name.p[i + 2] == '/' || name.p[i + 2] == '\\';
        if (starts && ends && name.p[i] == '.' && name.p[i + 1] == '.') {
            return true;
        }
    }
    return false;
}

/* Pads with zeros up to `offset`: a hole in a sparse member counts as output like any byte. */
static bool fill_hole(struct unpack *u, struct buf *out, uint64_t offset)
{
    static const uint8_t zeros[4096];
    if (offset < out->len) {
        REFUSE(u, "damaged", "the data of a member runs backwards");
        return false;
    }
    if (!scan_run_draw(u->run, u->o, offset - out->len)) {
        return false;
    }
    while (out->len < offset && out->fault == 0) {
        uint64_t n = offset - out->len;
        buf_add(out, zeros, n < sizeof zeros ? (size_t)n : sizeof zeros);
    }
    return true;
}

/* True when all of the member was read. False ends the work on this member; *over tells whether
 * the archive can go on. */
static bool read_data(struct unpack *u, struct buf *out, bool *over)
{
    for (;;) {
        const void *p = NULL;
        size_t n = 0;
        la_int64_t offset = 0;
        int r = archive_read_data_block(u->a, &p, &n, &offset);
        if (r == ARCHIVE_EOF) {
            return true;
        }
        if (r != ARCHIVE_OK) {
            refuse_damaged(u);
            *over = r == ARCHIVE_FATAL;
            return false;
        }
        if (offset < 0 || !fill_hole(u, out, (uint64_t)offset) || !scan_run_draw(u->run, u->o, n)) {
            *over = true;
            return false;
        }
        buf_add(out, p, n);
        if (out->fault != 0) {
            REFUSE(u, "limit-memory", "a member does not fit in the memory of the scanner");
            *over = true;
            return false;
        }
    }
}

/* False: stop with this archive. */
static bool one_member(struct unpack *u, struct archive_entry *entry)
{
    const struct scan_limits *limits = scan_run_limits(u->run);
    CLEANUP(buf_clear) struct buf data = BUF(limits->unpacked);
    struct span name = name_of(u, entry);
    bool over = false;
    if (climbs(name)) {
        scan_run_find(u->run, u->o, ENGINE, "path-climbs", VERDICT_SUSPICIOUS, -1,
                      "a member's name leads out of the folder that it is unpacked to: %.200s",
                      (const char *)name.p);
    }
    if (archive_entry_is_encrypted(entry)) {
        REFUSE(u, "encrypted", "member %.200s is encrypted", (const char *)name.p);
        return true;
    }
    if (!read_data(u, &data, &over)) {
        return !over;
    }
    /* A folder or link may carry data too: whatever came out is looked at. */
    if (data.len == 0 && archive_entry_filetype(entry) != AE_IFREG &&
        archive_entry_filetype(entry) != 0) {
        return true;
    }
    return scan_run_member(u->run, u->o, name, span_of(data.p, data.len));
}

/* A name that the locale cannot spell is the only warning that leaves the content whole. */
static bool only_the_name(struct unpack *u)
{
    return strstr(reason(u), "can't be converted") != NULL ||
           strstr(reason(u), "cannot be converted") != NULL;
}

static bool all_members(struct unpack *u)
{
    const struct scan_limits *limits = scan_run_limits(u->run);
    for (;;) {
        struct archive_entry *entry = NULL;
        int r = archive_read_next_header(u->a, &entry);
        if (r == ARCHIVE_EOF && archive_errno(u->a) == 0) {
            return true;
        }
        if (r == ARCHIVE_EOF) { /* a stream that breaks off before its first byte */
            refuse_damaged(u);
            return false;
        }
        if (r == ARCHIVE_WARN && only_the_name(u)) {
            r = ARCHIVE_OK;
        }
        if (r != ARCHIVE_OK) {
            refuse_damaged(u);
        }
        if (r == ARCHIVE_FATAL || r == ARCHIVE_RETRY) {
            return false;
        }
        if (++u->entries > limits->members) {
            REFUSE(u, "limit-members", "more than %llu members",
                   (unsigned long long)limits->members);
            return false;
        }
        if (!scan_run_draw(u->run, u->o, 0) || !one_member(u, entry)) {
            return false;
        }
    }
}

/* Bytes behind the end of a stream are seen by nobody who unpacks it with this reader. */
static void check_tail(struct unpack *u)
{
    la_int64_t used = archive_filter_bytes(u->a, -1);
    struct span s = u->found.bytes;
    if (!is_stream(u->found.kind) || used < 0 || (uint64_t)used >= s.len) {
        return;
    }
    for (size_t i = (size_t)used; i < s.len; i++) {
        if (s.p[i] != 0) {
            REFUSE(u, "trailing-data", "bytes follow the end of the %s data, from offset %zu",
                   u->found.word, i);
            return;
        }
    }
}

static void refuse_zip(struct unpack *u, const struct zip_report *z)
{
    static const char *const rule[] = {[ZIP_DAMAGED] = "damaged",
                                       [ZIP_AMBIGUOUS] = "zip-ambiguous",
                                       [ZIP_LIMIT] = "limit-members"};
    if (z->state == ZIP_AMBIGUOUS) {
        scan_run_find(u->run, u->o, ENGINE, rule[z->state], VERDICT_SUSPICIOUS, (int64_t)z->offset,
                      "different programs would see different members in this zip: %s", z->text);
    } else {
        REFUSE(u, rule[z->state], "this zip cannot be read: %s", z->text);
    }
}

/* Programs and scripts have a reason to stand before a zip, and two formats are a zip with a mark
 * of their own in front: Java modules and browser extensions. */
static bool prefix_is_meant(struct span s, uint64_t len)
{
    static const struct {
        const char *mark;
        size_t n;
        uint64_t most;
    } known[] = {{"MZ", 2, UINT64_MAX},
                 {"\x7f"
                  "ELF",
                  4, UINT64_MAX},
                 {"#!", 2, UINT64_MAX},
                 {"JM\1\0", 4, 4},
                 {"Cr24", 4, 65536}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (s.len > known[i].n && memcmp(s.p, known[i].mark, known[i].n) == 0) {
            return len <= known[i].most;
        }
    }
    return false;
}

static void check_zip(struct unpack *u, struct zip_report *z)
{
    zip_check(u->found.bytes, scan_run_limits(u->run)->members, z);
    if (z->state == ZIP_PLAIN && z->prefix > 0 && !prefix_is_meant(u->found.bytes, z->prefix)) {
        z->state = ZIP_AMBIGUOUS;
        snprintf(z->text, sizeof z->text, "%llu bytes stand before its first member",
                 (unsigned long long)z->prefix);
    }
    if (z->state != ZIP_PLAIN) {
        refuse_zip(u, z);
    }
}

static void unpack_all(struct unpack *u)
{
    struct zip_report z = {.state = ZIP_PLAIN};
    if (u->found.kind == KIND_ZIP) {
        check_zip(u, &z);
        if (z.state == ZIP_LIMIT || (z.state == ZIP_PLAIN && z.members == 0)) {
            return;
        }
    }
    if (!open_reader(u) || !all_members(u)) {
        return;
    }
    check_tail(u);
    if (u->found.kind == KIND_ZIP && z.state == ZIP_PLAIN && z.members != u->entries) {
        z.state = ZIP_AMBIGUOUS;
        snprintf(z.text, sizeof z.text, "its directory lists %llu, %llu could be read",
                 (unsigned long long)z.members, (unsigned long long)u->entries);
        refuse_zip(u, &z);
    }
}

static int unpack_scan(void *state, struct scan_run *run, const struct scan_object *o,
                       struct err *e)
{
    (void)state;
    struct unpack u = {.run = run, .o = o, .found = kind_of(o->bytes, o->name)};
    if (u.found.kind == KIND_NONE) {
        return 0;
    }
    if (u.found.kind == KIND_UNREADABLE) {
        REFUSE(&u, "unsupported",
               "archives of the sort \"%s\" cannot be opened here; publish the "
               "files inside, or a zip or tar of them",
               u.found.word);
        return 0;
    }
    if (o->depth >= scan_run_limits(run)->depth) {
        REFUSE(&u, "limit-depth", "archives lie more than %llu deep in each other",
               (unsigned long long)scan_run_limits(run)->depth);
        return 0;
    }
    CLEANUP(archive_close) struct archive *a = archive_read_new();
    if (a == NULL) {
        return err_set(e, ERR_NOMEM, "start libarchive");
    }
    u.a = a;
    unpack_all(&u);
    return 0;
}

/* Whatever the C library opens on first use (character sets, time zone) is opened here, since a
 * caged worker can open nothing. */
static int unpack_load(struct span compiled, void **state, struct err *e)
{
    static const char *const sets[] = {"UTF-16LE", "UTF-16BE", "UTF-8", "UCS-2LE", "CP437"};
    (void)compiled;
    (void)e;
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        return err_set(e, ERR_UNAVAIL, "the locale C.UTF-8 is missing: install libc-bin");
    }
    setenv("TZ", "UTC0", 1);
    tzset();
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        iconv_t cd = iconv_open("UTF-8", sets[i]);
        if (cd != (iconv_t)-1) {
            iconv_close(cd);
        }
    }
    *state = NULL;
    return 0;
}

static const char *unpack_version(void)
{
    return archive_version_string();
}

const struct engine engine_unpack = {
    .name = ENGINE,
    .version = unpack_version,
    .load = unpack_load,
    .scan = unpack_scan,
};
