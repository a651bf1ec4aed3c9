/* app.c - what commands share: the site, the gate, files that were named. */
#include "cli/cli.h"

#include <sys/prctl.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/ipc.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/print.h"
#include "serve/local.h"

void app_print_json(const json_t *j)
{
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_JSON);
    js_write(&b, j);
    fputs(buf_text(&b), stdout);
    fputc('\n', stdout);
}

int app_open_site(struct app *app, struct err *e)
{
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_CONFIG);
    const char *env = getenv("CORDON_SITE");
    if (app->site_path == NULL) {
        app->site_path = env != NULL ? env : ".";
    }
    char *whole = realpath(app->site_path, NULL); /* children have other working folders */
    if (whole == NULL) {
        return err_sys(e, "open the site %s", app->site_path);
    }
    app->site_path = whole;
    int r = file_open_dir(AT_FDCWD, whole, &app->site, e);
    r = r < 0 ? r : file_read(app->site, "cordon.yaml", LIMIT_CONFIG, &b, e);
    if (r == ERR_NOTFOUND) {
        return err_set(e, ERR_NOTFOUND,
                       "%s is no site: it has no cordon.yaml; make one with `cordon init DIR`, or "
                       "name it with -C DIR or CORDON_SITE",
                       whole);
    }
    app->settings = settings_new();
    r = r < 0 ? r : settings_parse(app->settings, buf_view(&b), e);
    app->settings_text = buf_steal(&b);
    return r < 0 ? err_wrap(e, r, "read %s/cordon.yaml", whole) : 0;
}

int app_passphrase(struct app *app, bool fresh, struct key_pass *out, struct err *e)
{
    prctl(PR_SET_DUMPABLE, 0); /* no core file, no debugger: from here on there is a secret */
    int r = key_passphrase(app->passphrase_file, fresh, out, e);
    if (r == 0 && out->warning[0] != 0) {
        log_warn("passphrase", "%s", out->warning);
    }
    return r;
}

/* Asked seldom: each question keeps the processes of a command, which end when nobody asks. */
static bool server_runs(struct app *app)
{
    CLEANUP(js_free) json_t *answer = NULL;
    struct local_opts o = {
        .site = app->site, .path = app->site_path, .settings_text = app->settings_text};
    bool yes = local_connect(&o, &app->control, NULL) == 0 &&
               app_call(app, "ping", js_new(), &answer, NULL) == 0 &&
               js_bool_or(answer, "server", false);
    fd_close(&app->control);
    return yes;
}

#define LINGER CLOCK_MINUTE
#define QUIET (2 * CLOCK_SECOND) /* the processes of an earlier command stay for half a second */

int app_lock(struct app *app, int *lock, struct err *e)
{
    int64_t began = clock_boot(), ask = 0;
    bool said = false;
    for (;;) {
        int r = serve_lock(app->site, lock, e);
        int64_t spent = clock_boot() - began;
        if (r != ERR_CONFLICT) {
            return r;
        }
        if (spent >= ask && server_runs(app)) {
            return err_set(e, ERR_CONFLICT, "a server runs on %s already; this needs it stopped",
                           app->site_path);
        }
        ask = spent >= ask ? spent + 5 * CLOCK_SECOND : ask;
        if (spent > LINGER) {
            return err_set(e, ERR_CONFLICT,
                           "another command still works on %s after a minute; end it and try again",
                           app->site_path);
        }
        if (!said && spent > QUIET) {
            print_warning("another command works on this site; waiting up to a minute for it");
            said = true;
        }
        nanosleep(&(struct timespec){0, 100 * 1000 * 1000}, NULL);
    }
}

/* Root keys are not given to processes that run already, whoever started them. */
static int wait_until_alone(struct app *app, struct err *e)
{
    CLEANUP(fd_close) int lock = -1;
    return app_lock(app, &lock, e);
}

