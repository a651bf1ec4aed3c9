/* replay.c - runs a fuzz target over its seeds without a fuzzer, so that every build does.
 *
 * usage: fuzz_NAME SEED_OR_DIRECTORY...
 * Each seed is run whole, then cut short at up to CUTS places and with one byte changed at up to
 * CUTS places: always the same ones, so that a failure comes back. The changed runs of one program
 * stop after BUDGET seconds; the seeds themselves always all run. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CUTS ((size_t)64)
#define BUDGET 10
#define SEED_MAX ((off_t)16 * 1024 * 1024)

static size_t seeds, runs;
static time_t end;

static time_t now(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* In a block of its own length, so that the address sanitizer sees a read of one byte too many. */
static void run_copy(const uint8_t *data, size_t size, size_t flip)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL) {
        fprintf(stderr, "out of memory for a seed of %zu bytes\n", size);
        exit(3);
    }
    if (size > 0) {
        memcpy(copy, data, size);
    }
    if (flip < size) {
        copy[flip] ^= (uint8_t)(1U << (flip % 8));
    }
    LLVMFuzzerTestOneInput(copy, size);
    runs++;
    free(copy);
}

static void run_seed(const uint8_t *data, size_t size)
{
    run_copy(data, size, size);
    size_t step = size / CUTS + 1;
    for (size_t at = 0; at < size && now() < end; at += step) {
        run_copy(data, at, at);
        run_copy(data, size, at);
    }
}

static int fail(const char *what, const char *path)
{
    fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
    return -1;
}

static int read_all(int fd, uint8_t *to, size_t size)
{
    size_t have = 0;
    while (have < size) {
        ssize_t n = read(fd, to + have, size - have);
        if (n <= 0) {
            return -1;
        }
        have += (size_t)n;
    }
    return 0;
}

static int run_file(int fd, const struct stat *st, const char *path)
{
    if (st->st_size > SEED_MAX) {
        fprintf(stderr, "seed %s is larger than %lld bytes: keep seeds small\n", path,
                (long long)SEED_MAX);
        return -1;
    }
    size_t size = (size_t)st->st_size;
    uint8_t *data = malloc(size + 1);
    if (data == NULL || read_all(fd, data, size) < 0) {
        free(data);
        return fail("read", path);
    }
    seeds++;
    run_seed(data, size);
    free(data);
    return 0;
}

static int run_path(int dir, const char *path, int depth);

static int run_directory(int fd, const char *path, int depth)
{
    DIR *d = fdopendir(fd);
    if (d == NULL) {
        return fail("list", path);
    }
    int r = 0;
    const struct dirent *entry = NULL;
    while (r == 0 && (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.') {
            r = run_path(dirfd(d), entry->d_name, depth + 1);
        }
    }
    closedir(d);
    return r;
}

/* Takes names below `dir`; directories are walked two levels deep, which is all that seeds use. */
static int run_path(int dir, const char *path, int depth)
{
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        return fail("open", path);
    }
    if (S_ISDIR(st.st_mode) && depth < 2) {
        return run_directory(fd, path, depth); /* closes fd */
    }
    int r = S_ISREG(st.st_mode) ? run_file(fd, &st, path) : 0;
    close(fd);
    return r;
}

int main(int argc, char **argv)
{
    end = now() + BUDGET;
    run_copy(NULL, 0, 0);
    for (int i = 1; i < argc; i++) {
        if (run_path(AT_FDCWD, argv[i], 0) < 0) {
            return 1;
        }
    }
    if (seeds == 0) {
        fprintf(stderr, "no seed given or found: a target without seeds proves nothing\n");
        return 1;
    }
    printf("%zu seeds, %zu runs\n", seeds, runs);
    return 0;
}
