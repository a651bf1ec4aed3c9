/* log.h - one line, one event, on stderr for the journal.
 *
 * log_info("release.publish", "file=%s digest=%s", ...): key=value, the level as a journal prefix
 * when stderr is no terminal. Control characters in the whole line are escaped here, because names
 * come from attackers. Facts for an audit go to the record, not here. */
#pragma once
#include "base/attr.h"
#include <stdbool.h>

void log_name(const char *name); /* put in front of each line: "web", "gate", ... */
void log_quiet(bool quiet);      /* drops info lines */
void log_info(const char *event, const char *fmt, ...) PRINTF(2, 3);
void log_warn(const char *event, const char *fmt, ...) PRINTF(2, 3);
void log_error(const char *event, const char *fmt, ...) PRINTF(2, 3);
