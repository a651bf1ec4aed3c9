#include "tuf/tuf_priv.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

/* recall/index.json: {"format":1,"entries":[{id,state,sha256[],reason,replacement,time,log}]}, and
 * recall/ID.json one entry with the paths. Entries are only ever added, so whoever kept an older
 * index finds it as the beginning of the newer one. */

json_t *tuf_recall_empty(void)
{
    json_t *index = js_new();
    js_set_int(index, "format", 1);
    js_set(index, "entries", js_list());
    return index;
}

json_t *tuf_recall_fold(const json_t *index)
{
    json_t *now = js_new();
    const json_t *entries = json_object_get(index, "entries");
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *one = json_array_get(entries, i), *hashes = json_object_get(one, "sha256");
        bool lifted = strcmp(js_str_or(one, "state", ""), "lifted") == 0;
        for (size_t k = 0; k < json_array_size(hashes); k++) {
            const char *hex = json_string_value(json_array_get(hashes, k));
            if (hex != NULL && lifted) {
                json_object_del(now, hex);
            } else if (hex != NULL) {
                js_set_bool(now, hex, true);
            }
        }
    }
    return now;
}

bool tuf_is_recalled(const struct tuf_repo *repo, const struct digest *sha256)
{
    char hex[DIGEST_TEXT + 1];
    return json_object_get(repo->recalled, digest_text(sha256, hex)) != NULL;
}

int tuf_load_index(struct tuf_repo *r, struct err *e)
{
    const json_t *entry =
        json_object_get(json_object_get(tuf_signed(r->doc[TUF_RECALLS]), "targets"), RECALL_INDEX);
    struct digest want;
    char hex[DIGEST_TEXT + 1];
    int rc = js_sha256(json_object_get(entry, "hashes"), "sha256", &want, e);
    if (rc < 0) {
        return err_wrap(e, rc, "recalls does not list " RECALL_INDEX);
    }
    CLEANUP(mem_free) char *file = mem_printf("recall/%s.index.json", digest_text(&want, hex));
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_JSON + 1);
    rc = file_read(r->dir, file, LIMIT_JSON, &b, e);
    if (rc < 0) {
        return err_wrap(e, rc, "metadata");
    }
    struct digest got = digest_of(buf_view(&b));
    if (!digest_eq(&got, &want)) {
        return err_set(e, ERR_TRUST, "metadata/%s is not what was signed: restore it", file);
    }
    rc = js_parse(buf_view(&b), LIMIT_JSON, RECALL_INDEX, &r->index, e);
    if (rc == 0) {
        r->recalled = tuf_recall_fold(r->index);
    }
    return rc;
}

/* ---- adding ---- */

static int check_id(const char *id, struct err *e)
{
    CLEANUP(buf_clear) struct buf low = BUF(2 * LIMIT_TARGET);
    int rc = tuf_check_name(span_str(id), NULL, e);
    if (rc < 0) {
        return err_wrap(e, rc, "recall id");
    }
    tuf_fold_name(&low, span_str(id));
    if (strchr(id, '/') != NULL || strlen(id) > LIMIT_NAME || span_is(buf_view(&low), "index")) {
        return err_set(e, ERR_FORMAT, "\"%.60s\" cannot name a recall: one part, not \"index\"",
                       id);
    }
    return 0;
}

static json_t *recall_entry(const struct tuf_recall *r)
{
    json_t *one = js_new(), *hashes = js_list();
    char text[CLOCK_TEXT], hex[DIGEST_TEXT + 1];
    for (size_t i = 0; i < r->n; i++) {
        js_add_str(hashes, digest_text(&r->sha256[i], hex));
    }
    js_set_str(one, "id", r->id);
    js_set_str(one, "state", r->lift ? "lifted" : "recalled");
    js_set(one, "sha256", hashes);
    js_set_str(one, "reason", r->reason);
    js_set_str(one, "replacement", r->replacement);
    js_set_str(one, "time", clock_text(r->time, true, text));
    if (r->log >= 0) {
        js_set_int(one, "log", r->log);
    }
    return one;
}

/* The entry that has this id, whatever its case. */
static const json_t *known(const json_t *entries, const char *id)
{
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *one = json_array_get(entries, i);
        if (strcasecmp(js_str_or(one, "id", ""), id) == 0) {
            return one;
        }
    }
    return NULL;
}

/* Adds a file below recall/ to the documents and to what recalls lists. */
static int add_file(struct change *c, const char *path, const json_t *content, struct err *e)
{
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_JSON);
    js_write(&b, content);
    buf_char(&b, '\n');
    int rc = buf_done(&b, path, e);
    if (rc < 0) {
        return rc;
    }
    struct digest d = digest_of(buf_view(&b));
    char hex[DIGEST_TEXT + 1];
    const char *name = path + strlen("recall/");
    CLEANUP(mem_free) char *file = mem_printf("recall/%s.%s", digest_text(&d, hex), name);
    json_t *entry = js_new(), *hashes = js_new();
    js_set_sha256(hashes, "sha256", &d);
    js_set_int(entry, "length", (int64_t)b.len);
    js_set(entry, "hashes", hashes);
    js_set(c->advised, path, entry);
    tuf_docs_add(&c->docs, file, &b);
    return 0;
}

/* The working copies, made when the first recall of a change comes. */
static void start(struct change *c)
{
    const json_t *body = tuf_signed(c->next.doc[TUF_RECALLS]);
    const json_t *listed = json_object_get(body, "targets");
    if (c->advised == NULL) {
        c->advised = listed != NULL ? json_copy((json_t *)(uintptr_t)listed) : js_new();
    }
}

static void append(struct change *c, json_t *one)
{
    json_t *index = json_copy(c->next.index);
    js_set(index, "entries", json_copy(json_object_get(c->next.index, "entries")));
    js_add(json_object_get(index, "entries"), one);
    js_free(&c->next.index);
    js_free(&c->next.recalled);
    c->next.index = index;
    c->next.recalled = tuf_recall_fold(index);
    c->index_new = true;
    c->dirty[TUF_RECALLS] = true;
}

int tuf_recall_add(struct change *c, const struct tuf_recall *recall, struct err *e)
{
    CLEANUP(mem_free) char *path = mem_printf("recall/%s.json", recall->id);
    CLEANUP(js_free) json_t *one = recall_entry(recall), *paths = js_list();
    int rc = check_id(recall->id, e);
    if (rc < 0) {
        return rc;
    }
    if (recall->n == 0) {
        return err_set(e, ERR_FORMAT, "recall %s names no digest", recall->id);
    }
    const json_t *was = known(json_object_get(c->next.index, "entries"), recall->id);
    if (was != NULL) { /* the same again is no change: whoever repeats after a crash is right */
        return json_equal(was, one) ? 0
                                    : err_set(e, ERR_CONFLICT,
                                              "recall %s exists with another content: recalls are "
                                              "only added, choose another id",
                                              recall->id);
    }
    start(c);
    append(c, json_copy(one));
    for (size_t i = 0; i < recall->n_paths; i++) {
        js_add_str(paths, recall->paths[i]);
    }
    js_set(one, "paths", json_incref(paths));
    return add_file(c, path, one, e);
}

int tuf_recall_body(struct change *c, json_t **body, struct err *e)
{
    start(c);
    int rc = c->index_new ? add_file(c, RECALL_INDEX, c->next.index, e) : 0;
    if (rc == 0) {
        *body = js_new();
        js_set(*body, "targets", json_incref(c->advised));
    }
    return rc;
}
