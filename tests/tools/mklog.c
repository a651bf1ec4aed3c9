/* mklog.c - makes a log with a fresh key, for tests that check it with other people's tools.
 *
 * usage: mklog DIR SIZE...   appends numbered entries up to each SIZE and publishes there. Beside
 * DIR it leaves DIR.checkpoint.SIZE for each and DIR.tlog-proof for the middle entry of the last.
 * Prints the verifier key. */
#include <fcntl.h>
#include <sodium.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/note.h"
#include "base/text.h"
#include "tlog/tlog.h"

#define ORIGIN "example.org/test-log"
#define BATCH 5000u

struct maker {
    const char *dir;
    int fd;
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    struct sig_by by;
    struct tlog *log;
    struct buf note;
};

static int sign(void *ctx, struct span message, uint8_t out[SIG_LEN], struct err *e)
{
    const struct maker *m = ctx;
    return crypto_sign_detached(out, NULL, message.p, message.len, m->secret) == 0
               ? 0
               : err_set(e, ERR_BUG, "sign");
}

/* Entry i is its number and up to 250 bytes more; every 1000th is empty. */
static struct span entry_of(uint64_t i, uint8_t out[300])
{
    int n = snprintf((char *)out, 300, "entry %llu ", (unsigned long long)i);
    size_t head = (size_t)n, more = i * 37 % 251;
    memset(out + head, (int)('a' + i % 26), more);
    return span_of(out, i % 1000 == 999 ? 0 : head + more);
}

static int grow(struct maker *m, uint64_t size, struct err *e)
{
    static uint8_t bytes[BATCH][300];
    static struct span entry[BATCH];
    int r = 0;
    while (r == 0 && tlog_size(m->log) < size) {
        uint64_t left = size - tlog_size(m->log);
        size_t n = left < BATCH ? (size_t)left : BATCH;
        for (size_t i = 0; i < n; i++) {
            entry[i] = entry_of(tlog_size(m->log) + i, bytes[i]);
        }
        r = tlog_append(m->log, entry, n, e);
    }
    return r;
}

static int beside(const struct maker *m, const char *suffix, struct span data, struct err *e)
{
    char path[LIMIT_PATH];
    int n = snprintf(path, sizeof path, "%s%s", m->dir, suffix);
    if (n < 0 || (size_t)n >= sizeof path) {
        return err_set(e, ERR_LIMIT, "a long path");
    }
    return file_write(AT_FDCWD, path, data, 0644, e);
}

static int publish(struct maker *m, struct err *e)
{
    struct tlog_checkpoint c = {.origin = ORIGIN, .head = tlog_head(m->log)};
    char suffix[64];
    snprintf(suffix, sizeof suffix, ".checkpoint.%llu", (unsigned long long)c.head.size);
    buf_reset(&m->note);
    int r = tlog_sync(m->log, e);
    if (r == 0) {
        r = tlog_checkpoint_sign(&c, &m->by, &m->note, e);
    }
    if (r == 0) {
        r = tlog_publish(m->log, buf_view(&m->note), e);
    }
    return r < 0 ? r : beside(m, suffix, buf_view(&m->note), e);
}

static int prove(struct maker *m, struct err *e)
{
    CLEANUP(tlog_view_close) struct tlog_view *v = NULL;
    CLEANUP(buf_clear) struct buf file = BUF(2 * LIMIT_NOTE);
    struct tlog_tiles tiles = tlog_tiles_dir(&m->fd);
    struct tlog_head head = tlog_head(m->log);
    struct tlog_hashes path;
    int r = head.size == 0 ? 0 : tlog_view_open(&tiles, &head, &v, e);
    if (r < 0 || head.size == 0) {
        return r;
    }
    r = tlog_prove_inclusion(v, head.size / 2, head.size, &path, e);
    if (r < 0) {
        return r;
    }
    tlog_proof_write(&file, head.size / 2, &path, SPAN_NONE, buf_view(&m->note));
    return beside(m, ".tlog-proof", buf_view(&file), e);
}

static int run(struct maker *m, char **sizes, struct err *e)
{
    struct tlog_head none = tlog_head_empty();
    int r = file_mkdirs(AT_FDCWD, m->dir, 0755, e);
    if (r == 0) {
        r = file_open_dir(AT_FDCWD, m->dir, &m->fd, e);
    }
    if (r == 0) {
        r = tlog_open(m->fd, &none, &m->log, e);
    }
    for (; r == 0 && *sizes != NULL; sizes++) {
        uint64_t size = 0;
        r = text_u64(span_str(*sizes), 100000000, &size, e);
        if (r == 0) {
            r = grow(m, size, e);
        }
        if (r == 0) {
            r = publish(m, e);
        }
    }
    return r < 0 ? r : prove(m, e);
}

int main(int argc, char **argv)
{
    if (argc < 3 || sodium_init() < 0) {
        fprintf(stderr, "usage: mklog DIR SIZE...\n");
        return 2;
    }
    struct maker m = {.dir = argv[1], .fd = -1, .note = BUF(LIMIT_NOTE)};
    struct err e = {0};
    m.by = (struct sig_by){.sign = sign, .ctx = &m};
    crypto_sign_keypair(m.by.key.b, m.secret);
    int r = run(&m, argv + 2, &e);
    if (r < 0) {
        fprintf(stderr, "mklog: %s\n", e.text);
    } else {
        CLEANUP(buf_clear) struct buf vkey = BUF(1024);
        note_vkey(&vkey, ORIGIN, &m.by.key);
        puts(buf_text(&vkey));
    }
    tlog_close(&m.log);
    buf_clear(&m.note);
    fd_close(&m.fd);
    return r < 0 ? 3 : 0;
}
