/* main_cli.c - which command, its options, what it needs open; errors and exit status. */
#include "cli/cli.h"

#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/help.h"

static struct app app = {.site = -1, .control = -1};
static bool want_help;

static const struct option_def common[] = {
    {"site", 'C', OPTION_TEXT, "DIR", "the site; else CORDON_SITE, else this folder",
     &app.site_path},
    {"passphrase-file", 0, OPTION_TEXT, "FILE", "holds the passphrase of the site's keys",
     &app.passphrase_file},
    {"json", 0, OPTION_FLAG, NULL, "one JSON object a line on stdout, also for errors", &app.json},
    {"quiet", 'q', OPTION_FLAG, NULL, "no progress", &app.quiet},
    {"help", 'h', OPTION_FLAG, NULL, "say how it is used", &want_help},
};

const struct option_def *cli_common(size_t *n)
{
    *n = ARRAY_LEN(common);
    return common;
}

const struct command *cli_find(const char *group, const char *name)
{
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        const struct command *c = cli_commands[i];
        bool same_group =
            group == NULL ? c->group == NULL : c->group != NULL && strcmp(c->group, group) == 0;
        if (same_group && strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

/* Errors that a person caused by asking wrongly end with 2, all others with 3. */
static int report(const struct err *e, int status, const struct command *c)
{
    fflush(stdout);
    if (app.json) {
        CLEANUP(js_free) json_t *j = js_new();
        js_set_str(j, "error", status == CLI_USAGE ? "usage" : err_name(e->code));
        js_set_str(j, "message", e->text);
        app_print_json(j);
    } else {
        CLEANUP(buf_clear) struct buf b = BUF(4096);
        text_escape(&b, span_str(e->text));
        fprintf(stderr, "cordon: %s\n", buf_text(&b));
    }
    if (status == CLI_USAGE && c != NULL && !app.json) {
        help_usage(stderr, c);
    }
    return status;
}

static int prepare(const struct command *c, struct err *e)
{
    return c->need == CLI_SITE ? app_open_site(&app, e) : 0;
}

static int run_command(const struct command *c, int argc, char **argv)
{
    struct err e = {0};
    struct option_def defs[64];
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(common); i++) {
        defs[n++] = common[i];
    }
    for (size_t i = 0; i < c->n_options && n < ARRAY_LEN(defs); i++) {
        defs[n++] = c->options[i];
    }
    int operands = options_parse(argc, argv, defs, n, &e);
    if (operands < 0) {
        return report(&e, CLI_USAGE, c);
    }
    if (want_help) {
        help_command(stdout, c);
        return CLI_DONE;
    }
    log_name("cordon");
    int r = prepare(c, &e);
    r = r < 0 ? r : c->run(&app, operands, argv + 1, &e);
    if (r == CLI_USAGE) {
        return report(&e, CLI_USAGE, c);
    }
    if (r < 0) {
        return report(&e, CLI_FAILED, c);
    }
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        err_set(&e, ERR_SYS, "write to standard output");
        return report(&e, CLI_FAILED, c);
    }
    return r;
}

static int unknown(const char *group, const char *name)
{
    if (group == NULL && strcmp(name, "help") == 0) {
        help_all(stdout);
        return CLI_DONE;
    }
    struct err e;
    CLEANUP(mem_free)
    char *said = group != NULL ? mem_printf("%s %s", group, name) : mem_str(name);
    CLEANUP(mem_free) char *near = help_nearest(said);
    if (near != NULL) {
        err_set(&e, ERR_FORMAT, "there is no command \"%s\"; did you mean \"%s\"?", said, near);
    } else {
        err_set(&e, ERR_FORMAT, "there is no command \"%s\"; see cordon --help", said);
    }
    return report(&e, CLI_USAGE, NULL);
}

static bool is_group(const char *name)
{
    for (size_t i = 0; cli_commands[i] != NULL; i++) {
        if (cli_commands[i]->group != NULL && strcmp(cli_commands[i]->group, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Where the command's name stands: options may stand before it and are read again with its own. */
static int find_name(int argc, char **argv)
{
    static const char *const ends[] = {"--help", "-h", "--version"};
    static const char *const valued[] = {"-C", "--site", "--passphrase-file"};
    int at = 1;
    while (at < argc && argv[at][0] == '-') {
        int step = 1;
        for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
            if (strcmp(argv[at], ends[i]) == 0) {
                return at;
            }
            step = strcmp(argv[at], valued[i]) == 0 ? 2 : step;
        }
        at += step;
    }
    return at;
}

/* No command: the overview, on stdout if it was asked for. */
static int overview(const char *asked)
{
    if (asked != NULL && strcmp(asked, "--version") == 0) {
        puts("cordon " CORDON_VERSION);
        return CLI_DONE;
    }
    help_all(asked != NULL ? stdout : stderr);
    return asked != NULL ? CLI_DONE : CLI_USAGE;
}

int cli_main(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        app.json = app.json || strcmp(argv[i], "--json") == 0; /* also for errors before its turn */
    }
    int at = find_name(argc, argv), words = 1;
    if (at >= argc || argv[at][0] == '-') {
        return overview(at < argc ? argv[at] : NULL);
    }
    const char *group = NULL, *name = argv[at];
    if (is_group(name) && cli_find(NULL, name) == NULL) {
        if (at + 1 >= argc || argv[at + 1][0] == '-') {
            help_group(at + 1 < argc ? stdout : stderr, name);
            return at + 1 < argc ? CLI_DONE : CLI_USAGE;
        }
        group = name;
        name = argv[at + 1];
        words = 2;
    }
    const struct command *c = cli_find(group, name);
    if (c == NULL) {
        return unknown(group, name);
    }
    /* drop the command's words, so that options before and after them are read alike */
    memmove(argv + at, argv + at + words, (size_t)(argc - at - words + 1) * sizeof *argv);
    return run_command(c, argc - words, argv);
}
