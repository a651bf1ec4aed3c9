#include "cli/site.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "blob/blob.h"
#include "key/keyring.h"
#include "record/record.h"
#include "serve/events.h"
#include "serve/gate.h"
#include "signer/signer.h"

#define MARK ".unfinished" /* there while a site is made: what lies beside it is ours */

/* ---- the folder ---- */

static int find_other(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "lost+found") != 0; /* a fresh file system has it */
}

int site_may_make(const char *path, struct err *e)
{
    struct stat st;
    CLEANUP(fd_close) int dir = -1;
    if (stat(path, &st) < 0) {
        return errno == ENOENT ? 0 : err_sys(e, "look at %s", path);
    }
    int r = file_open_dir(AT_FDCWD, path, &dir, e);
    if (r < 0 || file_exists(dir, MARK)) {
        return r;
    }
    if (file_exists(dir, "cordon.yaml")) {
        return err_set(e, ERR_CONFLICT, "%s is a site already; nothing was changed", path);
    }
    r = file_each(dir, ".", find_other, NULL, e);
    return r > 0 ? err_set(e, ERR_CONFLICT, "%s is not empty; name a new or empty folder", path)
                 : r;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    bool keep = at->level == 0 || (at->level == 1 && strcmp(path + at->base, MARK) == 0) ||
                strcmp(path + at->base, "lost+found") == 0;
    if (!keep) {
        (void)(type == FTW_DP || type == FTW_D ? rmdir(path) : unlink(path));
    }
    return 0;
}

/* Removes everything in a folder that carries the mark, the mark last. */
static void clear_out(const char *path, int dir)
{
    if (file_exists(dir, MARK)) {
        (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
        (void)unlinkat(dir, MARK, 0);
    }
}

/* ---- its parts ---- */

static int make_folders(int site, struct err *e)
{
    static const struct {
        const char *name;
        mode_t mode;
    } folders[] = {{"keys", 0700},         {"rules", 0755},      {"rules/yara", 0755},
                   {"rules/hashes", 0755}, {"run", 0755},        {"state", 0700},
                   {"staging", 0700},      {"quarantine", 0700}, {"blobs", 0755}};
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(folders) && r == 0; i++) {
        r = file_mkdirs(site, folders[i].name, folders[i].mode, e);
    }
    return r;
}

static int make_keyring(int site, const struct key_kek *kek, const char *copy, struct err *e)
{
    CLEANUP(key_sub_clear) struct key_sub sub;
    struct keyring *ring = NULL;
    key_subkey(kek, KEY_RECORD, &sub);
    int r = keyring_create(site, "keyring", &sub, e);
    r = r < 0 ? r : keyring_open(site, "keyring", &sub, &ring, e);
    r = r < 0 ? r : keyring_add(ring, (struct keyring_id){KEYRING_SITE, 0}, e);
    r = r < 0 ? r : keyring_sync(ring, e);
    if (r == 0 && copy != NULL) {
        r = keyring_copy(ring, AT_FDCWD, copy, e);
        r = r < 0 ? err_wrap(e, r, "write the keyring's copy %s", copy) : 0;
    }
    keyring_close(&ring);
    return r;
}

static int make_databases(int site, const char *path, struct err *e)
{
    struct blobstore *blobs = NULL;
    CLEANUP(db_close) struct db *db = NULL;
    CLEANUP(mem_free) char *cordon_db = mem_printf("%s/cordon.db", path);
    int r = record_create(site, e);
    r = r < 0 ? r : db_open(cordon_db, DB_CREATE, &db, e);
    r = r < 0 ? r : events_migrate(db, e);
    r = r < 0 ? r : show_create(path, e);
    r = r < 0 ? r : blobstore_open(site, &blobs, e);
    if (blobs != NULL) {
        blobstore_close(&blobs);
    }
    return r;
}

static int write_settings(int site, const struct settings *s, struct err *e)
{
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_CONFIG);
    settings_save(s, &text);
    int r = buf_done(&text, "cordon.yaml", e);
    return r < 0 ? r : file_write(site, "cordon.yaml", buf_view(&text), 0644, e);
}

static int make_parts(const struct site_plan *p, int site, struct err *e)
{
    struct key_kek *kek = NULL;
    CLEANUP(fd_close) int keys = -1;
    int64_t life[TUF_ROLES];
    role_lives(p->settings, life);
    const char *name = settings_text(p->settings, SETTING_REPOSITORY_NAME);
    int r = make_folders(site, e);
    r = r < 0 ? r : file_open_dir(site, "keys", &keys, e);
    r = r < 0 ? r : key_site_create(keys, p->pass, p->cost, e);
    r = r < 0 ? r : key_site_open(keys, p->pass, &kek, e);
    r = r < 0 ? r : signer_init(site, kek, name, life, e);
    r = r < 0 ? r : make_databases(site, p->path, e);
    r = r < 0 ? r : make_keyring(site, kek, p->keyring_copy, e);
    r = r < 0 ? r : file_sync_fs(site, e);
    r = r < 0 ? r : write_settings(site, p->settings, e); /* last: with it, it is a site */
    key_kek_close(&kek);
    return r;
}

int site_make(const struct site_plan *p, struct err *e)
{
    CLEANUP(fd_close) int site = -1;
    int r = site_may_make(p->path, e);
    bool made = r == 0 && mkdir(p->path, 0755) == 0;
    if (r == 0 && !made && errno != EEXIST) {
        r = err_sys(e, "make %s", p->path);
    }
    r = r < 0 ? r : file_open_dir(AT_FDCWD, p->path, &site, e);
    if (r < 0) {
        return r;
    }
    clear_out(p->path, site);
    r = file_write(site, MARK, span_str("cordon init was not finished here\n"), 0600, e);
    r = r < 0 ? r : make_parts(p, site, e);
    if (r < 0) {
        clear_out(p->path, site);
        if (made) {
            (void)rmdir(p->path);
        }
        return r;
    }
    (void)unlinkat(site, MARK, 0);
    return file_sync_dir(site, e);
}
