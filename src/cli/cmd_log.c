/* cmd_log.c - one entry of the log: its proof; and the newest entries as they come. */
#include "cli/commands.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/event_text.h"
#include "cli/logsource.h"
#include "cli/print.h"

/* ---- log prove ---- */

static const char *part;
static const struct option_def prove_options[] = {
    {"part", 0, OPTION_TEXT, "PART",
     "open this part of a private entry too: site, org or account (shows it to who gets this)",
     &part},
};

static int index_of_target(struct app *app, const char *target, uint64_t *out, struct err *e)
{
    CLEANUP(js_free) json_t *answer = NULL;
    struct span rest = span_str(target), product, version;
    if (!span_cut(&rest, '/', &product) || !span_cut(&rest, '/', &version) || rest.p == NULL) {
        return cli_usage(e,
                         "\"%.100s\" is neither a target (PRODUCT/VERSION/FILE) nor the number "
                         "of an entry",
                         target);
    }
    json_t *q = js_new();
    js_set(q, "product", json_stringn((const char *)product.p, product.len));
    js_set(q, "version", json_stringn((const char *)version.p, version.len));
    int r = app_call(app, "release.show", q, &answer, e);
    const json_t *all = json_object_get(answer, "targets");
    for (size_t i = 0; i < json_array_size(all) && r == 0; i++) {
        const json_t *t = json_array_get(all, i);
        if (strcmp(js_str_or(t, "target", ""), target) == 0) {
            return json_object_get(t, "log") != NULL
                       ? js_u64(t, "log", out, e)
                       : err_set(e, ERR_NOTFOUND, "%s was never published: it is %s", target,
                                 js_str_or(t, "state", "unknown"));
        }
    }
    return r < 0 ? r : err_set(e, ERR_NOTFOUND, "there is no target %s", target);
}

struct proved {
    struct tlog_checkpoint head;
    struct digest leaf;
    struct buf file; /* c2sp.org/tlog-proof@v1 */
};

static int prove(struct app *app, uint64_t index, struct proved *p, struct err *e)
{
    struct logsource s = {.dir = -1};
    struct tlog_view *v = NULL;
    struct tlog_hashes path;
    CLEANUP(buf_clear) struct buf note = BUF(LIMIT_NOTE);
    int r = logsource_open(app, NULL, NULL, NULL, &s, e);
    r = r != 0 ? r : tlog_checkpoint_read(&s.tiles, s.origin, &s.key, &note, &p->head, e);
    if (r == 0 && index >= p->head.head.size) {
        r = err_set(e, ERR_NOTFOUND, "the log has no entry %" PRIu64 "; the last is %" PRIu64,
                    index, p->head.head.size - 1);
    }
    r = r != 0 ? r : tlog_view_open(&s.tiles, &p->head.head, &v, e);
    r = r != 0 ? r : tlog_prove_inclusion(v, index, p->head.head.size, &path, e);
    r = r != 0 ? r : tlog_view_leaf(v, index, &p->leaf, e);
    if (r == 0) {
        tlog_proof_write(&p->file, index, &path, SPAN_NONE, buf_view(&note));
        r = buf_done(&p->file, "the proof", e);
    }
    tlog_view_close(&v);
    logsource_clear(&s);
    return r;
}

static int prove_run(struct app *app, int argc, char **argv, struct err *e)
{
    uint64_t index = 0;
    struct proved p = {.file = BUF(LIMIT_NOTE * 2)};
    CLEANUP(js_free) json_t *answer = NULL;
    CLEANUP(js_free) json_t *opened = NULL;
    int r = app_operands(argc, 1, 1, "one target or the number of an entry", e);
    if (r == 0 && text_u64(span_str(argv[0]), TLOG_MAX, &index, NULL) < 0) {
        r = index_of_target(app, argv[0], &index, e);
    }
    r = r != 0 ? r : app_call(app, "log.checkpoint", js_new(), &answer, e);
    r = r != 0 ? r : prove(app, index, &p, e);
    if (r == 0 && part != NULL) {
        json_t *q = js_new();
        js_set_int(q, "index", (int64_t)index);
        js_set_str(q, "part", part);
        r = app_call(app, "log.part", q, &opened, e);
    }
    if (r == 0 && app->json) {
        CLEANUP(js_free) json_t *j = js_new();
        js_set_int(j, "index", (int64_t)index);
        js_set_int(j, "size", (int64_t)p.head.head.size);
        js_set_sha256(j, "root", &p.head.head.root);
        js_set_sha256(j, "leaf", &p.leaf);
        js_set_str(j, "proof", buf_text(&p.file));
        js_set(j, "part", json_incref(opened));
        app_print_json(j);
    } else if (r == 0) {
        fputs(buf_text(&p.file), stdout);
        if (opened != NULL) {
            app_print_json(opened);
        }
    }
    buf_clear(&p.file);
    return r;
}

