/* cmd_init.c - make a site and say what comes next. */
#include "cli/commands.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/note.h"
#include "base/random.h"
#include "base/text.h"
#include "cli/print.h"
#include "cli/site.h"
#include "scan/scan.h"

static const char *name, *random_file, *copy, *listen_on;
static const struct option_def options[] = {
    {"name", 0, OPTION_TEXT, "REPOSITORY",
     "its name for ever, also of its log: best a host name that you own; else this machine's",
     &name},
    {"random-passphrase", 0, OPTION_TEXT, "FILE",
     "make a random passphrase and write it to this new file, for a server that starts alone",
     &random_file},
    {"keyring-copy", 0, OPTION_TEXT, "FILE",
     "keep a second copy of the keyring in this file or folder, best on another disk", &copy},
    {"listen", 0, OPTION_TEXT, "ADDR", "address and port of the server (127.0.0.1:8080)",
     &listen_on},
};

/* ---- what is asked ---- */

static int set_name(struct settings *s, struct err *e)
{
    char host[256] = "";
    const char *use = name;
    if (use == NULL && gethostname(host, sizeof host - 1) == 0) {
        use = host;
    }
    int r = use == NULL || use[0] == 0
                ? err_set(e, ERR_FORMAT, "this machine has no name: give one with --name")
                : note_check_name(span_str(use), e);
    r = r < 0 ? r : settings_set(s, SETTING_REPOSITORY_NAME, use, e);
    if (r < 0) {
        err_wrap(e, r, "--name");
    }
    return r < 0 ? CLI_USAGE : 0;
}

static int set_listen(struct settings *s, struct err *e)
{
    uint64_t port = 0;
    const char *colon = listen_on != NULL ? strrchr(listen_on, ':') : NULL;
    if (listen_on == NULL) {
        return 0;
    }
    if (colon == NULL || text_u64(span_str(colon + 1), 65535, &port, NULL) < 0) {
        return cli_usage(e,
                         "--listen takes an address and a port such as 127.0.0.1:8080, not "
                         "\"%.100s\"",
                         listen_on);
    }
    return settings_set(s, SETTING_LISTEN, listen_on, e);
}

/* A folder gets NAME.keyring in it; in any case a path that other processes understand. */
static int copy_path(const struct settings *s, char **out, struct err *e)
{
    struct stat st;
    bool folder = stat(copy, &st) == 0 && S_ISDIR(st.st_mode);
    CLEANUP(mem_free)
    char *file = folder
                     ? mem_printf("%s/%s.keyring", copy, settings_text(s, SETTING_REPOSITORY_NAME))
                     : mem_str(copy);
    char *slash = strrchr(file, '/');
    CLEANUP(mem_free)
    char *above = slash == NULL   ? mem_str(".")
                  : slash == file ? mem_str("/")
                                  : mem_text(file, (size_t)(slash - file));
    char *whole = realpath(above, NULL);
    if (whole == NULL) {
        return err_sys(e, "--keyring-copy: open the folder %s", above);
    }
    *out =
        mem_printf("%s/%s", strcmp(whole, "/") == 0 ? "" : whole, slash != NULL ? slash + 1 : file);
    free(whole);
    if (access(*out, F_OK) == 0) {
        return err_set(e, ERR_CONFLICT, "%s is there already; it may be another site's keyring",
                       *out);
    }
    return 0;
}

/* 256 random bits: nothing can be guessed, so no time needs to be spent against guessing. */
static int random_passphrase(struct key_pass *out, struct err *e)
{
    uint8_t secret[32];
    char hex[2 * sizeof secret + 2];
    random_bytes(secret, sizeof secret);
    sodium_bin2hex(hex, sizeof hex, secret, sizeof secret);
    sodium_memzero(secret, sizeof secret);
    int r = key_pass_set(out, span_str(hex), e);
    CLEANUP(fd_close)
    int fd = open(random_file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (r == 0 && fd < 0) {
        r = err_sys(e, "--random-passphrase: make the new file %s", random_file);
    }
    hex[sizeof hex - 2] = '\n';
    hex[sizeof hex - 1] = 0;
    r = r < 0 ? r : fd_write(fd, span_str(hex), e);
    if (r == 0 && fsync(fd) < 0) {
        r = err_sys(e, "write %s", random_file);
    }
    sodium_memzero(hex, sizeof hex);
    return r;
}

/* ---- engines ---- */

static bool answered(const json_t *about, const char *engine)
{
    const json_t *list = json_object_get(about, "engines");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (strcmp(js_str_or(json_array_get(list, i), "name", ""), engine) == 0) {
            return true;
        }
    }
    return false;
}

/* Starts a scan worker as the server will, asks clamd, and requires what answered. */
static int probe(struct settings *s, json_t **about, struct err *e)
{
    struct scan_config c;
    struct scan_pool *pool = NULL;
    scan_config_from(&c, s);
    c.workers = 1;
    int r = scan_pool_new(&c, &pool, e);
    if (r < 0) {
        return r;
    }
    *about = scan_pool_about(pool);
    scan_pool_free(&pool);
    if (answered(*about, "clamd")) {
        CLEANUP(mem_free)
        char *with = mem_printf("%s,clamd", settings_text(s, SETTING_ENGINES));
        r = settings_set(s, SETTING_ENGINES, with, e);
    }
    return r;
}

/* ---- what is told ---- */

