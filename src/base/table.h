/* table.h - what people read on a terminal: tables, sizes, progress. */
#pragma once
#include "base/buf.h"

/* A table of texts. Columns are as wide as their widest cell (wcwidth), the last is cut to the
 * terminal's width unless output is no terminal. Control characters are escaped. */
struct table;
struct table *table_new(const char *const *heads,
                        size_t n); /* a head that starts with '>' aligns right */
void table_free(struct table **t);
void table_row(struct table *t, const char *const *cells); /* as many as heads; NULL is "" */
void table_print(const struct table *t, FILE *out);

const char *table_bytes(uint64_t n, char out[static 16]); /* "1.2 MB" */

/* "admit 120 of 200 · a.exe" on stderr, redrawn, only when stderr is a terminal. */
void progress(const char *what, uint64_t done, uint64_t all, const char *detail);
void progress_end(void);
