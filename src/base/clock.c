#include "base/clock.h"

#include <time.h>

static int64_t kernel_time(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * CLOCK_SECOND + t.tv_nsec / 1000;
}

static int64_t wall(void)
{
    return kernel_time(CLOCK_REALTIME);
}

static int64_t boot(void)
{
    return kernel_time(CLOCK_BOOTTIME);
}

static int64_t (*now_fn)(void) = wall;
static int64_t (*boot_fn)(void) = boot;

int64_t clock_now(void)
{
    return now_fn();
}

int64_t clock_boot(void)
{
    return boot_fn();
}

void clock_replace(int64_t (*now)(void), int64_t (*since_boot)(void))
{
    now_fn = now != NULL ? now : wall;
    boot_fn = since_boot != NULL ? since_boot : boot;
}

const char *clock_text(int64_t t, bool whole, char out[static CLOCK_TEXT])
{
    int64_t sec = t / CLOCK_SECOND, us = t % CLOCK_SECOND;
    if (us < 0) {
        us += CLOCK_SECOND;
        sec--;
    }
    struct tm tm;
    time_t s = (time_t)sec;
    if (gmtime_r(&s, &tm) == NULL || tm.tm_year > 8099 || tm.tm_year < -1900) {
        snprintf(out, CLOCK_TEXT, "beyond-year-9999");
        return out;
    }
    size_t n = strftime(out, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
    if (tm.tm_year < -900) { /* strftime does not pad years below 1000 */
        n = (size_t)snprintf(out, CLOCK_TEXT, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900,
                             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    }
    if (!whole) {
        n += (size_t)snprintf(out + n, CLOCK_TEXT - n, ".%06d", (int)us);
    }
    snprintf(out + n, CLOCK_TEXT - n, "Z");
    return out;
}

/* What clock_text() can write: the years 0 to 9999. */
#define CLOCK_FIRST (-INT64_C(62167219200) * CLOCK_SECOND)
#define CLOCK_LAST (INT64_C(253402300800) * CLOCK_SECOND - 1)

/* Exactly `digits` decimal digits off the front; -1 if they are not there. */
static int digits(struct span *s, size_t n)
{
    int v = 0;
    if (s->len < n) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9') {
            return -1;
        }
        v = v * 10 + (s->p[i] - '0');
    }
    *s = span_of(s->p + n, s->len - n);
    return v;
}

static bool eat(struct span *s, char c)
{
    if (s->len == 0 || s->p[0] != (uint8_t)c) {
        return false;
    }
    *s = span_of(s->p + 1, s->len - 1);
    return true;
}

static int bad_time(struct span text, struct err *e)
{
    return err_set(e, ERR_FORMAT, "\"%.*s\" is no time; write 2001-04-19 or 2001-04-19T09:12:00Z",
                   (int)(text.len < 60 ? text.len : 60), (const char *)text.p);
}

static bool parse_fraction(struct span *s, int64_t *us)
{
    if (!eat(s, '.')) {
        return true;
    }
    int64_t unit = CLOCK_SECOND / 10;
    size_t n = 0;
    while (s->len > 0 && s->p[0] >= '0' && s->p[0] <= '9') {
        *us += unit * (s->p[0] - '0');
        unit /= 10;
        n++;
        *s = span_of(s->p + 1, s->len - 1);
    }
    return n > 0 && n <= 6;
}

static bool parse_zone(struct span *s, int64_t *offset)
{
    if (s->len == 0 || eat(s, 'Z')) {
        return true;
    }
    int sign = eat(s, '+') ? 1 : eat(s, '-') ? -1 : 0;
    int h = digits(s, 2);
    (void)eat(s, ':');
    int m = digits(s, 2);
    if (sign == 0 || h < 0 || h > 23 || m < 0 || m > 59) {
        return false;
    }
    *offset = sign * (h * CLOCK_HOUR + m * CLOCK_MINUTE);
    return true;
}

/* Microseconds from the start of the day in UTC; a leap second is the first of the next day. */
static bool parse_time_of_day(struct span *s, int64_t *at)
{
    int64_t us = 0, offset = 0;
    if (!eat(s, 'T') && !eat(s, ' ')) {
        return false;
    }
    int hour = digits(s, 2);
    if (!eat(s, ':')) {
        return false;
    }
    int minute = digits(s, 2);
    int second = 0;
    if (eat(s, ':')) {
        second = digits(s, 2);
        if (second < 0 || second > 60 || !parse_fraction(s, &us)) {
            return false;
        }
    }
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || !parse_zone(s, &offset)) {
        return false;
    }
    *at = hour * CLOCK_HOUR + minute * CLOCK_MINUTE + second * CLOCK_SECOND + us - offset;
    return true;
}

int clock_parse(struct span text, int64_t *out, struct err *e)
{
    struct span s = text;
    int64_t at = 0;
    int year = digits(&s, 4);
    bool ok = eat(&s, '-');
    int month = digits(&s, 2);
    ok = eat(&s, '-') && ok;
    int day = digits(&s, 2);
    if (!ok || year < 0 || month < 1 || month > 12 || day < 1) {
        return bad_time(text, e);
    }
    if (s.len > 0 && (!parse_time_of_day(&s, &at) || s.len > 0)) {
        return bad_time(text, e);
    }
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    int64_t t = (int64_t)timegm(&tm) * CLOCK_SECOND + at;
    if (tm.tm_mon != month - 1 || t < CLOCK_FIRST || t > CLOCK_LAST) {
        return bad_time(text, e); /* 30 February, or an offset leads out of the years 0 to 9999 */
    }
    *out = t;
    return 0;
}

int clock_duration(struct span text, int64_t *out, struct err *e)
{
    static const struct {
        const char *unit;
        int64_t us;
    } units[] = {{"us", 1},         {"ms", 1000},     {"s", CLOCK_SECOND}, {"m", CLOCK_MINUTE},
                 {"h", CLOCK_HOUR}, {"d", CLOCK_DAY}, {"w", 7 * CLOCK_DAY}};
    int64_t n = 0;
    size_t i = 0;
    for (; i < text.len && text.p[i] >= '0' && text.p[i] <= '9' && n < 100000000; i++) {
        n = n * 10 + (text.p[i] - '0');
    }
    struct span unit = span_of(text.p + i, text.len - i);
    for (size_t u = 0; i > 0 && u < ARRAY_LEN(units); u++) {
        if (span_is(unit, units[u].unit)) {
            if (__builtin_mul_overflow(n, units[u].us, &n)) {
                break;
            }
            *out = n;
            return 0;
        }
    }
    return err_set(e, ERR_FORMAT, "\"%.*s\" is no duration; write 30s, 10m, 72h or 7d",
                   (int)(text.len < 60 ? text.len : 60), (const char *)text.p);
}
