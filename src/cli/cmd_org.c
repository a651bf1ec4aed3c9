/* cmd_org.c - organisations: who the customers are, and what they may have. */
#include "cli/commands.h"

#include "base/limits.h"
#include "base/mem.h"
#include "cli/print.h"

/* ---- org add ---- */

static const char *contact, *manager, *language;
static const struct option_def add_options[] = {
    {"contact", 0, OPTION_TEXT, "MAIL", "who is told about recalls", &contact},
    {"manager", 0, OPTION_TEXT, "NAME", "who on our side looks after them", &manager},
    {"language", 0, OPTION_TEXT, "CODE", "of notices: de, en, fr ...", &language},
};

static int add_run(struct app *app, int argc, char **argv, struct err *e)
{
    int r = app_operands(argc, 1, 1, "one organisation", e);
    if (r != 0) {
        return r;
    }
    if (contact == NULL) {
        return cli_usage(e, "--contact MAIL is needed: it is who is told when something is wrong");
    }
    json_t *q = js_new();
    js_set_str(q, "name", argv[0]);
    js_set_str(q, "contact", contact);
    js_set_str(q, "manager", manager);
    js_set_str(q, "language", language);
    CLEANUP(mem_free)
    char *text = mem_printf("Added %s. Next: cordon org grant '%s' PRODUCT, and cordon account add "
                            "--org '%s' USER.",
                            argv[0], argv[0], argv[0]);
    return app_do(app, "org.add", q, text, e);
}

const struct command cmd_org_add = {
    .group = "org",
    .name = "add",
    .need = CLI_GATE,
    .usage = "NAME --contact MAIL [--manager NAME] [--language CODE]",
    .summary = "Add an organisation",
    .text = "JSON: index, the number of its entry in the log.",
    .options = add_options,
    .n_options = ARRAY_LEN(add_options),
    .run = add_run,
};

/* ---- org import ---- */

static int import_run(struct app *app, int argc, char **argv, struct err *e)
{
    CLEANUP(buf_clear) struct buf csv = BUF(LIMIT_CSV + 65536);
    CLEANUP(js_free) json_t *answer = NULL;
    int r = app_operands(argc, 1, 1, "one CSV file, or - for standard input", e);
    r = r != 0 ? r : app_read_text(argv[0], LIMIT_CSV, &csv, e);
    if (r != 0) {
        return r;
    }
    json_t *q = js_new();
    js_set_str(q, "csv", buf_text(&csv));
    r = app_call(app, "org.import", q, &answer, e);
    if (r < 0) {
        return r;
    }
    if (app->json) {
        app_print_json(answer);
    } else {
        print_line("Entered %lld organisations and product grants.",
                   (long long)js_int_or(answer, "entered", 0));
    }
    return CLI_DONE;
}

const struct command cmd_org_import = {
    .group = "org",
    .name = "import",
    .need = CLI_GATE,
    .usage = "FILE",
    .summary = "Add organisations from a CSV file",
    .text = "The first line names the columns: name, contact, and if wanted manager, language, "
            "products (several are parted by `;`). If a line is bad nothing is entered, and "
            "every bad line is named.\n\nJSON: entered.",
    .run = import_run,
};

/* ---- org grant ---- */

static bool revoke;
static const struct option_def grant_options[] = {
    {"revoke", 0, OPTION_FLAG, NULL, "take it back", &revoke},
};

static int grant_run(struct app *app, int argc, char **argv, struct err *e)
{
    int r = app_operands(argc, 2, 2, "an organisation and a product", e);
    if (r != 0) {
        return r;
    }
    json_t *q = js_new();
    js_set_str(q, "name", argv[0]);
    js_set_str(q, "product", argv[1]);
    if (revoke) {
        js_set_bool(q, "revoke", true);
    }
    CLEANUP(mem_free)
    char *text =
        mem_printf(revoke ? "%s may no longer have %s." : "%s may have %s.", argv[0], argv[1]);
    return app_do(app, "org.grant", q, text, e);
}

const struct command cmd_org_grant = {
    .group = "org",
    .name = "grant",
    .need = CLI_GATE,
    .usage = "NAME PRODUCT [--revoke]",
    .summary = "Let an organisation have a product",
    .text = "JSON: index.",
    .options = grant_options,
    .n_options = ARRAY_LEN(grant_options),
    .run = grant_run,
};

/* ---- org list ---- */

static int list_run(struct app *app, int argc, char **argv, struct err *e)
{
    (void)argv;
    static const struct print_column columns[] = {
        {"organisation", "name", PRINT_PLAIN},  {"contact", "contact", PRINT_PLAIN},
        {"manager", "manager", PRINT_PLAIN},    {"language", "language", PRINT_PLAIN},
        {">accounts", "accounts", PRINT_PLAIN}, {"products", "products", PRINT_PLAIN},
    };
    CLEANUP(js_free) json_t *answer = NULL;
    int r = app_operands(argc, 0, 0, "nothing more", e);
    r = r != 0 ? r : app_call(app, "org.list", js_new(), &answer, e);
    if (r == 0) {
        print_list(app, json_object_get(answer, "organisations"), columns, ARRAY_LEN(columns),
                   "No organisation yet. Next: cordon org add NAME --contact MAIL");
    }
    return r;
}

const struct command cmd_org_list = {
    .group = "org",
    .name = "list",
    .need = CLI_GATE,
    .usage = "",
    .summary = "List organisations",
    .text = "JSON: an object an organisation: name contact manager language accounts products[] "
            "since erased anonymous.",
    .run = list_run,
};

/* ---- org erase ---- */

static int erase_run(struct app *app, int argc, char **argv, struct err *e)
{
    int r = app_operands(argc, 1, 1, "one organisation", e);
    if (r != 0) {
        return r;
    }
    json_t *q = js_new();
    js_set_str(q, "name", argv[0]);
    CLEANUP(mem_free)
    char *text = mem_printf("Erased %s with its accounts. Its deliveries are from now on counted "
                            "as those of an erased organisation. Copies of the keyring elsewhere "
                            "still hold its key: replace them.",
                            argv[0]);
    return app_do(app, "org.erase", q, text, e);
}

const struct command cmd_org_erase = {
    .group = "org",
    .name = "erase",
    .need = CLI_GATE,
    .usage = "NAME",
    .summary = "Erase an organisation: its key, so all records of it",
    .text = "Cannot be undone. JSON: index.",
    .run = erase_run,
};
