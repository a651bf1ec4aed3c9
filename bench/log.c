/* log.c - the transparency log by itself: append, proofs, audit; beside the hashing it cannot
 * avoid.
 *
 * usage: log [ENTRIES]     default 300000 entries of 35 bytes, as a grant's; in $TMPDIR, removed at
 * the end */
#include "tlog/tlog.h"

#include <fcntl.h>
#include <ftw.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

#define ENTRY ((size_t)35)
#define AT_ONCE ((size_t)1000)
#define PROOFS 20000u

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

static double since(int64_t start)
{
    return (double)(clock_boot() - start) / (double)CLOCK_SECOND;
}

static void say(const char *what, double n, double seconds)
{
    printf("  %-52s %10.0f /s %9.2f us each\n", what, n / seconds, seconds / n * 1e6);
}

static void fill(uint8_t *p, uint64_t i)
{
    for (size_t b = 0; b < ENTRY; b++) {
        p[b] = (uint8_t)((i * 2654435761u + b * 40503u) >> 7);
    }
    memcpy(p, &i, sizeof i);
}

/* What any Merkle log must do: a hash for each entry and one for each inner node. */
static struct tlog_head hash_only(uint64_t n)
{
    struct tlog_edge edge = {0};
    uint8_t p[ENTRY];
    int64_t start = clock_boot();
    for (uint64_t i = 0; i < n; i++) {
        fill(p, i);
        struct digest leaf = tlog_leaf_hash(span_of(p, ENTRY));
        tlog_edge_add(&edge, &leaf);
    }
    say("hashing alone, in memory (the limit)", (double)n, since(start));
    return (struct tlog_head){edge.size, tlog_edge_root(&edge)};
}

static void append(int dir, uint64_t n, const struct tlog_head *want)
{
    CLEANUP(mem_free) uint8_t *bytes = mem_array(uint8_t, AT_ONCE * ENTRY);
    CLEANUP(mem_free) struct span *entry = mem_array(struct span, AT_ONCE);
    CLEANUP(tlog_close) struct tlog *log = NULL;
    struct tlog_head none = tlog_head_empty();
    struct err e;
    or_die(tlog_open(dir, &none, &log, &e), &e);
    int64_t start = clock_boot();
    while (tlog_size(log) < n) {
        size_t k = 0;
        for (; k < AT_ONCE && tlog_size(log) + k < n; k++) {
            fill(bytes + k * ENTRY, tlog_size(log) + k);
            entry[k] = span_of(bytes + k * ENTRY, ENTRY);
        }
        or_die(tlog_append(log, entry, k, &e), &e);
    }
    say("append, 1000 at once, without sync", (double)n, since(start));
    start = clock_boot();
    or_die(tlog_sync(log, &e), &e);
    printf("  %-52s %10.0f ms\n", "one sync after all of it", since(start) * 1000);
    struct tlog_head head = tlog_head(log);
    if (!digest_eq(&head.root, &want->root)) {
        fprintf(stderr, "another root than by hashing alone\n");
        exit(1);
    }
}

static void prove(int dir, const struct tlog_head *head)
{
    CLEANUP(tlog_view_close) struct tlog_view *v = NULL;
    struct tlog_tiles tiles = tlog_tiles_dir(&dir);
    struct tlog_hashes path;
    struct err e;
    uint8_t p[ENTRY];
    or_die(tlog_view_open(&tiles, head, &v, &e), &e);
    int64_t start = clock_boot();
    for (uint64_t i = 0; i < PROOFS; i++) {
        or_die(tlog_prove_inclusion(v, i * 7919 % head->size, head->size, &path, &e), &e);
    }
    say("inclusion proofs, all over the log", PROOFS, since(start));
    fill(p, (PROOFS - 1) * UINT64_C(7919) % head->size);
    struct digest leaf = tlog_leaf_hash(span_of(p, ENTRY));
    start = clock_boot();
    for (uint64_t i = 0; i < PROOFS; i++) {
        or_die(tlog_check_inclusion(&leaf, (PROOFS - 1) * UINT64_C(7919) % head->size, head, &path,
                                    &e),
               &e);
    }
    say("checking one", PROOFS, since(start));
}

static void audit(int dir, const struct tlog_head *head)
{
    struct tlog_tiles tiles = tlog_tiles_dir(&dir);
    struct tlog_report report = {0};
    struct err e;
    int64_t start = clock_boot();
    or_die(tlog_audit(&tiles, head, NULL, NULL, &report, &e), &e);
    say("audit: every file read and hashed again", (double)head->size, since(start));
    if (!tlog_report_good(&report)) {
        fprintf(stderr, "the audit found faults\n");
        exit(1);
    }
    tlog_report_clear(&report);
}

int main(int argc, char **argv)
{
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 300000;
    const char *tmp = getenv("TMPDIR");
    CLEANUP(mem_free) char *top = mem_printf("%s/log-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(top) == NULL) {
        perror(top);
        return 3;
    }
    int dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    printf("a log of %llu entries of %zu bytes\n", (unsigned long long)n, ENTRY);
    struct tlog_head head = hash_only(n);
    append(dir, n, &head);
    prove(dir, &head);
    audit(dir, &head);
    (void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
