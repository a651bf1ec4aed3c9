/* doctor_files.c - what the files of a site tell by themselves. */
#include "cli/doctor.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/table.h"
#include "account/account.h"
#include "blob/blob.h"
#include "cli/logsource.h"
#include "db/db.h"
#include "tuf/tuf.h"

#define SOON (30 * CLOCK_DAY) /* before root or targets end */

/* ---- keys ---- */

static int note_key(void *ctx, const struct key_info *info)
{
    json_t *roles = ctx;
    js_set_bool(roles, info->role, true);
    return 0;
}

void doctor_keys(struct doctor *d)
{
    static const char *const online[] = {"recalls",   "releases", "bins",    "snapshot",
                                         "timestamp", "log",      "verdict", "sums"};
    static const char *const rare[] = {"root", "targets"};
    struct err e;
    CLEANUP(fd_close) int keys = -1;
    CLEANUP(js_free) json_t *roles = js_new();
    size_t missing = 0;
    int r = file_open_dir(d->app->site, "keys", &keys, &e);
    r = r < 0 ? r : key_each(keys, note_key, roles, &e);
    if (r < 0) {
        doctor_say(d, DOCTOR_BAD, "keys", "%s", e.text);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(online); i++) {
        if (json_object_get(roles, online[i]) == NULL) {
            missing++;
            doctor_say(d, DOCTOR_BAD, "keys", "the key of %s is gone: restore keys/ from a backup",
                       online[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(rare); i++) {
        if (json_object_get(roles, rare[i]) != NULL) {
            doctor_say(d, DOCTOR_WARN, "keys",
                       "the key of %s lies on this machine; kept elsewhere it survives a break-in",
                       rare[i]);
        }
    }
    if (!file_exists(keys, "site.kek")) {
        doctor_say(d, DOCTOR_BAD, "keys", "keys/site.kek is gone: restore keys/ from a backup");
    } else if (missing == 0) {
        doctor_say(d, DOCTOR_OK, "keys", "%zu roles, all there", json_object_size(roles));
    }
}

/* ---- database ---- */

void doctor_database(struct doctor *d)
{
    struct err e;
    CLEANUP(db_close) struct db *db = NULL;
    CLEANUP(mem_free) char *path = mem_printf("%s/cordon.db", d->app->site_path);
    int r = db_open(path, DB_READ, &db, &e);
    r = r < 0 ? r : db_check(db, &e);
    if (r < 0) {
        doctor_say(d, DOCTOR_BAD, "database", "%s (stop the server, then: cordon doctor --rebuild)",
                   e.text);
    } else {
        doctor_say(d, DOCTOR_OK, "database", "cordon.db is whole");
    }
}

/* ---- metadata ---- */

struct role_end {
    struct doctor *d;
    int dir;
    int64_t now;
    size_t seen, ended;
};

static int one_document(struct role_end *m, const char *file, const char *type, const char *role,
                        json_t **doc)
{
    struct err e;
    char until[CLOCK_TEXT];
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_TUF_ROLE);
    int r = file_read(m->dir, file, LIMIT_TUF_ROLE, &b, &e);
    r = r < 0 ? r : tuf_parse(buf_view(&b), type, doc, &e);
    if (r < 0) {
        doctor_say(m->d, DOCTOR_BAD, "metadata", "metadata/%s: %s", file, e.text);
        return r;
    }
    int64_t end = tuf_doc_expires(*doc);
    bool rare = strcmp(role, "root") == 0 || strcmp(role, "targets") == 0;
    m->seen++;
    if (end <= m->now) {
        m->ended++;
        doctor_say(m->d, rare ? DOCTOR_BAD : DOCTOR_WARN, "metadata", "%s ended on %s: %s", role,
                   clock_text(end, true, until),
                   rare ? "run cordon key rotate for it" : "a running server signs it anew");
    } else if (rare && end - m->now < SOON) {
        doctor_say(m->d, DOCTOR_WARN, "metadata", "%s ends on %s: run cordon key rotate %s", role,
                   clock_text(end, true, until), role);
    }
    return 0;
}

/* root is found by counting up, the others through timestamp and snapshot. */
static int check_root(struct role_end *m)
{
    int64_t n = 1;
    char file[64];
    for (;; n++) {
        snprintf(file, sizeof file, "%" PRId64 ".root.json", n + 1);
        if (!file_exists(m->dir, file)) {
            break;
        }
    }
    CLEANUP(js_free) json_t *doc = NULL;
    snprintf(file, sizeof file, "%" PRId64 ".root.json", n);
    return one_document(m, file, "root", "root", &doc);
}

static const json_t *meta_of(const json_t *doc)
{
    return json_object_get(json_object_get(doc, "signed"), "meta");
}

static int check_listed(struct role_end *m, const json_t *doc, bool of_snapshot, json_t **snapshot)
{
    const char *name;
    json_t *info;
    json_object_foreach((json_t *)(uintptr_t)meta_of(doc), name, info)
    {
        CLEANUP(js_free) json_t *got = NULL;
        CLEANUP(mem_free)
        char *file = mem_printf("%" PRId64 ".%s", js_int_or(info, "version", 0), name);
        CLEANUP(mem_free) char *role = mem_text(name, strcspn(name, "."));
        int r = one_document(m, file, of_snapshot ? "targets" : "snapshot", role, &got);
        if (r < 0) {
            return r;
        }
        if (!of_snapshot) {
            *snapshot = json_incref(got);
        }
    }
    return 0;
}

void doctor_metadata(struct doctor *d)
{
    struct err e;
    struct role_end m = {.d = d, .dir = -1, .now = clock_now()};
    CLEANUP(js_free) json_t *timestamp = NULL;
    CLEANUP(js_free) json_t *snapshot = NULL;
    if (file_open_dir(d->app->site, "metadata", &m.dir, &e) < 0) {
        doctor_say(d, DOCTOR_BAD, "metadata", "%s", e.text);
        return;
    }
    int r = check_root(&m);
    r = r < 0 ? r : one_document(&m, "timestamp.json", "timestamp", "timestamp", &timestamp);
    r = r < 0 ? r : check_listed(&m, timestamp, false, &snapshot);
    r = r < 0 || snapshot == NULL ? r : check_listed(&m, snapshot, true, NULL);
    if (r == 0 && m.ended == 0) {
        doctor_say(d, DOCTOR_OK, "metadata", "%zu documents, all in force", m.seen);
    }
    fd_close(&m.dir);
}

/* ---- log ---- */

static bool log_is_empty(struct doctor *d)
{
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_JSON);
    CLEANUP(js_free) json_t *state = NULL;
    return file_read(d->app->site, "state/log.json", LIMIT_JSON, &b, NULL) == 0 &&
           js_parse(buf_view(&b), LIMIT_JSON, "state/log.json", &state, NULL) == 0 &&
           js_int_or(state, "size", -1) == 0;
}

void doctor_log(struct doctor *d)
{
    struct err e;
    struct logsource s;
    struct tlog_checkpoint c;
    struct tlog_view *v = NULL;
    int r = logsource_open(d->app, NULL, NULL, NULL, &s, &e);
    r = r != 0 ? r : tlog_checkpoint_read(&s.tiles, s.origin, &s.key, NULL, &c, &e);
    if (r == ERR_NOTFOUND && log_is_empty(d)) {
        doctor_say(d, DOCTOR_OK, "log", "no entry yet");
    } else {
        r = r != 0 ? r : tlog_view_open(&s.tiles, &c.head, &v, &e);
        if (r != 0) {
            doctor_say(d, DOCTOR_BAD, "log", "%s; run cordon log verify for all of it", e.text);
        } else {
            doctor_say(d, DOCTOR_OK, "log", "%" PRIu64 " entries, signed", c.head.size);
        }
    }
    tlog_view_close(&v);
    logsource_clear(&s);
}

/* ---- blobs ---- */

static int check_chunks(int blobs, const struct digest *digest, uint64_t size, struct err *e)
{
    char hex[DIGEST_TEXT + 1], name[96];
    struct blob_chunks chunks;
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_JSON);
    digest_text(digest, hex);
    snprintf(name, sizeof name, "%.2s/%s.chunks", hex, hex + 2);
    int r = file_read(blobs, name, LIMIT_JSON, &b, e);
    r = r < 0 ? r : blob_chunks_parse(buf_view(&b), &chunks, e);
    if (r == 0 && chunks.size != size) {
        r = err_set(e, ERR_FORMAT, "speaks of %" PRIu64 " bytes, the file has %" PRIu64,
                    chunks.size, size);
    }
    return r < 0 ? err_wrap(e, r, "blobs/%s", name) : 0;
}

