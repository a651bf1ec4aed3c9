/* note.c - signed notes (c2sp.org/signed-note), as Go's x/mod/sumdb/note reads and writes them. */
#include "base/note.h"

#include "base/limits.h"
#include "base/text.h"

#define DASH "\xE2\x80\x94 " /* U+2014 and a blank begin a signature line */

/* Characters with the property White_Space, beyond ASCII. */
static bool wide_blank(const uint8_t *p, size_t left)
{
    static const char *const blanks[] = {
        "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\xA8",
        "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80",
    };
    for (size_t i = 0; i < ARRAY_LEN(blanks); i++) {
        size_t n = strlen(blanks[i]);
        if (left >= n && memcmp(p, blanks[i], n) == 0) {
            return true;
        }
    }
    /* U+2000 to U+200A */
    return left >= 3 && p[0] == 0xE2 && p[1] == 0x80 && p[2] >= 0x80 && p[2] <= 0x8A;
}

int note_check_name(struct span name, struct err *e)
{
    bool ok = name.len > 0 && name.len <= LIMIT_NAME && text_is_utf8(name);
    for (size_t i = 0; ok && i < name.len; i++) {
        ok = name.p[i] > ' ' && name.p[i] != 0x7F && name.p[i] != '+' &&
             !wide_blank(name.p + i, name.len - i);
    }
    return ok ? 0
              : err_set(e, ERR_FORMAT,
                        "name of a key must be 1 to %zu bytes of UTF-8 without blank or '+'",
                        LIMIT_NAME);
}

uint32_t note_key_id(const char *name, uint8_t type, const struct sig_public *key)
{
    const uint8_t head[2] = {'\n', type};
    struct hasher h;
    hasher_init(&h);
    hasher_add(&h, span_str(name));
    hasher_add(&h, span_of(head, sizeof head));
    hasher_add(&h, span_of(key->b, sizeof key->b));
    struct digest d = hasher_end(&h);
    hasher_clear(&h);
    return (uint32_t)d.b[0] << 24 | (uint32_t)d.b[1] << 16 | (uint32_t)d.b[2] << 8 | d.b[3];
}

void note_vkey(struct buf *out, const char *name, const struct sig_public *key)
{
    uint8_t raw[1 + SIG_PUBLIC] = {NOTE_ED25519};
    memcpy(raw + 1, key->b, SIG_PUBLIC);
    buf_fmt(out, "%s+%08x+", name, note_key_id(name, NOTE_ED25519, key));
    text_base64(out, span_of(raw, sizeof raw));
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

int note_vkey_read(struct span text, uint8_t *type, struct buf *name, struct sig_public *key,
                   struct err *e)
{
    struct span rest = text, who, hex;
    uint8_t id[4];
    CLEANUP(buf_clear) struct buf raw = BUF(1 + SIG_PUBLIC);
    if (!span_cut(&rest, '+', &who) || !span_cut(&rest, '+', &hex) || rest.p == NULL ||
        text_unhex(hex, id, sizeof id, NULL) < 0 || text_unbase64(rest, &raw, NULL) < 0 ||
        raw.len != 1 + SIG_PUBLIC) {
        return err_set(e, ERR_FORMAT, "verifier key is not of the form name+id+key");
    }
    int r = note_check_name(who, e);
    if (r < 0) {
        return r;
    }
    CLEANUP(buf_clear) struct buf own = BUF(LIMIT_NAME);
    buf_span(&own, who);
    struct sig_public k;
    memcpy(k.b, raw.p + 1, SIG_PUBLIC);
    if (note_key_id(buf_text(&own), raw.p[0], &k) != be32(id)) {
        return err_set(e, ERR_FORMAT, "verifier key of %s: its id does not belong to its key",
                       buf_text(&own));
    }
    buf_span(name, who);
    r = buf_done(name, "name of a verifier key", e);
    if (r == 0) {
        *type = raw.p[0];
        *key = k;
    }
    return r;
}

int note_vkey_parse(struct span text, struct buf *name, struct sig_public *key, struct err *e)
{
    CLEANUP(buf_clear) struct buf who = BUF(LIMIT_NAME);
    struct sig_public k;
    uint8_t type = 0;
    int r = note_vkey_read(text, &type, &who, &k, e);
    if (r < 0) {
        return r;
    }
    if (type != NOTE_ED25519) {
        return err_set(e, ERR_FORMAT, "verifier key of %s has type %u, not Ed25519", buf_text(&who),
                       type);
    }
    buf_span(name, buf_view(&who));
    r = buf_done(name, "name of a verifier key", e);
    if (r == 0) {
        *key = k;
    }
    return r;
}

/* UTF-8 without control characters but newline. */
static bool plain(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < ' ' && s.p[i] != '\n') {
            return false;
        }
    }
    return text_is_utf8(s);
}

