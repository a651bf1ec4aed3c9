/* room.h - is there room on the disk for one more entry that is not urgent?
 *
 * Admissions stop at disk.reserve, deliveries at half of it: what then is left is for recalls,
 * alarms and signatures (P9). */
#pragma once
#include "base/err.h"

struct room {
    int dir;
    uint64_t keep; /* bytes */
    int64_t look_at, told_at;
    bool full;
};
void room_init(struct room *r, int dir, int64_t keep);
/* 0, or ERR_UNAVAIL with a text for who asked. Looks at the disk a few times a second at most. */
MUST_CHECK int room_left(struct room *r, struct err *e);
