#include "scan/kind.h"

#include "scan/pe.h"

#include <strings.h>

#define MARK(kind, word, at, bytes)                                                                \
    {                                                                                              \
        (kind), (word), (at), (bytes), sizeof(bytes) - 1                                           \
    }

/* One row a format: where its mark stands and what it is. */
static const struct {
    enum kind kind;
    const char *word;
    size_t at;
    const char *mark;
    size_t len;
} marks[] = {
    MARK(KIND_ZIP, "zip", 0, "PK\3\4"),
    MARK(KIND_ZIP, "zip", 0, "PK\5\6"),  /* without members */
    MARK(KIND_ZIP, "zip", 0, "PK\7\10"), /* first part of a split one */
    MARK(KIND_ZIP, "zip", 0, "PK00PK\3\4"),
    MARK(KIND_7Z, "7z", 0, "7z\xbc\xaf\x27\x1c"),
    MARK(KIND_RAR, "rar", 0, "Rar!\x1a\x07\x00"),
    MARK(KIND_RAR5, "rar5", 0, "Rar!\x1a\x07\x01\x00"),
    MARK(KIND_CAB, "cab", 0, "MSCF\0\0\0\0"),
    MARK(KIND_ISO, "iso9660", 32769, "CD001"),
    MARK(KIND_XAR, "xar", 0, "xar!"),
    MARK(KIND_TAR, "tar", 257, "ustar"),
    MARK(KIND_CPIO, "cpio", 0, "070701"),
    MARK(KIND_CPIO, "cpio", 0, "070702"),
    MARK(KIND_CPIO, "cpio", 0, "070707"),
    MARK(KIND_AR, "ar", 0, "!<arch>\n"),
    MARK(KIND_GZIP, "gzip", 0, "\x1f\x8b\x08"),
    MARK(KIND_XZ, "xz", 0,
         "\xfd"
         "7zXZ\0"),
    MARK(KIND_ZSTD, "zstd", 0, "\x28\xb5\x2f\xfd"),
    MARK(KIND_LZ4, "lz4", 0, "\x04\x22\x4d\x18"),
    MARK(KIND_LZ4, "lz4", 0, "\x02\x21\x4c\x18"),
    MARK(KIND_LZIP, "lzip", 0, "LZIP\1"),
    MARK(KIND_RPM, "rpm", 0, "\xed\xab\xee\xdb"),
    MARK(KIND_UNREADABLE, "ace", 7, "**ACE**"),
    MARK(KIND_UNREADABLE, "zoo", 20, "\xdc\xa7\xc4\xfd"),
    MARK(KIND_UNREADABLE, "szdd", 0, "SZDD\x88\xf0\x27\x33"),
    MARK(KIND_UNREADABLE, "kwaj", 0, "KWAJ\x88\xf0\x27\xd1"),
    MARK(KIND_UNREADABLE, "stuffit", 0, "SIT!"),
    MARK(KIND_UNREADABLE, "stuffit", 0, "StuffIt "),
    MARK(KIND_UNREADABLE, "binhex", 0, "(This file must be converted with BinHex"),
    MARK(KIND_UNREADABLE, "lrzip", 0, "LRZI\0"),
    MARK(KIND_UNREADABLE, "lzop", 0, "\x89LZO\0\r\n\x1a\n"),
    MARK(KIND_UNREADABLE, "rzip", 0, "RZIP\2"),
    MARK(KIND_UNREADABLE, "wim", 0, "MSWIM\0\0\0"),
    MARK(KIND_UNREADABLE, "alz", 0, "ALZ\1"),
    MARK(KIND_UNREADABLE, "egg", 0, "EGGA\0\1"),
    MARK(KIND_UNREADABLE, "installshield cabinet", 0, "ISc("),
    MARK(KIND_UNREADABLE, "squashfs", 0, "hsqs"),
    MARK(KIND_UNREADABLE, "udf", 32769, "BEA01"),
};

static bool has(struct span s, size_t at, const char *mark, size_t len)
{
    return s.len >= len && at <= s.len - len && memcmp(s.p + at, mark, len) == 0;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcasecmp(name + n - m, end) == 0;
}

/* A tar of 1979 has no mark; its first header carries a sum of its own bytes. */
static bool is_old_tar(struct span s)
{
    if (s.len < 512 || s.p[0] == 0) {
        return false;
    }
    uint64_t sum = 0, said = 0;
    size_t digits = 0;
    for (size_t i = 0; i < 512; i++) {
        sum += i >= 148 && i < 156 ? ' ' : s.p[i];
    }
    for (size_t i = 148; i < 156 && s.p[i] != 0 && (s.p[i] != ' ' || digits == 0); i++) {
        if (s.p[i] == ' ') {
            continue;
        }
        if (s.p[i] < '0' || s.p[i] > '7') {
            return false;
        }
        said = said * 8 + (uint64_t)(s.p[i] - '0');
        digits++;
    }
    return digits > 0 && said == sum;
}

static bool is_lha(struct span s)
{
    static const char methods[][6] = {"-lh0-", "-lh1-", "-lh2-", "-lh3-", "-lh4-",
                                      "-lh5-", "-lh6-", "-lh7-", "-lhd-", "-lzs-",
                                      "-lz4-", "-lz5-", "-pm0-", "-pm1-", "-pm2-"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (has(s, 2, methods[i], 5)) {
            return true;
        }
    }
    return false;
}

static bool is_bzip2(struct span s)
{
    bool block = has(s, 4, "1AY&SY", 6) || has(s, 4, "\x17\x72\x45\x38\x50\x90", 6);
    return has(s, 0, "BZh", 3) && block && s.p[3] >= '1' && s.p[3] <= '9';
}

