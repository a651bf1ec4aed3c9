/* cmd_operator.c - who may work on the site over the network. */
#include "cli/commands.h"

#include <sodium.h>

#include "base/text.h"
#include "cli/print.h"
#include "cli/secret.h"

static const char *role;
static const struct option_def options[] = {
    {"role", 0, OPTION_TEXT, "ROLE",
     "build (may only upload), release (states and customers too) or responder (withhold, scope)",
     &role},
};

static void show(const struct app *app, const struct secret *s, json_t *answer)
{
    char text[SECRET_TEXT];
    secret_text(s, text);
    if (app->json) {
        js_set_str(answer, "operator", s->name);
        js_set_str(answer, "role", role);
        js_set_str(answer, "secret", text);
        app_print_json(answer);
    } else {
        print_line("Added %s as %s. Its secret, shown this once; keep it in a file of mode 0600 "
                   "and name that with --token-file:",
                   s->name, role);
        print_line("%s", text);
    }
    sodium_memzero(text, sizeof text);
}

static int run(struct app *app, int argc, char **argv, struct err *e)
{
    CLEANUP(secret_clear) struct secret s = {0};
    CLEANUP(buf_clear) struct buf hex = BUF(128);
    CLEANUP(js_free) json_t *answer = NULL;
    int r = app_operands(argc, 1, 1, "one operator", e);
    if (r == 0 && role == NULL) {
        r = cli_usage(e, "--role is needed: build, release or responder");
    }
    r = r != 0 ? r : secret_new(argv[0], &s, e);
    if (r != 0) {
        return r;
    }
    json_t *q = js_new();
    text_hex(&hex, span_of(s.public.b, sizeof s.public.b));
    js_set_str(q, "name", s.name);
    js_set_str(q, "role", role);
    js_set_str(q, "public", buf_text(&hex));
    r = app_call(app, "operator.add", q, &answer, e);
    if (r == 0) {
        show(app, &s, answer);
    }
    return r;
}

const struct command cmd_operator_add = {
    .group = "operator",
    .name = "add",
    .need = CLI_GATE,
    .usage = "NAME --role build|release|responder",
    .summary = "Let somebody work on the site over the network",
    .text = "Makes a key pair here; the site gets the public half only, so the secret that is "
            "printed cannot be shown again.\n\nJSON: index operator role secret.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = run,
};
