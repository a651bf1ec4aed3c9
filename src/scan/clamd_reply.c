#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "scan/clamd.h"

static bool ends_with(struct span s, const char *end)
{
    size_t n = strlen(end);
    return s.len >= n && memcmp(s.p + s.len - n, end, n) == 0;
}

static bool begins_with(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

static bool is_printable(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < 0x20 || s.p[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

static int refuse(struct span reply, const char *what, struct err *e)
{
    CLEANUP(buf_clear) struct buf shown = BUF(4096);
    struct span s = {reply.p, reply.len < 200 ? reply.len : 200};
    text_escape(&shown, s);
    return err_set(e, ERR_UNAVAIL, "clamd %s: \"%s\"; see its log", what, buf_text(&shown));
}

static enum verdict severity(const char *name)
{
    if (begins_with(name, "Heuristics.Limits.Exceeded") ||
        begins_with(name, "Heuristics.Encrypted")) {
        return VERDICT_UNINSPECTABLE;
    }
    /* Broken programs, macros, unwanted tools: for a person to decide. */
    return begins_with(name, "Heuristics.") || begins_with(name, "PUA.") ? VERDICT_SUSPICIOUS
                                                                         : VERDICT_MALICIOUS;
}

int clamd_parse_reply(struct span reply, struct outside_answer *out, struct err *e)
{
    if (!is_printable(reply)) {
        return refuse(reply, "gave an answer that is not text", e);
    }
    if (ends_with(reply, " ERROR")) {
        return refuse(reply, "could not scan the file", e);
    }
    if (ends_with(reply, ": OK")) {
        out->verdict = VERDICT_CLEAN;
        out->rule[0] = 0;
        return 0;
    }
    if (!ends_with(reply, " FOUND")) {
        return refuse(reply, "gave an answer that is not understood", e);
    }
    size_t end = reply.len - strlen(" FOUND"), at = end;
    while (at >= 2 && !(reply.p[at - 2] == ':' && reply.p[at - 1] == ' ')) {
        at--;
    }
    if (at < 2 || at == end || end - at >= sizeof out->rule) {
        return refuse(reply, "named no signature", e);
    }
    memcpy(out->rule, reply.p + at, end - at);
    out->rule[end - at] = 0;
    out->verdict = severity(out->rule);
    return 0;
}

/* "Mon Nov 17 09:31:24 2025", as ctime() writes it. */
static int64_t parse_date(const char *s)
{
    struct tm tm = {.tm_isdst = -1};
    const char *end = strptime(s, "%a %b %d %H:%M:%S %Y", &tm);
    if (end == NULL || *end != 0) {
        return -1;
    }
    time_t t = mktime(&tm);
    return t <= 0 ? -1 : (int64_t)t * CLOCK_SECOND;
}

int clamd_parse_version(struct span reply, struct outside_answer *out, struct err *e)
{
    char text[sizeof out->version];
    if (!is_printable(reply) || reply.len >= sizeof text || reply.len < 8 ||
        memcmp(reply.p, "ClamAV ", 7) != 0) {
        return refuse(reply, "gave a version that is not understood", e);
    }
    memcpy(text, reply.p, reply.len);
    text[reply.len] = 0;
    const char *slash = strchr(text, '/');
    const char *second = slash != NULL ? strchr(slash + 1, '/') : NULL;
    out->updated = second != NULL ? parse_date(second + 1) : -1;
    memcpy(out->version, text, sizeof text);
    return 0;
}
