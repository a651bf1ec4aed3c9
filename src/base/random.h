/* random.h - bytes from the kernel; the process ends if it has none. */
#pragma once
#include <stddef.h>

void random_bytes(void *p, size_t n);
