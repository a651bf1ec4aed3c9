#include "base/err.h"

#include <stdarg.h>

int err_at(struct err *e, int code, int sys, const char *file, int line, const char *fmt, ...)
{
    if (e == NULL) {
        return code;
    }
    e->code = code;
    e->sys = sys;
    e->line = line;
    e->file = file;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    if (code == ERR_SYS && n >= 0 && (size_t)n < sizeof e->text) {
        char why[128];
        snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", strerror_r(sys, why, sizeof why));
    }
    return code;
}

int(err_wrap)(struct err *e, int code, const char *fmt, ...)
{
    if (e == NULL) {
        return code;
    }
    char old[sizeof e->text];
    memcpy(old, e->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof e->text) {
        snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", old);
    }
    return code;
}

static const struct {
    int code;
    const char *name;
} names[] = {
    {ERR_BUG, "bug"},           {ERR_SYS, "system"},
    {ERR_NOMEM, "memory"},      {ERR_LIMIT, "limit"},
    {ERR_FORMAT, "format"},     {ERR_TRUST, "trust"},
    {ERR_DENIED, "denied"},     {ERR_NOTFOUND, "notfound"},
    {ERR_CONFLICT, "conflict"}, {ERR_UNAVAIL, "unavailable"},
};

const char *err_name(int code)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i].code == code) {
            return names[i].name;
        }
    }
    return "bug";
}

int err_code_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i].name, name) == 0) {
            return names[i].code;
        }
    }
    return ERR_BUG;
}