void doctor_blobs(struct doctor *d)
{
    struct err e;
    struct digest digest;
    struct blobstore *store = NULL;
    CLEANUP(fd_close) int dir = -1;
    uint64_t bytes = 0, files = 0, bad = 0;
    int r = blobstore_open_read(d->app->site, &store, &e);
    r = r < 0 ? r : file_open_dir(d->app->site, "blobs", &dir, &e);
    struct blob_walk *w = r < 0 ? NULL : blob_walk_new(store, NULL);
    while (r >= 0 && (r = blob_walk_next(w, &digest, &e)) == 1) {
        uint64_t size = 0;
        if (blobstore_has(store, &digest, &size) && check_chunks(dir, &digest, size, &e) < 0) {
            bad++;
            doctor_say(d, DOCTOR_WARN, "blobs", "%s; the scrub of a running server repairs it",
                       e.text);
        }
        files++;
        bytes += size;
    }
    if (r < 0) {
        doctor_say(d, DOCTOR_BAD, "blobs", "%s", e.text);
    } else if (bad == 0) {
        char text[16];
        doctor_say(d, DOCTOR_OK, "blobs", "%" PRIu64 " files, %s; their bytes are the scrub's",
                   files, table_bytes(bytes, text));
    }
    if (w != NULL) {
        blob_walk_free(&w);
    }
    if (store != NULL) {
        blobstore_close(&store);
    }
}

/* ---- disk ---- */

void doctor_disk(struct doctor *d)
{
    struct statvfs fs;
    char room[16], keep[16];
    uint64_t reserve = (uint64_t)settings_number(d->app->settings, SETTING_RESERVE);
    if (fstatvfs(d->app->site, &fs) < 0) {
        doctor_say(d, DOCTOR_BAD, "disk", "cannot be looked at: %s", strerror(errno));
        return;
    }
    uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
    enum doctor_state s = left < reserve       ? DOCTOR_BAD
                          : left < 4 * reserve ? DOCTOR_WARN
                                               : DOCTOR_OK;
    doctor_say(d, s, "disk", "%s free, disk.reserve keeps %s", table_bytes(left, room),
               table_bytes(reserve, keep));
}
