/* cmd_serve.c - run the server in the foreground. */
#include "cli/commands.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "serve/serve.h"

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

static int wait_for_lock(struct app *app, struct err *e)
{
    CLEANUP(fd_close) int lock = -1; /* serve_run() takes it again */
    return app_lock(app, &lock, e);
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
