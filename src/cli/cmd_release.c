/* cmd_release.c - states of what was admitted: list, show, approve, withhold, recall, lift, stop.
 */
#include "cli/commands.h"

#include "base/mem.h"
#include "cli/print.h"

/* ---- list and show ---- */

static int list_run(struct app *app, int argc, char **argv, struct err *e)
{
    (void)argv;
    static const struct print_column columns[] = {
        {"product", "product", PRINT_PLAIN},       {"version", "version", PRINT_PLAIN},
        {">files", "files", PRINT_PLAIN},          {">size", "size", PRINT_BYTES},
        {"state", "state", PRINT_PLAIN},           {"published", "published_at", PRINT_TIME},
        {"files by state", "states", PRINT_PLAIN},
    };
    CLEANUP(js_free) json_t *answer = NULL;
    int r = app_operands(argc, 0, 0, "nothing more", e);
    r = r != 0 ? r : app_call(app, "release.list", js_new(), &answer, e);
    if (r == 0) {
        print_list(app, json_object_get(answer, "releases"), columns, ARRAY_LEN(columns),
                   "No release yet. Next: cordon admit --product NAME --version VERSION PATH...");
    }
    return r;
}

const struct command cmd_release_list = {
    .group = "release",
    .name = "list",
    .need = CLI_GATE,
    .usage = "",
    .summary = "List releases and their states",
    .text = "JSON: an object a release: product version state files size states{} published_at.",
    .run = list_run,
};

static json_t *product_version(char **argv)
{
    json_t *q = js_new();
    js_set_str(q, "product", argv[0]);
    js_set_str(q, "version", argv[1]);
    return q;
}

static int show_run(struct app *app, int argc, char **argv, struct err *e)
{
    static const struct print_column columns[] = {
        {"target", "target", PRINT_PLAIN}, {"state", "state", PRINT_PLAIN},
        {">size", "size", PRINT_BYTES},    {"sha256", "sha256", PRINT_PLAIN},
        {"reason", "reason", PRINT_PLAIN},
    };
    CLEANUP(js_free) json_t *answer = NULL;
    int r = app_operands(argc, 2, 2, "a product and a version", e);
    r = r != 0 ? r : app_call(app, "release.show", product_version(argv), &answer, e);
    if (r != 0) {
        return r;
    }
    if (app->json) {
        app_print_json(answer);
    } else {
        print_table(json_object_get(answer, "targets"), columns, ARRAY_LEN(columns));
    }
    return CLI_DONE;
}

const struct command cmd_release_show = {
    .group = "release",
    .name = "show",
    .need = CLI_GATE,
    .usage = "PRODUCT VERSION",
    .summary = "Show the files of a release",
    .text = "JSON: one object: product version state files size targets[{target sha256 size state "
            "published admitted log reason findings[]}].",
    .run = show_run,
};

static int approve_run(struct app *app, int argc, char **argv, struct err *e)
{
    int r = app_operands(argc, 2, 2, "a product and a version", e);
    if (r != 0) {
        return r;
    }
    CLEANUP(mem_free) char *text = mem_printf("Approved %s %s.", argv[0], argv[1]);
    return app_do(app, "release.approve", product_version(argv), text, e);
}

const struct command cmd_release_approve = {
    .group = "release",
    .name = "approve",
    .need = CLI_GATE,
    .usage = "PRODUCT VERSION",
    .summary = "Approve a release that waits for a second person",
    .text = "Who admitted a release cannot approve it.\n\nJSON: what became of it.",
    .run = approve_run,
};

/* ---- withhold, recall, lift ---- */

static const char *reason, *replacement;
static const struct option_def reason_options[] = {
    {"reason", 0, OPTION_TEXT, "TEXT", "why; customers read it", &reason},
};
static const struct option_def recall_options[] = {
    {"reason", 0, OPTION_TEXT, "TEXT", "why; customers read it", &reason},
    {"replace", 0, OPTION_TEXT, "TARGET", "what to take instead", &replacement},
};

static int change(struct app *app, const char *op, int argc, char **argv, json_t **answer,
                  struct err *e)
{
    int r = app_operands(argc, 1, 1, "one target (PRODUCT/VERSION/FILE) or SHA-256", e);
    if (r == 0 && (reason == NULL || reason[0] == 0)) {
        r = cli_usage(e, "--reason TEXT is needed: it is what customers will read");
    }
    if (r != 0) {
        return r;
    }
    json_t *q = js_new();
    js_set_str(q, "what", argv[0]);
    js_set_str(q, "reason", reason);
    js_set_str(q, "replace", replacement);
    return app_call(app, op, q, answer, e);
}

