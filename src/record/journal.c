#include "record/record_priv.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/reader.h"
#include "base/text.h"

#define MAGIC "CDNJRNL1"
#define FRAME 0xC04D0F01u
#define HEADER ((size_t)48)     /* magic, first index, hash before */
#define FRAME_HEAD ((size_t)56) /* magic, count, first index, length, hash before */
#define FRAME_TAIL ((size_t)8)  /* first bytes of the frame's hash */
#define FILE_MAX ((size_t)4 << 30)

static const char *file_name(uint64_t first, char out[static 24])
{
    snprintf(out, 24, "%020" PRIu64, first);
    return out;
}

static int start_file(struct journal *j, uint64_t first, struct err *e)
{
    char name[24];
    CLEANUP(buf_clear) struct buf head = BUF(HEADER);
    buf_str(&head, MAGIC);
    buf_be64(&head, first);
    buf_add(&head, j->last.b, sizeof j->last.b);
    int r = file_write(j->dir, file_name(first, name), buf_view(&head), 0600, e);
    if (r < 0) {
        return r;
    }
    int fd = openat(j->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return err_sys(e, "open journal/%s", name);
    }
    fd_close(&j->fd);
    j->fd = fd;
    j->at = HEADER;
    return 0;
}

int journal_create_at(int site, uint64_t first, struct err *e)
{
    struct journal j = {.dir = -1, .fd = -1};
    int r = file_mkdirs(site, "journal", 0700, e);
    r = r < 0 ? r : file_open_dir(site, "journal", &j.dir, e);
    r = r < 0 ? r : start_file(&j, first, e);
    journal_close(&j);
    return r;
}

int journal_create(int site, struct err *e)
{
    return journal_create_at(site, 0, e);
}

void journal_close(struct journal *j)
{
    fd_close(&j->fd);
    fd_close(&j->dir);
}

/* ---- writing ---- */

int journal_commit(struct journal *j, const struct sealed *s, size_t n, struct err *e)
{
    if (j->broken) {
        return err_set(e, ERR_UNAVAIL, "the journal failed before and must be opened again");
    }
    CLEANUP(buf_clear) struct buf b = BUF(FILE_MAX);
    size_t payload = 0;
    for (size_t i = 0; i < n; i++) {
        payload += 8 + s[i].leaf.len + s[i].detail.len;
    }
    buf_be32(&b, FRAME);
    buf_be32(&b, (uint32_t)n);
    buf_be64(&b, s[0].index);
    buf_be64(&b, payload);
    buf_add(&b, j->last.b, sizeof j->last.b);
    for (size_t i = 0; i < n; i++) {
        buf_be32(&b, (uint32_t)s[i].leaf.len);
        buf_be32(&b, (uint32_t)s[i].detail.len);
        buf_span(&b, buf_view(&s[i].leaf));
        buf_span(&b, buf_view(&s[i].detail));
    }
    struct digest hash = digest_of(buf_view(&b));
    buf_add(&b, hash.b, FRAME_TAIL);
    int r = buf_done(&b, "a journal frame", e);
    r = r < 0 ? r : fd_pwrite(j->fd, buf_view(&b), j->at, e);
    if (r == 0 && fdatasync(j->fd) < 0) {
        /* the kernel may have dropped the pages: a second sync would lie */
        j->broken = true;
        return err_sys(e, "sync the journal");
    }
    if (r < 0) { /* what was written of it must not look like rot to the next commit */
        j->broken = ftruncate(j->fd, (off_t)j->at) < 0;
        return err_wrap(e, r, "write the journal");
    }
    j->at += b.len;
    j->last = hash;
    return 0;
}

static int drop_older(void *ctx, const char *name)
{
    const struct {
        struct journal *j;
        const char *keep;
    } *c = ctx;
    if (strcmp(name, c->keep) < 0 && unlinkat(c->j->dir, name, 0) < 0) {
        return 0; /* it only wastes space; the next cut tries again */
    }
    return 0;
}

int journal_cut(struct journal *j, uint64_t next, struct err *e)
{
    char name[24];
    int r = start_file(j, next, e);
    struct {
        struct journal *j;
        const char *keep;
    } c = {j, file_name(next, name)};
    return r < 0 ? r : file_each(j->dir, ".", drop_older, &c, e);
}

/* ---- reading ---- */

struct frame {
    uint32_t count;
    uint64_t first;
    struct digest before, hash;
    struct span payload;
    size_t length; /* all of it */
};

/* True if a whole, intact frame starts at the front of `in`. */
static bool frame_at(struct span in, struct frame *f)
{
    struct reader r = reader_of(in);
    if (reader_be32(&r) != FRAME) {
        return false;
    }
    f->count = reader_be32(&r);
    f->first = reader_be64(&r);
    uint64_t length = reader_be64(&r);
    struct span before = reader_take(&r, sizeof f->before.b);
    if (r.bad || length > reader_left(&r)) {
        return false;
    }
    f->payload = reader_take(&r, (size_t)length);
    f->hash = digest_of(span_of(in.p, FRAME_HEAD + f->payload.len));
    struct span tail = reader_take(&r, FRAME_TAIL);
    memcpy(f->before.b, before.p, before.len);
    f->length = r.at;
    return !r.bad && memcmp(tail.p, f->hash.b, FRAME_TAIL) == 0;
}

