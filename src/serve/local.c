/* local.c - the processes that a command starts for itself when no server runs. */
#include "serve/local.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/proc.h"
#include "serve/boot.h"

#define START_TIME (150 * CLOCK_SECOND)

static void send_fault(int sock, const struct err *e)
{
    CLEANUP(js_free) json_t *j = ipc_error(e);
    if (ipc_send(sock, 0, j, NULL, 0, NULL) < 0) {
        log_error("local", "%s", e->text);
    }
}

static int run(struct boot *b, struct err *e)
{
    struct settings *s = settings_new();
    struct key_kek *kek = NULL;
    CLEANUP(key_pass_clear) struct key_pass pass = {0};
    CLEANUP(fd_close) int keys = -1;
    const char *text = js_str_or(b->args, "settings", "");
    const char *phrase = js_str_or(b->args, "passphrase", "");
    int r = settings_parse(s, span_str(text), e);
    r = r < 0 ? r : key_pass_set(&pass, span_str(phrase), e);
    r = r < 0 ? r : file_open_dir(b->site, "keys", &keys, e);
    r = r < 0 ? r : key_site_open(keys, &pass, &kek, e);
    if (r == 0) {
        struct serve_opts o = {.site = b->site,
                               .path = js_str_or(b->args, "path", ""),
                               .settings = s,
                               .settings_text = text,
                               .kek = kek,
                               .local = true,
                               .with_root = js_bool_or(b->args, "with_root", false),
                               .ready = b->sock};
        r = serve_run(&o, e);
    }
    key_kek_close(&kek);
    settings_free(&s);
    return r;
}

int local_main(struct boot *b)
{
    struct err e;
    int r = run(b, &e);
    if (r < 0) {
        send_fault(b->sock, &e); /* unheard if the command has gone */
    }
    return r < 0 ? 3 : 0;
}

/* Starts them and waits until they answer. */
static int start(const struct local_opts *o, struct err *e)
{
    int pair[2];
    struct proc p = PROC_NONE;
    const char *const argv[] = {"serve-local", NULL};
    int r = proc_pair(pair, e);
    if (r < 0) {
        return r;
    }
    CLEANUP(fd_close) int ours = pair[0];
    struct proc_spec spec = {
        .argv = argv, .fds = &pair[1], .n_fds = 1, .null_stdio = 1, .lasting = 1};
    r = proc_spawn(&spec, &p, e);
    fd_close(&pair[1]);
    if (r == 0) {
        CLEANUP(js_free) json_t *args = js_new();
        js_set_str(args, "op", "boot");
        js_set_str(args, "role", "local");
        js_set_str(args, "path", o->path);
        js_set_str(args, "settings", o->settings_text);
        js_set(args, "passphrase", json_stringn(o->pass->p, o->pass->len));
        js_set_bool(args, "with_root", o->with_root);
        js_set_bool(args, "local", true);
        js_set(args, "peers", js_list());
        r = ipc_send(ours, 0, args, &o->site, 1, e);
    }
    CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
    r = r < 0 ? r : ipc_recv_within(ours, START_TIME, &m, e);
    return r < 0 ? r : ipc_result(m.body, e);
}

/* True if the other side answers: a socket whose gate is just ending connects too. */
static bool answers(int sock)
{
    CLEANUP(js_free) json_t *ping = js_new();
    CLEANUP(ipc_msg_clear) struct ipc_msg m = {0};
    js_set_str(ping, "op", "ping");
    return ipc_send(sock, 1, ping, NULL, 0, NULL) == 0 &&
           ipc_recv_within(sock, 30 * CLOCK_SECOND, &m, NULL) == 0 && ipc_result(m.body, NULL) == 0;
}

int local_connect(const struct local_opts *o, int *sock, struct err *e)
{
    int64_t until = clock_boot() + START_TIME;
    for (;;) {
        CLEANUP(fd_close) int s = -1;
        if (serve_connect(o->site, &s, e) == 0 && answers(s)) {
            *sock = s;
            s = -1;
            return 0;
        }
        if (o->pass == NULL) {
            return err_set(e, ERR_UNAVAIL, "no server runs on this site");
        }
        int r = start(o, e);
        if (r < 0 && (r != ERR_CONFLICT || clock_boot() > until)) {
            return r; /* a conflict: somebody else is starting or ending one */
        }
        if (r < 0) {
            struct timespec wait = {0, 100 * 1000 * 1000};
            nanosleep(&wait, NULL);
        }
    }
}
