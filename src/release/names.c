/* names.c - which name a file gets, and whether the name is free. */
#include "release/release_priv.h"

#include "base/mem.h"

/* ---- product and version ---- */

static int check_part(const char *part, const char *what, struct err *e)
{
    CLEANUP(buf_clear) struct buf better = BUF(4 * LIMIT_TARGET);
    if (strchr(part, '/') != NULL) {
        return err_set(e, ERR_FORMAT, "%s \"%.80s\" is one part, without \"/\"", what, part);
    }
    if (strcasecmp(part, "latest") == 0 || strcasecmp(part, "recall") == 0) {
        return err_set(e, ERR_FORMAT, "%s \"%.80s\" is a reserved word: choose another", what,
                       part);
    }
    if (strlen(part) > LIMIT_NAME) {
        return err_set(e, ERR_LIMIT, "%s of %zu characters: at most %zu", what, strlen(part),
                       LIMIT_NAME);
    }
    int r = tuf_check_name(span_str(part), &better, e);
    if (r < 0 && better.len > 0) {
        r = err_set(e, r,
                    "%s \"%.80s\" holds more than A-Z a-z 0-9 . _ + ~ - or begins with a dot;"
                    " \"%.80s\" would do",
                    what, part, buf_text(&better));
    }
    return r;
}

int release_check_version(const char *product, const char *version, struct err *e)
{
    int r = check_part(product, "product", e);
    return r < 0 ? r : check_part(version, "version", e);
}

/* ---- the name of a file ---- */

void release_name_file(const struct release_batch *b, struct release_file *f, const char *rel)
{
    struct err e;
    CLEANUP(buf_clear) struct buf better = BUF(4 * LIMIT_PATH);
    CLEANUP(mem_free) char *path = mem_printf("%s/%s/%s", b->product, b->version, rel);
    size_t folder = strlen(b->product) + strlen(b->version) + 2;
    int r = tuf_check_name(span_str(path), &better, &e);
    if (r == 0) {
        f->path = mem_str(path);
        return;
    }
    bool inside = better.len > folder && strncmp(buf_text(&better), path, folder) == 0;
    if (b->rename && inside && tuf_check_name(buf_view(&better), NULL, NULL) == 0) {
        f->path = mem_str(buf_text(&better));
        return;
    }
    if (inside) {
        release_refuse(f, "%.400s: --rename would make it \"%.300s\"", e.text,
                       buf_text(&better) + folder);
    } else {
        release_refuse(f, "%s", e.text);
    }
}

/* ---- is it free ---- */

static int same_bytes(struct release_batch *b, struct release_file *f,
                      const struct release_target *t)
{
    f->there = true;
    if (t->published) {
        f->fate = FATE_THERE;
        f->published = t->state == RELEASE_PUBLISHED;
        f->log = t->published_index;
        return 0;
    }
    f->fate = FATE_CLEAN;
    f->hold_until = b->emergency ? 0 : t->hold_until;
    f->approve = !b->emergency && t->approve && !t->approved;
    return 0;
}

/* Against the targets that exist. A held one with the same bytes is not new either. */
static int claim_target(struct release_batch *b, struct db *db, struct release_file *f,
                        struct err *e)
{
    struct release_target t;
    CLEANUP(buf_clear) struct buf have = BUF(LIMIT_TARGET + 1);
    int r = release_same_name(db, f->path, &have, e);
    if (r == ERR_NOTFOUND) {
        f->fate = FATE_CLEAN;
        f->there = false;
        f->hold_until = b->hold > 0 ? clock_now() + b->hold : 0;
        f->approve = b->approve;
        return 0;
    }
    if (r < 0) {
        return r;
    }
    if (strcmp(buf_text(&have), f->path) != 0) {
        release_refuse(f,
                       "\"%.300s\" differs only by case from \"%.300s\", which exists: choose "
                       "another name",
                       f->path, buf_text(&have));
        return 0;
    }
    r = release_target(db, f->path, &t, e);
    if (r < 0) {
        return r;
    }
    if (!digest_eq(&t.sha256, &f->d.sha256)) {
        char was[DIGEST_TEXT + 1], is[DIGEST_TEXT + 1];
        release_refuse(f,
                       "%.300s exists with other bytes (%.16s..., this is %.16s...): a name keeps "
                       "its bytes, so admit it under a new version",
                       f->path, digest_text(&t.sha256, was), digest_text(&f->d.sha256, is));
        return 0;
    }
    return same_bytes(b, f, &t);
}

/* Against the other files of the batch. */
static void claim_here(struct release_batch *b, struct release_file *f)
{
    CLEANUP(buf_clear) struct buf folded = BUF(2 * LIMIT_TARGET);
    tuf_fold_name(&folded, span_str(f->path));
    const json_t *taken = json_object_get(b->names, buf_text(&folded));
    if (taken == NULL) {
        js_set_int(b->names, buf_text(&folded), (int64_t)f->number);
        return;
    }
    size_t first = (size_t)json_integer_value(taken);
    const struct release_file *other = b->file[first];
    if (first == f->number) {
        return;
    }
    if (strcmp(other->path, f->path) == 0 && digest_eq(&other->d.sha256, &f->d.sha256)) {
        f->fate = FATE_TWIN;
        f->twin = first;
    } else if (strcmp(other->path, f->path) == 0) {
        release_refuse(
            f, "%.300s is twice in this batch, with different bytes: choose another name", f->path);
    } else {
        release_refuse(f,
                       "\"%.300s\" differs only by case from \"%.300s\" in this batch: choose "
                       "another name",
                       f->path, other->path);
    }
}

int release_claim(struct release_batch *b, struct db *db, struct release_file *f, struct err *e)
{
    int r = claim_target(b, db, f, e);
    if (r == 0 && f->fate == FATE_CLEAN) {
        claim_here(b, f);
    }
    return r;
}
