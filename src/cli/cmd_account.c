/* cmd_account.c - accounts: the user names of an organisation, and their tokens. */
#include "cli/commands.h"

#include "base/limits.h"
#include "base/mem.h"
#include "cli/print.h"

static const char *org;
static bool renew;
#define ORG                                                                                        \
    {                                                                                              \
        "org", 0, OPTION_TEXT, "NAME", "the organisation", &org                                    \
    }
static const struct option_def options[] = {ORG};
static const struct option_def add_options[] = {
    ORG,
    {"renew", 0, OPTION_FLAG, NULL, "a new token for an account that has one; the old one ends",
     &renew},
};

/* {org, user} of a command with one operand. */
static int org_user(int argc, char **argv, json_t **out, struct err *e)
{
    int r = app_operands(argc, 1, 1, "one user", e);
    if (r == 0 && org == NULL) {
        r = cli_usage(e, "--org NAME is needed: a user name belongs to an organisation");
    }
    if (r == 0) {
        *out = js_new();
        js_set_str(*out, "org", org);
        js_set_str(*out, "user", argv[0]);
    }
    return r;
}

static int add_run(struct app *app, int argc, char **argv, struct err *e)
{
    json_t *q = NULL;
    CLEANUP(js_free) json_t *answer = NULL;
    int r = org_user(argc, argv, &q, e);
    if (r != 0) {
        return r;
    }
    if (renew) {
        js_set_bool(q, "renew", true);
    }
    r = app_call(app, "account.add", q, &answer, e);
    if (r < 0) {
        return r;
    }
    if (app->json) {
        app_print_json(answer);
    } else {
        print_line("Added %s of %s. Its token, shown this once:", argv[0], org);
        print_line("%s", js_str_or(answer, "token", ""));
    }
    return CLI_DONE;
}

const struct command cmd_account_add = {
    .group = "account",
    .name = "add",
    .need = CLI_GATE,
    .usage = "--org NAME [--renew] USER",
    .summary = "Add an account and show its token once",
    .text = "The token is the password of HTTP Basic (with the user name) or a Bearer token.\n\n"
            "JSON: account organisation token.",
    .options = add_options,
    .n_options = ARRAY_LEN(add_options),
    .run = add_run,
};

static int disable_run(struct app *app, int argc, char **argv, struct err *e)
{
    json_t *q = NULL;
    int r = org_user(argc, argv, &q, e);
    if (r != 0) {
        return r;
    }
    CLEANUP(mem_free)
    char *text = mem_printf("Disabled %s of %s: its token is refused from now on.", argv[0], org);
    return app_do(app, "account.disable", q, text, e);
}

const struct command cmd_account_disable = {
    .group = "account",
    .name = "disable",
    .need = CLI_GATE,
    .usage = "--org NAME USER",
    .summary = "Refuse an account from now on",
    .text = "JSON: index.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = disable_run,
};

static int erase_run(struct app *app, int argc, char **argv, struct err *e)
{
    json_t *q = NULL;
    int r = org_user(argc, argv, &q, e);
    if (r != 0) {
        return r;
    }
    CLEANUP(mem_free)
    char *text = mem_printf("Erased %s of %s. What the organisation got stays known. Copies of the "
                            "keyring elsewhere still hold its key: replace them.",
                            argv[0], org);
    return app_do(app, "account.erase", q, text, e);
}

const struct command cmd_account_erase = {
    .group = "account",
    .name = "erase",
    .need = CLI_GATE,
    .usage = "--org NAME USER",
    .summary = "Erase an account: its key, so who it was",
    .text = "Cannot be undone. Scope by organisation stays exact. JSON: index.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = erase_run,
};

static int list_run(struct app *app, int argc, char **argv, struct err *e)
{
    (void)argv;
    static const struct print_column columns[] = {
        {"organisation", "organisation", PRINT_PLAIN},
        {"user", "user", PRINT_PLAIN},
        {"signs in with", "signs_in", PRINT_PLAIN},
        {"disabled", "disabled", PRINT_PLAIN},
        {"since", "since", PRINT_TIME},
    };
    CLEANUP(js_free) json_t *answer = NULL;
    json_t *q = js_new();
    js_set_str(q, "org", org);
    int r = app_operands(argc, 0, 0, "nothing more; --org NAME lists those of one organisation", e);
    if (r != 0) {
        js_free(&q);
        return r;
    }
    r = app_call(app, "account.list", q, &answer, e);
    if (r == 0) {
        print_list(app, json_object_get(answer, "accounts"), columns, ARRAY_LEN(columns),
                   "No account yet. Next: cordon account add --org NAME USER");
    }
    return r;
}

const struct command cmd_account_list = {
    .group = "account",
    .name = "list",
    .need = CLI_GATE,
    .usage = "[--org NAME]",
    .summary = "List accounts",
    .text = "JSON: an object an account: account organisation user signs_in disabled erased since.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = list_run,
};

static int import_run(struct app *app, int argc, char **argv, struct err *e)
{
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_CSV + 65536);
    CLEANUP(js_free) json_t *answer = NULL;
    int r = app_operands(argc, 1, 1, "one htpasswd file, or - for standard input", e);
    r = r != 0 ? r : app_read_text(argv[0], LIMIT_CSV, &text, e);
    if (r != 0) {
        return r;
    }
    json_t *q = js_new();
    js_set_str(q, "htpasswd", buf_text(&text));
    js_set_str(q, "org", org);
    r = app_call(app, "account.import", q, &answer, e);
    if (r < 0) {
        return r;
    }
    if (app->json) {
        app_print_json(answer);
    } else {
        print_line("Entered %lld accounts; they sign in with the passwords they have.",
                   (long long)js_int_or(answer, "entered", 0));
    }
    return CLI_DONE;
}

const struct command cmd_account_import = {
    .group = "account",
    .name = "import",
    .need = CLI_GATE,
    .usage = "[--org NAME] FILE",
    .summary = "Add accounts from an htpasswd file",
    .text = "Lines USER:HASH belong to the organisation of --org; without it USER is written "
            "ORGANISATION\\USER. If a line is bad nothing is entered.\n\nJSON: entered.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = import_run,
};
