/* cmd_serve.c - run the server in the foreground. */
#include "cli/commands.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cli/print.h"
#include "serve/local.h"

#define WAIT CLOCK_MINUTE

static const char *address, *cert;
static struct option_list proxies;
static const struct option_def options[] = {
    {"listen", 0, OPTION_TEXT, "ADDR", "address and port instead of serve.listen", &address},
    {"tls-cert", 0, OPTION_TEXT, "FILE", "PEM file with certificate chain and key", &cert},
    {"behind-proxy", 0, OPTION_LIST, "NET",
     "a proxy in this network does TLS; its X-Forwarded-For is believed", &proxies},
};

/* The options as settings, so that every process sees the same. */
static int apply(struct settings *s, struct err *e)
{
    CLEANUP(buf_clear) struct buf nets = BUF(65536);
    int r = address != NULL ? settings_set(s, SETTING_LISTEN, address, e) : 0;
    if (r == 0 && cert != NULL) {
        char *whole = realpath(cert, NULL); /* other processes have other working folders */
        r = whole == NULL ? err_sys(e, "read the certificate %s", cert)
                          : settings_set(s, SETTING_TLS_CERT, whole, e);
        free(whole);
    }
    for (size_t i = 0; i < proxies.n; i++) {
        buf_fmt(&nets, "%s%s", i > 0 ? "," : "", proxies.item[i]);
    }
    return r < 0 || proxies.n == 0 ? r : settings_set(s, SETTING_BEHIND_PROXY, buf_text(&nets), e);
}

static bool server_runs(struct app *app)
{
    CLEANUP(js_free) json_t *answer = NULL;
    struct local_opts o = {
        .site = app->site, .path = app->site_path, .settings_text = app->settings_text};
    bool yes = local_connect(&o, &app->control, NULL) == 0 &&
               app_call(app, "ping", js_new(), NULL, 0, &answer, NULL) == 0 &&
               js_bool_or(answer, "server", false);
    fd_close(&app->control); /* or a command's own processes would wait for us */
    return yes;
}

/* A command without a server starts processes of its own, which hold the lock a little longer: they
 * end half a second after the last connection, so a question keeps them, and is asked seldom. */
static int wait_for_lock(struct app *app, struct err *e)
{
    int64_t until = clock_boot() + WAIT, ask = 0;
    bool said = false;
    for (;;) {
        CLEANUP(fd_close) int lock = -1;
        int r = serve_lock(app->site, &lock, e);
        if (r != ERR_CONFLICT) {
            return r;
        }
        if (clock_boot() >= ask && server_runs(app)) {
            return err_set(e, ERR_CONFLICT, "a server runs already on %s", app->site_path);
        }
        if (clock_boot() > until) {
            return err_set(e, ERR_CONFLICT,
                           "another command still works on %s after a minute; end it and try again",
                           app->site_path);
        }
        ask = clock_boot() >= ask ? clock_boot() + 3 * CLOCK_SECOND : ask;
        if (!said && clock_boot() > until - WAIT + 2 * CLOCK_SECOND) {
            print_warning("another command works on this site; waiting up to a minute for it");
            said = true;
        }
        nanosleep(&(struct timespec){0, 200 * 1000 * 1000}, NULL);
    }
}

static int serve(struct app *app, struct err *e)
{
    CLEANUP(key_pass_clear) struct key_pass pass = {0};
    CLEANUP(buf_clear) struct buf text = BUF(LIMIT_CONFIG);
    CLEANUP(fd_close) int keys = -1;
    struct key_kek *kek = NULL;
    int r = app_passphrase(app, false, &pass, e);
    r = r < 0 ? r : file_open_dir(app->site, "keys", &keys, e);
    r = r < 0 ? r : key_site_open(keys, &pass, &kek, e);
    r = r < 0 ? r : wait_for_lock(app, e);
    key_pass_clear(&pass);
    if (r == 0) {
        settings_save(app->settings, &text);
        struct serve_opts o = {.site = app->site,
                               .path = app->site_path,
                               .settings = app->settings,
                               .settings_text = buf_text(&text),
                               .kek = kek,
                               .ready = -1};
        r = serve_run(&o, e);
    }
    key_kek_close(&kek);
    return r;
}

static int run(struct app *app, int argc, char **argv, struct err *e)
{
    (void)argv;
    int r = app_operands(argc, 0, 0, "nothing more; the site is named with -C", e);
    r = r != 0 ? r : apply(app->settings, e);
    return r != 0 ? r : serve(app, e);
}

const struct command cmd_serve = {
    .name = "serve",
    .need = CLI_SITE,
    .usage = "[--listen ADDR] [--tls-cert FILE] [--behind-proxy NET]...",
    .summary = "Run the server until it is stopped",
    .text = "Stays in the foreground; its messages go to standard error. An address that is not "
            "loopback needs --tls-cert or --behind-proxy. The address it listens on is written to "
            "run/address of the site; port 0 takes a free one.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .run = run,
};
