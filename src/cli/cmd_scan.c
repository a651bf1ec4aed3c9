/* cmd_scan.c - inspect files here and now, without a site.
 *
 * Each file is copied into memory that nobody can write any more, because what is scanned must be
 * what was read; a larger one into a nameless file. */
#include "cli/commands.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/table.h"
#include "cli/print.h"
#include "cli/walk.h"
#include "scan/scan.h"

#define AT_ONCE ((size_t)16)
#define BYTES_AT_ONCE (UINT64_C(256) << 20) /* of copies held in memory */
#define IN_MEMORY (UINT64_C(64) << 20)

static struct option_list rules;
static const struct option_def options[] = {
    {"rules", 0, OPTION_LIST, "FILE", "more rules: a file or folder; may be given again", &rules},
};

struct scanning {
    struct app *app;
    struct scan_pool *pool;
    struct scan_job job[AT_ONCE];
    struct scan_result result[AT_ONCE];
    char *source[AT_ONCE];
    size_t n;
    uint64_t held, done, total;
    size_t scanned, bad, skipped;
};

/* ---- copies ---- */

static int copy_into(int from, int to, const char *source, struct err *e)
{
    CLEANUP(mem_free) uint8_t *chunk = mem_zeroed(1, 1 << 20);
    uint64_t at = 0;
    ssize_t n;
    while ((n = fd_pread(from, chunk, 1 << 20, at)) > 0) {
        int r = fd_write(to, span_of(chunk, (size_t)n), e);
        if (r < 0) {
            return err_wrap(e, r, "copy %s", source);
        }
        at += (uint64_t)n;
    }
    return n < 0 ? err_sys(e, "read %s", source) : 0;
}

