/* fixture.h - the inert files that tests/tools/fixtures.py made. */
#pragma once
#include "base/file.h"
#include "check.h"
#include "scan/fixture_path.h"
#include <fcntl.h>

/* The caller clears it. */
static inline struct buf fixture(const char *name)
{
    struct buf b = BUF((size_t)16 << 20);
    struct err e;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", FIXTURE_DIR, name);
    CHECK_OK(file_read(AT_FDCWD, path, b.max, &b, &e), e);
    return b;
}
