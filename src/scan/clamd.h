/* clamd.h - what clamd's answers mean; the calls themselves are in engine.h.
 *
 * Runs in the gate: clamd gets a descriptor and parses the file in its own process. Nothing that
 * it may say unexpectedly counts as clean. Any thread may call anything: each call has its own
 * connection. */
#pragma once
#include "scan/engine.h"

/* Files up to this size every sensible set-up of clamd looks at (its MaxFileSize was 25 MiB, and
 * is 100 MiB now). For larger ones its "OK" counts only if it reports what it skips. */
#define CLAMD_SURE ((uint64_t)25 << 20)

/* One answer to FILDES, without its final NUL, read from the right end. Sets verdict and rule.
 * ERR_UNAVAIL for an ERROR and for anything that is neither OK nor FOUND. */
MUST_CHECK int clamd_parse_reply(struct span reply, struct outside_answer *out, struct err *e);

/* "ClamAV 1.4.3/27500/Mon Nov 17 09:31:24 2025", without its final NUL. Sets version and updated
 * (microseconds; -1 when no database or no readable date is named). The date is in local time. */
MUST_CHECK int clamd_parse_version(struct span reply, struct outside_answer *out, struct err *e);