/* Is there an intact frame anywhere behind? Then what precedes it is rot, not a torn end. */
static bool frame_behind(struct span in)
{
    struct frame f;
    for (size_t i = 1; i + FRAME_HEAD < in.len; i++) {
        if (in.p[i] == FRAME >> 24 && frame_at(span_of(in.p + i, in.len - i), &f)) {
            return true;
        }
    }
    return false;
}

static int give_events(const struct frame *f, journal_each each, void *ctx, struct err *e)
{
    struct reader r = reader_of(f->payload);
    for (uint32_t i = 0; i < f->count; i++) {
        size_t leaf = reader_be32(&r), detail = reader_be32(&r);
        struct sealed s = {f->first + i, BUF(LIMIT_ENTRY), BUF(DETAIL_MAX + 4096)};
        buf_span(&s.leaf, reader_take(&r, leaf));
        buf_span(&s.detail, reader_take(&r, detail));
        int bad = reader_done(&r, "a journal frame", e);
        bad = bad < 0 ? bad : buf_done(&s.detail, "a journal frame", e);
        if (bad < 0) {
            sealed_clear(&s);
            return bad;
        }
        bad = each(ctx, &s, e);
        if (bad < 0) {
            return bad;
        }
    }
    return 0;
}

struct walk {
    struct journal *j;
    journal_each each;
    void *ctx;
    bool started;
    uint64_t next;
    char (*files)[24];
    size_t n, cap;
};

static int rot(const char *name, size_t at, struct err *e)
{
    return err_set(e, ERR_TRUST,
                   "journal/%s is damaged at byte %zu though later events are intact: restore the "
                   "file from a copy, or run doctor",
                   name, at);
}

static int read_header(struct walk *w, const char *name, struct span all, struct err *e)
{
    struct reader r = reader_of(all);
    struct span magic = reader_take(&r, 8);
    uint64_t first = reader_be64(&r);
    struct span before = reader_take(&r, sizeof w->j->last.b);
    char want[24];
    if (r.bad || !span_is(magic, MAGIC) || strcmp(file_name(first, want), name) != 0) {
        return err_set(e, ERR_FORMAT, "journal/%s is no journal", name);
    }
    if (w->started && (first != w->next || memcmp(before.p, w->j->last.b, before.len) != 0)) {
        return err_set(e, ERR_TRUST, "journal/%s does not follow the file before it", name);
    }
    memcpy(w->j->last.b, before.p, before.len);
    w->started = true;
    w->next = first;
    return 0;
}

static int read_file(struct walk *w, const char *name, bool newest, struct err *e)
{
    CLEANUP(buf_clear) struct buf b = BUF(FILE_MAX);
    int r = file_read(w->j->dir, name, FILE_MAX, &b, e);
    r = r < 0 ? r : read_header(w, name, buf_view(&b), e);
    size_t at = HEADER;
    while (r == 0 && at < b.len) {
        struct frame f;
        struct span rest = span_of(b.p + at, b.len - at);
        if (!frame_at(rest, &f)) {
            if (!newest || frame_behind(rest)) {
                return rot(name, at, e);
            }
            w->j->torn = b.len - at;
            break;
        }
        if (f.first != w->next || !digest_eq(&f.before, &w->j->last)) {
            return rot(name, at, e);
        }
        r = give_events(&f, w->each, w->ctx, e);
        w->next += f.count;
        w->j->last = f.hash;
        at += f.length;
    }
    w->j->at = at;
    return r;
}

static int note_file(void *ctx, const char *name)
{
    struct walk *w = ctx;
    if (strlen(name) != 20 || strspn(name, "0123456789") != 20) {
        return 0; /* a temporary name of an interrupted start */
    }
    if (w->n == w->cap) {
        w->cap = w->cap * 2 + 8;
        w->files = mem_resize(w->files, w->cap, sizeof *w->files);
    }
    memcpy(w->files[w->n++], name, 21);
    return 0;
}

static int open_newest(struct walk *w, struct err *e)
{
    const char *name = w->files[w->n - 1];
    int fd = openat(w->j->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return err_sys(e, "open journal/%s", name);
    }
    w->j->fd = fd;
    if (w->j->torn > 0 && (ftruncate(fd, (off_t)w->j->at) < 0 || fsync(fd) < 0)) {
        return err_sys(e, "cut the torn end of journal/%s", name);
    }
    return 0;
}

int journal_open(int site, journal_each each, void *ctx, struct journal *out, struct err *e)
{
    struct journal j = {.dir = -1, .fd = -1};
    struct walk w = {.j = &j, .each = each, .ctx = ctx};
    int r = file_open_dir(site, "journal", &j.dir, e);
    r = r < 0 ? r : file_each(j.dir, ".", note_file, &w, e);
    if (r == 0 && w.n == 0) {
        r = err_set(e, ERR_NOTFOUND, "journal/ holds no journal: restore it from a copy");
    }
    for (size_t i = 0; i < w.n && r == 0; i++) {
        r = read_file(&w, w.files[i], i + 1 == w.n, e);
    }
    r = r < 0 ? r : open_newest(&w, e);
    free(w.files);
    if (r < 0) {
        journal_close(&j);
        return r;
    }
    *out = j;
    return 0;
}