static int nameless(int *out, struct err *e)
{
    const char *tmp = getenv("TMPDIR");
    tmp = tmp != NULL ? tmp : "/var/tmp";
    int fd = open(tmp, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
    if (fd < 0) {
        return err_sys(e, "make a temporary file in %s; set TMPDIR to a folder with room", tmp);
    }
    *out = fd;
    return 0;
}

/* A descriptor of a copy that can be read only. */
static int private_copy(const struct walk_file *f, int *out, struct err *e)
{
    CLEANUP(fd_close) int fd = -1;
    bool memory = f->size <= IN_MEMORY;
    int r = 0;
    if (memory) {
        fd = memfd_create("cordon-scan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        r = fd < 0 ? err_sys(e, "make a copy in memory") : 0;
    } else {
        r = nameless(&fd, e);
    }
    r = r < 0 ? r : copy_into(f->fd, fd, f->source, e);
    if (r == 0 && memory &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        r = err_sys(e, "seal the copy of %s", f->source);
    }
    if (r < 0) {
        return r;
    }
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, O_RDONLY | O_CLOEXEC);
    if (again < 0) {
        return err_sys(e, "open the copy of %s", f->source);
    }
    *out = again;
    return 0;
}

/* ---- results ---- */

static json_t *result_json(const char *source, const struct scan_result *s)
{
    json_t *j = js_new();
    js_set_str(j, "path", source);
    js_set_sha256(j, "sha256", &s->hash.sha256);
    js_set_int(j, "size", (int64_t)s->size);
    js_set_str(j, "verdict", verdict_text(s->verdict));
    js_set(j, "findings", scan_findings_json(s));
    js_set_str(j, "reason", s->reason != NULL && s->reason[0] != 0 ? s->reason : NULL);
    return j;
}

static void print_result(const char *source, const struct scan_result *s)
{
    if (s->verdict == VERDICT_CLEAN) {
        return;
    }
    print_line("%-13s  %s%s%s", verdict_text(s->verdict), source,
               s->reason != NULL && s->reason[0] != 0 ? ": " : "",
               s->reason != NULL ? s->reason : "");
    for (size_t i = 0; i < s->n_findings; i++) {
        const struct scan_finding *f = &s->findings[i];
        bool inside = f->member != NULL && f->member[0] != 0;
        if (f->severity != VERDICT_CLEAN) {
            print_line("               %s %s%s%s%s%s", f->engine, f->rule, inside ? " in " : "",
                       inside ? f->member : "", f->text[0] != 0 ? ": " : "", f->text);
        }
    }
}

static int scan_held(struct scanning *s, struct err *e)
{
    int r = s->n == 0 ? 0 : scan_files(s->pool, s->job, s->n, e);
    progress_end();
    for (size_t i = 0; i < s->n; i++) {
        if (r == 0) {
            CLEANUP(js_free) json_t *j = result_json(s->source[i], &s->result[i]);
            s->scanned++;
            s->bad += s->result[i].verdict != VERDICT_CLEAN;
            if (s->app->json) {
                app_print_json(j);
            } else {
                print_result(s->source[i], &s->result[i]);
            }
        }
        scan_result_clear(&s->result[i]);
        mem_free(&s->source[i]);
        fd_close(&s->job[i].fd);
    }
    s->n = 0;
    s->held = 0;
    return r;
}

static void note_skipped(void *ctx, const char *source, const char *why)
{
    struct scanning *s = ctx;
    s->skipped++;
    if (s->app->json) {
        CLEANUP(js_free) json_t *j = js_new();
        js_set_str(j, "path", source);
        js_set_str(j, "error", "skipped");
        js_set_str(j, "message", why);
        app_print_json(j);
    } else {
        print_warning("skipped %s: %s", source, why);
    }
}

static int one_file(void *ctx, const struct walk_file *f, struct err *e)
{
    struct scanning *s = ctx;
    int fd = -1;
    if (!s->app->quiet) {
        progress("scan", s->done, s->total, f->path);
    }
    s->done++;
    int r = private_copy(f, &fd, e);
    if (r < 0) {
        note_skipped(s, f->source, e->text);
        return 0;
    }
    size_t i = s->n++;
    s->source[i] = mem_str(f->source);
    s->result[i] = (struct scan_result){0};
    s->job[i] = (struct scan_job){.fd = fd, .name = s->source[i], .result = &s->result[i]};
    s->held += f->size;
    return s->n == AT_ONCE || s->held >= BYTES_AT_ONCE ? scan_held(s, e) : 0;
}

/* ---- the command ---- */

static int open_pool(struct settings *settings, struct scan_pool **out, struct err *e)
{
    struct scan_config c;
    scan_config_from(&c, settings);
    c.rules = rules.item;
    c.n_rules = rules.n;
    return scan_pool_new(&c, out, e);
}

static int scan(struct scanning *s, char **paths, size_t n, struct err *e)
{
    struct walk w = {.file = one_file, .skipped = note_skipped, .ctx = s};
    s->total = s->app->quiet || !isatty(2) ? 0 : walk_count(paths, n);
    int r = walk_paths(&w, paths, n, e);
    r = r < 0 ? r : scan_held(s, e);
    if (r < 0) {
        return r;
    }
    if (!s->app->json) {
        char text[64];
        print_line("%s scanned, %zu bad%s.", print_count((size_t)s->scanned, "file", "files", text),
                   s->bad, s->skipped > 0 ? "; some were skipped, named above" : "");
    }
    return s->bad > 0 ? CLI_BAD : s->skipped > 0 ? CLI_FAILED : CLI_DONE;
}

static int run(struct app *app, int argc, char **argv, struct err *e)
{
    struct scanning s = {.app = app};
    struct settings *settings = settings_new();
    int r = app_operands(argc, 1, -1, "files or folders to scan", e);
    r = r != 0 ? r : open_pool(settings, &s.pool, e);
    r = r != 0 ? r : scan(&s, argv, (size_t)argc, e);
    progress_end();
    if (s.pool != NULL) {
        scan_pool_free(&s.pool);
    }
    settings_free(&settings);
    return r;
}

const struct command cmd_scan = {
    .name = "scan",
    .need = CLI_NOTHING,
    .usage = "[--rules FILE]... PATH...",
    .summary = "Inspect files here, without a site",
    .text = "With Cordon's own rules, those of --rules, and clamd if it answers; archives are "
            "unpacked. Symbolic links, FIFOs and devices are named and skipped. Exit status 1 if "
            "a file is not clean, 3 if all are but something was skipped.\n\n"
            "JSON: an object a file: path sha256 size verdict findings[{engine rule severity "
            "offset text}], and reason; for what was skipped path error message.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = run,
};
