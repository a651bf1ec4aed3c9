/* clock.h - time, in one place so that tests can replace it.
 *
 * A time is int64_t microseconds since 1970 UTC. */
#pragma once
#include "base/err.h"
#include "base/span.h"

#define CLOCK_SECOND INT64_C(1000000)
#define CLOCK_MINUTE (60 * CLOCK_SECOND)
#define CLOCK_HOUR (3600 * CLOCK_SECOND)
#define CLOCK_DAY (24 * CLOCK_HOUR)
#define CLOCK_TEXT ((size_t)32)

int64_t clock_now(void);  /* wall clock */
int64_t clock_boot(void); /* since boot, never steps, counts suspend */
void clock_replace(int64_t (*now)(void), int64_t (*boot)(void)); /* tests; NULL restores */

/* "2001-04-19T09:12:00Z", with ".123456" before the Z unless `whole`. */
const char *clock_text(int64_t t, bool whole, char out[static CLOCK_TEXT]);

/* Reads what clock_text() writes, a date alone (its first instant), a blank or T between date and
 * time, seconds optional, a fraction of up to six digits, Z or an offset +hh:mm or none (UTC). */
MUST_CHECK int clock_parse(struct span text, int64_t *out, struct err *e);

/* A duration "72h", "7d", "30m", "10s", "500ms" in microseconds; never negative. */
MUST_CHECK int clock_duration(struct span text, int64_t *out, struct err *e);
