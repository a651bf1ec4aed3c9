/* walk.h - the files at and below paths that a person named.
 *
 * In byte order of their paths, folders entered without following a link. Symbolic links, FIFOs,
 * devices, sockets and what cannot be read are named and passed over. */
#pragma once
#include "base/err.h"

struct walk_file {
    int fd;             /* readable, a regular file; closed after the call */
    const char *path;   /* below the named folder, or the name of the named file */
    const char *source; /* as a person would open it */
    uint64_t size;
};
struct walk {
    /* An answer other than 0 ends the walk and is returned. NULL: nothing is opened, see `files`.
     */
    int (*file)(void *ctx, const struct walk_file *f, struct err *e);
    void (*skipped)(void *ctx, const char *source, const char *why);
    void *ctx;
    uint64_t files, skips; /* counted */
};
MUST_CHECK int walk_paths(struct walk *w, char *const *paths, size_t n, struct err *e);
/* How many files a walk would give, for progress. */
uint64_t walk_count(char *const *paths, size_t n);
