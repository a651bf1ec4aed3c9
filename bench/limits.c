/* limits.c - what this machine can do at best: the numbers beside which all others are read.
 *
 * usage: limits [DIR]     default $TMPDIR; one file is made there and removed */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/fd.h"
#include "base/mem.h"

#define SIZE ((size_t)64 << 20)
#define SYNCS 200u

static double since(int64_t start)
{
    return (double)(clock_boot() - start) / (double)CLOCK_SECOND;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* An append of one frame and its fdatasync: what the record of one download costs at least. */
static int syncs(int fd, const uint8_t *p, size_t n, struct err *e)
{
    int64_t took[SYNCS];
    for (size_t i = 0; i < SYNCS; i++) {
        int64_t start = clock_boot();
        int r = fd_pwrite(fd, span_of(p, n), i * n, e);
        if (r < 0 || fdatasync(fd) < 0) {
            return r < 0 ? r : err_sys(e, "fdatasync");
        }
        took[i] = clock_boot() - start;
    }
    qsort(took, SYNCS, sizeof *took, by_value);
    int64_t half = took[SYNCS / 2], late = took[SYNCS - 1 - SYNCS / 100];
    printf("  append of %6zu bytes and fdatasync   %7.2f ms median, %.2f ms in 1 of 100\n", n,
           (double)half / 1000, (double)late / 1000);
    return 0;
}

static void memory(uint8_t *p)
{
    CLEANUP(mem_free) uint8_t *q = mem_array(uint8_t, SIZE);
    struct digest d = {0};
    memcpy(q, p, SIZE);
    int64_t start = clock_boot();
    for (int i = 0; i < 8; i++) {
        p[0] = (uint8_t)i;
        memcpy(q, p, SIZE);
        __asm__ volatile("" ::"r"(q) : "memory");
    }
    printf("  memcpy                                %7.0f MB/s\n", 8.0 * SIZE / 1e6 / since(start));
    start = clock_boot();
    for (int i = 0; i < 4; i++) {
        p[0] = d.b[0];
        d = digest_of(span_of(p, SIZE));
    }
    printf("  SHA-256                               %7.0f MB/s\n", 4.0 * SIZE / 1e6 / since(start));
}

static int disk(int fd, const uint8_t *p, struct err *e)
{
    int64_t start = clock_boot();
    int r = fd_pwrite(fd, span_of(p, SIZE), 0, e);
    if (r < 0 || fdatasync(fd) < 0) {
        return r < 0 ? r : err_sys(e, "fdatasync");
    }
    printf("  writing 64 MiB and fdatasync          %7.0f MB/s\n", SIZE / 1e6 / since(start));
    r = syncs(fd, p, 1000, e);
    return r < 0 ? r : syncs(fd, p, 100000, e);
}

int main(int argc, char **argv)
{
    const char *tmp = getenv("TMPDIR");
    const char *dir = argc > 1 ? argv[1] : tmp != NULL ? tmp : "/tmp";
    CLEANUP(mem_free) char *path = mem_printf("%s/limits-XXXXXX", dir);
    CLEANUP(mem_free) uint8_t *p = mem_array(uint8_t, SIZE);
    CLEANUP(fd_close) int fd = mkstemp(path);
    struct err e;
    if (fd < 0 || unlink(path) < 0) {
        perror(path);
        return 3;
    }
    for (size_t i = 0; i < SIZE; i++) {
        p[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    printf("limits of this machine (files in %s)\n", dir);
    memory(p);
    if (disk(fd, p, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 3;
    }
    return 0;
}
