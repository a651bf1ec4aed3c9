/* checkpoint.c - what a log signs: origin, size and root (C2SP tlog-checkpoint). */
#include "tlog/tlog_priv.h"

#include "base/note.h"
#include "base/text.h"

void base64_digest(struct buf *out, const struct digest *d)
{
    text_base64(out, span_of(d->b, sizeof d->b));
}

int base64_digest_parse(struct span text, struct digest *out, struct err *e)
{
    CLEANUP(buf_clear) struct buf raw = BUF(sizeof out->b);
    CLEANUP(buf_clear) struct buf again = BUF(64);
    struct digest d;
    if (text.len != 44 || text_unbase64(text, &raw, NULL) < 0 || raw.len != sizeof d.b) {
        return err_set(e, ERR_FORMAT, "not the base64 of a SHA-256 hash");
    }
    memcpy(d.b, raw.p, sizeof d.b);
    base64_digest(&again, &d); /* refuses the URL alphabet and stray bits */
    if (!span_eq(buf_view(&again), text)) {
        return err_set(e, ERR_FORMAT, "a hash in unusual base64");
    }
    *out = d;
    return 0;
}

static int origin_check(struct span s, struct err *e)
{
    if (s.len == 0 || s.len > LIMIT_NAME) {
        return err_set(e, ERR_FORMAT, "origin of %zu bytes, allowed are 1 to %zu", s.len,
                       (size_t)LIMIT_NAME);
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '+') {
            return err_set(e, ERR_FORMAT,
                           "origin: byte %zu is not allowed; use a host name and path", i);
        }
    }
    return 0;
}

int tlog_checkpoint_text(const struct tlog_checkpoint *c, struct buf *out, struct err *e)
{
    struct span origin = span_of(c->origin, strnlen(c->origin, sizeof c->origin));
    int r = origin_check(origin, e);
    if (r < 0) {
        return r;
    }
    buf_span(out, origin);
    buf_fmt(out, "\n%llu\n", (unsigned long long)c->head.size);
    base64_digest(out, &c->head.root);
    buf_char(out, '\n');
    return buf_done(out, "checkpoint", e);
}

/* Extension lines: anything printable, but no empty line, which would end the text. */
static int extensions_check(struct span rest, struct err *e)
{
    if (rest.len == 0) {
        return 0;
    }
    if (!text_is_utf8(rest) || rest.p[rest.len - 1] != '\n') {
        return err_set(e, ERR_FORMAT, "checkpoint: bad extension lines");
    }
    for (size_t i = 0; i < rest.len; i++) {
        bool empty = rest.p[i] == '\n' && (i == 0 || rest.p[i - 1] == '\n');
        if (empty || (rest.p[i] < ' ' && rest.p[i] != '\n') || rest.p[i] == 0x7f) {
            return err_set(e, ERR_FORMAT, "checkpoint: bad extension line at byte %zu", i);
        }
    }
    return 0;
}

int tlog_checkpoint_parse(struct span text, struct tlog_checkpoint *out, struct err *e)
{
    struct tlog_checkpoint c = {0};
    struct span rest = text, origin, size, root;
    if (!span_cut(&rest, '\n', &origin) || !span_cut(&rest, '\n', &size) ||
        !span_cut(&rest, '\n', &root) || rest.p == NULL) {
        return err_set(e, ERR_FORMAT, "checkpoint: not three lines");
    }
    int r = origin_check(origin, e);
    if (r == 0) {
        r = text_u64(size, TLOG_MAX, &c.head.size, e);
    }
    if (r == 0) {
        r = base64_digest_parse(root, &c.head.root, e);
    }
    if (r == 0) {
        r = extensions_check(rest, e);
    }
    if (r < 0) {
        return err_wrap(e, r, "checkpoint");
    }
    memcpy(c.origin, origin.p, origin.len);
    *out = c;
    return 0;
}

int tlog_checkpoint_sign(const struct tlog_checkpoint *c, const struct sig_by *by, struct buf *note,
                         struct err *e)
{
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_NOTE);
    int r = tlog_checkpoint_text(c, &text, e);
    if (r < 0) {
        return r;
    }
    return note_sign(note, buf_view(&text), c->origin, by, e);
}

int tlog_checkpoint_open(struct span note, const char *origin, const struct sig_public *key,
                         struct tlog_checkpoint *out, struct err *e)
{
    struct span text;
    struct tlog_checkpoint c;
    int r = note_open(note, origin, key, &text, e);
    if (r == 0) {
        r = tlog_checkpoint_parse(text, &c, e);
    }
    if (r < 0) {
        return err_wrap(e, r, "checkpoint of %s", origin);
    }
    if (strcmp(c.origin, origin) != 0) {
        return err_set(e, ERR_TRUST, "the checkpoint is of %s, not of %s", c.origin, origin);
    }
    *out = c;
    return 0;
}

int tlog_checkpoint_read(const struct tlog_tiles *tiles, const char *origin,
                         const struct sig_public *key, struct buf *note,
                         struct tlog_checkpoint *out, struct err *e)
{
    CLEANUP(buf_clear) struct buf got = BUF(LIMIT_NOTE);
    int r = tiles->read(tiles->ctx, "checkpoint", &got, e);
    if (r < 0) {
        return r;
    }
    r = tlog_checkpoint_open(buf_view(&got), origin, key, out, e);
    if (r == 0 && note != NULL) {
        buf_span(note, buf_view(&got));
        r = buf_done(note, "checkpoint", e);
    }
    return r;
}