/* As a shell wants it. */
static char *quoted(const char *s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/._+,:@%-";
    CLEANUP(buf_clear) struct buf b = BUF((size_t)1 << 20);
    if (strspn(s, plain) == strlen(s) && s[0] != 0) {
        return mem_str(s);
    }
    buf_char(&b, '\'');
    for (; *s != 0; s++) {
        buf_str(&b, *s == '\'' ? "'\\''" : (const char[]){*s, 0});
    }
    buf_char(&b, '\'');
    return buf_steal(&b);
}

static void tell_engines(const json_t *about, const struct err *fault)
{
    const json_t *missing = json_object_get(about, "missing");
    if (about == NULL) {
        print_warning("no file can be inspected on this machine yet: %s", fault->text);
    }
    for (size_t i = 0; i < json_array_size(missing); i++) {
        const json_t *m = json_array_get(missing, i);
        print_warning("engine %s is missing: %s", js_str_or(m, "engine", "?"),
                      js_str_or(m, "reason", ""));
    }
    if (about != NULL && !answered(about, "clamd")) {
        print_warning("clamd did not answer, so it is not required: install clamav-daemon, then "
                      "add clamd to scan.engines in cordon.yaml");
    }
}

static void tell(const struct app *app, const struct settings *s, const char *path,
                 const char *copy_at, const json_t *about)
{
    if (app->json) {
        CLEANUP(js_free) json_t *j = js_new();
        js_set_str(j, "site", path);
        js_set_str(j, "name", settings_text(s, SETTING_REPOSITORY_NAME));
        js_set_str(j, "keyring_copy", copy_at);
        js_set_str(j, "passphrase_file", random_file);
        js_set(j, "engines", json_incref(json_object_get(about, "engines")));
        js_set(j, "missing", json_incref(json_object_get(about, "missing")));
        app_print_json(j);
        return;
    }
    static const char *const steps[] = {"admit --product NAME --version 1.0 PATH...",
                                        "org add NAME --contact MAIL", "org grant NAME PRODUCT",
                                        "account add --org NAME USER", "serve"};
    const char *file = random_file != NULL ? random_file : app->passphrase_file;
    CLEANUP(mem_free) char *site = quoted(path);
    CLEANUP(mem_free) char *named = file != NULL ? quoted(file) : NULL;
    print_line("Made the site %s, named %s.", path, settings_text(s, SETTING_REPOSITORY_NAME));
    print_line("Next:");
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        print_line("  cordon -C %s%s%s %s", site, named != NULL ? " --passphrase-file " : "",
                   named != NULL ? named : "", steps[i]);
    }
}

static int make(struct app *app, const char *path, struct settings *s, struct err *e)
{
    CLEANUP(key_pass_clear) struct key_pass pass = {0};
    CLEANUP(mem_free) char *copy_at = NULL;
    CLEANUP(js_free) json_t *about = NULL;
    struct err fault = {0};
    struct site_plan plan = {.path = path, .settings = s, .pass = &pass, .cost = KEY_COST_DEFAULT};
    bool random = random_file != NULL;
    int r = site_may_make(path, e);
    r = r < 0 || copy == NULL ? r : copy_path(s, &copy_at, e);
    r = r < 0 || copy_at == NULL ? r : settings_set(s, SETTING_KEYRING_COPY, copy_at, e);
    if (r < 0) {
        return r;
    }
    r = random ? random_passphrase(&pass, e) : app_passphrase(app, true, &pass, e);
    if (r < 0) {
        return r;
    }
    if (probe(s, &about, &fault) < 0) {
        js_free(&about); /* a site can be made all the same; serve and doctor will say it again */
    }
    plan.cost = random ? KEY_COST_MIN : KEY_COST_DEFAULT;
    plan.keyring_copy = copy_at;
    r = site_make(&plan, e);
    if (r < 0) {
        if (random) {
            (void)unlink(random_file);
        }
        if (copy_at != NULL) {
            (void)unlink(copy_at); /* it was not there before */
        }
        return r;
    }
    tell_engines(about, &fault);
    if (copy_at == NULL) {
        print_warning("the keyring has no second copy: if it is lost, nobody can say any more who "
                      "has what; set keyring.copy in cordon.yaml to a file on another disk");
    }
    tell(app, s, path, copy_at, about);
    return CLI_DONE;
}

static int run(struct app *app, int argc, char **argv, struct err *e)
{
    struct settings *s = settings_new();
    int r = app_operands(argc, 1, 1, "one folder", e);
    if (r == 0 && random_file != NULL && app->passphrase_file != NULL) {
        r = cli_usage(e, "--random-passphrase and --passphrase-file exclude each other");
    }
    r = r != 0 ? r : set_name(s, e);
    r = r != 0 ? r : set_listen(s, e);
    r = r != 0 ? r : make(app, argv[0], s, e);
    settings_free(&s);
    return r;
}

const struct command cmd_init = {
    .name = "init",
    .need = CLI_NOTHING,
    .usage = "[--name REPOSITORY] [--passphrase-file FILE | --random-passphrase FILE] "
             "[--keyring-copy FILE] [--listen ADDR] DIR",
    .summary = "Make a site: keys, settings, first metadata",
    .text = "DIR is made, or must be empty; on any error nothing is left. Without a file the "
            "passphrase is asked for on the terminal. clamd is required from then on if it "
            "answers now.\n\nJSON: site name keyring_copy passphrase_file engines[] missing[].",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = run,
};