int note_sign(struct buf *out, struct span text, const char *name, const struct sig_by *by,
              struct err *e)
{
    int r = note_check_name(span_str(name), e);
    if (r < 0) {
        return r;
    }
    if (text.len == 0 || text.len > LIMIT_NOTE / 2 || text.p[text.len - 1] != '\n' ||
        !plain(text)) {
        return err_set(e, ERR_FORMAT,
                       "text of a note must be UTF-8 that ends in a newline, at most %zu bytes",
                       LIMIT_NOTE / 2);
    }
    uint8_t raw[4 + SIG_LEN];
    r = by->sign(by->ctx, text, raw + 4, e);
    if (r < 0) {
        return err_wrap(e, r, "sign note as %s", name);
    }
    uint32_t id = note_key_id(name, NOTE_ED25519, &by->key);
    for (int i = 0; i < 4; i++) {
        raw[i] = (uint8_t)(id >> (24 - 8 * i));
    }
    buf_span(out, text);
    buf_fmt(out, "\n" DASH "%s ", name);
    text_base64(out, span_of(raw, sizeof raw));
    buf_char(out, '\n');
    return buf_done(out, "signed note", e);
}

int note_split(struct span note, struct span *text, struct span *lines, struct err *e)
{
    if (note.len > LIMIT_NOTE) {
        return err_set(e, ERR_LIMIT, "note of %zu bytes, at most %zu", note.len, LIMIT_NOTE);
    }
    if (note.len == 0 || note.p[note.len - 1] != '\n' || !plain(note)) {
        return err_set(e, ERR_FORMAT, "note is no UTF-8 text that ends in a newline");
    }
    /* The last empty line parts them: the text may hold others. */
    size_t at = note.len - 1;
    while (at > 0 && !(note.p[at - 1] == '\n' && note.p[at] == '\n')) {
        at--;
    }
    if (at == 0 || at + 1 == note.len) {
        return err_set(e, ERR_FORMAT, "note has no signature after an empty line");
    }
    *text = span_of(note.p, at);
    *lines = span_of(note.p + at + 1, note.len - at - 1);
    return 0;
}

int note_next(struct span *lines, struct note_line *out, struct err *e)
{
    struct span line, name;
    if (lines->len == 0 || !span_cut(lines, '\n', &line)) {
        return 0;
    }
    const size_t dash = sizeof DASH - 1;
    CLEANUP(buf_clear) struct buf raw = BUF(4 + NOTE_SIG_MAX);
    bool ok = line.len > dash && memcmp(line.p, DASH, dash) == 0;
    if (ok) {
        struct span rest = span_of(line.p + dash, line.len - dash);
        ok = span_cut(&rest, ' ', &name) && rest.p != NULL && note_check_name(name, NULL) == 0 &&
             text_unbase64(rest, &raw, NULL) == 0 && raw.len > 4;
    }
    if (!ok) {
        return err_set(e, ERR_FORMAT, "note has a malformed signature line");
    }
    out->name = name;
    out->id = be32(raw.p);
    out->len = raw.len - 4;
    memcpy(out->sig, raw.p + 4, out->len);
    return 1;
}

int note_open(struct span note, const char *name, const struct sig_public *key, struct span *text,
              struct err *e)
{
    struct span body, lines;
    struct note_line line;
    uint32_t id = note_key_id(name, NOTE_ED25519, key);
    int r = note_split(note, &body, &lines, e);
    if (r < 0) {
        return r;
    }
    for (int i = 0; i < NOTE_LINES && (r = note_next(&lines, &line, e)) > 0; i++) {
        if (!span_is(line.name, name) || line.id != id) {
            continue;
        }
        if (line.len != SIG_LEN || !sig_ok(key, body, line.sig)) {
            return err_set(e, ERR_TRUST, "signature of %s on a note does not hold", name);
        }
        *text = body;
        return 0;
    }
    return r < 0 ? r : err_set(e, ERR_TRUST, "note is not signed by %s+%08x", name, id);
}
