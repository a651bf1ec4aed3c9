/* proof_file.c - an inclusion proof that travels with the file it speaks of
 * (c2sp.org/tlog-proof@v1). */
#include "tlog/tlog_priv.h"

#include "base/text.h"

static const char first_line[] = "c2sp.org/tlog-proof@v1";

void tlog_proof_write(struct buf *out, uint64_t index, const struct tlog_hashes *path,
                      struct span extra, struct span note)
{
    buf_fmt(out, "%s\n", first_line);
    if (extra.p != NULL) {
        buf_str(out, "extra ");
        text_base64(out, extra);
        buf_char(out, '\n');
    }
    buf_fmt(out, "index %llu\n", (unsigned long long)index);
    for (size_t i = 0; i < path->n; i++) {
        base64_digest(out, &path->h[i]);
        buf_char(out, '\n');
    }
    buf_char(out, '\n');
    buf_span(out, note);
}

/* Cuts "WORD value" apart. */
static bool word_cut(struct span line, const char *word, struct span *value)
{
    size_t n = strlen(word);
    if (line.len < n || memcmp(line.p, word, n) != 0) {
        return false;
    }
    *value = span_of(line.p + n, line.len - n);
    return true;
}

static int extra_check(struct span extra, struct err *e)
{
    CLEANUP(buf_clear) struct buf raw = BUF(LIMIT_NOTE), again = BUF(2 * LIMIT_NOTE);
    if (text_unbase64(extra, &raw, NULL) == 0) {
        text_base64(&again, buf_view(&raw));
        if (span_eq(buf_view(&again), extra)) {
            return 0;
        }
    }
    return err_set(e, ERR_FORMAT, "proof file: the extra line is not base64");
}

static int hashes_parse(struct span *rest, struct tlog_hashes *out, struct err *e)
{
    struct span line;
    out->n = 0;
    while (span_cut(rest, '\n', &line) && line.len != 0) {
        if (out->n == TLOG_HASHES) {
            return err_set(e, ERR_FORMAT, "proof file: more than %u hashes", TLOG_HASHES);
        }
        int r = base64_digest_parse(line, &out->h[out->n], e);
        if (r < 0) {
            return err_wrap(e, r, "proof file, hash %zu", out->n + 1);
        }
        out->n++;
    }
    return 0;
}

int tlog_proof_parse(struct span file, struct tlog_proof *out, struct err *e)
{
    struct tlog_proof p = {0};
    struct span rest = file, line, value;
    if (!span_cut(&rest, '\n', &line) || !span_is(line, first_line)) {
        return err_set(e, ERR_FORMAT, "proof file: does not begin with %s", first_line);
    }
    bool more = span_cut(&rest, '\n', &line);
    if (more && word_cut(line, "extra ", &value)) {
        int r = extra_check(value, e);
        if (r < 0) {
            return r;
        }
        p.extra = value;
        more = span_cut(&rest, '\n', &line);
    }
    if (!more || !word_cut(line, "index ", &value)) {
        return err_set(e, ERR_FORMAT, "proof file: no index line");
    }
    int r = text_u64(value, TLOG_MAX, &p.index, e);
    if (r < 0) {
        return err_wrap(e, r, "proof file, index");
    }
    r = hashes_parse(&rest, &p.path, e);
    if (r < 0) {
        return r;
    }
    if (rest.len == 0 || rest.len > LIMIT_NOTE) {
        return err_set(e, ERR_FORMAT, "proof file: no checkpoint, or one of %zu bytes", rest.len);
    }
    p.note = rest;
    *out = p;
    return 0;
}

int tlog_proof_check(struct span file, const struct digest *leaf, const char *origin,
                     const struct sig_public *key, struct tlog_checkpoint *out, struct err *e)
{
    struct tlog_proof p;
    struct tlog_checkpoint c;
    int r = tlog_proof_parse(file, &p, e);
    if (r == 0) {
        r = tlog_checkpoint_open(p.note, origin, key, &c, e);
    }
    if (r == 0) {
        r = tlog_check_inclusion(leaf, p.index, &c.head, &p.path, e);
    }
    if (r == 0 && out != NULL) {
        *out = c;
    }
    return r;
}
