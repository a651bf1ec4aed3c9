/* mem.h - memory of a size that our own code chose: it is there, or the process ends.
 *
 * In a caged worker the end is a refusal, in a server process a supervised restart. Sizes that
 * come from input use struct buf with its ceiling instead. */
#pragma once
#include "base/attr.h"
#include <stddef.h>

#define mem_new(T) ((T *)mem_zeroed(1, sizeof(T)))
#define mem_array(T, n) ((T *)mem_zeroed((n), sizeof(T)))

void *mem_zeroed(size_t n, size_t size) __attribute__((malloc)); /* zero-filled; free() it */
void *mem_resize(void *p, size_t n, size_t size);     /* like reallocarray(), aborts on failure */
char *mem_str(const char *s) __attribute__((malloc)); /* copy of s, or NULL for NULL */
char *mem_text(const void *p, size_t len) __attribute__((malloc)); /* len bytes and a NUL */
char *mem_printf(const char *fmt, ...) PRINTF(1, 2) __attribute__((malloc));
void mem_free(void *pp); /* for CLEANUP: frees *pp and sets it to NULL */
