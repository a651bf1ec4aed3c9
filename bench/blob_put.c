/* blob_put.c - entering files into the store, beside cp and sha256sum of the same files.
 *
 * usage: blob_put [FILES [BYTES]]     default 3000 files of 64 KiB; in $TMPDIR, removed at the end
 */
#include "blob/blob.h"

#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void make_files(int dir, unsigned n, size_t size)
{
    CLEANUP(mem_free) uint8_t *p = mem_array(uint8_t, size + 4);
    struct err e;
    for (unsigned i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "f%u", i);
        memcpy(p, &i, sizeof i); /* each its own blob */
        CLEANUP(fd_close) int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0 || fd_write(fd, span_of(p, size), &e) < 0) {
            fprintf(stderr, "cannot make %s\n", name);
            exit(3);
        }
    }
}

static int put_all(int src, int site, unsigned n, struct err *e)
{
    CLEANUP(blobstore_close) struct blobstore *s = NULL;
    int r = blobstore_open(site, &s, e);
    for (unsigned i = 0; r == 0 && i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "f%u", i);
        CLEANUP(blob_discard) struct blob b = BLOB_NONE;
        CLEANUP(fd_close) int fd = openat(src, name, O_RDONLY | O_CLOEXEC);
        r = blob_stage(s, fd, BLOB_MAX, &b, e);
        if (r == 0) {
            r = blob_publish(s, &b, NULL, e);
        }
    }
    return r == 0 ? blobstore_sync(s, e) : r;
}

static double seconds_since(int64_t start)
{
    return (double)(clock_boot() - start) / (double)CLOCK_SECOND;
}

static double shell(const char *command)
{
    const char *const argv[] = {"sh", "-c", command, NULL};
    pid_t pid;
    int status = 1;
    int64_t start = clock_boot();
    if (posix_spawnp(&pid, "sh", NULL, NULL, (char *const *)(uintptr_t)argv, environ) != 0 ||
        waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "failed: %s\n", command);
        exit(3);
    }
    return seconds_since(start);
}

int main(int argc, char **argv)
{
    unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3000;
    size_t size = argc > 2 ? strtoul(argv[2], NULL, 10) : 64 * 1024;
    const char *tmp = getenv("TMPDIR");
    CLEANUP(mem_free) char *top = mem_printf("%s/blob-put-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(top) == NULL || chdir(top) < 0 || mkdir("src", 0755) < 0 ||
        mkdir("site", 0755) < 0) {
        perror(top);
        return 3;
    }
    int src = open("src", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int site = open("site", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_files(src, n, size);
    (void)shell("sync");
    double cp = shell("cp -r src copy && sync -f copy && find copy -type f -print0 | "
                      "xargs -0 sha256sum > sums");
    struct err e;
    int64_t start = clock_boot();
    int r = put_all(src, site, n, &e);
    double put = seconds_since(start);
    printf("%u files of %zu bytes\n", n, size);
    printf("  cp, sync, sha256sum           %8.0f files/s\n", n / cp);
    printf("  stage (3 digests), publish    %8.0f files/s\n", n / put);
    fflush(stdout);
    (void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (r < 0) {
        fprintf(stderr, "%s\n", e.text);
        return 3;
    }
    return 0;
}
