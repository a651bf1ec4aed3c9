/* scan_pool.c - what the cage costs: the same files with one, four and eight to a worker.
 *
 * Every worker is a process of its own that loads the rules, locks itself up and proves itself;
 * eight files is what Cordon uses. The peer for the engines alone is the yara program:
 * bench/admit.py.
 *
 * usage: scan_pool [FILES [BYTES]]     default 480 files of 20000 bytes */
#include "scan/scan.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/settings.h"

#define AT_ONCE ((size_t)16) /* as admit asks */

static void or_die(int r, const struct err *e)
{
    if (r < 0) {
        fprintf(stderr, "%s\n", e->text);
        exit(3);
    }
}

static int make_file(size_t size, unsigned number)
{
    CLEANUP(mem_free) uint8_t *p = mem_array(uint8_t, size + 8);
    struct err e;
    uint32_t x = number * 2654435761u + 1;
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525u + 1013904223u;
        p[i] = (uint8_t)(x >> 24);
    }
    int fd = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    or_die(fd < 0 ? err_sys(&e, "memfd_create") : fd_write(fd, span_of(p, size), &e), &e);
    return fd;
}

static double processor(void)
{
    struct rusage u;
    double sum = 0;
    for (int who = 0; who < 2; who++) {
        (void)getrusage(who == 0 ? RUSAGE_SELF : RUSAGE_CHILDREN, &u);
        sum += (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    }
    return sum;
}

static void run(const int *fds, unsigned n, size_t per_worker)
{
    static const char *const engines[] = {"yara", "hashes", "pe", "unpack"};
    struct scan_config c;
    struct settings *s = settings_new();
    struct scan_pool *pool = NULL;
    struct err e;
    scan_config_from(&c, s);
    c.engines = engines;
    c.n_engines = ARRAY_LEN(engines);
    c.batch = per_worker;
    or_die(scan_pool_new(&c, &pool, &e), &e);
    int64_t start = clock_boot();
    double cpu = processor();
    for (unsigned i = 0; i < n; i += AT_ONCE) {
        struct scan_result result[AT_ONCE] = {0};
        struct scan_job jobs[AT_ONCE];
        size_t k = n - i < AT_ONCE ? n - i : AT_ONCE;
        for (size_t j = 0; j < k; j++) {
            jobs[j] = (struct scan_job){.fd = fds[i + j], .name = "file.bin", .result = &result[j]};
        }
        or_die(scan_files(pool, jobs, k, &e), &e);
        for (size_t j = 0; j < k; j++) {
            if (result[j].verdict != VERDICT_CLEAN) {
                fprintf(stderr, "a clean file was found %d\n", (int)result[j].verdict);
                exit(3);
            }
            scan_result_clear(&result[j]);
        }
    }
    double took = (double)(clock_boot() - start) / (double)CLOCK_SECOND;
    scan_pool_free(&pool); /* its threads are waited for, and their workers counted */
    settings_free(&s);
    printf("  %3zu files to a worker   %7.2f ms a file   %7.2f ms of processor time\n", per_worker,
           took * 1000 / n, (processor() - cpu) * 1000 / n);
}

int main(int argc, char **argv)
{
    proc_init();
    if (argc > 1 && strcmp(argv[1], "worker") == 0) {
        return scan_worker_main(argc, argv);
    }
    unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 480;
    size_t size = argc > 2 ? strtoul(argv[2], NULL, 10) : 20000;
    int *fds = mem_array(int, n);
    static const size_t per_worker[] = {1, 4, SCAN_BATCH};
    for (unsigned i = 0; i < n; i++) {
        fds[i] = make_file(size, i);
    }
    printf("%u files of %zu bytes, two workers at once\n", n, size);
    for (size_t i = 0; i < ARRAY_LEN(per_worker); i++) {
        run(fds, n, per_worker[i]);
    }
    free(fds);
    return 0;
}
