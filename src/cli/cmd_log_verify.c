/* cmd_log_verify.c - read a whole log again and say what is wrong with it. */
#include "cli/commands.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/note.h"
#include "base/table.h"
#include "cli/logsource.h"
#include "cli/print.h"

#define TRIES 3 /* a log that grows replaces tiles while they are read */

static const char *url, *folder, *vkey, *older_file;
static const struct option_def options[] = {
    {"url", 0, OPTION_TEXT, "URL", "a log served elsewhere", &url},
    {"dir", 0, OPTION_TEXT, "DIR", "a log in a folder", &folder},
    {"vkey", 0, OPTION_TEXT, "KEY", "its verifier key, where it is not that of the site", &vkey},
    {"older", 0, OPTION_TEXT, "FILE", "a checkpoint kept from earlier: was history rewritten?",
     &older_file},
};

static void on_step(void *ctx, uint64_t done, uint64_t all)
{
    (void)ctx;
    progress("verify", done, all, NULL);
}

/* What is told, filled in as far as the judging came. */
struct judged {
    struct tlog_checkpoint head;
    bool have_head, empty;
    struct tlog_report report;
    bool bad;
    struct err why; /* bad without a report */
};

static int read_older(const struct logsource *s, struct tlog_head *out, struct err *e)
{
    CLEANUP(buf_clear) struct buf note = BUF(LIMIT_NOTE);
    struct tlog_checkpoint c;
    int r = file_read(AT_FDCWD, older_file, LIMIT_NOTE, &note, e);
    r = r < 0 ? r : tlog_checkpoint_open(buf_view(&note), s->origin, &s->key, &c, e);
    if (r == 0) {
        *out = c.head;
    }
    return r < 0 ? err_wrap(e, r, "--older %s", older_file) : 0;
}

/* A log that has no entry yet has no checkpoint either; only its own site can know that. */
static bool not_begun(const struct app *app, const struct logsource *s)
{
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_JSON);
    CLEANUP(js_free) json_t *state = NULL;
    return s->ours && file_read(app->site, "state/log.json", LIMIT_JSON, &b, NULL) == 0 &&
           js_parse(buf_view(&b), LIMIT_JSON, "state/log.json", &state, NULL) == 0 &&
           js_int_or(state, "size", -1) == 0;
}

/* Errors that say "this log is bad" rather than "it could not be judged". */
static bool is_bad(int r)
{
    return r == ERR_TRUST || r == ERR_FORMAT || r == ERR_NOTFOUND || r == ERR_LIMIT;
}

static int judge(const struct app *app, const struct logsource *s, const struct tlog_head *older,
                 struct judged *j, struct err *e)
{
    struct tlog_progress step = {on_step, NULL};
    *j = (struct judged){0};
    int r = tlog_checkpoint_read(&s->tiles, s->origin, &s->key, NULL, &j->head, e);
    j->have_head = r == 0;
    if (r == ERR_NOTFOUND && not_begun(app, s)) {
        j->empty = true;
        return 0;
    }
    r = r < 0
            ? r
            : tlog_audit(&s->tiles, &j->head.head, older, app->quiet ? NULL : &step, &j->report, e);
    progress_end();
    if (r < 0 && is_bad(r)) {
        j->bad = true;
        j->why = *e;
        r = 0;
    } else if (r == 0) {
        j->bad = !tlog_report_good(&j->report);
    }
    return r;
}

static const char *growth_word(enum tlog_growth g)
{
    return g == TLOG_GREW ? "grew" : g == TLOG_REWRITTEN ? "rewritten" : "unknown";
}

static void tell_json(const struct judged *j, const char *key)
{
    CLEANUP(js_free) json_t *o = js_new();
    json_t *faults = js_list();
    js_set_bool(o, "good", !j->bad);
    js_set_str(o, "vkey", key);
    js_set_int(o, "size", (int64_t)j->head.head.size);
    if (j->have_head) {
        js_set_sha256(o, "root", &j->head.head.root);
    }
    js_set_str(o, "growth", older_file != NULL ? growth_word(j->report.growth) : NULL);
    for (size_t i = 0; i < j->report.faults && i < TLOG_FAULTS; i++) {
        CLEANUP(buf_clear) struct buf text = BUF(1024);
        json_t *f = js_new();
        tlog_fault_text(&j->report.fault[i], &text);
        js_set_str(f, "text", buf_text(&text));
        js_set_int(f, "first", (int64_t)j->report.fault[i].first);
        js_set_int(f, "count", (int64_t)j->report.fault[i].count);
        js_add(faults, f);
    }
    js_set(o, "faults", faults);
    js_set_str(o, "message", j->why.code != 0 ? j->why.text : NULL);
    app_print_json(o);
}

static void tell(const struct judged *j, const char *key)
{
    char root[DIGEST_TEXT + 1];
    print_line("key   %s", key);
    if (j->empty) {
        print_line("The log has no entry yet.");
        return;
    }
    if (j->have_head) {
        print_line("size  %llu entries", (unsigned long long)j->head.head.size);
        print_line("root  %s", digest_text(&j->head.head.root, root));
    }
    for (size_t i = 0; i < j->report.faults && i < TLOG_FAULTS; i++) {
        CLEANUP(buf_clear) struct buf text = BUF(1024);
        tlog_fault_text(&j->report.fault[i], &text);
        print_line("bad   %s", buf_text(&text));
    }
    if (j->why.code != 0) {
        print_line("bad   %s", j->why.text);
    } else if (!j->report.root_ok) {
        print_line("bad   the entries do not give the signed root");
    }
    if (older_file != NULL && !j->bad) {
        print_line("The older checkpoint is a prefix of it.");
    } else if (j->report.growth == TLOG_REWRITTEN) {
        print_line("bad   history was rewritten: the older checkpoint is no prefix. Keep both "
                   "checkpoints: they prove it.");
    }
    print_line(j->bad ? "The log is BAD." : "The log is good.");
}

static int run(struct app *app, int argc, char **argv, struct err *e)
{
    (void)argv;
    struct logsource s = {.dir = -1};
    struct tlog_head older;
    struct judged j = {0};
    CLEANUP(buf_clear) struct buf key = BUF(1024);
    int r = app_operands(argc, 0, 0, "nothing more; see --url and --dir", e);
    r = r != 0 ? r : logsource_open(app, url, folder, vkey, &s, e);
    r = r != 0 || older_file == NULL ? r : read_older(&s, &older, e);
    for (int i = 0; i < TRIES && r == 0 && (i == 0 || j.bad); i++) {
        tlog_report_clear(&j.report);
        r = judge(app, &s, older_file != NULL ? &older : NULL, &j, e);
    }
    if (r == 0) {
        note_vkey(&key, s.origin, &s.key);
        (app->json ? tell_json : tell)(&j, buf_text(&key));
        r = j.bad ? CLI_BAD : CLI_DONE;
    }
    tlog_report_clear(&j.report);
    logsource_clear(&s);
    return r;
}

const struct command cmd_log_verify = {
    .group = "log",
    .name = "verify",
    .need = CLI_NOTHING,
    .usage = "[--url URL | --dir DIR] [--vkey KEY] [--older FILE]",
    .summary = "Check the whole log: signature, tiles, history",
    .text = "Reads every entry and hash again. Without --url and --dir the site's own log; "
            "elsewhere no site is needed if --vkey is given. It judges the log only, not the "
            "files. Exit status 1 if anything is wrong.\n\n"
            "JSON: good vkey size root growth faults[{text first count}] message.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = run,
};
