/* report.c - the outcome of an audit, for programs and people. */
#include "tlog/tlog.h"

bool tlog_report_good(const struct tlog_report *r)
{
    return r->faults == 0 && r->root_ok && r->growth != TLOG_REWRITTEN;
}

void tlog_report_clear(struct tlog_report *r)
{
    free(r->fault);
    *r = (struct tlog_report){0};
}

static const char *kind_text(enum tlog_fault_kind kind)
{
    switch (kind) {
    case TLOG_MISSING:
        return "is missing";
    case TLOG_UNREADABLE:
        return "cannot be read";
    case TLOG_LENGTH:
        return "is cut short or too long";
    case TLOG_DIFFERS:
        return "was changed";
    case TLOG_DISPUTED:
        return "contradicts another file, and nothing tells which is right";
    }
    return "is wrong";
}

void tlog_fault_text(const struct tlog_fault *f, struct buf *out)
{
    char path[TLOG_PATH];
    buf_fmt(out, "%s %s", tlog_tile_path(&f->tile, path), kind_text(f->kind));
    unsigned long long first = f->first, last = f->first + f->count - 1;
    if (f->count == 0) {
        buf_str(out, " (its entries are right)");
    } else if (f->count == 1) {
        buf_fmt(out, " (entry %llu)", first);
    } else {
        buf_fmt(out, " (entries %llu to %llu)", first, last);
    }
}
