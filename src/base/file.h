/* file.h - whole files: read with a ceiling, written atomically.
 *
 * Names are relative to `dir` (an open directory, or AT_FDCWD). Symbolic links are not followed
 * in the last component. */
#pragma once
#include "base/buf.h"
#include <sys/stat.h>

MUST_CHECK int file_read(int dir, const char *name, size_t max, struct buf *out, struct err *e);

/* Writes a temporary name beside it, fsyncs, renames over `name`, fsyncs the directory: after a
 * crash the file is wholly old or wholly new. The directory must exist. */
MUST_CHECK int file_write(int dir, const char *name, struct span data, mode_t mode, struct err *e);

/* The same without any fsync, for a batch that ends in one file_sync_fs(). */
MUST_CHECK int file_write_lazy(int dir, const char *name, struct span data, mode_t mode,
                               struct err *e);
MUST_CHECK int file_sync_dir(int dir, struct err *e);
MUST_CHECK int file_sync_fs(int dir, struct err *e); /* syncfs() */

/* Makes a folder and those above it; existing ones are kept as they are. */
MUST_CHECK int file_mkdirs(int dir, const char *path, mode_t mode, struct err *e);
MUST_CHECK int file_open_dir(int dir, const char *path, int *out, struct err *e);
bool file_exists(int dir, const char *name);

/* Calls `each` for every entry but . and .., in byte order of the names. Stops at its first
 * non-zero answer and returns that. */
int file_each(int dir, const char *path, int (*each)(void *ctx, const char *name), void *ctx,
              struct err *e);