/* 60 EA is short: the header's size and the sort of its first record must make sense too. */
static bool is_arj(struct span s)
{
    return has(s, 0, "\x60\xea", 2) && s.len > 11 && s.p[3] <= 0x0a && s.p[10] == 2;
}

static bool is_binary_cpio(struct span s)
{
    return s.len >= 26 && (has(s, 0, "\xc7\x71", 2) || has(s, 0, "\x71\xc7", 2)) &&
           (s.p[20] == 0 || s.p[21] == 0); /* the length of a name fits in a byte or so */
}

/* Two bytes, then a flag byte: at most 16 bits a code, the rest zero but the top one. */
static bool is_compress(struct span s)
{
    return has(s, 0, "\x1f\x9d", 2) && s.len > 3 && (s.p[2] & 0x60) == 0 && (s.p[2] & 31) >= 9 &&
           (s.p[2] & 31) <= 16;
}

static bool is_disk_image(struct span s)
{
    return s.len >= 512 && has(s, s.len - 512, "koly", 4);
}

static bool is_lzma(struct span s, const char *name)
{
    return has(s, 0, "\x5d\0\0", 3) && (ends_with(name, ".lzma") || ends_with(name, ".tlz"));
}

static struct kind_found by_shape(struct span s, const char *name)
{
    const struct {
        bool is;
        enum kind kind;
        const char *word;
    } shapes[] = {
        {is_bzip2(s), KIND_BZIP2, "bzip2"},     {is_compress(s), KIND_COMPRESS, "compress"},
        {is_lha(s), KIND_LHA, "lha"},           {is_arj(s), KIND_UNREADABLE, "arj"},
        {is_binary_cpio(s), KIND_CPIO, "cpio"}, {is_old_tar(s), KIND_TAR, "tar"},
        {is_lzma(s, name), KIND_LZMA, "lzma"},  {is_disk_image(s), KIND_UNREADABLE, "disk image"},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (shapes[i].is) {
            return (struct kind_found){shapes[i].kind, shapes[i].word, s};
        }
    }
    return (struct kind_found){KIND_NONE, "", s};
}

static struct kind_found by_mark(struct span s)
{
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (has(s, marks[i].at, marks[i].mark, marks[i].len)) {
            return (struct kind_found){marks[i].kind, marks[i].word, s};
        }
    }
    return (struct kind_found){KIND_NONE, "", s};
}

/* A zip is read from its end, so anything may stand before it. The end record must fit; from
 * `loose` on bytes may follow it, which many programs pass over in the last 64 KiB. */
static bool ends_as_zip(struct span s, size_t loose)
{
    size_t least = s.len > 22 + 65535 ? s.len - 22 - 65535 : 0;
    for (size_t at = s.len < 22 ? 0 : s.len - 22 + 1; at-- > least;) {
        if (s.p[at] == 'P' && has(s, at, "PK\5\6", 4)) {
            size_t comment = s.p[at + 20] + 256u * s.p[at + 21];
            size_t size = s.p[at + 12] + 256u * s.p[at + 13] + 65536u * s.p[at + 14] +
                          16777216u * s.p[at + 15];
            size_t end = at + 22 + comment;
            if ((end == s.len || (at >= loose && end < s.len)) && size >= 46 && size <= at &&
                has(s, at - size, "PK\1\2", 4)) {
                return true;
            }
        }
    }
    return false;
}

/* 7-Zip's self-extractors keep their settings as text between program and archive. */
static struct span behind_settings(struct span overlay)
{
    static const char begin[] = ";!@Install@!", mark[] = "7z\xbc\xaf\x27\x1c";
    size_t near = overlay.len < 65536 ? overlay.len : 65536;
    const uint8_t *at = NULL;
    if (memmem(overlay.p, near < 64 ? near : 64, begin, sizeof begin - 1) != NULL) {
        at = memmem(overlay.p, near, mark, sizeof mark - 1);
    }
    return at == NULL ? overlay : (struct span){at, overlay.len - (size_t)(at - overlay.p)};
}

/* A self-extractor: a program, its archive as overlay, perhaps a signature behind that. */
static struct kind_found behind_program(struct span bytes)
{
    struct pe pe;
    struct kind_found none = {KIND_NONE, "", bytes};
    if (!pe_is(bytes) || pe_parse(bytes, &pe, NULL) < 0 || pe.overlay.len == 0) {
        return none;
    }
    struct kind_found found = by_mark(behind_settings(pe.overlay));
    size_t at = (size_t)(pe.overlay.p - bytes.p);
    struct span whole = {bytes.p, at + pe.overlay.len};
    if (ends_as_zip(whole, at)) { /* its offsets may count from the program's first byte */
        return (struct kind_found){KIND_ZIP, "zip", whole};
    }
    return found.kind == KIND_7Z || found.kind == KIND_RAR || found.kind == KIND_RAR5 ||
                   found.kind == KIND_CAB
               ? found
               : none;
}

static bool is_program(struct span s)
{
    static const char elf[] = {0x7f, 'E', 'L', 'F'};
    return has(s, 0, "MZ", 2) || has(s, 0, elf, sizeof elf);
}

struct kind_found kind_of(struct span bytes, const char *name)
{
    struct kind_found found = by_mark(bytes);
    if (found.kind == KIND_NONE) {
        found = behind_program(bytes);
    }
    if (found.kind == KIND_NONE && ends_as_zip(bytes, SIZE_MAX)) {
        return (struct kind_found){KIND_ZIP, "zip", bytes};
    }
    found = found.kind != KIND_NONE ? found : by_shape(bytes, name);
    /* within a program's own sections a zip is data, not what anybody would open */
    if (found.kind == KIND_NONE && !is_program(bytes) && ends_as_zip(bytes, 0)) {
        return (struct kind_found){KIND_ZIP, "zip", bytes};
    }
    return found;
}
