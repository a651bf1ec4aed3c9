/* cli.h - commands: one table gives dispatch, help and manual pages.
 *
 * One command a process, so the places that options are read into are statics of the command's
 * file. Results go to stdout (text for people, one JSON object a line with --json), progress and
 * errors to stderr; with --json errors are objects on stdout too. */
#pragma once
#include "base/json.h"
#include "base/options.h"
#include "base/settings.h"
#include "key/key.h"

enum cli_exit { CLI_DONE = 0, CLI_BAD = 1, CLI_USAGE = 2, CLI_FAILED = 3 };

enum cli_need {
    CLI_NOTHING = 0,
    CLI_SITE, /* the folder is open and cordon.yaml read */
    /* A gate is asked: the server's, or one started for this command. app_call() opens site and
     * gate, so that wrong usage is told before a passphrase is asked for. */
    CLI_GATE,
};

struct app {
    const char *site_path, *passphrase_file;
    bool json, quiet;
    int site;    /* folder */
    int control; /* socket to the gate */
    uint32_t seq;
    struct settings *settings;
    char *settings_text;
};

struct command {
    const char *group, *name; /* group NULL: "cordon admit"; else "cordon org add" */
    enum cli_need need;
    bool hidden; /* not listed by help */
    const char *usage, *summary;
    const char *text; /* for the manual page: paragraphs, and the fields of --json */
    const struct option_def *options;
    size_t n_options;
    /* argv[0..argc-1] are the operands. Returns an enum cli_exit, or a negative error code. */
    int (*run)(struct app *app, int argc, char **argv, struct err *e);
};
/* Sorted by "group name"; ends with NULL. */
extern const struct command *const cli_commands[];
const struct command *cli_find(const char *group, const char *name);

int cli_main(int argc, char **argv);

/* A usage error: its text is followed by the command's usage line, the exit status is 2. */
#define cli_usage(e, ...) (err_set(e, ERR_FORMAT, __VA_ARGS__), CLI_USAGE)

/* ---- for commands ---- */

/* Asks the gate (opened at the first call): sets "op", sends, shows progress, returns the answer
 * (new reference). The request is taken. */
MUST_CHECK int app_call(struct app *app, const char *op, json_t *take, json_t **answer,
                        struct err *e);
/* With descriptors, which stay the caller's. */
struct app_files {
    const int *fd;
    size_t n;
};
MUST_CHECK int app_call_files(struct app *app, const char *op, json_t *take, struct app_files files,
                              json_t **answer, struct err *e);
/* The same when the answer is printed as it is with --json, and `text` (may be NULL: nothing) is
 * printed else. */
MUST_CHECK int app_do(struct app *app, const char *op, json_t *take, const char *text,
                      struct err *e);
void app_print_json(const json_t *j); /* one line on stdout */
/* Passphrase of the site: see key_passphrase(). Shows its warning. */
MUST_CHECK int app_passphrase(struct app *app, bool fresh, struct key_pass *out, struct err *e);
MUST_CHECK int app_open_site(struct app *app, struct err *e);
/* Exactly (or at least) so many operands: CLI_USAGE with the text else, or 0. */
MUST_CHECK int app_operands(int argc, int least, int most, const char *what, struct err *e);
/* The whole text of a file, or of standard input for "-"; UTF-8 without NUL. */
MUST_CHECK int app_read_text(const char *path, size_t max, struct buf *out, struct err *e);
/* Opens the gate with the root keys at hand; fails if a server runs. */
MUST_CHECK int app_connect(struct app *app, bool with_root, struct err *e);
/* The site's lock, waiting up to a minute for processes of another command, and saying so.
 * ERR_CONFLICT at once if a server runs. */
MUST_CHECK int app_lock(struct app *app, int *lock, struct err *e);
/* Opens a file for reading with the rights of who typed the command; "-" is standard input. */
MUST_CHECK int app_open_file(const char *path, int *out, struct err *e);
