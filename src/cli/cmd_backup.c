/* cmd_backup.c - a second site folder that is consistent in itself, also of a running server.
 *
 * Why the order below is enough: files that only grow are copied first and topped up last. Events
 * move from the journal to log and details when a checkpoint is published, so a round in which the
 * checkpoint stayed the same has them in one of both; a journal that grew meanwhile has at most a
 * torn end, which is cut at the next start. The database is a fold that is brought up to date from
 * the journal. Metadata before the signer's state: versions may fall behind it, never get ahead;
 * timestamp.json before what it names. Keyring after the journal: it has every key that is used. */
#include "cli/commands.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/table.h"
#include "cli/copytree.h"
#include "cli/print.h"
#include "cli/site.h"
#include "db/db.h"
#include "serve/local.h"

#define ROUNDS 50

static bool link_blobs;
static const struct option_def options[] = {
    {"link", 0, OPTION_FLAG, NULL,
     "hard links for blobs where possible: fast and small, but rot then spoils both", &link_blobs},
};

struct backup {
    struct app *app;
    struct copytree t;
    char *path; /* of the copy, whole */
};

static int copy_db(struct backup *b, const char *name, struct err *e)
{
    CLEANUP(db_close) struct db *db = NULL;
    CLEANUP(mem_free) char *from = mem_printf("%s/%s", b->app->site_path, name);
    CLEANUP(mem_free) char *to = mem_printf("%s/%s", b->path, name);
    int r = db_open(from, DB_READ, &db, e);
    r = r < 0 ? r : db_copy(db, to, e);
    return r < 0 ? err_wrap(e, r, "copy %s", name) : 0;
}

static int copy_all(struct backup *b, const char *const *names, size_t n, struct err *e)
{
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = copytree_folder(&b->t, names[i], e);
    }
    return r;
}

static int copy_blobs(struct backup *b, struct err *e)
{
    b->t.link = link_blobs;
    int r = copytree_folder(&b->t, "blobs", e);
    b->t.link = false;
    return r;
}

/* What grows or stays: most of the bytes. */
static int copy_bulk(struct backup *b, struct err *e)
{
    static const char *const names[] = {"keys", "rules", "quarantine", "details", "log"};
    int r = copy_blobs(b, e);
    r = r < 0 ? r : copy_all(b, names, ARRAY_LEN(names), e);
    r = r < 0 ? r : copy_db(b, "cordon.db", e);
    return r < 0 ? r : copy_db(b, "web.db", e);
}

/* What tells one published state from the next: the checkpoint, and which journals there are. */
static int add_name(void *ctx, const char *name)
{
    buf_fmt(ctx, "%s\n", name);
    return 0;
}

static int fingerprint(const struct app *app, struct buf *out, struct err *e)
{
    buf_reset(out);
    int r = file_read(app->site, "log/checkpoint", LIMIT_NOTE, out, e);
    r = r == ERR_NOTFOUND ? 0 : r;
    r = r < 0 ? r : file_each(app->site, "journal", add_name, out, e);
    return r < 0 ? r : buf_done(out, "the list of journals", e);
}

static int one_round(struct backup *b, struct err *e)
{
    static const char *const names[] = {"state", "journal", "details", "log"};
    b->t.first = "timestamp.json";
    int r = copytree_folder(&b->t, "metadata", e);
    b->t.first = NULL;
    r = r < 0 ? r : copy_all(b, names, ARRAY_LEN(names), e);
    r = r < 0 ? r : copytree_prune(&b->t, "journal", e);
    return r < 0 ? r : copytree_file(&b->t, "keyring", e);
}

static int copy_moving(struct backup *b, struct err *e)
{
    CLEANUP(buf_clear) struct buf before = BUF(LIMIT_JSON);
    CLEANUP(buf_clear) struct buf after = BUF(LIMIT_JSON);
    for (int i = 0; i < ROUNDS; i++) {
        int r = fingerprint(b->app, &before, e);
        r = r < 0 ? r : one_round(b, e);
        r = r < 0 ? r : fingerprint(b->app, &after, e);
        if (r < 0 || span_eq(buf_view(&before), buf_view(&after))) {
            return r;
        }
        if (!b->app->quiet) {
            progress("backup: round", (uint64_t)i + 1, ROUNDS, NULL);
        }
    }
    return err_set(e, ERR_UNAVAIL,
                   "the site changed all the time: take the backup in a quieter hour, or from a "
                   "snapshot of the file system");
}

static int fill(struct backup *b, struct err *e)
{
    int r = copy_bulk(b, e);
    r = r < 0 ? r : copy_moving(b, e);
    r = r < 0 ? r : copy_blobs(b, e); /* of what was admitted meanwhile */
    r = r < 0 ? r : file_mkdirs(b->t.to, "run", 0755, e);
    r = r < 0 ? r : file_mkdirs(b->t.to, "staging", 0700, e);
    r = r < 0 ? r : file_sync_fs(b->t.to, e);
    r = r < 0 ? r : copytree_file(&b->t, "cordon.yaml", e); /* last: with it, it is a site */
    return r < 0 ? r : file_sync_fs(b->t.to, e);
}

static int open_target(struct backup *b, const char *path, struct err *e)
{
    int r = site_may_make(path, e);
    if (r == 0 && mkdir(path, 0700) < 0 && errno != EEXIST) {
        r = err_sys(e, "make %s", path);
    }
    r = r < 0 ? r : file_open_dir(AT_FDCWD, path, &b->t.to, e);
    if (r == 0) {
        b->path = realpath(path, NULL);
        r = b->path == NULL ? err_sys(e, "open %s", path) : 0;
    }
    return r;
}

static int run(struct app *app, int argc, char **argv, struct err *e)
{
    struct backup b = {.app = app, .t = {.from = app->site, .to = -1}};
    CLEANUP(fd_close) int lock = -1;
    char size[16];
    int r = app_operands(argc, 1, 1, "one new or empty folder", e);
    r = r != 0 ? r : open_target(&b, argv[0], e);
    if (r == 0 && serve_lock(app->site, &lock, e) == ERR_CONFLICT) {
        lock = -1; /* a server runs: the rounds above cope with it */
    }
    if (r == 0 && (r = fill(&b, e)) < 0) {
        err_wrap(e, r, "the backup is not complete; remove %s and try again", argv[0]);
    }
    progress_end();
    if (r == 0 && app->json) {
        CLEANUP(js_free) json_t *j = js_new();
        js_set_str(j, "backup", b.path);
        js_set_int(j, "files", (int64_t)b.t.files);
        js_set_int(j, "bytes", (int64_t)b.t.bytes);
        app_print_json(j);
    } else if (r == 0) {
        print_line("Copied %llu files, %s, to %s. It is a site under the same passphrase, which is "
                   "not in it. Next: cordon -C %s doctor",
                   (unsigned long long)b.t.files, table_bytes(b.t.bytes, size), b.path, b.path);
    }
    fd_close(&b.t.to);
    free(b.path);
    return r;
}

const struct command cmd_backup = {
    .name = "backup",
    .need = CLI_SITE,
    .usage = "[--link] DIR",
    .summary = "Copy a site, also while its server runs",
    .text = "DIR becomes a site folder with everything: keys (sealed), keyring, journal, log, "
            "metadata, blobs. Keep it as safe as the site. Never run both: two servers that sign "
            "for one repository contradict each other.\n\nJSON: backup files bytes.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = run,
};
