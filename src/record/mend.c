/* mend.c - a journal that is lost or damaged: what the log and its intact part still hold goes on.
 */
#include "record/record_priv.h"

#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"

#define DAMAGED "journal.damaged"

/* Intact events that are not in the tiles, in order from `next` on, are entered again. */
struct mending {
    uint64_t published, next;
    struct sealed *kept;
    size_t n, cap;
};

static int keep(void *ctx, struct sealed *take, struct err *e)
{
    (void)e;
    struct mending *m = ctx;
    if (take->index != m->next || take->index < m->published) {
        sealed_clear(take);
        return 0;
    }
    if (m->n == m->cap) {
        m->cap = m->cap * 2 + 64;
        m->kept = mem_resize(m->kept, m->cap, sizeof *m->kept);
    }
    m->kept[m->n++] = *take;
    m->next++;
    return 0;
}

static int signed_size(int site, const char *origin, const struct sig_public *key, uint64_t *out,
                       struct err *e)
{
    CLEANUP(fd_close) int log = -1;
    struct tlog_checkpoint head = {.head = tlog_head_empty()};
    int r = file_open_dir(site, "log", &log, e);
    if (r == 0 && file_exists(log, "checkpoint")) {
        struct tlog_tiles tiles = tlog_tiles_dir(&log);
        r = tlog_checkpoint_read(&tiles, origin, key, NULL, &head, e);
    }
    *out = head.head.size;
    return r;
}

static int write_anew(int site, struct mending *m, struct err *e)
{
    struct journal j = {.dir = -1, .fd = -1};
    struct mending none = {.published = UINT64_MAX};
    int r = journal_create_at(site, m->published, e);
    r = r < 0 || m->n == 0 ? r : journal_open(site, keep, &none, &j, e);
    r = r < 0 || m->n == 0 ? r : journal_commit(&j, m->kept, m->n, e);
    journal_close(&j);
    return r;
}

int record_mend_journal(int site, const char *origin, const struct sig_public *log_key,
                        uint64_t *kept, struct err *e)
{
    struct mending m = {0};
    struct journal j = {.dir = -1, .fd = -1};
    int r = signed_size(site, origin, log_key, &m.published, e);
    if (r < 0) {
        return r;
    }
    m.next = m.published;
    /* what comes before the damage is given; that the rest is not good is known */
    if (journal_open(site, keep, &m, &j, NULL) == 0) {
        journal_close(&j);
    }
    if (file_exists(site, "journal") && file_exists(site, DAMAGED)) {
        r = err_set(e, ERR_CONFLICT, DAMAGED "/ is there from before: move it away first");
    } else if (file_exists(site, "journal") && renameat(site, "journal", site, DAMAGED) < 0) {
        r = err_sys(e, "keep the damaged journal");
    }
    r = r < 0 ? r : write_anew(site, &m, e);
    r = r < 0 ? r : file_sync_dir(site, e);
    *kept = m.next;
    for (size_t i = 0; i < m.n; i++) {
        sealed_clear(&m.kept[i]);
    }
    free(m.kept);
    return r;
}
