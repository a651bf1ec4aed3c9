/* cmd_config.c - what a site is set to; which program this is; its manual. */
#include "cli/commands.h"

#include "cli/help.h"
#include "cli/print.h"

static int show_run(struct app *app, int argc, char **argv, struct err *e)
{
    (void)argv;
    static const struct print_column columns[] = {
        {"setting", "name", PRINT_PLAIN},
        {"value", "value", PRINT_PLAIN},
        {"default", "default", PRINT_PLAIN},
        {"meaning", "text", PRINT_PLAIN},
    };
    int r = app_operands(argc, 0, 0, "nothing more", e);
    if (r == 0) {
        CLEANUP(js_free) json_t *list = settings_show(app->settings);
        print_list(app, list, columns, ARRAY_LEN(columns), "");
    }
    return r;
}

const struct command cmd_config_show = {
    .group = "config",
    .name = "show",
    .need = CLI_SITE,
    .usage = "",
    .summary = "Show every setting of the site and its default",
    .text = "They stand in cordon.yaml. JSON: an object a setting: name value default changed "
            "text.",
    .run = show_run,
};

static int version_run(struct app *app, int argc, char **argv, struct err *e)
{
    (void)argv;
    int r = app_operands(argc, 0, 0, "nothing more", e);
    if (r != 0) {
        return r;
    }
    if (app->json) {
        CLEANUP(js_free) json_t *j = js_new();
        js_set_str(j, "version", CORDON_VERSION);
        app_print_json(j);
    } else {
        puts("cordon " CORDON_VERSION);
    }
    return CLI_DONE;
}

const struct command cmd_version = {
    .name = "version",
    .need = CLI_NOTHING,
    .usage = "",
    .summary = "Print the version",
    .text = "JSON: version.",
    .run = version_run,
};

static int man_run(struct app *app, int argc, char **argv, struct err *e)
{
    (void)app;
    int r = app_operands(argc, 0, 2, "at most one command", e);
    if (r != 0) {
        return r;
    }
    const struct command *c = argc == 0   ? NULL
                              : argc == 1 ? cli_find(NULL, argv[0])
                                          : cli_find(argv[0], argv[1]);
    if (argc > 0 && c == NULL) {
        return cli_usage(e, "there is no command \"%s%s%s\"", argv[0], argc > 1 ? " " : "",
                         argc > 1 ? argv[1] : "");
    }
    help_man(stdout, c);
    return CLI_DONE;
}

const struct command cmd_man = {
    .name = "man",
    .need = CLI_NOTHING,
    .hidden = true,
    .usage = "[COMMAND]",
    .summary = "Print the manual page, or that of a command, as roff",
    .run = man_run,
};