int app_connect(struct app *app, bool with_root, struct err *e)
{
    CLEANUP(key_pass_clear) struct key_pass pass = {0};
    struct local_opts o = {.site = app->site,
                           .path = app->site_path,
                           .settings_text = app->settings_text,
                           .with_root = with_root};
    int r = with_root ? wait_until_alone(app, e) : local_connect(&o, &app->control, e);
    if (r == 0 && !with_root) {
        return 0;
    }
    r = r < 0 && with_root ? r : app_passphrase(app, false, &pass, e);
    o.pass = &pass;
    return r < 0 ? r : local_connect(&o, &app->control, e);
}

static void show_progress(const struct app *app, const json_t *p)
{
    if (!app->quiet) {
        progress(js_str_or(p, "what", ""), (uint64_t)js_int_or(p, "done", 0),
                 (uint64_t)js_int_or(p, "all", 0), js_str_or(p, "detail", NULL));
    }
}

int app_call_files(struct app *app, const char *op, json_t *take, struct app_files files,
                   json_t **answer, struct err *e)
{
    CLEANUP(js_free) json_t *q = take;
    js_set_str(q, "op", op);
    int r = app->control >= 0 ? 0 : app->site >= 0 ? 0 : app_open_site(app, e);
    if (r == 0 && app->control < 0) {
        r = app_connect(app, false, e);
    }
    r = r < 0 ? r : ipc_send(app->control, ++app->seq, q, files.fd, files.n, e);
    while (r == 0) {
        CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
        r = ipc_recv(app->control, &m, e);
        if (r < 0) {
            return err_wrap(e, r, "the server went away before it answered; look at its messages");
        }
        const json_t *p = json_object_get(m.body, "progress");
        if (p != NULL) {
            show_progress(app, p);
            continue;
        }
        progress_end();
        r = ipc_result(m.body, e);
        if (r == 0) {
            *answer = json_incref(m.body);
            return 0;
        }
    }
    return r;
}

int app_call(struct app *app, const char *op, json_t *take, json_t **answer, struct err *e)
{
    return app_call_files(app, op, take, (struct app_files){0}, answer, e);
}

int app_do(struct app *app, const char *op, json_t *take, const char *text, struct err *e)
{
    CLEANUP(js_free) json_t *answer = NULL;
    int r = app_call(app, op, take, &answer, e);
    if (r < 0) {
        return r;
    }
    if (app->json) {
        app_print_json(answer);
    } else if (text != NULL) {
        print_line("%s", text);
    }
    return CLI_DONE;
}

int app_operands(int argc, int least, int most, const char *what, struct err *e)
{
    if (argc < least || (most >= 0 && argc > most)) {
        return cli_usage(e, "%s: name %s", argc < least ? "something is missing" : "too much",
                         what);
    }
    return 0;
}

int app_read_text(const char *path, size_t max, struct buf *out, struct err *e)
{
    CLEANUP(fd_close) int fd = -1;
    ssize_t n = 1;
    int r = app_open_file(path, &fd, e);
    while (r == 0 && n > 0) {
        uint8_t *room = buf_room(out, 65536);
        if (room == NULL || out->len > max) {
            return err_set(e, ERR_LIMIT, "%s is longer than %zu bytes", path, max);
        }
        n = fd_read(fd, room, 65536);
        buf_added(out, n > 0 ? (size_t)n : 0);
    }
    if (n < 0) {
        return err_sys(e, "read %s", path);
    }
    if (r == 0 && !text_is_utf8(buf_view(out))) {
        r = err_set(e, ERR_FORMAT, "%s is no UTF-8 text; convert it first, for instance with iconv",
                    path);
    }
    return r;
}

int app_open_file(const char *path, int *out, struct err *e)
{
    int fd = strcmp(path, "-") == 0 ? fcntl(0, F_DUPFD_CLOEXEC, 3)
                                    : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return err_sys(e, "open %s", path);
    }
    *out = fd;
    return 0;
}
