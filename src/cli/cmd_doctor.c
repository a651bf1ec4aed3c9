/* cmd_doctor.c - is this site well? And: make its database anew. */
#include "cli/commands.h"

#include <stdarg.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/doctor.h"
#include "cli/print.h"
#include "serve/local.h"

static bool rebuild, new_keyring;
static const struct option_def options[] = {
    {"rebuild", 0, OPTION_FLAG, NULL, "make cordon.db anew from the events; stop the server first",
     &rebuild},
    {"new-keyring", 0, OPTION_FLAG, NULL,
     "with --rebuild: go on without what a keyring sealed that is lost for ever", &new_keyring},
};

void doctor_say(struct doctor *d, enum doctor_state s, const char *check, const char *fmt, ...)
{
    static const char *const words[] = {"ok", "warning", "bad"};
    char text[1000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *c = text; *c != 0; c++) {
        *c = *c == '\n' ? ' ' : *c; /* what a database says has several lines */
    }
    d->warned += s == DOCTOR_WARN;
    d->bad += s == DOCTOR_BAD;
    if (d->app->json) {
        CLEANUP(js_free) json_t *j = js_new();
        js_set_str(j, "check", check);
        js_set_str(j, "state", words[s]);
        js_set_str(j, "text", text);
        app_print_json(j);
    } else {
        print_line("%-8s %-9s %s", words[s], check, text);
    }
}

/* ---- what only the processes can tell ---- */

static void say_engines(struct doctor *d, const json_t *scan)
{
    const json_t *engines = json_object_get(scan, "engines");
    const json_t *missing = json_object_get(scan, "missing");
    const char *fault = js_str_or(scan, "fault", NULL);
    if (fault != NULL) {
        doctor_say(d, DOCTOR_BAD, "rules", "%s", fault);
    }
    for (size_t i = 0; i < json_array_size(missing); i++) {
        const json_t *m = json_array_get(missing, i);
        doctor_say(d, DOCTOR_BAD, "engines", "%s is missing: %s", js_str_or(m, "engine", "?"),
                   js_str_or(m, "reason", ""));
    }
    for (size_t i = 0; i < json_array_size(engines); i++) {
        const json_t *x = json_array_get(engines, i);
        const char *updated = js_str_or(x, "updated", NULL);
        doctor_say(d, DOCTOR_OK, "engines", "%s %s%s%s%s", js_str_or(x, "name", "?"),
                   js_str_or(x, "version", ""), updated != NULL ? ", updated " : "",
                   updated != NULL ? updated : "",
                   js_bool_or(x, "required", false) ? "" : " (not required)");
    }
}

static int ask_gate(struct doctor *d, struct err *e)
{
    CLEANUP(js_free) json_t *answer = NULL;
    int r = app_call(d->app, "metrics", js_new(), &answer, e);
    if (r == 0) {
        const json_t *log = json_object_get(answer, "log");
        doctor_say(d, DOCTOR_OK, "journal", "read to its end: %lld events",
                   (long long)js_int_or(log, "size", 0));
        say_engines(d, json_object_get(answer, "scan"));
    }
    return r;
}

static bool have_passphrase_file(const struct app *app)
{
    return app->passphrase_file != NULL || getenv("CORDON_PASSPHRASE_FILE") != NULL ||
           getenv("CREDENTIALS_DIRECTORY") != NULL;
}

/* The passphrase if there is one without asking, or a person to ask. */
static bool have_passphrase(const struct app *app)
{
    return have_passphrase_file(app) || isatty(0);
}

static bool server_answers(struct app *app)
{
    struct local_opts o = {
        .site = app->site, .path = app->site_path, .settings_text = app->settings_text};
    return local_connect(&o, &app->control, NULL) == 0;
}

static void check_processes(struct doctor *d)
{
    struct err e;
    if (!server_answers(d->app) && !have_passphrase(d->app)) {
        doctor_say(d, DOCTOR_WARN, "processes",
                   "not asked: no server runs and there is no passphrase (--passphrase-file)");
    } else if (ask_gate(d, &e) < 0) {
        doctor_say(d, DOCTOR_BAD, "processes", "%s", e.text);
    }
}

/* ---- rebuild ---- */

static int open_kek(struct doctor *d, struct err *e)
{
    CLEANUP(key_pass_clear) struct key_pass pass = {0};
    CLEANUP(fd_close) int keys = -1;
    int r = app_passphrase(d->app, false, &pass, e);
    r = r < 0 ? r : file_open_dir(d->app->site, "keys", &keys, e);
    return r < 0 ? r : key_site_open(keys, &pass, &d->kek, e);
}

static int run_rebuild(struct doctor *d, struct err *e)
{
    CLEANUP(fd_close) int lock = -1;
    int r = app_lock(d->app, &lock, e);
    r = r < 0 ? r : open_kek(d, e);
    return r < 0 ? r : doctor_rebuild(d, new_keyring, e);
}

static int run(struct app *app, int argc, char **argv, struct err *e)
{
    (void)argv;
    struct doctor d = {.app = app};
    int r = app_operands(argc, 0, 0, "nothing more", e);
    if (r == 0 && new_keyring && !rebuild) {
        r = cli_usage(e, "--new-keyring goes with --rebuild");
    }
    r = r != 0 || !rebuild ? r : run_rebuild(&d, e);
    if (r != 0) {
        key_kek_close(&d.kek);
        return r;
    }
    doctor_keys(&d);
    doctor_keyring(&d);
    if (d.kek == NULL && have_passphrase_file(app) && open_kek(&d, e) < 0) {
        d.kek = NULL; /* why is said below, where the processes want it too */
    }
    doctor_details(&d);
    key_kek_close(&d.kek);
    doctor_database(&d);
    doctor_metadata(&d);
    doctor_log(&d);
    doctor_blobs(&d);
    doctor_disk(&d);
    check_processes(&d);
    if (!app->json) {
        print_line("%zu bad, %zu warnings.", d.bad, d.warned);
    }
    return d.bad > 0 ? CLI_BAD : CLI_DONE;
}

const struct command cmd_doctor = {
    .name = "doctor",
    .need = CLI_SITE,
    .usage = "[--rebuild [--new-keyring]]",
    .summary = "Check a site: keys, journal, engines, disk",
    .text = "Asks the running server, or starts its processes for a moment if there is a "
            "passphrase. A keyring without a second copy is bad: one lost file would lose who has "
            "what. --rebuild makes cordon.db anew from the journal and the log, then checks.\n\n"
            "JSON: an object a check: check state text, state being ok, warning or bad.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = run,
};
