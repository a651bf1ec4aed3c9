#include "record/record_priv.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/reader.h"

#define BUNDLE 256u
#define BUNDLE_MAX ((size_t)4 << 30)

static void bundle_name(uint64_t index, char folder[static 24], char out[static 48])
{
    uint64_t n = index / BUNDLE;
    snprintf(folder, 24, "%03" PRIu64, n / 1000);
    snprintf(out, 48, "%s/%03u", folder, (unsigned)(n % 1000));
}

/* The `i`-th detail; *at becomes its offset, or the end of the whole ones before. */
static bool find(struct span all, size_t i, struct span *out, size_t *at)
{
    struct reader r = reader_of(all);
    for (size_t k = 0;; k++) {
        *at = r.at;
        if (k == i && out == NULL) {
            return true;
        }
        struct span s = reader_take(&r, reader_be32(&r));
        if (r.bad) {
            return false;
        }
        if (k == i) {
            *out = s;
            return true;
        }
    }
}

/* Appends to one bundle, `n` details from slot `slot` on. What lies there from before a crash is
 * written over: the journal has it again. */
static int append_to(int dir, const char *name, size_t slot, const struct sealed *s, size_t n,
                     struct err *e)
{
    CLEANUP(fd_close) int fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return err_sys(e, "open details/%s", name);
    }
    CLEANUP(buf_clear) struct buf old = BUF(BUNDLE_MAX);
    CLEANUP(buf_clear) struct buf more = BUF(BUNDLE_MAX);
    size_t at = 0;
    int r = slot == 0 ? 0 : file_read(dir, name, BUNDLE_MAX, &old, e);
    if (r == 0 && !find(buf_view(&old), slot, NULL, &at)) {
        return err_set(e, ERR_TRUST,
                       "details/%s holds fewer records than the log: restore it from a copy", name);
    }
    for (size_t i = 0; i < n && r == 0; i++) {
        buf_be32(&more, (uint32_t)s[i].detail.len);
        buf_span(&more, buf_view(&s[i].detail));
    }
    r = r < 0 ? r : buf_done(&more, "details", e);
    if (r == 0 && ftruncate(fd, (off_t)at) < 0) {
        r = err_sys(e, "cut details/%s", name);
    }
    r = r < 0 ? r : fd_pwrite(fd, buf_view(&more), at, e);
    return r < 0 ? err_wrap(e, r, "write details/%s", name) : 0;
}

int details_append(int dir, const struct sealed *s, size_t n, struct err *e)
{
    for (size_t i = 0; i < n;) {
        char folder[24], name[48];
        size_t slot = (size_t)(s[i].index % BUNDLE), m = BUNDLE - slot;
        m = m < n - i ? m : n - i;
        bundle_name(s[i].index, folder, name);
        int r = file_mkdirs(dir, folder, 0700, e);
        r = r < 0 ? r : append_to(dir, name, slot, s + i, m, e);
        if (r < 0) {
            return r;
        }
        i += m;
    }
    return 0;
}

static void walk_bundle(int dir, uint64_t first, uint64_t size, details_each each, void *ctx)
{
    char folder[24], name[48];
    CLEANUP(buf_clear) struct buf all = BUF(BUNDLE_MAX);
    struct err e = {.text = "it ends before this record"};
    bundle_name(first, folder, name);
    int r = file_read(dir, name, BUNDLE_MAX, &all, &e);
    struct reader in = reader_of(r < 0 ? SPAN_NONE : buf_view(&all));
    for (uint64_t i = first; i < size && i < first + BUNDLE; i++) {
        struct span s = reader_take(&in, reader_be32(&in));
        each(ctx, i, in.bad ? SPAN_NONE : s, in.bad ? e.text : NULL);
    }
}

void details_walk(int dir, uint64_t size, details_each each, void *ctx)
{
    for (uint64_t first = 0; first < size; first += BUNDLE) {
        walk_bundle(dir, first, size, each, ctx);
    }
}

int details_read(int dir, uint64_t index, struct buf *out, struct err *e)
{
    char folder[24], name[48];
    CLEANUP(buf_clear) struct buf all = BUF(BUNDLE_MAX);
    struct span s = SPAN_NONE;
    size_t at;
    bundle_name(index, folder, name);
    int r = file_read(dir, name, BUNDLE_MAX, &all, e);
    if (r < 0) {
        return err_wrap(e, r, "record %" PRIu64, index);
    }
    if (!find(buf_view(&all), (size_t)(index % BUNDLE), &s, &at)) {
        return err_set(e, ERR_TRUST, "details/%s lacks record %" PRIu64 ": restore it from a copy",
                       name, index);
    }
    buf_span(out, s);
    return buf_done(out, "a record", e);
}
