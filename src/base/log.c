#include "base/log.h"

#include <stdarg.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/text.h"

#define LINE_MAX_BYTES ((size_t)4096)

static char process[32] = "cordon";
static bool quiet_info;

void log_name(const char *name)
{
    snprintf(process, sizeof process, "%s", name);
}

void log_quiet(bool quiet)
{
    quiet_info = quiet;
}

/* One write() a line, so that lines of several processes do not mix. */
static void line(int level, const char *word, const char *event, const char *text)
{
    CLEANUP(buf_clear) struct buf out = BUF(4 * LINE_MAX_BYTES);
    if (!isatty(2)) {
        buf_fmt(&out, "<%d>", level);
    }
    buf_fmt(&out, "%s %s %s ", process, word, event);
    text_escape(&out, span_str(text));
    buf_char(&out, '\n');
    if (out.fault == 0 && write(2, out.p, out.len) < 0) {
        return; /* nowhere left to say so */
    }
}

#define LOG_AT(level, word)                                                                        \
    char text[LINE_MAX_BYTES];                                                                     \
    va_list ap;                                                                                    \
    va_start(ap, fmt);                                                                             \
    vsnprintf(text, sizeof text, fmt, ap);                                                         \
    va_end(ap);                                                                                    \
    line(level, word, event, text)

void log_info(const char *event, const char *fmt, ...)
{
    if (quiet_info) {
        return;
    }
    LOG_AT(6, "info");
}

void log_warn(const char *event, const char *fmt, ...)
{
    LOG_AT(4, "warn");
}

void log_error(const char *event, const char *fmt, ...)
{
    LOG_AT(3, "error");
}
