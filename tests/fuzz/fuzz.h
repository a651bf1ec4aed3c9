/* fuzz.h - what a fuzz target defines; Meson includes it in front of every fuzz_NAME.c.
 *
 * A target checks a property of a parser (what was accepted round-trips, two readers agree), not
 * only that nothing crashes, and breaks it with FUZZ_CHECK. It returns 0 for every input. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert() it stays in every build and says which property was broken. */
#define FUZZ_CHECK(x) fuzz_check((x) ? 1 : 0, #x, __FILE__, __LINE__)

static inline void fuzz_check(int ok, const char *text, const char *file, int line)
{
    if (!ok) {
        fprintf(stderr, "%s:%d: %s does not hold\n", file, line, text);
        abort();
    }
}
