/* cage.h - locks this process up: no files, no network, no new processes, little memory.
 *
 * Three walls that do not depend on each other: Landlock (no path can be opened), seccomp (an
 * allow-list of calls) and resource limits. A call that is not on the list fails with EPERM, so
 * that a library that merely tries (a locale, a resolver) goes on; calls that only an exploit makes
 * (ptrace, bpf, mount, io_uring, module loading, ...) end the process. There is no way back. */
#pragma once
#include "base/err.h"
#include "base/json.h"

/* The address sanitizer's shadow memory is 16 TiB of address space, so memory is not limited in
 * builds with it, and its reports need stderr. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAGE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CAGE_SANITIZED 1
#endif
#endif

struct cage_limits {
    uint64_t memory;       /* RLIMIT_DATA: writable private bytes */
    uint64_t mapped;       /* further address space for read-only maps of the file and the rules */
    uint64_t cpu;          /* seconds in the life of the process */
    uint64_t write;        /* RLIMIT_FSIZE; 0 but for the compiling worker */
    bool without_landlock; /* accept a kernel that has none */
};

/* Enters. *landlock receives the ABI that is in force, 0 for none. */
MUST_CHECK int cage_enter(const struct cage_limits *l, int *landlock, struct err *e);

/* Tries what must be denied, and adds the name of each refused call to `denied`. ERR_TRUST names
 * the first that got through. Call after cage_enter(). */
MUST_CHECK int cage_prove(json_t *denied, struct err *e);
