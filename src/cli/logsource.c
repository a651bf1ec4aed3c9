#include "cli/logsource.h"

#include <fcntl.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/http.h"
#include "base/mem.h"
#include "base/note.h"

/* ---- tiles over HTTP ---- */

static int read_http(void *ctx, const char *path, struct buf *out, struct err *e)
{
    const struct logsource *s = ctx;
    CLEANUP(http_answer_clear) struct http_answer a = {0};
    CLEANUP(mem_free) char *url = mem_printf("%s/%s", s->url, path);
    struct http_request q = {.url = url, .max = out->max};
    int r = http_call(&q, &a, e);
    if (r < 0) {
        return r;
    }
    if (a.status == 404 || a.status == 410) {
        return err_set(e, ERR_NOTFOUND, "%s is not there", url);
    }
    if (a.status != 200) {
        return err_set(e, a.status >= 500 ? ERR_UNAVAIL : ERR_DENIED, "%s: status %d", url,
                       a.status);
    }
    buf_span(out, buf_view(&a.body));
    return buf_done(out, url, e);
}

/* An address may be that of the log, or of the server that has it under /log. */
static int find_prefix(struct logsource *s, struct err *e)
{
    CLEANUP(buf_clear) struct buf b = BUF(LIMIT_NOTE);
    int r = read_http(s, "checkpoint", &b, e);
    if (r == ERR_NOTFOUND) {
        CLEANUP(mem_free) char *given = s->url;
        s->url = mem_printf("%s/log", given);
        r = read_http(s, "checkpoint", &b, e);
        if (r == ERR_NOTFOUND) {
            err_set(e, r, "no log is served at %s", given);
        }
    }
    return r;
}

static int use_url(struct logsource *s, const char *url, struct err *e)
{
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/') {
        len--;
    }
    s->url = mem_text(url, len);
    s->tiles = (struct tlog_tiles){read_http, s};
    return find_prefix(s, e);
}

/* ---- the key ---- */

static int use_vkey(struct logsource *s, const char *vkey, struct err *e)
{
    CLEANUP(buf_clear) struct buf name = BUF(LIMIT_NAME);
    int r = note_vkey_parse(span_str(vkey), &name, &s->key, e);
    if (r < 0) {
        return err_wrap(e, r, "--vkey");
    }
    snprintf(s->origin, sizeof s->origin, "%s", buf_text(&name));
    return 0;
}

static int site_key(struct app *app, struct logsource *s, struct err *e)
{
    CLEANUP(fd_close) int keys = -1;
    int r = file_open_dir(app->site, "keys", &keys, e);
    r = r < 0 ? r : key_public(keys, "log", &s->key, e);
    snprintf(s->origin, sizeof s->origin, "%s",
             settings_text(app->settings, SETTING_REPOSITORY_NAME));
    return r;
}

int logsource_open(struct app *app, const char *url, const char *folder, const char *vkey,
                   struct logsource *out, struct err *e)
{
    *out = (struct logsource){.dir = -1, .ours = url == NULL && folder == NULL};
    if (url != NULL && folder != NULL) {
        return cli_usage(e, "--url and --dir exclude each other");
    }
    int r = 0;
    if (vkey == NULL || out->ours) {
        r = app_open_site(app, e);
        if (r < 0 && !out->ours) {
            return cli_usage(e, "--vkey KEY is needed: what `cordon key vkey` prints at the site "
                                "that signs the log");
        }
    }
    r = r < 0 ? r : vkey != NULL ? use_vkey(out, vkey, e) : site_key(app, out, e);
    if (r == 0 && url != NULL) {
        r = use_url(out, url, e);
    } else if (r == 0) {
        r = folder != NULL ? file_open_dir(AT_FDCWD, folder, &out->dir, e)
                           : file_open_dir(app->site, "log", &out->dir, e);
        out->tiles = tlog_tiles_dir(&out->dir);
    }
    return r;
}

void logsource_clear(struct logsource *s)
{
    fd_close(&s->dir);
    free(s->url);
    s->url = NULL;
}
