/* cmd_admit.c - files and folders go to a site, here or elsewhere, and what became of each. */
#include "cli/commands.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/print.h"
#include "cli/remote.h"
#include "cli/walk.h"
#include "tuf/tuf.h"

#define AT_ONCE ((size_t)16) /* files in one request */

static const char *product, *version, *hold, *provenance, *to, *token_file;
static bool may_rename, emergency;
static const struct option_def options[] = {
    {"product", 0, OPTION_TEXT, "NAME", "what it is", &product},
    {"version", 0, OPTION_TEXT, "VERSION", "which one; other bytes under a name are refused",
     &version},
    {"hold", 0, OPTION_TEXT, "TIME", "publish only after so long (72h) and another inspection",
     &hold},
    {"rename", 0, OPTION_FLAG, NULL, "take the suggested name where a name is refused",
     &may_rename},
    {"emergency", 0, OPTION_FLAG, NULL, "no hold and no approval; inspection is never waived",
     &emergency},
    {"provenance", 0, OPTION_TEXT, "FILE", "JSON object that says where the files come from",
     &provenance},
    {"to", 0, OPTION_TEXT, "URL", "upload to this server instead", &to},
    {"token-file", 0, OPTION_TEXT, "FILE", "what `operator add` printed, for --to", &token_file},
};

/* One admission under way. */
struct admission {
    struct app *app;
    struct remote remote;
    uint64_t batch, total;
    json_t *files; /* {path, source} of the descriptors below */
    int fds[AT_ONCE];
    size_t n;
    json_t *skipped;  /* [{path, error, message}] */
    json_t *sources;  /* with --to: of each upload, in order */
    json_t *misnamed; /* with --to: results of files that were not sent for their name */
    uint64_t done;
};

static void note_skipped(void *ctx, const char *source, const char *why)
{
    struct admission *a = ctx;
    json_t *s = js_new();
    js_set_str(s, "path", source);
    js_set_str(s, "error", "skipped");
    js_set_str(s, "message", why);
    js_add(a->skipped, s);
}

/* ---- to the site ---- */

static int begin(struct admission *a, json_t *take, struct err *e)
{
    CLEANUP(js_free) json_t *q = take;
    CLEANUP(js_free) json_t *answer = NULL;
    int r = to != NULL ? remote_call(&a->remote, "admit.begin", q, &answer, e)
                       : app_call(a->app, "admit.begin", json_incref(q), &answer, e);
    return r < 0 ? r : js_u64(answer, "batch", &a->batch, e);
}

static int flush_files(struct admission *a, struct err *e)
{
    CLEANUP(js_free) json_t *answer = NULL;
    if (a->n == 0) {
        return 0;
    }
    json_t *q = js_new();
    js_set_int(q, "batch", (int64_t)a->batch);
    js_set(q, "files", a->files);
    a->files = js_list();
    int r = app_call_files(a->app, "admit.files", q, (struct app_files){a->fds, a->n}, &answer, e);
    for (size_t i = 0; i < a->n; i++) {
        fd_close(&a->fds[i]);
    }
    a->n = 0;
    return r;
}

/* The name under which a file is uploaded; the server takes no other. False: it has none. */
static bool upload_name(const struct walk_file *f, struct buf *out, struct err *e)
{
    CLEANUP(buf_clear) struct buf better = BUF(LIMIT_TARGET + 1);
    if (tuf_check_name(span_str(f->path), &better, e) == 0) {
        buf_str(out, f->path);
        return true;
    }
    if (may_rename && better.len > 0) {
        buf_str(out, buf_text(&better));
        return true;
    }
    size_t used = strlen(e->text);
    if (better.len > 0) {
        snprintf(e->text + used, sizeof e->text - used, ": --rename would make it \"%s\"",
                 buf_text(&better));
    }
    return false;
}

/* The same result as a site gives that sees the name itself. */
static void note_misnamed(struct admission *a, const char *source, const char *why)
{
    json_t *j = js_new();
    js_set_str(j, "path", source);
    js_set_str(j, "verdict", "none");
    js_set(j, "findings", js_list());
    js_set_bool(j, "published", false);
    js_set_str(j, "state", "refused");
    js_set_str(j, "reason", why);
    js_add(a->misnamed, j);
}

static int upload(struct admission *a, const struct walk_file *f, struct err *e)
{
    CLEANUP(buf_clear) struct buf name = BUF(LIMIT_TARGET + 1);
    CLEANUP(js_free) json_t *answer = NULL;
    if (!upload_name(f, &name, e)) {
        note_misnamed(a, f->source, e->text);
        return 0;
    }
    js_add_str(a->sources, f->source);
    int r = remote_upload(&a->remote, a->batch, buf_text(&name), f->fd, &answer, e);
    return r < 0 ? err_wrap(e, r, "upload %s", f->source) : 0;
}

