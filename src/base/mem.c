#include "base/mem.h"

#include <stdarg.h>

#include "base/banned.h"

static void *or_abort(void *p)
{
    if (p == NULL) {
        abort();
    }
    return p;
}

void *mem_zeroed(size_t n, size_t size)
{
    return or_abort(calloc(n > 0 ? n : 1, size > 0 ? size : 1));
}

void *mem_resize(void *p, size_t n, size_t size)
{
    size_t all;
    if (__builtin_mul_overflow(n > 0 ? n : 1, size > 0 ? size : 1, &all)) {
        abort();
    }
    return or_abort(realloc(p, all));
}

char *mem_str(const char *s)
{
    return s == NULL ? NULL : or_abort(strdup(s));
}

char *mem_text(const void *p, size_t len)
{
    char *s = mem_zeroed(len + 1, 1);
    if (len > 0) {
        memcpy(s, p, len);
    }
    return s;
}

char *mem_printf(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    return or_abort(n < 0 ? NULL : s);
}

void mem_free(void *pp)
{
    void **p = pp;
    free(*p);
    *p = NULL;
}
