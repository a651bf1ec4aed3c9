#include "record/record_priv.h"

#include "base/mem.h"

#define JOURNAL_CUT ((uint64_t)4 << 20) /* a longer journal file is cut after a checkpoint */

static int append_tiles(struct record *r, struct err *e)
{
    size_t n = r->n_pending;
    CLEANUP(mem_free) struct span *entries = mem_array(struct span, n);
    for (size_t i = 0; i < n; i++) {
        entries[i] = buf_view(&r->pending[i].leaf);
    }
    int bad = details_append(r->details_dir, r->pending, n, e);
    bad = bad < 0 ? bad : tlog_append(r->log, entries, n, e);
    return bad < 0 ? bad : tlog_sync(r->log, e); /* one syncfs for details and tiles */
}

/* A proof from what the signer signed last to what the tiles hold now. */
static int sign_head(struct record *r, struct buf *note, struct err *e)
{
    struct tlog_head head = tlog_head(r->log), from;
    struct tlog_hashes proof = {0};
    struct tlog_tiles tiles = tlog_tiles_dir(&r->log_dir);
    int bad = r->o.last(r->o.ctx, &from, e);
    if (bad == 0 && from.size > head.size) {
        bad = err_set(e, ERR_TRUST,
                      "the signer signed %llu events, the record has %llu: restore the newer "
                      "journal, or give the log a new origin with doctor --after-restore",
                      (unsigned long long)from.size, (unsigned long long)head.size);
    }
    if (bad == 0) {
        tlog_view_close(&r->view);
        bad = tlog_view_open(&tiles, &head, &r->view, e);
    }
    bad = bad < 0 ? bad : tlog_prove_consistency(r->view, from.size, head.size, &proof, e);
    return bad < 0 ? bad : r->o.sign(r->o.ctx, &from, &head, &proof, note, e);
}

int record_publish(struct record *r, struct err *e)
{
    if (r->committed != r->next) {
        return err_set(e, ERR_BUG, "record_publish before record_commit");
    }
    if (r->n_pending == 0) {
        return 0;
    }
    CLEANUP(buf_clear) struct buf note = BUF(LIMIT_NOTE);
    if (tlog_size(r->log) != r->committed) { /* else a former try already wrote the tiles */
        int bad = append_tiles(r, e);
        if (bad < 0) {
            return err_wrap(e, bad, "write the log");
        }
    }
    int bad = sign_head(r, &note, e);
    bad = bad < 0 ? bad : tlog_publish(r->log, buf_view(&note), e);
    if (bad < 0) {
        return err_wrap(e, bad, "publish a checkpoint");
    }
    for (size_t i = 0; i < r->n_pending; i++) {
        sealed_clear(&r->pending[i]);
    }
    r->n_pending = 0;
    r->published = r->committed;
    return r->journal.at < JOURNAL_CUT ? 0 : journal_cut(&r->journal, r->committed, e);
}