/* What was uploaded is named as it is here, as without --to. */
static void complete_results(const struct admission *a, json_t *results)
{
    size_t n = json_array_size(a->sources);
    for (size_t i = 0; i < n && n == json_array_size(results); i++) {
        js_set(json_array_get(results, i), "path", json_incref(json_array_get(a->sources, i)));
    }
    json_array_extend(results, a->misnamed);
}

static int one_file(void *ctx, const struct walk_file *f, struct err *e)
{
    struct admission *a = ctx;
    if (!a->app->quiet) {
        progress("admit", a->done, a->total, f->path);
    }
    a->done++;
    if (to != NULL) {
        return upload(a, f, e);
    }
    int fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) {
        return err_sys(e, "keep %s open", f->source);
    }
    json_t *j = js_new();
    js_set_str(j, "path", f->path);
    js_set_str(j, "source", f->source);
    js_add(a->files, j);
    a->fds[a->n++] = fd;
    return a->n == AT_ONCE ? flush_files(a, e) : 0;
}

static int end(struct admission *a, json_t **answer, struct err *e)
{
    CLEANUP(js_free) json_t *q = js_new();
    js_set_int(q, "batch", (int64_t)a->batch);
    if (!a->app->quiet) {
        progress("sign and publish", a->done, a->total, NULL);
    }
    int r = to != NULL ? remote_call(&a->remote, "admit.end", q, answer, e)
                       : app_call(a->app, "admit.end", json_incref(q), answer, e);
    progress_end();
    return r;
}

/* ---- what became of them ---- */

static void print_refused(const json_t *file)
{
    const json_t *list = json_object_get(file, "findings");
    print_line("refused  %s: %s", js_str_or(file, "path", "?"),
               js_str_or(file, "reason", js_str_or(file, "verdict", "?")));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *f = json_array_get(list, i);
        const char *member = js_str_or(f, "member", "");
        if (strcmp(js_str_or(f, "severity", ""), "clean") != 0) {
            print_line("           %s %s%s%s", js_str_or(f, "engine", ""), js_str_or(f, "rule", ""),
                       member[0] != 0 ? " in " : "", member);
        }
    }
}

struct counts {
    size_t published, held, waiting, refused, other;
};

static struct counts count(const json_t *results)
{
    struct counts n = {0};
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *f = json_array_get(results, i);
        const char *state = js_str_or(f, "state", "");
        bool published = js_bool_or(f, "published", false);
        size_t *at = published                       ? &n.published
                     : strcmp(state, "held") == 0    ? &n.held
                     : strcmp(state, "waiting") == 0 ? &n.waiting
                     : strcmp(state, "refused") == 0 ? &n.refused
                                                     : &n.other;
        ++*at;
    }
    return n;
}

static void print_counts(const struct counts *n, size_t skipped)
{
    char text[64];
    size_t all = n->published + n->held + n->waiting + n->refused + n->other;
    print_line("%s: %zu published, %zu refused", print_count(all, "file", "files", text),
               n->published, n->refused);
    if (n->held > 0) {
        print_line("%zu held: inspected again and published at the end of the hold.", n->held);
    }
    if (n->waiting > 0) {
        print_line("%zu wait for a second person: cordon release approve %s %s", n->waiting,
                   product, version);
    }
    if (n->other > 0) {
        print_line("%zu neither published nor refused: see cordon release show %s %s", n->other,
                   product, version);
    }
    if (skipped > 0) {
        print_line("%zu skipped, named above.", skipped);
    }
}

static int tell(const struct admission *a, const json_t *results)
{
    struct counts n = count(results);
    size_t skipped = json_array_size(a->skipped);
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *f = json_array_get(results, i);
        if (a->app->json) {
            app_print_json(f);
        } else if (strcmp(js_str_or(f, "state", ""), "refused") == 0) {
            print_refused(f);
        }
    }
    for (size_t i = 0; i < skipped; i++) {
        const json_t *s = json_array_get(a->skipped, i);
        if (a->app->json) {
            app_print_json(s);
        } else {
            print_warning("skipped %s: %s", js_str_or(s, "path", ""), js_str_or(s, "message", ""));
        }
    }
    if (!a->app->json) {
        print_counts(&n, skipped);
    }
    return n.refused > 0 ? CLI_BAD : skipped > 0 ? CLI_FAILED : CLI_DONE;
}

/* ---- the command ---- */

