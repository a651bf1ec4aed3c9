#include "record/record_priv.h"

#include <inttypes.h>

#include "base/text.h"

int record_bytes(struct record *r, uint64_t index, struct sealed *out, struct err *e)
{
    out->index = index;
    if (index >= r->committed) {
        return err_set(e, ERR_NOTFOUND, "there is no event %" PRIu64 "; the last is %" PRIu64,
                       index, r->committed - 1);
    }
    if (index >= r->published) {
        const struct sealed *s = &r->pending[index - r->published];
        buf_span(&out->leaf, buf_view(&s->leaf));
        buf_span(&out->detail, buf_view(&s->detail));
        return buf_done(&out->detail, "a record", e);
    }
    int bad = 0;
    if (r->view == NULL) {
        struct tlog_head head = tlog_head(r->log);
        struct tlog_tiles tiles = tlog_tiles_dir(&r->log_dir);
        bad = tlog_view_open(&tiles, &head, &r->view, e);
    }
    bad = bad < 0 ? bad : tlog_entry(r->view, index, &out->leaf, e);
    return bad < 0 ? bad : details_read(r->details_dir, index, &out->detail, e);
}

static int read_one(struct record *r, uint64_t index, struct event *out, uint64_t *lost,
                    struct err *e)
{
    CLEANUP(sealed_clear) struct sealed s = SEALED_NONE;
    CLEANUP(opened_clear) struct opened o = {0};
    int bad = record_bytes(r, index, &s, e);
    bad = bad < 0 ? bad : seal_open(&s, r->o.ring, r->o.origin, &o, e);
    bad = bad < 0 ? bad : seal_to_event(r->o.kinds, &s, &o, out, lost, e);
    return bad < 0 ? err_wrap(e, bad, "event %" PRIu64, index) : 0;
}

int record_get(struct record *r, uint64_t index, struct event *out, struct err *e)
{
    uint64_t lost = 0;
    return read_one(r, index, out, &lost, e);
}

int record_rebuild(struct record *r, struct db *fresh, uint64_t *lost, struct err *e)
{
    CLEANUP(db_rollback) struct db_tx tx = DB_TX_NONE;
    int64_t time = 0;
    *lost = 0;
    int bad = record_migrate(fresh, e);
    bad = bad < 0 ? bad : db_begin(fresh, &tx, e);
    for (uint64_t i = 0; i < r->committed && bad == 0; i++) {
        CLEANUP(event_clear) struct event ev = {0};
        bad = read_one(r, i, &ev, lost, e);
        bad = bad < 0 ? bad : record_kind_of(r->o.kinds, ev.kind)->fold(fresh, &ev, e);
        if (bad < 0) {
            err_wrap(e, bad, "rebuild from event %" PRIu64, i);
        }
        time = ev.time;
    }
    bad = bad < 0 ? bad
                  : db_exec(fresh, "UPDATE record_position SET size = $1, time = $2 WHERE id = 1",
                            DB_ARGS(DB_INT(r->committed), DB_INT(time)), e);
    return bad < 0 ? bad : db_commit(&tx, e);
}

/* ---- one part, shown to somebody who has only the log ---- */

static int part_of(const char *name, enum part *out, struct err *e)
{
    for (size_t p = 0; p < PARTS; p++) {
        if (strcmp(name, part_name((enum part)p)) == 0) {
            *out = (enum part)p;
            return 0;
        }
    }
    return err_set(e, ERR_FORMAT, "a part is site, org or account, not \"%s\"", name);
}

int record_open_part(struct record *r, uint64_t index, const char *part, json_t **out,
                     struct err *e)
{
    CLEANUP(sealed_clear) struct sealed s = SEALED_NONE;
    CLEANUP(buf_clear) struct buf salt = BUF(2 * SALT);
    CLEANUP(opened_clear) struct opened o = {0};
    enum part which;
    int bad = part_of(part, &which, e);
    bad = bad < 0 ? bad : record_bytes(r, index, &s, e);
    bad = bad < 0 ? bad : seal_open(&s, r->o.ring, r->o.origin, &o, e);
    if (bad < 0) {
        return bad;
    }
    const struct opened_part *p = &o.part[which];
    if (!p->present || p->erased || p->lost) {
        return err_set(e, ERR_NOTFOUND, "event %" PRIu64 " has no %s part%s", index, part,
                       p->erased ? ": it was erased"
                       : p->lost ? ": its key is lost"
                                 : "");
    }
    json_t *j = js_new(), *commitments = js_list();
    text_hex(&salt, span_of(p->salt, SALT));
    js_set_int(j, "index", (int64_t)index);
    js_set_int(j, "time", o.time);
    js_set_int(j, "org", (int64_t)o.org_id);
    js_set_int(j, "account", (int64_t)o.account_id);
    js_set_str(j, "part", part);
    js_set_str(j, "salt", buf_text(&salt));
    js_set_str(j, "text", buf_text(&p->text));
    for (size_t i = 0; i < PARTS; i++) {
        char hex[DIGEST_TEXT + 1];
        js_add_str(commitments, digest_text(&o.part[i].commitment, hex));
    }
    js_set(j, "commitments", commitments);
    *out = j;
    return 0;
}

int record_check_part(const json_t *shown, struct span entry, struct err *e)
{
    struct opened o = {0};
    const char *part = NULL, *salt = NULL, *text = NULL;
    json_t *list = NULL;
    enum part which = PART_SITE;
    uint8_t s[SALT];
    int bad = js_str(shown, "part", &part, e);
    bad = bad < 0 ? bad : part_of(part, &which, e);
    bad = bad < 0 ? bad : js_int(shown, "time", &o.time, e);
    bad = bad < 0 ? bad : js_u64(shown, "org", &o.org_id, e);
    bad = bad < 0 ? bad : js_u64(shown, "account", &o.account_id, e);
    bad = bad < 0 ? bad : js_str(shown, "salt", &salt, e);
    bad = bad < 0 ? bad : text_unhex(span_str(salt), s, sizeof s, e);
    bad = bad < 0 ? bad : js_str(shown, "text", &text, e);
    bad = bad < 0 ? bad : js_arr(shown, "commitments", &list, e);
    if (bad == 0 && json_array_size(list) != PARTS) {
        bad = err_set(e, ERR_FORMAT, "%zu commitments instead of %d", json_array_size(list), PARTS);
    }
    for (size_t i = 0; i < PARTS && bad == 0; i++) {
        const char *hex = json_string_value(json_array_get(list, i));
        bad = digest_parse(hex != NULL ? span_str(hex) : SPAN_NONE, &o.part[i].commitment, e);
    }
    if (bad < 0) {
        return bad;
    }
    struct digest c = seal_commitment(which, s, span_str(text));
    if (!digest_eq(&c, &o.part[which].commitment)) {
        return err_set(e, ERR_TRUST, "the text is not what its commitment says");
    }
    return seal_check_entry(entry, &o, e);
}
