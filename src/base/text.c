#include "base/text.h"

#include "base/limits.h"
#include "base/mem.h"

void text_hex(struct buf *out, struct span s)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < s.len; i++) {
        char two[2] = {hex[s.p[i] >> 4], hex[s.p[i] & 15]};
        buf_add(out, two, 2);
    }
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int text_unhex(struct span text, uint8_t *out, size_t n, struct err *e)
{
    if (text.len != 2 * n) {
        return err_set(e, ERR_FORMAT, "%zu characters instead of %zu hex digits", text.len, 2 * n);
    }
    for (size_t i = 0; i < n; i++) {
        int hi = hex_value(text.p[2 * i]), lo = hex_value(text.p[2 * i + 1]);
        if (hi < 0 || lo < 0) {
            return err_set(e, ERR_FORMAT, "no lower-case hex digit near character %zu", 2 * i + 1);
        }
        out[i] = (uint8_t)(hi * 16 + lo);
    }
    return 0;
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void text_base64(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.len; i += 3) {
        size_t n = s.len - i < 3 ? s.len - i : 3;
        uint32_t v = (uint32_t)s.p[i] << 16;
        v |= n > 1 ? (uint32_t)s.p[i + 1] << 8 : 0;
        v |= n > 2 ? s.p[i + 2] : 0;
        char four[4] = {base64[v >> 18], base64[v >> 12 & 63], n > 1 ? base64[v >> 6 & 63] : '=',
                        n > 2 ? base64[v & 63] : '='};
        buf_add(out, four, 4);
    }
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == '+' || c == '-') {
        return 62;
    }
    return c == '/' || c == '_' ? 63 : -1;
}

int text_unbase64(struct span text, struct buf *out, struct err *e)
{
    size_t n = text.len;
    while (n > 0 && text.len - n < 2 && text.p[n - 1] == '=') {
        n--;
    }
    if ((n != text.len && text.len % 4 != 0) || n % 4 == 1) {
        return err_set(e, ERR_FORMAT, "base64 of %zu characters", text.len);
    }
    uint32_t v = 0;
    for (size_t i = 0; i < n; i++) {
        int c = base64_value(text.p[i]);
        if (c < 0) {
            return err_set(e, ERR_FORMAT, "no base64 at character %zu", i + 1);
        }
        v = v << 6 | (uint32_t)c;
        if (i % 4 == 3) {
            buf_char(out, (char)(v >> 16));
        }
        if (i % 4 == 3) {
            buf_char(out, (char)(v >> 8));
            buf_char(out, (char)v);
            v = 0;
        }
    }
    size_t rest = n % 4;
    if ((rest == 2 && (v & 15) != 0) || (rest == 3 && (v & 3) != 0)) {
        return err_set(e, ERR_FORMAT, "base64 ends in bits that say nothing");
    }
    if (rest == 2) {
        buf_char(out, (char)(v >> 4));
    } else if (rest == 3) {
        buf_char(out, (char)(v >> 10));
        buf_char(out, (char)(v >> 2));
    }
    return buf_done(out, "base64", e);
}

/* Length of the well-formed character at p (Unicode table 3-7), 0 if there is none. */
static size_t utf8_char(const uint8_t *p, size_t left)
{
    static const struct {
        uint8_t first, last; /* of the first byte */
        uint8_t lo, hi;      /* of the second; all others are 80..BF */
        uint8_t n;
    } rows[] = {{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
                {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
                {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    if (p[0] < 0x80) {
        return 1;
    }
    size_t r = 0;
    while (r < ARRAY_LEN(rows) && p[0] > rows[r].last) {
        r++;
    }
    if (r == ARRAY_LEN(rows) || p[0] < rows[r].first || left < rows[r].n || p[1] < rows[r].lo ||
        p[1] > rows[r].hi) {
        return 0;
    }
    for (size_t i = 2; i < rows[r].n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return rows[r].n;
}

bool text_is_utf8(struct span s)
{
    for (size_t i = 0; i < s.len;) {
        size_t n = s.p[i] == 0 ? 0 : utf8_char(s.p + i, s.len - i);
        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

/* C0, DEL and C1 controls. */
static bool is_control(const uint8_t *p, size_t n)
{
    return (n == 1 && (p[0] < 0x20 || p[0] == 0x7f)) || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0);
}

void text_escape(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_char(s.p + i, s.len - i);
        if (n == 0 || is_control(s.p + i, n)) {
            n = n == 0 ? 1 : n;
            for (size_t k = 0; k < n; k++) {
                buf_fmt(out, "\\x%02x", s.p[i + k]);
            }
        } else {
            buf_add(out, s.p + i, n);
        }
        i += n;
    }
}

int text_check_name(struct span s, const char *what, struct err *e)
{
    if (s.len == 0) {
        return err_set(e, ERR_FORMAT, "the %s is empty", what);
    }
    if (s.len > LIMIT_NAME) {
        return err_set(e, ERR_LIMIT, "the %s has %zu bytes, more than %zu", what, s.len,
                       LIMIT_NAME);
    }
    if (!text_is_utf8(s)) {
        return err_set(e, ERR_FORMAT, "the %s is not valid UTF-8", what);
    }
    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_char(s.p + i, s.len - i);
        if (is_control(s.p + i, n)) {
            return err_set(e, ERR_FORMAT, "the %s holds a control character at byte %zu", what,
                           i + 1);
        }
        i += n;
    }
    if (s.p[0] == ' ' || s.p[s.len - 1] == ' ') {
        return err_set(e, ERR_FORMAT, "the %s begins or ends with a blank", what);
    }
    return 0;
}

int text_u64(struct span s, uint64_t max, uint64_t *out, struct err *e)
{
    uint64_t v = 0;
    bool ok = s.len > 0 && (s.len == 1 || s.p[0] != '0');
    for (size_t i = 0; ok && i < s.len; i++) {
        ok = s.p[i] >= '0' && s.p[i] <= '9' && !__builtin_mul_overflow(v, 10, &v) &&
             !__builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v);
    }
    if (!ok || v > max) {
        return err_set(e, ERR_FORMAT, "\"%.*s\" is no whole number up to %llu",
                       (int)(s.len < 40 ? s.len : 40), (const char *)s.p, (unsigned long long)max);
    }
    *out = v;
    return 0;
}

size_t text_distance(const char *a, const char *b)
{
    size_t n = strlen(b);
    CLEANUP(mem_free) size_t *row = mem_array(size_t, n + 1);
    for (size_t j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != 0; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t best = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            best = diagonal + 1 < best ? diagonal + 1 : best;
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j + 1] = best;
        }
    }
    return row[n];
}
