/* attr.h - the few GNU extensions we allow ourselves, in one place. */
#pragma once
#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
/* A variable may be there for its end alone, such as a lock that is let go. */
#define CLEANUP(fn) __attribute__((cleanup(fn), unused))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
