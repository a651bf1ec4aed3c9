/* cmd_retro.c - a new signature against everything that was ever published. */
#include "cli/commands.h"

#include "base/fd.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "cli/print.h"

static bool force;
static const struct option_def options[] = {
    {"force", 0, OPTION_FLAG, NULL, "withhold even if it matches much of what is published",
     &force},
};

static int open_rules(char **paths, size_t n, int *fds, json_t *names, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        const char *slash = strrchr(paths[i], '/');
        int r = app_open_file(paths[i], &fds[i], e);
        if (r < 0) {
            return r;
        }
        js_add_str(names, slash != NULL ? slash + 1 : paths[i]);
    }
    return 0;
}

static void tell(const json_t *answer)
{
    const json_t *found = json_object_get(answer, "found");
    long long scanned = js_int_or(answer, "scanned", 0),
              withheld = js_int_or(answer, "withheld", 0);
    size_t n = json_array_size(found);
    for (size_t i = 0; i < n; i++) {
        const json_t *f = json_array_get(found, i);
        CLEANUP(mem_free) char *targets = print_cell(json_object_get(f, "targets"), PRINT_PLAIN);
        CLEANUP(mem_free) char *rule = print_cell(json_object_get(f, "rule"), PRINT_PLAIN);
        print_line("found    %s  %s  %s", js_str_or(f, "sha256", ""), targets, rule);
    }
    print_line("%zu of %lld files match; %lld withheld.", n, scanned, withheld);
    if (js_bool_or(answer, "asked", false) || js_int_or(answer, "asked", 0) > 0) {
        print_line("That is more than retro.max_share allows a rule to withhold by itself. Look at "
                   "some of them, then run it again with --force, or correct the rule.");
    } else if (n > 0) {
        print_line("Who has them: cordon incident scope --rule NAME");
    }
}

static int run(struct app *app, int argc, char **argv, struct err *e)
{
    int fds[IPC_FDS];
    CLEANUP(js_free) json_t *answer = NULL;
    json_t *q = js_new(), *names = js_list();
    memset(fds, 0xff, sizeof fds);
    js_set(q, "names", names);
    js_set_bool(q, "force", force);
    int r = app_operands(argc, 1, IPC_FDS, "one to sixteen rule files", e);
    r = r != 0 ? r : open_rules(argv, (size_t)argc, fds, names, e);
    if (r == 0) {
        r = app_call_files(app, "retro", json_incref(q), (struct app_files){fds, (size_t)argc},
                           &answer, e);
    }
    js_free(&q);
    for (size_t i = 0; i < IPC_FDS; i++) {
        fd_close(&fds[i]);
    }
    if (r != 0) {
        return r;
    }
    if (app->json) {
        app_print_json(answer);
    } else {
        tell(answer);
    }
    return json_array_size(json_object_get(answer, "found")) > 0 ? CLI_BAD : CLI_DONE;
}

const struct command cmd_retro = {
    .name = "retro",
    .need = CLI_GATE,
    .usage = "[--force] RULE...",
    .summary = "Scan everything ever published with new rules",
    .text = "RULE is a file of YARA rules (.yar, .yara) or hashes (.txt, .hsb, .hdb). What they "
            "find is withheld, unless it is more than retro.max_share of what is published: then "
            "nothing is, and you are asked. Exit status 1 if anything was found.\n\n"
            "JSON: rules[] scanned found[{sha256 targets[] rule}] withheld asked.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = run,
};