const struct command cmd_log_prove = {
    .group = "log",
    .name = "prove",
    .need = CLI_GATE,
    .usage = "[--part PART] TARGET|INDEX",
    .summary = "Print the proof that an entry is in the log",
    .text = "Prints a c2sp.org/tlog-proof file; other people's tools check it with the key that "
            "`cordon key vkey` prints. With --part a second line opens one part of a private "
            "entry, for the organisation that it concerns.\n\n"
            "JSON: index size root leaf proof part.",
    .options = prove_options,
    .n_options = ARRAY_LEN(prove_options),
    .run = prove_run,
};

/* ---- log tail ---- */

static bool follow;
static int64_t lines = 10;
static const struct option_def tail_options[] = {
    {"follow", 'f', OPTION_FLAG, NULL, "go on and print entries as they come", &follow},
    {"lines", 'n', OPTION_NUMBER, "N", "so many of the newest entries (10)", &lines},
};

static void print_event(const struct app *app, const json_t *ev)
{
    char time[CLOCK_TEXT];
    CLEANUP(buf_clear) struct buf text = BUF((size_t)1 << 20);
    if (app->json) {
        app_print_json(ev);
        return;
    }
    event_text(&text, ev);
    print_line("%lld  %s  %s", (long long)js_int_or(ev, "index", -1),
               clock_text(js_int_or(ev, "time", 0), true, time), buf_text(&text));
}

static int log_size(struct app *app, uint64_t *out, struct err *e)
{
    CLEANUP(js_free) json_t *head = NULL;
    int r = app_call(app, "log.head", js_new(), &head, e);
    return r < 0 ? r : js_u64(head, "size", out, e);
}

static int print_from(struct app *app, uint64_t *at, uint64_t size, struct err *e)
{
    int r = 0;
    for (; *at < size && r == 0; ++*at) {
        CLEANUP(js_free) json_t *ev = NULL;
        json_t *q = js_new();
        js_set_int(q, "index", (int64_t)*at);
        r = app_call(app, "log.event", q, &ev, e);
        if (r == 0) {
            print_event(app, ev);
        }
    }
    fflush(stdout);
    return r;
}

static int tail_run(struct app *app, int argc, char **argv, struct err *e)
{
    (void)argv;
    uint64_t size = 0, at = 0;
    int r = app_operands(argc, 0, 0, "nothing more", e);
    if (r == 0 && lines < 0) {
        r = cli_usage(e, "--lines takes a number from 0 on");
    }
    r = r != 0 ? r : log_size(app, &size, e);
    if (r != 0) {
        return r;
    }
    at = size > (uint64_t)lines ? size - (uint64_t)lines : 0;
    r = print_from(app, &at, size, e);
    while (r == 0 && follow && ferror(stdout) == 0) {
        nanosleep(&(struct timespec){0, 300 * 1000 * 1000}, NULL);
        r = log_size(app, &size, e);
        r = r < 0 ? r : print_from(app, &at, size, e);
    }
    return r;
}

const struct command cmd_log_tail = {
    .group = "log",
    .name = "tail",
    .need = CLI_GATE,
    .usage = "[-f] [-n N]",
    .summary = "Print the newest entries in clear",
    .text = "Shows what only the site can read; the public log has commitments instead. What was "
            "erased is not shown.\n\nJSON: an object an entry: kind index time and its parts open, "
            "site, org, account.",
    .options = tail_options,
    .n_options = ARRAY_LEN(tail_options),
    .run = tail_run,
};
