/* batch.c - one admission: its files in order of arrival, and what is told of each. */
#include "release/release_priv.h"

#include <stdarg.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/mem.h"

struct release_batch *release_batch_new(struct release *r, enum release_mode mode, const char *who)
{
    struct release_batch *b = mem_new(struct release_batch);
    *b = (struct release_batch){
        .r = r, .mode = mode, .who = mem_str(who), .began = clock_now(), .names = js_new()};
    pthread_mutex_init(&b->lock, NULL);
    pthread_mutex_lock(&r->lock);
    b->seen = r->changes;
    pthread_mutex_unlock(&r->lock);
    return b;
}

static void file_free(struct release_file *f)
{
    free(f->shown);
    free(f->source);
    free(f->path);
    free(f->reason);
    js_free(&f->findings);
    js_free(&f->members);
    js_free(&f->engines);
    free(f);
}

void release_drop(struct release_batch **bp)
{
    struct release_batch *b = *bp;
    *bp = NULL;
    if (b == NULL) {
        return;
    }
    for (size_t i = 0; i < b->n; i++) {
        file_free(b->file[i]);
    }
    free(b->file);
    free(b->product);
    free(b->version);
    free(b->who);
    free(b->host);
    js_free(&b->provenance);
    js_free(&b->names);
    js_free(&b->last_engines);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

struct release_file *release_batch_add(struct release_batch *b)
{
    struct release_file *f = mem_new(struct release_file);
    pthread_mutex_lock(&b->lock);
    if ((b->n & (b->n - 1)) == 0) { /* full at each power of two */
        b->file = mem_resize(b->file, b->n == 0 ? 1 : 2 * b->n, sizeof(struct release_file *));
    }
    f->number = b->n;
    b->file[b->n++] = f;
    pthread_mutex_unlock(&b->lock);
    return f;
}

void release_refuse(struct release_file *f, const char *fmt, ...)
{
    char text[1000];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    free(f->reason);
    f->reason = mem_str(text);
    f->fate = FATE_REFUSED;
    f->goes = false;
}

/* ---- what is told ---- */

static const char *state_word(const struct release_file *f)
{
    if (f->published) {
        return "published";
    }
    if (f->fate == FATE_REFUSED) {
        return "refused";
    }
    return f->approve ? "waiting" : f->hold_until != 0 ? "held" : "inspected";
}

json_t *release_file_json(const struct release_file *f)
{
    json_t *j = js_new();
    js_set_str(j, "path", f->source != NULL ? f->source : f->shown);
    if (f->hashed) {
        js_set_sha256(j, "sha256", &f->d.sha256);
        js_set_int(j, "size", (int64_t)f->size);
    }
    js_set_str(j, "verdict", verdict_text(f->verdict));
    js_set(j, "findings", f->findings != NULL ? json_incref(f->findings) : js_list());
    js_set_str(j, "target", f->path);
    js_set_bool(j, "published", f->published);
    js_set_str(j, "state", state_word(f));
    if (f->there) {
        js_set_bool(j, "known", true);
    }
    if (f->repaired) {
        js_set_bool(j, "repaired", true);
    }
    if (f->published && f->log != 0) {
        js_set_int(j, "log", (int64_t)f->log);
    }
    js_set_str(j, "reason", f->published ? NULL : f->reason);
    return j;
}

json_t *release_batch_json(struct release_batch *b)
{
    json_t *list = js_list();
    for (size_t i = 0; i < b->n; i++) {
        struct release_file *f = b->file[i];
        if (f->fate == FATE_TWIN) {
            const struct release_file *first = b->file[f->twin];
            f->published = first->published;
            f->log = first->log;
            f->hold_until = first->hold_until;
            f->approve = first->approve;
            free(f->reason);
            f->reason = mem_str(first->reason);
            f->fate = first->fate == FATE_REFUSED ? FATE_REFUSED : FATE_TWIN;
        }
        js_add(list, release_file_json(f));
    }
    return list;
}

/* ---- begin ---- */

/* "72h" or microseconds. */
static int read_hold(const struct release *r, const json_t *q, int64_t *out, struct err *e)
{
    const json_t *hold = json_object_get(q, "hold");
    if (json_is_string(hold)) {
        int bad = clock_duration(span_str(json_string_value(hold)), out, e);
        return bad < 0 ? err_wrap(e, bad, "--hold") : 0;
    }
    int64_t n = json_is_integer(hold) ? json_integer_value(hold)
                                      : settings_number(r->o.settings, SETTING_HOLD);
    if (n < 0 || n > 3650 * CLOCK_DAY) {
        return err_set(e, ERR_FORMAT, "a hold is between nothing and ten years");
    }
    *out = n;
    return 0;
}

int release_begin(struct release *r, const json_t *q, struct release_batch **out, struct err *e)
{
    const char *product = NULL, *version = NULL, *who = NULL;
    int64_t hold = 0;
    int bad = js_str(q, "product", &product, e);
    bad = bad < 0 ? bad : js_str(q, "version", &version, e);
    bad = bad < 0 ? bad : js_str(q, "who", &who, e);
    bad = bad < 0 ? bad : release_check_version(product, version, e);
    bad = bad < 0 ? bad : read_hold(r, q, &hold, e);
    if (bad < 0) {
        return bad;
    }
    const json_t *provenance = json_object_get(q, "provenance");
    struct release_batch *b = release_batch_new(r, MODE_ADMIT, who);
    b->product = mem_str(product);
    b->version = mem_str(version);
    b->host = mem_str(js_str_or(q, "host", NULL));
    b->provenance = json_is_object(provenance) ? json_deep_copy(provenance) : NULL;
    b->rename = js_bool_or(q, "rename", false);
    b->emergency = js_bool_or(q, "emergency", false);
    b->hold = b->emergency ? 0 : hold;
    b->approve = !b->emergency && settings_bool(r->o.settings, SETTING_APPROVE);
    *out = b;
    return 0;
}

/* ---- files ---- */

/* Room is kept on the disk so that recalls, alarms and signatures still work on a full one. */
static int check_room(const struct release *r, int fd, struct err *e)
{
    struct stat st;
    struct statvfs fs;
    uint64_t reserve = (uint64_t)settings_number(r->o.settings, SETTING_RESERVE);
    if (fstat(fd, &st) < 0 || fstatvfs(r->o.site, &fs) < 0) {
        return err_sys(e, "look at the file and the disk");
    }
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    uint64_t need = S_ISREG(st.st_mode) && st.st_size > 0 ? (uint64_t)st.st_size : 0;
    if (room < need || room - need < reserve) {
        return err_set(e, ERR_UNAVAIL,
                       "the site's disk is full: %llu MiB are free, disk.reserve keeps %llu MiB",
                       (unsigned long long)(room >> 20), (unsigned long long)(reserve >> 20));
    }
    return 0;
}

static void stage(struct release_batch *b, const json_t *q, int fd, struct release_staged *s)
{
    struct err e;
    struct release_file *f = s->f;
    const char *rel = js_str_or(q, "path", "");
    f->shown = mem_str(rel);
    f->source = mem_str(js_str_or(q, "source", NULL));
    release_refuse(f, "it was not inspected");
    release_name_file(b, f, rel);
    if (f->path == NULL) {
        return;
    }
    uint64_t max = (uint64_t)settings_number(b->r->o.settings, SETTING_SCAN_MAX_FILE);
    int r = check_room(b->r, fd, &e);
    r = r < 0 ? r : blob_stage(b->r->o.blobs, fd, max, &s->blob, &e);
    if (r < 0) {
        release_refuse(f, "%s", e.text);
        return;
    }
    f->hashed = true;
    f->d = s->blob.d;
    f->size = s->blob.size;
    f->chunk_root = s->blob.chunk_root;
    s->wanted = true;
}

int release_files(struct release_batch *b, const json_t *files, const int *fds, size_t n,
                  json_t **results, struct err *e)
{
    struct release_staged s[RELEASE_FILES];
    if (n > RELEASE_FILES || json_array_size(files) != n) {
        return err_set(e, ERR_LIMIT, "%zu files with %zu descriptors: at most %zu in one request",
                       json_array_size(files), n, RELEASE_FILES);
    }
    for (size_t i = 0; i < n; i++) {
        s[i] = STAGED_NONE;
        s[i].f = release_batch_add(b);
        stage(b, json_array_get(files, i), fds[i], &s[i]);
    }
    int r = release_inspect(b, s, n, e);
    json_t *list = js_list();
    for (size_t i = 0; i < n; i++) {
        js_add(list, release_file_json(s[i].f));
        blob_discard(&s[i].blob);
    }
    if (r < 0) {
        js_free(&list);
        return r;
    }
    *results = list;
    return 0;
}

int release_end(struct release_batch **bp, json_t **results, struct err *e)
{
    CLEANUP(release_drop) struct release_batch *b = *bp;
    *bp = NULL;
    int r = release_attest(b, e);
    r = r < 0 ? r : release_commit(b, e);
    if (r == 0) {
        *results = release_batch_json(b);
    }
    return r;
}
