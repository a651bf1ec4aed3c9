/* check.c - is what lies in details/ what the log commits to? */
#include "record/record_priv.h"

#include "base/fd.h"
#include "base/file.h"

struct checking {
    const struct record_check *c;
    struct tlog_view *view;
    uint64_t first, last; /* of a range that is not good */
    bool open;
    char why[512];
};

static void tell(struct checking *k)
{
    if (k->open) {
        k->c->rot(k->c->ctx, k->first, k->last, k->why);
    }
    k->open = false;
}

static void note_bad(struct checking *k, uint64_t index, const char *why)
{
    if (!k->open) {
        k->open = true;
        k->first = index;
        snprintf(k->why, sizeof k->why, "%s", why);
    }
    k->last = index;
}

static void check_one(void *ctx, uint64_t index, struct span detail, const char *why)
{
    struct checking *k = ctx;
    struct err e = {.text = ""};
    CLEANUP(sealed_clear) struct sealed s = SEALED_NONE;
    CLEANUP(opened_clear) struct opened o = {0};
    s.index = index;
    buf_span(&s.detail, detail);
    int r = why != NULL ? err_set(&e, ERR_TRUST, "%s", why) : buf_done(&s.detail, "a record", &e);
    r = r < 0 ? r : tlog_entry(k->view, index, &s.leaf, &e);
    r = r < 0 ? r : seal_open(&s, k->c->ring, k->c->origin, &o, &e);
    if (r < 0) {
        note_bad(k, index, e.text);
    } else {
        tell(k);
    }
}

int record_check_details(int site, const struct record_check *c, uint64_t *size, struct err *e)
{
    CLEANUP(fd_close) int log = -1;
    CLEANUP(fd_close) int details = -1;
    struct checking k = {.c = c};
    struct tlog_checkpoint head = {.head = tlog_head_empty()};
    int r = file_open_dir(site, "log", &log, e);
    r = r < 0 ? r : file_open_dir(site, "details", &details, e);
    *size = 0;
    if (r < 0 || !file_exists(log, "checkpoint")) {
        return r;
    }
    struct tlog_tiles tiles = tlog_tiles_dir(&log);
    r = tlog_checkpoint_read(&tiles, c->origin, &c->log_key, NULL, &head, e);
    r = r < 0 ? r : tlog_view_open(&tiles, &head.head, &k.view, e);
    if (r == 0) {
        details_walk(details, head.head.size, check_one, &k);
        tell(&k);
        *size = head.head.size;
    }
    tlog_view_close(&k.view);
    return r;
}
