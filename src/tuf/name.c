#include "tuf/tuf.h"

#include "base/limits.h"
#include "base/text.h"

#define SHOWN ((size_t)120) /* bytes of a bad path in an error text */

static bool name_byte(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("._+~-", c) != NULL);
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static bool is_recall(struct span part)
{
    static const char word[] = "recall";
    if (part.len != sizeof word - 1) {
        return false;
    }
    for (size_t i = 0; i < part.len; i++) {
        if (lower(part.p[i]) != (uint8_t)word[i]) {
            return false;
        }
    }
    return true;
}

static const char *part_fault(struct span part, bool first)
{
    if (part.len == 0) {
        return "has an empty part";
    }
    if (part.p[0] == '.') {
        return "has a part with a leading dot";
    }
    for (size_t i = 0; i < part.len; i++) {
        if (!name_byte(part.p[i])) {
            return "has a character outside A-Z a-z 0-9 . _ + ~ -";
        }
    }
    return first && is_recall(part) ? "begins with \"recall\", which is reserved" : NULL;
}

static const char *path_fault(struct span path)
{
    if (path.len == 0) {
        return "is empty";
    }
    struct span part;
    for (bool first = true; span_cut(&path, '/', &part); first = false) {
        const char *fault = part_fault(part, first);
        if (fault != NULL) {
            return fault;
        }
    }
    return NULL;
}

/* One '_' for each character that may not be, so that names stay as long as people saw them. */
static void suggest_part(struct buf *out, struct span part)
{
    if (out->len > 0) {
        buf_char(out, '/');
    }
    for (size_t i = 0; i < part.len; i++) {
        uint8_t c = part.p[i];
        bool continues = i > 0 && (c & 0xc0) == 0x80 && part.p[i - 1] >= 0x80;
        if (name_byte(c) && !(i == 0 && c == '.')) {
            buf_char(out, (char)c);
        } else if (!continues) {
            buf_char(out, '_');
        }
    }
    if (out->len == part.len && is_recall(buf_view(out))) {
        buf_char(out, '_');
    }
}

static void suggest(struct buf *out, struct span path)
{
    CLEANUP(buf_clear) struct buf b = BUF(2 * path.len + 2 * LIMIT_TARGET);
    struct span part, rest = path;
    while (span_cut(&rest, '/', &part)) {
        if (part.len > 0 && !span_is(part, ".") && !span_is(part, "..")) {
            suggest_part(&b, part);
        }
    }
    struct digest d = digest_of(path);
    char hex[DIGEST_TEXT + 1];
    digest_text(&d, hex);
    if (b.len == 0) {
        buf_fmt(out, "file-%.16s", hex);
    } else if (b.len > LIMIT_TARGET) { /* the digest keeps two long names apart */
        size_t keep = LIMIT_TARGET - 17;
        while (b.p[keep - 1] == '/') {
            keep--;
        }
        buf_fmt(out, "%.*s-%.16s", (int)keep, buf_text(&b), hex);
    } else {
        buf_span(out, buf_view(&b));
    }
}

int tuf_check_name(struct span path, struct buf *suggestion, struct err *e)
{
    const char *fault = path_fault(path);
    if (fault == NULL && path.len <= LIMIT_TARGET) {
        return 0;
    }
    if (suggestion != NULL) {
        suggest(suggestion, path);
    }
    if (fault == NULL) {
        return err_set(e, ERR_LIMIT, "target name of %zu bytes: at most %zu; choose a shorter one",
                       path.len, LIMIT_TARGET);
    }
    CLEANUP(buf_clear) struct buf shown = BUF(8 * SHOWN);
    text_escape(&shown, span_of(path.p, path.len < SHOWN ? path.len : SHOWN));
    return err_set(e, ERR_FORMAT, "target name \"%s\"%s %s; update clients could not fetch it",
                   buf_text(&shown), path.len > SHOWN ? "..." : "", fault);
}

void tuf_fold_name(struct buf *out, struct span path)
{
    for (size_t i = 0; i < path.len; i++) {
        buf_char(out, (char)lower(path.p[i]));
    }
}

uint32_t tuf_bin_of(const char *path, unsigned bits)
{
    struct digest d = digest_of(span_str(path));
    uint32_t top = (uint32_t)d.b[0] << 24 | (uint32_t)d.b[1] << 16 | (uint32_t)d.b[2] << 8 | d.b[3];
    return top >> (32 - bits);
}

const char *tuf_bin_name(uint32_t bin, unsigned bits, char out[static TUF_BIN_NAME])
{
    snprintf(out, TUF_BIN_NAME, "bin-%0*x", (int)((bits + 3) / 4), bin);
    return out;
}
