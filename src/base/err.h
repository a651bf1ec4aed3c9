/* err.h - what went wrong, as one value.
 *
 * The code answers "what may the program do", the text answers "what should a person know".
 * A function returns 0 or a negative code and fills `e` (which may be NULL) once, where the fault
 * is found; callers add context in front with err_wrap(). Nothing here allocates or logs. */
#pragma once
#include "base/attr.h"
#include "base/banned.h"

enum err_code {
    ERR_BUG = -1,      /* our mistake: report it, do not retry */
    ERR_SYS = -2,      /* the kernel refused; err.sys holds errno */
    ERR_NOMEM = -3,    /* an allocation failed */
    ERR_LIMIT = -4,    /* input is larger than we agreed to take */
    ERR_FORMAT = -5,   /* input is not what it claims to be */
    ERR_TRUST = -6,    /* signature, hash, threshold or expiry did not hold */
    ERR_DENIED = -7,   /* the caller may not do this */
    ERR_NOTFOUND = -8, /* no such thing */
    ERR_CONFLICT = -9, /* somebody else changed it first */
    ERR_UNAVAIL = -10, /* a peer, scanner or database is not answering */
};

struct err {
    int code, sys, line;
    const char *file;
    char text[500];
};

#define err_set(e, code, ...) err_at((e), (code), 0, __FILE__, __LINE__, __VA_ARGS__)
#define err_sys(e, ...) err_at((e), ERR_SYS, errno, __FILE__, __LINE__, __VA_ARGS__)

/* Fills *e and returns `code`. For ERR_SYS the text of `sys` is appended. */
int err_at(struct err *e, int code, int sys, const char *file, int line, const char *fmt, ...)
    PRINTF(6, 7);

/* Puts "context: " in front of the text and returns `code` unchanged. */
int err_wrap(struct err *e, int code, const char *fmt, ...) PRINTF(3, 4);

#ifdef __clang_analyzer__
/* The analyser reads one file at a time and would take err_at() to return 0 now and then; tell it
 * that what fails gives its code, or every out-parameter looks unset. */
#undef err_set
#undef err_sys
#define err_set(e, code, ...) (err_at((e), (code), 0, __FILE__, __LINE__, __VA_ARGS__), (code))
#define err_sys(e, ...) (err_at((e), ERR_SYS, errno, __FILE__, __LINE__, __VA_ARGS__), ERR_SYS)
#define err_wrap(e, code, ...) (err_wrap((e), (code), __VA_ARGS__), (code))
#endif

/* A stable word for a code, used in JSON errors: "limit", "format", ... */
const char *err_name(int code);
int err_code_of(const char *name); /* the reverse; ERR_BUG for an unknown word */
