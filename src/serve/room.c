#include "serve/room.h"

#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"

#define LOOK (CLOCK_SECOND / 4)
#define TELL CLOCK_MINUTE

void room_init(struct room *r, int dir, int64_t keep)
{
    *r = (struct room){.dir = dir, .keep = keep > 0 ? (uint64_t)keep : 0};
}

static void look(struct room *r, int64_t now)
{
    struct statvfs fs;
    if (fstatvfs(r->dir, &fs) < 0) {
        return; /* then the write itself will tell */
    }
    uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
    r->full = left < r->keep;
    if (r->full && now >= r->told_at) {
        r->told_at = now + TELL;
        log_error("disk",
                  "%llu MiB are left, so nothing is delivered: make room on the site's disk",
                  (unsigned long long)(left >> 20));
    }
}

int room_left(struct room *r, struct err *e)
{
    int64_t now = clock_boot();
    if (now >= r->look_at) {
        r->look_at = now + LOOK;
        look(r, now);
    }
    return r->full ? err_set(e, ERR_UNAVAIL, "the server's disk is full; its operators are told")
                   : 0;
}
