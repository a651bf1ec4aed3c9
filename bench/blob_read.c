/* blob_read.c - reading verified: cold, hot, and beside read() and mmap without any verification.
 *
 * Every way touches each byte, or a hot read would only hand out an address.
 *
 * usage: blob_read [FILES [BYTES]]     default 500 blobs of 256 KiB, then 8 of 16 MiB */
#include "blob/blob.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

struct entry {
    struct digest d, root;
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void or_die(int r, const struct err *e)
{
    if (r < 0) {
        fprintf(stderr, "%s\n", e->text);
        exit(3);
    }
}

static void fill(struct blobstore *s, struct entry *list, unsigned n, size_t size)
{
    CLEANUP(mem_free) uint8_t *p = mem_array(uint8_t, size + 4);
    struct err e;
    for (unsigned i = 0; i < n; i++) {
        CLEANUP(blob_discard) struct blob b = BLOB_NONE;
        memcpy(p, &i, sizeof i);
        or_die(blob_stage_span(s, span_of(p, size), &b, &e), &e);
        or_die(blob_publish(s, &b, NULL, &e), &e);
        list[i] = (struct entry){b.d.sha256, b.chunk_root};
    }
    or_die(blobstore_sync(s, &e), &e);
}

static volatile uint64_t seen; /* so that no touch can be left out */

static void touch(const uint8_t *p, size_t n)
{
    uint64_t sum = 0, v;
    for (size_t i = 0; i + sizeof v <= n; i += sizeof v) {
        memcpy(&v, p + i, sizeof v);
        sum ^= v;
    }
    seen ^= sum;
}

static double verified(struct blob_cache *c, const struct entry *list, unsigned n, size_t size)
{
    int64_t start = clock_boot();
    for (unsigned i = 0; i < n; i++) {
        CLEANUP(blob_close) struct blob_reader *r = NULL;
        struct err e;
        struct span v;
        or_die(blob_open(c, &list[i].d, size, &list[i].root, &r, &e), &e);
        for (uint64_t at = 0; at < size; at += v.len) {
            or_die(blob_read(r, at, &v, &e), &e);
            touch(v.p, v.len);
        }
    }
    return (double)(clock_boot() - start) / (double)CLOCK_SECOND;
}

static int open_plain(int site, const struct entry *x)
{
    char hex[DIGEST_TEXT + 1], path[100];
    digest_text(&x->d, hex);
    snprintf(path, sizeof path, "blobs/%.2s/%s", hex, hex + 2);
    int fd = openat(site, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        perror(path);
        exit(3);
    }
    return fd;
}

static double plain(int site, const struct entry *list, unsigned n)
{
    CLEANUP(mem_free) uint8_t *p = mem_array(uint8_t, BLOB_CHUNK);
    int64_t start = clock_boot();
    for (unsigned i = 0; i < n; i++) {
        CLEANUP(fd_close) int fd = open_plain(site, &list[i]);
        for (ssize_t r = read(fd, p, BLOB_CHUNK); r > 0; r = read(fd, p, BLOB_CHUNK)) {
            touch(p, (size_t)r);
        }
    }
    return (double)(clock_boot() - start) / (double)CLOCK_SECOND;
}

static double mapped(int site, const struct entry *list, unsigned n, size_t size)
{
    int64_t start = clock_boot();
    for (unsigned i = 0; i < n; i++) {
        CLEANUP(fd_close) int fd = open_plain(site, &list[i]);
        void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            perror("mmap");
            exit(3);
        }
        touch(p, size);
        munmap(p, size);
    }
    return (double)(clock_boot() - start) / (double)CLOCK_SECOND;
}

static void run(int site, struct blobstore *s, unsigned n, size_t size)
{
    CLEANUP(mem_free) struct entry *list = mem_array(struct entry, n);
    fill(s, list, n, size);
    usleep(200000); /* older than a tick of the file system's clock */
    CLEANUP(blob_cache_free)
    struct blob_cache *c = blob_cache_new(s, &(struct blob_cache_opts){.bytes = 1 << 30});
    double mb = (double)n * (double)size / 1e6;
    double t[] = {verified(c, list, n, size), verified(c, list, n, size), plain(site, list, n),
                  mapped(site, list, n, size)};
    static const char *const what[] = {"verified, first time", "verified, hot",
                                       "read(), nothing verified", "mmap, nothing verified"};
    printf("%u blobs of %zu bytes\n", n, size);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        printf("  %-26s %9.0f MB/s %9.0f blobs/s\n", what[i], mb / t[i], n / t[i]);
    }
}

int main(int argc, char **argv)
{
    const char *tmp = getenv("TMPDIR");
    CLEANUP(mem_free) char *top = mem_printf("%s/blob-read-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(top) == NULL) {
        perror(top);
        return 3;
    }
    int site = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct blobstore *s = NULL;
    struct err e;
    or_die(blobstore_open(site, &s, &e), &e);
    run(site, s, argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 500,
        argc > 2 ? strtoul(argv[2], NULL, 10) : 256 * 1024);
    if (argc == 1) {
        run(site, s, 8, 16 << 20);
    }
    blobstore_close(&s);
    (void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