static int read_provenance(json_t *q, struct err *e)
{
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_REQUEST + 65536);
    json_t *j = NULL;
    int r = app_read_text(provenance, LIMIT_REQUEST, &b, e);
    r = r < 0 ? r : js_parse(buf_view(&b), LIMIT_REQUEST, provenance, &j, e);
    if (r == 0 && !json_is_object(j)) {
        r = err_set(e, ERR_FORMAT, "%s is no JSON object", provenance);
    }
    CLEANUP(buf_clear) struct buf canon = BUF(LIMIT_JSON);
    if (r == 0 && js_canon(&canon, j, e) < 0) { /* as it will be recorded */
        r = err_wrap(e, ERR_FORMAT, "%s cannot be recorded as it is", provenance);
    }
    if (r < 0) {
        js_free(&j);
    }
    if (r == 0) {
        js_set(q, "provenance", j);
    }
    return r;
}

static int request(json_t **out, struct err *e)
{
    char host[256] = "";
    int64_t unused = 0;
    CLEANUP(js_free) json_t *q = js_new();
    js_set_str(q, "product", product);
    js_set_str(q, "version", version);
    if (hold != NULL && clock_duration(span_str(hold), &unused, e) < 0) {
        return cli_usage(e, "--hold takes a time such as 72h or 3d, not \"%.40s\"", hold);
    }
    js_set_str(q, "hold", hold);
    if (may_rename) {
        js_set_bool(q, "rename", true);
    }
    if (emergency) {
        js_set_bool(q, "emergency", true);
    }
    if (gethostname(host, sizeof host - 1) == 0) {
        js_set_str(q, "host", host);
    }
    int r = provenance != NULL ? read_provenance(q, e) : 0;
    if (r == 0) {
        *out = json_incref(q);
    }
    return r;
}

static int admit(struct admission *a, char **paths, size_t n, struct err *e)
{
    CLEANUP(js_free) json_t *answer = NULL;
    json_t *q = NULL;
    struct walk w = {.file = one_file, .skipped = note_skipped, .ctx = a};
    int r = request(&q, e);
    r = r != 0 ? r : begin(a, q, e);
    if (r != 0) {
        return r == ERR_FORMAT || r == ERR_LIMIT ? CLI_USAGE
                                                 : r; /* a product or version that cannot be one */
    }
    a->total = a->app->quiet || !isatty(2) ? 0 : walk_count(paths, n);
    r = walk_paths(&w, paths, n, e);
    r = r < 0 ? r : flush_files(a, e);
    if (r == 0 && a->done == 0 && json_array_size(a->skipped) == 0) {
        r = err_set(e, ERR_NOTFOUND, "there is no file in %s", paths[0]);
    }
    r = r < 0 ? r : end(a, &answer, e);
    if (r < 0) {
        return r;
    }
    complete_results(a, json_object_get(answer, "results"));
    return tell(a, json_object_get(answer, "results"));
}

static int run(struct app *app, int argc, char **argv, struct err *e)
{
    struct admission a = {.app = app,
                          .files = js_list(),
                          .skipped = js_list(),
                          .sources = js_list(),
                          .misnamed = js_list()};
    int r = app_operands(argc, 1, -1, "files or folders to admit", e);
    if (r == 0 && (product == NULL || version == NULL)) {
        r = cli_usage(e, "--product and --version are needed");
    }
    if (r == 0 && (to == NULL) != (token_file == NULL)) {
        r = cli_usage(e, "--to and --token-file belong together");
    }
    if (r == 0 && to != NULL) {
        r = remote_open(to, token_file, &a.remote, e);
    }
    r = r != 0 ? r : admit(&a, argv, (size_t)argc, e);
    progress_end();
    remote_clear(&a.remote);
    js_free(&a.files);
    js_free(&a.skipped);
    js_free(&a.sources);
    js_free(&a.misnamed);
    return r;
}

const struct command cmd_admit = {
    .name = "admit",
    .need = CLI_GATE, /* unless --to names one elsewhere */
    .usage = "--product NAME --version VERSION [--hold TIME] [--rename] [--emergency] "
             "[--provenance FILE] [--to URL --token-file FILE] PATH...",
    .summary = "Inspect, sign and publish files",
    .text = "A folder is walked in byte order; a file becomes PRODUCT/VERSION/PATH, where PATH is "
            "its path below the folder. Symbolic links, FIFOs and devices are named and skipped. "
            "All files of one call are one publish: after an error nothing of it is published. "
            "New names may join a version; other bytes under a name may not.\n\n"
            "Exit status 1 if a file was refused, 3 if none was but something was skipped.\n\n"
            "JSON: an object a file: path sha256 size verdict findings[] target published, and "
            "state (published, held, waiting, refused) with reason; for what was skipped path "
            "error message.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = run,
};
