/* cmd_product.c - who may have a product, and which way it goes out. */
#include "cli/commands.h"

#include "base/mem.h"
#include "cli/print.h"

static const char *access_to, *channel;
static const struct option_def options[] = {
    {"access", 0, OPTION_TEXT, "WHO",
     "customers (each organisation it was granted to), private (the same, never listed to others) "
     "or anyone",
     &access_to},
    {"channel", 0, OPTION_TEXT, "WAY",
     "recorded (only Cordon's own servers send it) or public (any mirror may: who has it is then "
     "not known)",
     &channel},
};

static int list(struct app *app, json_t **out, struct err *e)
{
    return app_call(app, "product.list", js_new(), out, e);
}

/* What was set before, so that one option does not undo the other. */
static int keep_other(struct app *app, const char *product, struct err *e)
{
    static json_t *answer; /* access_to and channel may point into it until the end */
    int r = list(app, &answer, e);
    const json_t *all = json_object_get(answer, "products");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *p = json_array_get(all, i);
        if (strcmp(js_str_or(p, "product", ""), product) == 0) {
            access_to = access_to != NULL ? access_to : js_str_or(p, "access", NULL);
            channel = channel != NULL ? channel : js_str_or(p, "channel", NULL);
        }
    }
    access_to = access_to != NULL ? access_to : "customers";
    channel = channel != NULL ? channel : "recorded";
    return r;
}

static int set_run(struct app *app, int argc, char **argv, struct err *e)
{
    int r = app_operands(argc, 1, 1, "one product", e);
    if (r == 0 && access_to == NULL && channel == NULL) {
        r = cli_usage(e, "say what to set: --access, --channel or both");
    }
    r = r != 0 ? r : keep_other(app, argv[0], e);
    if (r != 0) {
        return r;
    }
    json_t *q = js_new();
    js_set_str(q, "product", argv[0]);
    js_set_str(q, "access", access_to);
    js_set_str(q, "channel", channel);
    CLEANUP(mem_free)
    char *text = mem_printf("%s: access %s, channel %s.", argv[0], access_to, channel);
    return app_do(app, "product.set", q, text, e);
}

const struct command cmd_product_set = {
    .group = "product",
    .name = "set",
    .need = CLI_GATE,
    .usage = "PRODUCT [--access WHO] [--channel WAY]",
    .summary = "Say who may have a product",
    .text = "A product that was never set is for customers, recorded. What is not named stays as "
            "it is.\n\nJSON: index.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = set_run,
};

static int list_run(struct app *app, int argc, char **argv, struct err *e)
{
    (void)argv;
    static const struct print_column columns[] = {
        {"product", "product", PRINT_PLAIN},
        {"access", "access", PRINT_PLAIN},
        {"channel", "channel", PRINT_PLAIN},
    };
    CLEANUP(js_free) json_t *answer = NULL;
    int r = app_operands(argc, 0, 0, "nothing more", e);
    r = r != 0 ? r : list(app, &answer, e);
    if (r == 0) {
        print_list(app, json_object_get(answer, "products"), columns, ARRAY_LEN(columns),
                   "No product was set: all are for customers, recorded.");
    }
    return r;
}

const struct command cmd_product_list = {
    .group = "product",
    .name = "list",
    .need = CLI_GATE,
    .usage = "",
    .summary = "List products that were set",
    .text = "JSON: an object a product: product access channel.",
    .run = list_run,
};
