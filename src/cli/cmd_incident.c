/* cmd_incident.c - who has it: criteria in, exact deliveries and organisations out. */
#include "cli/commands.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/print.h"

static struct option_list targets, hashes, path_files, rules, nodes, orgs;
static const char *state, *from, *to;
static const struct option_def options[] = {
    {"target", 0, OPTION_LIST, "TARGET", "PRODUCT/VERSION/FILE; a * at its end matches any rest",
     &targets},
    {"sha256", 0, OPTION_LIST, "HASH", "of a file or of a member inside one; SHA-1 and MD5 too",
     &hashes},
    {"paths", 0, OPTION_LIST, "FILE", "targets, one a line", &path_files},
    {"rule", 0, OPTION_LIST, "NAME", "files in which this rule found something", &rules},
    {"state", 0, OPTION_TEXT, "STATE", "all that is recalled, or withheld", &state},
    {"node", 0, OPTION_LIST, "NAME", "sent by this server", &nodes},
    {"org", 0, OPTION_LIST, "NAME", "only this organisation", &orgs},
    {"from", 0, OPTION_TEXT, "TIME", "first moment, inclusive", &from},
    {"to", 0, OPTION_TEXT, "TIME", "last moment, exclusive", &to},
};

/* Targets; one that ends in a * is a pattern, which the site takes as a path. */
static void set_targets(json_t *q)
{
    json_t *exact = js_list(), *paths = js_list();
    for (size_t i = 0; i < targets.n; i++) {
        size_t len = strlen(targets.item[i]);
        js_add_str(len > 0 && targets.item[i][len - 1] == '*' ? paths : exact, targets.item[i]);
    }
    js_set(q, "targets", exact);
    js_set(q, "paths", paths);
}

static bool set_list(json_t *q, const char *member, const struct option_list *l)
{
    json_t *list = js_list();
    for (size_t i = 0; i < l->n; i++) {
        js_add_str(list, l->item[i]);
    }
    js_set(q, member, list);
    return l->n > 0;
}

static int set_paths(json_t *q, struct err *e)
{
    json_t *list = json_object_get(q, "paths");
    for (size_t i = 0; i < path_files.n; i++) {
        CLEANUP(buf_clear) struct buf b = BUF(LIMIT_CSV + 65536);
        int r = app_read_text(path_files.item[i], LIMIT_CSV, &b, e);
        if (r < 0) {
            return r;
        }
        struct span rest = buf_view(&b), line;
        while (span_cut(&rest, '\n', &line)) {
            while (line.len > 0 && line.p[line.len - 1] <= ' ') {
                line.len--;
            }
            if (line.len > 0 && line.p[0] != '#') {
                CLEANUP(mem_free) char *text = mem_text(line.p, line.len);
                js_add_str(list, text);
            }
        }
    }
    return 0;
}

static int set_time(json_t *q, const char *member, const char *text, struct err *e)
{
    int64_t t = 0;
    if (text == NULL) {
        return 0;
    }
    if (clock_parse(span_str(text), &t, e) < 0) {
        return cli_usage(e,
                         "--%s takes a time such as 2001-04-19 or 2001-04-19T09:12:00Z, not "
                         "\"%.40s\"",
                         member, text);
    }
    js_set_time(q, member, t);
    return 0;
}

static int criteria(json_t *q, struct err *e)
{
    bool any = set_list(q, "sha256", &hashes);
    any = set_list(q, "rules", &rules) || any;
    any = set_list(q, "nodes", &nodes) || any;
    any = set_list(q, "orgs", &orgs) || any;
    set_targets(q);
    js_set_str(q, "state", state);
    if (!any && targets.n == 0 && path_files.n == 0 && state == NULL && from == NULL &&
        to == NULL) {
        return cli_usage(e,
                         "say what is bad: --target, --sha256, --paths, --rule, --state, --node, "
                         "--org or a time");
    }
    int r = set_paths(q, e);
    r = r != 0 ? r : set_time(q, "from", from, e);
    return r != 0 ? r : set_time(q, "to", to, e);
}

/* ---- for people ---- */

static size_t with_holder(const json_t *list, const char *holder)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        n += strcmp(js_str_or(json_array_get(list, i), "holder", ""), holder) == 0;
    }
    return n;
}

static void tell(const json_t *a)
{
    static const struct print_column columns[] = {
        {"organisation", "name", PRINT_PLAIN}, {"holder", "holder", PRINT_PLAIN},
        {"first", "first", PRINT_TIME},        {"last", "last", PRINT_TIME},
        {"targets", "targets", PRINT_PLAIN},
    };
    const json_t *list = json_object_get(a, "organisations");
    const json_t *gaps = json_object_get(a, "not_covered");
    const json_t *log = json_object_get(a, "log");
    char files[64], sent[64], named[64];
    if (json_array_size(list) > 0) {
        print_table(list, columns, ARRAY_LEN(columns));
        puts("");
    }
    print_line("%s, %s to %s: %zu confirmed, %zu possible, %zu partial holders.",
               print_count(json_array_size(json_object_get(a, "targets")), "file", "files", files),
               print_count(json_array_size(json_object_get(a, "deliveries")), "delivery",
                           "deliveries", sent),
               print_count(json_array_size(list), "organisation", "organisations", named),
               with_holder(list, "confirmed"), with_holder(list, "possible"),
               with_holder(list, "partial"));
    const json_t *ruled_out = json_object_get(a, "ruled_out");
    for (size_t i = 0; i < json_array_size(ruled_out); i++) {
        const json_t *o = json_array_get(ruled_out, i);
        print_line("Ruled out: %s: %s", js_str_or(o, "name", "?"), js_str_or(o, "reason", ""));
    }
    for (size_t i = 0; i < json_array_size(gaps); i++) {
        CLEANUP(mem_free) char *gap = print_cell(json_array_get(gaps, i), PRINT_PLAIN);
        print_line("Not covered: %s", gap);
    }
    print_line("As of the log's entry %lld, root %s.", (long long)js_int_or(log, "size", 0),
               js_str_or(log, "root", ""));
}

static int run(struct app *app, int argc, char **argv, struct err *e)
{
    (void)argv;
    CLEANUP(js_free) json_t *answer = NULL;
    CLEANUP(js_free) json_t *q = js_new();
    int r = app_operands(argc, 0, 0, "criteria with options only", e);
    r = r != 0 ? r : criteria(q, e);
    r = r != 0 ? r : app_call(app, "incident.scope", json_incref(q), &answer, e);
    if (r != 0) {
        return r;
    }
    if (app->json) {
        app_print_json(answer);
    } else {
        tell(answer);
    }
    return CLI_DONE;
}

const struct command cmd_incident_scope = {
    .group = "incident",
    .name = "scope",
    .need = CLI_GATE,
    .usage = "[--target TARGET] [--sha256 HASH] [--paths FILE] [--rule NAME] [--state STATE] "
             "[--node NAME] [--org NAME] [--from TIME] [--to TIME]",
    .summary = "Say exactly who got a bad file",
    .text = "Each criterion may be given again. A confirmed holder acknowledged every byte, a "
            "possible one was given all of them, a partial one some. The answer includes the "
            "newest events.\n\n"
            "JSON: one object: incident window{from to} targets[] deliveries[] "
            "organisations[{name holder}] ruled_out not_covered[] log{size root}.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = run,
};