/* What happened, and the next step. */
static void tell(const struct app *app, const json_t *answer, const char *done, const char *next)
{
    if (app->json) {
        app_print_json(answer);
        return;
    }
    const json_t *targets = json_object_get(answer, "targets");
    const char *sha256 = js_str_or(answer, "sha256", "");
    print_line("%s %s.", done, sha256);
    for (size_t i = 0; i < json_array_size(targets); i++) {
        CLEANUP(mem_free) char *t = print_cell(json_array_get(targets, i), PRINT_PLAIN);
        print_line("  %s", t);
    }
    if (next != NULL) {
        print_line("%s%s", next, sha256);
    }
}

static int withhold_run(struct app *app, int argc, char **argv, struct err *e)
{
    CLEANUP(js_free) json_t *answer = NULL;
    int r = change(app, "withhold", argc, argv, &answer, e);
    if (r == 0) {
        tell(app, answer, "Withheld", "Nobody was told. Next: cordon recall or cordon lift ");
    }
    return r;
}

const struct command cmd_withhold = {
    .name = "withhold",
    .need = CLI_GATE,
    .usage = "TARGET|SHA256 --reason TEXT",
    .summary = "Stop handing out a file, reversibly; nobody is told",
    .text = "Holds for every name of the same bytes, and resets downloads that are under way.\n\n"
            "JSON: state sha256 targets[] index.",
    .options = reason_options,
    .n_options = ARRAY_LEN(reason_options),
    .run = withhold_run,
};

static int recall_run(struct app *app, int argc, char **argv, struct err *e)
{
    CLEANUP(js_free) json_t *answer = NULL;
    int r = change(app, "recall", argc, argv, &answer, e);
    if (r == 0) {
        tell(app, answer, "Recalled", "Who has it: cordon incident scope --sha256 ");
    }
    return r;
}

const struct command cmd_recall = {
    .name = "recall",
    .need = CLI_GATE,
    .usage = "TARGET|SHA256 --reason TEXT [--replace TARGET]",
    .summary = "Take a file back for good, under every name",
    .text = "In force from its entry in the public log on: nothing is granted or published under "
            "this digest any more, running downloads are reset, and clients learn of it.\n\n"
            "JSON: state sha256 targets[] index.",
    .options = recall_options,
    .n_options = ARRAY_LEN(recall_options),
    .run = recall_run,
};

static int lift_run(struct app *app, int argc, char **argv, struct err *e)
{
    CLEANUP(js_free) json_t *answer = NULL;
    int r = change(app, "lift", argc, argv, &answer, e);
    if (r == 0) {
        tell(app, answer, "Lifted", NULL);
    }
    return r;
}

const struct command cmd_lift = {
    .name = "lift",
    .need = CLI_GATE,
    .usage = "TARGET|SHA256 --reason TEXT",
    .summary = "End a withholding or recall that was a false alarm",
    .text = "The entries stay in the log.\n\nJSON: state sha256 targets[] index.",
    .options = reason_options,
    .n_options = ARRAY_LEN(reason_options),
    .run = lift_run,
};

/* ---- stop --all ---- */

static bool all;
static const struct option_def stop_options[] = {
    {"all", 0, OPTION_FLAG, NULL, "everything that is published", &all},
    {"reason", 0, OPTION_TEXT, "TEXT", "why", &reason},
};

static int stop_run(struct app *app, int argc, char **argv, struct err *e)
{
    (void)argv;
    CLEANUP(js_free) json_t *answer = NULL;
    int r = app_operands(argc, 0, 0, "no file; `cordon withhold` stops one", e);
    if (r == 0 && (!all || reason == NULL || reason[0] == 0)) {
        r = cli_usage(e, "this stops everything: say so with --all, and why with --reason TEXT");
    }
    if (r != 0) {
        return r;
    }
    json_t *q = js_new();
    js_set_str(q, "reason", reason);
    r = app_call(app, "stop.all", q, &answer, e);
    if (r == 0 && app->json) {
        app_print_json(answer);
    } else if (r == 0) {
        print_line("Withheld all %lld published files. Each goes out again after: cordon lift "
                   "TARGET --reason TEXT",
                   (long long)js_int_or(answer, "withheld", 0));
    }
    return r;
}

const struct command cmd_stop = {
    .name = "stop",
    .need = CLI_GATE,
    .usage = "--all --reason TEXT",
    .summary = "The big switch: withhold everything published",
    .text = "Metadata, log and recalls are served on.\n\nJSON: withheld.",
    .options = stop_options,
    .n_options = ARRAY_LEN(stop_options),
    .run = stop_run,
};
